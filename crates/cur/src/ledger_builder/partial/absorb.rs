//! Adds a kept part of a ledger to what was counted, cut to the window.

use std::ops::Range;

use super::{Amounts, CellText, ClassText, EndsText, Index, Partial, SeriesText, Text};
use crate::ledger_builder::merge::{Ends, Lengths, Merge, Newest, merge_into};
use crate::ledger_builder::{Class, FACTS, LedgerBuilder, SeriesKey, Used, beyond};
use crate::symbols::Symbol;
use brimful_savings_plans::ledger::{Cell, PlanHour};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;
use brimful_types::{Error, Result};

impl LedgerBuilder {
    /// Adds a part that was counted from the window's beginning or from before it. `false` when it cannot be cut to
    /// the window; the builder is of no use then.
    ///
    /// # Errors
    /// The part is damaged, or an hour's usage or cost is beyond what one report can hold.
    pub fn absorb(&mut self, mut part: Partial) -> Result<bool> {
        if part.reaches_beyond(self.window.as_ref()) {
            return Ok(false);
        }
        let symbols = self
            .symbols
            .intern(part.strings.iter().map(|text| Some(text.as_str())));
        let symbol = |text: Text| symbols.get(text as usize).copied().ok_or_else(damaged);
        for (arn, hour, amounts) in &part.hours {
            let hour = Hour::from_index(*hour);
            if self.keeps(hour) {
                let known = &mut self.counts.hours;
                merge_into(known, (symbol(*arn)?, hour), plan_hour(amounts));
            }
        }
        for (arn, facts, is_fee, hour) in &part.facts {
            let hour = Hour::from_index(*hour);
            if self.begins_by(hour) {
                let mut texts = [Symbol::EMPTY; FACTS.len()];
                for (to, from) in texts.iter_mut().zip(facts) {
                    *to = symbol(*from)?;
                }
                merge_into(&mut self.counts.facts, (symbol(*arn)?, texts, *is_fee), hour);
            }
        }
        for (arn, usage, operation, hour, rate) in &part.rates {
            let (hour, rate) = (Hour::from_index(*hour), Money::from_picos(*rate));
            if self.begins_by(hour) {
                let key = (symbol(*arn)?, symbol(*usage)?, symbol(*operation)?);
                merge_into(&mut self.counts.rates, key, Newest(hour, rate));
            }
        }
        let cells = std::mem::take(&mut part.cells);
        self.absorb_usage((&part.series, cells), symbol)?;
        self.absorb_prices(&part, symbol)?;
        self.absorb_regions(&part, symbol)?;
        self.counts.timeless_rows += part.timeless_rows;
        self.counts.has_times |= part.has_times;
        for (arn, description, hour) in &part.refunds {
            let hour = hour.map(Hour::from_index);
            if hour.is_none_or(|hour| self.begins_by(hour)) {
                let key = (symbol(*arn)?, symbol(*description)?);
                merge_into(&mut self.counts.refunds, key, hour);
            }
        }
        for (hour, rows) in &part.unreadable_rows {
            let hour = Hour::from_index(*hour);
            if self.keeps(hour) {
                merge_into(&mut self.counts.unreadable_rows, hour, *rows);
            }
        }
        Ok(true)
    }

    fn absorb_prices(&mut self, part: &Partial, symbol: impl Fn(Text) -> Result<Symbol>) -> Result<()> {
        for (spot, prices) in [(false, &part.prices), (true, &part.spot_list_prices)] {
            for (usage, operation, hour, price) in prices {
                let (hour, price) = (Hour::from_index(*hour), Money::from_picos(*price));
                if self.begins_by(hour) {
                    let key = (symbol(*usage)?, symbol(*operation)?);
                    let known = if spot {
                        &mut self.counts.spot_list_prices
                    } else {
                        &mut self.counts.prices
                    };
                    merge_into(known, key, Newest(hour, price));
                }
            }
        }
        Ok(())
    }

    /// Series are numbered in their order here, so that they need no sorting later. One is known if some of its usage lies
    /// in the window, as when its rows are read.
    fn absorb_usage(
        &mut self,
        (series, cells): (&[SeriesText], Vec<Vec<CellText>>),
        symbol: impl Fn(Text) -> Result<Symbol>,
    ) -> Result<()> {
        if series.len() != cells.len() {
            return Err(damaged());
        }
        for (series, cells) in series.iter().zip(cells) {
            let cells = in_window(cells, self.window.as_ref())?;
            if cells.is_empty() {
                continue;
            }
            let (used, [account, cluster, node_pool]) = of_series(series, &symbol)?;
            let usage = &mut self.counts.usage;
            let used = usage.number_of_used(used);
            let number = usage.number_of(SeriesKey {
                used,
                account,
                cluster,
                node_pool,
            });
            let added = usage.add_all(number, cells);
            added.map_err(|sum| beyond(&self.symbols, sum.usage_type, sum.hour))?;
        }
        Ok(())
    }

    fn absorb_regions(&mut self, part: &Partial, symbol: impl Fn(Text) -> Result<Symbol>) -> Result<()> {
        for (region, usage, code, hour) in &part.regions {
            let hour = Hour::from_index(*hour);
            if self.begins_by(hour) {
                let code = symbol(*code)?;
                let key = (symbol(*region)?, symbol(*usage)?);
                merge_into(&mut self.counts.regions, key, (code, hour));
            }
        }
        for (arn, region, hour) in &part.covered_regions {
            let hour = Hour::from_index(*hour);
            if self.begins_by(hour) {
                merge_into(
                    &mut self.counts.covered_regions,
                    (symbol(*arn)?, symbol(*region)?),
                    hour,
                );
            }
        }
        for (region, ends) in &part.newest_by_region {
            let ends = self.within(ends);
            if ends != Ends::default() {
                merge_into(&mut self.counts.newest_by_region, symbol(*region)?, ends);
            }
        }
        let (newest, fees) = (self.within(&part.newest_usage), self.lengths(part.fees));
        let covered = self.lengths(part.covered);
        self.counts.newest_usage.merge(newest);
        self.counts.fees.merge(fees);
        self.counts.covered.merge(covered);
        Ok(())
    }

    /// Without what lies before the window.
    fn within(&self, ends: &EndsText) -> Ends {
        let longer = ends.longer.map(|(hour, end)| (Hour::from_index(hour), end));
        Ends {
            hours: ends
                .hours
                .map(Hour::from_index)
                .filter(|hour| self.begins_by(*hour)),
            longer: longer.filter(|(hour, _)| self.begins_by(*hour)),
        }
    }

    fn lengths(&self, hours: [Option<Index>; 3]) -> Lengths {
        let hours = hours.map(|hour| hour.map(Hour::from_index));
        Lengths(hours.map(|hour| hour.filter(|hour| self.begins_by(*hour))))
    }
}

/// The cells of those hours, in the memory that they came in.
fn in_window(cells: Vec<CellText>, window: Option<&Range<Hour>>) -> Result<Vec<Cell>> {
    let (mut before, mut is_ascending) = (None, true);
    let cells = cells.into_iter().map(|(step, amount, picos)| {
        let hour = Hour::from_index(step.wrapping_add(before.map_or(0, Hour::index)));
        is_ascending &= before.is_none_or(|before| before < hour);
        before = Some(hour);
        Cell {
            hour,
            amount: Quantity::from_nanos(amount),
            picos,
        }
    });
    let cells = cells.filter(|cell| window.is_none_or(|window| window.contains(&cell.hour)));
    let cells: Vec<Cell> = cells.collect();
    is_ascending.then_some(cells).ok_or_else(damaged)
}

fn plan_hour(amounts: &Amounts) -> PlanHour {
    PlanHour {
        commitment: amounts.commitment.map(Money::from_picos),
        used: Money::from_picos(amounts.used),
        covered: Money::from_picos(amounts.covered),
        suspect: amounts.suspect,
        fee_rows: amounts.fee_rows,
    }
}

/// What was used; and by which account, cluster and `NodePool`.
fn of_series(series: &SeriesText, symbol: impl Fn(Text) -> Result<Symbol>) -> Result<(Used, [Symbol; 3])> {
    let [usage_type, operation, region, account, cluster, node_pool] = series.texts;
    let used = Used {
        class: match series.class {
            ClassText::OnDemand => Class::OnDemand,
            ClassText::Spot => Class::Spot,
            ClassText::Reserved => Class::Reserved,
            ClassText::Covered(arn) => Class::Covered(symbol(arn)?),
        },
        is_instance: series.is_instance,
        usage_type: symbol(usage_type)?,
        operation: symbol(operation)?,
        region: symbol(region)?,
    };
    Ok((used, [symbol(account)?, symbol(cluster)?, symbol(node_pool)?]))
}

fn damaged() -> Error {
    Error::unexpected("a kept part of the ledger points at what it does not hold")
}
