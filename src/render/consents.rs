//! What further consents would save: `grips` and `topUp` that are not given yet.

use serde::Serialize;

use super::headline::HOURS_PER_MONTH;
use super::text::dollars;
use brimful_simulation::backtest::Worth;
use brimful_simulation::policies::Consents;

const HOURS_A_DAY: f64 = 24.0;

/// One consent more than are given, or all.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsentsRow {
    /// `weight`, `disruption`, `limits` (in `grips`), and `topUp`.
    pub consents: Vec<&'static str>,
    /// $ a month (730 h) against what is configured; negative where it would cost more.
    pub saved_per_month: f64,
    /// Those that are not given yet.
    #[serde(skip)]
    further: Vec<&'static str>,
}

impl ConsentsRow {
    pub(crate) fn all(worths: &[Worth], given: Consents, days: usize) -> Vec<Self> {
        let row = |worth: &Worth| {
            let mut further = worth.consents.names();
            further.retain(|name| !given.names().contains(name));
            Self {
                consents: worth.consents.names(),
                saved_per_month: rounded(per_month(worth.saved, days)),
                further,
            }
        };
        worths.iter().map(row).collect()
    }

    /// `disruption, limits`
    pub(crate) fn further(&self) -> String {
        self.further.join(", ")
    }

    /// `saves $4 a month more`
    pub(crate) fn worth(&self) -> String {
        let saved = self.saved_per_month;
        let word = if saved.round() < 0.0 { "costs" } else { "saves" };
        format!("{word} {} a month more", dollars(saved.abs()))
    }
}

/// What came to so much in some days, a month.
#[allow(clippy::cast_precision_loss, reason = "days of some months")]
pub(super) fn per_month(amount: f64, days: usize) -> f64 {
    amount / (days.max(1) as f64 * HOURS_A_DAY) * HOURS_PER_MONTH as f64
}

pub(super) fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
