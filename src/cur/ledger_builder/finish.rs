//! From what was counted, by number, to the ledger, by name and in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Class, Ends, LedgerBuilder, Newest, Used};
use brimful_savings_plans::ledger::{
    Cell, Granularity, Ledger, PlanHour, PlanLedger, Series, UsageClass, UsageKey,
};
use brimful_savings_plans::savings_plan::{Plan, PlanTexts};
use brimful_types::hour::Hour;

impl LedgerBuilder<'_> {
    /// The finished ledger.
    #[must_use]
    pub fn finish(mut self) -> Ledger {
        self.settle();
        let text = |symbol| self.symbols.text(symbol);
        let mut plans = self.plans();
        for ((arn, hour), amounts) in &self.hours {
            if let Some(plan) = plans.get_mut(&text(*arn)) {
                let suspect = amounts.suspect || self.unreadable_rows.contains_key(hour);
                plan.hours.insert(*hour, PlanHour { suspect, ..*amounts });
            }
        }
        let index: BTreeMap<Arc<str>, usize> = plans.keys().cloned().zip(0..).collect();
        let key = |usage_type, operation| UsageKey {
            usage_type: text(usage_type),
            operation: text(operation),
        };
        let rates = self
            .rates
            .iter()
            .filter_map(|((arn, usage_type, operation), Newest(_, rate))| {
                Some(((*index.get(&text(*arn))?, key(*usage_type, *operation)), *rate))
            });
        let spot = self.spot_list_prices.iter().map(|((usage_type, _), price)| {
            let usage_type = text(*usage_type).replace("SpotUsage", "BoxUsage").into();
            let operation = "RunInstances".into();
            (
                UsageKey {
                    usage_type,
                    operation,
                },
                *price,
            )
        });
        let mut on_demand_prices: BTreeMap<UsageKey, Newest> = BTreeMap::new();
        for (key, price) in spot {
            let newest = on_demand_prices.entry(key).or_insert(price);
            *newest = (*newest).max(price);
        }
        on_demand_prices.extend(self.prices.iter().map(|((u, o), price)| (key(*u, *o), *price)));
        let (series, cells) = self.usage(&index);
        let granularity = self.fees.longest().or(self.covered.longest());
        let newest = |ends: &Ends| {
            // Part-hours end early; what counts is the end of their hour.
            let hours = ends.hours.map(Hour::end);
            match granularity {
                Some(Granularity::Hourly) | None => hours,
                _ => hours.max(ends.longer.and_then(|(_, end)| time(end))),
            }
        };
        let currencies = plans
            .values()
            .filter_map(|plan| plan.plan.currency.clone())
            .collect();
        Ledger {
            rates: rates.collect(),
            described_rates: BTreeMap::new(),
            on_demand_prices: on_demand_prices
                .into_iter()
                .map(|(k, Newest(_, price))| (k, price))
                .collect(),
            series,
            cells,
            newest_by_region: self
                .newest_by_region
                .iter()
                .filter_map(|(region, end)| Some((text(*region).to_string(), newest(end)?)))
                .collect(),
            covered_regions: self
                .covered_regions
                .keys()
                .filter_map(|(arn, region)| Some((*index.get(&text(*arn))?, text(*region).to_string())))
                .collect(),
            newest_usage: newest(&self.newest_usage),
            granularity,
            unreadable_rows: self.timeless_rows + self.unreadable_rows.values().sum::<u64>(),
            regions: self.regions_of_usage_types(),
            currencies,
            plans: plans.into_values().collect(),
        }
    }

    /// Region by usage type. Where rows contradict each other (they never should), the last by name counts.
    fn regions_of_usage_types(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        let mut known: Vec<_> = self
            .regions
            .iter()
            .map(|((_, usage), (region, _))| (self.symbols.text(*usage), self.symbols.text(*region)))
            .collect();
        known.sort_unstable();
        known
            .into_iter()
            .filter(|(_, region)| !region.is_empty())
            .collect()
    }

    /// Plans by ARN: of several descriptions the one of the newest `RecurringFee` row counts.
    fn plans(&self) -> BTreeMap<Arc<str>, PlanLedger> {
        let mut best: BTreeMap<Arc<str>, ((bool, Hour), PlanTexts)> = BTreeMap::new();
        // Fees mostly don't fill the family's column, nor those of FOCUS the region's; covered usage does.
        let mut families: BTreeMap<Arc<str>, (Hour, String)> = BTreeMap::new();
        let mut regions: BTreeMap<Arc<str>, (Hour, String)> = BTreeMap::new();
        for ((arn, facts, is_fee), newest) in &self.facts {
            let [
                offering_type,
                usage_type,
                product_code,
                payment_option,
                region,
                family,
                start,
                end,
                account,
                currency,
            ] = facts.map(|fact| self.symbols.text(fact).to_string());
            let texts = PlanTexts {
                offering_type,
                usage_type,
                product_code,
                payment_option,
                region,
                family,
                start,
                end,
                account,
                currency,
            };
            let arn = self.symbols.text(*arn);
            for (known, text) in [(&mut families, &texts.family), (&mut regions, &texts.region)] {
                if !text.is_empty() {
                    let known = known
                        .entry(Arc::clone(&arn))
                        .or_insert_with(|| (*newest, text.clone()));
                    *known = known.clone().max((*newest, text.clone()));
                }
            }
            let candidate = ((*is_fee, *newest), texts);
            match best.get_mut(&arn) {
                Some(known) if *known >= candidate => {}
                Some(known) => *known = candidate,
                None => {
                    best.insert(arn, candidate);
                }
            }
        }
        best.into_iter()
            .map(|(arn, (_, mut texts))| {
                if let Some((_, family)) = families.remove(&arn).filter(|_| texts.family.is_empty()) {
                    texts.family = family;
                }
                if let Some((_, region)) = regions.remove(&arn).filter(|_| texts.region.is_empty()) {
                    texts.region = region;
                }
                let plan = Plan::read(&arn, &texts);
                (
                    arn,
                    PlanLedger {
                        plan,
                        hours: BTreeMap::new(),
                    },
                )
            })
            .collect()
    }

    /// What was used, by number.
    pub(super) fn all_used(&self) -> Vec<Used> {
        let mut all: Vec<(u32, Used)> = self.used.iter().map(|(used, number)| (*number, *used)).collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, used)| used).collect()
    }

    fn usage(&self, plans: &BTreeMap<Arc<str>, usize>) -> (Vec<Series>, Vec<Cell>) {
        let text = |symbol| self.symbols.text(symbol);
        let all_used = self.all_used();
        let mut by_number: Vec<_> = self.series.iter().collect();
        by_number.sort_unstable_by_key(|(_, number)| **number);
        let mut all: Vec<(Series, u32)> = by_number
            .into_iter()
            .filter_map(|(key, number)| {
                let used = &all_used[key.used as usize];
                let series = Series {
                    class: match used.class {
                        Class::OnDemand => UsageClass::OnDemand,
                        Class::Spot => UsageClass::Spot,
                        Class::Reserved => UsageClass::Reserved,
                        Class::Covered(arn) => UsageClass::Covered(*plans.get(&text(arn))?),
                    },
                    is_instance: used.is_instance,
                    usage_type: text(used.usage_type),
                    operation: text(used.operation),
                    region: text(used.region),
                    account: text(key.account),
                    cluster: text(key.cluster),
                    node_pool: text(key.node_pool),
                };
                Some((series, *number))
            })
            .collect();
        // Those of a part that was kept come in order, which this sort makes use of.
        all.sort();
        let mut renumbered = vec![0; self.series.len()];
        for (new, (_, old)) in all.iter().enumerate() {
            renumbered[*old as usize] = u32::try_from(new).unwrap_or(u32::MAX);
        }
        let mut cells: Vec<Cell> = self
            .cells
            .iter()
            .map(|((series, hour), (amount, picos))| Cell {
                hour: *hour,
                series: renumbered[*series as usize],
                amount: *amount,
                picos: *picos,
            })
            .collect();
        cells.sort_unstable();
        (all.into_iter().map(|(series, _)| series).collect(), cells)
    }
}

fn time(millis: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
}
