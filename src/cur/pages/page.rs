//! One data page of a flat column: which of its rows hold a value, and where the values begin.
//!
//! Source: Apache Parquet format, "Data Pages".

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;

use super::hybrid::{Hybrid, Values as Run};
use super::{SHORT, Unread};

/// A page, its levels read.
#[derive(Debug)]
pub(super) struct DataPage {
    /// Its rows, null or not.
    pub(super) rows: u32,
    pub(super) presence: Presence,
    pub(super) values: Values,
}

/// The values of a page that are not null.
#[derive(Debug)]
pub(super) enum Values {
    /// Codes of the chunk's dictionary.
    Codes(Hybrid),
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

impl DataPage {
    /// Reads a page of a column that is `optional` or else has a value in every row.
    pub(super) fn read(page: Page, optional: bool) -> Result<Self, Unread> {
        let (buf, rows, encoding, levels) = match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                ..
            } => {
                let mut levels = None;
                let mut rest = buf;
                if optional {
                    if def_level_encoding != Encoding::RLE {
                        return Err(Unread("levels in an encoding of old"));
                    }
                    let length = rest.get(..4).and_then(|length| length.try_into().ok());
                    let length = u32::from_le_bytes(length.ok_or(SHORT)?) as usize;
                    let end = length
                        .checked_add(4)
                        .filter(|end| *end <= rest.len())
                        .ok_or(SHORT)?;
                    levels = Some(rest.slice(4..end));
                    rest = rest.slice(end..);
                }
                (rest, num_values, encoding, levels)
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
                let length = def_levels_byte_len as usize;
                if rep_levels_byte_len != 0 || num_rows != num_values || length > buf.len() {
                    return Err(Unread("levels that a flat column doesn't have"));
                }
                let levels = optional.then(|| buf.slice(..length));
                (buf.slice(length..), num_values, encoding, levels)
            }
            Page::DictionaryPage { .. } => return Err(Unread("a dictionary among the data")),
        };
        let values = match encoding {
            Encoding::PLAIN => Values::Plain(buf),
            #[allow(deprecated)] // still what older writers say
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => match buf.first() {
                Some(width) => Values::Codes(Hybrid::new(buf.slice(1..), *width)?),
                None => Values::Plain(buf),
            },
            _ => return Err(Unread("an encoding that only the decoder knows")),
        };
        let presence = match levels {
            Some(levels) => Presence::read(levels, rows)?,
            None => Presence::All,
        };
        Ok(Self {
            rows,
            presence,
            values,
        })
    }
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

    fn read(levels: Bytes, rows: u32) -> Result<Self, Unread> {
        let mut levels = Hybrid::new(levels, 1)?;
        let mut words = Vec::new();
        let mut is_full = false;
        levels.runs(0..rows, |run, values| match values {
            // Most columns have a value in every row, which is one run.
            Run::Alike(level) if run == (0..rows) => is_full = level == 1,
            values => {
                words.resize(rows.div_ceil(64) as usize, 0_u64);
                let mut row = run.start;
                while row < run.end {
                    // As many as fit into the word, and into eight bytes from any bit on.
                    let bit = row % 64;
                    let count = (64 - bit).min(run.end - row).min(56);
                    let levels = values.bits(row - run.start) & ((1 << count) - 1);
                    words[(row / 64) as usize] |= levels << bit;
                    row += count;
                }
            }
        })?;
        if is_full {
            return Ok(Self::All);
        }
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
