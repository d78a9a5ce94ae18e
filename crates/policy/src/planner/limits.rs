//! Which pools are steered by their limits, too, and what those become.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::Planner;
use crate::Decision;
use crate::annotations::{DecisionRecord, has_set_limits};
use crate::attribution::is_billed_on_demand;
use crate::decision::Outcome;
use crate::eligibility::{Eligible, before_spot, list};
use crate::groups::GroupNow;
use crate::limits::{Limits, Member, Mix, Vcpu, no_overflow, overflow, sums, targets, wished};
use crate::patch::own_limits;
use crate::plan::PoolPlan;
use crate::pools::Pool;
use crate::state::PoolState;
use brimful_karpenter::{Node, NodePool, Role};
use brimful_types::hour::human_duration;
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};

/// What counts as launched lately.
const LATELY: i64 = 24; // hours

/// Whether a pool is steered by its limits, too.
#[derive(Debug, Default)]
pub(super) struct ByLimits {
    /// True when it is.
    pub(super) on: bool,
    /// Since when no other pool would take what they keep out.
    pub(super) lost_overflow: Option<DateTime<Utc>>,
    /// True when an overflow pool comes before Spot.
    pub(super) overflow_above_spot: bool,
    /// What stands in the way, or is about to.
    pub(super) warning: Option<Warning>,
}

impl<'a> Planner<'a> {
    /// Whether a pool is steered by its limits, too; else what keeps it from it, if it was wished.
    pub(super) fn by_limits(&self, pool: &NodePool) -> ByLimits {
        let warn = |code, message: &str| Some(Warning::of_pool(code, &pool.name, message.to_owned()));
        let only = |on, warning| ByLimits {
            on,
            warning,
            ..ByLimits::default()
        };
        let unclear = match wished(pool, self.inputs.config) {
            Ok(true) => None,
            Ok(false) => return ByLimits::default(),
            Err(doubt) if has_set_limits(pool) => Some(doubt),
            Err(doubt) => return only(false, Some(doubt)),
        };
        if self.running(pool).is_none() {
            let message =
                "neither its status nor Nodes tell its capacity now: it is steered by its weight only";
            return only(false, warn(WarningCode::NoCapacity, message));
        }
        let is_steered = |other: &Pool<'_>| other.role == Role::Committed && self.is_managed(other);
        let node = self.own_nodes(pool).map(vcpu).max();
        let Err(lacks) = overflow(pool, self.pools, node, is_steered) else {
            // Not only the one that was found: Karpenter takes them all by their weights.
            let above = before_spot(pool, self.pools, |pool| pool.effective_weight(), is_steered);
            let names = list(&above.iter().map(|above| above.pool.name.clone()).collect());
            let message = format!(
                "what it cannot take at its limits goes to {names} at list price, before Spot: make their weights lower than every \
                 Spot pool's"
            );
            let overflow_above_spot = !above.is_empty();
            let above = overflow_above_spot.then(|| warn(WarningCode::OverflowAboveSpot, &message));
            return ByLimits {
                overflow_above_spot,
                ..only(true, above.flatten().or(unclear))
            };
        };
        // What stands is not torn down for a blink, but neither made tighter. Any other lack may leave pods waiting.
        let known = self.inputs.state.node_pools.get(&pool.name);
        let since = known
            .and_then(|known| known.memory.lost_overflow)
            .unwrap_or(self.inputs.now);
        if !has_set_limits(pool)
            || !lacks.blinks
            || self.inputs.now - since >= self.inputs.config.policy.dwell.0
        {
            return only(false, Some(no_overflow(pool, &lacks)));
        }
        let near = lacks.near.join("; ");
        let left = human_duration(since + self.inputs.config.policy.dwell.0 - self.inputs.now);
        let message = format!(
            "no pool takes what it cannot at its limits now ({near}), and pods that need on-demand may wait: if that lasts {left} more, its \
             own limits come back"
        );
        ByLimits {
            on: true,
            lost_overflow: Some(since),
            overflow_above_spot: false,
            warning: warn(WarningCode::OverflowLost, &message),
        }
    }

    pub(super) fn own_nodes(&self, pool: &NodePool) -> impl Iterator<Item = &'a Node> {
        let nodes = self.nodes.get(pool.name.as_str()).into_iter().flatten();
        nodes.copied()
    }

    /// What the pool's nodes have now; those that are going away are left out, as Karpenter does
    /// (`pkg/controllers/state/cluster.go`). The status comes up to 5 s late, Nodes come after their `NodeClaim`s: the
    /// larger figure counts, since a limit below what runs drives nodes out.
    fn running(&self, pool: &NodePool) -> Option<Vcpu> {
        let nodes = self
            .inputs
            .nodes
            .map(|_| Vcpu(self.own_nodes(pool).map(|node| vcpu(node).0).sum()));
        Vcpu::of(&pool.resources).max(nodes)
    }

    /// What of a committed pool its part of the room depends on.
    pub(super) fn member(
        &self,
        pool: &NodePool,
        outcome: &Outcome,
        eligible: &Eligible<'_>,
        groups: &[&GroupNow],
    ) -> Option<Member> {
        let mut mix = Mix {
            nodes: 0,
            cpu: Vcpu::default(),
            costs: groups
                .iter()
                .map(|group| (group.id.clone(), Money::ZERO))
                .collect(),
        };
        let (mut cost, mut launched) = (Money::ZERO, Money::ZERO);
        for node in self.own_nodes(pool).filter(|node| is_billed_on_demand(node)) {
            let Some((scope, own_cost, compute_cost)) = self.scale.node(node) else {
                continue;
            };
            mix.nodes += 1;
            mix.cpu = Vcpu(mix.cpu.0 + vcpu(node).0);
            for (group, sum) in &mut mix.costs {
                *sum += if *group == scope { own_cost } else { compute_cost };
            }
            cost += own_cost;
            if self.inputs.now - node.created < Duration::hours(LATELY) {
                launched += own_cost;
            }
        }
        if mix.cpu == Vcpu::default() || mix.costs.values().any(|cost| *cost == Money::ZERO) {
            mix = self.next_mix(eligible, groups).unwrap_or(mix);
        }
        let record = DecisionRecord::recorded(pool).ok().flatten();
        let known = self.inputs.state.node_pools.get(&pool.name);
        let dwell = self.inputs.config.policy.dwell.0;
        Some(Member {
            pool: pool.name.clone(),
            decision: outcome.decision,
            rooms: outcome.room.by_group.clone(),
            running: self.running(pool)?,
            cost,
            launched,
            mix,
            may_rise: record
                .as_ref()
                .is_none_or(|record| self.inputs.now - record.time >= dwell),
            may_fall: true,
            entered: last_decision(known, record.as_ref()) != Some(outcome.decision)
                || known.is_some_and(|known| known.memory.limits_wait),
            standing: record.and_then(|record| Vcpu::of(&record.values.limits?)),
            ceiling: own_limits(pool).as_ref().and_then(Vcpu::of),
            live: outcome.room.live,
            band: outcome.room.band,
            limited: true,
        })
    }

    /// The type that a pool most likely launches: the one with most vCPU of its own nodes, else of the Spot nodes whose
    /// pods it would take, else of the cluster's, else of those that the report shows it to have run.
    pub(super) fn likely(&mut self, pool: &NodePool, eligible: &Eligible<'_>) -> Option<String> {
        let fitting = |types: &[&str]| {
            types
                .iter()
                .find(|name| eligible.can_launch(name))
                .map(|name| (*name).to_owned())
        };
        if let Some(own) = fitting(&by_vcpu(self.own_nodes(pool))) {
            return Some(own);
        }
        let class = self.pools.class(pool)?;
        if !self.of_rivals.contains_key(&class) {
            let nodes = self.pools.rivals(pool).flat_map(|rival| self.own_nodes(rival));
            let types = by_vcpu(nodes);
            self.of_rivals.insert(class, types);
        }
        let reported = |of_pool: Option<&str>| {
            let all = self.reported.iter();
            let wanted = all.filter(|(name, _)| of_pool.is_none_or(|pool| pool == *name));
            wanted.map(|(_, kind)| *kind).collect::<Vec<_>>()
        };
        fitting(&self.of_rivals[&class])
            .or_else(|| fitting(&self.common))
            .or_else(|| fitting(&reported(Some(&pool.name))))
            .or_else(|| fitting(&reported(None)))
    }

    /// Where the pool has no nodes to tell: the one that it most likely launches.
    fn next_mix(&self, eligible: &Eligible<'_>, groups: &[&GroupNow]) -> Option<Mix> {
        let (name, _) = groups
            .iter()
            .find_map(|group| eligible.next_node(&group.id, self.scale.prices))?;
        let vcpu = self.scale.types.get(&name)?.vcpu;
        let cost = |group: &&GroupNow| {
            let price = self
                .scale
                .prices
                .of(&group.id, &name, eligible.placement(), Some(vcpu))?;
            Some((group.id.clone(), price.rate))
        };
        Some(Mix {
            nodes: 1,
            cpu: Vcpu::cores(vcpu),
            costs: groups.iter().filter_map(cost).collect(),
        })
    }

    /// Sets the limits of all pools together.
    pub(super) fn set_limits(plans: &mut BTreeMap<String, PoolPlan>, members: &[Member]) {
        let sums = sums(members);
        let targets = targets(&sums);
        for (name, sum) in sums {
            if let Some(plan) = plans.get_mut(&name) {
                plan.limit_sum = Some(sum);
            }
        }
        for name in targets.waiting {
            if let Some(plan) = plans.get_mut(&name) {
                plan.outcome.memory.limits_wait = true;
            }
        }
        for (name, target) in targets.set {
            let Some(plan) = plans.get_mut(&name) else {
                continue;
            };
            let own = own_limits(&plan.pool).unwrap_or_default();
            plan.limits = target.limits(&own);
            if plan.outcome.decision == Decision::Fill && Vcpu::of(&own).is_some_and(|own| own <= target) {
                plan.outcome.reason += "; its own limits allow no more";
            }
            if plan.outcome.decision == Decision::Drain && plan.pool.protected_from_consolidation() {
                plan.outcome.reason += "; it is protected from consolidation, so nodes only go as pods do";
            }
        }
    }
}

/// The decision that stands: the state's, unless what was patched later tells of a run that could not keep its state.
pub(super) fn last_decision(known: Option<&PoolState>, record: Option<&DecisionRecord>) -> Option<Decision> {
    match (known, record) {
        (Some(known), Some(record)) if record.time <= known.since => {
            known.last_decided().or(Some(record.decision))
        }
        (_, Some(record)) => Some(record.decision),
        (known, None) => known.and_then(PoolState::last_decided),
    }
}

/// The types of some nodes, those with most vCPU first.
pub(super) fn by_vcpu<'a>(nodes: impl Iterator<Item = &'a Node>) -> Vec<&'a str> {
    let mut vcpus: BTreeMap<&str, i64> = BTreeMap::new();
    for node in nodes {
        if let Some(name) = node.instance_type.as_deref() {
            *vcpus.entry(name).or_default() += vcpu(node).0;
        }
    }
    let mut types: Vec<(&str, i64)> = vcpus.into_iter().collect();
    types.sort_by_key(|(name, vcpu)| (std::cmp::Reverse(*vcpu), *name));
    types.into_iter().map(|(name, _)| name).collect()
}

fn vcpu(node: &Node) -> Vcpu {
    Vcpu::cores(node.vcpu.unwrap_or(0))
}

/// A change of limits for people: `limits cpu 100 → 28`.
#[must_use]
pub fn show_limits(from: &Limits, to: &Limits) -> String {
    let mut names: Vec<&String> = from.keys().chain(to.keys()).collect();
    names.sort();
    names.dedup();
    let amount = |of: &Limits, name: &String| of.get(name).map_or("none", String::as_str).to_owned();
    let changed = names
        .into_iter()
        .filter(|name| from.get(*name) != to.get(*name))
        .map(|name| format!("{name} {} → {}", amount(from, name), amount(to, name)));
    format!("limits {}", changed.collect::<Vec<_>>().join(", "))
}
