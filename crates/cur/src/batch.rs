//! A batch of decoded line items: the facts of `columns`, without a string built per row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, LargeStringArray, MapArray, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use super::columns::{Columns, NUMBERS, Number, TEXTS, TIMES, Tag, Text, Time, is_region, text_of};
use super::line_items::LineItems;
use super::pages::Arrays;
use super::symbols::{Symbol, Symbols};
use brimful_types::hour::read_time;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;
use brimful_types::{Error, Result};

mod focus;

/// Facts of some thousand line items, by row, as decoded from a file.
#[derive(Debug)]
pub struct DecodedItems {
    rows: usize,
    texts: [TextColumn; TEXTS],
    numbers: [Option<Float64Array>; NUMBERS],
    times: [TimestampMillisecondArray; TIMES],
    lacks_services: bool,
}

#[derive(Debug, Default)]
enum TextColumn {
    #[default]
    Absent,
    /// Dictionary codes as they stand in the file, and what each code means.
    Coded(Int32Array, Arc<[Symbol]>),
    Plain(Vec<Symbol>),
}

impl TextColumn {
    #[inline]
    fn symbol(&self, row: usize) -> Symbol {
        match self {
            Self::Coded(codes, symbols) if codes.is_valid(row) => {
                usize::try_from(codes.value(row)).map_or(Symbol::EMPTY, |code| symbols[code])
            }
            Self::Coded(..) | Self::Absent => Symbol::EMPTY,
            Self::Plain(symbols) => symbols[row],
        }
    }
}

impl DecodedItems {
    /// A numeric fact; null and absent are 0, what cannot be read as a number is NaN.
    #[inline]
    #[must_use]
    pub fn number(&self, fact: Number, row: usize) -> f64 {
        match &self.numbers[fact as usize] {
            Some(values) if values.is_valid(row) => values.value(row),
            _ => 0.0,
        }
    }

    fn per_unit(&self, cost: Number, row: usize) -> Option<Money> {
        let (cost, amount) = (self.number(cost, row), self.number(Number::UsageAmount, row));
        (cost > 0.0 && amount > 0.0)
            .then(|| Money::from_dollars((cost / amount * 1e9).round() / 1e9))
            .flatten()
    }
}

impl LineItems for DecodedItems {
    #[inline]
    fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    fn lacks_services(&self) -> bool {
        self.lacks_services
    }

    #[inline]
    fn text(&self, fact: Text, row: usize) -> Symbol {
        self.texts[fact as usize].symbol(row)
    }

    #[inline]
    fn millis(&self, fact: Time, row: usize) -> Option<i64> {
        let values = &self.times[fact as usize];
        values.is_valid(row).then(|| values.value(row))
    }

    #[inline]
    fn line_items(&self, _: usize) -> u64 {
        1
    }

    #[inline]
    fn dollars(&self, fact: Number, row: usize) -> Option<Money> {
        Money::from_dollars(self.number(fact, row))
    }

    #[inline]
    fn amount(&self, row: usize) -> Option<Quantity> {
        Quantity::from_units(self.number(Number::UsageAmount, row))
    }

    #[inline]
    fn plan_rate(&self, row: usize) -> Option<Money> {
        Money::from_dollars(self.number(Number::PlanRate, row))
    }

    #[inline]
    fn price(&self, row: usize) -> Option<Money> {
        let listed = self.per_unit(Number::OnDemandCost, row);
        listed.or_else(|| self.per_unit(Number::UnblendedCost, row))
    }

    #[inline]
    fn price_beyond_billed(&self, row: usize) -> Option<Money> {
        let billed = self.per_unit(Number::UnblendedCost, row);
        let listed = self.per_unit(Number::OnDemandCost, row);
        listed.filter(|price| billed.is_none_or(|billed| *price > billed))
    }
}

/// Turns the record batches of one file's row group into line items.
#[derive(Debug)]
pub(crate) struct BatchDecoder<'a> {
    columns: &'a Columns,
    /// Root column number → position in the record batch.
    positions: Vec<usize>,
    symbols: &'a Symbols,
    file: &'a str,
    /// Dictionaries resolved last, by root column: the reader hands the same one out for many batches.
    resolved: Vec<Option<(ArrayRef, Arc<[Symbol]>)>>,
    /// Likewise of maps, but for the codes only that occurred at keys that are wanted.
    picked: Vec<Option<(ArrayRef, Vec<Option<Symbol>>)>>,
    /// What was worked out for a FOCUS file.
    focus: focus::Known,
}

impl<'a> BatchDecoder<'a> {
    pub(crate) fn new(columns: &'a Columns, symbols: &'a Symbols, file: &'a str) -> Self {
        let positions = columns.roots();
        let resolved = vec![None; positions.len()];
        Self {
            columns,
            positions,
            symbols,
            file,
            picked: vec![None; resolved.len()],
            resolved,
            focus: focus::Known::default(),
        }
    }

    pub(crate) fn decode(&mut self, batch: &Arrays) -> Result<DecodedItems> {
        let mut texts: [TextColumn; TEXTS] = Default::default();
        let columns = self.columns;
        for (fact, roots) in columns.texts.iter().enumerate() {
            for root in roots {
                let column = self.text(batch, *root)?;
                merge(&mut texts[fact], column, batch.rows);
            }
        }
        for root in &columns.tag_maps {
            for tag in [Tag::NodePool, Tag::Cluster] {
                let column = self.map_entry(batch, *root, |key| Tag::of(key) == Some(tag))?;
                merge(&mut texts[text_of(tag) as usize], column, batch.rows);
            }
        }
        if let Some(root) = columns.product_map {
            texts[Text::Region as usize] = self.map_entry(batch, root, is_region)?;
        }
        let mut numbers: [Option<Float64Array>; NUMBERS] = Default::default();
        for (fact, root) in columns.numbers.iter().enumerate() {
            numbers[fact] = root
                .map(|root| self.number(self.column(batch, root)))
                .transpose()?;
        }
        if let Some(focus) = &columns.focus {
            self.refine(batch, focus, &mut texts, &mut numbers)?;
        }
        Ok(DecodedItems {
            rows: batch.rows,
            lacks_services: columns.lacks_services(),
            texts,
            numbers,
            times: [
                self.time(batch, columns.times[0])?,
                self.time(batch, columns.times[1])?,
            ],
        })
    }

    fn position(&self, root: usize) -> usize {
        // Every root was projected, so it is found.
        self.positions.binary_search(&root).unwrap_or_default()
    }

    fn column<'b>(&self, batch: &'b Arrays, root: usize) -> &'b ArrayRef {
        &batch.columns[self.position(root)]
    }

    fn text(&mut self, batch: &Arrays, root: usize) -> Result<TextColumn> {
        let array = self.column(batch, root);
        // Much of what describes plans is null in all rows of other usage.
        if array.null_count() == array.len() {
            return Ok(TextColumn::Absent);
        }
        let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else {
            return Ok(TextColumn::Plain(self.symbols_of(array)?));
        };
        let position = self.position(root);
        let values = dictionary.values();
        let symbols = match &self.resolved[position] {
            Some((seen, symbols)) if Arc::ptr_eq(seen, values) => Arc::clone(symbols),
            _ => {
                let symbols: Arc<[Symbol]> = self.symbols_of(values)?.into();
                self.resolved[position] = Some((Arc::clone(values), Arc::clone(&symbols)));
                symbols
            }
        };
        Ok(TextColumn::Coded(dictionary.keys().clone(), symbols))
    }

    fn symbols_of(&self, array: &ArrayRef) -> Result<Vec<Symbol>> {
        if let Some(strings) = array.as_any().downcast_ref::<StringArray>() {
            return Ok(self.symbols.intern(strings.iter()));
        }
        if let Some(strings) = array.as_any().downcast_ref::<LargeStringArray>() {
            return Ok(self.symbols.intern(strings.iter()));
        }
        let strings = self.cast(array, &DataType::Utf8)?;
        Ok(self.symbols.intern(strings.as_string::<i32>().iter()))
    }

    /// The value of the first key of a map column that `wanted` accepts, row by row.
    fn map_entry(
        &mut self,
        batch: &Arrays,
        root: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<TextColumn> {
        let array = self.column(batch, root);
        let Some(map) = array.as_any().downcast_ref::<MapArray>() else {
            return Err(self.wrong(&format!("a map column has type {}", array.data_type())));
        };
        // Keys are few: judge each once, by its dictionary code.
        let keys = self.cast(map.keys(), &coded_text())?;
        let keys = keys.as_dictionary::<Int32Type>();
        let names = self.cast(keys.values(), &DataType::Utf8)?;
        let accepted: Vec<bool> = names
            .as_string::<i32>()
            .iter()
            .map(|n| n.is_some_and(&wanted))
            .collect();
        let is_wanted = |entry: usize| keys.key(entry).is_some_and(|code| accepted[code]);
        let offsets = map.value_offsets();
        #[allow(clippy::cast_sign_loss)] // arrow guarantees ascending offsets from 0
        let entries = |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
        let picks: UInt64Array = (0..batch.rows)
            .map(|row| entries(row).find(|entry| map.is_valid(row) && is_wanted(*entry)))
            .map(|entry| entry.map(|entry| entry as u64))
            .collect();
        let picked =
            arrow_select::take::take(map.values(), &picks, None).map_err(|e| self.wrong(&e.to_string()))?;
        Ok(TextColumn::Plain(self.picked_texts(&picked, root)?))
    }

    /// Some of a map's values. Its dictionary has those of all keys: only what occurs becomes a symbol.
    fn picked_texts(&mut self, picked: &ArrayRef, root: usize) -> Result<Vec<Symbol>> {
        let coded = picked.as_dictionary_opt::<Int32Type>();
        let texts = coded.and_then(|coded| coded.values().as_string_opt::<i32>());
        let Some((coded, texts)) = coded.zip(texts) else {
            return self.symbols_of(picked);
        };
        let position = self.position(root);
        let known = match &mut self.picked[position] {
            Some((seen, known)) if Arc::ptr_eq(seen, coded.values()) => known,
            other => {
                &mut other
                    .insert((Arc::clone(coded.values()), vec![None; texts.len()]))
                    .1
            }
        };
        let mut symbol = |code: usize| {
            let intern = || self.symbols.intern(std::iter::once(Some(texts.value(code))))[0];
            *known[code].get_or_insert_with(intern)
        };
        Ok((0..coded.len())
            .map(|row| coded.key(row).map_or(Symbol::EMPTY, &mut symbol))
            .collect())
    }

    fn number(&self, array: &ArrayRef) -> Result<Float64Array> {
        if let Some(values) = array.as_primitive_opt() {
            return Ok(values.clone());
        }
        if !super::columns::is_text(array.data_type()) {
            return Ok(self.cast(array, &DataType::Float64)?.as_primitive().clone());
        }
        let strings = self.cast(array, &DataType::Utf8)?;
        // '' is an absent number; anything else that does not parse must not become one.
        Ok(strings
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(str::trim).filter(|t| !t.is_empty()))
            .map(|text| text.map(|t| t.parse().unwrap_or(f64::NAN)))
            .collect())
    }

    fn time(&self, batch: &Arrays, root: usize) -> Result<TimestampMillisecondArray> {
        let array = self.column(batch, root);
        if super::columns::is_text(array.data_type()) {
            let strings = self.cast(array, &DataType::Utf8)?;
            let times = strings
                .as_string::<i32>()
                .iter()
                .map(|text| text.and_then(read_time));
            return Ok(times
                .map(|time| time.map(|time| time.timestamp_millis()))
                .collect());
        }
        let millis = self.cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
        Ok(millis.as_primitive().clone())
    }

    fn cast(&self, array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
        // The zone is UTC whether or not the file says so; casting must not shift the instant.
        let options = CastOptions {
            safe: true,
            ..CastOptions::default()
        };
        match (array.data_type(), to) {
            (from, to) if from == to => Ok(Arc::clone(array)),
            (
                DataType::Timestamp(TimeUnit::Millisecond, Some(_)),
                DataType::Timestamp(TimeUnit::Millisecond, None),
            ) => {
                let values: &TimestampMillisecondArray = array.as_primitive();
                Ok(Arc::new(values.clone().with_timezone_opt(None::<Arc<str>>)))
            }
            _ => cast_with_options(array, to, &options).map_err(|e| self.wrong(&e.to_string())),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::report(format!("{}: {what}", self.file))
    }
}

/// Text as the reader is asked for it: dictionary codes, so that no string is built per row.
pub(crate) fn coded_text() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Takes `more` where `column` has nothing yet.
fn merge(column: &mut TextColumn, more: TextColumn, rows: usize) {
    if matches!(column, TextColumn::Absent) {
        *column = more;
        return;
    }
    let merged = (0..rows)
        .map(|row| {
            let symbol = column.symbol(row);
            if symbol.is_empty() {
                more.symbol(row)
            } else {
                symbol
            }
        })
        .collect();
    *column = TextColumn::Plain(merged);
}
