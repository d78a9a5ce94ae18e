//! The plan: every `NodePool` with its decision, its weight now and proposed, and the changes that follow.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use super::Decision;
use super::decision::{self, Facts, Outcome, decide, frozen, none};
use super::eligibility::{Eligible, competitors};
use super::groups::{self, GroupNow, active_groups, groups_now};
use super::identity::Identity;
use super::own_use::{is_billed_on_demand, own_use};
use super::prices::Prices;
use super::records::{Baseline, DecisionRecord, FIELD_MANAGER, MANAGED_LABEL, is_paused};
use super::state::State;
use super::weights::{Stand, Want, Weights, show, weights};
use crate::commitment::ledger::Ledger;
use crate::commitment::nowcast::{Nowcast, OwnUse, nowcast};
use crate::commitment::savings_plan::GroupId;
use crate::commitment::utilization::Utilization;
use crate::config::{Config, OnMaxHold};
use crate::hour::human_duration;
use crate::karpenter::{InstanceTypes, Node, NodeClaim, NodePool, Role};
use crate::money::Money;
use crate::warning::Warning;

/// Launches are counted per interval of this length, which is how often the job runs.
const INTERVAL: i64 = 600;
/// Nodes that roll within this time keep a full pool's weight high.
const ROLL_OUT_WITHIN: i64 = 6;
/// A pool whose last plan has ended drains this long before it gets its baseline back.
const LAST_DRAIN: i64 = 48;

/// Everything that a plan rests on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The clock.
    pub now: DateTime<Utc>,
    /// Configuration.
    pub config: &'a Config,
    /// The report.
    pub ledger: &'a Ledger,
    /// Its use, hour by hour.
    pub utilization: &'a Utilization,
    /// All `NodePools` of the cluster.
    pub node_pools: &'a [NodePool],
    /// Its Nodes, where at hand.
    pub nodes: Option<&'a [Node]>,
    /// Its `NodeClaims`, where at hand.
    pub node_claims: Option<&'a [NodeClaim]>,
    /// What earlier runs left.
    pub state: &'a State,
    /// Why nothing at all may be decided, if so.
    pub doubt: Option<&'a str>,
}

/// One `NodePool` in the plan.
#[derive(Debug, Clone, PartialEq)]
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
    /// True when the pool gets its baseline back and loses Brimful's annotations.
    pub restore: bool,
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
    /// True when the plan changes the pool's weight.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.managed_or_restored() && self.proposed != self.pool.weight
    }

    fn managed_or_restored(&self) -> bool {
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
    /// Pools by name.
    pub pools: Vec<PoolPlan>,
    /// What should be known.
    pub warnings: Vec<Warning>,
    /// What the next run should know.
    pub state: State,
    /// Why nothing at all was decided, if so.
    pub doubt: Option<String>,
}

impl Proposal {
    /// True when no managed pool could be decided: of the pools that plans could pay for, all are frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let managed = self.pools.iter().any(|pool| pool.managed);
        let mut decided = self
            .pools
            .iter()
            .filter(|pool| pool.managed == managed && pool.outcome.decision != Decision::None)
            .peekable();
        match decided.peek() {
            None => self.doubt.is_some(),
            Some(_) => decided.all(|pool| pool.outcome.decision == Decision::Freeze),
        }
    }
}

/// Makes the plan. Equal inputs give equal plans.
#[must_use]
pub fn propose(inputs: &Inputs<'_>) -> Proposal {
    let identity = Identity::detect(
        &inputs.config.cluster,
        inputs.node_pools,
        inputs.nodes,
        inputs.ledger,
    );
    let types = InstanceTypes::bundled().with_nodes(inputs.nodes.unwrap_or_default());
    let active = active_groups(inputs.ledger, inputs.now, inputs.config);
    let prices = Prices::new(inputs.ledger, active.iter().chain([&GroupId::Compute]));
    let own = inputs
        .nodes
        .and_then(|nodes| own_use(inputs.ledger, &active, &identity, nodes, &types, &prices));
    let nowcasts = nowcast(inputs.utilization, inputs.now, own.as_ref());
    let facts = groups::Facts {
        now: inputs.now,
        config: inputs.config,
        ledger: inputs.ledger,
        utilization: inputs.utilization,
        nowcasts: &nowcasts,
        identity: &identity,
    };
    let (groups, mut warnings) = groups_now(&facts);
    if inputs.nodes.is_some() && own.is_none() && !groups.is_empty() {
        warnings.push(untagged());
    }
    if inputs.config.limits.manage {
        let message =
            "limits.manage is set, but this version changes weights only: spec.limits stay as they are";
        warnings.push(Warning::new("limits-not-managed", message));
    }
    let mut work = Work {
        inputs,
        active: &active,
        groups: &groups,
        types: &types,
        prices: &prices,
        own: own.as_ref(),
        identity: &identity,
        launches: Money::ZERO,
        pools: inputs
            .node_pools
            .iter()
            .map(|pool| (pool.name.clone(), pool.clone()))
            .collect(),
        warnings,
    };
    work.launches = work.joint_launches();
    let (pools, state) = work.pools_planned();
    let mut warnings = work.warnings;
    warnings.sort();
    warnings.dedup();
    Proposal {
        now: inputs.now,
        pools,
        nowcasts,
        warnings,
        state,
        doubt: inputs.doubt.map(str::to_owned),
        groups,
    }
}

struct Work<'a> {
    inputs: &'a Inputs<'a>,
    active: &'a BTreeSet<GroupId>,
    groups: &'a [GroupNow],
    types: &'a InstanceTypes,
    prices: &'a Prices,
    own: Option<&'a OwnUse>,
    identity: &'a Identity,
    launches: Money,
    pools: BTreeMap<String, NodePool>,
    warnings: Vec<Warning>,
}

impl Work<'_> {
    fn pools_planned(&mut self) -> (Vec<PoolPlan>, State) {
        let mut state = State::default();
        let mut plans = BTreeMap::new();
        let mut stands = BTreeMap::new();
        for pool in self.pools.clone().into_values() {
            let (plan, stand) = self.pool(&pool);
            if plan.managed && plan.outcome.decision != Decision::None {
                let previous = self.inputs.state.node_pools.get(&pool.name);
                if let Some(previous) = previous {
                    state.node_pools.insert(pool.name.clone(), previous.clone());
                }
                state.note(
                    &pool.name,
                    plan.outcome.decision,
                    plan.outcome.over_since,
                    self.inputs.now,
                );
            }
            stands.insert(pool.name.clone(), stand);
            plans.insert(pool.name, plan);
        }
        let real: BTreeMap<String, Stand> = stands
            .iter()
            .map(|(name, stand)| (name.clone(), only_managed(stand, &plans[name])))
            .collect();
        let moved = weights(&self.pools, &real, self.inputs.config.weights);
        // What would become of pools that are not opted in, for the reason only.
        let wished = weights(&self.pools, &stands, self.inputs.config.weights);
        self.warnings.extend(moved.warnings.clone());
        for (name, plan) in &mut plans {
            self.settle(name, plan, &moved, &wished);
        }
        (plans.into_values().collect(), state)
    }

    /// Decides one pool, and says what should become of its weight.
    fn pool(&mut self, pool: &NodePool) -> (PoolPlan, Stand) {
        let managed = self.is_managed(pool);
        let eligible = Eligible::of(pool, self.active, self.identity, self.types);
        let groups: Vec<&GroupNow> = eligible
            .groups
            .iter()
            .filter_map(|id| self.groups.iter().find(|g| g.id == *id))
            .collect();
        let baseline = Baseline::recorded(pool).ok().flatten();
        let mut restore = false;
        let (outcome, want) = match self.refusal(pool, managed, &groups, baseline.as_ref()) {
            Some(Refusal::Restore(reason)) => {
                restore = true;
                (
                    none(reason),
                    Want::Restore(baseline.as_ref().and_then(|b| b.weight)),
                )
            }
            Some(Refusal::Outcome(outcome)) => {
                let want = self.want_when_frozen(pool, &outcome, baseline.as_ref());
                (outcome, want)
            }
            Some(Refusal::Ended(reason)) => (
                decision::outcome(Decision::Drain, reason),
                self.want(pool, Decision::Drain),
            ),
            None => self.decided(pool, managed, &eligible, &groups),
        };
        if managed && outcome.decision != Decision::None {
            self.warnings.extend(eligible.warnings.clone());
        }
        if managed && outcome.decision == Decision::Freeze {
            self.warnings
                .push(Warning::of_pool("frozen", &pool.name, outcome.reason.clone()));
        }
        let stand = Stand {
            want,
            movable: managed && outcome.decision != Decision::Freeze && !is_paused(pool),
            committed: outcome.decision == Decision::Fill
                || (outcome.decision == Decision::Freeze && pool.role() == Role::Committed),
            baseline: baseline.and_then(|baseline| baseline.weight),
        };
        let plan = PoolPlan {
            managed,
            fits: self.fits(&eligible, &groups),
            groups: eligible.groups,
            outcome,
            proposed: pool.weight,
            restore,
            pool: pool.clone(),
        };
        (plan, stand)
    }

    fn decided(
        &mut self,
        pool: &NodePool,
        managed: bool,
        eligible: &Eligible<'_>,
        groups: &[&GroupNow],
    ) -> (Outcome, Want) {
        let record = DecisionRecord::recorded(pool).ok().flatten();
        let previous = self.inputs.state.node_pools.get(&pool.name);
        let own = self.own.map(|own| {
            groups
                .iter()
                .filter_map(|group| own.now.get(&group.id).copied())
                .sum()
        });
        let mut outcome = decide(&Facts {
            now: self.inputs.now,
            policy: &self.inputs.config.policy,
            groups,
            eligible,
            prices: self.prices,
            last: previous
                .map(|p| p.decision)
                .or(record.as_ref().map(|r| r.decision)),
            over_since: previous.and_then(|p| p.over_since),
            launches: self.launches,
            live: own,
        });
        let want = if managed || outcome.decision == Decision::Fill {
            self.want(pool, outcome.decision)
        } else {
            quiet_want(pool, outcome.decision)
        };
        let dwell = self.inputs.config.policy.dwell.0;
        let waits = record.filter(|r| self.inputs.now - r.time < dwell && r.decision != outcome.decision);
        let stops_overshoot = outcome.overshoots && outcome.decision != Decision::Fill;
        match waits {
            Some(record) if want != Want::Keep && !stops_overshoot => {
                let left = human_duration(record.time + dwell - self.inputs.now);
                outcome.reason = format!(
                    "{}; waits {left} more, since the weight was changed lately (dwell)",
                    outcome.reason
                );
                (outcome, Want::Keep)
            }
            _ => (outcome, want),
        }
    }

    /// Why a pool is not decided by its plans' headroom, if so.
    fn refusal(
        &self,
        pool: &NodePool,
        managed: bool,
        groups: &[&GroupNow],
        baseline: Option<&Baseline>,
    ) -> Option<Refusal> {
        if !managed && baseline.is_some() {
            return Some(Refusal::Restore(
                "it is no longer managed: the weight from before Brimful comes back".to_owned(),
            ));
        }
        if let Some(reason) = not_committed(pool) {
            return Some(Refusal::Outcome(none(reason)));
        }
        let frozen_by = |reason: String| Some(Refusal::Outcome(frozen(reason)));
        if managed && let Some(reason) = self.hands_off(pool) {
            return frozen_by(reason);
        }
        if let Some(doubt) = self.inputs.doubt {
            return frozen_by(doubt.to_owned());
        }
        if groups.is_empty() {
            let reason = "no Savings Plan in force pays for what it launches".to_owned();
            let (true, true) = (managed, baseline.is_some()) else {
                return Some(Refusal::Outcome(none(reason)));
            };
            let previous = self.inputs.state.node_pools.get(&pool.name);
            let draining = previous
                .filter(|p| p.decision == Decision::Drain)
                .map(|p| p.since);
            if draining.is_some_and(|since| self.inputs.now - since >= Duration::hours(LAST_DRAIN)) {
                return Some(Refusal::Restore(format!(
                    "{reason} any more: the weight from before Brimful comes back"
                )));
            }
            return Some(Refusal::Ended(format!(
                "{reason} any more: new nodes should go to Spot"
            )));
        }
        let doubted = groups
            .iter()
            .find_map(|group| Some((group, group.doubt.as_ref()?)));
        doubted.and_then(|(group, doubt)| frozen_by(format!("{}: {doubt}", decision::names(&[group]))))
    }

    /// Why Brimful keeps its hands off a managed pool, if so.
    fn hands_off(&self, pool: &NodePool) -> Option<String> {
        let (config, now) = (self.inputs.config, self.inputs.now);
        if config.paused {
            return Some("paused by the configuration".to_owned());
        }
        if is_paused(pool) {
            return Some("paused by its annotation brimful.dev/paused".to_owned());
        }
        if config
            .policy
            .blackouts
            .iter()
            .any(|blackout| blackout.covers(now))
        {
            return Some("a blackout of the configuration is on".to_owned());
        }
        if let Err(damage) = Baseline::recorded(pool) {
            return Some(format!(
                "{damage}: restore it, or remove Brimful's annotations to start afresh"
            ));
        }
        match DecisionRecord::recorded(pool) {
            Err(damage) => Some(format!("{damage}: remove it to let Brimful go on")),
            Ok(Some(record)) if record.values.weight != pool.weight => Some(contest(pool, &record)),
            Ok(_) => None,
        }
    }

    /// A data freeze keeps everything as it is; if it lasts, the configuration may ask for the baseline.
    fn want_when_frozen(&self, pool: &NodePool, outcome: &Outcome, baseline: Option<&Baseline>) -> Want {
        let policy = &self.inputs.config.policy;
        let by_data = outcome.decision == Decision::Freeze && self.hands_off(pool).is_none();
        let since = self
            .inputs
            .state
            .node_pools
            .get(&pool.name)
            .filter(|p| p.decision == Decision::Freeze)
            .map(|p| p.since);
        let too_long = since.is_some_and(|since| self.inputs.now - since > policy.max_hold.0);
        match baseline {
            Some(baseline) if by_data && too_long && policy.on_max_hold == OnMaxHold::Baseline => {
                Want::Restore(baseline.weight)
            }
            _ => Want::Keep,
        }
    }

    /// What a decision asks of the weight. A full pool yields only where that drives out nothing the plan pays for.
    fn want(&mut self, pool: &NodePool, decision: Decision) -> Want {
        let want = quiet_want(pool, decision);
        if decision == Decision::Fill || want == Want::Keep {
            if matches!(decision, Decision::Hold | Decision::Drain) && self.outranks_spot(pool) {
                self.warnings.push(unprotected(pool));
            }
            return want;
        }
        match self.roll_out(pool) {
            Some(what) => {
                let message = format!(
                    "{what}: the weight stays as it is, since lowered it would send them all to Spot"
                );
                self.warnings
                    .push(Warning::of_pool("roll-out", &pool.name, message));
                Want::Keep
            }
            None => want,
        }
    }

    fn outranks_spot(&self, pool: &NodePool) -> bool {
        competitors(pool, &self.pools).into_iter().any(|other| {
            matches!(other.role(), Role::Spot | Role::Mixed)
                && other.effective_weight() < pool.effective_weight()
        })
    }

    /// What of the pool is about to be replaced, if enough to matter: anything drifted, or more than a tenth expiring.
    fn roll_out(&self, pool: &NodePool) -> Option<String> {
        let claims = || {
            self.inputs
                .node_claims
                .into_iter()
                .flatten()
                .filter(|claim| claim.node_pool.as_ref() == Some(&pool.name) && !claim.deleting)
        };
        let drifted = claims().filter(|claim| claim.drifted).count();
        let soon = self.inputs.now + Duration::hours(ROLL_OUT_WITHIN);
        let expiring = claims()
            .filter(|claim| claim.expires_at().is_some_and(|at| at <= soon))
            .count();
        match (drifted, expiring) {
            (0, expiring) if expiring * 10 <= claims().count() => None,
            (0, expiring) => Some(format!(
                "{expiring} of its nodes expire within {ROLL_OUT_WITHIN} h"
            )),
            (drifted, _) => Some(format!(
                "{drifted} of its nodes have drifted and will be replaced"
            )),
        }
    }

    /// Sets the proposed weight, and says so in the reason.
    fn settle(&self, name: &str, plan: &mut PoolPlan, moved: &Weights, wished: &Weights) {
        let now = plan.pool.weight;
        if let Some(for_pool) = moved.made_room.get(name) {
            plan.outcome.reason = format!("makes room for {for_pool}");
        }
        if let Some(weight) = moved.proposed.get(name).filter(|_| plan.managed_or_restored()) {
            plan.proposed = *weight;
            plan.outcome.reason = format!(
                "{}; weight {} → {}{}",
                plan.outcome.reason,
                show(now),
                show(*weight),
                self.neighbour(plan)
            );
        } else if let Some(weight) = wished.proposed.get(name).filter(|_| !plan.managed) {
            plan.outcome.reason = format!(
                "{}; labelled {MANAGED_LABEL}=true, its weight would go {} → {}",
                plan.outcome.reason,
                show(now),
                show(*weight)
            );
        }
    }

    /// Which pool the new weight is above or below.
    fn neighbour(&self, plan: &PoolPlan) -> String {
        let own = plan.proposed.unwrap_or(0);
        let rivals = competitors(&plan.pool, &self.pools);
        let rivals = || {
            rivals
                .iter()
                .filter(|other| matches!(other.role(), Role::Spot | Role::Mixed))
        };
        let found = match plan.outcome.decision {
            Decision::Fill => rivals()
                .filter(|r| r.effective_weight() < own)
                .max_by_key(|r| r.effective_weight())
                .map(|r| ("above", r)),
            Decision::Hold | Decision::Drain => rivals()
                .filter(|r| r.effective_weight() > own)
                .min_by_key(|r| r.effective_weight())
                .map(|r| ("below", r)),
            _ => None,
        };
        found.map_or(String::new(), |(side, rival)| {
            format!(", {side} {} ({})", rival.name, show(rival.weight))
        })
    }

    fn is_managed(&self, pool: &NodePool) -> bool {
        let chosen = &self.inputs.config.node_pools;
        let labelled = pool
            .labels
            .get(MANAGED_LABEL)
            .is_some_and(|value| value == "true");
        let selected = !chosen.selector.is_empty()
            && chosen
                .selector
                .iter()
                .all(|(key, value)| pool.labels.get(key) == Some(value));
        labelled || selected || chosen.names.contains(&pool.name)
    }

    fn fits(&self, eligible: &Eligible<'_>, groups: &[&GroupNow]) -> Vec<Fit> {
        let Some(first) = groups.first() else {
            return Vec::new();
        };
        let priced = eligible.priced(&first.id, self.prices).into_iter();
        let count = |name: &str| -> u64 {
            let of_group = |group: &&GroupNow| {
                let headroom = group.shared(group.headroom()?).or_zero();
                Some(headroom.fits(self.prices.seen(&group.id, name, eligible.placement())?.rate))
            };
            groups.iter().filter_map(of_group).sum()
        };
        priced
            .map(|(instance_type, price)| Fit {
                count: count(&instance_type),
                rate: price.rate,
                instance_type,
            })
            .collect()
    }

    /// What the managed committed pools together launch in one interval, $/h: the 95th percentile of the last day's
    /// intervals, as far as living Nodes tell.
    fn joint_launches(&self) -> Money {
        let (now, intervals) = (self.inputs.now, 86_400 / INTERVAL);
        let mut launched = vec![Money::ZERO; usize::try_from(intervals).unwrap_or(0)];
        for node in self
            .inputs
            .nodes
            .into_iter()
            .flatten()
            .filter(|node| is_billed_on_demand(node))
        {
            let pool = node.node_pool.as_ref().and_then(|name| self.pools.get(name));
            let is_steered = pool.is_some_and(|pool| pool.role() == Role::Committed && self.is_managed(pool));
            let slot = usize::try_from((now - node.created).num_seconds().div_euclid(INTERVAL))
                .unwrap_or(usize::MAX);
            let (true, Some(slot), Some(name)) =
                (is_steered, launched.get_mut(slot), node.instance_type.as_deref())
            else {
                continue;
            };
            let place = super::prices::Placement {
                region: node.region.as_deref().or(self.identity.region.as_deref()),
                os: node.os.as_deref().unwrap_or("linux"),
            };
            *slot += self
                .prices
                .of(&GroupId::Compute, name, place, node.vcpu)
                .map_or(Money::ZERO, |price| price.rate);
        }
        launched.sort_unstable();
        let rank = (launched.len() * 95).div_ceil(100).saturating_sub(1);
        launched.get(rank).copied().unwrap_or_default()
    }
}

enum Refusal {
    /// The baseline comes back, and Brimful's annotations go.
    Restore(String),
    /// The last plan that paid for the pool has ended.
    Ended(String),
    /// Frozen, or no decision.
    Outcome(Outcome),
}

/// Pools that are not opted in are not moved, and nothing is restored on them that Brimful has not changed.
fn only_managed(stand: &Stand, plan: &PoolPlan) -> Stand {
    if plan.managed_or_restored() {
        return *stand;
    }
    Stand {
        want: Want::Keep,
        movable: false,
        ..*stand
    }
}

/// What a decision asks of the weight, without a word about it.
fn quiet_want(pool: &NodePool, decision: Decision) -> Want {
    match decision {
        Decision::Fill => Want::Fill,
        Decision::Hold | Decision::Drain if pool.protected_from_consolidation() => Want::Yield,
        _ => Want::Keep,
    }
}

/// Why plans cannot be steered to a pool, if so.
fn not_committed(pool: &NodePool) -> Option<String> {
    match pool.role() {
        Role::Committed => None,
        Role::Spot => Some("launches Spot, which no Savings Plan covers".to_owned()),
        Role::Mixed => Some(
            "launches on-demand and Spot, and Karpenter takes Spot first: no weight steers inside a pool. Split it into one pool with \
             karpenter.sh/capacity-type In [on-demand] and one with In [spot]"
                .to_owned(),
        ),
        Role::None if !pool.is_v1() => Some(format!("is of {}: Brimful steers karpenter.sh/v1 (Karpenter 1.0 or newer)", pool.api_version)),
        Role::None if pool.is_static() => Some("is static (spec.replicas): Karpenter allows no weight on it".to_owned()),
        Role::None => Some("its requirements allow no capacity type".to_owned()),
    }
}

/// Somebody else set the weight since Brimful did: a person, or a GitOps tool that will do so again.
fn contest(pool: &NodePool, record: &DecisionRecord) -> String {
    let other = pool
        .weight_managers
        .iter()
        .rev()
        .find(|manager| manager.manager != FIELD_MANAGER);
    let who = other.map_or_else(|| "somebody".to_owned(), |manager| manager.manager.clone());
    let what = format!(
        "{who} set the weight to {} after Brimful had set {}",
        show(pool.weight),
        show(record.values.weight)
    );
    let by_hand = other
        .is_some_and(|manager| manager.manager.starts_with("kubectl") || manager.manager == "node-fetch");
    if by_hand || other.is_none() {
        return format!(
            "{what}: it is left so; to hand the pool back, run `brimful reset --nodepool {}`",
            pool.name
        );
    }
    format!(
        "{what}: contested. Leave spec.weight out of Git, or have the tool ignore it (Argo CD: ignoreDifferences with jsonPointers \
         [/spec/weight] for karpenter.sh NodePool {}), then run `brimful reset --nodepool {}`",
        pool.name, pool.name
    )
}

fn unprotected(pool: &NodePool) -> Warning {
    let message = "its plans are full, but its weight stays above Spot: consolidation would replace the nodes that the plans pay for by Spot. \
                   Protect the pool, and Brimful can let new nodes go to Spot:\n  \
                   spec:\n    disruption:\n      budgets:\n      - nodes: \"0\"\n        reasons: [Underutilized]\n      - nodes: \"10%\""
        .to_owned();
    Warning::of_pool("unprotected", &pool.name, message)
}

fn untagged() -> Warning {
    let message = "the report does not tell which use is this cluster's, so live Nodes cannot correct it: activate the cost allocation tags \
                   aws:eks:cluster-name and karpenter.sh/nodepool in the payer account, and include resource IDs";
    Warning::new("untagged", message)
}
