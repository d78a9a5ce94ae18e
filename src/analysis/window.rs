//! The report as `utilization` shows it: a window of time, or the newest billing period.

use chrono::{DateTime, Datelike, Duration, Utc};

use super::{Analysis, analyse, refuse_monthly};
use crate::config::Config;
use crate::source::{AwsAccess, read};
use brimful_cur::location::Location;
use brimful_cur::period::BillingPeriod;
use brimful_cur::reader::{ReadOptions, Request};
use brimful_cur::snapshot::Periods;
use brimful_types::hour::{Hour, rfc3339};
use brimful_types::{Error, ErrorKind, Result};

/// Which hours `utilization` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// From this time on; the newest billing period when neither end is given.
    pub from: Option<DateTime<Utc>>,
    /// Up to this time, which is not included.
    pub to: Option<DateTime<Utc>>,
}

/// Reads the report for `utilization`.
///
/// # Errors
/// What is wrong with the report; MONTHLY reports are refused.
pub async fn read_window(
    access: &AwsAccess,
    options: &ReadOptions<'_>,
    config: &Config,
    window: Window,
    now: DateTime<Utc>,
) -> Result<Analysis> {
    let is_chosen = window.from.is_some() || window.to.is_some();
    let (from, to) = (
        window.from.unwrap_or(DateTime::UNIX_EPOCH),
        window.to.unwrap_or(now),
    );
    if from >= to {
        return Err(Error::usage(format!(
            "the window is empty: it would begin at {} and end at {}",
            rfc3339(from),
            rfc3339(to)
        )));
    }
    let periods = if is_chosen {
        Periods::Between(
            BillingPeriod::of(from),
            BillingPeriod::of(to - Duration::seconds(1)),
        )
    } else {
        Periods::Newest(now)
    };
    let request = Request {
        options: *options,
        periods,
        window: is_chosen.then(|| hour_from(from)..hour_from(to)),
        ends_early: window.to.is_some(),
    };
    let data = read(access, &request)
        .await
        .map_err(|error| look_again(error, options.location))?;
    refuse_monthly(&data.ledger, options.location)?;
    let mut analysis = analyse(data, options.location, config, now, window.to);
    if !is_chosen && analysis.source.billing_periods.len() > 1 && !is_single_file(options.location) {
        keep_newest_period(&mut analysis);
    }
    Ok(analysis)
}

/// Whoever only looks gets an error where a decision would freeze.
fn look_again(error: Error, location: &Location) -> Error {
    if error.kind() != ErrorKind::Frozen {
        return error;
    }
    Error::report(error.to_string()).hint(match location {
        Location::Athena(_) => "put it right, or look again in some minutes",
        _ => "look again in some minutes",
    })
}

/// The first whole hour that begins at or after the time.
fn hour_from(time: DateTime<Utc>) -> Hour {
    Hour::of(time + Duration::hours(1) - Duration::milliseconds(1))
}

fn is_single_file(location: &Location) -> bool {
    matches!(location, Location::Path(path) if path.is_file())
}

fn keep_newest_period(analysis: &mut Analysis) {
    let plans = analysis.utilization.plans.iter();
    let last = plans.filter_map(|plan| plan.hours.last());
    let Some(newest) = last.map(|hour| hour.hour.start()).max() else {
        return;
    };
    let same = |hour: Hour| (hour.start().year(), hour.start().month()) == (newest.year(), newest.month());
    for plan in &mut analysis.utilization.plans {
        plan.hours.retain(|hour| same(hour.hour));
    }
    analysis.source.billing_periods = vec![BillingPeriod::of(newest).to_string()];
}
