//! What was counted of a part of a report, by text instead of by number: to be kept, and to be added up with the other
//! parts later. Adding up is exact, and the order of parts makes no difference.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::{Class, Ends, FACTS, LedgerBuilder, Newest, SeriesKey, Used};
use crate::symbols::Symbol;
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

/// Index into [`Partial::strings`].
type Text = u32;
/// [`Hour::index`].
type Index = i32;
/// Whole picodollars.
type Picos = i128;

/// The cells of an hour: of each the step from the last one's series, its amount and its cost.
type CellsOfHour = (Index, Vec<(u32, i64, i64)>);

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
    cells: Vec<CellsOfHour>,
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

impl LedgerBuilder<'_> {
    /// What was counted so far.
    #[must_use]
    pub fn into_partial(mut self) -> Partial {
        self.settle();
        let all_used = self.all_used();
        // Whatever a builder learns to count must be kept, too: a new field does not compile until it is.
        let Self {
            symbols: _,
            window: _,
            detail: _,
            line_types: _,
            may_matter: _,
            groups: _,
            regions: _,
            hours: _,
            facts: _,
            rates: _,
            prices: _,
            spot_list_prices: _,
            used: _,
            series: _,
            cells: _,
            pending: _,
            newest_by_region: _,
            covered_regions: _,
            newest_usage: _,
            fees: _,
            covered: _,
            timeless_rows: _,
            unreadable_rows: _,
            has_times: _,
            refunds: _,
            tells_of_plan: _,
        } = &self;
        let texts = Texts::of(&self, &all_used);
        let text = |symbol: Symbol| texts.number[&symbol];
        let mut numbered: Vec<(SeriesText, u32)> = self
            .series
            .iter()
            .map(|(key, number)| (series_text(&all_used[key.used as usize], key, text), *number))
            .collect();
        numbered.sort_unstable();
        let mut renumbered = vec![0; numbered.len()];
        for (new, (_, old)) in (0..).zip(&numbered) {
            renumbered[*old as usize] = new;
        }
        Partial {
            hours: sorted(self.hours.iter().map(|((arn, hour), amounts)| {
                let amounts = Amounts {
                    commitment: amounts.commitment.map(Money::picos),
                    used: amounts.used.picos(),
                    covered: amounts.covered.picos(),
                    suspect: amounts.suspect,
                    fee_rows: amounts.fee_rows,
                };
                (text(*arn), hour.index(), amounts)
            })),
            facts: sorted(self.facts.iter().map(|((arn, facts, is_fee), newest)| {
                (text(*arn), facts.map(text), *is_fee, newest.index())
            })),
            rates: sorted(self.rates.iter().map(|((arn, usage, operation), newest)| {
                let Newest(hour, rate) = newest;
                (
                    text(*arn),
                    text(*usage),
                    text(*operation),
                    hour.index(),
                    rate.picos(),
                )
            })),
            prices: prices(&self.prices, text),
            spot_list_prices: prices(&self.spot_list_prices, text),
            cells: cells(self.cells, &renumbered),
            series: numbered.into_iter().map(|(series, _)| series).collect(),
            newest_by_region: sorted(
                self.newest_by_region
                    .iter()
                    .map(|(region, ends)| (text(*region), ends_text(*ends))),
            ),
            covered_regions: sorted(
                self.covered_regions
                    .iter()
                    .map(|((arn, region), newest)| (text(*arn), text(*region), newest.index())),
            ),
            newest_usage: ends_text(self.newest_usage),
            fees: self.fees.0.map(|hour| hour.map(Hour::index)),
            covered: self.covered.0.map(|hour| hour.map(Hour::index)),
            regions: sorted(self.regions.iter().map(|((region, usage), (code, newest))| {
                (text(*region), text(*usage), text(*code), newest.index())
            })),
            timeless_rows: self.timeless_rows,
            unreadable_rows: sorted(
                self.unreadable_rows
                    .iter()
                    .map(|(hour, rows)| (hour.index(), *rows)),
            ),
            has_times: self.has_times,
            refunds: sorted(
                self.refunds.iter().map(|((arn, description), hour)| {
                    (text(*arn), text(*description), hour.map(Hour::index))
                }),
            ),
            strings: texts.strings,
        }
    }
}

/// The strings in use, sorted, and where each symbol's stands.
struct Texts {
    strings: Vec<String>,
    number: FxHashMap<Symbol, Text>,
}

impl Texts {
    fn of(builder: &LedgerBuilder<'_>, all_used: &[Used]) -> Self {
        let mut used: FxHashSet<Symbol> = FxHashSet::default();
        used.insert(Symbol::EMPTY);
        used.extend(builder.hours.keys().map(|(arn, _)| *arn));
        for (arn, facts, _) in builder.facts.keys() {
            used.insert(*arn);
            used.extend(facts);
        }
        used.extend(builder.rates.keys().flat_map(|(a, b, c)| [*a, *b, *c]));
        let prices = builder.prices.keys().chain(builder.spot_list_prices.keys());
        used.extend(
            prices
                .chain(builder.covered_regions.keys())
                .chain(builder.refunds.keys())
                .flat_map(|(a, b)| [*a, *b]),
        );
        for key in builder.series.keys() {
            let of_series = &all_used[key.used as usize];
            used.extend(series_symbols(of_series, key));
            used.extend(match of_series.class {
                Class::Covered(arn) => Some(arn),
                _ => None,
            });
        }
        used.extend(builder.newest_by_region.keys());
        for ((region, usage), (code, _)) in &builder.regions {
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

fn cells(known: FxHashMap<(u32, Hour), (Quantity, i64)>, renumbered: &[u32]) -> Vec<CellsOfHour> {
    let flat = sorted(known.into_iter().map(|((series, hour), (amount, picos))| {
        (hour.index(), renumbered[series as usize], amount.nanos(), picos)
    }));
    flat.chunk_by(|a, b| a.0 == b.0)
        .map(|hour| {
            let mut before = 0;
            let cells = hour.iter().map(|(_, series, amount, picos)| {
                let step = series - std::mem::replace(&mut before, *series);
                (step, *amount, *picos)
            });
            (hour[0].0, cells.collect())
        })
        .collect()
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
