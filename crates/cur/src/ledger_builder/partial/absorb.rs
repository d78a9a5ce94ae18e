//! Adds a kept part of a ledger to what was counted, cut to the window.

use super::{Amounts, CellsOfHour, ClassText, EndsText, Index, Partial, SeriesText, Text};
use crate::ledger_builder::newest::{Ends, Lengths, latest, newest};
use crate::ledger_builder::{Class, FACTS, LedgerBuilder, SeriesKey, Used};
use crate::symbols::Symbol;
use brimful_savings_plans::ledger::PlanHour;
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;
use brimful_types::{Error, Result};

impl LedgerBuilder<'_> {
    /// Adds a part that was counted from the window's beginning or from before it. `false` when it cannot be cut to
    /// the window; the builder is of no use then.
    ///
    /// # Errors
    /// The part is damaged, or an hour's usage or cost is beyond what one report can hold.
    pub fn absorb(&mut self, part: &Partial) -> Result<bool> {
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
                let entry = self.hours.entry((symbol(*arn)?, hour)).or_default();
                add_amounts(entry, amounts);
            }
        }
        for (arn, facts, is_fee, hour) in &part.facts {
            let hour = Hour::from_index(*hour);
            if self.begins_by(hour) {
                let mut texts = [Symbol::EMPTY; FACTS.len()];
                for (to, from) in texts.iter_mut().zip(facts) {
                    *to = symbol(*from)?;
                }
                latest(&mut self.facts, (symbol(*arn)?, texts, *is_fee), hour);
            }
        }
        for (arn, usage, operation, hour, rate) in &part.rates {
            let (hour, rate) = (Hour::from_index(*hour), Money::from_picos(*rate));
            if self.begins_by(hour) {
                let key = (symbol(*arn)?, symbol(*usage)?, symbol(*operation)?);
                newest(&mut self.rates, key, hour, rate);
            }
        }
        for (spot, prices) in [(false, &part.prices), (true, &part.spot_list_prices)] {
            for (usage, operation, hour, price) in prices {
                let (hour, price) = (Hour::from_index(*hour), Money::from_picos(*price));
                if self.begins_by(hour) {
                    let key = (symbol(*usage)?, symbol(*operation)?);
                    let known = if spot {
                        &mut self.spot_list_prices
                    } else {
                        &mut self.prices
                    };
                    newest(known, key, hour, price);
                }
            }
        }
        self.absorb_cells(part, symbol)?;
        self.absorb_regions(part, symbol)?;
        self.timeless_rows += part.timeless_rows;
        self.has_times |= part.has_times;
        for (arn, description, hour) in &part.refunds {
            let hour = hour.map(Hour::from_index);
            if hour.is_none_or(|hour| self.begins_by(hour)) {
                let key = (symbol(*arn)?, symbol(*description)?);
                let newest = self.refunds.entry(key).or_default();
                *newest = (*newest).max(hour);
            }
        }
        for (hour, rows) in &part.unreadable_rows {
            let hour = Hour::from_index(*hour);
            if self.keeps(hour) {
                *self.unreadable_rows.entry(hour).or_default() += rows;
            }
        }
        Ok(true)
    }

    fn absorb_cells(&mut self, part: &Partial, symbol: impl Fn(Text) -> Result<Symbol>) -> Result<()> {
        let window: Vec<&CellsOfHour> = part
            .cells
            .iter()
            .filter(|(hour, _)| self.keeps(Hour::from_index(*hour)))
            .collect();
        // A series is known here if one of its cells lies in the window, as when its rows are read. Numbered in their
        // order, they need no sorting later.
        let mut is_used = vec![false; part.series.len()];
        for cells in &window {
            for (at, ..) in stepped(cells) {
                *is_used.get_mut(at).ok_or_else(damaged)? = true;
            }
        }
        let mut numbers = vec![0; part.series.len()];
        for ((series, number), _) in part
            .series
            .iter()
            .zip(&mut numbers)
            .zip(is_used)
            .filter(|(_, used)| *used)
        {
            let (used, [account, cluster, node_pool]) = of_series(series, &symbol)?;
            let key = SeriesKey {
                used: self.number_of_used(used),
                account,
                cluster,
                node_pool,
            };
            *number = self.number_of(key);
        }
        self.cells
            .reserve(window.iter().map(|(_, cells)| cells.len()).sum());
        for cells in window {
            let hour = Hour::from_index(cells.0);
            for (at, amount, cost) in stepped(cells) {
                let cost = Money::from_picos(i128::from(cost));
                self.add_to_cell(numbers[at], hour, Quantity::from_nanos(amount), cost)?;
            }
        }
        Ok(())
    }

    fn absorb_regions(&mut self, part: &Partial, symbol: impl Fn(Text) -> Result<Symbol>) -> Result<()> {
        for (region, usage, code, hour) in &part.regions {
            let hour = Hour::from_index(*hour);
            if self.begins_by(hour) {
                let code = symbol(*code)?;
                let known = self.regions.entry((symbol(*region)?, symbol(*usage)?));
                let (_, newest) = known.or_insert((code, hour));
                *newest = (*newest).max(hour);
            }
        }
        for (arn, region, hour) in &part.covered_regions {
            let hour = Hour::from_index(*hour);
            if self.begins_by(hour) {
                latest(&mut self.covered_regions, (symbol(*arn)?, symbol(*region)?), hour);
            }
        }
        for (region, ends) in &part.newest_by_region {
            let ends = self.within(ends);
            if ends != Ends::default() {
                let known = self.newest_by_region.entry(symbol(*region)?).or_default();
                *known = known.max(ends);
            }
        }
        self.newest_usage = self.newest_usage.max(self.within(&part.newest_usage));
        self.fees = self.longer(self.fees, part.fees);
        self.covered = self.longer(self.covered, part.covered);
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

    fn longer(&self, mut known: Lengths, more: [Option<Index>; 3]) -> Lengths {
        for (known, more) in known.0.iter_mut().zip(more) {
            let more = more.map(Hour::from_index).filter(|hour| self.begins_by(*hour));
            *known = (*known).max(more);
        }
        known
    }
}

/// Series, amount and cost of each cell.
fn stepped((_, cells): &CellsOfHour) -> impl Iterator<Item = (usize, i64, i64)> + '_ {
    let mut at = 0_usize;
    cells.iter().map(move |(step, amount, cost)| {
        at = at.saturating_add(*step as usize);
        (at, *amount, *cost)
    })
}

fn add_amounts(to: &mut PlanHour, amounts: &Amounts) {
    if let Some(commitment) = amounts.commitment {
        *to.commitment.get_or_insert_default() += Money::from_picos(commitment);
    }
    to.used += Money::from_picos(amounts.used);
    to.covered += Money::from_picos(amounts.covered);
    to.suspect |= amounts.suspect;
    to.fee_rows = to.fee_rows.saturating_add(amounts.fee_rows);
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
