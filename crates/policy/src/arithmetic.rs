//! The arithmetic of a decision, kept as data for whoever wants to check it. Nothing here decides.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Decision;
use super::attribution::{Valuation, is_billed_on_demand};
use super::groups::{self, GroupNow, commitment_now, lasting};
use super::plan::PoolPlan;
use super::prices::Price;
use brimful_karpenter::{Node, Role};
use brimful_savings_plans::forecast::Basis;
use brimful_savings_plans::nowcast::OwnUse;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// Which rule of [`super::decision::decide`] spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Live nodes cost more beyond the commitment than `maxExtraOnDemand` allows.
    BeyondCap,
    /// What was added since the fill began is worth the headroom that the report shows.
    Spent,
    /// The room reaches what it takes to start.
    Starts,
    /// It was filling, and the room is more than it takes to go on.
    GoesOn,
    /// Demand has exceeded the commitment by more than the band for longer than the dwell time.
    Drains,
    /// The same, but not for long enough yet.
    NotYetDrains,
    /// Some is free, but less than it takes.
    TooLittle,
    /// Nothing is free.
    Full,
}

/// A decision's numbers, summed over the groups that pay for the pool, $/h.
#[derive(Debug, Clone, PartialEq)]
pub struct Arithmetic {
    /// The groups that were counted.
    pub groups: Vec<GroupId>,
    /// What may be filled.
    pub commitment: Money,
    /// Demand now, the best guess.
    pub demand: Money,
    /// What it stays above in 19 of 20 cases.
    pub low: Money,
    /// What it stays below, likewise.
    pub high: Money,
    /// Demand to plan for in the hours ahead.
    pub planned: Money,
    /// This cluster's headroom now, by the best guess.
    pub headroom: Money,
    /// What is worth filling of it: its part of commitment − planned demand.
    pub room: Money,
    /// By how much the demand to plan for exceeds the commitments that may be in force; negative when it does not.
    pub excess: Money,
    /// The cheapest node that the pool can launch.
    pub node: String,
    /// What it costs the plans.
    pub price: Price,
    /// The hours that it was planned for.
    pub lookahead: usize,
    /// The least room at which what is launched at a time is better launched on demand; nothing where limits or
    /// consolidation bound it.
    pub worth_filling_from: Money,
    /// Room from which a fill starts.
    pub to_start: Money,
    /// Room above which it goes on.
    pub to_go_on: Money,
    /// Excess above which a drain starts.
    pub to_drain: Money,
    /// Since when demand has been that much too high.
    pub over_since: Option<DateTime<Utc>>,
    /// What was added since the fill began, where live Nodes do not correct the estimate.
    pub spent: Option<Money>,
    /// The decision before this one.
    pub last: Option<Decision>,
    /// What spoke.
    pub rule: Rule,
}

impl Arithmetic {
    /// The threshold that the rule compared with.
    #[must_use]
    pub fn threshold(&self) -> Money {
        match self.rule {
            Rule::GoesOn => self.to_go_on,
            Rule::Drains | Rule::NotYetDrains => self.to_drain,
            _ => self.to_start,
        }
    }
}

/// The estimates of some groups, added up; `None` when one has none.
pub(super) fn range(groups: &[&GroupNow]) -> Option<(Money, Money)> {
    let estimates = || groups.iter().map(|group| group.nowcast.as_ref());
    let low = estimates()
        .map(|estimate| Some(estimate?.low))
        .sum::<Option<_>>()?;
    let high = estimates()
        .map(|estimate| Some(estimate?.high))
        .sum::<Option<_>>()?;
    Some((low, high))
}

/// What the estimate of one group's demand rests on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupWorking {
    /// Its plans in force.
    pub plans: Vec<PlanInForce>,
    /// The hours of the report that it rests on, newest first.
    pub hours: Vec<HourLevel>,
    /// The newest complete hour.
    pub newest_mature: Option<Hour>,
    /// Live on-demand nodes of this cluster in the group's scope; `None` without Nodes.
    pub live: Option<LiveNodes>,
    /// What of them corrects the report, $/h; `None` when the estimate rests on the report alone.
    pub own_now: Option<Money>,
}

/// A plan in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanInForce {
    /// The last part of its ARN.
    pub short_id: String,
    /// $/h; `None` when the report does not tell.
    pub commitment: Option<Money>,
    /// When it ends.
    pub end: Option<DateTime<Utc>>,
    /// True when it ends so soon that it is not filled any more.
    pub ends_shortly: bool,
}

/// An old hour of a group, $/h at SP rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourLevel {
    /// The hour.
    pub hour: Hour,
    /// What its plans were used for.
    pub used: Money,
    /// What they could not hold.
    pub spill: Money,
    /// This cluster's part of both; `None` when live Nodes do not correct the estimate.
    pub own: Option<Money>,
    /// What the hours of a day have changed since then, in the median.
    pub moved: Money,
}

impl HourLevel {
    /// What this cluster had no part in; all of it when its part is not known.
    #[must_use]
    pub fn others(&self) -> Money {
        self.used + self.spill - self.own.unwrap_or_default()
    }

    /// The same, carried to this hour.
    #[must_use]
    pub fn carried(&self) -> Money {
        self.others() + self.moved
    }
}

/// Nodes and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveNodes {
    /// How many.
    pub count: usize,
    /// $/h at SP rates.
    pub cost: Money,
}

/// The working of every group.
pub(super) fn workings(
    facts: &groups::Facts<'_>,
    groups: &[GroupNow],
    own: Option<&OwnUse>,
    scale: &Valuation<'_>,
    nodes: Option<&[Node]>,
) -> BTreeMap<GroupId, GroupWorking> {
    let live = nodes.map(|nodes| live_nodes(scale, nodes));
    let of_group = |group: &GroupNow| GroupWorking {
        plans: plans(facts, group),
        hours: hours(facts, group, own),
        newest_mature: newest_mature(facts, &group.id),
        live: live
            .as_ref()
            .map(|live| live.get(&group.id).copied().unwrap_or_default()),
        own_now: own.map(|own| own.now.get(&group.id).copied().unwrap_or_default()),
    };
    groups
        .iter()
        .map(|group| (group.id.clone(), of_group(group)))
        .collect()
}

fn plans(facts: &groups::Facts<'_>, group: &GroupNow) -> Vec<PlanInForce> {
    let within = facts.config.policy.ending_within.0;
    let entries = facts.ledger.plans.iter().enumerate();
    let in_force = entries.filter(|(_, entry)| group.plans.contains(&entry.plan.arn));
    in_force
        .map(|(index, entry)| {
            let commitment = commitment_now(facts.ledger, index, facts.now);
            let whole = commitment.unwrap_or_default();
            PlanInForce {
                short_id: entry.plan.short_id().to_owned(),
                commitment,
                end: entry.plan.end,
                ends_shortly: lasting(facts.ledger, &entry.plan, whole, facts.now, within) < whole,
            }
        })
        .collect()
}

fn hours(facts: &groups::Facts<'_>, group: &GroupNow, own: Option<&OwnUse>) -> Vec<HourLevel> {
    let known = facts.utilization.groups.iter().find(|known| known.id == group.id);
    let Some((known, estimate)) = known.zip(group.nowcast.as_ref()) else {
        return Vec::new();
    };
    let level = |basis: &Basis| {
        let of_hour = known.hours.get(&basis.hour)?;
        Some(HourLevel {
            hour: basis.hour,
            used: of_hour.used,
            spill: of_hour.spill,
            own: own.map(|own| own.then(&group.id, basis.hour)),
            moved: basis.moved,
        })
    };
    estimate.forecast.basis.iter().filter_map(level).collect()
}

fn newest_mature(facts: &groups::Facts<'_>, id: &GroupId) -> Option<Hour> {
    let group = facts.utilization.groups.iter().find(|group| group.id == *id)?;
    let mut mature = group.hours.iter().filter(|(_, hour)| hour.mature);
    mature.next_back().map(|(hour, _)| *hour)
}

fn live_nodes(scale: &Valuation<'_>, nodes: &[Node]) -> BTreeMap<GroupId, LiveNodes> {
    let mut found: BTreeMap<GroupId, LiveNodes> = BTreeMap::new();
    let billed = nodes.iter().filter(|node| is_billed_on_demand(node));
    for (scope, cost, _) in billed.filter_map(|node| scale.node(node)) {
        let sum = found.entry(scope).or_default();
        sum.count += 1;
        sum.cost += cost;
    }
    found
}

/// A pool that could take the pods of another, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// What it launches.
    pub role: Role,
    /// Its weight now.
    pub now: Option<i32>,
    /// Its weight after the plan.
    pub then: Option<i32>,
}

/// A pool and its rivals, the first to be tried after the plan first; and the pools of Spot that are no rivals.
#[must_use]
pub fn rivals(plan: &PoolPlan, all: &[PoolPlan]) -> (Vec<Rival>, Vec<String>) {
    let competes = |one: &PoolPlan| {
        let launches = one.pool.role() != Role::None && one.pool.is_switched_on();
        launches && one.pool.is_open_to_pods_of(&plan.pool)
    };
    let is_in = |one: &&PoolPlan| one.pool.name == plan.pool.name || competes(one);
    let mut found: Vec<Rival> = all.iter().filter(is_in).map(rival).collect();
    found.sort_by(|a, b| {
        let weight = |rival: &Rival| rival.then.unwrap_or(0);
        // Equal weights go to the later name (`weights`).
        (weight(b), &b.name).cmp(&(weight(a), &a.name))
    });
    let apart = all.iter().filter(|one| !is_in(one));
    let apart = apart.filter(|one| matches!(one.pool.role(), Role::Spot | Role::Mixed));
    (found, apart.map(|one| one.pool.name.clone()).collect())
}

fn rival(plan: &PoolPlan) -> Rival {
    Rival {
        name: plan.pool.name.clone(),
        role: plan.pool.role(),
        now: plan.pool.weight,
        then: plan.proposed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::none;
    use crate::limits::Limits;
    use brimful_karpenter::NodePool;

    fn plan(pool: NodePool, then: Option<i32>) -> PoolPlan {
        PoolPlan {
            pool,
            managed: true,
            groups: Vec::new(),
            outcome: none(String::new()),
            fits: Vec::new(),
            proposed: then,
            by_limits: false,
            limits: Limits::new(),
            shields: false,
            budgets: None,
            protection: None,
            restore: false,
            paused: false,
            left_out: Vec::new(),
            limit_sum: None,
            top_up: None,
        }
    }

    #[test]
    fn rivals_stand_in_the_order_in_which_karpenter_will_try_them() {
        let all = [
            plan(NodePool::test("a").committed().weight(10), Some(60)),
            plan(NodePool::test("b").spot().weight(50), Some(50)),
            plan(NodePool::test("c").spot().weight(50), Some(50)),
            plan(NodePool::test("d").mixed(), None),
            plan(NodePool::test("e").committed().replicas(2), None),
        ];
        let (found, apart) = rivals(&all[0], &all);
        let names: Vec<&str> = found.iter().map(|rival| rival.name.as_str()).collect();
        assert_eq!(names, ["a", "c", "b", "d"], "static pools are no rivals");
        assert_eq!((found[0].now, found[0].then), (Some(10), Some(60)));
        assert_eq!(apart, Vec::<String>::new());
    }
}
