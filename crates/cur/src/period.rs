//! Billing periods: calendar months in UTC.

use std::fmt;

use chrono::{DateTime, Datelike, TimeZone, Utc};
use serde::{Serialize, Serializer};

use brimful_types::hour::Hour;

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillingPeriod {
    year: i32,
    month: u32,
}

impl BillingPeriod {
    /// The month; `None` unless 1–12 of a year of four digits.
    #[must_use]
    pub fn new(year: i32, month: u32) -> Option<Self> {
        ((1..=12).contains(&month) && (1000..=9999).contains(&year)).then_some(Self { year, month })
    }

    /// The month that holds `time`.
    #[must_use]
    pub fn of(time: DateTime<Utc>) -> Self {
        Self {
            year: time.year(),
            month: time.month(),
        }
    }

    /// The next month.
    #[must_use]
    pub fn next(self) -> Self {
        match self.month {
            12 => Self {
                year: self.year + 1,
                month: 1,
            },
            month => Self {
                month: month + 1,
                ..self
            },
        }
    }

    /// Its first hour.
    #[must_use]
    pub fn first_hour(self) -> Hour {
        let start = Utc.with_ymd_and_hms(self.year, self.month, 1, 0, 0, 0);
        Hour::of(start.single().unwrap_or_default())
    }

    /// `2026-11`, as in a partition `BILLING_PERIOD=2026-11`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        (year.len() == 4 && (1..=2).contains(&month.len()))
            .then(|| Self::new(year.parse().ok()?, month.parse().ok()?))
            .flatten()
    }

    /// `20261101-20261201`, a folder of a legacy report.
    #[must_use]
    pub fn parse_dates(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let is_date = |t: &str| t.len() == 8 && t.bytes().all(|b| b.is_ascii_digit());
        (is_date(from) && is_date(to))
            .then(|| Self::new(from[..4].parse().ok()?, from[4..6].parse().ok()?))
            .flatten()
    }
}

impl fmt::Display for BillingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl Serialize for BillingPeriod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_month_are_read() {
        let period = BillingPeriod::parse("2026-01").unwrap();
        assert_eq!(BillingPeriod::parse_dates("20260101-20260201"), Some(period));
        assert_eq!(BillingPeriod::parse("2026-1"), Some(period));
        assert_eq!(period.to_string(), "2026-01");
        for wrong in ["2026-13", "26-01", "2026", "x-y"] {
            assert_eq!(BillingPeriod::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn december_is_followed_by_january() {
        let december = BillingPeriod::new(2026, 12).unwrap();
        assert_eq!(december.next().to_string(), "2027-01");
        assert_eq!(december.next().first_hour().to_string(), "2027-01-01T00:00:00Z");
    }
}
