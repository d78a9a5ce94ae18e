//! Progress of long scans: on a terminal only, and only once a scan turns out to be long.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;

/// Nothing is drawn into a pipe, or between lines of JSON.
fn is_hidden(quiet: bool) -> bool {
    quiet || output::logs_json() || !io::stderr().is_terminal()
}

/// A bar on standard error; invisible in a pipe and when quiet.
#[derive(Debug)]
pub(crate) struct ScanProgress(ProgressBar);

impl ScanProgress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self::with(
            quiet,
            "{spinner} reading the report {bar:30} {human_pos}/{human_len} rows, {eta} left",
        )
    }

    /// The same for replays.
    pub(crate) fn of_runs(quiet: bool) -> Self {
        Self::with(quiet, "{spinner} replaying {bar:30} {pos}/{len}")
    }

    fn with(quiet: bool, template: &str) -> Self {
        if is_hidden(quiet) {
            return Self(ProgressBar::hidden());
        }
        // Ten draws a second at most; short scans are done before the first.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    pub(crate) fn update(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }
}

impl Drop for ScanProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Says that something is going on, until dropped; on a terminal only.
#[must_use]
pub(crate) fn waiting(quiet: bool, what: &'static str) -> ScanProgress {
    if is_hidden(quiet) {
        return ScanProgress(ProgressBar::hidden());
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    ScanProgress(bar)
}
