//! Folds line items into a ledger, in any order and from any thread, always to the same result.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::ledger::PlanHour;
use super::region;
use super::usage::{LineItemType, UsageKind};
use crate::cur::columns::{Detail, Number, Text, Time};
use crate::cur::facts::Facts;
use crate::cur::pages::{Relevance, RowFilter};
use crate::cur::symbols::{Symbol, Symbols};
use crate::hour::Hour;
use crate::money::Money;
use crate::quantity::Quantity;
use crate::{Error, Result};

use memo::{Memo, may_matter};
use newest::{Ends, Lengths, Newest, Span, latest, newest};

/// A ledger in the making.
#[derive(Debug)]
pub struct LedgerBuilder<'a> {
    symbols: &'a Symbols,
    /// Hours to keep. Rows that begin before them are not looked at, so that it makes no difference whether the scan
    /// has skipped them; later ones still describe plans and tell how far the report reaches.
    window: Option<Range<Hour>>,
    detail: Detail,
    line_types: Memo<LineItemType>,
    /// False for usage types that no product bills as coverable or Spot usage: most rows end here.
    may_matter: Memo<bool>,
    kinds: FxHashMap<(Symbol, Symbol, Symbol), UsageKind>,
    /// Region code by what the row says and its usage type, and the newest hour of such a row.
    regions: FxHashMap<(Symbol, Symbol), (Symbol, Hour)>,
    hours: FxHashMap<(Symbol, Hour), PlanHour>,
    /// Newest hour by plan, by what its rows say of it, and by whether they are fees.
    facts: FxHashMap<(Symbol, [Symbol; FACTS.len()], bool), Hour>,
    rates: FxHashMap<(Symbol, Symbol, Symbol), Newest>,
    prices: FxHashMap<(Symbol, Symbol), Newest>,
    spot_list_prices: FxHashMap<(Symbol, Symbol), Newest>,
    series: FxHashMap<SeriesKey, u32>,
    cells: FxHashMap<(u32, Hour), (Quantity, i64)>,
    newest_by_region: FxHashMap<Symbol, Ends>,
    /// Newest hour by plan and region.
    covered_regions: FxHashMap<(Symbol, Symbol), Hour>,
    newest_usage: Ends,
    /// How long fee rows and covered rows are, which tells the report's granularity.
    fees: Lengths,
    covered: Lengths,
    /// Rows whose hour cannot be read, and those of a known hour that hold something else unreadable.
    timeless_rows: u64,
    unreadable_rows: FxHashMap<Hour, u64>,
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
    Reserved,
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

/// What the cost of a covered row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Covers {
    /// Use, which a fee row states as well, beside the commitment.
    Use,
    /// Use, and a part of the commitment: there is no fee row.
    UseAndCommitment,
}

impl<'a> LedgerBuilder<'a> {
    /// A builder for the hours of `window` (all when `None`), whose strings come from `symbols`.
    #[must_use]
    pub fn new(symbols: &'a Symbols, window: Option<Range<Hour>>, detail: Detail) -> Self {
        Self {
            symbols,
            window,
            detail,
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
            covered_regions: FxHashMap::default(),
            newest_usage: Ends::default(),
            fees: Lengths::default(),
            covered: Lengths::default(),
            timeless_rows: 0,
            unreadable_rows: FxHashMap::default(),
        }
    }

    /// Rows that it makes something of, and few others.
    pub const FILTER: RowFilter = RowFilter {
        line_type: |text| match LineItemType::of(text) {
            LineItemType::Usage => Relevance::ByUsageType,
            LineItemType::Other => Relevance::None,
            _ => Relevance::All,
        },
        usage_type: may_matter,
    };

    /// Where its strings come from.
    #[must_use]
    pub fn symbols(&self) -> &'a Symbols {
        self.symbols
    }

    /// Adds a batch of line items.
    ///
    /// # Errors
    /// An hour's usage or cost is beyond what one report can hold.
    pub fn add(&mut self, items: &impl Facts) -> Result<()> {
        for row in 0..items.rows() {
            let line_type = self
                .line_types
                .get(items.text(Text::LineItemType, row), self.symbols);
            match line_type {
                LineItemType::Usage => {
                    if self
                        .may_matter
                        .get(items.text(Text::UsageType, row), self.symbols)
                    {
                        self.add_usage(items, row)?;
                    } else if items.lacks_services() {
                        self.note_any(items, row);
                    }
                }
                LineItemType::CoveredUsage => self.add_covered(items, row, Covers::Use)?,
                LineItemType::Used => {
                    if items.lacks_services() {
                        self.note_any(items, row);
                    }
                    self.add_covered(items, row, Covers::UseAndCommitment)?;
                }
                LineItemType::Unused => self.add_unused(items, row),
                LineItemType::Purchase => {
                    if let Some(span) = self.span(items, row) {
                        self.note_plan(items, row, items.text(Text::PlanArn, row), true, span.hour);
                    }
                }
                LineItemType::RecurringFee => self.add_fee(items, row),
                LineItemType::DiscountedUsage => self.add_discounted(items, row)?,
                LineItemType::Other => {}
            }
        }
        Ok(())
    }

    fn add_fee(&mut self, items: &impl Facts, row: usize) {
        let Some(span) = self.span(items, row) else { return };
        self.fees.note(span);
        let arn = items.text(Text::PlanArn, row);
        let (total, used) = (
            items.dollars(Number::TotalCommitment, row),
            items.dollars(Number::UsedCommitment, row),
        );
        self.note_plan(items, row, arn, true, span.hour);
        if arn.is_empty() || !self.keeps(span.hour) {
            return;
        }
        let entry = self.hours.entry((arn, span.hour)).or_default();
        match (total, used) {
            (Some(total), Some(used)) => {
                *entry.commitment.get_or_insert_default() += total;
                entry.used += used;
            }
            _ => {
                entry.suspect = true;
                self.note_unreadable(span.hour, items.line_items(row));
            }
        }
    }

    fn add_covered(&mut self, items: &impl Facts, row: usize, covers: Covers) -> Result<()> {
        let Some(span) = self.span(items, row) else {
            return Ok(());
        };
        self.covered.note(span);
        let arn = items.text(Text::PlanArn, row);
        self.note_plan(items, row, arn, false, span.hour);
        let kind = self.kind(items, row);
        self.note_newest(items, row, kind, span);
        if arn.is_empty() || !self.keeps(span.hour) {
            return Ok(());
        }
        let cost = items.dollars(Number::EffectiveCost, row);
        let entry = self.hours.entry((arn, span.hour)).or_default();
        match cost {
            Some(cost) => {
                entry.covered += cost;
                if covers == Covers::UseAndCommitment {
                    entry.used += cost;
                    *entry.commitment.get_or_insert_default() += cost;
                }
            }
            None => {
                entry.suspect = true;
                self.note_unreadable(span.hour, items.line_items(row));
            }
        }
        let usage = (items.text(Text::UsageType, row), items.text(Text::Operation, row));
        if let Some(rate) = items.plan_rate(row).filter(|rate| *rate > Money::ZERO) {
            newest(&mut self.rates, (arn, usage.0, usage.1), span.hour, rate);
        }
        self.note_price(items, row, usage, span.hour);
        let region = self.region(items, row, span.hour);
        latest(&mut self.covered_regions, (arn, region), span.hour);
        match cost {
            // Who is covered by what: the order in which AWS applies plans is replayed on it.
            Some(cost) if self.detail == Detail::Usage && kind != UsageKind::Other => {
                self.add_cell(items, row, Class::Covered(arn), kind, span.hour, cost)
            }
            _ => Ok(()),
        }
    }

    fn add_usage(&mut self, items: &impl Facts, row: usize) -> Result<()> {
        let kind = self.kind(items, row);
        if kind == UsageKind::Other {
            return Ok(());
        }
        let Some(span) = self.span(items, row) else {
            return Ok(());
        };
        self.note_newest(items, row, kind, span);
        if !self.keeps(span.hour) {
            return Ok(());
        }
        if kind == UsageKind::SpotInstance && self.detail == Detail::Plans {
            return Ok(());
        }
        let usage = (items.text(Text::UsageType, row), items.text(Text::Operation, row));
        let Some(cost) = items.dollars(Number::UnblendedCost, row) else {
            self.note_unreadable(span.hour, items.line_items(row));
            return Ok(());
        };
        if kind == UsageKind::SpotInstance {
            // A Spot row knows its type's list price, which may be all there is when a plan lies idle.
            if let Some(price) = items.price_beyond_billed(row) {
                newest(&mut self.spot_list_prices, usage, span.hour, price);
            }
            return self.add_cell(items, row, Class::Spot, kind, span.hour, cost);
        }
        self.note_price(items, row, usage, span.hour);
        self.add_cell(items, row, Class::OnDemand, kind, span.hour, cost)
    }

    /// RI-covered usage takes precedence over plans. It tells how far the report reaches, and which of this cluster's
    /// live nodes cost the plans nothing.
    fn add_discounted(&mut self, items: &impl Facts, row: usize) -> Result<()> {
        let kind = self.kind(items, row);
        if kind != UsageKind::OnDemandInstance {
            return Ok(());
        }
        let Some(span) = self.span(items, row) else {
            return Ok(());
        };
        self.note_newest(items, row, kind, span);
        if self.keeps(span.hour) && is_tagged(items, row) {
            return self.add_cell(items, row, Class::Reserved, kind, span.hour, Money::ZERO);
        }
        Ok(())
    }

    fn add_cell(
        &mut self,
        items: &impl Facts,
        row: usize,
        class: Class,
        kind: UsageKind,
        hour: Hour,
        cost: Money,
    ) -> Result<()> {
        let (cluster, node_pool) = (
            items.text(Text::ClusterTag, row),
            items.text(Text::NodePoolTag, row),
        );
        let key = SeriesKey {
            class,
            is_instance: kind.is_instance(),
            usage_type: items.text(Text::UsageType, row),
            operation: items.text(Text::Operation, row),
            region: self.region(items, row, hour),
            account: match self.detail {
                Detail::Usage => items.text(Text::UsageAccount, row),
                Detail::Plans => Symbol::EMPTY,
            },
            cluster,
            node_pool,
        };
        let Some(amount) = items.amount(row) else {
            self.note_unreadable(hour, items.line_items(row));
            return Ok(());
        };
        let series = (self.number_of(key), key.usage_type);
        self.add_to_cell(series, hour, amount, cost)
    }

    /// The number of a series, a new one for a new series.
    fn number_of(&mut self, key: SeriesKey) -> u32 {
        let next = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        *self.series.entry(key).or_insert(next)
    }

    /// Adds to the cell of a series, given by number and usage type.
    fn add_to_cell(
        &mut self,
        (series, usage_type): (u32, Symbol),
        hour: Hour,
        amount: Quantity,
        cost: Money,
    ) -> Result<()> {
        let (amounts, costs) = self.cells.entry((series, hour)).or_default();
        let cost = i64::try_from(cost.picos()).ok();
        match (
            amounts.checked_add(amount),
            cost.and_then(|cost| costs.checked_add(cost)),
        ) {
            (Some(amount), Some(cost)) => (*amounts, *costs) = (amount, cost),
            _ => {
                let usage_type = self.symbols.text(usage_type);
                return Err(Error::report(format!(
                    "{hour}: usage of {usage_type} is beyond $9 million an hour"
                ))
                .hint("the report's numbers cannot be right: export it again"));
            }
        }
        Ok(())
    }

    fn kind(&mut self, items: &impl Facts, row: usize) -> UsageKind {
        let key = (
            items.text(Text::ProductCode, row),
            items.text(Text::UsageType, row),
            items.text(Text::Operation, row),
        );
        let symbols = self.symbols;
        *self.kinds.entry(key).or_insert_with(|| {
            UsageKind::of(&symbols.text(key.0), &symbols.text(key.1), &symbols.text(key.2))
        })
    }

    fn region(&mut self, items: &impl Facts, row: usize, hour: Hour) -> Symbol {
        let (region, usage_type) = (items.text(Text::Region, row), items.text(Text::UsageType, row));
        let symbols = self.symbols;
        let (code, newest) = self.regions.entry((region, usage_type)).or_insert_with(|| {
            let written = region::code_of(&symbols.text(region));
            let usage_type = symbols.text(usage_type);
            let code = written.as_deref().or_else(|| region::of_usage_type(&usage_type));
            (symbols.intern(std::iter::once(code))[0], hour)
        });
        *newest = (*newest).max(hour);
        *code
    }

    /// The row's hour; `None` when it lies before the window, and (counted) when its times cannot be read.
    fn span(&mut self, items: &impl Facts, row: usize) -> Option<Span> {
        let (start, end) = (items.millis(Time::Start, row), items.millis(Time::End, row));
        let hour = start.and_then(Hour::of_millis);
        if hour.is_some_and(|hour| !self.begins_by(hour)) {
            return None;
        }
        let span = start.zip(end).zip(hour).map(|((start, end), hour)| Span {
            hour,
            end,
            length: end - start,
        });
        if span.is_none() {
            self.timeless_rows += items.line_items(row);
        }
        span
    }

    fn note_unreadable(&mut self, hour: Hour, rows: u64) {
        *self.unreadable_rows.entry(hour).or_default() += rows;
    }

    /// False for what lies before the window.
    fn begins_by(&self, hour: Hour) -> bool {
        self.window.as_ref().is_none_or(|window| window.start <= hour)
    }

    fn keeps(&self, hour: Hour) -> bool {
        self.window.as_ref().is_none_or(|window| window.contains(&hour))
    }

    fn note_newest(&mut self, items: &impl Facts, row: usize, kind: UsageKind, span: Span) {
        if kind == UsageKind::Other {
            return;
        }
        self.newest_usage.note(span);
        if kind.is_instance() {
            let region = self.region(items, row, span.hour);
            self.newest_by_region.entry(region).or_default().note(span);
        }
    }

    fn note_plan(&mut self, items: &impl Facts, row: usize, arn: Symbol, is_fee: bool, hour: Hour) {
        if arn.is_empty() {
            return;
        }
        let facts = FACTS.map(|fact| match fact {
            // Of a covered row these tell about the usage, not about the plan.
            Text::UsageType | Text::ProductCode | Text::UsageAccount if !is_fee => Symbol::EMPTY,
            fact => items.text(fact, row),
        });
        latest(&mut self.facts, (arn, facts, is_fee), hour);
    }

    fn note_price(&mut self, items: &impl Facts, row: usize, usage: (Symbol, Symbol), hour: Hour) {
        if let Some(price) = items.price(row) {
            newest(&mut self.prices, usage, hour, price);
        }
    }
}

/// True for rows that a tag assigns to a cluster or a NodePool.
fn is_tagged(items: &impl Facts, row: usize) -> bool {
    [Text::ClusterTag, Text::NodePoolTag]
        .iter()
        .any(|tag| !items.text(*tag, row).is_empty())
}

mod finish;
mod focus;
mod memo;
mod newest;
pub(crate) mod partial;
