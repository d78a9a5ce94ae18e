//! The plan: every `NodePool` with its decision, its weight now and proposed, and the changes that follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Decision;
use super::annotations::set_budgets;
use super::arithmetic::{GroupWorking, workings};
use super::attribution::{Valuation, add_peers, live_at_compute, live_use, own_use, record, recorded_use};
use super::decision::Outcome;
use super::eligibility::family_requirement;
use super::fleet::fleet;
use super::groundwork::Groundwork;
use super::groups::{self, GroupNow, groups_now};
use super::limits::{LimitSum, Limits};
use super::names::{no_such_cluster, no_such_node_pools};
use super::peers::{Demand, Peers, Publication, publish};
use super::planner::Planner;
pub use super::planner::show_limits;
use super::pools::Pools;
use super::protection::{Protection, was_opened};
use super::state::State;
use super::top_up::TopUp;
use super::weights::show;
use crate::settings::Settings;
use brimful_karpenter::{InstanceTypes, Node, NodeClaim, NodePool, Pods};
use brimful_savings_plans::ledger::Ledger;
use brimful_savings_plans::nowcast::{ByScope, Nowcast, OwnUse};
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::Utilization;
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};

/// Everything that a plan rests on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The clock.
    pub now: DateTime<Utc>,
    /// Configuration.
    pub config: &'a Settings,
    /// The report.
    pub ledger: &'a Ledger,
    /// Its use, hour by hour.
    pub utilization: &'a Utilization,
    /// Which accounts plans reach.
    pub sharing: &'a Sharing,
    /// All `NodePools` of the cluster.
    pub node_pools: &'a [NodePool],
    /// Its Nodes, where at hand.
    pub nodes: Option<&'a [Node]>,
    /// Its `NodeClaims`, where at hand.
    pub node_claims: Option<&'a [NodeClaim]>,
    /// Its pods, where they are asked for (`topUp`) and at hand.
    pub pods: Option<&'a Pods>,
    /// What other clusters on the same plans tell of themselves.
    pub peers: &'a Peers,
    /// What earlier runs left.
    pub state: &'a State,
    /// Why nothing at all may be decided, if so.
    pub doubt: Option<&'a str>,
}

/// One `NodePool` in the plan.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PoolPlan {
    /// The pool as it was read.
    pub pool: NodePool,
    /// True when `apply` may change it.
    pub managed: bool,
    /// Groups that pay for it.
    pub groups: Vec<GroupId>,
    /// The decision and its arithmetic.
    pub outcome: Outcome,
    /// What fits into the headroom: instance type, $/h, count. Types that the report has priced only.
    pub fits: Vec<Fit>,
    /// The weight after the plan; equal to the pool's when unchanged.
    pub proposed: Option<i32>,
    /// True when Brimful sets the limits, too.
    pub by_limits: bool,
    /// The limits after the plan; equal to the pool's when unchanged.
    pub limits: Limits,
    /// True when Brimful switches its protection from consolidation, too.
    pub shields: bool,
    /// Its budgets after the plan; equal to the pool's when unchanged.
    pub budgets: Option<Vec<Value>>,
    /// Whether it is protected now and should be, where Brimful switches that.
    pub protection: Option<Protection>,
    /// True when the pool gets its baseline back and loses Brimful's annotations.
    pub restore: bool,
    /// True when it is frozen because somebody wants it so: no reason for an alarm.
    pub paused: bool,
    /// Groups in force that do not pay for it, and why.
    pub left_out: Vec<(GroupId, String)>,
    /// How its limits came about, where they are set.
    pub limit_sum: Option<LimitSum>,
    /// The Spot node that moves over to it while it lacks nodes, or why none does; None where nothing is to move.
    pub top_up: Option<TopUp>,
}

/// How many of an instance type fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Instance type.
    pub instance_type: String,
    /// $/h at the SP rate.
    pub rate: Money,
    /// Whole instances.
    pub count: u64,
}

impl PoolPlan {
    /// True when the plan changes the pool.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.changes_weight() || self.changes_limits() || self.changes_budgets()
    }

    /// True when the plan changes `spec.weight`.
    #[must_use]
    pub fn changes_weight(&self) -> bool {
        self.managed_or_restored() && self.proposed != self.pool.weight
    }

    /// True when the plan changes `spec.limits`.
    #[must_use]
    pub fn changes_limits(&self) -> bool {
        self.managed_or_restored() && self.limits != self.pool.limits
    }

    /// True when the plan changes `spec.disruption.budgets`.
    #[must_use]
    pub fn changes_budgets(&self) -> bool {
        self.managed_or_restored() && self.budgets != self.pool.budgets
    }

    /// True when it changes nothing else.
    #[must_use]
    pub fn changes_budgets_only(&self) -> bool {
        self.changes_budgets() && !self.changes_weight() && !self.changes_limits()
    }

    /// True when all that it does is to keep a pool open to consolidation for longer, or to open it again after a time that
    /// was cut to the pace of its budgets.
    fn only_renews(&self) -> bool {
        self.changes_budgets_only()
            && self.protection.is_some_and(|protection| !protection.proposed)
            && set_budgets(&self.pool).is_some_and(|set| was_opened(&set))
    }

    /// True for what is no news in history, Events and notifications: being open is renewed, or a pool that its limits
    /// bound is packed when it is full and protected when it lacks a node, many times a day.
    #[must_use]
    pub fn is_routine(&self) -> bool {
        let packs = || {
            self.by_limits
                && self.changes_budgets_only()
                && self.outcome.decision != Decision::Drain
                && set_budgets(&self.pool).is_some()
        };
        self.only_renews() || packs()
    }

    /// What becomes of the budgets, in words.
    #[must_use]
    pub fn budgets_change(&self) -> Option<&'static str> {
        let said = match self.protection {
            Some(protection) if protection.proposed => "protection on",
            Some(_) if self.only_renews() => "protection stays off",
            Some(_) => "protection off",
            None => "own budgets back",
        };
        self.changes_budgets().then_some(said)
    }

    /// What it changes, in words: `weight 10 → 60, limits cpu 100 → 28`.
    #[must_use]
    pub fn change(&self) -> String {
        let weight = self
            .changes_weight()
            .then(|| format!("weight {} → {}", show(self.pool.weight), show(self.proposed)));
        let limits = self
            .changes_limits()
            .then(|| show_limits(&self.pool.limits, &self.limits));
        let budgets = self.budgets_change().map(str::to_owned);
        let said: Vec<String> = weight.into_iter().chain(limits).chain(budgets).collect();
        if said.is_empty() {
            return "Brimful's annotations removed".to_owned();
        }
        said.join(", ")
    }

    pub(super) fn managed_or_restored(&self) -> bool {
        self.managed || self.restore
    }
}

/// The plan of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// When it was made.
    pub now: DateTime<Utc>,
    /// Groups of plans, now.
    pub groups: Vec<GroupNow>,
    /// What each group's estimate is.
    pub nowcasts: BTreeMap<GroupId, Nowcast>,
    /// What each group's estimate rests on.
    pub workings: BTreeMap<GroupId, GroupWorking>,
    /// Pools by name.
    pub pools: Vec<PoolPlan>,
    /// What should be known.
    pub warnings: Vec<Warning>,
    /// What the next run should know.
    pub state: State,
    /// What the other clusters should know; `None` without Nodes, and while the cluster's name is unknown.
    pub demand: Option<Demand>,
    /// Clusters whose live demand is in the figures.
    pub peers: Vec<String>,
    /// Why nothing at all was decided, if so.
    pub doubt: Option<String>,
}

impl Proposal {
    /// True when no managed pool could be decided: of the pools that plans could pay for, all are frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let managed = self.pools.iter().any(|pool| pool.managed);
        let undecidable = |pool: &&PoolPlan| pool.outcome.decision == Decision::None || pool.paused;
        let mut decided = self
            .pools
            .iter()
            .filter(|pool| pool.managed == managed && !undecidable(pool))
            .peekable();
        match decided.peek() {
            None => self.doubt.is_some() && !self.pools.iter().any(|pool| pool.paused),
            Some(_) => decided.all(|pool| pool.outcome.decision == Decision::Freeze),
        }
    }
}

/// Makes the plan. Equal inputs give equal plans.
#[must_use]
pub fn propose(inputs: &Inputs<'_>) -> Proposal {
    propose_on(inputs, &mut Groundwork::default())
}

/// The same plan, on the groundwork of earlier ones of the same report.
#[must_use]
pub fn propose_on(inputs: &Inputs<'_>, groundwork: &mut Groundwork) -> Proposal {
    let machines = inputs
        .nodes
        .map(|nodes| fleet(nodes, inputs.node_claims.unwrap_or_default()));
    let inputs = &Inputs {
        nodes: machines.as_deref(),
        ..*inputs
    };
    let types = InstanceTypes::bundled().with_nodes(inputs.nodes.unwrap_or_default());
    let (ground, newest) = groundwork.of(inputs, &types);
    let stated = inputs.utilization;
    let inputs = &Inputs {
        utilization: ground.possibly.utilization(stated),
        ..*inputs
    };
    let scale = ground.valuation(&types);
    let mut warnings = Vec::new();
    let (own, untold) = own_part(inputs, &scale, ground.own.as_ref());
    warnings.extend(untold);
    let live = inputs.nodes.map(|nodes| live_use(&scale, nodes));
    warnings.extend(inputs.peers.warnings.clone());
    let (all, peers, more) = with_peers(inputs, &scale, own.clone());
    warnings.extend(more);
    let estimates = ground.estimates(newest, stated, inputs.now, all.as_ref());
    let nowcasts = &estimates.nowcasts;
    let facts = groups::Facts {
        now: inputs.now,
        config: inputs.config,
        ledger: inputs.ledger,
        utilization: inputs.utilization,
        nowcasts,
        to_fill: estimates.to_fill.as_ref().unwrap_or(nowcasts),
        active: &ground.active,
        identity: &ground.identity,
        peers: &peers,
        by_cluster: &ground.by_cluster,
        ratio: ground.ratio,
    };
    let (mut groups, more) = groups_now(&facts);
    warnings.extend(more);
    if let Some(live) = &live {
        let asked = Asked {
            live,
            at_compute: live_at_compute(&scale, inputs.nodes.unwrap_or_default()),
            reserved: &ground.reserved,
        };
        for groups in [&mut groups.keeping, &mut groups.giving_back] {
            if all.is_none() {
                raise_to_live(live, &asked.at_compute, groups);
            }
            asked.note(groups);
        }
    }
    let workings = workings(&facts, &groups.keeping, own.as_ref(), &scale, inputs.nodes);
    let pools = Pools::new(inputs.node_pools, &types);
    let planner = Planner::new(inputs, &scale, &groups, live.as_ref(), &pools);
    let launches = planner.launches();
    let (pools, mut state, more) = planner.run();
    warnings.extend(idle(&groups.keeping, &pools, ground.identity.region.as_deref()));
    state.burn = inputs.state.burn.clone();
    if let Some(nodes) = inputs.nodes {
        record(&mut state.burn, &scale, nodes, inputs.now);
    }
    warnings.extend(more);
    warnings.extend(no_such_node_pools(inputs.config, &ground.identity.node_pools));
    warnings.sort();
    warnings.dedup();
    let demand = live.as_ref().and_then(|live| {
        publish(&Publication {
            inputs,
            identity: &ground.identity,
            // Others can take this cluster's part out of the report by its tags only.
            own: own.as_ref().filter(|own| own.known.is_none()),
            live,
            groups: &groups.keeping,
            pools: &pools,
            launches,
        })
    });
    Proposal {
        now: inputs.now,
        demand,
        peers: peers.iter().map(|peer| peer.cluster.clone()).collect(),
        pools,
        workings,
        nowcasts: nowcasts.clone(),
        warnings,
        state,
        doubt: inputs.doubt.map(str::to_owned),
        groups: groups.keeping,
    }
}

/// This cluster's part with those of other clusters that tell theirs, which these are, and warnings.
fn with_peers<'a>(
    inputs: &Inputs<'a>,
    scale: &Valuation<'_>,
    own: Option<OwnUse>,
) -> (Option<OwnUse>, Vec<&'a Demand>, Vec<Warning>) {
    // Without the own part nobody else's can be told from the rest.
    let Some(mut all) = own else {
        return (None, Vec::new(), Vec::new());
    };
    let (peers, warnings) = inputs.peers.usable(scale.groups);
    add_peers(&mut all, scale, inputs.ledger, &peers);
    (Some(all), peers, warnings)
}

/// Raises each group's demand to what live Nodes alone cost it: what its EC2 Instance plans cannot pay goes to the Compute
/// plans.
fn raise_to_live(
    live: &BTreeMap<GroupId, Money>,
    at_compute: &BTreeMap<GroupId, Money>,
    groups: &mut [GroupNow],
) {
    let mut least = live.clone();
    for group in groups.iter().filter(|group| group.id != GroupId::Compute) {
        let own = live.get(&group.id).copied().unwrap_or_default();
        let beyond = (own - group.in_force).or_zero();
        let whole = at_compute.get(&group.id).copied().unwrap_or_default();
        *least.entry(GroupId::Compute).or_default() += whole.share(beyond, own);
    }
    for group in groups {
        if let Some(least) = least.get(&group.id) {
            group.uses_at_least(*least);
        }
    }
}

/// What this cluster's Nodes ask of the plans, $/h: by the scope of each group, at its rates and at Compute rates, and what
/// of it Reserved Instances pay for.
struct Asked<'a> {
    live: &'a BTreeMap<GroupId, Money>,
    at_compute: BTreeMap<GroupId, Money>,
    reserved: &'a BTreeMap<GroupId, Money>,
}

impl Asked<'_> {
    /// Notes it in the groups. Compute plans are asked for what EC2 Instance plans cannot hold of their scopes, too.
    fn note(&self, groups: &mut [GroupNow]) {
        let of =
            |amounts: &BTreeMap<GroupId, Money>, id: &GroupId| amounts.get(id).copied().unwrap_or_default();
        let beyond = |group: &GroupNow| {
            let overflow = group.nowcast.as_ref().map(|nowcast| nowcast.overflow);
            overflow.unwrap_or_default().min(of(&self.at_compute, &group.id))
        };
        let instance = groups.iter().filter(|group| group.id != GroupId::Compute);
        let beyond: Money = instance.map(beyond).sum();
        for group in groups {
            let proper = (of(self.live, &group.id) - of(self.reserved, &group.id)).or_zero();
            group.own = Some(match group.id {
                GroupId::Compute => proper + beyond,
                GroupId::Ec2Instance { .. } => proper,
            });
        }
    }
}

/// Idle commitment of less than ten cents a day is not worth a word.
const WORTH_A_DAY: Money = Money::from_picos(100_000_000_000);

/// Plans with room that no on-demand pool can use: no weight helps there. Those of another region are other clusters', and
/// where no pool was read, nothing is known of any.
fn idle(groups: &[GroupNow], pools: &[PoolPlan], here: Option<&str>) -> Vec<Warning> {
    let unused = |group: &&GroupNow| {
        let worth = group
            .headroom()
            .is_some_and(|headroom| headroom * 24 >= WORTH_A_DAY);
        let elsewhere = match &group.id {
            GroupId::Compute => false,
            GroupId::Ec2Instance { region, .. } => here.is_none_or(|here| here != region),
        };
        !pools.is_empty()
            && worth
            && !elsewhere
            && group.doubt.is_none()
            && !pools.iter().any(|pool| pool.groups.contains(&group.id))
    };
    let told = groups.iter().filter(unused).map(|group| {
        let headroom = group.headroom().unwrap_or_default().per_hour();
        let cure = match &group.id {
            GroupId::Compute => "make an on-demand NodePool for them".to_owned(),
            GroupId::Ec2Instance { family, region } => format!(
                "give {family} in {region} an on-demand NodePool of its own, with the requirement\n{}",
                family_requirement(family)
            ),
        };
        let message = format!(
            "{headroom} of group {} is unused, and no on-demand NodePool launches what it alone pays for: {cure}",
            group.id
        );
        Warning::new(WarningCode::PlanWithoutPool, message)
    });
    told.collect()
}

fn set_name(unknown: &str) -> String {
    format!("{unknown}: set cluster.name to this cluster's name there")
}

/// This cluster's part of the use, then and now: by the report's tags, else by its own record. Where the tags do not
/// tell, a warning says so.
fn own_part(
    inputs: &Inputs<'_>,
    scale: &Valuation<'_>,
    then: Option<&Arc<ByScope>>,
) -> (Option<OwnUse>, Option<Warning>) {
    let unknown_name = || no_such_cluster(scale.identity, inputs.ledger).map(|unknown| set_name(&unknown));
    let Some((nodes, then)) = inputs.nodes.zip(then) else {
        let told = unknown_name().filter(|_| !scale.groups.is_empty());
        return (
            None,
            told.map(|message| Warning::new(WarningCode::Untagged, message)),
        );
    };
    let why = match own_use(scale, inputs.ledger, inputs.utilization, then, nodes) {
        Ok(own) => return (Some(own), None),
        Err(why) => unknown_name().unwrap_or(why),
    };
    if scale.groups.is_empty() {
        return (None, None);
    }
    let burn = &inputs.state.burn;
    let (own, message) = match recorded_use(scale, inputs.ledger, inputs.utilization, nodes, burn) {
        Ok(own) => {
            let hours = own.known.as_ref().map_or(0, BTreeSet::len);
            let message = format!(
                "the report's tags do not tell this cluster's part ({why}): what `apply` has recorded of its nodes in {hours} complete hours \
                 is used instead, and older hours count for nothing"
            );
            (Some(own), message)
        }
        Err(lack) => (
            None,
            format!("live Nodes cannot correct the report's figures: {why}; {lack}"),
        ),
    };
    (own, Some(Warning::new(WarningCode::Untagged, message)))
}

#[cfg(test)]
mod tests;
