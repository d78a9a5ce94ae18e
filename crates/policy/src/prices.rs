//! What one more node of an instance type costs a group of plans.

use std::collections::BTreeMap;

use brimful_karpenter::InstanceType;
use brimful_savings_plans::ledger::{Ledger, Series};
use brimful_savings_plans::rates::Rates;
use brimful_savings_plans::region;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::usage::{family, instance_type};
use brimful_types::money::Money;

/// Where a rate comes from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A covered row of the report shows it.
    Learned,
    /// The report has not seen it; AWS describes it (`savingsplans:DescribeSavingsPlanRates`).
    Described,
    /// Covered rows show other sizes of its family, of whose rates this is its part by size.
    Family,
    /// The on-demand price stands in: it understates what fits.
    OnDemand,
    /// The report has never seen the type: a price per vCPU that most types stay below.
    Assumed,
}

impl Source {
    /// True for SP rates; else something stands in for one.
    #[must_use]
    pub fn is_plan_rate(self) -> bool {
        matches!(self, Self::Learned | Self::Described | Self::Family)
    }
}

/// $/h of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price {
    /// $/h.
    pub rate: Money,
    /// Where it comes from.
    pub source: Source,
}

/// On-demand $/h per vCPU that general, compute and memory families (a, c, m, r, t) stay below in most regions (EC2 price
/// list: m5 0.048, c5 0.0425, r5 0.063 in us-east-1). Others, such as those with GPUs, cost many times that: they have no
/// price where nothing states one.
const ASSUMED_PER_VCPU: i64 = 70; // thousandths of a dollar

/// Where a node runs: its region (if known) and operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement<'a> {
    /// Region code.
    pub region: Option<&'a str>,
    /// `linux` or `windows`.
    pub os: &'a str,
}

type ByPlace<T> = BTreeMap<(String, String), T>; // (region, operation)

/// Node prices by group.
#[derive(Debug, Clone)]
pub struct Prices(BTreeMap<GroupId, OfGroup>);

/// What a group pays.
#[derive(Debug, Clone, Default)]
struct OfGroup {
    /// By instance type.
    types: BTreeMap<String, ByPlace<Price>>,
    /// SP rates of a quarter of a unit of size (`InstanceType::quarter_units`), by family: of several sizes the dearest.
    families: BTreeMap<String, ByPlace<Money>>,
}

impl OfGroup {
    fn new(ledger: &Ledger, rates: &Rates<'_>, group: &GroupId) -> Self {
        let mut found = Self::default();
        let boxes = rates
            .known(group)
            .filter(|(key, _)| key.usage_type.contains("BoxUsage:"));
        for (key, rate) in boxes {
            let from_prefix = || region::of_usage_type(&key.usage_type);
            let known = ledger.regions.get(&key.usage_type).map(|r| &**r);
            let Some(region) = known.or_else(from_prefix) else {
                continue;
            };
            let place = (region.to_owned(), key.operation.to_string());
            let name = instance_type(&key.usage_type);
            let source = if rate.learned {
                if let Some(units) = InstanceType::quarter_units(name) {
                    let unit = Money::from_picos(rate.rate.picos() / i128::from(units));
                    let families = found.families.entry(family(name).to_owned()).or_default();
                    let dearest = families.entry(place.clone()).or_insert(unit);
                    *dearest = (*dearest).max(unit);
                }
                Source::Learned
            } else {
                Source::OnDemand
            };
            let price = Price {
                rate: rate.rate,
                source,
            };
            found
                .types
                .entry(name.to_owned())
                .or_default()
                .insert(place, price);
        }
        found.refine();
        found.describe(ledger, group);
        found
    }

    /// Puts the family's rate in place of on-demand prices. No SP rate is above those.
    fn refine(&mut self) {
        for (name, places) in &mut self.types {
            let units = InstanceType::quarter_units(name);
            let Some((units, family)) = units.zip(self.families.get(family(name))) else {
                continue;
            };
            for (place, price) in places {
                let by_family = family.get(place).map(|unit| *unit * units);
                if let Some(rate) =
                    by_family.filter(|rate| price.source == Source::OnDemand && *rate < price.rate)
                {
                    *price = Price {
                        rate,
                        source: Source::Family,
                    };
                }
            }
        }
    }

    /// Puts described rates where none was learned; of several plans' the highest, as of learned ones.
    fn describe(&mut self, ledger: &Ledger, group: &GroupId) {
        for ((plan, key), rate) in &ledger.described_rates {
            let entry = &ledger.plans[*plan].plan;
            let region = region::of_usage_type(&key.usage_type);
            let (Some(region), true) = (region, entry.group().as_ref() == Some(group)) else {
                continue;
            };
            let places = self
                .types
                .entry(instance_type(&key.usage_type).to_owned())
                .or_default();
            let price = Price {
                rate: *rate,
                source: Source::Described,
            };
            let known = places
                .entry((region.to_owned(), key.operation.to_string()))
                .or_insert(price);
            match known.source {
                Source::Learned => {}
                Source::Described => known.rate = known.rate.max(*rate),
                _ => *known = price,
            }
        }
    }

    fn by_family(&self, name: &str, place: Placement<'_>) -> Option<Price> {
        let units = InstanceType::quarter_units(name)?;
        let rate = place.dearest(self.families.get(family(name))?)? * units;
        Some(Price {
            rate,
            source: Source::Family,
        })
    }
}

/// EC2's operation of Windows instances.
const WINDOWS: &str = "RunInstances:0002";

impl<'a> Placement<'a> {
    /// Where a series of the report ran.
    #[must_use]
    pub fn of(series: &'a Series) -> Self {
        let is_windows = series.operation.split(":SV").next() == Some(WINDOWS);
        Self {
            region: Some(&series.region),
            os: if is_windows { "windows" } else { "linux" },
        }
    }

    /// The value of this place; of an unknown region the largest counts.
    fn dearest<T: Ord + Copy>(self, places: &ByPlace<T>) -> Option<T> {
        let operation = if self.os == "windows" {
            WINDOWS
        } else {
            "RunInstances"
        };
        let fits =
            |(region, op): &(String, String)| op == operation && self.region.is_none_or(|r| r == region);
        let found = places.iter().filter(|(key, _)| fits(key));
        found.map(|(_, value)| *value).max()
    }
}

/// True for families whose price follows their vCPU.
fn is_plain(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| "acmrt".contains(first))
        && letters.next().is_some_and(|second| second.is_ascii_digit())
}

impl Prices {
    /// The prices that a report shows, for `groups`.
    #[must_use]
    pub fn new<'a>(ledger: &Ledger, groups: impl Iterator<Item = &'a GroupId>) -> Self {
        let rates = Rates::new(ledger);
        let by_group = groups.map(|group| (group.clone(), OfGroup::new(ledger, &rates, group)));
        Self(by_group.collect())
    }

    /// What the report shows for one more node.
    #[must_use]
    pub fn seen(&self, group: &GroupId, name: &str, place: Placement<'_>) -> Option<Price> {
        place.dearest(self.0.get(group)?.types.get(name)?)
    }

    /// The same of all types that the report has priced there, by name.
    pub fn all_seen<'a>(
        &'a self,
        group: &GroupId,
        place: Placement<'a>,
    ) -> impl Iterator<Item = (&'a str, Price)> {
        let types = self.0.get(group).into_iter().flat_map(|group| &group.types);
        types.filter_map(move |(name, places)| Some((name.as_str(), place.dearest(places)?)))
    }

    /// The same, by other sizes of the family or else by an assumed price per vCPU where the report shows none; `None`
    /// where that would be a guess.
    #[must_use]
    pub fn of(&self, group: &GroupId, name: &str, place: Placement<'_>, vcpu: Option<u32>) -> Option<Price> {
        let by_family = || self.0.get(group)?.by_family(name, place);
        self.seen(group, name, place).or_else(by_family).or_else(|| {
            if !is_plain(name) {
                return None;
            }
            let per_vcpu = Money::from_picos(i128::from(ASSUMED_PER_VCPU) * 1_000_000_000);
            Some(Price {
                rate: per_vcpu * i64::from(vcpu?),
                source: Source::Assumed,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brimful_savings_plans::ledger::{PlanLedger, UsageKey};
    use brimful_savings_plans::savings_plan::{Plan, PlanKind};

    const OHIO: Placement<'_> = Placement {
        region: Some("us-east-2"),
        os: "linux",
    };

    fn dollars(amount: f64) -> Money {
        Money::from_dollars(amount).unwrap()
    }

    fn key(usage_type: &str) -> UsageKey {
        UsageKey {
            usage_type: usage_type.into(),
            operation: "RunInstances".into(),
        }
    }

    /// One Compute plan that has paid m5.xlarge at $0.12, t3.large at $0.04 and g5.xlarge at $0.7; m5.4xlarge and
    /// c5.large were seen on demand only.
    fn ledger() -> Ledger {
        let plan = Plan {
            arn: "arn:aws:savingsplans::111122223333:savingsplan/c".to_owned(),
            kind: PlanKind::Compute,
            region: None,
            family: None,
            owner: None,
            payment_option: None,
            start: None,
            end: None,
            currency: None,
            stopped: None,
            returned: None,
            unclear: Vec::new(),
            listed: None,
            shared: true,
        };
        let rate = |name: &str, rate| ((0, key(&format!("USE2-BoxUsage:{name}"))), dollars(rate));
        let on_demand = |name: &str, price| (key(&format!("USE2-BoxUsage:{name}")), dollars(price));
        Ledger {
            plans: vec![PlanLedger {
                plan,
                hours: BTreeMap::new(),
            }],
            rates: BTreeMap::from([
                rate("m5.xlarge", 0.12),
                rate("t3.large", 0.04),
                rate("g5.xlarge", 0.7),
            ]),
            on_demand_prices: BTreeMap::from([on_demand("m5.4xlarge", 0.768), on_demand("c5.large", 0.085)]),
            ..Ledger::default()
        }
    }

    fn prices() -> Prices {
        Prices::new(&ledger(), [GroupId::Compute].iter())
    }

    fn price(name: &str, place: Placement<'_>) -> (Money, Source) {
        let found = prices().of(&GroupId::Compute, name, place, Some(2)).unwrap();
        (found.rate, found.source)
    }

    #[test]
    fn a_size_that_was_never_seen_costs_its_part_of_the_familys_rate() {
        assert_eq!(price("m5.xlarge", OHIO), (dollars(0.12), Source::Learned));
        assert_eq!(price("m5.large", OHIO), (dollars(0.06), Source::Family));
        assert_eq!(price("m5.metal", OHIO), (dollars(2.88), Source::Family)); // as m5.24xlarge
        // All small sizes of a burstable family have two vCPU, and each costs half of the next.
        assert_eq!(price("t3.small", OHIO), (dollars(0.01), Source::Family));
    }

    #[test]
    fn the_familys_rate_stands_in_for_an_on_demand_price_too() {
        assert_eq!(price("m5.4xlarge", OHIO), (dollars(0.48), Source::Family));
        assert_eq!(price("c5.large", OHIO), (dollars(0.085), Source::OnDemand));
    }

    #[test]
    fn a_described_rate_stands_in_for_all_but_a_learned_one() {
        let mut ledger = ledger();
        let described = |name: &str, rate| ((0, key(&format!("USE2-BoxUsage:{name}"))), dollars(rate));
        ledger.described_rates = BTreeMap::from([
            described("m5.xlarge", 0.13),
            described("m5.large", 0.061),
            described("c5.large", 0.05),
            described("g5.2xlarge", 0.9),
        ]);
        let prices = Prices::new(&ledger, [GroupId::Compute].iter());
        let price = |name| {
            let found = prices.of(&GroupId::Compute, name, OHIO, Some(2)).unwrap();
            (found.rate, found.source)
        };
        assert_eq!(price("m5.xlarge"), (dollars(0.12), Source::Learned));
        assert_eq!(price("m5.large"), (dollars(0.061), Source::Described));
        assert_eq!(price("c5.large"), (dollars(0.05), Source::Described));
        assert_eq!(price("g5.2xlarge"), (dollars(0.9), Source::Described));
        assert_eq!(price("m5.2xlarge"), (dollars(0.24), Source::Family));
    }

    #[test]
    fn another_region_or_system_or_a_family_of_uneven_prices_tells_nothing() {
        let oregon = Placement {
            region: Some("us-west-2"),
            ..OHIO
        };
        let windows = Placement {
            os: "windows",
            ..OHIO
        };
        for place in [oregon, windows] {
            assert_eq!(price("m5.large", place), (dollars(0.14), Source::Assumed));
        }
        let uneven = prices().of(&GroupId::Compute, "g5.2xlarge", OHIO, Some(8));
        assert_eq!(uneven, None, "with a GPU a vCPU tells nothing of the price");
        let anywhere = Placement { region: None, ..OHIO };
        assert_eq!(price("m5.large", anywhere), (dollars(0.06), Source::Family));
    }
}
