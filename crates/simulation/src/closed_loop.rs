//! One run: a policy acts on clusters that live through a trace.

use super::billing::Bill;
use super::cluster::Cluster;
use super::node_pools::Pool;
use super::policies::{Kind, Scene};
use super::report::{History, Report, tariff};
use super::trace::{STEPS_PER_DAY, Trace, cluster_name, time_of};
use brimful_policy::settings::Settings;
use brimful_types::Result;

/// What a policy changed, in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Changes of the committed pools' weights.
    pub weights: usize,
    /// Changes of how many nodes their limits allow.
    pub limits: usize,
    /// Patches, for whatever change.
    pub patches: usize,
    /// Spot nodes moved over.
    pub moves: usize,
}

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

/// Runs a policy with a configuration over the first `days` of the month.
///
/// # Errors
/// The model could not carry a change out.
pub fn run(trace: &Trace, kind: Kind, config: &Settings, days: usize) -> Result<Run> {
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
    let mut desk = Desk::new(policy.reads_reports(), config.clone());
    for step in trace.warm_up..trace.warm_up + days * STEPS_PER_DAY {
        desk.receive(&play, step);
        for (index, cluster) in play
            .clusters
            .iter_mut()
            .enumerate()
            .filter(|_| trace.can_run[step])
        {
            cluster.refresh();
            let before = cluster.pool(Pool::Committed);
            let (terms, revision) = (before.terms, before.revision());
            let scene = Scene {
                now: time_of(step),
                report: desk.report.as_mut(),
                prices: trace.prices,
            };
            policy.act(scene, index, cluster)?;
            let after = cluster.pool(Pool::Committed);
            found.effort.weights += usize::from(after.terms.weight != terms.weight);
            found.effort.limits += usize::from(after.terms.most != terms.most);
            found.effort.patches += after.revision() - revision;
        }
        let bill = play.pass(step);
        found.bill.add(&bill);
        found.days[(step - trace.warm_up) / STEPS_PER_DAY].add(&bill);
        found.on_demand.push(play.on_demand());
    }
    found.effort.moves = play.clusters.iter().map(Cluster::moved).sum();
    Ok(found)
}

/// The newest report that a policy has at hand.
struct Desk {
    reads_reports: bool,
    config: Settings,
    received: usize,
    report: Option<Report>,
}

impl Desk {
    fn new(reads_reports: bool, config: Settings) -> Self {
        Self {
            reads_reports,
            config,
            received: 0,
            report: None,
        }
    }

    /// Takes what has been delivered by now.
    fn receive(&mut self, play: &Play<'_>, step: usize) {
        let trace = play.trace;
        let arrived = trace.deliveries.partition_point(|delivery| delivery.step <= step);
        if !self.reads_reports || arrived == self.received {
            return;
        }
        self.received = arrived;
        let delivery = trace.deliveries[arrived - 1];
        self.report = Some(Report::new(trace, &play.history, delivery, &self.config));
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
