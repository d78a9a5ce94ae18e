//! From what was counted, by number, to the ledger, by name and in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Class, Ends, LedgerBuilder, Newest, SeriesKey, beyond};
use crate::symbols::Symbol;
use brimful_savings_plans::ledger::{
    Cell, Granularity, Ledger, PlanHour, PlanLedger, Series, UsageClass, UsageKey,
};
use brimful_savings_plans::savings_plan::{Covered, Plan, PlanTexts};
use brimful_types::Result;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// What rows say of a plan: whether they are fees, the newest hour, and the texts.
type Described = ((bool, Hour), PlanTexts);

impl LedgerBuilder {
    /// The finished ledger.
    ///
    /// # Errors
    /// An hour's usage or cost is beyond what one report can hold.
    pub fn finish(mut self) -> Result<Ledger> {
        self.settle()?;
        let text = |symbol| self.symbols.text(symbol);
        let mut plans = self.plans();
        for ((arn, hour), amounts) in &self.counts.hours {
            if let Some(plan) = plans.get_mut(&text(*arn)) {
                let suspect = amounts.suspect || self.counts.unreadable_rows.contains_key(hour);
                plan.hours.insert(*hour, PlanHour { suspect, ..*amounts });
            }
        }
        plans.values_mut().for_each(PlanLedger::guess_end);
        self.mark_returned(&mut plans);
        let index: BTreeMap<Arc<str>, usize> = plans.keys().cloned().zip(0..).collect();
        let granularity = self.counts.fees.longest().or(self.counts.covered.longest());
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
        let ledger = Ledger {
            rates: self.rates(&index),
            described_rates: BTreeMap::new(),
            on_demand_prices: self.on_demand_prices(),
            newest_by_region: self
                .counts
                .newest_by_region
                .iter()
                .filter_map(|(region, end)| Some((text(*region).to_string(), newest(end)?)))
                .collect(),
            covered_regions: self.covered_regions(&index),
            newest_usage: newest(&self.counts.newest_usage),
            granularity,
            unreadable_rows: self.counts.timeless_rows + self.counts.unreadable_rows.values().sum::<u64>(),
            has_no_times: self.counts.timeless_rows > 0 && !self.counts.has_times,
            regions: self.regions_of_usage_types(),
            currencies,
            plans: plans.into_values().collect(),
            ..Ledger::default()
        };
        let (series, cells) = self.usage(&index)?;
        Ok(Ledger {
            series,
            cells,
            ..ledger
        })
    }

    /// The newest SP rate of each plan and usage.
    fn rates(&self, index: &BTreeMap<Arc<str>, usize>) -> BTreeMap<(usize, UsageKey), Money> {
        let rates = self.counts.rates.iter();
        let rates = rates.filter_map(|((arn, usage_type, operation), Newest(_, rate))| {
            let plan = *index.get(&self.symbols.text(*arn))?;
            Some(((plan, self.usage_key(*usage_type, *operation)), *rate))
        });
        rates.collect()
    }

    /// Where each plan has paid for something.
    fn covered_regions(&self, index: &BTreeMap<Arc<str>, usize>) -> BTreeSet<(usize, String)> {
        let text = |symbol| self.symbols.text(symbol);
        let regions = self.counts.covered_regions.keys();
        let regions =
            regions.filter_map(|(arn, region)| Some((*index.get(&text(*arn))?, text(*region).to_string())));
        regions.collect()
    }

    fn usage_key(&self, usage_type: Symbol, operation: Symbol) -> UsageKey {
        UsageKey {
            usage_type: self.symbols.text(usage_type),
            operation: self.symbols.text(operation),
        }
    }

    /// List prices: a Spot row's where no other row has one.
    fn on_demand_prices(&self) -> BTreeMap<UsageKey, Money> {
        let text = |symbol| self.symbols.text(symbol);
        let key = |usage_type, operation| self.usage_key(usage_type, operation);
        let spot = self
            .counts
            .spot_list_prices
            .iter()
            .map(|((usage_type, _), price)| {
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
        on_demand_prices.extend(
            self.counts
                .prices
                .iter()
                .map(|((u, o), price)| (key(*u, *o), *price)),
        );
        let prices = on_demand_prices.into_iter();
        prices.map(|(key, Newest(_, price))| (key, price)).collect()
    }

    /// Region by usage type. Where rows contradict each other (they never should), the last by name counts.
    fn regions_of_usage_types(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        let mut known: Vec<_> = self
            .counts
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

    /// Plans by ARN: of several descriptions the one of the newest fee counts. What it leaves open (FOCUS's fees the region,
    /// most fees the family), the others fill in.
    fn plans(&self) -> BTreeMap<Arc<str>, PlanLedger> {
        let mut described: BTreeMap<Arc<str>, Vec<Described>> = BTreeMap::new();
        for ((arn, facts, is_fee), newest) in &self.counts.facts {
            let texts = PlanTexts::from(facts.map(|fact| self.symbols.text(fact).to_string()));
            described
                .entry(self.symbols.text(*arn))
                .or_default()
                .push(((*is_fee, *newest), texts));
        }
        let mut covered = self.covered_by_plans();
        described
            .into_iter()
            .map(|(arn, mut described)| {
                described.sort_unstable_by(|a, b| b.cmp(a));
                let mut described = described.into_iter().map(|(_, texts)| texts);
                let mut texts = described.next().unwrap_or_default();
                described.for_each(|other| texts.fill(other));
                let plan = Plan::read(&arn, &texts, &covered.remove(&arn).unwrap_or_default());
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

    /// What each plan covered.
    fn covered_by_plans(&self) -> BTreeMap<Arc<str>, Covered> {
        let mut all: BTreeMap<Arc<str>, Covered> = BTreeMap::new();
        for (arn, usage_type, operation) in self.counts.rates.keys() {
            let [usage_type, operation] = [usage_type, operation].map(|text| self.symbols.text(*text));
            all.entry(self.symbols.text(*arn))
                .or_default()
                .add_usage(&usage_type, &operation);
        }
        for (arn, region) in self.counts.covered_regions.keys() {
            all.entry(self.symbols.text(*arn))
                .or_default()
                .add_region(&self.symbols.text(*region));
        }
        all
    }

    /// Marks the plans that refunds name as ended.
    fn mark_returned(&self, plans: &mut BTreeMap<Arc<str>, PlanLedger>) {
        for ((arn, description), hour) in &self.counts.refunds {
            let (arn, description) = (self.symbols.text(*arn), self.symbols.text(*description));
            let is_of = |plan: &str| {
                if arn.is_empty() {
                    names(&description, plan)
                } else {
                    *arn == *plan
                }
            };
            let mut found = plans.iter_mut().filter(|(plan, _)| is_of(plan));
            // The beginning of an id may be that of two: then neither is meant for sure.
            if let (Some((_, entry)), None) = (found.next(), found.next()) {
                // Without a time of its own it counts for all of the plan.
                let first = || entry.hours.keys().next().map(|hour| hour.start());
                let since = hour.map(Hour::start).or(entry.plan.start).or_else(first);
                entry.plan.returned = entry.plan.returned.max(since);
                entry.plan.stopped = entry.plan.returned;
            }
        }
    }

    /// Series in their order, and the cells of each.
    fn usage(mut self, plans: &BTreeMap<Arc<str>, usize>) -> Result<(Vec<Series>, Vec<Vec<Cell>>)> {
        let usage = std::mem::take(&mut self.counts.usage);
        let text = |symbol| self.symbols.text(symbol);
        let all_used = usage.all_used();
        let series = |key: SeriesKey| {
            let used = &all_used[key.used as usize];
            Some(Series {
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
            })
        };
        let all = usage.all_series().into_iter().map(series).zip(0..);
        let mut all: Vec<(Series, u32)> = all.filter_map(|(series, old)| Some((series?, old))).collect();
        // Those of a part that was kept come in order, which this sort makes use of.
        all.sort();
        let order: Vec<u32> = all.iter().map(|(_, old)| *old).collect();
        let cells = usage.into_cells(&order);
        let cells = cells.map_err(|sum| beyond(&self.symbols, sum.usage_type, sum.hour))?;
        Ok((all.into_iter().map(|(series, _)| series).collect(), cells))
    }
}

/// True when a refund's text names that plan: "Refund for one-time fee for Savings Plan ID: 70352035…", by the whole id or its
/// beginning.
fn names(description: &str, arn: &str) -> bool {
    let id = arn.rsplit('/').next().unwrap_or_default();
    let is_of_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    description
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .any(|word| word.len() >= 8 && word.chars().all(is_of_id) && id.starts_with(word))
}

fn time(millis: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
}
