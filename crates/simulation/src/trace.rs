//! What happens to a cluster whatever a policy does: the workload, other accounts, Spot, reports, luck.

use chrono::{DateTime, Duration, Utc};

/// Steps in an hour; a run of `apply` comes before each.
pub const STEPS_PER_HOUR: usize = 6;
/// Steps in a day.
pub const STEPS_PER_DAY: usize = 24 * STEPS_PER_HOUR;
/// Days before a scenario's month in which the cluster is left alone.
pub const WARM_UP_DAYS: usize = 28;
/// The first step of a scenario in which a policy acts.
pub const WARM_UP: usize = WARM_UP_DAYS * STEPS_PER_DAY;
/// When everything begins: a Monday, as the month's first is, 28 days later.
const BEGINNING: DateTime<Utc> = DateTime::from_timestamp_nanos(1_777_852_800_000_000_000); // 2026-05-04

/// The time at which a step begins.
#[must_use]
pub fn time_of(step: usize) -> DateTime<Utc> {
    BEGINNING + Duration::minutes(10 * step as i64)
}

/// The name of the cluster of that number, as tags tell it.
#[must_use]
pub fn cluster_name(index: usize) -> String {
    format!("cluster-{index}")
}

/// $/h of the one instance type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// On demand.
    pub on_demand: f64,
    /// Paid by a Savings Plan.
    pub savings_plan: f64,
}

/// A Compute Savings Plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// $/h.
    pub commitment: f64,
    /// First hour, counted from the beginning; negative is before.
    pub from: i32,
    /// The hour in which it is over.
    pub to: i32,
}

impl Term {
    /// True while it is in force.
    #[must_use]
    pub fn covers(&self, hour: usize) -> bool {
        (self.from..self.to).contains(&(hour as i32))
    }
}

/// What one cluster has to run, and which of its nodes end.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Nodes needed, by step.
    pub nodes: Vec<usize>,
    /// Slots of on-demand nodes that end, ascending, by step: slot 3 ends if there are more than three nodes.
    pub on_demand_ends: Vec<Vec<usize>>,
    /// The same for Spot nodes.
    pub spot_ends: Vec<Vec<usize>>,
}

/// One delivery of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The step before which it comes.
    pub step: usize,
    /// The first hour of which it holds no usage.
    pub reaches: usize,
}

/// How an hour's rows come in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lateness {
    /// Hours after its end until all of its rows are there.
    pub hours: f64,
    /// The part of its usage that lacks at first.
    pub lacking: f64,
    /// Others' usage is told too low by this part, until so many hours after its end.
    pub restated: Option<(f64, f64)>,
}

/// Everything that a policy does not decide. Equal seeds give equal traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Steps in all.
    pub steps: usize,
    /// The first step in which a policy acts; whole days.
    pub warm_up: usize,
    /// Prices.
    pub prices: Prices,
    /// Savings Plans.
    pub plans: Vec<Term>,
    /// Others' eligible usage, $/h at SP rates, by hour.
    pub others: Vec<f64>,
    /// Spot price, $/h, by hour.
    pub spot_price: Vec<f64>,
    /// Whether Spot can be had, by step.
    pub has_spot: Vec<bool>,
    /// Clusters that draw on the plans.
    pub clusters: Vec<Workload>,
    /// Deliveries, by time.
    pub deliveries: Vec<Delivery>,
    /// How hours mature, by hour.
    pub lateness: Vec<Lateness>,
    /// Whether `apply` can run: API server and report can be reached. By step.
    pub can_run: Vec<bool>,
}

impl Trace {
    /// Σ commitments in force in an hour, $/h.
    #[must_use]
    pub fn commitment(&self, hour: usize) -> f64 {
        let in_force = self.plans.iter().filter(|plan| plan.covers(hour));
        in_force.map(|plan| plan.commitment).sum()
    }

    /// All clusters as one, for a bound: slots are taken in turn.
    #[must_use]
    pub fn pooled(&self) -> Workload {
        let mut pooled = self.clusters[0].clone();
        let count = self.clusters.len();
        let spread = |ends: fn(&Workload) -> &Vec<Vec<usize>>, step: usize| {
            let clusters = self.clusters.iter().enumerate();
            let mut slots: Vec<usize> = clusters
                .flat_map(|(index, cluster)| ends(cluster)[step].iter().map(move |slot| slot * count + index))
                .collect();
            slots.sort_unstable();
            slots
        };
        for step in 0..self.steps {
            pooled.nodes[step] = self.clusters.iter().map(|cluster| cluster.nodes[step]).sum();
            pooled.on_demand_ends[step] = spread(|cluster| &cluster.on_demand_ends, step);
            pooled.spot_ends[step] = spread(|cluster| &cluster.spot_ends, step);
        }
        pooled
    }
}
