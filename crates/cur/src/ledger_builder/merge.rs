//! What several rows, threads or parts of a report say of the same thing, put together: sums, and of whatever the newest
//! counts its hour with it, so that it can be cut to a window later. The order makes no difference.

use std::collections::hash_map::Entry;
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::symbols::Symbol;
use brimful_savings_plans::ledger::{Granularity, PlanHour};
use brimful_types::hour::Hour;
use brimful_types::money::Money;

const HOUR_MILLIS: i64 = 3_600_000;

/// Two of the same, put together.
pub(super) trait Merge {
    fn merge(&mut self, other: Self);
}

/// Puts a value to what is known under its key.
pub(super) fn merge_into<K: Hash + Eq, V: Merge>(known: &mut FxHashMap<K, V>, key: K, value: V) {
    match known.entry(key) {
        Entry::Occupied(mut known) => known.get_mut().merge(value),
        Entry::Vacant(place) => {
            place.insert(value);
        }
    }
}

impl<K: Hash + Eq, V: Merge> Merge for FxHashMap<K, V> {
    fn merge(&mut self, other: Self) {
        for (key, value) in other {
            merge_into(self, key, value);
        }
    }
}

/// The newest hour.
impl Merge for Hour {
    fn merge(&mut self, other: Self) {
        *self = (*self).max(other);
    }
}

/// The newest hour, where there is one.
impl Merge for Option<Hour> {
    fn merge(&mut self, other: Self) {
        *self = (*self).max(other);
    }
}

/// A name, and the newest hour in which it was so called.
impl Merge for (Symbol, Hour) {
    fn merge(&mut self, other: Self) {
        self.1.merge(other.1);
    }
}

/// A number of rows.
impl Merge for u64 {
    fn merge(&mut self, other: Self) {
        *self += other;
    }
}

impl Merge for PlanHour {
    fn merge(&mut self, other: Self) {
        if let Some(commitment) = other.commitment {
            *self.commitment.get_or_insert_default() += commitment;
        }
        self.used += other.used;
        self.covered += other.covered;
        self.suspect |= other.suspect;
        self.fee_rows = self.fee_rows.saturating_add(other.fee_rows);
    }
}

/// The largest amount seen at the newest hour: independent of row order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newest(pub(super) Hour, pub(super) Money);

impl Newest {
    /// False for an hour before the newest, of which nothing counts.
    pub(super) fn may_count(known: Option<Self>, hour: Hour) -> bool {
        known.is_none_or(|Self(newest, _)| hour >= newest)
    }
}

impl Merge for Newest {
    fn merge(&mut self, other: Self) {
        *self = (*self).max(other);
    }
}

/// The hour of a row, and its length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) hour: Hour,
    pub(super) end: i64,
    pub(super) length: i64,
}

/// The newest usage: the hour of rows of an hour or less, and hour and end (in milliseconds) of longer ones, which
/// count in a daily report only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) hours: Option<Hour>,
    pub(super) longer: Option<(Hour, i64)>,
}

impl Ends {
    pub(super) fn note(&mut self, span: Span) {
        if span.length <= HOUR_MILLIS {
            self.hours = self.hours.max(Some(span.hour));
        } else {
            self.longer = self.longer.max(Some((span.hour, span.end)));
        }
    }
}

impl Merge for Ends {
    fn merge(&mut self, other: Self) {
        self.hours = self.hours.max(other.hours);
        self.longer = self.longer.max(other.longer);
    }
}

/// The newest hours of rows of up to an hour, up to a day, and longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lengths(pub(super) [Option<Hour>; 3]);

impl Lengths {
    const ALL: [Granularity; 3] = [Granularity::Hourly, Granularity::Daily, Granularity::Monthly];

    pub(super) fn note(&mut self, span: Span) {
        let newest = match span.length {
            length if length <= HOUR_MILLIS => &mut self.0[0],
            ..=90_000_000 => &mut self.0[1], // 25 h: a day in which clocks go back, where days are local
            _ => &mut self.0[2],
        };
        *newest = (*newest).max(Some(span.hour));
    }

    /// What the longest row shows.
    pub(super) fn longest(self) -> Option<Granularity> {
        let mut longest_first = Self::ALL.into_iter().zip(self.0).rev();
        longest_first.find_map(|(granularity, newest)| newest.map(|_| granularity))
    }
}

impl Merge for Lengths {
    fn merge(&mut self, other: Self) {
        for (known, more) in self.0.iter_mut().zip(other.0) {
            known.merge(more);
        }
    }
}
