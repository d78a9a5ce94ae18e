//! A report's past, hour by hour, as far as a replay needs it.

use std::collections::{BTreeMap, BTreeSet};

use super::steerable::{HourRun, Own, Steerable};
use crate::trace::Term;
use brimful_policy::critical_ratio::USUAL_RATIO;
use brimful_policy::identity::Identity;
use brimful_savings_plans::ledger::Ledger;
use brimful_savings_plans::savings_plan::{GroupId, Plan};
use brimful_savings_plans::utilization::{GroupUse, Utilization};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::{Error, Result};

/// No more than so many nodes are simulated: of a larger cluster, one stands for several.
const MOST_NODES: f64 = 150.0;
/// Part of the nodes that ends in an hour where the report does not tell it: nodes live for a day and a half.
const USUAL_TURNOVER: f64 = 0.03;
const LEAST_TURNOVER: f64 = 0.005;
const MOST_TURNOVER: f64 = 0.25;

/// One hour.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Past {
    /// What cannot be steered of the demand on the plans, $/h at SP rates.
    pub others: f64,
    /// What can be steered, in nodes.
    pub nodes: f64,
    /// Those of them that ran on Spot.
    pub spot: f64,
    /// Spot price of a node, $/h.
    pub spot_price: f64,
    /// What everybody used of the plans, and beyond them, as the report shows it; $/h at SP rates.
    pub demand: f64,
}

/// The past.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Its first hour, the first of a day in UTC.
    pub first: Hour,
    /// Complete hours without a gap.
    pub hours: Vec<Past>,
    /// Hours that the report lacks; the one before stands for each.
    pub gaps: usize,
    /// The plans, by hours counted from the first.
    pub plans: Vec<Term>,
    /// The groups whose plans these are.
    pub groups: BTreeSet<GroupId>,
    /// How this cluster's usage was told.
    pub own: Own,
    /// vCPU of a simulated node.
    pub node_vcpu: f64,
    /// What a node costs when a plan pays, and on demand, $/h.
    pub savings_plan: f64,
    /// On demand.
    pub on_demand: f64,
    /// True when some rate or price was not in the report.
    pub assumed_prices: bool,
    /// Part of the nodes that ends in an hour although they are needed.
    pub turnover: f64,
    /// True when the report tells it.
    pub turnover_learned: bool,
}

impl History {
    /// Reads it out of a report. `committed` are the names of managed committed pools.
    ///
    /// # Errors
    /// There is no plan, no complete hour, or nothing that could have been steered.
    pub fn of(
        ledger: &Ledger,
        utilization: &Utilization,
        identity: &Identity,
        committed: &BTreeSet<String>,
    ) -> Result<Self> {
        let all: BTreeSet<GroupId> = utilization.groups.iter().map(|group| group.id.clone()).collect();
        if all.is_empty() {
            return Err(
                Error::report("the report holds no Savings Plan that nodes can use")
                    .hint("there is nothing to fill, and so nothing to test"),
            );
        }
        let steerable = Steerable::of(ledger, &all, identity, committed);
        if steerable.node_vcpu <= 0.0 {
            return Err(nothing_steerable(identity, steerable.own));
        }
        // A plan for families that this cluster has never run is not its to fill.
        let is_near = |id: &GroupId| *id == GroupId::Compute || steerable.groups.contains(id);
        let groups: BTreeSet<GroupId> = all.into_iter().filter(is_near).collect();
        let (first, last) = span(utilization, &groups)?;
        let (demand, gaps) = demand(utilization, &groups, first, last);
        let most = steerable
            .hours
            .range(first..=last)
            .map(|(_, hour)| hour.spot + hour.on_demand);
        let node_vcpu = steerable.node_vcpu.max(most.fold(0.0, f64::max) / MOST_NODES);
        let mut spot = usual_spot(&steerable);
        let mut hours = Vec::with_capacity(demand.len());
        for (hour, demand) in (first.index()..=last.index()).map(Hour::from_index).zip(demand) {
            let run = steerable.hours.get(&hour).copied().unwrap_or_default();
            if run.spot > 0.0 && run.spot_cost > 0.0 {
                spot = run.spot_cost / run.spot;
            }
            let demand = demand.dollars();
            hours.push(Past {
                others: (demand - run.on_demand_worth).max(0.0),
                nodes: (run.spot + run.on_demand) / node_vcpu,
                spot: run.spot / node_vcpu,
                spot_price: spot * node_vcpu,
                demand,
            });
        }
        let turnover = steerable
            .turnover
            .map(|part| part.clamp(LEAST_TURNOVER, MOST_TURNOVER));
        Ok(Self {
            first,
            hours,
            gaps,
            plans: terms(ledger, &groups, first, last),
            groups,
            own: steerable.own,
            node_vcpu,
            savings_plan: steerable.savings_plan * node_vcpu,
            on_demand: steerable.on_demand * node_vcpu,
            assumed_prices: steerable.assumed,
            turnover: turnover.unwrap_or(USUAL_TURNOVER),
            turnover_learned: turnover.is_some(),
        })
    }
}

fn nothing_steerable(identity: &Identity, own: Own) -> Error {
    let whose = match (&identity.cluster, own) {
        (Some(name), Own::Tags) => format!(" of cluster {name}"),
        _ => String::new(),
    };
    Error::report(format!(
        "the report shows no Spot usage{whose}, so nothing that plans could have paid for instead"
    ))
    .hint("check cluster.name; pass --nodepools if its committed pools have already taken all of it")
}

/// Mean Spot price of the history, $ per vCPU-hour.
fn usual_spot(steerable: &Steerable) -> f64 {
    let sum = |part: fn(&HourRun) -> f64| steerable.hours.values().map(part).sum::<f64>();
    let (cost, run) = (sum(|hour| hour.spot_cost), sum(|hour| hour.spot));
    if run > 0.0 {
        cost / run
    } else {
        USUAL_RATIO * steerable.on_demand
    }
}

/// The use of these groups.
fn uses<'a>(
    utilization: &'a Utilization,
    groups: &'a BTreeSet<GroupId>,
) -> impl Iterator<Item = &'a GroupUse> {
    utilization
        .groups
        .iter()
        .filter(|group| groups.contains(&group.id))
}

/// From the first midnight with complete hours to the last complete hour.
fn span(utilization: &Utilization, groups: &BTreeSet<GroupId>) -> Result<(Hour, Hour)> {
    let mature: BTreeSet<Hour> = uses(utilization, groups)
        .flat_map(|group| group.hours.iter().filter(|(_, hour)| hour.mature))
        .map(|(hour, _)| *hour)
        .collect();
    let first = mature.iter().find(|hour| hour.of_day() == 0);
    first.copied().zip(mature.last().copied()).ok_or_else(|| {
        Error::report("the report holds no whole day of complete hours yet").hint("wait for more of it")
    })
}

/// Demand on the groups, by hour, and how many hours are missing.
fn demand(
    utilization: &Utilization,
    groups: &BTreeSet<GroupId>,
    first: Hour,
    last: Hour,
) -> (Vec<Money>, usize) {
    let mut sums: BTreeMap<Hour, Money> = BTreeMap::new();
    for group in uses(utilization, groups) {
        for (hour, of_hour) in group.hours.range(first..=last) {
            *sums.entry(*hour).or_default() += of_hour.demand();
        }
    }
    let (mut before, mut gaps) = (Money::ZERO, 0);
    let hours = (first.index()..=last.index()).map(|index| {
        match sums.get(&Hour::from_index(index)) {
            Some(demand) => before = *demand,
            None => gaps += 1,
        }
        before
    });
    (hours.collect(), gaps)
}

/// The plans of the groups, each from its first hour to its end.
fn terms(ledger: &Ledger, groups: &BTreeSet<GroupId>, first: Hour, last: Hour) -> Vec<Term> {
    let is_one = |plan: &Plan| plan.group().is_some_and(|group| groups.contains(&group));
    let plans = ledger.plans.iter().filter(|entry| is_one(&entry.plan));
    plans
        .filter_map(|entry| {
            let known = || {
                entry
                    .hours
                    .iter()
                    .filter_map(|(hour, of)| Some((*hour, of.commitment?)))
            };
            let (begins, _) = known().next()?;
            let (ends, commitment) = known().next_back()?;
            Some(Term {
                commitment: commitment.dollars(),
                from: if begins <= first {
                    i32::MIN
                } else {
                    begins.index() - first.index()
                },
                to: if ends >= last {
                    i32::MAX
                } else {
                    ends.index() + 1 - first.index()
                },
            })
        })
        .collect()
}
