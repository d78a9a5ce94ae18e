//! One column chunk: its dictionary and its pages, read at chosen rows.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::StringBuilder;
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::page::{DataPage, Levels, Presence, Values};
use super::selection::{Dense, Selected, Selection, text_of};
use super::{BEYOND, SHORT, Unread};
use crate::columns::is_text;
use crate::object::FileBytes;

pub(super) const NO_PAGE: Unread = Unread("pages that do not add up to the row group's rows");
const PLAIN: Unread = Unread("a leading column that is not written in codes");

/// The code of a null; no dictionary has so many values.
pub(super) const NULL: u32 = u32::MAX;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Double,
    /// A time in 8 bytes.
    Time,
    /// A time of day and a Julian day, in 12 bytes.
    Int96,
}

/// The Julian day of 1970-01-01, and the nanoseconds of a day.
const JULIAN_EPOCH: i64 = 2_440_588;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

impl Kind {
    fn of(chunk: &ColumnChunkMetaData, data_type: &DataType) -> Option<Self> {
        match (chunk.column_type(), data_type) {
            (PhysicalType::BYTE_ARRAY, text) if is_text(text) => Some(Self::Text),
            (PhysicalType::DOUBLE, DataType::Float64) => Some(Self::Double),
            (PhysicalType::INT64, DataType::Timestamp(..)) => Some(Self::Time),
            (PhysicalType::INT96, DataType::Timestamp(TimeUnit::Nanosecond, None)) => Some(Self::Int96),
            _ => None,
        }
    }

    fn nothing(&self) -> Dense {
        match self {
            Self::Text => Dense::Codes(Vec::new()),
            Self::Double => Dense::Doubles(Vec::new()),
            Self::Time | Self::Int96 => Dense::Times(Vec::new()),
        }
    }
}

#[derive(Debug)]
enum Dictionary {
    Absent,
    Texts(ArrayRef),
    Doubles(Vec<f64>),
    Times(Vec<i64>),
}

impl Dictionary {
    fn texts(&self) -> Option<&ArrayRef> {
        match self {
            Self::Texts(texts) => Some(texts),
            _ => None,
        }
    }
}

/// What counts as a row of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A row, with one value or none.
    Flat,
    /// An entry of a list or map of texts; and a row without any.
    Entries,
}

/// A column chunk, read forward.
pub(super) struct Chunk {
    pages: SerializedPageReader<FileBytes>,
    kind: Kind,
    data_type: DataType,
    levels: Levels,
    dictionary: Dictionary,
    page: Option<DataPage>,
    /// The rows of the page at hand.
    rows: Range<u32>,
    /// Where the next plain text of the page at hand begins: its place among the values, and the byte.
    plain: (u32, usize),
    // Kept from call to call for their memory.
    places: Vec<u32>,
    codes: Vec<u32>,
}

impl Chunk {
    /// A column of that shape; `None` for others, and for types other than texts, doubles and times.
    pub(super) fn open(
        bytes: &Arc<FileBytes>,
        chunk: &ColumnChunkMetaData,
        data_type: &DataType,
        shape: Shape,
        rows: usize,
    ) -> Result<Option<Self>, Unread> {
        let column = chunk.column_descr();
        let (repetition, definition) = (column.max_rep_level(), column.max_def_level());
        let kind = Kind::of(chunk, data_type).filter(|kind| match shape {
            Shape::Flat => repetition == 0 && definition <= 1,
            Shape::Entries => repetition == 1 && *kind == Kind::Text,
        });
        let Some(kind) = kind else {
            return Ok(None);
        };
        Ok(Some(Self {
            pages: SerializedPageReader::new(Arc::clone(bytes), chunk, rows, None).map_err(damaged)?,
            kind,
            data_type: data_type.clone(),
            levels: Levels::of(chunk)?,
            dictionary: Dictionary::Absent,
            page: None,
            rows: 0..0,
            plain: (0, 0),
            places: Vec::new(),
            codes: Vec::new(),
        }))
    }

    /// The values at the chosen rows, which ascend, also from call to call.
    pub(super) fn gather(&mut self, chosen: &Selection<'_>) -> Result<ArrayRef, Unread> {
        let mut found = Selected::new(self.kind.nothing(), chosen);
        let mut first = 0;
        while let Some(row) = chosen.rows.get(first) {
            self.seek(*row)?;
            let here = chosen.rows[first..].partition_point(|row| *row < self.rows.end);
            self.gather_page(chosen, first..first + here, &mut found)?;
            first += here;
        }
        found.into_array(self.dictionary.texts(), &self.data_type)
    }

    /// The codes of all of `rows`, [`NULL`] for a null. [`Unread`] where the column has no codes.
    pub(super) fn codes(&mut self, rows: Range<u32>, out: &mut Vec<u32>) -> Result<(), Unread> {
        let mut at = rows.start;
        while at < rows.end {
            self.seek(at)?;
            let (first, end) = (self.rows.start, self.rows.end.min(rows.end));
            let page = self.page.as_mut().ok_or(NO_PAGE)?;
            let nulls = matches!(page.presence, Presence::None);
            let Values::Codes(codes) = &mut page.values else {
                if !nulls {
                    return Err(PLAIN);
                }
                out.extend((at..end).map(|_| NULL));
                at = end;
                continue;
            };
            if page.presence.is_full() {
                codes.runs(at - first..end - first, |run, values| {
                    values.copy_to(out, run.end - run.start);
                })?;
            } else {
                let place = |row: u32| page.presence.place(row - first);
                self.places.clear();
                self.places.extend((at..end).filter_map(place));
                self.codes.clear();
                codes.gather(&self.places, &mut self.codes)?;
                let mut codes = self.codes.iter().copied();
                out.extend((at..end).map(|row| place(row).and_then(|_| codes.next()).unwrap_or(NULL)));
            }
            at = end;
        }
        Ok(())
    }

    /// What the codes of a text column stand for.
    pub(super) fn dictionary(&mut self) -> Result<&ArrayRef, Unread> {
        if self.page.is_none() {
            self.seek(0)?;
        }
        self.dictionary.texts().ok_or(PLAIN)
    }

    /// Makes the page at hand the one that holds `row`. Pages in between are not even unpacked.
    fn seek(&mut self, row: u32) -> Result<(), Unread> {
        if row < self.rows.start {
            return Err(Unread("pages are read forward only"));
        }
        while row >= self.rows.end || self.page.is_none() {
            let next = self.pages.peek_next_page().map_err(damaged)?.ok_or(NO_PAGE)?;
            if next.is_dict {
                let page = self.pages.get_next_page().map_err(damaged)?.ok_or(NO_PAGE)?;
                self.dictionary = self.read_dictionary(&page)?;
                continue;
            }
            let rows = next
                .num_levels
                .or(next.num_rows)
                .and_then(|rows| u32::try_from(rows).ok());
            let rows = rows.ok_or(NO_PAGE)?;
            let start = self.rows.end;
            self.rows = start..start.checked_add(rows).ok_or(NO_PAGE)?;
            self.page = None;
            if row >= self.rows.end {
                self.pages.skip_next_page().map_err(damaged)?;
                continue;
            }
            let page = self.pages.get_next_page().map_err(damaged)?.ok_or(NO_PAGE)?;
            let page = DataPage::read(page, self.levels)?;
            if page.rows != rows {
                return Err(NO_PAGE);
            }
            (self.page, self.plain) = (Some(page), (0, 0));
        }
        Ok(())
    }

    fn read_dictionary(&self, page: &Page) -> Result<Dictionary, Unread> {
        #[allow(deprecated)] // still what older writers say
        if !matches!(page.encoding(), Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
            return Err(Unread("a dictionary in another encoding"));
        }
        let (data, count) = (page.buffer(), page.num_values());
        Ok(match self.kind {
            Kind::Text => {
                let mut texts = StringBuilder::new();
                let mut at = 0;
                for _ in 0..count {
                    texts.append_value(next_text(data, &mut at)?);
                }
                Dictionary::Texts(Arc::new(texts.finish()))
            }
            Kind::Double => Dictionary::Doubles(all(data, count, double)?),
            Kind::Time => Dictionary::Times(all(data, count, long)?),
            Kind::Int96 => Dictionary::Times(all(data, count, int96)?),
        })
    }

    /// Adds what the page at hand holds at a range of the chosen rows, all of them its own.
    fn gather_page(
        &mut self,
        chosen: &Selection<'_>,
        range: Range<usize>,
        found: &mut Selected,
    ) -> Result<(), Unread> {
        let rows = &chosen.rows[range.clone()];
        let first = self.rows.start;
        let page = self.page.as_mut().ok_or(NO_PAGE)?;
        self.places.clear();
        if page.presence.is_full() {
            self.places.extend(rows.iter().map(|row| row - first));
            found.note_present(chosen, range);
        } else {
            for (at, row) in range.zip(rows) {
                let place = page.presence.place(row - first);
                found.note(chosen, at, place.is_some());
                self.places.extend(place);
            }
        }
        let places = &self.places;
        match (&mut page.values, &mut found.dense) {
            _ if places.is_empty() => {}
            (Values::Codes(codes), dense) => {
                self.codes.clear();
                codes.gather(places, &mut self.codes)?;
                match (dense, &self.dictionary) {
                    (Dense::Codes(out), _) => out.extend_from_slice(&self.codes),
                    (Dense::Texts(out), Dictionary::Texts(texts)) => {
                        for code in &self.codes {
                            out.append_value(text_of(texts, *code)?);
                        }
                    }
                    (Dense::Doubles(out), Dictionary::Doubles(known)) => decode(&self.codes, known, out)?,
                    (Dense::Times(out), Dictionary::Times(known)) => decode(&self.codes, known, out)?,
                    _ => return Err(Unread("codes without a dictionary")),
                }
            }
            (Values::Plain(data), Dense::Doubles(out)) => pick(data, places, double, out)?,
            (Values::Plain(data), Dense::Times(out)) if self.kind == Kind::Int96 => {
                pick(data, places, int96, out)?;
            }
            (Values::Plain(data), Dense::Times(out)) => pick(data, places, long, out)?,
            (Values::Plain(data), dense) => {
                let out = dense.texts(self.dictionary.texts())?;
                let (mut place, mut at) = self.plain;
                for wanted in places {
                    while place < *wanted {
                        skip_text(data, &mut at)?;
                        place += 1;
                    }
                    // It stays the next one: the same row may be asked for once more.
                    out.append_value(next_text(data, &mut { at })?);
                }
                self.plain = (place, at);
            }
        }
        Ok(())
    }
}

/// The dictionary's values by code.
fn decode<T: Copy>(codes: &[u32], known: &[T], out: &mut Vec<T>) -> Result<(), Unread> {
    out.reserve(codes.len());
    for code in codes {
        out.push(*known.get(*code as usize).ok_or(BEYOND)?);
    }
    Ok(())
}

/// Values of a fixed width at their places.
fn pick<T, const N: usize>(
    data: &[u8],
    places: &[u32],
    read: fn([u8; N]) -> T,
    out: &mut Vec<T>,
) -> Result<(), Unread> {
    let (values, _) = data.as_chunks::<N>();
    out.reserve(places.len());
    for place in places {
        out.push(read(*values.get(*place as usize).ok_or(SHORT)?));
    }
    Ok(())
}

/// So many values of a fixed width.
fn all<T, const N: usize>(data: &[u8], count: u32, read: fn([u8; N]) -> T) -> Result<Vec<T>, Unread> {
    let (values, _) = data.as_chunks::<N>();
    let values = values.get(..count as usize).ok_or(SHORT)?;
    Ok(values.iter().map(|bytes| read(*bytes)).collect())
}

fn double(bytes: [u8; 8]) -> f64 {
    f64::from_le_bytes(bytes)
}

fn long(bytes: [u8; 8]) -> i64 {
    i64::from_le_bytes(bytes)
}

/// Nanoseconds since the epoch.
fn int96(bytes: [u8; 12]) -> i64 {
    let (time_of_day, day) = bytes.split_at(8);
    let time_of_day = time_of_day.try_into().map_or(0, i64::from_le_bytes);
    let day = day.try_into().map_or(0, u32::from_le_bytes);
    (i64::from(day) - JULIAN_EPOCH)
        .wrapping_mul(NANOS_PER_DAY)
        .wrapping_add(time_of_day)
}

/// A text with its length before it; `at` moves on to the next.
fn next_text<'a>(data: &'a [u8], at: &mut usize) -> Result<&'a str, Unread> {
    let begin = at.saturating_add(4);
    skip_text(data, at)?;
    std::str::from_utf8(&data[begin..*at]).map_err(|_| Unread("a text that is not UTF-8"))
}

fn skip_text(data: &[u8], at: &mut usize) -> Result<(), Unread> {
    let rest = data.get(*at..).unwrap_or_default();
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > rest.len() {
        return Err(SHORT);
    }
    *at += 4 + length;
    Ok(())
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
pub(super) fn damaged(error: ParquetError) -> Unread {
    tracing::debug!("page by page: {error}");
    Unread("damaged pages")
}
