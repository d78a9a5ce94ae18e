//! The planner's work: one pool after the other, then all weights together.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Decision;
use super::annotations::{Baseline, DecisionRecord, has_set_limits, is_marked};
use super::arithmetic::Arithmetic;
use super::attribution::{Valuation, is_billed_on_demand};
use super::decision::{self, Facts, Outcome, decide, none};
use super::eligibility::Eligible;
use super::groups::{GroupNow, Groups};
use super::guards::{
    going_until, hands_off, is_contested, is_held_on_purpose, is_managed, roll_out, switches_protection,
    unprotected,
};
use super::launches::Launches;
use super::limits::{Limits, Member, wanted};
use super::patch::{own_limits, reset};
use super::plan::{Inputs, PoolPlan};
use super::pools::Pools;
use super::state::State;
use super::weights::{PoolPosition, WeightGoal, weights};
use crate::settings::OnMaxHold;
use brimful_karpenter::{Node, NodePool, Role};
use brimful_savings_plans::ledger::Ledger;
use brimful_savings_plans::nowcast::Method;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::usage::instance_type;
use brimful_types::hour::human_duration;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;
use brimful_types::warning::{Warning, WarningCode};

mod finalize;
mod limits;
mod protection;
mod refusal;
mod top_up;

pub use limits::show_limits;
use limits::{ByLimits, by_vcpu, last_decision};
use protection::unswitched;
use refusal::Refusal;

/// Decides every pool, then computes all weights together.
pub(super) struct Planner<'a> {
    inputs: &'a Inputs<'a>,
    scale: &'a Valuation<'a>,
    groups: &'a Groups,
    live: Option<&'a BTreeMap<GroupId, Money>>,
    launches: Money,
    pools: &'a Pools<'a>,
    /// The nodes of each pool that are not going away.
    nodes: BTreeMap<&'a str, Vec<&'a Node>>,
    launched: Launches<'a>,
    /// The types of all nodes, those with most vCPU first.
    common: Vec<&'a str>,
    /// Pools and types that this cluster ran by the report, likewise; none where there are nodes.
    reported: Vec<(&'a str, &'a str)>,
    /// The types of the nodes of a class's rivals, likewise.
    of_rivals: BTreeMap<usize, Vec<&'a str>>,
    /// Pools that are steered by their limits, with an overflow pool that comes before Spot.
    below_overflow: BTreeSet<String>,
    warnings: Vec<Warning>,
}

/// How a pool is steered.
#[derive(Debug, Clone, Copy)]
struct Steered {
    managed: bool,
    by_limits: bool,
    /// Whether it gives back within the hour what turns out to be too much.
    gives_back: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        inputs: &'a Inputs<'a>,
        scale: &'a Valuation<'a>,
        groups: &'a Groups,
        live: Option<&'a BTreeMap<GroupId, Money>>,
        pools: &'a Pools<'a>,
    ) -> Self {
        let all = inputs.nodes.unwrap_or_default();
        let mut nodes: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
        for node in all.iter().filter(|node| !node.deleting) {
            if let Some(pool) = node.node_pool.as_deref() {
                nodes.entry(pool).or_default().push(node);
            }
        }
        let common = by_vcpu(all.iter().filter(|node| !node.deleting));
        let mut planner = Self {
            inputs,
            scale,
            groups,
            live,
            launches: Money::ZERO,
            pools,
            nodes,
            launched: Launches::of(all, scale.prices, scale.identity.region.as_deref(), inputs.now),
            reported: match common.as_slice() {
                [] => reported(inputs.ledger, scale),
                _ => Vec::new(),
            },
            common,
            of_rivals: BTreeMap::new(),
            below_overflow: BTreeSet::new(),
            warnings: Vec::new(),
        };
        let steered = pools
            .iter()
            .filter(|pool| pool.role == Role::Committed && planner.is_managed(pool));
        planner.launches = planner.launched.joint(steered.map(|pool| pool.name.as_str()));
        planner
    }

    /// What all managed pools together launch in one interval.
    pub(super) fn launches(&self) -> Money {
        self.launches
    }

    /// The pools' plans, what the next run should know, and warnings.
    pub(super) fn run(mut self) -> (Vec<PoolPlan>, State, Vec<Warning>) {
        let (pools, state) = self.pools_planned();
        (pools, state, self.warnings)
    }

    /// The least room at which the pool is better above the Spot pools beside it: it then launches what they do.
    fn worth_filling_from(&self, pool: &NodePool, groups: &[&GroupNow]) -> Money {
        let rivals = self.pools.rivals(pool).map(|rival| rival.name.as_str());
        let ratios = groups.iter().map(|group| group.ratio.spot_ratio);
        let launching = rivals.chain([pool.name.as_str()]);
        self.launched
            .worth_filling_from(launching, ratios.fold(1.0, f64::min))
    }

    /// How a pool is steered. It gives back what turns out to be too much if it is open to consolidation beyond its limits,
    /// or whenever live Nodes show that it has more than it should.
    fn steered(&self, pool: &NodePool, managed: bool, by_limits: bool) -> Steered {
        let limited = by_limits && !pool.protected_from_consolidation();
        let is_live = |group: &GroupNow| {
            let estimate = group.nowcast.as_ref();
            estimate.is_none_or(|estimate| estimate.method == Method::Live)
        };
        let opens =
            || switches_protection(pool, self.inputs.config).0 && self.groups.keeping.iter().all(is_live);
        Steered {
            managed,
            by_limits,
            gives_back: managed && (limited || opens()),
        }
    }

    fn pools_planned(&mut self) -> (Vec<PoolPlan>, State) {
        let mut state = State::default();
        let mut plans = BTreeMap::new();
        let mut stands = BTreeMap::new();
        let mut members = Vec::new();
        for pool in self.pools.iter().map(|pool| pool.pool) {
            let (plan, stand, member) = self.pool(pool);
            members.extend(member);
            stands.insert(pool.name.clone(), stand);
            plans.insert(pool.name.clone(), plan);
        }
        let real: BTreeMap<String, PoolPosition> = stands
            .iter()
            .map(|(name, stand)| (name.clone(), only_managed(stand, &plans[name])))
            .collect();
        let moved = weights(self.pools, &real, self.inputs.config.weights);
        // What would become of pools that are not opted in, for the reason only.
        let wished = weights(self.pools, &stands, self.inputs.config.weights);
        // Where limits are managed, what comes before Spot has been shown already.
        let shown = |warning: &&Warning| {
            let pool = warning.node_pool.as_deref().unwrap_or_default();
            warning.code != WarningCode::InBetween || !self.below_overflow.contains(pool)
        };
        self.warnings.extend(moved.warnings.iter().filter(shown).cloned());
        Self::set_limits(&mut plans, &members);
        let wanted = wanted(&members);
        self.set_protection(&mut plans, &members, &wanted);
        for (name, plan) in &mut plans {
            self.finalize(name, plan, &moved, &wished);
            if plan.managed && !plan.restore && plan.outcome.decision != Decision::None {
                if let Some(previous) = self.inputs.state.node_pools.get(name) {
                    state.node_pools.insert(name.clone(), previous.clone());
                }
                state.note(name, plan.outcome.decision, plan.outcome.memory, self.inputs.now);
            }
        }
        self.set_top_up(&mut plans, &members, &wanted, &mut state);
        (plans.into_values().collect(), state)
    }

    /// Decides one pool, and says what should become of its weight and limits.
    fn pool(&mut self, pool: &NodePool) -> (PoolPlan, PoolPosition, Option<Member>) {
        let managed = self.is_managed(pool);
        let launchable = self.pools.launchable(pool).map(Rc::clone).unwrap_or_default();
        let mut eligible = Eligible::of(pool, self.scale.groups, self.scale.identity, launchable);
        eligible.likely = self.likely(pool, &eligible);
        let baseline = Baseline::recorded(pool).ok().flatten();
        let steered_by = if managed {
            self.by_limits(pool)
        } else {
            ByLimits::default()
        };
        let by_limits = steered_by.on;
        let steered = self.steered(pool, managed, by_limits);
        let groups = self.groups_of(&eligible, steered.gives_back);
        let (mut outcome, want, restored) = match self.refusal(pool, managed, &groups, baseline.as_ref()) {
            Some(refusal) => self.refused(pool, refusal, baseline.as_ref(), by_limits),
            None => {
                let (outcome, want) = self.decided(pool, steered, &eligible, &groups);
                (outcome, want, None)
            }
        };
        let restore = restored.is_some();
        let mut limits = restored.unwrap_or_else(|| pool.limits.clone());
        let is_steered = matches!(
            outcome.decision,
            Decision::Fill | Decision::Hold | Decision::Drain
        );
        let waits = outcome.memory.limits_wait;
        let mut member = None;
        if managed && is_steered {
            if steered_by.overflow_above_spot {
                self.below_overflow.insert(pool.name.clone());
            }
            self.warnings.extend(steered_by.warning);
            member = self
                .member(pool, &outcome, &eligible, &groups)
                .map(|member| Member {
                    limited: by_limits && !waits,
                    may_fall: steered_by.lost_overflow.is_none(),
                    ..member
                });
            if let Some(member) = member.as_ref().filter(|_| !by_limits) {
                outcome.reason += &churn(pool, member, &outcome);
            }
        }
        if is_steered && !by_limits || matches!(want, WeightGoal::Restore(_)) && !restore {
            limits = own_limits(pool).unwrap_or_default();
        }
        let shields = managed && is_steered && self.shields(pool);
        let gives_up = is_steered && !shields || matches!(want, WeightGoal::Restore(_));
        outcome.memory.limits_wait = by_limits && waits;
        outcome.memory.lost_overflow = steered_by.lost_overflow;
        outcome.memory.marked = is_marked(pool);
        let restrain = || hands_off(pool, self.inputs.config, self.inputs.now);
        let restrained = managed.then(restrain).flatten();
        if managed {
            self.warnings.extend(eligible.warnings.clone());
            self.warn_of_guards(pool, restrained.as_ref(), &outcome);
        }
        let stand = PoolPosition {
            want,
            managed,
            movable: managed && outcome.decision != Decision::Freeze && restrained.is_none(),
            committed: outcome.decision == Decision::Fill
                // At its limits it takes nothing from a pool below it.
                || (is_steered && by_limits)
                || (outcome.decision == Decision::Freeze && pool.role() == Role::Committed),
            baseline: baseline.and_then(|baseline| baseline.weight),
        };
        let plan = PoolPlan {
            managed,
            fits: self.fits(&eligible, &groups),
            groups: eligible.groups,
            left_out: eligible.left_out,
            limit_sum: None,
            top_up: None,
            outcome,
            proposed: pool.weight,
            by_limits: if is_steered {
                by_limits
            } else {
                want == WeightGoal::Keep && has_set_limits(pool)
            },
            limits,
            shields,
            budgets: unswitched(pool, restore, gives_up),
            protection: None,
            restore,
            paused: managed && is_held_on_purpose(pool, self.inputs.config, self.inputs.now),
            pool: pool.clone(),
        };
        (plan, stand, member)
    }

    /// What becomes of a pool of which nothing is to be decided, and the limits that it gets back, if it does.
    fn refused(
        &mut self,
        pool: &NodePool,
        refusal: Refusal,
        baseline: Option<&Baseline>,
        by_limits: bool,
    ) -> (Outcome, WeightGoal, Option<Limits>) {
        match refusal {
            Refusal::Restore(reason) => {
                // What somebody else has set since stays.
                let back = reset(pool);
                (none(reason), WeightGoal::Restore(back.weight), Some(back.limits))
            }
            Refusal::Outcome(outcome) => {
                let want = self.want_when_frozen(pool, &outcome, baseline);
                (*outcome, want, None)
            }
            Refusal::Ended(decision, reason) => {
                let outcome = decision::outcome(decision, reason);
                let want = self.want(pool, &outcome, by_limits);
                (outcome, want, None)
            }
        }
    }

    /// Warns of what keeps a managed pool as it is.
    fn warn_of_guards(&mut self, pool: &NodePool, restrained: Option<&String>, outcome: &Outcome) {
        let on_purpose = || is_held_on_purpose(pool, self.inputs.config, self.inputs.now);
        let is_contested = restrained.is_some() && is_contested(pool) && !on_purpose();
        let contested =
            restrained.filter(|_| is_contested || is_marked(pool) && outcome.decision == Decision::None);
        let frozen = (outcome.decision == Decision::Freeze && !is_contested).then_some(&outcome.reason);
        for (code, reason) in [(WarningCode::Contested, contested), (WarningCode::Frozen, frozen)] {
            let warning = reason.map(|reason| Warning::of_pool(code, &pool.name, reason.clone()));
            self.warnings.extend(warning);
        }
    }

    /// The groups that pay for a pool. One without a complete hour yet is left out as long as another can tell.
    fn groups_of(&self, eligible: &Eligible<'_>, gives_back: bool) -> Vec<&'a GroupNow> {
        let groups = if gives_back {
            &self.groups.giving_back
        } else {
            &self.groups.keeping
        };
        let find = |id: &GroupId| groups.iter().find(|group| group.id == *id);
        let all = || eligible.groups.iter().filter_map(find);
        let known: Vec<&GroupNow> = all().filter(|group| !group.is_new).collect();
        if known.is_empty() { all().collect() } else { known }
    }

    fn decided(
        &mut self,
        pool: &NodePool,
        steered: Steered,
        eligible: &Eligible<'_>,
        groups: &[&GroupNow],
    ) -> (Outcome, WeightGoal) {
        let Steered {
            managed,
            by_limits,
            gives_back,
        } = steered;
        let record = DecisionRecord::recorded(pool).ok().flatten();
        let previous = self.inputs.state.node_pools.get(&pool.name);
        let live = self.live.map(|live| {
            groups
                .iter()
                .filter_map(|group| live.get(&group.id).copied())
                .sum()
        });
        let mut outcome = decide(&Facts {
            now: self.inputs.now,
            policy: &self.inputs.config.policy,
            groups,
            eligible,
            prices: self.scale.prices,
            last: last_decision(previous, record.as_ref()),
            over_since: previous.and_then(|p| p.memory.over_since),
            // Limits bound what is launched.
            worth_filling_from: if gives_back || by_limits {
                Money::ZERO
            } else {
                self.worth_filling_from(pool, groups)
            },
            live,
            filling: previous.and_then(|p| p.memory.filling),
        });
        let want = if managed || outcome.decision == Decision::Fill {
            self.want(pool, &outcome, by_limits)
        } else {
            quiet_want(outcome.decision, pool.protected_from_consolidation())
        };
        let dwell = self.inputs.config.policy.dwell.0;
        let waits = record.filter(|_| self.is_lately_changed(pool, outcome.decision));
        let stops_overshoot = outcome.overshoots && outcome.decision != Decision::Fill;
        match waits {
            Some(record) if (want != WeightGoal::Keep || by_limits) && !stops_overshoot => {
                let left = human_duration(record.time + dwell - self.inputs.now);
                outcome.reason = format!(
                    "{}; waits {left} more, since it was changed lately (dwell)",
                    outcome.reason
                );
                outcome.memory.limits_wait = true;
                (outcome, WeightGoal::Keep)
            }
            _ => (outcome, want),
        }
    }

    /// A data freeze keeps everything as it is; if it lasts, the configuration may ask for the baseline.
    fn want_when_frozen(
        &self,
        pool: &NodePool,
        outcome: &Outcome,
        baseline: Option<&Baseline>,
    ) -> WeightGoal {
        let policy = &self.inputs.config.policy;
        let by_data = outcome.decision == Decision::Freeze
            && hands_off(pool, self.inputs.config, self.inputs.now).is_none();
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
                WeightGoal::Restore(baseline.weight)
            }
            _ => WeightGoal::Keep,
        }
    }

    /// What a decision asks of the weight. A full pool yields only where that drives out nothing the plan pays for.
    /// With limits it stays above them.
    fn want(&mut self, pool: &NodePool, outcome: &Outcome, by_limits: bool) -> WeightGoal {
        let decision = outcome.decision;
        if by_limits && matches!(decision, Decision::Hold | Decision::Drain) {
            // One that has too much, and may not be drained yet, is not raised either: what goes would come back.
            let spill = outcome.headroom.map(|headroom| (-headroom).or_zero());
            let has_too_much = spill.is_some_and(|spill| spill > outcome.room.band);
            return if decision == Decision::Hold && has_too_much {
                WeightGoal::Keep
            } else {
                WeightGoal::Fill
            };
        }
        let mut want = quiet_want(decision, self.is_protected(pool));
        if want == WeightGoal::Keep && self.costs_more_above(pool, outcome) {
            want = WeightGoal::Yield;
        }
        // Below Spot nothing is saved where Spot costs as much.
        let spot_saves = |group: &GroupNow| group.ratio.spot_saves();
        if want == WeightGoal::Yield && !self.groups.keeping.iter().all(spot_saves) {
            return WeightGoal::Keep;
        }
        if decision == Decision::Fill || want == WeightGoal::Keep {
            let has_rivals = self.pools.rivals(pool).next().is_some();
            if matches!(decision, Decision::Hold | Decision::Drain) && has_rivals {
                let excess = outcome.headroom.map(|headroom| (-headroom).or_zero());
                let own = pool.effective_weight();
                let below = self
                    .pools
                    .rivals(pool)
                    .all(|rival| own <= rival.effective_weight());
                self.warnings
                    .push(unprotected(pool, below, excess.unwrap_or_default()));
            }
            return want;
        }
        let Some(claims) = self.inputs.node_claims else {
            // Without NodeClaims a roll-out would not be seen (warning no-node-claims).
            return WeightGoal::Keep;
        };
        let Some(what) = roll_out(pool, claims, self.inputs.now) else {
            return want;
        };
        let until = self.inputs.now + self.inputs.config.policy.dwell.0;
        let should_go = match outcome.arithmetic.as_deref() {
            Some(arithmetic) => {
                let is_beyond_band = arithmetic.excess > arithmetic.to_drain;
                is_beyond_band && self.should_lose(pool, arithmetic, going_until(pool, claims, until))
            }
            // The last plan has ended.
            None => decision == Decision::Drain,
        };
        if should_go {
            return want;
        }
        let message = format!(
            "{what}: its weight stays above Spot meanwhile, since below they would all be replaced by Spot"
        );
        self.warnings
            .push(Warning::of_pool(WarningCode::RollOut, &pool.name, message));
        WeightGoal::Fill
    }

    /// Whether a full pool that consolidation may empty loses more above Spot than below. Above, the part that no plan
    /// pays costs on-demand − Spot an hour; below, the part that the plan pays goes to Spot as well, and costs Spot.
    fn costs_more_above(&self, pool: &NodePool, outcome: &Outcome) -> bool {
        let full = matches!(outcome.decision, Decision::Hold | Decision::Drain);
        let arithmetic = outcome.arithmetic.as_deref().filter(|_| full);
        arithmetic.is_some_and(|arithmetic| self.should_lose(pool, arithmetic, 1.0))
    }

    /// The same where only a part of the pool's nodes would be gone before it is decided anew. Those that nobody pays for
    /// may be among them.
    fn should_lose(&self, pool: &NodePool, arithmetic: &Arithmetic, part: f64) -> bool {
        let billed = self.own_nodes(pool).filter(|node| is_billed_on_demand(node));
        let own: Money = billed
            .filter_map(|node| self.scale.node(node))
            .map(|(_, cost, _)| cost)
            .sum();
        // Of the excess, what is this pool's: of this cluster's part of it as much as of the cluster's nodes.
        let groups = || {
            let all = self.groups.keeping.iter();
            all.filter(|group| arithmetic.groups.contains(&group.id))
        };
        let share = groups().map(|group| group.share).fold(1.0, f64::min);
        let live = groups().filter_map(|group| self.live?.get(&group.id).copied());
        let excess = arithmetic.excess.or_zero().scale(share);
        let uncovered = excess.share(own, live.sum::<Money>().max(own)).min(own);
        let lost = (own.scale(part) - uncovered).or_zero();
        let ratio = groups().map(|group| group.ratio.spot_ratio).fold(0.0, f64::max);
        uncovered.scale(1.0 - ratio) > lost.scale(ratio)
    }

    fn is_managed(&self, pool: &NodePool) -> bool {
        is_managed(pool, &self.inputs.config.node_pools)
    }
}

/// This cluster's instances in the report, by its tags: their pools and types, those with most vCPU first.
fn reported<'a>(ledger: &'a Ledger, scale: &Valuation<'_>) -> Vec<(&'a str, &'a str)> {
    let own = ledger.usage();
    let own = own.filter(|(series, _)| series.is_instance && scale.identity.owns(series));
    let mut used: BTreeMap<(&str, &str), Quantity> = BTreeMap::new();
    for (series, cells) in own.filter(|(_, cells)| !cells.is_empty()) {
        let name = instance_type(&series.usage_type);
        let amount: Quantity = cells.iter().map(|cell| cell.amount).sum();
        *used.entry((&series.node_pool, name)).or_default() += amount;
    }
    let vcpus = |name: &str| scale.types.get(name).map_or(0, |kind| kind.vcpu);
    let mut all: Vec<((&str, &str), f64)> = used
        .into_iter()
        .map(|(used, hours)| (used, hours.units() * f64::from(vcpus(used.1))))
        .collect();
    all.sort_by(|(one, more), (other, less)| less.total_cmp(more).then_with(|| one.cmp(other)));
    all.into_iter().map(|(used, _)| used).collect()
}

/// Pools that are not opted in are not moved, and nothing is restored on them that Brimful has not changed.
fn only_managed(stand: &PoolPosition, plan: &PoolPlan) -> PoolPosition {
    if plan.managed_or_restored() {
        return *stand;
    }
    PoolPosition {
        want: WeightGoal::Keep,
        movable: false,
        ..*stand
    }
}

/// How long a drain by churn alone takes, at the pace at which the pool's nodes were replaced in the last day.
fn churn(pool: &NodePool, member: &Member, outcome: &Outcome) -> String {
    let excess = outcome.headroom.map(|headroom| (-headroom).or_zero());
    let Some(excess) =
        excess.filter(|_| outcome.decision == Decision::Drain && pool.protected_from_consolidation())
    else {
        return String::new();
    };
    match member.launched.fraction_of(excess) {
        Some(days) if days > 0.0 => {
            let hours = (24.0 / days).ceil().min(9999.0);
            format!("; protected from consolidation, it shrinks as pods go: about {hours:.0} h at the pace of the last day")
        }
        _ => "; protected from consolidation, it shrinks as pods go, of which there was no sign in the last day".to_owned(),
    }
}

/// What a decision asks of the weight, without a word about it.
fn quiet_want(decision: Decision, is_protected: bool) -> WeightGoal {
    match decision {
        Decision::Fill => WeightGoal::Fill,
        Decision::Hold | Decision::Drain if is_protected => WeightGoal::Yield,
        _ => WeightGoal::Keep,
    }
}
