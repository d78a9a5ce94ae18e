//! Folds line items into a ledger, in any order and from any thread, always to the same result.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::{FxHashMap, FxHashSet};

use super::ledger::{Cell, Granularity, Ledger, PlanHour, PlanLedger, Series, UsageClass, UsageKey};
use super::region;
use super::savings_plan::{Plan, PlanTexts};
use super::usage::{LineItemType, UsageKind};
use crate::cur::batch::LineItems;
use crate::cur::columns::{Number, Text, Time};
use crate::cur::symbols::{Symbol, Symbols};
use crate::hour::Hour;
use crate::money::Money;
use crate::quantity::Quantity;
use crate::{Error, Result};

const HOUR_MILLIS: i64 = 3_600_000;

/// A ledger in the making.
#[derive(Debug)]
pub struct LedgerBuilder<'a> {
    symbols: &'a Symbols,
    /// Hours to keep; the horizon is taken from all rows.
    window: Option<Range<Hour>>,
    line_types: Memo<LineItemType>,
    /// False for usage types that no product bills as coverable or Spot usage: most rows end here.
    may_matter: Memo<bool>,
    kinds: FxHashMap<(Symbol, Symbol, Symbol), UsageKind>,
    regions: FxHashMap<(Symbol, Symbol), Symbol>,
    hours: FxHashMap<(Symbol, Hour), PlanHour>,
    facts: FxHashMap<(Symbol, [Symbol; FACTS.len()]), (bool, Hour)>,
    rates: FxHashMap<(Symbol, Symbol, Symbol), Newest>,
    prices: FxHashMap<(Symbol, Symbol), Newest>,
    spot_list_prices: FxHashMap<(Symbol, Symbol), Newest>,
    series: FxHashMap<SeriesKey, u32>,
    cells: FxHashMap<(u32, Hour), (Quantity, i64)>,
    newest_by_region: FxHashMap<Symbol, i64>,
    covered_regions: FxHashSet<(Symbol, Symbol)>,
    newest_usage: Option<i64>,
    longest_row: Option<i64>,
    unreadable_rows: u64,
    /// Hours with usage that cannot be read: what the plans were asked for in them is unknown.
    unreadable_hours: FxHashSet<Hour>,
}

/// Text facts that describe a plan, in the order of [`PlanTexts`]' fields.
const FACTS: [Text; 10] = [
    Text::OfferingType,
    Text::UsageType,
    Text::ProductCode,
    Text::PaymentOption,
    Text::PlanRegion,
    Text::PlanFamily,
    Text::PlanStart,
    Text::PlanEnd,
    Text::UsageAccount,
    Text::Currency,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    OnDemand,
    Spot,
    Covered(Symbol),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SeriesKey {
    class: Class,
    is_instance: bool,
    usage_type: Symbol,
    operation: Symbol,
    region: Symbol,
    account: Symbol,
    cluster: Symbol,
    node_pool: Symbol,
}

/// The largest amount seen at the newest hour: independent of row order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Newest(Hour, Money);

/// A property of strings, computed once per string.
#[derive(Debug)]
struct Memo<T> {
    known: Vec<Option<T>>,
    of: fn(&str) -> T,
}

impl<T: Copy> Memo<T> {
    fn new(of: fn(&str) -> T) -> Self {
        Self { known: Vec::new(), of }
    }

    #[inline]
    fn get(&mut self, symbol: Symbol, symbols: &Symbols) -> T {
        match self.known.get(symbol.index()) {
            Some(Some(value)) => *value,
            _ => self.compute(symbol, symbols),
        }
    }

    fn compute(&mut self, symbol: Symbol, symbols: &Symbols) -> T {
        let value = (self.of)(&symbols.text(symbol));
        if self.known.len() <= symbol.index() {
            self.known.resize(symbol.index() + 1, None);
        }
        self.known[symbol.index()] = Some(value);
        value
    }
}

/// The hour of a row, and its length.
#[derive(Debug, Clone, Copy)]
struct Span {
    hour: Hour,
    end: i64,
    length: i64,
}

impl<'a> LedgerBuilder<'a> {
    /// A builder for the hours of `window` (all when `None`), whose strings come from `symbols`.
    #[must_use]
    pub fn new(symbols: &'a Symbols, window: Option<Range<Hour>>) -> Self {
        Self {
            symbols,
            window,
            line_types: Memo::new(LineItemType::of),
            may_matter: Memo::new(may_matter),
            kinds: FxHashMap::default(),
            regions: FxHashMap::default(),
            hours: FxHashMap::default(),
            facts: FxHashMap::default(),
            rates: FxHashMap::default(),
            prices: FxHashMap::default(),
            spot_list_prices: FxHashMap::default(),
            series: FxHashMap::default(),
            cells: FxHashMap::default(),
            newest_by_region: FxHashMap::default(),
            covered_regions: FxHashSet::default(),
            newest_usage: None,
            longest_row: None,
            unreadable_rows: 0,
            unreadable_hours: FxHashSet::default(),
        }
    }

    /// Adds a batch of line items.
    ///
    /// # Errors
    /// An hour's usage or cost is beyond what one report can hold.
    pub fn add(&mut self, items: &LineItems) -> Result<()> {
        for row in 0..items.rows() {
            let line_type = self.line_types.get(items.text(Text::LineItemType, row), self.symbols);
            match line_type {
                LineItemType::Usage => {
                    if self.may_matter.get(items.text(Text::UsageType, row), self.symbols) {
                        self.add_usage(items, row)?;
                    }
                }
                LineItemType::CoveredUsage => self.add_covered(items, row)?,
                LineItemType::RecurringFee => self.add_fee(items, row),
                LineItemType::DiscountedUsage => self.add_discounted(items, row),
                LineItemType::Other => {}
            }
        }
        Ok(())
    }

    fn add_fee(&mut self, items: &LineItems, row: usize) {
        let Some(span) = self.span(items, row) else { return };
        self.note_length(span);
        let arn = items.text(Text::PlanArn, row);
        let (total, used) = (items.number(Number::TotalCommitment, row), items.number(Number::UsedCommitment, row));
        self.note_plan(items, row, arn, true, span.hour);
        if arn.is_empty() || !self.keeps(span.hour) {
            return;
        }
        let entry = self.hours.entry((arn, span.hour)).or_default();
        match (Money::from_dollars(total), Money::from_dollars(used)) {
            (Some(total), Some(used)) => {
                *entry.commitment.get_or_insert_default() += total;
                entry.used += used;
            }
            _ => {
                entry.suspect = true;
                self.unreadable_rows += 1;
            }
        }
    }

    fn add_covered(&mut self, items: &LineItems, row: usize) -> Result<()> {
        let Some(span) = self.span(items, row) else { return Ok(()) };
        self.note_length(span);
        let arn = items.text(Text::PlanArn, row);
        self.note_plan(items, row, arn, false, span.hour);
        let kind = self.kind(items, row);
        self.note_newest(items, row, kind, span);
        if arn.is_empty() || !self.keeps(span.hour) {
            return Ok(());
        }
        let cost = Money::from_dollars(items.number(Number::EffectiveCost, row));
        let entry = self.hours.entry((arn, span.hour)).or_default();
        match cost {
            Some(cost) => entry.covered += cost,
            None => {
                entry.suspect = true;
                self.unreadable_rows += 1;
            }
        }
        let usage = (items.text(Text::UsageType, row), items.text(Text::Operation, row));
        if let Some(rate) = Money::from_dollars(items.number(Number::PlanRate, row)).filter(|r| *r > Money::ZERO) {
            newest(&mut self.rates, (arn, usage.0, usage.1), span.hour, rate);
        }
        self.note_price(items, row, usage, span.hour);
        let region = self.region(items, row);
        self.covered_regions.insert((arn, region));
        let tagged = !items.text(Text::ClusterTag, row).is_empty() || !items.text(Text::NodePoolTag, row).is_empty();
        match cost {
            Some(cost) if tagged && kind != UsageKind::Other => {
                self.add_cell(items, row, Class::Covered(arn), kind, span.hour, cost)
            }
            _ => Ok(()),
        }
    }

    fn add_usage(&mut self, items: &LineItems, row: usize) -> Result<()> {
        let kind = self.kind(items, row);
        if kind == UsageKind::Other {
            return Ok(());
        }
        let Some(span) = self.span(items, row) else { return Ok(()) };
        if kind.is_instance() {
            self.note_length(span);
        }
        self.note_newest(items, row, kind, span);
        if !self.keeps(span.hour) {
            return Ok(());
        }
        let usage = (items.text(Text::UsageType, row), items.text(Text::Operation, row));
        let Some(cost) = Money::from_dollars(items.number(Number::UnblendedCost, row)) else {
            self.note_unreadable(span.hour);
            return Ok(());
        };
        if kind == UsageKind::SpotInstance {
            // A Spot row knows its type's list price, which may be all there is when a plan lies idle.
            if let Some(price) = list_price(items, row) {
                newest(&mut self.spot_list_prices, usage, span.hour, price);
            }
            return self.add_cell(items, row, Class::Spot, kind, span.hour, cost);
        }
        self.note_price(items, row, usage, span.hour);
        self.add_cell(items, row, Class::OnDemand, kind, span.hour, cost)
    }

    /// RI-covered usage takes precedence over plans; here it only tells how far the report reaches.
    fn add_discounted(&mut self, items: &LineItems, row: usize) {
        let kind = self.kind(items, row);
        if let Some(span) = self.span(items, row).filter(|_| kind.is_instance()) {
            self.note_newest(items, row, kind, span);
        }
    }

    fn add_cell(&mut self, items: &LineItems, row: usize, class: Class, kind: UsageKind, hour: Hour, cost: Money) -> Result<()> {
        let (cluster, node_pool) = (items.text(Text::ClusterTag, row), items.text(Text::NodePoolTag, row));
        let tagged = !cluster.is_empty() || !node_pool.is_empty();
        let key = SeriesKey {
            class,
            is_instance: kind.is_instance(),
            usage_type: items.text(Text::UsageType, row),
            operation: items.text(Text::Operation, row),
            region: self.region(items, row),
            account: if tagged { items.text(Text::UsageAccount, row) } else { Symbol::EMPTY },
            cluster,
            node_pool,
        };
        let Some(amount) = Quantity::from_units(items.number(Number::UsageAmount, row)) else {
            self.note_unreadable(hour);
            return Ok(());
        };
        let next = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        let series = *self.series.entry(key).or_insert(next);
        let (amounts, costs) = self.cells.entry((series, hour)).or_default();
        let cost = i64::try_from(cost.picos()).ok();
        match (amounts.checked_add(amount), cost.and_then(|cost| costs.checked_add(cost))) {
            (Some(amount), Some(cost)) => (*amounts, *costs) = (amount, cost),
            _ => {
                let usage_type = self.symbols.text(key.usage_type);
                return Err(Error::report(format!("{hour}: usage of {usage_type} is beyond $9 million an hour"))
                    .hint("the report's numbers cannot be right: export it again"));
            }
        }
        Ok(())
    }

    fn kind(&mut self, items: &LineItems, row: usize) -> UsageKind {
        let key = (
            items.text(Text::ProductCode, row),
            items.text(Text::UsageType, row),
            items.text(Text::Operation, row),
        );
        let symbols = self.symbols;
        *self
            .kinds
            .entry(key)
            .or_insert_with(|| UsageKind::of(&symbols.text(key.0), &symbols.text(key.1), &symbols.text(key.2)))
    }

    fn region(&mut self, items: &LineItems, row: usize) -> Symbol {
        let (region, usage_type) = (items.text(Text::Region, row), items.text(Text::UsageType, row));
        let symbols = self.symbols;
        *self.regions.entry((region, usage_type)).or_insert_with(|| {
            let written = region::code_of(&symbols.text(region));
            let usage_type = symbols.text(usage_type);
            let code = written.as_deref().or_else(|| region::of_usage_type(&usage_type));
            symbols.intern(std::iter::once(code))[0]
        })
    }

    /// The row's hour; `None` (and counted) when its times cannot be read.
    fn span(&mut self, items: &LineItems, row: usize) -> Option<Span> {
        let (start, end) = (items.millis(Time::Start, row), items.millis(Time::End, row));
        let span = start.zip(end).and_then(|(start, end)| {
            Some(Span {
                hour: Hour::of_millis(start)?,
                end,
                length: end - start,
            })
        });
        self.unreadable_rows += u64::from(span.is_none());
        span
    }

    fn keeps(&self, hour: Hour) -> bool {
        self.window.as_ref().is_none_or(|window| window.contains(&hour))
    }

    fn note_unreadable(&mut self, hour: Hour) {
        self.unreadable_rows += 1;
        self.unreadable_hours.insert(hour);
    }

    fn note_length(&mut self, span: Span) {
        self.longest_row = self.longest_row.max(Some(span.length));
    }

    fn note_newest(&mut self, items: &LineItems, row: usize, kind: UsageKind, span: Span) {
        if kind == UsageKind::Other {
            return;
        }
        // Part-hours end early; what counts is the end of their hour. Longer rows are a daily report's.
        let end = if span.length <= HOUR_MILLIS {
            i64::from(span.hour.plus(1).index()) * HOUR_MILLIS
        } else {
            span.end
        };
        self.newest_usage = self.newest_usage.max(Some(end));
        if kind.is_instance() {
            let region = self.region(items, row);
            let newest = self.newest_by_region.entry(region).or_insert(end);
            *newest = (*newest).max(end);
        }
    }

    fn note_plan(&mut self, items: &LineItems, row: usize, arn: Symbol, is_fee: bool, hour: Hour) {
        if arn.is_empty() {
            return;
        }
        let facts = FACTS.map(|fact| match fact {
            // Of a covered row these tell about the usage, not about the plan.
            Text::UsageType | Text::ProductCode | Text::UsageAccount if !is_fee => Symbol::EMPTY,
            fact => items.text(fact, row),
        });
        let newest = self.facts.entry((arn, facts)).or_insert((is_fee, hour));
        *newest = (*newest).max((is_fee, hour));
    }

    fn note_price(&mut self, items: &LineItems, row: usize, usage: (Symbol, Symbol), hour: Hour) {
        let price = list_price(items, row).or_else(|| per_unit(items, row, items.number(Number::UnblendedCost, row)));
        if let Some(price) = price {
            newest(&mut self.prices, usage, hour, price);
        }
    }

    /// The finished ledger.
    #[must_use]
    pub fn finish(self) -> Ledger {
        let text = |symbol| self.symbols.text(symbol);
        let mut plans = self.plans();
        for ((arn, hour), amounts) in &self.hours {
            if let Some(plan) = plans.get_mut(&text(*arn)) {
                let suspect = amounts.suspect || self.unreadable_hours.contains(hour);
                plan.hours.insert(*hour, PlanHour { suspect, ..*amounts });
            }
        }
        let index: BTreeMap<Arc<str>, usize> = plans.keys().cloned().zip(0..).collect();
        let key = |usage_type, operation| UsageKey {
            usage_type: text(usage_type),
            operation: text(operation),
        };
        let rates = self.rates.iter().filter_map(|((arn, usage_type, operation), Newest(_, rate))| {
            Some(((*index.get(&text(*arn))?, key(*usage_type, *operation)), *rate))
        });
        let spot = self.spot_list_prices.iter().map(|((usage_type, _), price)| {
            let usage_type = text(*usage_type).replace("SpotUsage", "BoxUsage").into();
            let operation = "RunInstances".into();
            (UsageKey { usage_type, operation }, *price)
        });
        let mut on_demand_prices: BTreeMap<UsageKey, Newest> = BTreeMap::new();
        for (key, price) in spot {
            let newest = on_demand_prices.entry(key).or_insert(price);
            *newest = (*newest).max(price);
        }
        on_demand_prices.extend(self.prices.iter().map(|((u, o), price)| (key(*u, *o), *price)));
        let (series, cells) = self.usage(&index);
        let granularity = self.longest_row.map(|length| match length {
            ..=HOUR_MILLIS => Granularity::Hourly,
            ..=90_000_000 => Granularity::Daily, // 25 h: a day in which clocks go back, where days are local
            _ => Granularity::Monthly,
        });
        let currencies = plans.values().filter_map(|plan| plan.plan.currency.clone()).collect();
        Ledger {
            rates: rates.collect(),
            on_demand_prices: on_demand_prices.into_iter().map(|(k, Newest(_, price))| (k, price)).collect(),
            series,
            cells,
            newest_by_region: self
                .newest_by_region
                .iter()
                .filter_map(|(region, end)| Some((text(*region).to_string(), time(*end)?)))
                .collect(),
            covered_regions: self
                .covered_regions
                .iter()
                .filter_map(|(arn, region)| Some((*index.get(&text(*arn))?, text(*region).to_string())))
                .collect(),
            newest_usage: self.newest_usage.and_then(time),
            granularity,
            unreadable_rows: self.unreadable_rows,
            currencies,
            plans: plans.into_values().collect(),
        }
    }

    /// Plans by ARN: of several descriptions the one of the newest `RecurringFee` row counts.
    fn plans(&self) -> BTreeMap<Arc<str>, PlanLedger> {
        let mut best: BTreeMap<Arc<str>, ((bool, Hour), PlanTexts)> = BTreeMap::new();
        // Fees mostly don't fill the family's column; covered usage does.
        let mut families: BTreeMap<Arc<str>, (Hour, String)> = BTreeMap::new();
        for ((arn, facts), newest) in &self.facts {
            let [offering_type, usage_type, product_code, payment_option, region, family, start, end, account, currency] =
                facts.map(|fact| self.symbols.text(fact).to_string());
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
            if !texts.family.is_empty() {
                let known = families.entry(Arc::clone(&arn)).or_insert_with(|| (newest.1, texts.family.clone()));
                *known = known.clone().max((newest.1, texts.family.clone()));
            }
            let candidate = (*newest, texts);
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

    fn usage(&self, plans: &BTreeMap<Arc<str>, usize>) -> (Vec<Series>, Vec<Cell>) {
        let text = |symbol| self.symbols.text(symbol);
        let mut all: Vec<(Series, u32)> = self
            .series
            .iter()
            .filter_map(|(key, number)| {
                let series = Series {
                    class: match key.class {
                        Class::OnDemand => UsageClass::OnDemand,
                        Class::Spot => UsageClass::Spot,
                        Class::Covered(arn) => UsageClass::Covered(*plans.get(&text(arn))?),
                    },
                    is_instance: key.is_instance,
                    usage_type: text(key.usage_type),
                    operation: text(key.operation),
                    region: text(key.region),
                    account: text(key.account),
                    cluster: text(key.cluster),
                    node_pool: text(key.node_pool),
                };
                Some((series, *number))
            })
            .collect();
        all.sort_unstable();
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

fn newest<K: std::hash::Hash + Eq>(map: &mut FxHashMap<K, Newest>, key: K, hour: Hour, amount: Money) {
    let entry = map.entry(key).or_insert(Newest(hour, amount));
    *entry = (*entry).max(Newest(hour, amount));
}

fn list_price(items: &LineItems, row: usize) -> Option<Money> {
    per_unit(items, row, items.number(Number::OnDemandCost, row))
}

fn per_unit(items: &LineItems, row: usize, cost: f64) -> Option<Money> {
    let amount = items.number(Number::UsageAmount, row);
    (cost > 0.0 && amount > 0.0)
        .then(|| Money::from_dollars((cost / amount * 1e9).round() / 1e9))
        .flatten()
}

/// Whether any product's rows of this usage type could matter; spares the other rows a closer look.
fn may_matter(usage_type: &str) -> bool {
    ["AmazonEC2", "AmazonECS", "AWSLambda"]
        .iter()
        .any(|product| UsageKind::of(product, usage_type, "RunInstances") != UsageKind::Other)
}

fn time(millis: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
}
