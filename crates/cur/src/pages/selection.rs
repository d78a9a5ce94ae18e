//! What was read of a column at chosen rows, on its way to an array.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, UInt32Array, new_null_array,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::take::take;

use super::chunk::NULL;
use super::{BEYOND, Unread};

/// Rows of which a column is read, ascending, and where they go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    pub(super) rows: &'a [u32],
    /// Their places in the array, ascending; `None` where they are all of its rows.
    pub(super) at: Option<&'a [u32]>,
    /// How many rows the array has. Those in no place are null.
    pub(super) of: usize,
}

impl<'a> Selection<'a> {
    /// Rows that make up the array.
    pub(super) fn all(rows: &'a [u32]) -> Self {
        Self {
            rows,
            at: None,
            of: rows.len(),
        }
    }
}

/// The values that are not null, and their places in the array.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) dense: Dense,
    rows: usize,
    /// `None` where every row so far has a value.
    at: Option<Vec<u32>>,
}

/// Values without nulls.
#[derive(Debug)]
pub(super) enum Dense {
    Codes(Vec<u32>),
    Texts(StringBuilder),
    Doubles(Vec<f64>),
    Times(Vec<i64>),
}

/// Codes with their dictionary, which has them all; [`NULL`] is null.
pub(super) fn texts_in_codes(codes: impl Iterator<Item = u32>, texts: &ArrayRef) -> Result<ArrayRef, Unread> {
    let codes: Vec<i32> = codes.map(u32::cast_signed).collect();
    let null = NULL.cast_signed();
    let nulls = codes
        .contains(&null)
        .then(|| codes.iter().map(|code| *code != null).collect());
    coded(
        Int32Array::try_new(codes.into(), nulls).map_err(|_| BEYOND)?,
        texts,
    )
}

fn coded(codes: Int32Array, texts: &ArrayRef) -> Result<ArrayRef, Unread> {
    // It checks that there is a text for each.
    let texts = DictionaryArray::<Int32Type>::try_new(codes, Arc::clone(texts)).map_err(|_| BEYOND)?;
    Ok(Arc::new(texts))
}

/// A dictionary's text.
pub(super) fn text_of(dictionary: &ArrayRef, code: u32) -> Result<&str, Unread> {
    let (dictionary, code) = (dictionary.as_string::<i32>(), code as usize);
    (code < dictionary.len())
        .then(|| dictionary.value(code))
        .ok_or(BEYOND)
}

impl Dense {
    /// Texts from here on; what was in codes so far is written out.
    pub(super) fn texts(&mut self, dictionary: Option<&ArrayRef>) -> Result<&mut StringBuilder, Unread> {
        if let Self::Codes(codes) = self {
            let mut written = StringBuilder::new();
            for code in codes {
                written.append_value(text_of(dictionary.ok_or(BEYOND)?, *code)?);
            }
            *self = Self::Texts(written);
        }
        match self {
            Self::Texts(texts) => Ok(texts),
            _ => Err(Unread("texts in a column of numbers")),
        }
    }
}

impl Selected {
    pub(super) fn new(dense: Dense, chosen: &Selection<'_>) -> Self {
        Self {
            dense,
            rows: chosen.of,
            at: chosen.at.map(|at| Vec::with_capacity(at.len())),
        }
    }

    /// The chosen rows of that range all have a value.
    pub(super) fn note_present(&mut self, chosen: &Selection<'_>, range: Range<usize>) {
        match (&mut self.at, chosen.at) {
            (None, _) => {}
            (Some(at), Some(places)) => at.extend_from_slice(&places[range]),
            (Some(at), None) => at.extend(range.filter_map(|place| u32::try_from(place).ok())),
        }
    }

    /// A chosen row has a value, or has none.
    pub(super) fn note(&mut self, chosen: &Selection<'_>, row: usize, is_present: bool) {
        if is_present {
            self.note_present(chosen, row..row + 1);
        } else if self.at.is_none() {
            self.at = Some((0..row).filter_map(|place| u32::try_from(place).ok()).collect());
        }
    }

    /// As an array of that type; texts in codes as a dictionary of `texts`.
    pub(super) fn into_array(
        self,
        texts: Option<&ArrayRef>,
        data_type: &DataType,
    ) -> Result<ArrayRef, Unread> {
        let Self { dense, rows, at } = self;
        let at = at.as_deref();
        Ok(match dense {
            Dense::Codes(codes) if codes.is_empty() => new_null_array(&DataType::Utf8, rows),
            Dense::Codes(codes) => {
                let codes = codes.into_iter().map(u32::cast_signed).collect();
                let (codes, nulls) = spread(codes, at, rows)?;
                let codes = Int32Array::try_new(codes.into(), nulls).map_err(|_| BEYOND)?;
                coded(codes, texts.ok_or(BEYOND)?)?
            }
            Dense::Texts(mut texts) => {
                let (places, nulls) = spread((0..).take(texts.len()).collect(), at, rows)?;
                let places = UInt32Array::try_new(places.into(), nulls).map_err(|_| TOO_FEW)?;
                take(&texts.finish(), &places, None).map_err(|_| TOO_FEW)?
            }
            Dense::Doubles(values) => {
                let (values, nulls) = spread(values, at, rows)?;
                Arc::new(Float64Array::try_new(values.into(), nulls).map_err(|_| TOO_FEW)?)
            }
            Dense::Times(values) => {
                let (values, nulls) = spread(values, at, rows)?;
                let values = Int64Array::try_new(values.into(), nulls).map_err(|_| TOO_FEW)?;
                cast(&values, data_type).map_err(|_| Unread("a time of an unknown unit"))?
            }
        })
    }
}

const TOO_FEW: Unread = Unread("fewer values than rows");

/// Values at their places among so many rows, and which rows those are; all, one after the other, where no places are
/// told.
fn spread<T: Copy + Default>(
    values: Vec<T>,
    at: Option<&[u32]>,
    rows: usize,
) -> Result<(Vec<T>, Option<NullBuffer>), Unread> {
    let Some(at) = at else {
        return if values.len() == rows {
            Ok((values, None))
        } else {
            Err(TOO_FEW)
        };
    };
    if values.len() != at.len() {
        return Err(TOO_FEW);
    }
    let mut wide = vec![T::default(); rows];
    let mut present = BooleanBufferBuilder::new(rows);
    present.append_n(rows, false);
    for (value, at) in values.into_iter().zip(at) {
        *wide.get_mut(*at as usize).ok_or(TOO_FEW)? = value;
        present.set_bit(*at as usize, true);
    }
    Ok((wide, Some(NullBuffer::new(present.finish()))))
}
