//! What was read of a column at chosen rows, on its way to an array.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int32Array, Int64Array, StringBuilder,
    UInt32Array, new_null_array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type};

use super::chunk::NULL;
use super::{BEYOND, Unread};

/// The values that are not null, and which rows those are.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) dense: Dense,
    rows: usize,
    /// Row by row, once one was null.
    present: Option<Vec<bool>>,
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
    let codes = Int32Array::try_new(codes.into(), nulls).map_err(|_| BEYOND)?;
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

impl Gathered {
    pub(super) fn new(dense: Dense) -> Self {
        Self {
            dense,
            rows: 0,
            present: None,
        }
    }

    /// So many more rows, all with a value.
    pub(super) fn note_present(&mut self, rows: usize) {
        self.rows += rows;
        if let Some(present) = &mut self.present {
            present.resize(self.rows, true);
        }
    }

    /// One more row, with a value or without.
    pub(super) fn note(&mut self, is_present: bool) {
        if !is_present && self.present.is_none() {
            self.present = Some(vec![true; self.rows]);
        }
        self.rows += 1;
        if let Some(present) = &mut self.present {
            present.push(is_present);
        }
    }

    /// As an array of that type; texts in codes as a dictionary of `texts`.
    pub(super) fn into_array(
        self,
        texts: Option<&ArrayRef>,
        data_type: &DataType,
    ) -> Result<ArrayRef, Unread> {
        let Self { dense, rows, present } = self;
        let dense: ArrayRef = match dense {
            Dense::Codes(codes) if codes.is_empty() => {
                return Ok(new_null_array(&DataType::Utf8, rows));
            }
            Dense::Codes(codes) if codes.contains(&NULL) => return Err(BEYOND),
            Dense::Codes(codes) => texts_in_codes(codes.into_iter(), texts.ok_or(BEYOND)?)?,
            Dense::Texts(mut texts) => Arc::new(texts.finish()),
            Dense::Doubles(values) => Arc::new(Float64Array::from(values)),
            Dense::Times(values) => {
                let values = Int64Array::from(values);
                cast(&values, data_type).map_err(|_| Unread("a time of an unknown unit"))?
            }
        };
        let Some(present) = present else {
            return Ok(dense);
        };
        let places: UInt32Array = present
            .iter()
            .scan(0, |next, present| {
                let place = *next;
                *next += u32::from(*present);
                Some(present.then_some(place))
            })
            .collect();
        take(&dense, &places, None).map_err(|_| Unread("fewer values than rows"))
    }
}
