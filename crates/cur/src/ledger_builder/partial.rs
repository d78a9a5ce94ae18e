//! What was counted of a part of a report, by text instead of by number: to be kept, and to be added up with the other
//! parts later. Adding up is exact, and the order of parts makes no difference.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::sums::Beyond;
use super::{Class, Counts, Ends, FACTS, LedgerBuilder, Newest, SeriesKey, Usage, Used, beyond};
use crate::symbols::Symbol;
use brimful_savings_plans::ledger::PlanHour;
use brimful_types::Result;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// Index into [`Partial::strings`].
type Text = u32;
/// [`Hour::index`].
type Index = i32;
/// Whole picodollars.
type Picos = i128;

/// A `Cell`: the step from the hour of the one before, the amount and the cost.
type CellText = (Index, i64, i64);

/// A part of a ledger. Everything in it is sorted, so that equal parts are equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Partial {
    strings: Vec<String>,
    hours: Vec<(Text, Index, Amounts)>,
    facts: Vec<(Text, [Text; FACTS.len()], bool, Index)>,
    rates: Vec<(Text, Text, Text, Index, Picos)>,
    prices: Vec<(Text, Text, Index, Picos)>,
    spot_list_prices: Vec<(Text, Text, Index, Picos)>,
    series: Vec<SeriesText>,
    /// Of each of the series, as in a ledger: those of one part are its cells as they are, and several are merged.
    cells: Vec<Vec<CellText>>,
    newest_by_region: Vec<(Text, EndsText)>,
    covered_regions: Vec<(Text, Text, Index)>,
    newest_usage: EndsText,
    fees: [Option<Index>; 3],
    covered: [Option<Index>; 3],
    regions: Vec<(Text, Text, Text, Index)>,
    timeless_rows: u64,
    unreadable_rows: Vec<(Index, u64)>,
    has_times: bool,
    refunds: Vec<(Text, Text, Option<Index>)>,
}

/// [`PlanHour`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Amounts {
    commitment: Option<Picos>,
    used: Picos,
    covered: Picos,
    suspect: bool,
    fee_rows: u32,
}

impl Amounts {
    fn of(hour: &PlanHour) -> Self {
        Self {
            commitment: hour.commitment.map(Money::picos),
            used: hour.used.picos(),
            covered: hour.covered.picos(),
            suspect: hour.suspect,
            fee_rows: hour.fee_rows,
        }
    }
}

/// [`SeriesKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct SeriesText {
    class: ClassText,
    is_instance: bool,
    /// Usage type, operation, region, account, cluster and `NodePool`.
    texts: [Text; 6],
}

/// [`Class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum ClassText {
    OnDemand,
    Spot,
    Reserved,
    Covered(Text),
}

/// [`Ends`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
struct EndsText {
    hours: Option<Index>,
    longer: Option<(Index, i64)>,
}

impl Partial {
    /// True when a builder whose window begins later makes the same of it as of the rows themselves. Rows without a
    /// time lie in no window: whether they are seen depends on what the scan could skip.
    #[must_use]
    pub fn can_be_cut(&self) -> bool {
        self.timeless_rows == 0 && self.refunds.iter().all(|(_, _, hour)| hour.is_some())
    }

    /// True when rates or prices were seen after the window. Only the newest is kept of each, so those within the
    /// window are not known then: it is asked for a time that the report has left behind.
    fn reaches_beyond(&self, window: Option<&Range<Hour>>) -> bool {
        let Some(window) = window else { return false };
        let rates = self.rates.iter().map(|rate| rate.3);
        let prices = self
            .prices
            .iter()
            .chain(&self.spot_list_prices)
            .map(|price| price.2);
        let regions = self.covered_regions.iter().map(|region| region.2);
        rates
            .chain(prices)
            .chain(regions)
            .any(|newest| newest >= window.end.index())
    }
}

impl LedgerBuilder {
    /// What was counted so far.
    ///
    /// # Errors
    /// An hour's usage or cost is beyond what one report can hold.
    pub fn into_partial(mut self) -> Result<Partial> {
        self.settle()?;
        let texts = Texts::of(&self);
        let text = |symbol: Symbol| texts.number[&symbol];
        // Whatever a builder learns to count must be kept, too: a new field does not compile until it is.
        let Counts {
            hours,
            usage,
            regions,
            facts,
            rates,
            prices: on_demand,
            spot_list_prices,
            newest_by_region,
            covered_regions,
            newest_usage,
            fees,
            covered,
            timeless_rows,
            unreadable_rows,
            has_times,
            refunds,
        } = self.counts;
        let usage = usage_in_order(usage, text);
        let (series, cells) = usage.map_err(|sum| beyond(&self.symbols, sum.usage_type, sum.hour))?;
        Ok(Partial {
            hours: plan_hours(&hours, text),
            facts: sorted(facts.iter().map(|((arn, facts, is_fee), newest)| {
                (text(*arn), facts.map(text), *is_fee, newest.index())
            })),
            rates: rates_text(&rates, text),
            prices: prices(&on_demand, text),
            spot_list_prices: prices(&spot_list_prices, text),
            series,
            cells,
            newest_by_region: ends_by_region(&newest_by_region, text),
            covered_regions: sorted(
                covered_regions
                    .iter()
                    .map(|((arn, region), newest)| (text(*arn), text(*region), newest.index())),
            ),
            newest_usage: ends_text(newest_usage),
            fees: fees.0.map(|hour| hour.map(Hour::index)),
            covered: covered.0.map(|hour| hour.map(Hour::index)),
            regions: sorted(regions.iter().map(|((region, usage), (code, newest))| {
                (text(*region), text(*usage), text(*code), newest.index())
            })),
            timeless_rows,
            unreadable_rows: sorted(unreadable_rows.iter().map(|(hour, rows)| (hour.index(), *rows))),
            has_times,
            refunds: sorted(
                refunds.iter().map(|((arn, description), hour)| {
                    (text(*arn), text(*description), hour.map(Hour::index))
                }),
            ),
            strings: texts.strings,
        })
    }
}

/// The strings in use, sorted, and where each symbol's stands.
struct Texts {
    strings: Vec<String>,
    number: FxHashMap<Symbol, Text>,
}

impl Texts {
    fn of(builder: &LedgerBuilder) -> Self {
        let counts = &builder.counts;
        let all_used = counts.usage.all_used();
        let mut used: FxHashSet<Symbol> = FxHashSet::default();
        used.insert(Symbol::EMPTY);
        used.extend(counts.hours.keys().map(|(arn, _)| *arn));
        for (arn, facts, _) in counts.facts.keys() {
            used.insert(*arn);
            used.extend(facts);
        }
        used.extend(counts.rates.keys().flat_map(|(a, b, c)| [*a, *b, *c]));
        let prices = counts.prices.keys().chain(counts.spot_list_prices.keys());
        used.extend(
            prices
                .chain(counts.covered_regions.keys())
                .chain(counts.refunds.keys())
                .flat_map(|(a, b)| [*a, *b]),
        );
        for key in counts.usage.all_series() {
            let of_series = &all_used[key.used as usize];
            used.extend(series_symbols(of_series, &key));
            used.extend(match of_series.class {
                Class::Covered(arn) => Some(arn),
                _ => None,
            });
        }
        used.extend(counts.newest_by_region.keys());
        for ((region, usage), (code, _)) in &counts.regions {
            used.extend([*region, *usage, *code]);
        }
        let mut texts: Vec<(Arc<str>, Symbol)> = used
            .into_iter()
            .map(|symbol| (builder.symbols.text(symbol), symbol))
            .collect();
        texts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Self {
            number: texts
                .iter()
                .zip(0..)
                .map(|((_, symbol), number)| (*symbol, number))
                .collect(),
            strings: texts.into_iter().map(|(text, _)| text.to_string()).collect(),
        }
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items
}

fn prices(
    known: &FxHashMap<(Symbol, Symbol), Newest>,
    text: impl Fn(Symbol) -> Text,
) -> Vec<(Text, Text, Index, Picos)> {
    sorted(known.iter().map(|((usage, operation), Newest(hour, price))| {
        (text(*usage), text(*operation), hour.index(), price.picos())
    }))
}

fn rates_text(
    known: &FxHashMap<(Symbol, Symbol, Symbol), Newest>,
    text: impl Fn(Symbol) -> Text,
) -> Vec<(Text, Text, Text, Index, Picos)> {
    sorted(known.iter().map(|((arn, usage, operation), Newest(hour, rate))| {
        let (arn, usage, operation) = (text(*arn), text(*usage), text(*operation));
        (arn, usage, operation, hour.index(), rate.picos())
    }))
}

/// All series in order, and their cells.
fn usage_in_order(
    usage: Usage,
    text: impl Fn(Symbol) -> Text + Copy,
) -> Result<(Vec<SeriesText>, Vec<Vec<CellText>>), Beyond> {
    let all_used = usage.all_used();
    let series = usage.all_series().into_iter().zip(0..);
    let mut series: Vec<(SeriesText, u32)> = series
        .map(|(key, number)| (series_text(&all_used[key.used as usize], &key, text), number))
        .collect();
    series.sort_unstable();
    let order: Vec<u32> = series.iter().map(|(_, number)| *number).collect();
    let cells = usage.into_cells(&order)?.into_iter().map(|cells| {
        let mut before = 0;
        let cells = cells.into_iter().map(|cell| {
            let step = cell.hour.index().wrapping_sub(before);
            before = cell.hour.index();
            (step, cell.amount.nanos(), cell.picos)
        });
        cells.collect()
    });
    Ok((
        series.into_iter().map(|(series, _)| series).collect(),
        cells.collect(),
    ))
}

fn plan_hours(
    known: &FxHashMap<(Symbol, Hour), PlanHour>,
    text: impl Fn(Symbol) -> Text,
) -> Vec<(Text, Index, Amounts)> {
    sorted(
        known
            .iter()
            .map(|((arn, hour), amounts)| (text(*arn), hour.index(), Amounts::of(amounts))),
    )
}

fn ends_by_region(known: &FxHashMap<Symbol, Ends>, text: impl Fn(Symbol) -> Text) -> Vec<(Text, EndsText)> {
    sorted(
        known
            .iter()
            .map(|(region, ends)| (text(*region), ends_text(*ends))),
    )
}

fn ends_text(ends: Ends) -> EndsText {
    EndsText {
        hours: ends.hours.map(Hour::index),
        longer: ends.longer.map(|(hour, end)| (hour.index(), end)),
    }
}

fn series_symbols(used: &Used, key: &SeriesKey) -> [Symbol; 6] {
    [
        used.usage_type,
        used.operation,
        used.region,
        key.account,
        key.cluster,
        key.node_pool,
    ]
}

fn series_text(used: &Used, key: &SeriesKey, text: impl Fn(Symbol) -> Text) -> SeriesText {
    SeriesText {
        class: match used.class {
            Class::OnDemand => ClassText::OnDemand,
            Class::Spot => ClassText::Spot,
            Class::Reserved => ClassText::Reserved,
            Class::Covered(arn) => ClassText::Covered(text(arn)),
        },
        is_instance: used.is_instance,
        texts: series_symbols(used, key).map(text),
    }
}

mod absorb;

#[cfg(test)]
mod tests;
