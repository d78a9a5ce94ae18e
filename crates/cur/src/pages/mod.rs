//! A row group read page by page: only the rows that matter, of the needed columns, into arrays.
//!
//! A report's rows are mostly tax, storage, traffic and requests. So the columns that show which rows matter (the line
//! item's type, its product and its usage type) are read first, as dictionary codes, and the other columns only at the
//! rows found: those that only plans fill at the rows of plans, and where only late rows matter, the start of usage
//! before the rest. Unpacking of pages is the `parquet` crate's; levels, dictionary codes and plain values are read
//! here, at their places, without decoding what lies between.
//!
//! Whatever is not written as reports usually are ([`Unread`]: other encodings, lists in lists, damage of any kind)
//! is left to the crate's own decoder, from the same row on. That decoder is also what tests and fuzzing compare this
//! one with.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, UInt32Array};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use arrow_select::filter::filter;
use arrow_select::take::take;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader};
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::SchemaDescriptor;

use self::chunk::{Chunk, Shape};
use self::map::MapChunk;
use self::selection::{Selection, texts_in_codes};
use super::columns::Text;
use super::object::FileBytes;

/// Rows looked at in one go: enough to make up for the calls per column, few enough to stay in a core's cache.
pub(crate) const ROWS: u32 = 8192;

mod chunk;
pub(crate) mod guard;
mod map;
mod page;
mod rle;
mod selection;

/// Why pages could not be read here. The decoder reads them, or says what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread(pub(crate) &'static str);

/// Which rows matter: those whose leading facts have a bit in common.
#[derive(Debug, Clone, Copy)]
pub struct RowFilter {
    /// Facts of one column each, and the bits of what they say; of a file without the column, those of the empty string.
    pub leading: &'static [(Text, Bits)],
    /// The bits of rows that concern a plan. Columns that only plans fill are not read of other rows.
    pub plan_bits: u8,
    /// The bits of fees and refunds, of which a description is read.
    pub fee_bits: u8,
}

/// The bits of a text.
pub type Bits = fn(&str) -> u8;

/// Whether a map's key is wanted.
pub(crate) type IsWanted = fn(&str) -> bool;

/// What the columns of a file hold, row by row; texts in codes where they are so in the file.
#[derive(Debug)]
pub(crate) struct Arrays {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
}

/// The rows of one row group that matter, out of some thousand rows at a time.
pub(crate) struct SelectedRows {
    leading: Vec<Leading>,
    /// The bits that rows have by what the file lacks.
    known: u8,
    plan_bits: u8,
    fee_bits: u8,
    columns: Vec<Column>,
    /// The usage start, where only rows from a time on matter, and that time in the column's unit.
    start: Option<(Chunk, i64)>,
    /// Columns that are not read here, as many rows at a time.
    decoder: Option<ParquetRecordBatchReader>,
    rows: Range<u32>,
    /// The bits of each row, kept for their memory.
    bits: Vec<u8>,
}

/// What is read of which columns, by their numbers in the file's root.
pub(crate) struct Roots<'a> {
    pub(crate) all: &'a [usize],
    /// Those that tell which rows matter, and the bits of what they say.
    pub(crate) leading: &'a [(usize, Bits)],
    /// The bits that rows have by what the file lacks.
    pub(crate) known: u8,
    /// Those that are read only of rows that concern a plan.
    pub(crate) plan_columns: &'a [usize],
    /// Those that are read only of fees and refunds.
    pub(crate) fee_columns: &'a [usize],
    /// Maps, and which of their keys are wanted.
    pub(crate) maps: &'a [(usize, IsWanted)],
    /// The usage start and milliseconds since the epoch, where rows before that time are left out.
    pub(crate) since: Option<(usize, i64)>,
}

/// Where a column's values come from.
enum Column {
    Leading(usize),
    Start,
    Pages(Box<Chunk>),
    /// Likewise, of rows that concern a plan.
    OfPlans(Box<Chunk>),
    /// Likewise, of fees and refunds.
    OfFees(Box<Chunk>),
    Map(Box<MapChunk>),
    /// The decoder's column of that number.
    Decoded(usize),
}

/// A column that shows which rows matter.
struct Leading {
    chunk: Chunk,
    /// The bits of what each code stands for, and of a null.
    bits: Vec<u8>,
    null: u8,
    /// The codes of the rows at hand.
    codes: Vec<u32>,
}

impl Leading {
    fn open(mut chunk: Chunk, bits: Bits) -> Result<Self, Unread> {
        let texts = chunk.dictionary()?.as_string::<i32>();
        Ok(Self {
            bits: texts.iter().map(|text| bits(text.unwrap_or_default())).collect(),
            null: bits(""),
            chunk,
            codes: Vec::new(),
        })
    }

    /// Takes from `bits` those that `rows` do not have here.
    fn narrow(&mut self, rows: Range<u32>, bits: &mut [u8]) -> Result<(), Unread> {
        self.codes.clear();
        self.chunk.codes(rows, &mut self.codes)?;
        for (bits, code) in bits.iter_mut().zip(&self.codes) {
            *bits &= self.bits.get(*code as usize).unwrap_or(&self.null);
        }
        Ok(())
    }
}

impl SelectedRows {
    /// Opens columns of a row group. `decode` begins to read the roots that are not read here, [`ROWS`] rows at a time.
    pub(crate) fn open(
        (bytes, metadata, row_group): (&FileBytes, &ArrowReaderMetadata, usize),
        filter: &RowFilter,
        roots: &Roots<'_>,
        decode: impl FnOnce(&[usize]) -> Option<ParquetRecordBatchReader>,
    ) -> Result<Self, Unread> {
        let group = metadata.metadata().row_group(row_group);
        let rows = u32::try_from(group.num_rows()).map_err(|_| Unread("too many rows"))?;
        let group = RowGroup {
            bytes: Arc::new(bytes.clone()),
            metadata,
            group,
            rows: rows as usize,
        };
        let start = group.start(roots)?;
        let leading = group.leading(roots)?;
        let mut by_decoder = Vec::new();
        let mut columns = Vec::with_capacity(roots.all.len());
        for root in roots.all {
            columns.push(
                if let Some(number) = leading.iter().position(|(leading, _)| leading == root) {
                    Column::Leading(number)
                } else if start.as_ref().is_some_and(|(start, ..)| start == root) {
                    Column::Start
                } else if let Some(column) = group.column(*root, roots)? {
                    column
                } else {
                    by_decoder.push(*root);
                    Column::Decoded(by_decoder.len() - 1)
                },
            );
        }
        let mut decoder = None;
        if !by_decoder.is_empty() {
            decoder = Some(decode(&by_decoder).ok_or(NOT_DECODED)?);
        }
        Ok(Self {
            leading: leading.into_iter().map(|(_, leading)| leading).collect(),
            known: roots.known,
            plan_bits: filter.plan_bits,
            fee_bits: filter.fee_bits,
            columns,
            start: start.map(|(_, chunk, since)| (chunk, since)),
            decoder,
            rows: 0..rows,
            bits: Vec::new(),
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
        self.mark(&rows)?;
        let mut selected = self.marked(&rows);
        let mut start = self.leave_out_early(&mut selected)?;
        let places: UInt32Array = selected.iter().map(|row| row - rows.start).collect();
        let [of_plans, of_fees] = self.of_plans_and_fees(&selected, &places);
        let all = Selection::all(&selected);
        let [of_plans, of_fees] = [&of_plans, &of_fees].map(|part| part.among(selected.len()));
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            columns.push(match column {
                Column::Leading(number) => {
                    let Leading { chunk, codes, .. } = &mut self.leading[*number];
                    let codes = places.values().iter().map(|place| codes[*place as usize]);
                    texts_in_codes(codes, chunk.dictionary()?)?
                }
                Column::Start => start.take().ok_or(NOT_CHOSEN)?,
                Column::Pages(chunk) => chunk.gather(&all)?,
                Column::OfPlans(chunk) => chunk.gather(&of_plans)?,
                Column::OfFees(chunk) => chunk.gather(&of_fees)?,
                Column::Map(map) => map.gather(&rows, &selected)?,
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

    /// Finds the bits that each of `rows` has in all leading columns.
    fn mark(&mut self, rows: &Range<u32>) -> Result<(), Unread> {
        self.bits.clear();
        self.bits.resize(rows.len(), self.known);
        for leading in &mut self.leading {
            leading.narrow(rows.clone(), &mut self.bits)?;
        }
        Ok(())
    }

    /// The rows that matter by their bits.
    fn marked(&self, rows: &Range<u32>) -> Vec<u32> {
        let mut selected = vec![0; rows.len()];
        let mut count = 0;
        // Without a branch: which of some thousand rows matter, nothing foretells.
        for (row, bits) in rows.clone().zip(&self.bits) {
            selected[count] = row;
            count += usize::from(*bits != 0);
        }
        selected.truncate(count);
        selected
    }

    /// Leaves out the rows before the time from which on rows matter. The start of usage of those that stay.
    fn leave_out_early(&mut self, selected: &mut Vec<u32>) -> Result<Option<ArrayRef>, Unread> {
        let Some((chunk, since)) = &mut self.start else {
            return Ok(None);
        };
        let times = chunk.gather(&Selection::all(selected))?;
        let later = not_before(&times, *since)?;
        *selected = later.values().set_indices().map(|at| selected[at]).collect();
        let times = filter(&times, &later).map_err(|_| NOT_CHOSEN)?;
        Ok(Some(times))
    }

    /// Of the selected rows those of plans, and those of fees and refunds.
    fn of_plans_and_fees(&self, selected: &[u32], places: &UInt32Array) -> [Part; 2] {
        let (mut of_plans, mut of_fees) = (Part::default(), Part::default());
        for ((at, row), place) in (0..).zip(selected).zip(places.values()) {
            let bits = self.bits[*place as usize];
            if bits & self.plan_bits != 0 {
                of_plans.push(*row, at);
            }
            if bits & self.fee_bits != 0 {
                of_fees.push(*row, at);
            }
        }
        [of_plans, of_fees]
    }
}

/// Some of the selected rows, and where they stand among them.
#[derive(Default)]
struct Part {
    rows: Vec<u32>,
    at: Vec<u32>,
}

impl Part {
    fn push(&mut self, row: u32, at: u32) {
        self.rows.push(row);
        self.at.push(at);
    }

    /// To be read into a column of so many rows.
    fn among(&self, selected: usize) -> Selection<'_> {
        Selection {
            rows: &self.rows,
            at: Some(&self.at),
            of: selected,
        }
    }
}

/// A row group whose columns are being opened.
struct RowGroup<'a> {
    bytes: Arc<FileBytes>,
    metadata: &'a ArrowReaderMetadata,
    group: &'a RowGroupMetaData,
    rows: usize,
}

impl RowGroup<'_> {
    fn data_type(&self, root: usize) -> &DataType {
        self.metadata.schema().field(root).data_type()
    }

    /// A flat column; `None` when it is of a type that is not read here.
    fn chunk(&self, root: usize) -> Result<Option<Chunk>, Unread> {
        let leaf = leaf_of(self.metadata.parquet_schema(), root).ok_or(LEADING)?;
        let column = self.group.column(leaf);
        Chunk::open(&self.bytes, column, self.data_type(root), Shape::Flat, self.rows)
    }

    /// The usage start, where rows before a time are left out, and that time in the column's unit.
    fn start(&self, roots: &Roots<'_>) -> Result<Option<(usize, Chunk, i64)>, Unread> {
        let since = roots.since.and_then(|(root, millis)| {
            let per_milli = per_milli(self.data_type(root))?;
            Some((root, millis.checked_mul(per_milli)?))
        });
        let Some((root, since)) = since else {
            return Ok(None);
        };
        Ok(self.chunk(root)?.map(|chunk| (root, chunk, since)))
    }

    /// The columns that show which rows matter.
    fn leading(&self, roots: &Roots<'_>) -> Result<Vec<(usize, Leading)>, Unread> {
        let mut leading = Vec::new();
        for (root, bits) in roots.leading {
            let opened = self
                .chunk(*root)?
                .ok_or(LEADING)
                .and_then(|chunk| Leading::open(chunk, *bits));
            match opened {
                Ok(opened) => leading.push((*root, opened)),
                Err(unread) if leading.is_empty() => return Err(unread),
                // Without it, only more rows than matter are read.
                Err(_) => {}
            }
        }
        Ok(leading)
    }

    /// A column that is read here at the selected rows; `None` when it is left to the decoder.
    fn column(&self, root: usize, roots: &Roots<'_>) -> Result<Option<Column>, Unread> {
        if let Some(chunk) = self.chunk(root)? {
            let chunk = Box::new(chunk);
            return Ok(Some(if roots.fee_columns.contains(&root) {
                Column::OfFees(chunk)
            } else if roots.plan_columns.contains(&root) {
                Column::OfPlans(chunk)
            } else {
                Column::Pages(chunk)
            }));
        }
        let Some(map) = roots.maps.iter().find(|(map, _)| *map == root) else {
            return Ok(None);
        };
        let map = MapChunk::open(&self.bytes, self.group, *map, self.data_type(root))?;
        Ok(map.map(|map| Column::Map(Box::new(map))))
    }
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
    leaves_of(schema, root).next()
}

fn leaves_of(schema: &SchemaDescriptor, root: usize) -> impl Iterator<Item = usize> {
    (0..schema.num_columns()).filter(move |leaf| schema.get_column_root_idx(*leaf) == root)
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
