//! One run: a policy acts on a cluster that lives through a trace.

use brimful_policy::patch::patch;
use brimful_policy::peers::Peers;
use brimful_policy::plan::{Inputs, propose_on};
use brimful_policy::settings::{Grips, Settings, TopUpConfig};
use brimful_policy::state::State;
use brimful_policy::top_up::TopUp;
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::stale;
use brimful_simulation::billing::Bill;
use brimful_simulation::report::Report;
use brimful_simulation::trace::{STEPS_PER_DAY, STEPS_PER_HOUR, time_of};
use brimful_types::Result;
use serde_json::json;

use super::COMPUTE;
use super::cluster::Cluster;
use super::pool::Spec;
use super::report::{CLUSTER, History, delivered};
use super::scenario::{Trace, WARM_UP_DAYS};

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Nobody: Karpenter takes Spot.
    LeaveAlone,
    /// Weight above Spot, and limits of what was free on average in the weeks before.
    Static,
    /// Brimful by weights, on pools that their owner protects from consolidation always (`WhenEmpty`).
    Weight,
    /// Brimful by weights on unprotected pools.
    WeightUnprotected,
    /// Brimful by weights and protection.
    Protection,
    /// Brimful by weights and limits on unprotected pools.
    Limits,
    /// Brimful by weights, protection and limits.
    All,
    /// Brimful by weights and protection, and Spot nodes moved over.
    TopUp,
    /// All, and Spot nodes moved over.
    AllTopUp,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LeaveAlone,
        Self::Static,
        Self::Weight,
        Self::WeightUnprotected,
        Self::Protection,
        Self::Limits,
        Self::All,
        Self::TopUp,
        Self::AllTopUp,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaveAlone => "leave-alone",
            Self::Static => "static",
            Self::Weight => "weight",
            Self::WeightUnprotected => "weight-unprotected",
            Self::Protection => "weight+disruption",
            Self::Limits => "weight+limits",
            Self::All => "all",
            Self::TopUp => "weight+disruption+top-up",
            Self::AllTopUp => "all+top-up",
        }
    }

    fn top_up<'a>(self, pools: impl Iterator<Item = &'a Spec>) -> TopUpConfig {
        let tops_up = matches!(self, Self::TopUp | Self::AllTopUp);
        TopUpConfig {
            nodes_per_hour: if tops_up { 6 } else { 0 },
            from: pools
                .filter(|pool| pool.spot)
                .map(|pool| pool.name.clone())
                .collect(),
        }
    }

    fn grips(self) -> Option<Grips> {
        let names = match self {
            Self::LeaveAlone | Self::Static => return None,
            Self::Weight | Self::WeightUnprotected => "weight",
            Self::Protection | Self::TopUp => "weight,disruption",
            Self::Limits => "weight,limits",
            Self::All | Self::AllTopUp => "weight,disruption,limits",
        };
        Grips::parse(names).ok()
    }
}

/// What became of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// Its bill.
    pub bill: Bill,
    /// Patches a day, of all committed pools.
    pub patches: f64,
    /// Spot nodes moved over a day.
    pub moves: f64,
    /// vCPU on demand and on Spot, and pods that wait, at the end of each step.
    pub steps: Vec<(u32, u32, usize)>,
    /// What the first committed pool's plan says, in the last step of each hour.
    pub reasons: Vec<String>,
}

impl Run {
    /// What the same nodes would have cost if they had moved between on demand and Spot at will: as many as now must not
    /// be on Spot, by what their pods ask for.
    #[must_use]
    pub fn bound(&self, trace: &Trace) -> Bill {
        let mut bill = Bill::default();
        for (step, (on_demand, spot, _)) in (WARM_UP_DAYS * STEPS_PER_DAY..).zip(&self.steps) {
            let all = f64::from(on_demand + spot);
            let (asked, fixed) = trace.work.asked[step];
            bill.add(&trace.tariff(step).bound(all, all * fixed as f64 / asked as f64));
        }
        bill
    }
}

/// A cluster after the weeks in which nobody acts.
#[derive(Debug, Clone)]
pub struct Start {
    cluster: Cluster,
    history: History,
}

impl Start {
    /// Lives through the weeks before the month.
    ///
    /// # Errors
    /// Never, as long as the program reads what it should.
    pub fn new(trace: &Trace) -> Result<Self> {
        let mut cluster = Cluster::new(&trace.pools, &trace.work)?;
        let mut history = History::default();
        for step in 0..WARM_UP_DAYS * STEPS_PER_DAY {
            cluster.step(&trace.weather(step));
            history.note(step, &cluster);
        }
        Ok(Self { cluster, history })
    }
}

/// Runs a policy over the first `days` of the month.
///
/// # Errors
/// The model could not carry a change out.
pub fn run(trace: &Trace, start: &Start, policy: Policy, settings: &Settings, days: usize) -> Result<Run> {
    let Start {
        mut cluster,
        mut history,
    } = start.clone();
    let committed: Vec<usize> = (0..cluster.pools.len())
        .filter(|pool| cluster.pools[*pool].spec.managed)
        .collect();
    let grips = policy.grips();
    let mut brimful = Brimful {
        config: Settings {
            grips: grips.clone().unwrap_or_default(),
            top_up: policy.top_up(cluster.pools.iter().map(|pool| &pool.spec)),
            ..settings.clone()
        },
        state: State::default(),
        report: None,
        arrived: 0,
        patches: 0,
        moves: 0,
    };
    brimful.config.cluster.name = Some(CLUSTER.to_owned());
    begin(trace, policy, &committed, &mut cluster)?;
    let mut found = Run::default();
    let first = WARM_UP_DAYS * STEPS_PER_DAY;
    for step in first..first + days * STEPS_PER_DAY {
        let mut reason = String::new();
        if grips.is_some() && trace.can_run[step] {
            reason = brimful.act(trace, &history, &mut cluster, step)?;
        }
        cluster.step(&trace.weather(step));
        history.note(step, &cluster);
        let (on_demand, spot) = cluster.by_capacity();
        found
            .bill
            .add(&trace.tariff(step).bill(f64::from(on_demand), f64::from(spot)));
        found.steps.push((on_demand, spot, cluster.pending.len()));
        if step % STEPS_PER_HOUR == STEPS_PER_HOUR - 1 {
            found.reasons.push(reason);
        }
    }
    found.patches = brimful.patches as f64 / days as f64;
    found.moves = brimful.moves as f64 / days as f64;
    Ok(found)
}

/// What a policy's user sets before it begins.
fn begin(trace: &Trace, policy: Policy, committed: &[usize], cluster: &mut Cluster) -> Result<()> {
    let each = |value: &serde_json::Value, cluster: &mut Cluster| -> Result<()> {
        for pool in committed {
            cluster.pools[*pool].patch(value)?;
        }
        Ok(())
    };
    match policy {
        Policy::Weight => each(
            &json!({ "spec": { "disruption": { "consolidationPolicy": "WhenEmpty" } } }),
            cluster,
        ),
        Policy::Static => {
            let hours = WARM_UP_DAYS * 24;
            let free = |hour: usize| {
                let tariff = trace.tariff(hour * STEPS_PER_HOUR);
                let family = tariff.instance / super::INSTANCE - tariff.others_family;
                family.max(0.0) + (tariff.compute - tariff.others).max(0.0) / COMPUTE
            };
            let mean = (0..hours).map(free).sum::<f64>() / hours as f64 / committed.len() as f64;
            let limits = json!({ "cpu": (mean.round() as u32).to_string() });
            each(&json!({ "spec": { "weight": 50, "limits": limits } }), cluster)
        }
        _ => Ok(()),
    }
}

/// What `apply` does in one run, with the clock, the report and the cluster handed in.
struct Brimful {
    config: Settings,
    state: State,
    report: Option<Report>,
    arrived: usize,
    patches: usize,
    moves: usize,
}

impl Brimful {
    fn act(
        &mut self,
        trace: &Trace,
        history: &History,
        cluster: &mut Cluster,
        step: usize,
    ) -> Result<String> {
        let now = time_of(step);
        let arrived = trace.deliveries.partition_point(|delivery| delivery.step <= step);
        if arrived > self.arrived {
            self.arrived = arrived;
            let delivery = trace.deliveries[arrived - 1];
            self.report = Some(delivered(trace, cluster, history, delivery, &self.config));
        }
        let Some(report) = &mut self.report else {
            return Ok(String::new());
        };
        let doubt = match report.utilization.horizon {
            Some(horizon) => stale(horizon, now, self.config.policy.max_data_age.0),
            None => Some("the report holds no usage yet".to_owned()),
        };
        let (node_pools, nodes, claims) = (cluster.node_pools(), cluster.nodes(), cluster.node_claims());
        let tops_up = self.config.top_up.is_on();
        let pods = tops_up.then(|| cluster.pods(&trace.work)).transpose()?;
        let inputs = Inputs {
            now,
            config: &self.config,
            ledger: &report.ledger,
            utilization: &report.utilization,
            sharing: &Sharing::Open,
            node_pools: &node_pools,
            nodes: Some(&nodes),
            node_claims: Some(&claims),
            pods: pods.as_ref(),
            state: &self.state,
            peers: &Peers::default(),
            doubt: doubt.as_deref(),
        };
        let proposal = propose_on(&inputs, report.groundwork.entry(0).or_default());
        for pool in proposal
            .pools
            .iter()
            .filter(|pool| pool.changes() || pool.restore)
        {
            cluster.patch(&pool.pool.name, &patch(pool, now))?;
            self.patches += 1;
        }
        let reason = proposal.pools.iter().find(|pool| pool.managed).map(|pool| {
            format!(
                "{} w{:?} {:?} {}",
                pool.outcome.decision, pool.proposed, pool.limits, pool.outcome.reason
            )
        });
        self.state = proposal.state;
        for pool in &proposal.pools {
            if let Some(TopUp::Moves(one)) = &pool.top_up {
                cluster.delete_claim(&one.claim);
                self.state.moved.note(&pool.pool.name, now);
                self.moves += 1;
            }
        }
        Ok(reason.unwrap_or_default())
    }
}
