//! Of everything of which the newest counts: the hour, too, so that it can be cut to a window later.

use rustc_hash::FxHashMap;

use brimful_savings_plans::ledger::Granularity;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

const HOUR_MILLIS: i64 = 3_600_000;

/// The largest amount seen at the newest hour: independent of row order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newest(pub(super) Hour, pub(super) Money);

impl Newest {
    /// False for an hour before the newest, of which nothing counts.
    pub(super) fn may_count(known: Option<Self>, hour: Hour) -> bool {
        known.is_none_or(|Self(newest, _)| hour >= newest)
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

    /// The newer ones of both.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            hours: self.hours.max(other.hours),
            longer: self.longer.max(other.longer),
        }
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

    /// What the longest row tells.
    pub(super) fn longest(self) -> Option<Granularity> {
        let mut longest_first = Self::ALL.into_iter().zip(self.0).rev();
        longest_first.find_map(|(granularity, newest)| newest.map(|_| granularity))
    }
}

pub(super) fn newest<K: std::hash::Hash + Eq>(
    map: &mut FxHashMap<K, Newest>,
    key: K,
    hour: Hour,
    amount: Money,
) {
    let entry = map.entry(key).or_insert(Newest(hour, amount));
    *entry = (*entry).max(Newest(hour, amount));
}

pub(super) fn latest<K: std::hash::Hash + Eq>(map: &mut FxHashMap<K, Hour>, key: K, hour: Hour) {
    let entry = map.entry(key).or_insert(hour);
    *entry = (*entry).max(hour);
}
