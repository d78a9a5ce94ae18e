//! What was to be had: the best sequence of the same actions for whoever knows everything, and nodes that move at will.

use super::billing::Bill;
use super::cluster::{Losses, pace};
use super::report::tariff;
use super::trace::{Trace, Workload};

/// What the best play costs from each count of on-demand nodes on.
struct Plan {
    /// By step (the first is the month's first), by on-demand nodes at its end.
    value: Vec<Vec<f64>>,
}

/// The counts of on-demand nodes that a step can end with, protected from consolidation or not.
fn reachable(work: &Workload, step: usize, on_demand: usize, has_spot: bool) -> (usize, usize) {
    let spot = work.nodes[step - 1] - on_demand;
    let losses = |open, spot| Losses::of(work, step, on_demand, open, spot);
    // One node may move over before a step, as many as a run of the program moves.
    let (open, kept) = (losses(on_demand, spot), losses(0, spot.saturating_sub(1)));
    let (least, most) = (open.on_demand_left(on_demand), kept.on_demand_left(on_demand));
    if !has_spot {
        return (least + open.missing, most + kept.missing);
    }
    (least - pace(least).min(least), most + kept.missing)
}

impl Plan {
    /// Backwards over the steps; exact.
    fn new(trace: &Trace, work: &Workload, steps: usize) -> Self {
        let mut value = vec![Vec::new(); steps];
        let mut later = vec![0.0; 1 + work.nodes[trace.warm_up + steps - 1]];
        for index in (0..steps).rev() {
            let step = trace.warm_up + index;
            let tariff = tariff(trace, step);
            let nodes = work.nodes[step];
            let here: Vec<f64> = (0..=nodes)
                .map(|on_demand| {
                    tariff.bill(on_demand as f64, (nodes - on_demand) as f64).cost + later[on_demand]
                })
                .collect();
            let before = work.nodes[step - 1];
            later = (0..=before)
                .map(|on_demand| {
                    let (least, most) = reachable(work, step, on_demand, trace.has_spot[step]);
                    here[least..=most].iter().copied().fold(f64::INFINITY, f64::min)
                })
                .collect();
            value[index] = here;
        }
        Self { value }
    }
}

/// The oracle's bill over so many steps of the month, which begins without on-demand nodes: no policy's is lower. Of
/// several clusters, all as one.
#[must_use]
pub fn oracle(trace: &Trace, steps: usize) -> Bill {
    path(trace, steps).1
}

/// The same with its count of on-demand nodes, by step.
#[must_use]
pub fn path(trace: &Trace, steps: usize) -> (Vec<usize>, Bill) {
    let work = trace.pooled();
    let plan = Plan::new(trace, &work, steps);
    let (mut on_demand, mut bill, mut counts) = (0, Bill::default(), Vec::with_capacity(steps));
    for (index, value) in plan.value.iter().enumerate() {
        let step = trace.warm_up + index;
        let (least, most) = reachable(&work, step, on_demand, trace.has_spot[step]);
        let best = (least..=most).min_by(|a, b| value[*a].total_cmp(&value[*b]));
        on_demand = best.unwrap_or(least);
        let spot = work.nodes[step] - on_demand;
        bill.add(&tariff(trace, step).bill(on_demand as f64, spot as f64));
        counts.push(on_demand);
    }
    (counts, bill)
}

/// The bill if nodes moved at will, even in parts; no oracle's is lower.
#[must_use]
pub fn free_migration(trace: &Trace, steps: usize) -> Bill {
    let work = trace.pooled();
    let mut bill = Bill::default();
    for step in trace.warm_up..trace.warm_up + steps {
        let tariff = tariff(trace, step);
        let nodes = work.nodes[step] as f64;
        let room = ((tariff.commitment - tariff.others) / tariff.prices.savings_plan).clamp(0.0, nodes);
        bill.add(&tariff.bill(room, nodes - room));
    }
    bill
}
