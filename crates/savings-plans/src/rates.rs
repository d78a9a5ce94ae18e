//! SP rates ($/unit) as the report shows them: the account's own, no price list needed.

use std::collections::BTreeMap;

use super::ledger::{Ledger, UsageKey};
use super::savings_plan::GroupId;
use super::usage::UsageKind;
use brimful_types::money::Money;

/// What a unit of usage costs a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// $/unit.
    pub rate: Money,
    /// False when no covered row showed it and the on-demand price stands in, which understates what fits.
    pub learned: bool,
}

/// Rates by group of plans.
#[derive(Debug, Clone)]
pub struct Rates<'a> {
    ledger: &'a Ledger,
    /// Of several plans of a group the highest rate counts: AWS spends the highest saving first, so what comes and
    /// goes at the margin is paid by the dearest.
    by_group: BTreeMap<GroupId, BTreeMap<&'a UsageKey, Money>>,
    /// SP rate and on-demand price of the instances whose discount is the median of those that a group's covered rows show.
    usual: BTreeMap<GroupId, (Money, Money)>,
}

impl<'a> Rates<'a> {
    /// The rates that a report shows.
    #[must_use]
    pub fn new(ledger: &'a Ledger) -> Self {
        let mut by_group: BTreeMap<GroupId, BTreeMap<&UsageKey, Money>> = BTreeMap::new();
        for ((plan, key), rate) in &ledger.rates {
            let Some(group) = ledger.plans[*plan].plan.group() else {
                continue;
            };
            let known = by_group.entry(group).or_default().entry(key).or_insert(*rate);
            *known = (*known).max(*rate);
        }
        let usual = |(group, rates): (&GroupId, &BTreeMap<&UsageKey, Money>)| {
            let price = |key: &UsageKey| ledger.on_demand_prices.get(key).copied();
            let instances = rates.iter().filter(|(key, _)| is_instance(key));
            let pairs = instances.filter_map(|(key, rate)| Some((*rate, price(key)?)));
            let mut pairs: Vec<(Money, Money)> = pairs.collect();
            let part = |(rate, price): &(Money, Money)| rate.fraction_of(*price).unwrap_or(1.0);
            pairs.sort_by(|one, other| part(one).total_cmp(&part(other)));
            let middle = pairs.get(pairs.len() / 2).copied()?;
            Some((group.clone(), middle))
        };
        Self {
            usual: by_group.iter().filter_map(usual).collect(),
            ledger,
            by_group,
        }
    }

    /// What others' usage of `key` most likely costs the plans of `group`, $/unit: at the rate that is known, else at the
    /// on-demand price, less the discount that is usual in the group where it is an instance. No node is launched on this.
    #[must_use]
    pub fn likely(&self, group: &GroupId, key: &UsageKey) -> Option<Money> {
        let known = self.of(group, key)?;
        let usual = self
            .usual
            .get(group)
            .filter(|_| !known.learned && is_instance(key));
        Some(usual.map_or(known.rate, |(rate, price)| known.rate.share(*rate, *price)))
    }

    /// What `key` costs the plans of `group`; `None` when the report has never seen such usage.
    #[must_use]
    pub fn of(&self, group: &GroupId, key: &UsageKey) -> Option<Rate> {
        let learned = self.by_group.get(group).and_then(|rates| rates.get(key));
        let on_demand = || self.ledger.on_demand_prices.get(key);
        learned
            .map(|rate| Rate {
                rate: *rate,
                learned: true,
            })
            .or_else(|| {
                on_demand().map(|rate| Rate {
                    rate: *rate,
                    learned: false,
                })
            })
    }

    /// What `key` costs the plan of that index: at its own rate where a covered row shows it, else as
    /// [`of`](Self::of) its group, not learned then.
    #[must_use]
    pub fn of_plan(&self, plan: usize, key: &UsageKey) -> Option<Rate> {
        if let Some(rate) = self.ledger.rates.get(&(plan, key.clone())) {
            return Some(Rate {
                rate: *rate,
                learned: true,
            });
        }
        let group = self.ledger.plans[plan].plan.scope()?;
        let rate = self.of(&group, key)?.rate;
        Some(Rate { rate, learned: false })
    }

    /// Every usage whose rate is known to `group`, or whose on-demand price is.
    pub fn known(&self, group: &GroupId) -> impl Iterator<Item = (&'a UsageKey, Rate)> + '_ {
        let learned = self.by_group.get(group);
        let keys = self.ledger.on_demand_prices.keys();
        let extra = learned.into_iter().flat_map(|rates| rates.keys().copied());
        let mut all: Vec<&UsageKey> = keys.chain(extra).collect();
        all.sort_unstable();
        all.dedup();
        let group = group.clone();
        all.into_iter()
            .filter_map(move |key| Some((key, self.of(&group, key)?)))
    }
}

/// True for EC2 instances; Lambda and Fargate have discounts of their own.
fn is_instance(key: &UsageKey) -> bool {
    UsageKind::of("AmazonEC2", &key.usage_type, &key.operation) == UsageKind::OnDemandInstance
}
