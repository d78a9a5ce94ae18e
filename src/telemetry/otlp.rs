//! OTLP over HTTP: the same metrics, and the phases of a run as a trace. Where they go is said by `telemetry.otlp` or by
//! the standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and its kin), all others of which count, too.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::metrics::{Page, Values};
use crate::cli::PHASE;
use crate::config::Config;
use crate::http;

/// What a run waits for metrics and traces, at most.
const BOUND: Duration = Duration::from_secs(10);
/// Who speaks.
const NAME: &str = "brimful";

/// What is recorded of the process's runs; set where traces are wanted.
static TRACES: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What can be sent.
#[derive(Debug, Clone, Copy)]
enum Signal {
    Metrics,
    Traces,
}

/// Where it goes.
#[derive(Debug)]
enum Target {
    /// To where the standard variables say.
    ByVariable,
    /// To an address of the configuration.
    At(String),
}

impl Signal {
    /// Where it goes, if it is wanted at all.
    fn target(self, config: &Config) -> Option<Target> {
        let (word, path) = match self {
            Self::Metrics => ("METRICS", "v1/metrics"),
            Self::Traces => ("TRACES", "v1/traces"),
        };
        let is_off = setting("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || setting(&format!("OTEL_{word}_EXPORTER")).is_some_and(|value| value == "none");
        let by_variable = [
            "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            format!("OTEL_EXPORTER_OTLP_{word}_ENDPOINT"),
        ];
        if is_off {
            return None;
        }
        if by_variable.iter().any(|name| setting(name).is_some()) {
            return Some(Target::ByVariable);
        }
        let base = config.telemetry.otlp.as_ref()?.reveal();
        Some(Target::At(format!("{}/{path}", base.trim_end_matches('/'))))
    }
}

/// What a variable of OpenTelemetry says.
// Its variables are the same for every program, and have no flags.
#[allow(clippy::disallowed_methods)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Records the phases of runs, where traces are wanted.
pub(crate) fn layer<S>(config: &Config) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let target = Signal::Traces.target(config)?;
    let provider = TRACES.get_or_init(|| traces(config, target));
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(NAME))
        .with_location(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    Some(layer.with_filter(filter_fn(|span| span.target() == PHASE)))
}

fn traces(config: &Config, target: Target) -> SdkTracerProvider {
    http::choose_cryptography();
    let provider = SdkTracerProvider::builder().with_resource(resource(config));
    let exporter = SpanExporter::builder().with_http();
    let exporter = match target {
        Target::At(address) => exporter.with_endpoint(address),
        Target::ByVariable => exporter,
    };
    match exporter.build() {
        Ok(exporter) => provider.with_batch_exporter(exporter).build(),
        Err(error) => {
            // Logs begin after this.
            crate::cli::print_note(&format!("OTLP: no traces are sent: {error}\n"));
            provider.build()
        }
    }
}

/// Sends metrics, and what was recorded of the run. Whoever does not take them is named in the log.
pub(crate) async fn push(config: &Config, page: &Page) {
    tokio::join!(push_metrics(config, page), flush());
}

async fn push_metrics(config: &Config, page: &Page) {
    let Some(target) = Signal::Metrics.target(config) else {
        return;
    };
    let (page, resource) = (page.clone(), resource(config));
    let sent = blocking(move || send(&page, resource, target)).await;
    if let Err(why) = sent {
        tracing::warn!("OTLP: the metrics were not taken: {why}");
    }
}

/// Sends what was recorded.
pub(crate) async fn flush() {
    let Some(provider) = TRACES.get() else { return };
    let sent = blocking(|| provider.force_flush().map_err(|error| error.to_string())).await;
    if let Err(why) = sent {
        tracing::warn!("OTLP: the trace was not taken: {why}");
    }
}

/// The exporters work on threads of their own, and whoever waits for them blocks.
async fn blocking(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    match tokio::time::timeout(BOUND, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", BOUND.as_secs())),
    }
}

/// All metrics at once: a provider of their own, so that what is gone is no longer reported.
fn send(page: &Page, resource: Resource, target: Target) -> Result<(), String> {
    http::choose_cryptography();
    let exporter = MetricExporter::builder().with_http();
    let exporter = match target {
        Target::At(address) => exporter.with_endpoint(address),
        Target::ByVariable => exporter,
    };
    let why = Arc::<Mutex<Option<String>>>::default();
    let exporter = Explained {
        exporter: exporter.build().map_err(|error| error.to_string())?,
        why: Arc::clone(&why),
    };
    let never = Duration::from_hours(24);
    let reader = PeriodicReader::builder(exporter).with_interval(never).build();
    let provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(reader)
        .build();
    record(page, &provider);
    let sent = provider.shutdown();
    let why = why.lock().unwrap_or_else(PoisonError::into_inner).take();
    sent.map_err(|error| why.unwrap_or_else(|| error.to_string()))
}

/// The reader says that sending failed, and keeps to itself why.
struct Explained {
    exporter: MetricExporter,
    why: Arc<Mutex<Option<String>>>,
}

impl PushMetricExporter for Explained {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let sent = self.exporter.export(metrics).await;
        let why = sent.as_ref().err().map(ToString::to_string);
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        sent
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

fn record(page: &Page, provider: &SdkMeterProvider) {
    let meter = provider.meter(NAME);
    let attributes = |labels: &[(&'static str, String)]| -> Vec<KeyValue> {
        let labels = labels.iter();
        labels
            .map(|(name, value)| KeyValue::new(*name, value.clone()))
            .collect()
    };
    for metric in &page.metrics {
        let (name, help) = (metric.full_name(), metric.help);
        match &metric.values {
            Values::Gauge(values) => {
                let gauge = meter.f64_gauge(name).with_description(help).build();
                for (labels, value) in values {
                    gauge.record(*value, &attributes(labels));
                }
            }
            Values::Counter(values) => {
                let counter = meter.u64_counter(name).with_description(help).build();
                for (labels, value) in values {
                    counter.add(*value, &attributes(labels));
                }
            }
        }
    }
}

/// Who speaks, beside what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say.
fn resource(config: &Config) -> Resource {
    let said = Resource::builder().build();
    let has = |name: &'static str| said.get(&Key::new(name));
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if has("service.name").is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        resource = resource.with_service_name(NAME);
    }
    if let (Some(cluster), None) = (&config.cluster.name, has("k8s.cluster.name")) {
        resource = resource.with_attribute(KeyValue::new("k8s.cluster.name", cluster.clone()));
    }
    resource.build()
}
