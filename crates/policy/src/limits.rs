//! `spec.limits`: as much capacity as the commitments pay for.
//!
//! With the weight above Spot and the limits at what a plan pays for, new pods spill to Spot and covered nodes stay;
//! with lower limits consolidation moves just the excess (`docs/karpenter-behaviour.md`). The limit that stands on the
//! pool is the latched target: it is left alone while what would be set anew stays within the decision's band of it.
//!
//! Only vCPU are limited. They bound the dollars; limits on memory or on the number of nodes beside them would keep
//! out nodes that a plan pays for as soon as the pool launches other sizes or families than before.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Decision;
use brimful_karpenter::units::quantity;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::money::Money;

mod overflow;

pub(crate) use overflow::smallest;
pub use overflow::{Lacks, binding, no_overflow, overflow, overflows, smallest_node, wished};

/// The resource that Brimful limits.
const CPU: &str = "cpu";

/// Quantities by resource name, as `spec.limits` holds them; empty is absent.
pub type Limits = BTreeMap<String, String>;

/// Capacity of nodes, in thousandths of a vCPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Vcpu(pub i64);

impl Vcpu {
    /// So many whole vCPU.
    #[must_use]
    pub fn cores(cores: u32) -> Self {
        Self(i64::from(cores) * 1000)
    }

    /// What `status.resources` or `spec.limits` says.
    #[must_use]
    pub fn of(resources: &Limits) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation)] // quantities of a cluster
        Some(Self((quantity(resources.get(CPU)?)? * 1000.0).round() as i64))
    }

    /// The limits that allow this, in whole vCPU, never above the user's own and with whatever else those hold.
    #[must_use]
    pub fn limits(self, own: &Limits) -> Limits {
        let mut limits = own.clone();
        if Self::of(own).is_none_or(|own| own > self) {
            limits.insert(CPU.to_owned(), (self.0 / 1000).to_string());
        }
        limits
    }

    fn plus(self, other: i64) -> Self {
        Self((self.0 + other).max(0))
    }
}

/// True when two limits mean the same.
#[must_use]
pub fn same(one: &Limits, other: &Limits) -> bool {
    one.len() == other.len() && one.keys().all(|name| same_amount(one.get(name), other.get(name)))
}

/// True when two limits of one resource mean the same; absent is a value.
#[must_use]
pub fn same_amount(one: Option<&String>, other: Option<&String>) -> bool {
    one == other
        || match (
            one.and_then(|text| quantity(text)),
            other.and_then(|text| quantity(text)),
        ) {
            #[allow(clippy::float_cmp)] // both were parsed alike
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
}

/// What money buys: capacity and its cost at SP rates, of the nodes that a pool really launches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// So many nodes.
    pub nodes: i64,
    /// What they have.
    pub cpu: Vcpu,
    /// What they cost each group that pays for the pool, $/h.
    pub costs: BTreeMap<GroupId, Money>,
}

impl Mix {
    /// One of the nodes.
    pub(crate) fn node(&self) -> i64 {
        self.cpu.0 / self.nodes.max(1)
    }

    /// The capacity that so much of a group's money pays for, or would have paid for when it is negative.
    fn bought(&self, group: &GroupId, money: Money) -> i64 {
        let bought = money.picos() * i128::from(self.cpu.0) / self.cost(group).picos().max(1);
        i64::try_from(bought).unwrap_or(0)
    }

    /// What so many thousandths of a vCPU cost, $/h.
    #[must_use]
    pub fn price(&self, cpu: i64) -> Money {
        Money::from_picos(self.dearest().picos() * i128::from(cpu) / i128::from(self.cpu.0.max(1)))
    }

    /// What a vCPU costs a group, $/h.
    #[must_use]
    pub fn per_vcpu(&self, group: &GroupId) -> Money {
        Money::from_picos(self.cost(group).picos() * 1000 / i128::from(self.cpu.0.max(1)))
    }

    fn cost(&self, group: &GroupId) -> Money {
        self.costs.get(group).copied().unwrap_or_else(|| self.dearest())
    }

    /// What they cost the group that pays most for them, $/h.
    fn dearest(&self) -> Money {
        self.costs.values().copied().max().unwrap_or_default()
    }
}

/// A managed committed pool that fills, holds or drains.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Member {
    /// The pool.
    pub pool: String,
    /// Its decision.
    pub decision: Decision,
    /// By group that pays for it, $/h: what this cluster may still use, or (negative) must give back.
    pub rooms: BTreeMap<GroupId, Money>,
    /// What its nodes have now; those that are going away are not counted.
    pub running: Vcpu,
    /// What those nodes cost, $/h.
    pub cost: Money,
    /// What it launched in the last day, $/h.
    pub launched: Money,
    /// What money buys in it.
    pub mix: Mix,
    /// The limit that Brimful set, where it stands.
    pub standing: Option<Vcpu>,
    /// What the user allows at most.
    pub ceiling: Option<Vcpu>,
    /// True when the decision is not the one that the standing limit was set for.
    pub entered: bool,
    /// True when live Nodes are in the estimate: then what they take is no longer in the room.
    pub live: bool,
    /// By how much the room may err, $/h.
    pub band: Money,
    /// False while the dwell time asks for patience.
    pub may_rise: bool,
    /// False while nothing would take what a lower limit keeps out.
    pub may_fall: bool,
    /// False for a pool that is steered by its weight: it takes its part of the room and gets no target.
    pub limited: bool,
}

impl Member {
    /// What the pool should have by the figures of this run.
    fn fresh(&self, parts: &Parts<'_>) -> Vcpu {
        let parts = self.rooms.keys().filter_map(|group| {
            let part = parts.get(&(self.pool.as_str(), group)).copied()?;
            Some(self.mix.bought(group, part))
        });
        let paid = self.running.plus(parts.sum());
        let fresh = match (self.decision, self.standing) {
            // What runs stays. What has just gone may come back, as far as there is room for it.
            (Decision::Hold, Some(standing)) => standing.min(paid).max(self.running),
            (Decision::Hold, None) => self.running,
            (Decision::Drain, _) if self.has_ended() => Vcpu::default(),
            _ => paid,
        };
        fresh.min(self.ceiling.unwrap_or(Vcpu(i64::MAX)))
    }

    /// True when the last plan that paid for it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.decision == Decision::Drain && self.rooms.is_empty()
    }

    /// True when the standing limit no longer says what the decision asks for.
    fn is_off(&self, fresh: Vcpu) -> bool {
        let Some(standing) = self.standing else {
            return true;
        };
        let change = fresh.0 - standing.0;
        if self.entered || (self.has_ended() && change != 0) {
            return true;
        }
        // Without live Nodes the room does not shrink as it is taken: what was set stays, or it would creep.
        let follows = self.live && self.decision != Decision::Hold;
        let left_the_band = self.mix.price(change).abs() > self.band;
        // Where the next node no longer fits, room for one is not kept from it.
        let is_full = self.decision == Decision::Fill && self.running.0 + self.mix.node() > standing.0;
        follows && (left_the_band || (is_full && change >= self.mix.node()))
    }

    /// The most that it can take of a room, where that is bounded.
    fn at_most(&self) -> Option<Money> {
        let until = |cpu: Vcpu| self.mix.price((cpu.0 - self.running.0).max(0));
        match (self.decision, self.limited) {
            (Decision::Fill, true) => self.ceiling.map(until),
            (Decision::Hold, true) => Some(self.standing.map(until).unwrap_or_default()),
            (Decision::Hold, false) => Some(Money::ZERO),
            _ => None,
        }
    }

    /// By what its part of a room is measured: who launched most will launch most, and nobody is left without a part;
    /// who has most gives most.
    fn claim(&self) -> Money {
        match self.decision {
            Decision::Drain => self.cost,
            _ => self.launched.max(self.band),
        }
    }
}

/// What each pool may take of each group's room, $/h; negative is what it must give back.
type Parts<'a> = BTreeMap<(&'a str, &'a GroupId), Money>;

/// Splits each group's room over the pools that fill, and what must be given back over those that drain. The parts
/// never exceed the whole, and what one pool cannot take goes to the others.
fn allot(members: &[Member]) -> Parts<'_> {
    let mut parts = Parts::new();
    let mut left: BTreeMap<&str, Option<Money>> = members
        .iter()
        .map(|member| (member.pool.as_str(), member.at_most()))
        .collect();
    let groups: BTreeSet<&GroupId> = members.iter().flat_map(|member| member.rooms.keys()).collect();
    for group in groups {
        for drains in [false, true] {
            let takes = |member: &&Member| {
                let room = member.rooms.get(group).copied();
                let fits = room.is_some_and(|room| (room < Money::ZERO) == drains);
                fits && (member.decision == Decision::Drain) == drains
            };
            let sharers: Vec<&Member> = members.iter().filter(takes).collect();
            for (pool, part) in split(group, sharers, &left) {
                if let Some(Some(left)) = left.get_mut(pool) {
                    *left = (*left - part).or_zero();
                }
                parts.insert((pool, group), part);
            }
        }
    }
    parts
}

/// Splits one group's room by the pools' claims; who can take less than its part leaves the rest to the others.
fn split<'a>(
    group: &GroupId,
    mut takers: Vec<&'a Member>,
    most: &BTreeMap<&str, Option<Money>>,
) -> Vec<(&'a str, Money)> {
    let mut parts = Vec::new();
    let mut spent = Money::ZERO;
    loop {
        let whole: Money = takers.iter().map(|member| member.claim()).sum();
        let part = |member: &Member| {
            let room = member.rooms.get(group).copied().unwrap_or_default();
            let room = if room < Money::ZERO {
                room
            } else {
                (room - spent).or_zero()
            };
            room.share(member.claim(), whole)
        };
        let bounded = |member: &Member| most.get(member.pool.as_str()).copied().flatten();
        let (full, open): (Vec<&Member>, Vec<&Member>) = takers
            .iter()
            .partition(|member| bounded(member).is_some_and(|most| most < part(member)));
        if full.is_empty() {
            parts.extend(open.iter().map(|member| (member.pool.as_str(), part(member))));
            return parts;
        }
        for member in full {
            let most = bounded(member).unwrap_or_default();
            spent += most;
            parts.push((member.pool.as_str(), most));
        }
        takers = open;
    }
}

/// Limits to be set anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets {
    /// The capacity up to which a pool may grow, or down to which it must shrink.
    pub set: BTreeMap<String, Vcpu>,
    /// Pools whose limits should change and may not yet.
    pub waiting: BTreeSet<String>,
}

/// How a pool's limits came about.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSum {
    /// What they depend on.
    pub member: Member,
    /// The pool's part of each group's room, $/h; negative is what it must give back.
    pub parts: BTreeMap<GroupId, Money>,
    /// What the figures of this run ask for.
    pub fresh: Vcpu,
}

/// The sums of pools that are steered by their limits, by pool.
#[must_use]
pub fn sums(members: &[Member]) -> BTreeMap<String, LimitSum> {
    let parts = allot(members);
    let sum = |member: &Member| {
        let part = |group: &GroupId| Some((group.clone(), *parts.get(&(member.pool.as_str(), group))?));
        LimitSum {
            member: member.clone(),
            parts: member.rooms.keys().filter_map(part).collect(),
            fresh: member.fresh(&parts),
        }
    };
    let limited = members.iter().filter(|member| member.limited);
    limited.map(|member| (member.pool.clone(), sum(member))).collect()
}

/// What every pool should have by the figures of this run, whether its limits are set or not.
#[must_use]
pub fn wanted(members: &[Member]) -> BTreeMap<String, Vcpu> {
    let parts = allot(members);
    let wanted = |member: &Member| (member.pool.clone(), member.fresh(&parts));
    members.iter().map(wanted).collect()
}

/// What becomes of the limits of all pools together.
#[must_use]
pub fn targets(sums: &BTreeMap<String, LimitSum>) -> Targets {
    // Pools that draw on one group move together: else one would rise on room that another still holds.
    let moving: BTreeSet<&GroupId> = sums
        .values()
        .filter(|sum| sum.member.is_off(sum.fresh))
        .flat_map(|sum| sum.member.rooms.keys())
        .collect();
    let mut targets = Targets::default();
    for LimitSum { member, fresh, .. } in sums.values() {
        let along = member.decision == Decision::Fill
            && member.live
            && member.rooms.keys().any(|group| moving.contains(group));
        let fresh = *fresh;
        let change = member.standing.map(|standing| fresh.cmp(&standing));
        let may = match change {
            Some(Ordering::Equal) => continue,
            Some(Ordering::Greater) => member.may_rise,
            Some(Ordering::Less) => member.may_fall,
            None => true,
        };
        if member.entered && !may {
            targets.waiting.insert(member.pool.clone());
        } else if may && (along || member.is_off(fresh)) {
            targets.set.insert(member.pool.clone(), fresh);
        }
    }
    targets
}

#[cfg(test)]
mod tests;
