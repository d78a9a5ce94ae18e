//! Metrics and traces of a run arrive where they are wanted, and whoever does not take them fails no run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message as _;

use super::world::World;
use crate::support::monitoring::{Prometheus, Pushgateway, Series, of_text, with_labels};
use crate::support::receiver::{Answer, Received, Receiver};
use crate::support::run::NOW;

/// All of Brimful's metrics.
const ALL: &str = "{__name__=~'brimful_.+'}";

/// An attribute as text.
fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

fn spans(received: &Received) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(received.body.as_slice()).expect("OTLP traces");
    let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// Everything that Brimful wrote into a file.
fn written(file: &Path) -> Series {
    let series = of_text(&fs::read_to_string(file).expect("the metrics file"));
    assert!(series.len() > 30, "{series:#?}");
    series
}

fn of_metric(series: &Series, name: &str) -> Series {
    let found = series.iter().filter(|((of, _), _)| of == name);
    found.map(|(key, value)| (key.clone(), *value)).collect()
}

#[test]
fn the_gateway_has_what_the_file_has_and_keeps_the_last_success_over_a_run_that_fails() {
    const GROUP: &[&str] = &["job=brimful", "instance="];
    let world = World::new();
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("brimful.prom");
    let run = |path: &str, now: &str, file: &Path| {
        let config = format!("telemetry: {{pushgateway: '{}{path}'}}", gateway.endpoint());
        let run = world.run_at("apply", now).config(&config);
        run.arg("--metrics-file").arg(file)
    };
    run("/", NOW, &file).ends(0);
    let first = written(&file);
    assert_eq!(with_labels(&gateway.series(), GROUP), first);
    let text = gateway.text();
    assert!(text.contains("# TYPE brimful_runs_total counter\n"), "{text}");
    let patches = "brimful_nodepool_patches_total";
    assert!(!of_metric(&first, patches).is_empty(), "{first:#?}");

    // All is done: what told of patches goes.
    run("/", NOW, &file).ends(0);
    let second = written(&file);
    assert!(of_metric(&second, patches).is_empty(), "{second:#?}");
    assert_eq!(with_labels(&gateway.series(), GROUP), second);

    // A run that did not end well adds to what is there, so that the last success stays. A file of its own: from the
    // other it would learn of that.
    let fresh = folder.path().join("fresh.prom");
    run("/", "2026-11-26T18:00:00Z", &fresh).ends(5);
    let (third, after) = (written(&fresh), with_labels(&gateway.series(), GROUP));
    let (success, runs) = ("brimful_run_last_success_timestamp_seconds", "brimful_runs_total");
    assert!(of_metric(&third, success).is_empty(), "{third:#?}");
    assert_eq!(of_metric(&after, success), of_metric(&second, success));
    assert_eq!(of_metric(&after, runs), of_metric(&third, runs));

    // Another cluster, by a group of its own.
    run("/metrics/job/brimful/cluster/prod", NOW, &file).ends(0);
    let both = gateway.series();
    let prod = with_labels(&both, &["job=brimful", "instance=", "cluster=prod"]);
    assert_eq!(prod, written(&file));
    assert_eq!(with_labels(&both, GROUP).len(), after.len() + prod.len());

    for (path, why) in [
        (
            "/hush-hush",
            "404 Not Found: the address is wrong, or no longer valid",
        ),
        ("/metrics/job/brimful/hush-hush", "400 Bad Request"),
    ] {
        let ended = run(path, NOW, &file).ends(0);
        let told = format!("telemetry.pushgateway: the metrics were not taken: it answers {why}");
        assert!(ended.stderr.contains(&told), "{told}: {ended:?}");
        assert!(!ended.stderr.contains("hush"), "{ended:?}");
    }
    assert_eq!(with_labels(&gateway.series(), GROUP), with_labels(&both, GROUP));
}

#[test]
fn prometheus_has_by_otlp_what_the_file_has_and_a_trace_has_a_span_for_each_phase() {
    let world = World::new();
    let (prometheus, collector) = (Prometheus::start(&[], &[]), Receiver::start());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("brimful.prom");
    world
        .run("apply")
        .config(&format!("telemetry: {{otlp: '{}'}}", collector.endpoint()))
        .env(
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            format!("{}/v1/metrics", prometheus.otlp()),
        )
        .arg("--metrics-file")
        .arg(&file)
        .ends(0);
    let taken = prometheus.query(ALL);
    assert_eq!(with_labels(&taken, &["job=brimful"]), written(&file));
    let [traces] = collector.take().try_into().expect("nothing but a trace");
    assert_eq!(
        (traces.path.as_str(), traces.content_type.as_str()),
        ("/v1/traces", "application/x-protobuf")
    );
    let spans = spans(&traces);
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

    // Its address alone: it takes no traces.
    let ended = world
        .run("apply")
        .config(&format!("telemetry: {{otlp: '{}'}}", prometheus.otlp()))
        .arg("--metrics-file")
        .arg(&file)
        .ends(0);
    let said = &ended.stderr;
    assert!(said.contains("OTLP: the trace was not taken"), "{said}");
    assert!(!said.contains("OTLP: the metrics"), "{said}");
    let runs = "brimful_run_last_timestamp_seconds";
    assert_eq!(
        with_labels(&prometheus.query(runs), &["job=brimful"]),
        of_metric(&written(&file), runs)
    );
}

#[test]
fn the_standard_variables_go_before_the_configuration_and_an_error_has_a_trace_too() {
    let world = World::new();
    let (prometheus, configured) = (Prometheus::start(&[], &[]), Receiver::start());
    let config = format!(
        "telemetry: {{otlp: '{}'}}\ncluster: {{name: prod}}\n",
        configured.endpoint()
    );
    let ended = world
        .run("apply")
        .config(&config)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", prometheus.otlp())
        .env("OTEL_SERVICE_NAME", "savings")
        .env("OTEL_TRACES_EXPORTER", "none")
        .ends(0);
    assert!(!ended.stderr.contains("OTLP"), "{ended:?}");
    let taken = prometheus.query(ALL);
    let labels = ["job=savings", "k8s_cluster_name=prod"];
    assert_eq!(with_labels(&taken, &labels).len(), taken.len(), "{taken:#?}");
    assert!(taken.len() > 30, "{taken:#?}");
    assert!(configured.take().is_empty());

    world
        .run("apply")
        .config(&config)
        .args(["--namespace", "nowhere"])
        .ends(7);
    let [traces] = configured.take().try_into().expect("nothing but a trace");
    let spans = spans(&traces);
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
