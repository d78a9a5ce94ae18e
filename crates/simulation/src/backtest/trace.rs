//! A report's past as a trace for the simulator.

use super::history::History;
use crate::dice::Dice;
use crate::trace::{Delivery, Lateness, Prices, STEPS_PER_DAY, STEPS_PER_HOUR, Trace, Workload};

/// Hours from one delivery of the report to the next, and how far a delivery lies behind: AWS delivers up to three
/// times a day (CUR user guide, "What are AWS Cost and Usage Reports").
pub const DELIVERED_EVERY: usize = 8;
/// From the end of the newest hour in a delivery to its arrival.
pub const LAG: usize = 10;
/// Hours after its end until all rows of an hour are there, and the part of them that comes late.
const COMPLETE_AFTER: f64 = 24.0;
const LATE_PART: f64 = 0.1;
/// One seed: what is drawn is only which nodes end.
const SEED: u64 = 1;

/// The trace of so many days before policies act, and of so many in which they do.
#[must_use]
pub fn trace(history: &History, warm_up_days: usize, days: usize) -> Trace {
    let all = warm_up_days + days;
    let (steps, hours) = (all * STEPS_PER_DAY, all * 24);
    let past = &history.hours[..hours.min(history.hours.len())];
    let nodes: Vec<usize> = (0..steps).map(|step| nodes_at(history, step)).collect();
    let slots = nodes.iter().copied().max().unwrap_or(0);
    let per_step = history.turnover / STEPS_PER_HOUR as f64;
    let ends = |stream: u64| {
        let mut dice = Dice::new(SEED, stream);
        (0..steps).map(|_| dice.ends(slots, per_step)).collect()
    };
    Trace {
        steps,
        warm_up: warm_up_days * STEPS_PER_DAY,
        prices: Prices {
            on_demand: history.on_demand,
            savings_plan: history.savings_plan,
        },
        plans: history.plans.clone(),
        others: past.iter().map(|hour| hour.others).collect(),
        spot_price: past.iter().map(|hour| hour.spot_price).collect(),
        has_spot: vec![true; steps],
        clusters: vec![Workload {
            on_demand_ends: ends(1),
            spot_ends: ends(2),
            nodes,
        }],
        deliveries: (1..=hours / DELIVERED_EVERY)
            .map(|turn| turn * DELIVERED_EVERY)
            .filter(|hour| *hour > LAG)
            .map(|hour| Delivery {
                step: hour * STEPS_PER_HOUR,
                reaches: hour - LAG,
            })
            .collect(),
        lateness: vec![
            Lateness {
                hours: COMPLETE_AFTER,
                lacking: LATE_PART,
                restated: None,
            };
            hours
        ],
        can_run: vec![true; steps],
    }
}

/// An hour's mean is its middle's level; between two middles it changes evenly.
fn nodes_at(history: &History, step: usize) -> usize {
    let middle = (step as f64 + 0.5) / STEPS_PER_HOUR as f64 - 0.5;
    let before = middle.floor().max(0.0) as usize;
    let level = |hour: usize| {
        history
            .hours
            .get(hour)
            .or(history.hours.last())
            .map_or(0.0, |past| past.nodes)
    };
    let part = (middle - before as f64).clamp(0.0, 1.0);
    (level(before) * (1.0 - part) + level(before + 1) * part).round() as usize
}
