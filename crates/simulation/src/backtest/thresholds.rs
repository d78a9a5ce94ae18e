//! Which thresholds would have been best, and whether that is more than luck.

use chrono::Duration;

use crate::billing::Bill;
use crate::closed_loop::Run;
use brimful_policy::settings::{PolicyConfig, Settings, Thresholds};
use brimful_types::span::Span;

/// Days of a week; a last one of fewer than half of them tells nothing.
const WEEK: usize = 7;
const HALF_WEEK: usize = 4;
/// Costs within this part of the commitment count as equal.
const EQUAL: f64 = 0.0025;

/// Thresholds to try.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The configuration, with these thresholds.
    pub config: Settings,
}

impl Candidate {
    /// Its thresholds.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        self.config.policy.thresholds
    }

    /// Its hours ahead.
    #[must_use]
    pub fn lookahead(&self) -> Duration {
        self.config.policy.lookahead.0
    }
}

/// The configured thresholds first, then their neighbours.
#[must_use]
pub fn candidates(config: &Settings) -> Vec<Candidate> {
    let with = |change: &dyn Fn(&mut PolicyConfig)| {
        let mut config = config.clone();
        change(&mut config.policy);
        Candidate { config }
    };
    let scaled = |factor: f64| {
        with(&move |policy| {
            policy.thresholds.fill *= factor;
            policy.thresholds.hold *= factor;
        })
    };
    let drains = |factor: f64| with(&move |policy| policy.thresholds.drain *= factor);
    let ahead = |hours: i64| with(&move |policy| policy.lookahead = Span(Duration::hours(hours)));
    let mut candidates = vec![with(&|_| ()), scaled(2.0), drains(0.5), drains(2.0)];
    let others = [8, 24].into_iter().map(Duration::hours);
    candidates.extend(
        others
            .filter(|hours| *hours != config.policy.lookahead.0)
            .map(|hours| ahead(hours.num_hours())),
    );
    candidates
}

/// One candidate's cost.
#[derive(Debug, Clone)]
pub struct Tried {
    /// What was tried.
    pub candidate: Candidate,
    /// What it came to.
    pub bill: Bill,
    /// By week.
    pub weeks: Vec<Bill>,
}

/// What the candidates show.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// All of them, the configured one first.
    pub tried: Vec<Tried>,
    /// The cheapest; the configured one where none is clearly cheaper.
    pub best: usize,
    /// The cheapest of each week, likewise.
    pub best_by_week: Vec<usize>,
    /// True if the best of all is, in each week, as good as that week's best.
    pub stable: bool,
}

/// Compares the candidates.
#[must_use]
pub fn verdict(runs: Vec<(Candidate, &Run)>) -> Verdict {
    let tried: Vec<Tried> = runs
        .into_iter()
        .map(|(candidate, run)| Tried {
            candidate,
            bill: run.bill,
            weeks: weeks(&run.days),
        })
        .collect();
    let whole: Vec<Bill> = tried.iter().map(|tried| tried.bill).collect();
    let best = cheapest(&whole);
    let count = tried.first().map_or(0, |tried| tried.weeks.len());
    let by_week: Vec<Vec<Bill>> = (0..count)
        .map(|week| tried.iter().map(|tried| tried.weeks[week]).collect())
        .collect();
    let stable = by_week.iter().all(|bills| {
        let least = bills.iter().map(|bill| bill.cost).fold(f64::INFINITY, f64::min);
        bills[best].cost <= least + EQUAL * bills[best].commitment
    });
    Verdict {
        best,
        best_by_week: by_week.iter().map(|bills| cheapest(bills)).collect(),
        stable,
        tried,
    }
}

/// The first unless another is cheaper by more than what counts as equal.
fn cheapest(bills: &[Bill]) -> usize {
    let Some(first) = bills.first() else { return 0 };
    let least = (0..bills.len()).min_by(|a, b| bills[*a].cost.total_cmp(&bills[*b].cost));
    least
        .filter(|least| bills[*least].cost < first.cost - EQUAL * first.commitment)
        .unwrap_or(0)
}

fn weeks(days: &[Bill]) -> Vec<Bill> {
    let whole = days.chunks(WEEK).filter(|week| week.len() >= HALF_WEEK);
    whole.map(|week| week.iter().sum()).collect()
}
