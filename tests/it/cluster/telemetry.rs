//! Metrics and traces of a run arrive where they are wanted, and whoever does not take them fails no run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value as Number};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message as _;

use super::world::World;
use crate::support::receiver::{Answer, Received, Receiver};
use crate::support::run::NOW;

/// An attribute as text.
fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

/// Who speaks, and values by name and labels as Prometheus' text has them.
fn metrics(received: &Received) -> (Option<String>, BTreeMap<String, f64>) {
    assert_eq!(received.content_type, "application/x-protobuf");
    let request = ExportMetricsServiceRequest::decode(received.body.as_slice()).expect("OTLP metrics");
    let [of_resource] = request.resource_metrics.as_slice() else {
        panic!("{request:#?}");
    };
    let resource = of_resource.resource.as_ref().expect("a resource");
    let mut values = BTreeMap::new();
    for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
        let (end, points) = match metric.data.as_ref().expect("data") {
            Data::Gauge(gauge) => ("", &gauge.data_points),
            Data::Sum(sum) => ("_total", &sum.data_points),
            other => panic!("{other:?}"),
        };
        for point in points {
            let labels: BTreeSet<String> = point
                .attributes
                .iter()
                .map(|one| {
                    format!(
                        "{}={}",
                        one.key,
                        attribute(&point.attributes, &one.key).unwrap_or_default()
                    )
                })
                .collect();
            #[allow(clippy::cast_precision_loss, reason = "small counts")]
            let value = match point.value.as_ref().expect("a value") {
                Number::AsDouble(value) => *value,
                Number::AsInt(value) => *value as f64,
            };
            values.insert(format!("{}{end} {labels:?}", metric.name), value);
        }
    }
    (attribute(&resource.attributes, "service.name"), values)
}

/// The same of Prometheus' text.
fn of_text(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels
            .trim_end_matches('}')
            .split(',')
            .filter(|label| !label.is_empty());
        let labels: BTreeSet<String> = labels.map(|label| label.replace('"', "")).collect();
        (format!("{name} {labels:?}"), value.parse().expect("a number"))
    });
    parsed.collect()
}

fn spans(received: &Received) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(received.body.as_slice()).expect("OTLP traces");
    let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// What came on a path; nothing else came.
fn by_path(receiver: &Receiver) -> BTreeMap<String, Vec<Received>> {
    let mut by_path: BTreeMap<String, Vec<Received>> = BTreeMap::new();
    for one in receiver.take() {
        by_path.entry(one.path.clone()).or_default().push(one);
    }
    by_path
}

#[test]
fn the_gateway_gets_the_file_and_otlp_the_same_values_and_a_span_for_each_phase() {
    let world = World::new();
    let (gateway, collector) = (Receiver::start(), Receiver::start());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("brimful.prom");
    let config = format!(
        "telemetry:\n  pushgateway: {}/\n  otlp: {}\n",
        gateway.endpoint(),
        collector.endpoint()
    );
    let run = |now: &str| {
        let run = world.run_at("apply", now).config(&config);
        run.arg("--metrics-file").arg(&file)
    };
    run(NOW).ends(0);
    let text = std::fs::read_to_string(&file).expect("the metrics file");
    let pushed = gateway.take();
    assert_eq!(pushed.len(), 1);
    assert_eq!(
        (pushed[0].method.as_str(), pushed[0].path.as_str()),
        ("PUT", "/metrics/job/brimful")
    );
    assert!(pushed[0].content_type.starts_with("text/plain"));
    assert_eq!(of_text(pushed[0].text()), of_text(&text));

    let sent = by_path(&collector);
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["/v1/metrics", "/v1/traces"]);
    let (service, values) = metrics(&sent["/v1/metrics"][0]);
    assert_eq!(service.as_deref(), Some("brimful"));
    assert_eq!(values, of_text(&text));
    assert!(values.len() > 30, "{values:#?}");
    let spans = spans(&sent["/v1/traces"][0]);
    let root = spans
        .iter()
        .find(|span| span.parent_span_id.is_empty())
        .expect("a root");
    assert_eq!(
        (
            root.name.as_str(),
            attribute(&root.attributes, "exit_code").as_deref()
        ),
        ("run", Some("0"))
    );
    assert_eq!(
        root.status.as_ref().map(|status| status.code),
        Some(StatusCode::Ok as i32)
    );
    let phases: BTreeSet<&str> = spans
        .iter()
        .filter(|span| span.parent_span_id == root.span_id && span.trace_id == root.trace_id)
        .map(|span| span.name.as_str())
        .collect();
    let expected = [
        "ask for rates and other clusters",
        "give state back",
        "give up Spot nodes",
        "notify",
        "patch NodePools",
        "plan",
        "publish demand",
        "publish events",
        "read cluster",
        "read report",
        "take state",
    ];
    assert_eq!(phases.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(spans.len(), 1 + expected.len());

    // A run that did not end well adds to what is there, so that the last success stays.
    run("2026-11-26T18:00:00Z").ends(5);
    assert_eq!(gateway.take()[0].method, "POST");
}

#[test]
fn the_standard_variables_go_before_the_configuration_and_an_error_has_a_trace_too() {
    let world = World::new();
    let (configured, collector) = (Receiver::start(), Receiver::start());
    let config = format!("telemetry: {{otlp: '{}'}}", configured.endpoint());
    world
        .run("apply")
        .config(&config)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_SERVICE_NAME", "savings")
        .env("OTEL_TRACES_EXPORTER", "none")
        .ends(0);
    let sent = by_path(&collector);
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["/v1/metrics"]);
    assert_eq!(metrics(&sent["/v1/metrics"][0]).0.as_deref(), Some("savings"));
    assert!(configured.take().is_empty());

    world
        .run("apply")
        .config(&config)
        .args(["--namespace", "nowhere"])
        .ends(7);
    let sent = by_path(&configured);
    let spans = spans(&sent["/v1/traces"][0]);
    let root = spans.iter().find(|span| span.name == "run").expect("a root");
    assert_eq!(attribute(&root.attributes, "exit_code").as_deref(), Some("7"));
    assert_eq!(
        root.status.as_ref().map(|status| status.code),
        Some(StatusCode::Error as i32)
    );
}

#[test]
fn who_takes_no_metrics_fails_no_run_and_is_named_in_the_log() {
    let world = World::new();
    for (answer, why) in [
        (Answer::Silence, "no answer within 10 s"),
        (Answer::Status(500), "500"),
        (Answer::Redirect, "redirects are not followed"),
    ] {
        let (gateway, collector) = (Receiver::answering(answer), Receiver::answering(answer));
        let config = format!(
            "telemetry:\n  pushgateway: {}/hush-hush\n  otlp: {}/hush-hush\n",
            gateway.endpoint(),
            collector.endpoint()
        );
        let began = Instant::now();
        let ended = world.run("apply").config(&config).ends(0);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{answer:?}: {took:?}");
        let said = &ended.stderr;
        for part in [
            "telemetry.pushgateway: the metrics were not taken",
            why,
            "OTLP: the metrics",
            "OTLP: the trace",
        ] {
            assert!(said.contains(part), "{answer:?}: {part}: {said}");
        }
        assert!(!said.contains("hush"), "{answer:?}: {said}");
    }
}
