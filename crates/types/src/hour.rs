//! UTC hours: the unit in which AWS measures a Savings Plan.

use std::fmt;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, SecondsFormat, Timelike, Utc, Weekday};
use serde::{Serialize, Serializer};

const MILLIS: i64 = 3_600_000;

/// The half-open hour [h, h+1), counted from 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i32);

impl Hour {
    /// The last hour that there is, 245 000 years from 1970.
    pub const LAST: Self = Self(i32::MAX);

    /// The hour that holds an instant given in milliseconds since the epoch; `None` outside ±200 000 years.
    #[must_use]
    pub fn of_millis(millis: i64) -> Option<Self> {
        i32::try_from(millis.div_euclid(MILLIS)).ok().map(Self)
    }

    /// The hour that holds `time`.
    #[must_use]
    pub fn of(time: DateTime<Utc>) -> Self {
        Self::of_millis(time.timestamp_millis()).unwrap_or(Self(0))
    }

    /// Hours since the epoch.
    #[must_use]
    pub fn index(self) -> i32 {
        self.0
    }

    /// The hour of that index.
    #[must_use]
    pub fn from_index(index: i32) -> Self {
        Self(index)
    }

    /// When it begins.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(i64::from(self.0) * MILLIS).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// When it ends, which is when the next one begins.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.start() + Duration::hours(1)
    }

    /// The hour `hours` later (earlier when negative).
    #[must_use]
    pub fn plus(self, hours: i32) -> Self {
        Self(self.0.saturating_add(hours))
    }

    /// Hour of the day, 0–23.
    #[must_use]
    pub fn of_day(self) -> u32 {
        self.start().hour()
    }

    /// Day of the week.
    #[must_use]
    pub fn weekday(self) -> Weekday {
        self.start().weekday()
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rfc3339(self.start()))
    }
}

impl Serialize for Hour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A UTC time as `2026-11-21T09:00:00Z`, the one form in which Brimful prints times.
#[must_use]
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time as reports and the pipelines behind them write it: `2026-11-21T08:00:00.000Z`, `2026-11-21 08:00:00.000`, with an
/// offset, with ` UTC` at its end, or as manifests have it (`20261121T080000.000Z`). UTC unless it says otherwise.
#[must_use]
pub fn read_time(text: &str) -> Option<DateTime<Utc>> {
    const WITH_OFFSET: [&str; 6] = [
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f %z",
        "%Y-%m-%d %H:%M %z",
        "%Y-%m-%dT%H:%M%#z",
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y%m%dT%H%M%S%.f%#z",
    ];
    const WITHOUT_OFFSET: [&str; 5] = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y%m%dT%H%M%S%.f",
    ];
    let text = text.trim();
    let zones = ["UTC", "GMT"];
    let text = zones
        .iter()
        .find_map(|zone| text.strip_suffix(zone))
        .unwrap_or(text)
        .trim_end();
    let with_offset = || {
        let mut forms = WITH_OFFSET.iter();
        forms.find_map(|form| DateTime::parse_from_str(text, form).ok())
    };
    let without = || {
        let mut forms = WITHOUT_OFFSET.iter();
        forms.find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    let day = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(0, 0, 0)
    };
    DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(with_offset)
        .map(|time| time.to_utc())
        .or_else(|| without().or_else(day).map(|time| time.and_utc()))
}

/// A length of time such as `90s`, `30m`, `24h`, `14d` or `2w`.
///
/// # Errors
/// The text is empty, negative, without a unit, or longer than a century.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("`{text}` is not a duration: write a whole number and s, m, h, d or w, such as 24h or 14d")
    };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let count: i64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    if !(0..=3_200_000_000 / seconds).contains(&count) {
        return Err(wrong());
    }
    Ok(Duration::seconds(count * seconds))
}

/// A duration as people write it: `31 h`, `3 d 4 h`, `20 min`.
#[must_use]
pub fn human_duration(duration: Duration) -> String {
    let minutes = duration.num_minutes();
    let (days, hours) = (duration.num_days(), duration.num_hours());
    match () {
        () if minutes.abs() < 60 => format!("{minutes} min"),
        () if hours.abs() < 72 => format!("{hours} h"),
        () if hours % 24 == 0 => format!("{days} d"),
        () => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_half_open() {
        let hour = Hour::of_millis(3_600_000).unwrap();
        assert_eq!(hour.index(), 1);
        assert_eq!(Hour::of_millis(3_599_999).unwrap().index(), 0);
        assert_eq!(Hour::of_millis(-1).unwrap().index(), -1);
        assert_eq!(hour.end(), hour.plus(1).start());
        assert_eq!(hour.to_string(), "1970-01-01T01:00:00Z");
    }

    #[test]
    fn every_spelling_of_a_time_is_the_same_instant() {
        let eight = Some(
            DateTime::parse_from_rfc3339("2026-11-21T08:00:00Z")
                .unwrap()
                .to_utc(),
        );
        for text in [
            "2026-11-21T08:00:00.000Z",
            "2026-11-21T08:00:00Z",
            "2026-11-21T08:00Z",
            "2026-11-21T08:00:00",
            "2026-11-21 08:00:00.000",
            "2026-11-21 08:00:00",
            " 2026-11-21 08:00 ",
            "2026-11-21 08:00:00.000 UTC",
            "2026-11-21 08:00:00 GMT",
            "2026-11-21 08:00:00 +0000 UTC",
            "2026-11-21 09:00:00+01:00",
            "2026-11-21T09:00:00.000+01:00",
            "2026-11-21T09:00:00+0100",
            "2026-11-21 03:00:00 -0500",
            "2026-11-21 08:00:00+00",
            "20261121T080000.000Z",
            "20261121T080000Z",
        ] {
            assert_eq!(read_time(text), eight, "{text}");
        }
        for wrong in ["", "soon", "21/11/2026", "2026-13-01 00:00:00", "UTC"] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("14d").unwrap(), Duration::days(14));
        assert_eq!(parse_duration("0h").unwrap(), Duration::zero());
        for wrong in ["", "h", "24", "-1h", "1.5h", "99999999999w", "3ü"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(human_duration(Duration::minutes(20)), "20 min");
        assert_eq!(human_duration(Duration::hours(31)), "31 h");
        assert_eq!(human_duration(Duration::hours(76)), "3 d 4 h");
    }
}
