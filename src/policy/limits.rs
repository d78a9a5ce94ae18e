//! `spec.limits`: as much capacity as the commitments pay for.
//!
//! With the weight above Spot and the limits at what a plan pays for, new pods spill to Spot and covered nodes stay;
//! with lower limits consolidation moves just the excess (`docs/karpenter-behaviour.md`). The limit that stands on the
//! pool is the latched target: it is left alone while what would be set anew stays within the decision's band of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Decision;
use crate::commitment::savings_plan::GroupId;
use crate::karpenter::units::quantity;
use crate::money::Money;

mod overflow;

pub use overflow::{Lacks, no_overflow, overflow, wished};

/// One vCPU.
const CORE: i64 = 1000;
/// Memory limits lie above what is paid for by one part in so many: what a kubelet reports differs a little from node
/// to node, and must not keep a node out that the vCPU limit lets in.
const MEMORY_SLACK: i64 = 20;

/// Quantities by resource name, as `spec.limits` holds them; empty is absent.
pub type Limits = BTreeMap<String, String>;

/// Capacity of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Thousandths of a vCPU.
    pub cpu: i64,
    /// MiB; 0 where unknown.
    pub memory: i64,
}

impl Capacity {
    /// What `status.resources` or `spec.limits` says; `None` without a number of vCPU.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // quantities of a cluster
    pub fn of(resources: &Limits) -> Option<Self> {
        let read = |name, unit: f64| Some((quantity(resources.get(name)?)? / unit).round() as i64);
        Some(Self {
            cpu: read("cpu", 0.001)?,
            memory: read("memory", 1_048_576.0).unwrap_or(0),
        })
    }

    /// What limits that Brimful has set stand for.
    #[must_use]
    pub fn latched(limits: &Limits) -> Option<Self> {
        let set = Self::of(limits)?;
        Some(Self {
            memory: set.memory - set.memory / (MEMORY_SLACK + 1),
            ..set
        })
    }

    /// The larger of both, of each resource.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
        }
    }

    /// The sum; less than nothing is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu: (self.cpu + other.cpu).max(0),
            memory: (self.memory + other.memory).max(0),
        }
    }

    /// The limits that allow this, in whole vCPU, never above the user's own and with whatever else those hold.
    #[must_use]
    pub fn limits(self, own: &Limits) -> Limits {
        let mut limits = own.clone();
        let mut set = |name: &str, amount: i64, unit: f64, text: String| {
            #[allow(clippy::cast_precision_loss)] // quantities of a cluster
            let wanted = amount as f64 * unit;
            let is_lower = |own: &String| quantity(own).is_some_and(|own| own <= wanted);
            if !own.get(name).is_some_and(is_lower) {
                limits.insert(name.to_owned(), text);
            }
        };
        let cores = self.cpu / CORE;
        set("cpu", cores, 1.0, cores.to_string());
        if self.memory > 0 || self.cpu == 0 {
            let memory = self.memory + self.memory / MEMORY_SLACK;
            set("memory", memory, 1_048_576.0, format!("{memory}Mi"));
        }
        limits
    }
}

/// True when two limits mean the same.
#[must_use]
pub fn same(one: &Limits, other: &Limits) -> bool {
    one.len() == other.len()
        && one.iter().all(|(name, value)| {
            other.get(name).is_some_and(|other| {
                other == value || (quantity(other).is_some() && quantity(other) == quantity(value))
            })
        })
}

/// What money buys: capacity and its cost at SP rates, of the nodes that a pool really launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Capacity of some nodes.
    pub capacity: Capacity,
    /// What they cost, $/h.
    pub cost: Money,
}

impl Mix {
    /// The capacity that so much money pays for, or would have paid for when it is negative.
    fn bought(&self, money: Money) -> Capacity {
        let part = |amount: i64| {
            let bought = money.picos() * i128::from(amount) / self.cost.picos().max(1);
            i64::try_from(bought).unwrap_or(0)
        };
        Capacity {
            cpu: part(self.capacity.cpu),
            memory: part(self.capacity.memory),
        }
    }

    /// What so many thousandths of a vCPU cost, $/h.
    #[must_use]
    pub fn price(&self, cpu: i64) -> Money {
        Money::from_picos(self.cost.picos() * i128::from(cpu) / i128::from(self.capacity.cpu.max(1)))
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
    pub running: Capacity,
    /// What those nodes cost, $/h.
    pub cost: Money,
    /// What it launched in the last day, $/h.
    pub launched: Money,
    /// What money buys in it.
    pub mix: Mix,
    /// The limits that Brimful set, where they stand.
    pub standing: Option<Capacity>,
    /// What the user allows at most, thousandths of a vCPU.
    pub ceiling: Option<i64>,
    /// True when the decision is not the one that the standing limits were set for.
    pub entered: bool,
    /// True when live Nodes are in the estimate: then what they take is no longer in the room.
    pub live: bool,
    /// By how much the room may err, $/h.
    pub band: Money,
    /// False while the dwell time asks for patience.
    pub may_rise: bool,
    /// False for a pool that is steered by its weight: it takes its part of the room and gets no target.
    pub limited: bool,
}

impl Member {
    /// What the pool should have by the figures of this run.
    fn fresh(&self, allotted: Money) -> Capacity {
        let paid = self.running.plus(self.mix.bought(allotted));
        let fresh = match (self.decision, self.standing) {
            // What runs stays. What has just gone may come back, as far as there is room for it.
            (Decision::Hold, Some(standing)) if standing.cpu.min(paid.cpu) > self.running.cpu => {
                if standing.cpu < paid.cpu { standing } else { paid }
            }
            (Decision::Hold, _) => self.running,
            // The last plan has ended.
            (Decision::Drain, _) if self.rooms.is_empty() => Capacity::default(),
            _ => paid,
        };
        Capacity {
            cpu: fresh.cpu.min(self.ceiling.unwrap_or(i64::MAX)),
            ..fresh
        }
    }

    /// True when the standing limits no longer say what the decision asks for.
    fn is_off(&self, fresh: Capacity) -> bool {
        let Some(standing) = self.standing else {
            return true;
        };
        // Without live Nodes the room does not shrink as it is taken: what was set stays, or it would creep.
        let follows = self.live && self.decision != Decision::Hold;
        self.entered || (follows && self.mix.price(fresh.cpu - standing.cpu).abs() > self.band)
    }
}

/// Splits each group's room over the pools that fill, and what must be given back over those that drain. The parts
/// never exceed the whole.
fn allot(members: &[Member]) -> BTreeMap<&str, Money> {
    let mut parts: BTreeMap<&str, Money> = BTreeMap::new();
    let groups: BTreeSet<&GroupId> = members.iter().flat_map(|member| member.rooms.keys()).collect();
    for group in groups {
        for drains in [false, true] {
            let takes = |member: &&Member| {
                let Some(room) = member.rooms.get(group).copied() else {
                    return false;
                };
                (member.decision == Decision::Drain) == drains && (room < Money::ZERO) == drains
            };
            // Who launched most will launch most, and nobody is left without a part; who has most gives most.
            let weight = |member: &Member| {
                if drains {
                    member.cost
                } else {
                    member.launched.max(member.band)
                }
            };
            let whole: Money = members.iter().filter(takes).map(weight).sum();
            for member in members.iter().filter(takes) {
                *parts.entry(&member.pool).or_default() += member.rooms[group].share(weight(member), whole);
            }
        }
    }
    parts
}

/// How a pool's limits came about.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSum {
    /// What they depend on.
    pub member: Member,
    /// The pool's part of its groups' room, $/h; negative is what it must give back.
    pub part: Money,
    /// What the figures of this run ask for.
    pub fresh: Capacity,
}

/// The sums of pools that are steered by their limits, by pool.
#[must_use]
pub fn sums(members: &[Member]) -> BTreeMap<String, LimitSum> {
    let parts = allot(members);
    let sum = |member: &Member| {
        let part = parts.get(member.pool.as_str()).copied().unwrap_or_default();
        LimitSum {
            member: member.clone(),
            part,
            fresh: member.fresh(part),
        }
    };
    let limited = members.iter().filter(|member| member.limited);
    limited.map(|member| (member.pool.clone(), sum(member))).collect()
}

/// The capacity up to which a pool may grow, or down to which it must shrink, for pools whose limits are to be set anew.
#[must_use]
pub fn targets(members: &[Member]) -> BTreeMap<String, Capacity> {
    let parts = allot(members);
    let fresh: Vec<(&Member, Capacity)> = members
        .iter()
        .map(|member| {
            let part = parts.get(member.pool.as_str()).copied();
            (member, member.fresh(part.unwrap_or_default()))
        })
        .filter(|(member, _)| member.limited)
        .collect();
    // Pools that draw on one group move together: else one would rise on room that another still holds.
    let moving: BTreeSet<&GroupId> = fresh
        .iter()
        .filter(|(member, fresh)| member.is_off(*fresh))
        .flat_map(|(member, _)| member.rooms.keys())
        .collect();
    let moves = |member: &Member, fresh: Capacity| {
        let Some(standing) = member.standing else {
            return true;
        };
        let along = member.decision == Decision::Fill
            && member.live
            && member.rooms.keys().any(|group| moving.contains(group));
        let rises = fresh.cpu > standing.cpu;
        (along || member.is_off(fresh)) && fresh.cpu != standing.cpu && (!rises || member.may_rise)
    };
    fresh
        .into_iter()
        .filter(|(member, fresh)| moves(member, *fresh))
        .map(|(member, fresh)| (member.pool.clone(), fresh))
        .collect()
}

#[cfg(test)]
mod tests;
