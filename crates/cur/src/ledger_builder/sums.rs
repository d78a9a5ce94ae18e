//! Usage by series and hour: sums that are added to row by row or by whole parts, and taken out in order at the end.

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
/// A table may have so many times as many hours as have usage: then it takes no more memory than the list.
const SPARSE: usize = 3;
/// Cells of kept parts are added up once there are so many times as many as after the last time: parts may all be of the same
/// hours.
const REPEATED: usize = 4;

/// One series by hour. Most usage is there every hour and stands in a table of hours side by side; what is rare, or far from
/// all else, stays in a list, so that no row can ask for much memory.
#[derive(Debug, Default)]
pub(super) struct Hours {
    /// The hour of the table's first sum ([`Hour::index`]).
    first: i32,
    table: Vec<Sum>,
    list: Vec<(Hour, Sum)>,
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
        self.list.push((hour, sum));
        if self.list.len() >= FEW.max(2 * self.ordered) {
            self.order()?;
        }
        Ok(())
    }

    /// Adds up the list, and makes a table of it where the hours lie close together.
    fn order(&mut self) -> Result<(), Hour> {
        // Stable, since that sort makes use of parts that are in order.
        self.list.sort_by_key(|(hour, _)| *hour);
        let mut beyond = None;
        self.list.dedup_by(|(hour, more), (known, sum)| {
            let same = hour == known;
            if same && sum.add(*more).is_none() {
                beyond = Some(*hour);
            }
            same
        });
        if let Some(hour) = beyond {
            return Err(hour);
        }
        self.ordered = self.list.len();
        let of_list = self.list.first().zip(self.list.last());
        let of_list = of_list.map(|((low, _), (high, _))| (low.index(), high.index()));
        let last = self.first.wrapping_add_unsigned(number(self.table.len()));
        let of_table = (!self.table.is_empty()).then(|| (self.first, last.wrapping_sub(1)));
        let ends = of_list.into_iter().chain(of_table);
        let ends = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        if let Some((low, high)) = ends {
            let span = high.abs_diff(low) as usize + 1;
            if span <= SPARSE * (self.list.len() + self.table.len()) {
                return self.spread(low, span);
            }
        }
        Ok(())
    }

    /// Makes the table one of `span` hours from `first` on, which takes up the list.
    fn spread(&mut self, first: i32, span: usize) -> Result<(), Hour> {
        let mut table = vec![Sum::NONE; span];
        if !self.table.is_empty() {
            let old = self.first.abs_diff(first) as usize;
            table[old..old + self.table.len()].copy_from_slice(&self.table);
        }
        (self.first, self.table, self.ordered) = (first, table, 0);
        for (hour, sum) in std::mem::take(&mut self.list) {
            self.add(hour, sum)?;
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

    /// Each hour once, with its cost.
    ///
    /// # Errors
    /// As of [`add`](Self::add).
    pub(super) fn into_costs(self) -> Result<impl Iterator<Item = (Hour, Money)>, Hour> {
        let costs = |(hour, sum): (Hour, Sum)| (hour, Money::from_picos(i128::from(sum.picos)));
        Ok(self.into_sums()?.map(costs))
    }

    /// Adds up what is still in the list.
    fn settle(&mut self) -> Result<(), Hour> {
        if self.ordered < self.list.len() {
            return self.order();
        }
        Ok(())
    }

    /// Each hour with usage once, in no order.
    fn into_sums(mut self) -> Result<impl Iterator<Item = (Hour, Sum)>, Hour> {
        self.settle()?;
        let first = self.first;
        let hour = move |at| Hour::from_index(first.wrapping_add_unsigned(at));
        let table = (0..).zip(self.table).map(move |(at, sum)| (hour(at), sum));
        Ok(table.filter(|(_, sum)| *sum != Sum::NONE).chain(self.list))
    }

    /// The hours with usage, once all is settled.
    fn hours(&self) -> impl Iterator<Item = Hour> + '_ {
        let used = (0..).zip(&self.table).filter(|(_, sum)| **sum != Sum::NONE);
        let hour = |at| Hour::from_index(self.first.wrapping_add_unsigned(at));
        used.map(move |(at, _)| hour(at))
            .chain(self.list.iter().map(|(hour, _)| *hour))
    }
}

/// What was used, by whom and when. Numbers depend on the order of rows.
#[derive(Debug, Default)]
pub(super) struct Usage {
    used: FxHashMap<Used, u32>,
    series: FxHashMap<SeriesKey, u32>,
    /// By series.
    hours: Vec<Hours>,
    /// Those of kept parts, part by part, but for the first ones, which have been added up.
    cells: Vec<Cell>,
    /// How many there were when they were last added up.
    ordered: usize,
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

    /// Adds cells of series given by number: fastest where they come by hour, and in an hour in the order that
    /// [`into_cells`](Self::into_cells) is told.
    pub(super) fn add_cells(&mut self, cells: Vec<Cell>) -> Result<(), Beyond> {
        if self.cells.is_empty() {
            self.ordered = cells.len();
            self.cells = cells;
            return Ok(());
        }
        self.cells.extend(cells);
        if self.cells.len() >= REPEATED * self.ordered {
            let added = add_up(&mut self.cells);
            added.map_err(|cell| self.beyond(cell.series, cell.hour))?;
            self.ordered = self.cells.len();
        }
        Ok(())
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
        self.add_cells(renumbered(other.cells, |old| Some(series[old as usize])))?;
        for (number, hours) in series.into_iter().zip(other.hours) {
            let sums = hours.into_sums().map_err(|hour| self.beyond(number, hour))?;
            for (hour, sum) in sums {
                let added = self.hours[number as usize].add(hour, sum);
                added.map_err(|hour| self.beyond(number, hour))?;
            }
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

    /// The cells by hour and series, of the series in that order.
    pub(super) fn into_cells(mut self, order: &[u32]) -> Result<Vec<Cell>, Beyond> {
        let mut ranks = vec![None; self.hours.len()];
        for (rank, old) in (0..).zip(order) {
            ranks[*old as usize] = Some(rank);
        }
        let kept = std::mem::take(&mut self.cells);
        let kept = renumbered(kept, |old| ranks[old as usize]);
        let mut cells = self.counted(order)?;
        if kept.is_empty() {
            return Ok(cells);
        }
        if cells.is_empty() {
            cells = kept;
        } else {
            cells.extend(kept);
        }
        let added = add_up(&mut cells);
        added.map_err(|cell| self.beyond(order[cell.series as usize], cell.hour))?;
        Ok(cells)
    }

    /// The cells of what was added row by row. There are millions of cells and some hundred hours, so each is put where it
    /// belongs instead of being sorted in.
    fn counted(&mut self, order: &[u32]) -> Result<Vec<Cell>, Beyond> {
        let mut all = std::mem::take(&mut self.hours);
        let mut counts: FxHashMap<Hour, usize> = FxHashMap::default();
        for old in order {
            let hours = &mut all[*old as usize];
            hours.settle().map_err(|hour| self.beyond(*old, hour))?;
            for hour in hours.hours() {
                *counts.entry(hour).or_default() += 1;
            }
        }
        let mut hours: Vec<(&Hour, &mut usize)> = counts.iter_mut().collect();
        hours.sort_unstable();
        let mut cells = 0;
        for (_, count) in hours {
            cells += std::mem::replace(count, cells);
        }
        let mut next = counts;
        let none = Cell {
            hour: Hour::from_index(0),
            series: 0,
            amount: Quantity::ZERO,
            picos: 0,
        };
        let mut cells = vec![none; cells];
        for (series, old) in (0..).zip(order) {
            let hours = std::mem::take(&mut all[*old as usize]);
            for (hour, sum) in hours.into_sums().map_err(|hour| self.beyond(*old, hour))? {
                let place = next.entry(hour).or_default();
                cells[*place] = Cell {
                    hour,
                    series,
                    amount: Quantity::from_nanos(sum.nanos),
                    picos: sum.picos,
                };
                *place += 1;
            }
        }
        Ok(cells)
    }
}

/// Puts cells in order, each hour of a series once.
///
/// # Errors
/// A cell whose sum is beyond what can be held.
fn add_up(cells: &mut Vec<Cell>) -> Result<(), Cell> {
    // Stable, since that sort makes use of parts that are in order.
    cells.sort_by_key(|cell| (cell.hour, cell.series));
    let mut beyond = None;
    cells.dedup_by(|more, known| {
        let same = (more.hour, more.series) == (known.hour, known.series);
        if same && add(known, more).is_none() {
            beyond = Some(*more);
        }
        same
    });
    beyond.map_or(Ok(()), Err)
}

/// Adds to a cell; `None` beyond what it can hold.
fn add(known: &mut Cell, more: &Cell) -> Option<()> {
    let of = |cell: &Cell| Sum {
        nanos: cell.amount.nanos(),
        picos: cell.picos,
    };
    let mut sum = of(known);
    sum.add(of(more))?;
    (known.amount, known.picos) = (Quantity::from_nanos(sum.nanos), sum.picos);
    Some(())
}

/// Cells of other numbers, in the same order, without those of which there is none.
fn renumbered(mut cells: Vec<Cell>, number: impl Fn(u32) -> Option<u32>) -> Vec<Cell> {
    cells.retain_mut(|cell| {
        let number = number(cell.series);
        cell.series = number.unwrap_or_default();
        number.is_some()
    });
    cells
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
