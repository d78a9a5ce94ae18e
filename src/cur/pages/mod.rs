//! A row group read page by page: only the rows that matter, of the needed columns, into arrays.
//!
//! A report's rows are mostly tax, storage, traffic and requests. So the two columns that tell which rows matter, the
//! line item's type and its usage type, are read first, as dictionary codes, and the other columns only at the rows
//! found (where only late rows matter, the start of usage comes third). Unpacking of pages is the `parquet` crate's; levels, dictionary codes and plain values are read here, at
//! their places, without decoding what lies between.
//!
//! Whatever is not written as reports usually are ([`Unread`]: other encodings, nested columns, damage of any kind)
//! is left to the crate's own decoder, from the same row on. That decoder is also what tests and fuzzing compare this
//! one with.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::{cast, filter, take};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader};

use self::chunk::Chunk;
use self::gathered::texts_in_codes;
use super::object::FileBytes;

/// Rows looked at in one go: enough to make up for the calls per column, few enough to stay in a core's cache.
pub(crate) const ROWS: u32 = 8192;

mod chunk;
mod gathered;
pub(crate) mod guard;
mod hybrid;
mod page;

/// Why pages could not be read here. The decoder reads them, or says what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread(pub(crate) &'static str);

/// Which rows matter.
#[derive(Debug, Clone, Copy)]
pub struct RowFilter {
    /// What a line item's type says of it.
    pub line_type: fn(&str) -> Relevance,
    /// Whether usage of that type matters, where the line item's type does not settle it.
    pub usage_type: fn(&str) -> bool,
}

/// Whether rows matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relevance {
    /// None of them.
    None,
    /// Those of some usage types.
    ByUsageType,
    /// All of them.
    All,
}

/// What the columns of a file hold, row by row; texts in codes where they are so in the file.
#[derive(Debug)]
pub(crate) struct Arrays {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
}

/// The rows of one row group that matter, out of some thousand rows at a time.
pub(crate) struct SelectedRows {
    filter: RowFilter,
    line_type: Chunk,
    usage_type: Chunk,
    /// By the dictionary's codes.
    line_types: Vec<Relevance>,
    usage_types: Option<(ArrayRef, Vec<bool>)>,
    columns: Vec<Column>,
    /// The usage start, where only rows from a time on matter, and that time in the column's unit.
    start: Option<(Chunk, i64)>,
    /// Columns that are not read here, as many rows at a time.
    decoder: Option<ParquetRecordBatchReader>,
    rows: Range<u32>,
}

/// Where a column's values come from.
enum Column {
    LineType,
    UsageType,
    Start,
    Pages(Box<Chunk>),
    /// The decoder's column of that number.
    Decoded(usize),
}

impl SelectedRows {
    /// Opens a row group's columns `roots`, of which two lead.
    ///
    /// `decode` begins to read the roots that are not read here, [`ROWS`] rows at a time. With `since`, a column of
    /// times and milliseconds since the epoch, rows before that time are left out.
    pub(crate) fn open(
        filter: RowFilter,
        (bytes, metadata, row_group): (&FileBytes, &ArrowReaderMetadata, usize),
        roots: &[usize],
        [line_type, usage_type]: [usize; 2],
        since: Option<(usize, i64)>,
        decode: impl FnOnce(&[usize]) -> Option<ParquetRecordBatchReader>,
    ) -> Result<Self, Unread> {
        const LEADING: Unread = Unread("a leading column of another type");
        let group = metadata.metadata().row_group(row_group);
        let rows = u32::try_from(group.num_rows()).map_err(|_| Unread("too many rows"))?;
        let bytes = Arc::new(bytes.clone());
        let schema = metadata.parquet_schema();
        let chunk = |root: usize| {
            let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root);
            let leaf = leaf.ok_or(LEADING)?;
            let data_type = metadata.schema().field(root).data_type();
            Chunk::open(&bytes, group.column(leaf), data_type, rows as usize)
        };
        let start = since.and_then(|(root, millis)| {
            let per_milli = per_milli(metadata.schema().field(root).data_type())?;
            Some((root, millis.checked_mul(per_milli)?))
        });
        let start = match start {
            Some((root, since)) => chunk(root)?.map(|chunk| (root, (chunk, since))),
            None => None,
        };
        let mut by_decoder = Vec::new();
        let mut columns = Vec::with_capacity(roots.len());
        for root in roots {
            columns.push(match *root {
                root if root == line_type => Column::LineType,
                root if root == usage_type => Column::UsageType,
                root if start.as_ref().is_some_and(|(start, _)| root == *start) => Column::Start,
                root => match chunk(root)? {
                    Some(chunk) => Column::Pages(Box::new(chunk)),
                    None => {
                        by_decoder.push(root);
                        Column::Decoded(by_decoder.len() - 1)
                    }
                },
            });
        }
        let mut decoder = None;
        if !by_decoder.is_empty() {
            decoder = Some(decode(&by_decoder).ok_or(Unread("columns that can't be decoded"))?);
        }
        let mut line_type = chunk(line_type)?.ok_or(LEADING)?;
        let line_types = line_type.dictionary()?.as_string::<i32>().iter();
        let line_types = line_types.map(|text| (filter.line_type)(text.unwrap_or_default()));
        Ok(Self {
            filter,
            line_types: line_types.collect(),
            line_type,
            usage_type: chunk(usage_type)?.ok_or(LEADING)?,
            usage_types: None,
            columns,
            start: start.map(|(_, start)| start),
            decoder,
            rows: 0..rows,
        })
    }

    /// The first row that was not looked at.
    pub(crate) fn next_row(&self) -> usize {
        self.rows.start as usize
    }

    /// What matters of the next rows; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Arrays>, Unread> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let end = self.rows.end.min(self.rows.start.saturating_add(ROWS));
        let arrays = self.select(self.rows.start..end)?;
        self.rows.start = end;
        Ok(Some(arrays))
    }

    fn select(&mut self, rows: Range<u32>) -> Result<Arrays, Unread> {
        let by_decoder = match &mut self.decoder {
            Some(decoder) => Some(
                decoder
                    .next()
                    .and_then(Result::ok)
                    .ok_or(Unread("columns that can't be decoded"))?,
            ),
            None => None,
        };
        let (mut candidates, mut codes, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        let line_types = &self.line_types;
        self.line_type.codes(rows.clone(), |row, code| {
            let relevance = code.and_then(|code| line_types.get(code as usize));
            if let (Some(code), Some(Relevance::ByUsageType | Relevance::All)) = (code, relevance) {
                candidates.push(row);
                codes.push(code);
                settled.push(relevance == Some(&Relevance::All));
            }
        })?;
        let usage = self.usage_type.gather(&candidates)?;
        let mut keep = self.keep(&usage, &settled);
        let mut selected = chosen(&candidates, &keep);
        let mut start = None;
        if let Some((chunk, since)) = &mut self.start {
            let times = chunk.gather(&selected)?;
            let later = not_before(&times, *since)?;
            selected = chosen(&selected, &later);
            start = Some(kept(&times, &later)?);
            let mut later = later.values().iter();
            let keeps = keep.values().iter();
            keep = keeps
                .map(|keep| Some(keep && later.next().unwrap_or(false)))
                .collect();
        }
        let line_type = texts_in_codes(codes, self.line_type.dictionary()?)?;
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            columns.push(match column {
                Column::LineType => kept(&line_type, &keep)?,
                Column::UsageType => kept(&usage, &keep)?,
                Column::Start => start.take().ok_or(NOT_CHOSEN)?,
                Column::Pages(chunk) => chunk.gather(&selected)?,
                Column::Decoded(number) => {
                    let places: UInt32Array = selected.iter().map(|row| row - rows.start).collect();
                    let batch = by_decoder
                        .as_ref()
                        .ok_or(Unread("columns that can't be decoded"))?;
                    take(batch.column(*number), &places, None).map_err(|_| NOT_CHOSEN)?
                }
            });
        }
        Ok(Arrays {
            columns,
            rows: selected.len(),
        })
    }

    /// Which candidates matter, by their usage types where the line item's type has not settled it.
    fn keep(&mut self, usage: &ArrayRef, settled: &[bool]) -> BooleanArray {
        let usage_type = self.filter.usage_type;
        let of_null = usage_type("");
        let Some(coded) = usage.as_dictionary_opt::<Int32Type>() else {
            let texts = usage.as_string::<i32>().iter();
            let matter = texts.map(|text| text.map_or(of_null, usage_type));
            return matter
                .zip(settled)
                .map(|(matters, settled)| Some(matters || *settled))
                .collect();
        };
        let values = coded.values();
        let known = self
            .usage_types
            .take()
            .filter(|(seen, _)| Arc::ptr_eq(seen, values));
        let (_, by_code) = self.usage_types.insert(known.unwrap_or_else(|| {
            let texts = values.as_string::<i32>().iter();
            let matter = texts.map(|text| text.map_or(of_null, usage_type));
            (Arc::clone(values), matter.collect())
        }));
        let matters = |row: usize| coded.key(row).map_or(of_null, |code| by_code[code]);
        let settled = settled.iter().enumerate();
        settled
            .map(|(row, settled)| Some(*settled || matters(row)))
            .collect()
    }
}

const NOT_CHOSEN: Unread = Unread("rows that can't be chosen");

fn chosen(rows: &[u32], keep: &BooleanArray) -> Vec<u32> {
    let rows = rows.iter().zip(keep.values());
    rows.filter_map(|(row, keep)| keep.then_some(*row)).collect()
}

fn kept(array: &dyn Array, keep: &BooleanArray) -> Result<ArrayRef, Unread> {
    filter(array, keep).map_err(|_| NOT_CHOSEN)
}

/// Which times are not before `since`; what has no time is looked at elsewhere.
fn not_before(times: &ArrayRef, since: i64) -> Result<BooleanArray, Unread> {
    let times = cast(times, &DataType::Int64).map_err(|_| NOT_CHOSEN)?;
    let times = times.as_primitive::<Int64Type>().iter();
    Ok(times
        .map(|time| Some(time.is_none_or(|time| time >= since)))
        .collect())
}

/// How many of a timestamp's units a millisecond has.
pub(crate) fn per_milli(data_type: &DataType) -> Option<i64> {
    match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, _) => Some(1),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(1_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
