//! Which pools are steered by their limits, too, and what those become.

use std::collections::BTreeMap;

use chrono::Duration;

use super::Planner;
use crate::karpenter::{Node, NodePool, Role};
use crate::money::Money;
use crate::policy::Decision;
use crate::policy::decision::Outcome;
use crate::policy::eligibility::Eligible;
use crate::policy::groups::GroupNow;
use crate::policy::limits::{
    Capacity, Lacks, Limits, Member, Mix, no_overflow, overflow, sums, targets, wished,
};
use crate::policy::own_use::is_billed_on_demand;
use crate::policy::patch::own_limits;
use crate::policy::plan::PoolPlan;
use crate::policy::records::{DecisionRecord, has_set_limits};
use crate::warning::Warning;

/// What counts as launched lately.
const LATELY: i64 = 24; // hours

impl Planner<'_> {
    /// True when the pool is steered by its limits, too; else what keeps it from it, if it was wished.
    pub(super) fn by_limits(&self, pool: &NodePool) -> (bool, Option<Warning>) {
        match wished(pool, self.inputs.config) {
            Ok(true) => {}
            Ok(false) => return (false, None),
            Err(doubt) => return (false, Some(doubt)),
        }
        if self.running(pool).is_none() {
            let message =
                "neither its status nor Nodes tell its capacity now, so its limits stay as they are";
            return (
                false,
                Some(Warning::of_pool("no-capacity", &pool.name, message.to_owned())),
            );
        }
        let is_steered = |other: &NodePool| other.role() == Role::Committed && self.is_managed(other);
        match overflow(pool, &self.pools, is_steered) {
            Ok(_) => (true, None),
            // What stands is not torn down for a moment's sake.
            Err(Lacks {
                unready: Some(other), ..
            }) if has_set_limits(pool) => {
                let message = format!(
                    "{other}, which takes what it cannot at its limits, is not Ready: pods that need on-demand may wait"
                );
                (
                    true,
                    Some(Warning::of_pool("overflow-not-ready", &pool.name, message)),
                )
            }
            Err(lacks) => (false, Some(no_overflow(pool, &lacks))),
        }
    }

    /// What the pool's nodes have now; those that are going away are left out, as Karpenter does
    /// (`pkg/controllers/state/cluster.go`). The status comes up to 5 s late, Nodes come after their `NodeClaim`s: the
    /// larger figure counts, since a limit below what runs drives nodes out.
    fn running(&self, pool: &NodePool) -> Option<Capacity> {
        let nodes = self.inputs.nodes.map(|nodes| {
            let own = |node: &&Node| node.node_pool.as_deref() == Some(&pool.name) && !node.deleting;
            nodes
                .iter()
                .filter(own)
                .fold(Capacity::default(), |sum, node| sum.plus(of_node(node)))
        });
        match (Capacity::of(&pool.resources), nodes) {
            (Some(status), Some(nodes)) => Some(status.max(nodes)),
            (status, nodes) => status.or(nodes),
        }
    }

    /// What of a committed pool its part of the room depends on.
    pub(super) fn member(
        &self,
        pool: &NodePool,
        outcome: &Outcome,
        eligible: &Eligible<'_>,
        groups: &[&GroupNow],
    ) -> Option<Member> {
        let nodes = self.inputs.nodes.unwrap_or_default().iter();
        let own =
            nodes.filter(|node| node.node_pool.as_deref() == Some(&pool.name) && is_billed_on_demand(node));
        let (mut mix, mut launched) = (
            Mix {
                capacity: Capacity::default(),
                cost: Money::ZERO,
            },
            Money::ZERO,
        );
        for node in own {
            let Some((_, cost, _)) = self.scale.node(node) else {
                continue;
            };
            mix.cost += cost;
            mix.capacity = mix.capacity.plus(of_node(node));
            if self.inputs.now - node.created < Duration::hours(LATELY) {
                launched += cost;
            }
        }
        let cost = mix.cost;
        if mix.capacity.cpu == 0 || mix.cost == Money::ZERO {
            mix = self.cheapest_mix(eligible, groups).unwrap_or(mix);
        }
        let record = DecisionRecord::recorded(pool).ok().flatten();
        let known = self.inputs.state.node_pools.get(&pool.name);
        let last = known
            .map(|known| known.decision)
            .or(record.as_ref().map(|record| record.decision));
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
            standing: record.and_then(|record| Capacity::latched(&record.values.limits?)),
            ceiling: own_limits(pool).and_then(|own| Some(Capacity::of(&own)?.cpu)),
            entered: last != Some(outcome.decision) || known.is_some_and(|known| known.limits_wait),
            live: outcome.room.live,
            band: outcome.room.band,
            limited: true,
        })
    }

    /// Where the pool has no nodes to tell: the cheapest type that it can launch, which Karpenter takes.
    fn cheapest_mix(&self, eligible: &Eligible<'_>, groups: &[&GroupNow]) -> Option<Mix> {
        let (name, price) = groups
            .iter()
            .find_map(|group| eligible.cheapest(&group.id, self.scale.prices))?;
        let kind = self.scale.types.get(&name)?;
        Some(Mix {
            capacity: Capacity {
                cpu: i64::from(kind.vcpu) * 1000,
                memory: i64::try_from(kind.memory_mib).unwrap_or(0),
            },
            cost: price.rate,
        })
    }

    /// Sets the limits of all pools together.
    pub(super) fn set_limits(plans: &mut BTreeMap<String, PoolPlan>, members: &[Member]) {
        for (name, sum) in sums(members) {
            if let Some(plan) = plans.get_mut(&name) {
                plan.limit_sum = Some(sum);
            }
        }
        for (name, target) in targets(members) {
            let Some(plan) = plans.get_mut(&name) else {
                continue;
            };
            let own = own_limits(&plan.pool).unwrap_or_default();
            plan.limits = target.limits(&own);
            if plan.outcome.decision == Decision::Fill
                && !own.is_empty()
                && plan.limits.get("cpu") == own.get("cpu")
            {
                plan.outcome.reason += "; its own limits allow no more";
            }
            if plan.outcome.decision == Decision::Drain && plan.pool.protected_from_consolidation() {
                plan.outcome.reason += "; it is protected from consolidation, so nodes only go as pods do";
            }
        }
    }
}

fn of_node(node: &Node) -> Capacity {
    Capacity {
        cpu: i64::from(node.vcpu.unwrap_or(0)) * 1000,
        memory: i64::try_from(node.memory_mib.unwrap_or(0)).unwrap_or(0),
    }
}

/// A change of limits for people: `limits cpu 100 → 28, memory none → 118Gi`.
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
