//! What one more node of an instance type costs a group of plans.

use std::collections::BTreeMap;

use crate::commitment::ledger::Ledger;
use crate::commitment::rates::Rates;
use crate::commitment::region;
use crate::commitment::savings_plan::GroupId;
use crate::commitment::usage::instance_type;
use crate::money::Money;

/// Where a rate comes from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A covered row of the report shows it.
    Learned,
    /// The on-demand price stands in: it understates what fits.
    OnDemand,
    /// The report has never seen the type: a price per vCPU that most types stay below.
    Assumed,
}

/// $/h of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// $/h.
    pub rate: Money,
    /// Where it comes from.
    pub source: Source,
}

/// On-demand $/h per vCPU that general, compute and memory families stay below in most regions (EC2 price list:
/// m5 0.048, c5 0.0425, r5 0.063 in us-east-1).
const ASSUMED_PER_VCPU: i64 = 70; // thousandths of a dollar

/// Where a node runs: its region (if known) and operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement<'a> {
    /// Region code.
    pub region: Option<&'a str>,
    /// `linux` or `windows`.
    pub os: &'a str,
}

type ByPlace = BTreeMap<(String, String), Price>; // (region, operation)

/// Node prices by group and instance type.
#[derive(Debug, Clone)]
pub struct Prices(BTreeMap<GroupId, BTreeMap<String, ByPlace>>);

impl Prices {
    /// The prices that a report shows, for `groups`.
    #[must_use]
    pub fn new<'a>(ledger: &Ledger, groups: impl Iterator<Item = &'a GroupId>) -> Self {
        let rates = Rates::new(ledger);
        let by_group = groups.map(|group| {
            let mut by_type: BTreeMap<String, ByPlace> = BTreeMap::new();
            for (key, rate) in rates
                .known(group)
                .filter(|(key, _)| key.usage_type.contains("BoxUsage:"))
            {
                let from_prefix = || region::of_usage_type(&key.usage_type);
                let Some(region) = ledger
                    .regions
                    .get(&key.usage_type)
                    .map(|r| &**r)
                    .or_else(from_prefix)
                else {
                    continue;
                };
                let source = if rate.learned {
                    Source::Learned
                } else {
                    Source::OnDemand
                };
                let price = Price {
                    rate: rate.rate,
                    source,
                };
                let places = by_type
                    .entry(instance_type(&key.usage_type).to_owned())
                    .or_default();
                places.insert((region.to_owned(), key.operation.to_string()), price);
            }
            (group.clone(), by_type)
        });
        Self(by_group.collect())
    }

    /// What the report shows for one more node; of an unknown region the dearest place counts.
    #[must_use]
    pub fn seen(&self, group: &GroupId, name: &str, place: Placement<'_>) -> Option<Price> {
        let operation = if place.os == "windows" {
            "RunInstances:0002"
        } else {
            "RunInstances"
        };
        let places = self.0.get(group)?.get(name)?;
        let fits =
            |(region, op): &(String, String)| op == operation && place.region.is_none_or(|r| r == region);
        places
            .iter()
            .filter(|(key, _)| fits(key))
            .map(|(_, price)| *price)
            .max_by_key(|price| price.rate)
    }

    /// The same, assuming a price per vCPU where the report shows none.
    #[must_use]
    pub fn of(&self, group: &GroupId, name: &str, place: Placement<'_>, vcpu: Option<u32>) -> Option<Price> {
        self.seen(group, name, place).or_else(|| {
            let per_vcpu = Money::from_picos(i128::from(ASSUMED_PER_VCPU) * 1_000_000_000);
            Some(Price {
                rate: per_vcpu * i64::from(vcpu?),
                source: Source::Assumed,
            })
        })
    }
}
