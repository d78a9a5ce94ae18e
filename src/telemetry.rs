//! What monitoring sees of Brimful: metrics in Prometheus' text format, scraped from the operator or written to a file
//! for node-exporter by a job.

mod metrics;
mod server;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};

use crate::files::replace;
use crate::render::json::{ApplyResult, PlanDocument};
use brimful_types::{Error, Result};

pub(crate) use server::{Health, serve};

/// What became of the runs so far, beside the newest plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// Runs by exit code, since the process began.
    pub(crate) ended: BTreeMap<u8, u64>,
    /// Patches by pool and result, since the process began.
    pub(crate) patches: BTreeMap<(String, &'static str), u64>,
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
    }

    /// Metrics of the newest plan and of the runs, in Prometheus' text format.
    ///
    /// # Errors
    /// Never, as long as memory is left.
    pub(crate) fn metrics(&self, document: Option<&PlanDocument>) -> Result<String> {
        metrics::encode(self, document)
    }
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
