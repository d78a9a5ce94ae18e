//! A map of texts, such as `resource_tags`, at chosen rows: its entries are read as rows of two flat columns.
//!
//! Source: Apache Parquet format, "Nested Encoding" and "Maps". Keys and values have the same entries; a row begins at
//! each entry whose repetition level is 0; a row without a map, or with an empty one, has one entry without a key.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BooleanArray, MapArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use arrow_select::filter::filter;
use parquet::basic::Encoding;
use parquet::column::page::PageReader;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::chunk::{Chunk, NO_PAGE, Shape, damaged};
use super::page::{Levels, row_starts};
use super::selection::Selection;
use super::{IsWanted, NOT_CHOSEN, Unread, leaves_of};
use crate::object::FileBytes;

/// A map column of a row group, read forward.
pub(super) struct MapChunk {
    rows: RowStarts,
    keys: Chunk,
    values: Chunk,
    is_wanted: IsWanted,
    /// The row group's rows.
    end: u32,
    /// Where the rows at hand begin, and the one after them.
    starts: Vec<u32>,
}

impl MapChunk {
    /// `None` for what is no map of texts.
    pub(super) fn open(
        bytes: &Arc<FileBytes>,
        group: &RowGroupMetaData,
        (root, is_wanted): (usize, IsWanted),
        data_type: &DataType,
    ) -> Result<Option<Self>, Unread> {
        let DataType::Map(entries, _) = data_type else {
            return Ok(None);
        };
        let DataType::Struct(pair) = entries.data_type() else {
            return Ok(None);
        };
        let leaves = leaves_of(group.schema_descr(), root).map(|leaf| group.column(leaf));
        let leaves: Vec<&ColumnChunkMetaData> = leaves.collect();
        let ([key, value], [key_field, value_field]) = (leaves.as_slice(), pair.as_ref()) else {
            return Ok(None);
        };
        if !(is_known_to_encode(key) && is_known_to_encode(value)) {
            return Ok(None);
        }
        let entries = usize::try_from(key.num_values()).map_err(|_| NO_PAGE)?;
        let open =
            |chunk, field: &Field| Chunk::open(bytes, chunk, field.data_type(), Shape::Entries, entries);
        let (Some(keys), Some(values)) = (open(key, key_field)?, open(value, value_field)?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            rows: RowStarts::open(bytes, key, entries)?,
            keys,
            values,
            is_wanted,
            end: u32::try_from(group.num_rows()).map_err(|_| NO_PAGE)?,
            starts: Vec::new(),
        }))
    }

    /// The maps at the rows `selected` of the next `rows`, with those entries only whose keys are wanted. No map is an
    /// empty one.
    pub(super) fn gather(&mut self, rows: &Range<u32>, selected: &[u32]) -> Result<ArrayRef, Unread> {
        self.rows.next(rows.len(), &mut self.starts)?;
        if rows.end == self.end && self.starts.last() != Some(&self.rows.entries.end) {
            return Err(Unread("more rows in a map than there are"));
        }
        let entries_of = |row: &u32| {
            let at = (row - rows.start) as usize;
            self.starts[at]..self.starts[at + 1]
        };
        let entries: Vec<u32> = selected.iter().flat_map(entries_of).collect();
        let keys = self.keys.gather(&Selection::all(&entries))?;
        let are_wanted = are_wanted(&keys, self.is_wanted);
        let mut first = 0;
        let lengths = selected.iter().map(|row| {
            let count = entries_of(row).len();
            first += count;
            are_wanted.slice(first - count, count).true_count()
        });
        let offsets = OffsetBuffer::try_from_lengths(lengths).map_err(|_| NOT_CHOSEN)?;
        let entries: Vec<u32> = are_wanted.values().set_indices().map(|at| entries[at]).collect();
        let keys = filter(&keys, &are_wanted).map_err(|_| NOT_CHOSEN)?;
        let values = self.values.gather(&Selection::all(&entries))?;
        let pair = Fields::from(vec![
            Field::new("key", keys.data_type().clone(), false),
            Field::new("value", values.data_type().clone(), true),
        ]);
        let pairs = StructArray::try_new(pair.clone(), vec![keys, values], None).map_err(|_| NOT_CHOSEN)?;
        let entries = Arc::new(Field::new("key_value", DataType::Struct(pair), false));
        let maps = MapArray::try_new(entries, offsets, pairs, None, false).map_err(|_| NOT_CHOSEN)?;
        Ok(Arc::new(maps))
    }
}

/// False where pages are written as only the decoder reads them: better it decodes this column than all.
fn is_known_to_encode(chunk: &ColumnChunkMetaData) -> bool {
    #[allow(deprecated)] // still what older writers say
    chunk.encodings().all(|encoding| {
        matches!(
            encoding,
            Encoding::PLAIN
                | Encoding::RLE
                | Encoding::BIT_PACKED
                | Encoding::PLAIN_DICTIONARY
                | Encoding::RLE_DICTIONARY
        )
    })
}

/// Which keys are wanted. A row without entries has none.
fn are_wanted(keys: &ArrayRef, is_wanted: IsWanted) -> BooleanArray {
    let of_texts = |texts: &ArrayRef| -> Vec<bool> {
        let texts = texts.as_string::<i32>().iter();
        texts.map(|text| text.is_some_and(is_wanted)).collect()
    };
    match keys.as_dictionary_opt::<Int32Type>() {
        Some(coded) => {
            let known = of_texts(coded.values());
            (0..coded.len())
                .map(|at| Some(coded.key(at).is_some_and(|code| known[code])))
                .collect()
        }
        None => of_texts(keys).into(),
    }
}

/// Where rows begin among the entries of a repeated column.
struct RowStarts {
    pages: SerializedPageReader<FileBytes>,
    levels: Levels,
    /// The page at hand: a bit for each entry, its entries, and which of them was not looked at yet.
    starts: Vec<u64>,
    entries: Range<u32>,
    at: u32,
    /// The first entry of the next row.
    next: Option<u32>,
}

impl RowStarts {
    fn open(bytes: &Arc<FileBytes>, chunk: &ColumnChunkMetaData, entries: usize) -> Result<Self, Unread> {
        Ok(Self {
            pages: SerializedPageReader::new(Arc::clone(bytes), chunk, entries, None).map_err(damaged)?,
            levels: Levels::of(chunk)?,
            starts: Vec::new(),
            entries: 0..0,
            at: 0,
            next: None,
        })
    }

    /// The first entries of so many rows, and of the one after them.
    fn next(&mut self, rows: usize, starts: &mut Vec<u32>) -> Result<(), Unread> {
        starts.clear();
        let first = match self.next {
            Some(first) => first,
            None => self.find()?.filter(|first| *first == 0).ok_or(NO_PAGE)?,
        };
        starts.push(first);
        for _ in 0..rows {
            // After the last row comes the end, once.
            let next = self.find()?.unwrap_or(self.entries.end);
            if starts.last() == Some(&next) {
                return Err(NO_PAGE);
            }
            starts.push(next);
        }
        self.next = starts.last().copied();
        Ok(())
    }

    /// The next row's first entry; `None` after the last row.
    fn find(&mut self) -> Result<Option<u32>, Unread> {
        loop {
            while self.at < self.entries.end - self.entries.start {
                let (word, bit) = ((self.at / 64) as usize, self.at % 64);
                let rest = self.starts[word] >> bit;
                if rest != 0 {
                    let at = self.at + rest.trailing_zeros();
                    self.at = at + 1;
                    return Ok(Some(self.entries.start + at));
                }
                self.at += 64 - bit;
            }
            let Some(page) = self.pages.get_next_page().map_err(damaged)? else {
                return Ok(None);
            };
            if page.is_data_page() {
                let (starts, count) = row_starts(page, self.levels)?;
                let first = self.entries.end;
                self.entries = first..first.checked_add(count).ok_or(NO_PAGE)?;
                (self.starts, self.at) = (starts, 0);
            }
        }
    }
}
