//! Who pays for an hour: the order in which AWS applies Savings Plans to usage, as a pure function.
//!
//! What AWS says (Savings Plans user guide, "Understanding how Savings Plans apply to your usage"; Billing user guide,
//! "Reserved Instances and Savings Plans discount sharing"):
//! - Reserved Instances take usage first, then EC2 Instance plans, then Compute plans. Nothing carries over to another
//!   hour.
//! - The account that owns a plan comes first, then others as far as it is shared with them ([`Sharing`]).
//! - Within that the usage with the highest saving comes first (SP rate against on-demand price), of equal savings the
//!   one with the lowest SP rate, until usage or commitment runs out. Fractions of an instance-hour count.
//! - Plans of one kind apply as a group.
//!
//! What AWS leaves open, and what is done here:
//! - How a group's plans share its usage: each pair of plan and usage stands in one queue for the group, at its own
//!   saving. So every plan's owner comes before everybody else, and the plan that saves more pays first.
//! - How finely savings compare: to the millionth, for the prices in a report are rounded.
//! - Equal savings at equal rates: by the plan's ARN, then by account, usage type, operation and region. Plans with
//!   equal rates are thus used up one after the other. What a group uses in all does not depend on this.
//! - A rate that no covered row has shown yet: the plan has always run out before it came to such usage, so that waits
//!   until the plan has nothing better.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ledger::UsageKey;
use super::rates::Rate;
use super::savings_plan::{GroupId, Plan};
use super::sharing::Sharing;
use crate::money::Money;
use crate::quantity::Quantity;

/// Usage that plans may cover, of one sort in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageLine {
    /// Who uses it.
    pub account: Arc<str>,
    /// Region code.
    pub region: Arc<str>,
    /// Family of an EC2 instance; `None` for Fargate and Lambda.
    pub family: Option<Arc<str>>,
    /// What is used: usage type (which tells tenancy, too) and operation (which tells the operating system).
    pub key: UsageKey,
    /// On-demand price, $/unit; zero when it is not known, which counts as no saving.
    pub on_demand: Money,
    /// What a unit costs each plan, by the plan's index; a plan without a rate does not cover it.
    pub rates: Vec<Option<Rate>>,
}

/// How much of a line is used in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// All of it, Spot apart.
    pub quantity: Quantity,
    /// What Reserved Instances take of it, before any plan.
    pub reserved: Quantity,
}

/// What became of a plan's commitment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanShare {
    /// Used, at SP rates.
    pub used: Money,
    /// Lost.
    pub unused: Money,
}

/// What a plan paid of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Index of the plan.
    pub plan: usize,
    /// Index of the line.
    pub line: usize,
    /// How much.
    pub quantity: Quantity,
    /// At the SP rate.
    pub cost: Money,
}

/// Who paid for a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineShare {
    /// Reserved Instances.
    pub reserved: Quantity,
    /// Plans.
    pub covered: Quantity,
    /// Nobody: billed on demand.
    pub on_demand: Quantity,
}

/// An hour, paid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Application {
    /// By plan.
    pub plans: Vec<PlanShare>,
    /// By line.
    pub lines: Vec<LineShare>,
    /// In the order in which it was paid.
    pub covered: Vec<Covered>,
}

/// Where a plan stands in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Used, at SP rates.
    pub used: Money,
    /// Used, and the plan's part of what its group had to leave on demand.
    pub demand: Money,
}

/// The queue of all pairs of plan and usage; the same for every hour.
#[derive(Debug, Clone)]
pub struct Order {
    queue: Vec<Pair>,
    /// Each plan's group.
    scopes: Vec<Option<GroupId>>,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    plan: usize,
    line: usize,
    rate: Money,
}

impl Order {
    /// The queue for these plans and lines. Their order doesn't matter; lines that are equal in all should be one.
    #[must_use]
    pub fn new(plans: &[&Plan], lines: &[UsageLine], sharing: &Sharing) -> Self {
        let scopes: Vec<Option<GroupId>> = plans.iter().map(|plan| plan.scope()).collect();
        let plan_ranks = ranks(plans, |plan| plan.arn.as_str());
        let line_ranks = ranks(lines, |line| (&line.account, &line.key, &line.region));
        let mut queue = Vec::new();
        for (p, plan) in plans.iter().enumerate() {
            let Some(scope) = &scopes[p] else { continue };
            for (l, line) in lines.iter().enumerate() {
                let Some(rate) = line.rates[p].filter(|rate| rate.rate > Money::ZERO && reaches(scope, line))
                else {
                    continue;
                };
                let Some(step) = sharing.step(plan.owner.as_deref(), &line.account) else {
                    continue;
                };
                let place = (
                    *scope == GroupId::Compute,
                    step,
                    !rate.learned,
                    kept(rate.rate, line.on_demand),
                    rate.rate,
                    (plan_ranks[p], line_ranks[l]),
                );
                let pair = Pair {
                    plan: p,
                    line: l,
                    rate: rate.rate,
                };
                queue.push((place, pair));
            }
        }
        queue.sort_unstable_by_key(|(place, _)| *place);
        Self {
            queue: queue.into_iter().map(|(_, pair)| pair).collect(),
            scopes,
        }
    }

    /// Pays for one hour: commitments by plan, loads by line, as many as there are of each.
    #[must_use]
    pub fn apply(&self, commitments: &[Money], loads: &[Load]) -> Application {
        let mut purses: Vec<Money> = commitments
            .iter()
            .map(|commitment| commitment.or_zero())
            .collect();
        let mut lines: Vec<LineShare> = loads.iter().map(LineShare::before_plans).collect();
        let mut covered = Vec::new();
        for pair in &self.queue {
            let (purse, line) = (&mut purses[pair.plan], &mut lines[pair.line]);
            if *purse <= Money::ZERO || line.on_demand <= Quantity::ZERO {
                continue;
            }
            let whole = line.on_demand.at(pair.rate);
            let (quantity, cost) = if whole <= *purse {
                (line.on_demand, whole)
            } else {
                (Quantity::bought(*purse, pair.rate), *purse)
            };
            *purse -= cost;
            line.covered += quantity;
            line.on_demand = line.on_demand - quantity;
            covered.push(Covered {
                plan: pair.plan,
                line: pair.line,
                quantity,
                cost,
            });
        }
        let plans = commitments
            .iter()
            .zip(purses)
            .map(|(commitment, left)| PlanShare {
                used: commitment.or_zero() - left,
                unused: left,
            });
        Application {
            plans: plans.collect(),
            lines,
            covered,
        }
    }

    /// Used and demand of each plan in one hour. What is left on demand belongs to the first group that might have
    /// paid for it (EC2 Instance plans before Compute), at the highest rate of its plans, and to its plans by their
    /// commitments.
    #[must_use]
    pub fn standing(&self, commitments: &[Money], loads: &[Load]) -> Vec<Standing> {
        let paid = self.apply(commitments, loads);
        let spill = self.spill(commitments, &paid);
        let mut whole: BTreeMap<&GroupId, Money> = BTreeMap::new();
        for (scope, commitment) in self.scopes.iter().zip(commitments) {
            if let Some(group) = scope {
                *whole.entry(group).or_default() += commitment.or_zero();
            }
        }
        let shares = self.scopes.iter().zip(commitments).zip(&paid.plans);
        shares
            .map(|((scope, commitment), share)| {
                let part = scope
                    .as_ref()
                    .and_then(|group| Some(spill.get(group)?.share(commitment.or_zero(), whole[group])));
                Standing {
                    used: share.used,
                    demand: share.used + part.unwrap_or_default(),
                }
            })
            .collect()
    }

    /// What is left on demand, at SP rates, by the group that it belongs to.
    fn spill(&self, commitments: &[Money], paid: &Application) -> BTreeMap<&GroupId, Money> {
        let mut prices: BTreeMap<usize, (&GroupId, Money)> = BTreeMap::new();
        // The queue has EC2 Instance plans first, so the first group met is the one that would have paid first.
        for pair in &self.queue {
            let left = paid.lines[pair.line].on_demand > Quantity::ZERO;
            let Some(group) = self.scopes[pair.plan].as_ref().filter(|_| left) else {
                continue;
            };
            if commitments[pair.plan] <= Money::ZERO {
                continue; // not in force
            }
            let (first, rate) = prices.entry(pair.line).or_insert((group, pair.rate));
            if *first == group {
                *rate = (*rate).max(pair.rate);
            }
        }
        let mut spill: BTreeMap<&GroupId, Money> = BTreeMap::new();
        for (line, (group, rate)) in prices {
            *spill.entry(group).or_default() += paid.lines[line].on_demand.at(rate);
        }
        spill
    }
}

impl LineShare {
    fn before_plans(load: &Load) -> Self {
        let reserved = load
            .reserved
            .clamp(Quantity::ZERO, load.quantity.max(Quantity::ZERO));
        Self {
            reserved,
            covered: Quantity::ZERO,
            on_demand: load.quantity - reserved,
        }
    }
}

/// True for usage within what a group's plans cover.
fn reaches(scope: &GroupId, line: &UsageLine) -> bool {
    match scope {
        GroupId::Compute => true,
        GroupId::Ec2Instance { family, region } => {
            line.family.as_deref() == Some(family) && *line.region == **region
        }
    }
}

/// What a plan lets one pay of the on-demand price, in millionths: the less, the higher the saving.
fn kept(rate: Money, on_demand: Money) -> i128 {
    const WHOLE: i128 = 1_000_000;
    let price = on_demand.picos();
    if price <= 0 {
        return WHOLE;
    }
    (rate.picos() * WHOLE + price / 2) / price
}

/// The place of each item among all when sorted.
fn ranks<'a, T, K: Ord>(items: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..items.len()).collect();
    sorted.sort_by_key(|index| key(&items[*index]));
    let mut ranks = vec![0; items.len()];
    for (rank, index) in sorted.into_iter().enumerate() {
        ranks[index] = rank;
    }
    ranks
}

#[cfg(test)]
mod tests;
