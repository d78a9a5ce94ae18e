//! What monitoring sees of Brimful: metrics in Prometheus' text format, scraped from the operator, written to a file for
//! node-exporter, or pushed; metrics and traces by OTLP.

mod metrics;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
mod server;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};

use crate::config::Config;
use crate::files::replace;
use crate::http::{self, Request};
use crate::render::json::{ApplyResult, MoveResult, PlanDocument};
use brimful_types::{Error, Result};

pub(crate) use metrics::Page;
pub(crate) use server::{Health, serve};

/// What became of the runs so far, beside the newest plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// Runs by exit code, since the process began.
    pub(crate) ended: BTreeMap<u8, u64>,
    /// Patches by pool and result, since the process began.
    pub(crate) patches: BTreeMap<(String, &'static str), u64>,
    /// Spot nodes that were to be given up, by the pool that they were for and by result, since the process began.
    pub(crate) moves: BTreeMap<(String, &'static str), u64>,
    /// When the newest run ended.
    pub(crate) last: Option<DateTime<Utc>>,
    /// When the newest run ended in which everything was well (exit code 0).
    pub(crate) last_success: Option<DateTime<Utc>>,
    /// How long the newest run took.
    pub(crate) duration: Option<Duration>,
    /// Whether this replica leads, where there is an election.
    pub(crate) leads: Option<bool>,
}

impl Runs {
    /// Takes account of a run.
    pub(crate) fn note(
        &mut self,
        code: u8,
        document: Option<&PlanDocument>,
        ended: DateTime<Utc>,
        took: Duration,
    ) {
        *self.ended.entry(code).or_default() += 1;
        self.last = Some(ended);
        self.duration = Some(took);
        if code == 0 {
            self.last_success = Some(ended);
        }
        let applied = document.and_then(|document| document.applied.as_deref());
        for one in applied.unwrap_or_default() {
            let result = match one.result {
                ApplyResult::Patched => "patched",
                ApplyResult::Conflict => "conflict",
                ApplyResult::Refused => "refused",
                ApplyResult::Unchanged => continue,
            };
            let key = (one.node_pool.clone(), result);
            *self.patches.entry(key).or_default() += 1;
        }
        if let Some(moved) = document.and_then(|document| document.moved.as_ref()) {
            let result = match moved.result {
                MoveResult::Moved => "moved",
                MoveResult::Refused => "refused",
                MoveResult::Unknown => "unknown",
                MoveResult::Unchanged => return,
            };
            *self.moves.entry((moved.to.clone(), result)).or_default() += 1;
        }
    }
}

/// Sends metrics and traces of a run to where they are wanted, within ten seconds. It never fails a run.
pub(crate) async fn push(config: &Config, page: &Page, is_success: bool) {
    let gateway = async {
        if let Err(why) = to_pushgateway(config, page, is_success).await {
            tracing::warn!("telemetry.pushgateway: the metrics were not taken: {why}");
        }
    };
    #[cfg(feature = "otlp")]
    tokio::join!(gateway, otlp::push(config, page));
    #[cfg(not(feature = "otlp"))]
    gateway.await;
}

/// Sends the traces of a run that ended without a plan. It never fails anything.
pub(crate) async fn flush() {
    #[cfg(feature = "otlp")]
    otlp::flush().await;
}

/// A run that did not end well leaves the time of the last one that did, which PUT would remove.
async fn to_pushgateway(config: &Config, page: &Page, is_success: bool) -> Result<(), String> {
    let Some(url) = &config.telemetry.pushgateway else {
        return Ok(());
    };
    let request = Request {
        method: if is_success {
            reqwest::Method::PUT
        } else {
            reqwest::Method::POST
        },
        content_type: "text/plain; version=0.0.4; charset=utf-8",
        body: page.text().map_err(|error| error.to_string())?,
    };
    http::send(&http::client()?, &group(url.reveal()), &request).await
}

/// Where a job's metrics lie on a Pushgateway, unless that is given already.
fn group(url: &str) -> String {
    if url.contains("/metrics/job") {
        return url.to_owned();
    }
    format!("{}/metrics/job/brimful", url.trim_end_matches('/'))
}

/// When the newest run ended well by a file of metrics that stands already: a run that did not end well keeps it there,
/// so that alerts count from the last one that did.
pub(crate) fn last_success(path: &Path) -> Option<DateTime<Utc>> {
    let text = std::fs::read_to_string(path).ok()?;
    let seconds = text.lines().find_map(|line| {
        let value = line.strip_prefix("brimful_run_last_success_timestamp_seconds ")?;
        value.trim().parse::<f64>().ok()
    })?;
    #[allow(clippy::cast_possible_truncation, reason = "whole seconds")]
    DateTime::from_timestamp(seconds as i64, 0)
}

/// Writes metrics for node-exporter's textfile collector, which reads whole files that end in `.prom`.
///
/// # Errors
/// A usage error that names the file.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<()> {
    replace(path, text).map_err(|error| {
        Error::usage(format!("cannot write the metrics to {}", path.display()))
            .source(error)
            .hint("set --metrics-file (BRIMFUL_METRICS_FILE) to a file in a folder that exists and may be written")
    })
}
