//! The answer's rows: line items that agree in every text and time, their numbers added up exactly.

use super::Cells;
use super::sql::{COLUMNS, DOLLARS};
use crate::columns::{Number, TEXTS, Text, Time};
use crate::line_items::LineItems;
use crate::symbols::{Symbol, Symbols};
use brimful_types::hour::read_time;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;
use brimful_types::{Error, Result};

/// A page of the answer.
#[derive(Debug, Default)]
pub(crate) struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    texts: [Symbol; TEXTS],
    times: [Option<i64>; 2],
    line_items: u64,
    amount: Option<Quantity>,
    dollars: [Option<Money>; DOLLARS.len()],
    plan_rate: Option<Money>,
    price: Option<Money>,
    price_beyond_billed: Option<Money>,
}

impl Groups {
    /// Reads a page, whose columns are [`COLUMNS`].
    ///
    /// # Errors
    /// A cell holds something else than the query asked for, which must never pass for nothing.
    pub(crate) fn read(page: &[Cells], symbols: &Symbols) -> Result<Self> {
        page.iter()
            .map(|cells| group(cells, symbols))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// How many line items they are.
    pub(crate) fn line_items(&self) -> u64 {
        self.0.iter().map(|group| group.line_items).sum()
    }
}

fn group(cells: &Cells, symbols: &Symbols) -> Result<Group> {
    if cells.len() != COLUMNS {
        return Err(Error::report(format!(
            "Athena's answer has {} columns instead of {COLUMNS}",
            cells.len()
        )));
    }
    let (texts, rest) = cells.split_at(TEXTS);
    let interned = symbols.intern(texts.iter().map(Option::as_deref));
    let mut texts = [Symbol::EMPTY; TEXTS];
    texts.copy_from_slice(&interned);
    let cell = |index: usize| rest[index].as_deref();
    let whole = |index: usize| cell(index).map(parsed::<i128>).transpose();
    let rate = |index: usize| -> Result<Option<Money>> {
        let dollars = cell(index).map(parsed::<f64>).transpose()?;
        Ok(dollars.and_then(Money::from_dollars))
    };
    // After starts, ends and the mark of what cannot be read.
    let line_items = parsed(cell(3).unwrap_or_default())?;
    let amount = match whole(4)?.map(i64::try_from) {
        None => None,
        Some(Ok(nanos)) => Some(Quantity::from_nanos(nanos)),
        Some(Err(_)) => {
            return Err(Error::report(format!(
                "an hour's usage of {} is beyond what a report can hold",
                symbols.text(texts[Text::UsageType as usize])
            ))
            .hint("the report's numbers cannot be right: export it again"));
        }
    };
    let mut dollars = [None; DOLLARS.len()];
    for (index, sum) in dollars.iter_mut().enumerate() {
        *sum = whole(5 + index)?.map(Money::from_picos);
    }
    let next = 5 + DOLLARS.len();
    Ok(Group {
        texts,
        times: [cell(0), cell(1)].map(|text| text.and_then(millis)),
        line_items,
        amount,
        dollars,
        plan_rate: rate(next)?,
        price: rate(next + 1)?,
        price_beyond_billed: rate(next + 2)?,
    })
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::report(format!(
            "Athena's answer holds {text:?} where a number was asked for"
        ))
    })
}

/// A time as Athena, or a pipeline that made text of it, writes it.
fn millis(text: &str) -> Option<i64> {
    read_time(text).map(|time| time.timestamp_millis())
}

impl LineItems for Groups {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn lacks_services(&self) -> bool {
        false
    }

    fn text(&self, fact: Text, row: usize) -> Symbol {
        self.0[row].texts[fact as usize]
    }

    fn millis(&self, fact: Time, row: usize) -> Option<i64> {
        self.0[row].times[fact as usize]
    }

    fn line_items(&self, row: usize) -> u64 {
        self.0[row].line_items
    }

    fn dollars(&self, fact: Number, row: usize) -> Option<Money> {
        let index = DOLLARS.iter().position(|(number, _)| *number == fact)?;
        self.0[row].dollars[index]
    }

    fn amount(&self, row: usize) -> Option<Quantity> {
        self.0[row].amount
    }

    fn plan_rate(&self, row: usize) -> Option<Money> {
        self.0[row].plan_rate
    }

    fn price(&self, row: usize) -> Option<Money> {
        self.0[row].price
    }

    fn price_beyond_billed(&self, row: usize) -> Option<Money> {
        self.0[row].price_beyond_billed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE: i64 = 1_793_523_600_000; // 2026-11-01T09:00:00Z

    fn cells(of: &[(usize, &str)]) -> Cells {
        let mut cells = vec![None; COLUMNS];
        cells[TEXTS + 3] = Some("1".to_owned());
        for (index, text) in of {
            cells[*index] = Some((*text).to_owned());
        }
        cells
    }

    #[test]
    fn every_spelling_of_a_time_is_the_same_instant() {
        for text in [
            "2026-11-01 09:00:00.000",
            "2026-11-01 09:00:00",
            "2026-11-01T09:00:00Z",
            "2026-11-01T09:00:00.000Z",
            "2026-11-01 09:00:00+00",
            "2026-11-01 10:00:00+01:00",
            "2026-11-01 09:00:00.000 UTC",
        ] {
            assert_eq!(millis(text), Some(NINE), "{text}");
        }
        assert_eq!(millis("2026-11-01"), Some(NINE - 9 * 3_600_000));
        assert_eq!(millis("soon"), None);
    }

    #[test]
    fn sums_keep_every_picodollar_and_null_is_not_zero() {
        let symbols = Symbols::default();
        let first = TEXTS + 5;
        let page = [cells(&[
            (TEXTS + 3, "3"),
            (TEXTS + 4, "2500000000"),
            (first, "12345678901234567890123"),
            (first + DOLLARS.len() + 1, "1.92E-1"),
        ])];
        let groups = Groups::read(&page, &symbols).unwrap();
        assert_eq!(
            groups.dollars(Number::UnblendedCost, 0).map(Money::picos),
            Some(12_345_678_901_234_567_890_123)
        );
        assert_eq!(groups.dollars(Number::EffectiveCost, 0), None);
        assert_eq!(groups.amount(0), Quantity::from_units(2.5));
        assert_eq!(groups.price(0), Money::from_dollars(0.192));
        assert_eq!((groups.line_items(), groups.millis(Time::Start, 0)), (3, None));
    }

    #[test]
    fn what_is_no_number_is_an_error_and_never_nothing() {
        let symbols = Symbols::default();
        for (index, text) in [
            (TEXTS + 3, ""),
            (TEXTS + 4, "1.5e9"),
            (TEXTS + 5, "NaN"),
            (TEXTS + 9, "x"),
        ] {
            assert!(
                Groups::read(&[cells(&[(index, text)])], &symbols).is_err(),
                "{index}: {text}"
            );
        }
        let beyond = cells(&[(TEXTS + 4, "10000000000000000000")]);
        let error = Groups::read(&[beyond], &symbols).unwrap_err();
        assert!(error.to_string().contains("beyond"), "{error}");
        assert!(Groups::read(&[vec![None]], &symbols).is_err());
    }
}
