//! What a run is measured by.

use super::billing::Bill;
use super::trace::{STEPS_PER_DAY, STEPS_PER_HOUR};

/// A change that is taken back in fewer steps is a reversal: it has done nothing but stir.
const REVERSAL_STEPS: usize = 2 * STEPS_PER_HOUR;

/// A change of the committed pool of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The step before which it was made.
    pub step: usize,
    /// The cluster.
    pub cluster: usize,
    /// Up (1), down (−1), or no change of the weight (0).
    pub weight: i32,
    /// True when the limits changed.
    pub limits: bool,
}

/// How often pools were changed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Effort {
    /// Weight changes per pool and day.
    pub weights: f64,
    /// The most weight changes of one pool in one day.
    pub most_weights: usize,
    /// Of these changes, those that take back the one before in less than two hours, per pool and day.
    pub reversals: f64,
    /// The most reversals of one pool in one day.
    pub most_reversals: usize,
    /// Changes of limits per pool and day.
    pub limits: f64,
    /// The most changes of limits of one pool in one day.
    pub most_limits: usize,
}

impl Effort {
    /// Counts changes over so many days from `first` on.
    #[must_use]
    pub fn of(changes: &[Change], clusters: usize, first: usize, days: usize) -> Self {
        let (mut weights, mut reversals, mut limits) = (
            vec![0; days * clusters],
            vec![0; days * clusters],
            vec![0; days * clusters],
        );
        let mut last = vec![(0, 0); clusters];
        for change in changes {
            let day = (change.step - first) / STEPS_PER_DAY * clusters + change.cluster;
            limits[day] += usize::from(change.limits);
            if change.weight != 0 {
                weights[day] += 1;
                let (step, weight) = last[change.cluster];
                let is_soon = change.step - step < REVERSAL_STEPS;
                reversals[day] += usize::from(weight == -change.weight && is_soon);
                last[change.cluster] = (change.step, change.weight);
            }
        }
        let mean = |counts: &[usize]| counts.iter().sum::<usize>() as f64 / counts.len().max(1) as f64;
        let most = |counts: &[usize]| counts.iter().copied().max().unwrap_or(0);
        Self {
            weights: mean(&weights),
            most_weights: most(&weights),
            reversals: mean(&reversals),
            most_reversals: most(&reversals),
            limits: mean(&limits),
            most_limits: most(&limits),
        }
    }
}

/// One run, beside what was to be had. Parts of Σ commitment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Cost beyond the oracle's.
    pub regret: f64,
    /// Unused commitment beyond the oracle's.
    pub unused: f64,
    /// Spill beyond the oracle's, at SP rates.
    pub spill: f64,
    /// Cost beyond what free migration would cost.
    pub regret_to_free: f64,
    /// Cost beyond leaving the cluster alone; negative is saved.
    pub against_alone: f64,
    /// What it took.
    pub effort: Effort,
}

impl Figures {
    /// Compares a run.
    #[must_use]
    pub fn of(run: &Bill, effort: Effort, oracle: &Bill, free: &Bill, alone: &Bill) -> Self {
        let part = |amount: f64| amount / run.commitment.max(1e-9);
        Self {
            regret: part(run.cost - oracle.cost),
            unused: part(run.unused - oracle.unused),
            spill: part(run.spill - oracle.spill),
            regret_to_free: part(run.cost - free.cost),
            against_alone: part(run.cost - alone.cost),
            effort,
        }
    }
}
