//! A row group read page by page: only the rows that matter, of the needed columns, into arrays.
//!
//! A report's rows are mostly tax, storage, traffic and requests. So the two columns that tell which rows matter, the
//! line item's type and its usage type, are read first, as dictionary codes, and the other columns only at the rows
//! found (where only late rows matter, the start of usage comes third). Unpacking of pages is the `parquet` crate's;
//! levels, dictionary codes and plain values are read here, at their places, without decoding what lies between.
//!
//! Whatever is not written as reports usually are ([`Unread`]: other encodings, nested columns, damage of any kind)
//! is left to the crate's own decoder, from the same row on. That decoder is also what tests and fuzzing compare this
//! one with.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::{cast, filter, take};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader};
use parquet::schema::types::SchemaDescriptor;

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
    line_type: Chunk,
    usage_type: Chunk,
    /// What the codes of the two leading columns say: a row matters where they have a bit in common.
    line_types: Vec<u8>,
    usage_types: Vec<u8>,
    null_usage: u8,
    columns: Vec<Column>,
    /// Codes of the leading columns, kept for their memory.
    codes: [Vec<u32>; 2],
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
        let group = metadata.metadata().row_group(row_group);
        let rows = u32::try_from(group.num_rows()).map_err(|_| Unread("too many rows"))?;
        let bytes = Arc::new(bytes.clone());
        let chunk = |root: usize| {
            let leaf = leaf_of(metadata.parquet_schema(), root).ok_or(LEADING)?;
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
            decoder = Some(decode(&by_decoder).ok_or(NOT_DECODED)?);
        }
        let leading = |root: usize| chunk(root)?.ok_or(LEADING);
        let [mut line_type, mut usage_type] = [leading(line_type)?, leading(usage_type)?];
        let line_type_bits = |text: &str| match (filter.line_type)(text) {
            Relevance::None => 0,
            Relevance::ByUsageType => BY_USAGE_TYPE,
            Relevance::All => ALL,
        };
        let usage_type_bits = |text: &str| {
            if (filter.usage_type)(text) {
                BY_USAGE_TYPE | ALL
            } else {
                ALL
            }
        };
        Ok(Self {
            line_types: bits(&mut line_type, line_type_bits)?,
            usage_types: bits(&mut usage_type, usage_type_bits)?,
            null_usage: usage_type_bits(""),
            line_type,
            usage_type,
            columns,
            codes: Default::default(),
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
        let batch = self.decoder.as_mut();
        let batch = batch.map(|decoder| decoder.next().and_then(Result::ok).ok_or(NOT_DECODED));
        let batch = batch.transpose()?;
        let [line_types, usage_types] = &mut self.codes;
        for (chunk, codes) in [
            (&mut self.line_type, &mut *line_types),
            (&mut self.usage_type, &mut *usage_types),
        ] {
            codes.clear();
            chunk.codes(rows.clone(), codes)?;
        }
        let mut selected = vec![0; rows.len()];
        let mut count = 0;
        // Without a branch: which of some thousand rows matter, nothing foretells.
        for ((row, line_type), usage_type) in rows.clone().zip(&*line_types).zip(&*usage_types) {
            let line_type = self.line_types.get(*line_type as usize).unwrap_or(&0);
            let usage_type = self
                .usage_types
                .get(*usage_type as usize)
                .unwrap_or(&self.null_usage);
            selected[count] = row;
            count += usize::from(line_type & usage_type != 0);
        }
        selected.truncate(count);
        let mut start = None;
        if let Some((chunk, since)) = &mut self.start {
            let times = chunk.gather(&selected)?;
            let later = not_before(&times, *since)?;
            selected = later.values().set_indices().map(|at| selected[at]).collect();
            start = Some(filter(&times, &later).map_err(|_| NOT_CHOSEN)?);
        }
        let places: UInt32Array = selected.iter().map(|row| row - rows.start).collect();
        let leading = |codes: &[u32], chunk: &mut Chunk| {
            let codes = places.values().iter().map(|place| codes[*place as usize]);
            texts_in_codes(codes, chunk.dictionary()?)
        };
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            columns.push(match column {
                Column::LineType => leading(line_types, &mut self.line_type)?,
                Column::UsageType => leading(usage_types, &mut self.usage_type)?,
                Column::Start => start.take().ok_or(NOT_CHOSEN)?,
                Column::Pages(chunk) => chunk.gather(&selected)?,
                Column::Decoded(number) => {
                    let batch = batch.as_ref().ok_or(NOT_DECODED)?;
                    take(batch.column(*number), &places, None).map_err(|_| NOT_CHOSEN)?
                }
            });
        }
        Ok(Arrays {
            columns,
            rows: selected.len(),
        })
    }
}

// Bits by which rows are chosen.
const BY_USAGE_TYPE: u8 = 1;
const ALL: u8 = 2;

/// The bits of each text of a leading column's dictionary.
fn bits(chunk: &mut Chunk, of: impl Fn(&str) -> u8) -> Result<Vec<u8>, Unread> {
    let texts = chunk.dictionary()?.as_string::<i32>();
    Ok(texts.iter().map(|text| of(text.unwrap_or_default())).collect())
}

// What several parts find.
const SHORT: Unread = Unread("a page shorter than it says");
const BEYOND: Unread = Unread("a code beyond its dictionary");
const LEADING: Unread = Unread("a leading column of another type");
const NOT_DECODED: Unread = Unread("columns that can't be decoded");
const NOT_CHOSEN: Unread = Unread("rows that can't be chosen");

/// Which times are not before `since`; what has no time is looked at elsewhere.
fn not_before(times: &ArrayRef, since: i64) -> Result<BooleanArray, Unread> {
    let times = cast(times, &DataType::Int64).map_err(|_| NOT_CHOSEN)?;
    let times = times.as_primitive::<Int64Type>().iter();
    Ok(times
        .map(|time| Some(time.is_none_or(|time| time >= since)))
        .collect())
}

/// The leaf of a root column, or its first.
pub(crate) fn leaf_of(schema: &SchemaDescriptor, root: usize) -> Option<usize> {
    (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root)
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
