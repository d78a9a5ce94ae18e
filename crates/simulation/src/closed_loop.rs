//! One run: a policy acts on clusters that live through a trace.

use super::billing::Bill;
use super::cluster::Cluster;
use super::figures::{Change, Effort, Figures};
use super::node_pools::Pool;
use super::oracle::{free_migration, oracle};
use super::policies::{Kind, Reads, Scene};
use super::report::{History, Report, tariff};
use super::trace::{STEPS_PER_DAY, STEPS_PER_HOUR, Trace, cluster_name, time_of};
use brimful_policy::settings::Settings;
use brimful_types::Result;

/// What became of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// Its bill.
    pub bill: Bill,
    /// The same, day by day.
    pub days: Vec<Bill>,
    /// What it changed.
    pub effort: Effort,
    /// On-demand nodes of all clusters at the end of each step.
    pub on_demand: Vec<usize>,
}

/// Runs a policy as it comes over the first `days` of the month.
///
/// # Errors
/// The model could not carry a change out.
pub fn run(trace: &Trace, kind: Kind, days: usize) -> Result<Run> {
    run_configured(trace, kind, &Settings::default(), days)
}

/// Runs a policy with a configuration over the first `days` of the month.
///
/// # Errors
/// As [`run`].
pub fn run_configured(trace: &Trace, kind: Kind, config: &Settings, days: usize) -> Result<Run> {
    let mut play = Play::new(trace, kind)?;
    let mut policy = kind.policy(trace.clusters.len(), config);
    for step in 0..trace.warm_up {
        play.pass(step);
    }
    policy.begin(trace, &mut play.clusters)?;
    let mut found = Run {
        bill: Bill::default(),
        days: vec![Bill::default(); days],
        effort: Effort::default(),
        on_demand: Vec::new(),
    };
    let mut desk = Desk::new(policy.reads(), config.clone());
    let mut changes = Vec::new();
    for step in trace.warm_up..trace.warm_up + days * STEPS_PER_DAY {
        desk.receive(&play, step);
        for (index, cluster) in play
            .clusters
            .iter_mut()
            .enumerate()
            .filter(|_| trace.can_run[step])
        {
            cluster.refresh();
            let before = cluster.pool(Pool::Committed).clone();
            let scene = Scene {
                now: time_of(step),
                report: desk.report.as_mut(),
                prices: trace.prices,
            };
            policy.act(scene, index, cluster)?;
            let after = cluster.pool(Pool::Committed);
            let change = Change {
                step,
                cluster: index,
                weight: (after.terms.weight - before.terms.weight).signum(),
                limits: after.seen().limits != before.seen().limits,
            };
            changes.extend((change.weight != 0 || change.limits).then_some(change));
        }
        let bill = play.pass(step);
        found.bill.add(&bill);
        found.days[(step - trace.warm_up) / STEPS_PER_DAY].add(&bill);
        found.on_demand.push(play.on_demand());
    }
    found.effort = Effort::of(&changes, trace.clusters.len(), trace.warm_up, days);
    Ok(found)
}

/// The newest report that a policy has at hand.
struct Desk {
    reads: Reads,
    config: Settings,
    received: usize,
    report: Option<Report>,
}

impl Desk {
    fn new(reads: Reads, config: Settings) -> Self {
        Self {
            reads,
            config,
            received: 0,
            report: None,
        }
    }

    /// Takes what has been delivered by now.
    fn receive(&mut self, play: &Play<'_>, step: usize) {
        let trace = play.trace;
        let arrived = trace.deliveries.partition_point(|delivery| delivery.step <= step);
        let told = (self.reads == Reads::Truth).then(|| trace.others[step / STEPS_PER_HOUR]);
        let moves = told.is_some() && step.is_multiple_of(STEPS_PER_HOUR);
        if self.reads == Reads::Nothing || arrived == 0 || (arrived == self.received && !moves) {
            return;
        }
        self.received = arrived;
        let delivery = trace.deliveries[arrived - 1];
        self.report = Some(Report::new(trace, &play.history, delivery, &self.config, told));
    }
}

/// Clusters on their way through a trace.
struct Play<'a> {
    trace: &'a Trace,
    clusters: Vec<Cluster>,
    history: History,
}

impl<'a> Play<'a> {
    fn new(trace: &'a Trace, kind: Kind) -> Result<Self> {
        let clusters = trace
            .clusters
            .iter()
            .enumerate()
            .map(|(index, work)| Cluster::new(&cluster_name(index), kind.protects(), work.nodes[0]));
        Ok(Self {
            trace,
            clusters: clusters.collect::<Result<_>>()?,
            history: History::default(),
        })
    }

    /// Lets a step pass, and bills it.
    fn pass(&mut self, step: usize) -> Bill {
        for (cluster, work) in self.clusters.iter_mut().zip(&self.trace.clusters) {
            cluster.step(work, step, self.trace.has_spot[step]);
        }
        self.history.note(step, &self.clusters);
        let on_demand = self.on_demand();
        let all: usize = self.clusters.iter().map(|cluster| cluster.nodes().len()).sum();
        tariff(self.trace, step).bill(on_demand as f64, (all - on_demand) as f64)
    }

    fn on_demand(&self) -> usize {
        self.clusters.iter().map(Cluster::on_demand).sum()
    }
}

/// What all policies of a trace are measured against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yardstick {
    /// The best sequence of the same actions.
    pub oracle: Bill,
    /// Nodes that move at will.
    pub free: Bill,
    /// Nothing done.
    pub alone: Bill,
}

impl Yardstick {
    /// Measures a trace over the first `days` of the month.
    ///
    /// # Errors
    /// As [`run`].
    pub fn new(trace: &Trace, days: usize) -> Result<Self> {
        let steps = days * STEPS_PER_DAY;
        Ok(Self {
            oracle: oracle(trace, steps),
            free: free_migration(trace, steps),
            alone: run(trace, Kind::LeaveAlone, days)?.bill,
        })
    }

    /// Measures a run.
    #[must_use]
    pub fn measure(&self, run: &Run) -> Figures {
        Figures::of(&run.bill, run.effort, &self.oracle, &self.free, &self.alone)
    }
}
