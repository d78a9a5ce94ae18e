//! One data page: which of its rows (of a repeated column: its entries) hold a value, and where the values begin.
//!
//! Source: Apache Parquet format, "Data Pages".

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::file::metadata::ColumnChunkMetaData;

use super::rle::RleDecoder;
use super::{SHORT, Unread};

/// Which levels a column's pages have. A flat column has no repetition, and definition up to 1 at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub(super) is_repeated: bool,
    /// The definition level of a value that is there; 0 where no value can be missing.
    pub(super) definition: u8,
}

impl Levels {
    pub(super) fn of(chunk: &ColumnChunkMetaData) -> Result<Self, Unread> {
        let column = chunk.column_descr();
        Ok(Self {
            is_repeated: column.max_rep_level() > 0,
            definition: u8::try_from(column.max_def_level()).map_err(|_| Unread("levels without end"))?,
        })
    }
}

/// A page, its levels read.
#[derive(Debug)]
pub(super) struct DataPage {
    /// Its rows, null or not; of a repeated column, its entries.
    pub(super) rows: u32,
    pub(super) presence: Presence,
    pub(super) values: Values,
}

/// The parts of a page.
struct Parts {
    entries: u32,
    repetition: Option<Bytes>,
    definition: Option<Bytes>,
    encoding: Encoding,
    values: Bytes,
}

/// The values of a page that are not null.
#[derive(Debug)]
pub(super) enum Values {
    /// Codes of the chunk's dictionary.
    Codes(RleDecoder),
    /// One after the other.
    Plain(Bytes),
}

/// Which rows hold a value.
#[derive(Debug)]
pub(super) enum Presence {
    All,
    None,
    /// A bit for each row, and how many are set before each word.
    Some {
        words: Vec<u64>,
        before: Vec<u32>,
    },
}

impl Parts {
    fn of(page: Page, levels: Levels) -> Result<Self, Unread> {
        match page {
            Page::DataPage {
                mut buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                ..
            } => {
                let repetition = levels.is_repeated.then(|| counted(&mut buf, rep_level_encoding));
                let is_defined = levels.definition > 0;
                let definition = is_defined.then(|| counted(&mut buf, def_level_encoding));
                Ok(Self {
                    entries: num_values,
                    repetition: repetition.transpose()?,
                    definition: definition.transpose()?,
                    encoding,
                    values: buf,
                })
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let repetition = rep_levels_byte_len as usize;
                let end = repetition.saturating_add(def_levels_byte_len as usize);
                let is_flat = repetition == 0 && num_rows == num_values;
                if end > buf.len() || !(levels.is_repeated || is_flat) {
                    return Err(Unread("levels that the column doesn't have"));
                }
                Ok(Self {
                    entries: num_values,
                    repetition: levels.is_repeated.then(|| buf.slice(..repetition)),
                    definition: (levels.definition > 0).then(|| buf.slice(repetition..end)),
                    encoding,
                    values: buf.slice(end..),
                })
            }
            Page::DictionaryPage { .. } => Err(Unread("a dictionary among the data")),
        }
    }
}

/// Levels with their length before them, taken from the beginning of `buf`.
fn counted(buf: &mut Bytes, encoding: Encoding) -> Result<Bytes, Unread> {
    if encoding != Encoding::RLE {
        return Err(Unread("levels in an encoding of old"));
    }
    let length = buf.get(..4).and_then(|length| length.try_into().ok());
    let length = u32::from_le_bytes(length.ok_or(SHORT)?) as usize;
    let end = length
        .checked_add(4)
        .filter(|end| *end <= buf.len())
        .ok_or(SHORT)?;
    let levels = buf.slice(4..end);
    *buf = buf.slice(end..);
    Ok(levels)
}

/// A bit for each entry of a repeated column's page, set where a row begins; and how many entries there are.
pub(super) fn row_starts(page: Page, levels: Levels) -> Result<(Vec<u64>, u32), Unread> {
    let parts = Parts::of(page, levels)?;
    let repetition = parts.repetition.ok_or(SHORT)?;
    Ok((bits(repetition, parts.entries, 1, 0)?, parts.entries))
}

impl DataPage {
    /// Reads a page of a column that has such levels.
    pub(super) fn read(page: Page, levels: Levels) -> Result<Self, Unread> {
        let Parts {
            entries: rows,
            definition,
            encoding,
            values,
            ..
        } = Parts::of(page, levels)?;
        let values = match encoding {
            Encoding::PLAIN => Values::Plain(values),
            #[allow(deprecated)] // still what older writers say
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => match values.first() {
                Some(width) => Values::Codes(RleDecoder::new(values.slice(1..), *width)?),
                None => Values::Plain(values),
            },
            _ => return Err(Unread("an encoding that only the decoder knows")),
        };
        let presence = match definition {
            Some(definition) => Presence::read(definition, rows, levels.definition)?,
            None => Presence::All,
        };
        Ok(Self {
            rows,
            presence,
            values,
        })
    }
}

/// Bits of a level.
fn width(highest: u8) -> u8 {
    highest
        .checked_ilog2()
        .map_or(0, |bits| bits + 1)
        .try_into()
        .unwrap_or(u8::MAX)
}

/// A bit for each level, set where it is the one `wanted`.
fn bits(levels: Bytes, count: u32, highest: u8, wanted: u32) -> Result<Vec<u64>, Unread> {
    let mut words = vec![0_u64; count.div_ceil(64) as usize];
    RleDecoder::new(levels, width(highest))?.runs(0..count, |run, values| {
        let mut row = run.start;
        while row < run.end {
            // As many as fit into the word, and into eight bytes from any bit on.
            let bit = row % 64;
            let count = (64 - bit).min(run.end - row).min(56);
            words[(row / 64) as usize] |= values.bits(row - run.start, count, wanted) << bit;
            row += count;
        }
    })?;
    Ok(words)
}

impl Presence {
    /// True when every row holds a value.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::All)
    }

    /// The place of a row's value among the page's values.
    #[inline]
    pub(super) fn place(&self, row: u32) -> Option<u32> {
        match self {
            Self::All => Some(row),
            Self::None => None,
            Self::Some { words, before } => {
                let (word, bit) = ((row / 64) as usize, row % 64);
                let (bits, before) = (*words.get(word)?, before[word]);
                (bits >> bit & 1 == 1).then(|| before + (bits & ((1 << bit) - 1)).count_ones())
            }
        }
    }

    fn read(levels: Bytes, rows: u32, definition: u8) -> Result<Self, Unread> {
        // Most columns have a value in every row, which is one run.
        if let Some(level) = RleDecoder::new(levels.clone(), width(definition))?.alike(0..rows)? {
            let is_full = level == u32::from(definition);
            return Ok(if is_full { Self::All } else { Self::None });
        }
        let words = bits(levels, rows, definition, u32::from(definition))?;
        let mut present = 0;
        let before = words.iter().map(|word| {
            let before = present;
            present += word.count_ones();
            before
        });
        let before = before.collect();
        Ok(match present {
            0 => Self::None,
            _ if present == rows => Self::All,
            _ => Self::Some { words, before },
        })
    }
}
