//! Usage by series and hour: sums that are added to row by row or by whole parts. At the end each series is put in order
//! where it stands: a report may have millions of sums, and they are never there twice.

use rustc_hash::FxHashMap;

use super::{SeriesKey, Used};
use crate::symbols::Symbol;
use brimful_savings_plans::ledger::Cell;
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

/// An amount in nano-units and its cost in picodollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum {
    nanos: i64,
    picos: i64,
}

impl Sum {
    /// In a table, an hour without usage. Sums that come near it are refused.
    const NONE: Self = Self {
        nanos: i64::MIN,
        picos: 0,
    };

    fn of(cell: &Cell) -> Self {
        Self {
            nanos: cell.amount.nanos(),
            picos: cell.picos,
        }
    }

    fn at(self, hour: Hour) -> Cell {
        Cell {
            hour,
            amount: Quantity::from_nanos(self.nanos),
            picos: self.picos,
        }
    }

    /// Adds to it; `None` beyond what a sum can hold.
    fn add(&mut self, more: Self) -> Option<()> {
        if *self == Self::NONE {
            *self = more;
        } else {
            self.nanos = self.nanos.checked_add(more.nanos)?;
            self.picos = self.picos.checked_add(more.picos)?;
        }
        (self.nanos != i64::MIN).then_some(())
    }
}

/// Rows that wait before a series gets a table, or its table more hours.
const FEW: usize = 32;
/// A table may have so many times as many hours as have usage: then it takes hardly more memory than the list.
const SPARSE: usize = 2;

/// One series by hour. Most usage is there every hour and stands in a table of hours side by side; what is rare, or far from
/// all else, stays in a list, so that no row can ask for much memory.
#[derive(Debug, Default)]
pub(super) struct Hours {
    /// The hour of the table's first sum ([`Hour::index`]).
    first: i32,
    table: Vec<Sum>,
    list: Vec<Cell>,
    /// How long the list was when it was last put in order.
    ordered: usize,
}

impl Hours {
    /// # Errors
    /// The hour whose sum is beyond what can be held.
    fn add(&mut self, hour: Hour, sum: Sum) -> Result<(), Hour> {
        let at = hour.index().wrapping_sub(self.first).cast_unsigned();
        if let Some(known) = self.table.get_mut(at as usize) {
            return known.add(sum).ok_or(hour);
        }
        self.list.push(sum.at(hour));
        if self.list.len() == self.list.capacity() {
            return self.compact();
        }
        Ok(())
    }

    /// Adds hours in order, each once. They are kept as they come where they are the first.
    ///
    /// # Errors
    /// As of [`add`](Self::add).
    fn add_all(&mut self, cells: Vec<Cell>) -> Result<(), Hour> {
        if self.table.is_empty() && self.list.is_empty() {
            (self.ordered, self.list) = (cells.len(), cells);
            return Ok(());
        }
        let mut cells = cells.into_iter();
        cells.try_for_each(|cell| self.add(cell.hour, Sum::of(&cell)))
    }

    /// Puts the list in order, each hour once.
    fn order(&mut self) -> Result<(), Hour> {
        // Stable, since that sort makes use of parts that are in order.
        self.list.sort_by_key(|cell| cell.hour);
        let mut beyond = None;
        self.list.dedup_by(|more, known| {
            let same = more.hour == known.hour;
            if same {
                let mut sum = Sum::of(known);
                if sum.add(Sum::of(more)).is_none() {
                    beyond = Some(known.hour);
                }
                *known = sum.at(known.hour);
            }
            same
        });
        self.ordered = self.list.len();
        beyond.map_or(Ok(()), Err)
    }

    /// Adds up a full list, and makes a table of it where the hours lie close together, else room for half as many again:
    /// there are thousands of lists, and twice as many would take half as much memory again in all.
    fn compact(&mut self) -> Result<(), Hour> {
        self.order()?;
        if self.list.len() >= FEW
            && let Some((first, span)) = self.ends()
            && span <= SPARSE * (self.list.len() + self.table.len())
        {
            return self.spread(first, span);
        }
        self.list.reserve_exact(self.list.len() / 2 + 1);
        Ok(())
    }

    /// The first hour of list and table, and how many there are from it to the last.
    fn ends(&self) -> Option<(i32, usize)> {
        let of_list = self.list.first().zip(self.list.last());
        let of_list = of_list.map(|(low, high)| (low.hour.index(), high.hour.index()));
        let last = self.first.wrapping_add_unsigned(number(self.table.len()));
        let of_table = (!self.table.is_empty()).then(|| (self.first, last.wrapping_sub(1)));
        let ends = of_list.into_iter().chain(of_table);
        let (low, high) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some((low, high.abs_diff(low) as usize + 1))
    }

    /// Makes the table one of `span` hours from `first` on, which takes up the list.
    fn spread(&mut self, first: i32, span: usize) -> Result<(), Hour> {
        let mut table = vec![Sum::NONE; span];
        if !self.table.is_empty() {
            let old = self.first.abs_diff(first) as usize;
            table[old..old + self.table.len()].copy_from_slice(&self.table);
        }
        (self.first, self.table, self.ordered) = (first, table, 0);
        for cell in std::mem::take(&mut self.list) {
            self.add(cell.hour, Sum::of(&cell))?;
        }
        Ok(())
    }

    /// Adds a cost alone.
    ///
    /// # Errors
    /// As of [`add`](Self::add).
    #[inline]
    pub(super) fn add_cost(&mut self, hour: Hour, cost: Money) -> Result<(), Hour> {
        let picos = i64::try_from(cost.picos()).map_err(|_| hour)?;
        self.add(hour, Sum { nanos: 0, picos })
    }

    /// Each hour with usage once, in order.
    ///
    /// # Errors
    /// As of [`add`](Self::add).
    pub(super) fn into_cells(mut self) -> Result<Vec<Cell>, Hour> {
        if self.ordered < self.list.len() {
            self.order()?;
        }
        let first = self.first;
        let hour = move |at| Hour::from_index(first.wrapping_add_unsigned(at));
        let used = (0..).zip(self.table).filter(|(_, sum)| *sum != Sum::NONE);
        let mut cells = self.list;
        let rare = cells.len();
        cells.extend(used.map(|(at, sum)| sum.at(hour(at))));
        if 0 < rare && rare < cells.len() {
            cells.sort_by_key(|cell| cell.hour);
        }
        cells.shrink_to_fit();
        Ok(cells)
    }
}

/// What was used, by whom and when. Numbers depend on the order of rows.
#[derive(Debug, Default)]
pub(super) struct Usage {
    used: FxHashMap<Used, u32>,
    series: FxHashMap<SeriesKey, u32>,
    /// By series.
    hours: Vec<Hours>,
}

/// A sum that is beyond what can be held.
#[derive(Debug)]
pub(super) struct Beyond {
    pub(super) usage_type: Symbol,
    pub(super) hour: Hour,
}

impl Usage {
    /// The number of what was used, a new one for what is new.
    pub(super) fn number_of_used(&mut self, used: Used) -> u32 {
        let next = number(self.used.len());
        *self.used.entry(used).or_insert(next)
    }

    /// The number of a series, a new one for a new series.
    pub(super) fn number_of(&mut self, key: SeriesKey) -> u32 {
        let next = number(self.series.len());
        let number = *self.series.entry(key).or_insert(next);
        if number == next {
            self.hours.push(Hours::default());
        }
        number
    }

    /// Adds to an hour of a series, given by number.
    #[inline]
    pub(super) fn add(
        &mut self,
        series: u32,
        hour: Hour,
        amount: Quantity,
        cost: Money,
    ) -> Result<(), Beyond> {
        let nanos = amount.nanos();
        let picos = i64::try_from(cost.picos()).map_err(|_| self.beyond(series, hour))?;
        let added = self.hours[series as usize].add(hour, Sum { nanos, picos });
        added.map_err(|hour| self.beyond(series, hour))
    }

    /// Adds hours of a series, given by number: in order, each once.
    pub(super) fn add_all(&mut self, series: u32, cells: Vec<Cell>) -> Result<(), Beyond> {
        let added = self.hours[series as usize].add_all(cells);
        added.map_err(|hour| self.beyond(series, hour))
    }

    /// Adds what another builder with the same symbols has counted.
    pub(super) fn merge(&mut self, other: Self) -> Result<(), Beyond> {
        let used = other.all_used();
        let used: Vec<u32> = used.into_iter().map(|used| self.number_of_used(used)).collect();
        let series = other.all_series().into_iter().map(|key| {
            self.number_of(SeriesKey {
                used: used[key.used as usize],
                ..key
            })
        });
        let series: Vec<u32> = series.collect();
        for (number, hours) in series.into_iter().zip(other.hours) {
            let cells = hours.into_cells().map_err(|hour| self.beyond(number, hour))?;
            self.add_all(number, cells)?;
        }
        Ok(())
    }

    fn beyond(&self, series: u32, hour: Hour) -> Beyond {
        let used = self.all_series()[series as usize].used;
        Beyond {
            usage_type: self.all_used()[used as usize].usage_type,
            hour,
        }
    }

    /// What was used, by number.
    pub(super) fn all_used(&self) -> Vec<Used> {
        by_number(&self.used)
    }

    /// The series, by number.
    pub(super) fn all_series(&self) -> Vec<SeriesKey> {
        by_number(&self.series)
    }

    /// The cells of each series, of the series in that order.
    pub(super) fn into_cells(mut self, order: &[u32]) -> Result<Vec<Vec<Cell>>, Beyond> {
        let cells = order.iter().map(|number| {
            let hours = std::mem::take(&mut self.hours[*number as usize]);
            hours.into_cells().map_err(|hour| self.beyond(*number, hour))
        });
        cells.collect()
    }
}

/// 2³² of anything do not fit in memory, so a number never wraps.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn by_number<K: Copy>(numbers: &FxHashMap<K, u32>) -> Vec<K> {
    let mut all: Vec<(u32, K)> = numbers.iter().map(|(key, number)| (*number, *key)).collect();
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, key)| key).collect()
}
