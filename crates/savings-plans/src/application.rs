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
//! - How finely savings are compared: to the millionth, since the prices in a report are rounded.
//! - Equal savings at equal rates: by the plan's ARN, then by account, usage type, operation and region. Plans with
//!   equal rates are thus used up one after the other. What a group uses in all does not depend on this.
//! - Where no covered row has shown a rate yet: the plan always ran out before it came to such usage, so that comes
//!   after all usage whose rate is known, of the same accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ledger::UsageKey;
use super::rates::Rate;
use super::savings_plan::{GroupId, Plan};
use super::sharing::Sharing;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

/// Usage that plans may cover, of one sort in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageLine {
    /// Who uses it.
    pub account: Arc<str>,
    /// Region code.
    pub region: Arc<str>,
    /// Family of an EC2 instance; `None` for Fargate and Lambda.
    pub family: Option<Arc<str>>,
    /// What is used: usage type (which has the tenancy in it) and operation (which stands for the operating system).
    pub key: UsageKey,
    /// On-demand price, $/unit; zero when it is not known, which counts as no saving.
    pub on_demand: Money,
    /// What a unit costs each plan, by the plan's index; a plan without a rate does not cover it.
    pub rates: Arc<[Option<Rate>]>,
}

/// How much of a line is used in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// All of it, Spot apart.
    pub quantity: Quantity,
    /// What Reserved Instances take of it, before any plan.
    pub reserved: Quantity,
}

/// How much of a plan's commitment was used, and how much was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanShare {
    /// Used, at SP rates.
    pub used: Money,
    /// Lost.
    pub unused: Money,
}

/// A payment: how much of a line a plan paid for.
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
    /// Used, and the plan's part of what its group could not pay for.
    pub demand: Money,
}

/// The queue of all pairs of plan and usage; the same for every hour.
#[derive(Debug, Clone)]
pub struct Order {
    queue: Vec<Pair>,
    /// Plans and lines by their ranks.
    plans: Vec<usize>,
    lines: Vec<usize>,
    /// Each plan's group.
    scopes: Vec<Option<GroupId>>,
}

/// A plan and usage that it may pay for; sorted as AWS pays. Kept small: a large organization has a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    is_compute: bool,
    step: u8,
    is_unseen: bool,
    /// The part of the on-demand price that the plan's rate is, in millionths: the lower, the higher the saving.
    kept: u64,
    rate: Money,
    plan_rank: u32,
    line_rank: u32,
}

impl Order {
    /// The queue for these plans and lines. Their order doesn't matter; lines that are equal in all should be one.
    #[must_use]
    pub fn new(plans: &[&Plan], lines: &[UsageLine], sharing: &Sharing) -> Self {
        let scopes: Vec<Option<GroupId>> = plans.iter().map(|plan| plan.scope()).collect();
        let by_rank = sorted(plans, |plan| plan.arn.as_str());
        let lines_by_rank = sorted(lines, |line| (&line.account, &line.key, &line.region));
        let mut queue = Vec::new();
        for (plan_rank, plan) in (0..).zip(&by_rank) {
            let Some(scope) = &scopes[*plan] else { continue };
            let owner = plans[*plan].owner.as_deref();
            for (line_rank, line) in (0..).zip(&lines_by_rank) {
                let line = &lines[*line];
                let Some(rate) = line.rates[*plan].filter(|rate| rate.rate > Money::ZERO) else {
                    continue;
                };
                let Some(step) = sharing
                    .step(owner, &line.account)
                    .filter(|_| reaches(scope, line))
                else {
                    continue;
                };
                queue.push(Pair {
                    is_compute: *scope == GroupId::Compute,
                    step,
                    is_unseen: !rate.learned,
                    kept: kept(rate.rate, line.on_demand),
                    rate: rate.rate,
                    plan_rank,
                    line_rank,
                });
            }
        }
        queue.sort_unstable();
        Self {
            queue,
            plans: by_rank,
            lines: lines_by_rank,
            scopes,
        }
    }

    /// The queue with indices of plan and line.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize, Money)> {
        self.queue.iter().map(|pair| {
            let (plan, line) = (pair.plan_rank as usize, pair.line_rank as usize);
            (self.plans[plan], self.lines[line], pair.rate)
        })
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
        let mut open = purses.iter().filter(|purse| **purse > Money::ZERO).count();
        for (plan, line, rate) in self.pairs() {
            if open == 0 {
                break;
            }
            let (purse, share) = (&mut purses[plan], &mut lines[line]);
            if *purse <= Money::ZERO || share.on_demand <= Quantity::ZERO {
                continue;
            }
            let whole = share.on_demand.at(rate);
            let (quantity, cost) = if whole <= *purse {
                (share.on_demand, whole)
            } else {
                (Quantity::bought(*purse, rate), *purse)
            };
            *purse -= cost;
            open -= usize::from(*purse == Money::ZERO);
            share.covered += quantity;
            share.on_demand = share.on_demand - quantity;
            covered.push(Covered {
                plan,
                line,
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
        for (plan, line, rate) in self.pairs() {
            let left = paid.lines[line].on_demand > Quantity::ZERO;
            let Some(group) = self.scopes[plan].as_ref().filter(|_| left) else {
                continue;
            };
            if commitments[plan] <= Money::ZERO {
                continue; // not in force
            }
            let (first, price) = prices.entry(line).or_insert((group, rate));
            if *first == group {
                *price = (*price).max(rate);
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

/// See [`Pair::kept`].
fn kept(rate: Money, on_demand: Money) -> u64 {
    const WHOLE: u64 = 1_000_000;
    let price = on_demand.picos();
    if price <= 0 {
        return WHOLE;
    }
    let kept = (rate.picos().saturating_mul(WHOLE.into()) + price / 2) / price;
    u64::try_from(kept).unwrap_or(u64::MAX)
}

/// The indices of the items, sorted by key.
fn sorted<'a, T, K: Ord>(items: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..items.len()).collect();
    indices.sort_by_key(|index| key(&items[*index]));
    indices
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
