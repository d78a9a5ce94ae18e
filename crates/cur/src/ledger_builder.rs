//! Folds line items into a ledger, in any order and from any thread, always to the same result.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::batch::DecodedItems;
use crate::columns::{Detail, Number, Own, Text, Time};
use crate::line_items::LineItems;
use crate::object::ReadError;
use crate::pages::RowFilter;
use crate::scan::{Counter, Scan, ScanSummary};
use crate::symbols::{Symbol, Symbols};
use brimful_savings_plans::ledger::PlanHour;
use brimful_savings_plans::usage::{LineItemType, UsageKind};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;
use brimful_types::{Error, Result};

use groups::Groups;
use memo::Memo;
use merge::{Ends, Lengths, Merge, Newest, Span, merge_into};
use sums::Usage;

/// A ledger in the making. Several may count parts of a report, each in a thread of its own, and be merged.
#[derive(Debug)]
pub struct LedgerBuilder {
    symbols: Arc<Symbols>,
    /// Hours to keep. Rows that begin before them are not looked at, so that it makes no difference whether the scan
    /// has skipped them; later ones still describe plans and show how far the report reaches.
    window: Option<Range<Hour>>,
    detail: Detail,
    /// The cluster of which pools and accounts are kept apart, if it is known which.
    own: Option<Symbol>,
    /// The account of that cluster, if it is known.
    own_account: Option<Symbol>,
    line_types: Memo<LineItemType>,
    /// False for usage types that no product bills as coverable or Spot usage.
    is_relevant: Memo<bool>,
    names_plan_refund: Memo<bool>,
    groups: Groups,
    /// What goes to which series and hour, until the batch at hand is done.
    pending: Vec<(u32, Hour, Quantity, Money)>,
    counts: Counts,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    /// By plan.
    hours: FxHashMap<(Symbol, Hour), PlanHour>,
    usage: Usage,
    /// Region code by what the row says and its usage type, and the newest hour of such a row.
    regions: FxHashMap<(Symbol, Symbol), (Symbol, Hour)>,
    /// Newest hour by plan, by what its rows say of it, and by whether they are fees.
    facts: FxHashMap<(Symbol, [Symbol; FACTS.len()], bool), Hour>,
    rates: FxHashMap<(Symbol, Symbol, Symbol), Newest>,
    prices: FxHashMap<(Symbol, Symbol), Newest>,
    spot_list_prices: FxHashMap<(Symbol, Symbol), Newest>,
    newest_by_region: FxHashMap<Symbol, Ends>,
    /// Newest hour by plan and region.
    covered_regions: FxHashMap<(Symbol, Symbol), Hour>,
    newest_usage: Ends,
    /// How long fee rows and covered rows are, which shows the report's granularity.
    fees: Lengths,
    covered: Lengths,
    /// Rows whose hour cannot be read, and those of a known hour that hold something else unreadable.
    timeless_rows: u64,
    unreadable_rows: FxHashMap<Hour, u64>,
    /// True once a row's time was read, whatever the window.
    has_times: bool,
    /// What refunds say that seem to be of a plan, and the plan where they name it; and the newest hour,
    /// where they have any.
    refunds: FxHashMap<(Symbol, Symbol), Option<Hour>>,
}

/// Text facts that describe a plan, in the order of [`PlanTexts`]' fields.
const FACTS: [Text; 11] = [
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
    Text::Description,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    OnDemand,
    Spot,
    Reserved,
    Covered(Symbol),
}

/// What was used, and who paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Used {
    class: Class,
    is_instance: bool,
    usage_type: Symbol,
    operation: Symbol,
    region: Symbol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SeriesKey {
    /// The number of what was used.
    used: u32,
    account: Symbol,
    cluster: Symbol,
    node_pool: Symbol,
}

impl LedgerBuilder {
    /// A builder for the hours of `window` (all when `None`), whose strings come from `symbols`.
    #[must_use]
    pub fn new(symbols: &Arc<Symbols>, window: Option<Range<Hour>>, detail: Detail) -> Self {
        Self {
            symbols: Arc::clone(symbols),
            window,
            detail,
            own: None,
            own_account: None,
            line_types: Memo::new(LineItemType::of),
            is_relevant: Memo::new(|usage_type| {
                relevance::usage_type(usage_type) & !relevance::OF_NO_USAGE != 0
            }),
            names_plan_refund: Memo::new(|text| text.contains("Refund") && text.contains("Savings Plan")),
            groups: Groups::default(),
            pending: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Adds up the usage of every other cluster over its `NodePool`s, and with usage without tags over all accounts but that of
    /// this cluster: decisions about it need no more of them, and a large organisation has hundreds. Over no account with
    /// [`Detail::Accounts`].
    #[must_use]
    pub fn for_cluster(mut self, own: Own<'_>) -> Self {
        let symbols = Arc::clone(&self.symbols);
        let symbol = |text| symbols.intern(std::iter::once(Some(text)))[0];
        self.own = own.cluster.map(symbol);
        self.own_account = own.account.map(symbol);
        self
    }

    /// Rows that it makes something of, and few others.
    pub const FILTER: RowFilter = RowFilter {
        leading: &[
            (Text::LineItemType, relevance::line_type),
            (Text::ProductCode, relevance::product),
            (Text::UsageType, relevance::usage_type),
        ],
        plan_bits: relevance::OF_PLANS,
        fee_bits: relevance::OF_FEES,
    };

    /// Counts what a scan hands over, by `new` builders that are alike.
    ///
    /// # Errors
    /// As of the scan.
    pub async fn scan(scan: &Scan<'_>, new: impl Fn() -> Self) -> Result<(Self, ScanSummary), ReadError> {
        let (builders, summary) = scan.run(&new).await?;
        let mut builders = builders.into_iter();
        let mut whole = builders.next().unwrap_or_else(new);
        for part in builders {
            whole.merge(part)?;
        }
        Ok((whole, summary))
    }

    /// Adds a batch of line items.
    ///
    /// # Errors
    /// An hour's usage or cost is beyond what one report can hold.
    pub fn add(&mut self, items: &impl LineItems) -> Result<()> {
        for row in 0..items.rows() {
            let line_type = self
                .line_types
                .get(items.text(Text::LineItemType, row), &self.symbols);
            match line_type {
                LineItemType::Usage => {
                    if self
                        .is_relevant
                        .get(items.text(Text::UsageType, row), &self.symbols)
                    {
                        self.add_usage(items, row);
                    } else if items.lacks_services() {
                        self.note_any(items, row);
                    }
                }
                LineItemType::CoveredUsage => self.add_covered(items, row, line_type)?,
                LineItemType::Used => {
                    if items.lacks_services() {
                        self.note_any(items, row);
                    }
                    self.add_covered(items, row, line_type)?;
                }
                LineItemType::Unused => self.add_unused(items, row),
                LineItemType::Purchase => {
                    if let Some(span) = self.span(items, row) {
                        let group = self.group(line_type, items, row);
                        self.note_plan(group, span.hour);
                    }
                }
                LineItemType::RecurringFee => self.add_fee(items, row),
                LineItemType::DiscountedUsage => self.add_discounted(items, row),
                LineItemType::Refund => self.add_refund(items, row),
                LineItemType::Other => {}
            }
        }
        // In one go, which lets the processor wait for many cells at the same time: they lie far apart.
        let usage = &mut self.counts.usage;
        let mut pending = self.pending.drain(..);
        let added =
            pending.try_for_each(|(series, hour, amount, cost)| usage.add(series, hour, amount, cost));
        drop(pending);
        added.map_err(|sum| beyond(&self.symbols, sum.usage_type, sum.hour))
    }

    /// Adds what another builder of the same report, with the same symbols, window and detail, has counted.
    ///
    /// # Errors
    /// An hour's usage or cost is beyond what one report can hold.
    pub fn merge(&mut self, mut other: Self) -> Result<()> {
        self.settle()?;
        other.settle()?;
        self.counts.has_times |= other.counts.has_times;
        // Whatever a builder learns to count must be merged, too: a new field does not compile until it is.
        let Counts {
            hours,
            usage,
            regions,
            facts,
            rates,
            prices,
            spot_list_prices,
            newest_by_region,
            covered_regions,
            newest_usage,
            fees,
            covered,
            timeless_rows,
            unreadable_rows,
            has_times: _,
            refunds,
        } = other.counts;
        let known = &mut self.counts;
        known.hours.merge(hours);
        known.regions.merge(regions);
        known.facts.merge(facts);
        known.rates.merge(rates);
        known.prices.merge(prices);
        known.spot_list_prices.merge(spot_list_prices);
        known.newest_by_region.merge(newest_by_region);
        known.covered_regions.merge(covered_regions);
        known.newest_usage.merge(newest_usage);
        known.fees.merge(fees);
        known.covered.merge(covered);
        known.timeless_rows.merge(timeless_rows);
        known.unreadable_rows.merge(unreadable_rows);
        known.refunds.merge(refunds);
        let merged = known.usage.merge(usage);
        merged.map_err(|sum| beyond(&self.symbols, sum.usage_type, sum.hour))
    }

    fn add_fee(&mut self, items: &impl LineItems, row: usize) {
        let Some(span) = self.span(items, row) else { return };
        self.counts.fees.note(span);
        let arn = items.text(Text::PlanArn, row);
        let (total, used) = (
            items.dollars(Number::TotalCommitment, row),
            items.dollars(Number::UsedCommitment, row),
        );
        let group = self.group(LineItemType::RecurringFee, items, row);
        self.note_plan(group, span.hour);
        if arn.is_empty() || !self.keeps(span.hour) {
            return;
        }
        let entry = self.counts.hours.entry((arn, span.hour)).or_default();
        match (total, used) {
            (Some(total), Some(used)) => {
                *entry.commitment.get_or_insert_default() += total;
                entry.used += used;
                entry.note_fee(total, items.line_items(row));
            }
            _ => {
                entry.suspect = true;
                self.note_unreadable(span.hour, items.line_items(row));
            }
        }
    }

    /// A plan that was returned: AWS gives its fee back.
    fn add_refund(&mut self, items: &impl LineItems, row: usize) {
        let (plan, description) = (items.text(Text::PlanArn, row), items.text(Text::Description, row));
        if !self.names_plan_refund.get(description, &self.symbols) {
            return;
        }
        let hour = items.millis(Time::Start, row).and_then(Hour::of_millis);
        if hour.is_none_or(|hour| self.begins_by(hour)) {
            merge_into(&mut self.counts.refunds, (plan, description), hour);
        }
    }

    fn add_covered(&mut self, items: &impl LineItems, row: usize, line_type: LineItemType) -> Result<()> {
        let Some(span) = self.span(items, row) else {
            return Ok(());
        };
        self.counts.covered.note(span);
        let group = self.group(line_type, items, row);
        self.note_plan(group, span.hour);
        self.note_newest(group, span);
        let known = &self.groups.all[group];
        let (arn, kind) = (known.plan(), known.kind);
        if arn.is_empty() || !self.keeps(span.hour) {
            return Ok(());
        }
        let cost = items.dollars(Number::EffectiveCost, row);
        match cost {
            Some(cost) => {
                let hours = &mut self.groups.covered[self.groups.all[group].of_plan];
                let added = hours.add_cost(span.hour, cost);
                added.map_err(|hour| beyond(&self.symbols, arn, hour))?;
                // No fee states what was used, nor this part of the commitment.
                if line_type == LineItemType::Used {
                    let entry = self.counts.hours.entry((arn, span.hour)).or_default();
                    entry.used += cost;
                    *entry.commitment.get_or_insert_default() += cost;
                }
            }
            None => {
                self.counts.hours.entry((arn, span.hour)).or_default().suspect = true;
                self.note_unreadable(span.hour, items.line_items(row));
            }
        }
        self.note_price(items, row, group, span.hour);
        let known = &mut self.groups.all[group];
        if Newest::may_count(known.rate, span.hour) {
            let rate = items.plan_rate(row).filter(|rate| *rate > Money::ZERO);
            known.rate = known.rate.max(rate.map(|rate| Newest(span.hour, rate)));
        }
        known.located = known.located.max(Some(span.hour));
        known.covered = known.covered.max(Some(span.hour));
        // Who is covered by what: the order in which AWS applies plans is replayed on it.
        if let Some(cost) = cost
            && self.detail != Detail::Plans
            && kind != UsageKind::Other
        {
            self.add_cell(items, row, group, span.hour, cost);
        }
        Ok(())
    }

    fn add_usage(&mut self, items: &impl LineItems, row: usize) {
        let group = self.group(LineItemType::Usage, items, row);
        let kind = self.groups.all[group].kind;
        if kind == UsageKind::Other {
            return;
        }
        let Some(span) = self.span(items, row) else { return };
        self.note_newest(group, span);
        if !self.keeps(span.hour) {
            return;
        }
        if kind == UsageKind::SpotInstance && self.detail == Detail::Plans {
            return;
        }
        let Some(cost) = items.dollars(Number::UnblendedCost, row) else {
            self.note_unreadable(span.hour, items.line_items(row));
            return;
        };
        self.note_price(items, row, group, span.hour);
        self.add_cell(items, row, group, span.hour, cost);
    }

    /// RI-covered usage takes precedence over plans. It shows how far the report reaches, which of this cluster's live
    /// nodes cost the plans nothing, and what plans are asked for once a reservation has ended.
    fn add_discounted(&mut self, items: &impl LineItems, row: usize) {
        let group = self.group(LineItemType::DiscountedUsage, items, row);
        if self.groups.all[group].kind != UsageKind::OnDemandInstance {
            return;
        }
        let Some(span) = self.span(items, row) else { return };
        self.note_newest(group, span);
        if self.keeps(span.hour) && (self.detail != Detail::Plans || is_tagged(items, row)) {
            self.add_cell(items, row, group, span.hour, Money::ZERO);
        }
    }

    fn add_cell(&mut self, items: &impl LineItems, row: usize, group: usize, hour: Hour, cost: Money) {
        let Some(amount) = items.amount(row) else {
            self.note_unreadable(hour, items.line_items(row));
            return;
        };
        let group = &mut self.groups.all[group];
        group.located = group.located.max(Some(hour));
        let cluster = items.text(Text::ClusterTag, row);
        let is_foreign = !cluster.is_empty() && self.own.is_some_and(|own| own != cluster);
        let (account, node_pool) = match self.detail {
            Detail::Usage if is_foreign || !is_tagged(items, row) => {
                let own = self
                    .own_account
                    .filter(|own| *own == items.text(Text::UsageAccount, row));
                (own.unwrap_or(Symbol::EMPTY), Symbol::EMPTY)
            }
            Detail::Usage | Detail::Accounts => (
                items.text(Text::UsageAccount, row),
                items.text(Text::NodePoolTag, row),
            ),
            Detail::Plans => (Symbol::EMPTY, items.text(Text::NodePoolTag, row)),
        };
        let key = SeriesKey {
            used: group.used,
            account,
            cluster,
            node_pool,
        };
        let usage = &mut self.counts.usage;
        let series = if [account, cluster, node_pool] == [Symbol::EMPTY; 3] {
            *group.nobodys.get_or_insert_with(|| usage.number_of(key))
        } else {
            usage.number_of(key)
        };
        self.pending.push((series, hour, amount, cost));
    }

    /// The row's hour; `None` when it lies before the window, and (counted) when its times cannot be read.
    fn span(&mut self, items: &impl LineItems, row: usize) -> Option<Span> {
        let (start, end) = (items.millis(Time::Start, row), items.millis(Time::End, row));
        let hour = start.and_then(Hour::of_millis);
        self.counts.has_times |= hour.is_some();
        if hour.is_some_and(|hour| !self.begins_by(hour)) {
            return None;
        }
        let span = start.zip(end).zip(hour).map(|((start, end), hour)| Span {
            hour,
            end,
            length: end - start,
        });
        if span.is_none() {
            self.counts.timeless_rows += items.line_items(row);
        }
        span
    }

    fn note_unreadable(&mut self, hour: Hour, rows: u64) {
        merge_into(&mut self.counts.unreadable_rows, hour, rows);
    }

    /// False for what lies before the window.
    fn begins_by(&self, hour: Hour) -> bool {
        self.window.as_ref().is_none_or(|window| window.start <= hour)
    }

    fn keeps(&self, hour: Hour) -> bool {
        self.window.as_ref().is_none_or(|window| window.contains(&hour))
    }

    fn note_newest(&mut self, group: usize, span: Span) {
        let group = &mut self.groups.all[group];
        if group.kind == UsageKind::Other {
            return;
        }
        group.ends.note(span);
        if group.kind.is_instance() {
            group.located = group.located.max(Some(span.hour));
        }
    }

    /// A row of the group describes its plan.
    fn note_plan(&mut self, group: usize, hour: Hour) {
        let group = &mut self.groups.all[group];
        if !group.plan().is_empty() {
            group.describes = group.describes.max(Some(hour));
        }
    }

    fn note_price(&mut self, items: &impl LineItems, row: usize, group: usize, hour: Hour) {
        let group = &mut self.groups.all[group];
        if !Newest::may_count(group.price, hour) {
            return;
        }
        // A Spot row knows its type's list price, which may be all there is when a plan lies idle.
        let price = match group.class() {
            Class::Spot => items.price_beyond_billed(row),
            _ => items.price(row),
        };
        group.price = group.price.max(price.map(|price| Newest(hour, price)));
    }
}

impl Counter for LedgerBuilder {
    fn count(&mut self, items: &DecodedItems) -> Result<()> {
        self.add(items)
    }
}

/// What the usage of a type, or that which a plan covered, cannot be.
fn beyond(symbols: &Symbols, what: Symbol, hour: Hour) -> Error {
    let what = symbols.text(what);
    Error::report(format!("{hour}: usage of {what} is beyond $9 million an hour"))
        .hint("the report's numbers cannot be right: export it again")
}

/// True for rows that a tag assigns to a cluster or a NodePool.
fn is_tagged(items: &impl LineItems, row: usize) -> bool {
    [Text::ClusterTag, Text::NodePoolTag]
        .iter()
        .any(|tag| !items.text(*tag, row).is_empty())
}

mod finish;
mod focus;
mod groups;
mod memo;
mod merge;
pub(crate) mod partial;
mod relevance;
mod sums;

#[cfg(test)]
mod tests;
