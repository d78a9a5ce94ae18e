//! Where the demand on a group of plans stands now and in the hours ahead, beside their commitments.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::chart::{self, CHARTS, Layer, Levels, UNUSED, USED};
use super::{clean, minute};
use brimful_policy::groups::GroupNow;
use brimful_savings_plans::nowcast::Nowcast;
use brimful_types::Result;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// Hours shown of what lies ahead, this one included.
const AHEAD: usize = 18;

/// A group of plans, now and in the hours ahead.
#[derive(Serialize)]
pub(super) struct Outlook {
    group: String,
    chart: String,
    summary: String,
    hours: Vec<OutlookHour>,
}

#[derive(Serialize)]
struct OutlookHour {
    hour: String,
    low: String,
    likely: String,
    high: String,
}

/// The groups drawn, those that matter most, and how many are not: the most stands unused of them now, or is paid on
/// demand beyond them, and of equals the larger ones.
pub(super) fn outlooks(groups: &[GroupNow], now: DateTime<Utc>) -> Result<(Vec<Outlook>, usize)> {
    let known = groups
        .iter()
        .filter_map(|group| Some((group, group.nowcast.as_ref()?)));
    let mut known: Vec<(&GroupNow, &Nowcast)> = known.collect();
    known.sort_by_key(|(group, nowcast)| {
        let matters = ((group.in_force - nowcast.demand).abs(), group.in_force);
        Reverse(matters)
    });
    let undrawn = known.len().saturating_sub(CHARTS);
    known.truncate(CHARTS);
    let outlooks = known
        .into_iter()
        .map(|(group, nowcast)| outlook(group, nowcast, now));
    Ok((outlooks.collect::<Result<_>>()?, undrawn))
}

fn outlook(group: &GroupNow, nowcast: &Nowcast, now: DateTime<Utc>) -> Result<Outlook> {
    let hours = ahead(nowcast, Hour::of(now));
    let levels = |of: fn(&Range) -> Money| -> Levels {
        hours
            .iter()
            .map(|(hour, range)| (*hour, of(range).dollars()))
            .collect()
    };
    let commitment: Levels = hours
        .iter()
        .map(|(hour, _)| (*hour, group.in_force.dollars()))
        .collect();
    let layers = [
        Layer::Band {
            low: levels(|range| range.low),
            high: levels(|range| range.high),
            color: USED,
            opacity: 0.35,
        },
        Layer::Line {
            levels: levels(|range| range.likely),
            color: USED,
            wide: 3,
        },
        Layer::Line {
            levels: commitment,
            color: UNUSED,
            wide: 2,
        },
    ];
    let low = hours.iter().map(|(_, range)| range.low).min().unwrap_or_default();
    let high = hours
        .iter()
        .map(|(_, range)| range.high)
        .max()
        .unwrap_or_default();
    let summary = format!(
        "Demand {} now, {} to {} in the next {} hours, of {} committed",
        nowcast.demand.per_hour(),
        low.per_hour(),
        high.per_hour(),
        hours.len(),
        group.in_force.per_hour(),
    );
    let row = |(hour, range): &(Hour, Range)| OutlookHour {
        hour: minute(hour.start()),
        low: range.low.per_hour(),
        likely: range.likely.per_hour(),
        high: range.high.per_hour(),
    };
    Ok(Outlook {
        group: clean::name(&group.id.to_string()).into_owned(),
        chart: chart::draw(&layers, "%H:%M")?,
        summary,
        hours: hours.iter().map(row).collect(),
    })
}

/// Demand in one hour, $/h: it lies between low and high nine times in ten.
struct Range {
    low: Money,
    likely: Money,
    high: Money,
}

/// This hour, and those after it as far as they are forecast.
fn ahead(nowcast: &Nowcast, now: Hour) -> Vec<(Hour, Range)> {
    let range = Range {
        low: nowcast.low,
        likely: nowcast.demand,
        high: nowcast.high,
    };
    let later = nowcast
        .forecast
        .ahead
        .iter()
        .take(AHEAD - 1)
        .filter(|levels| !levels.is_empty());
    let later = later.zip(1..).map(|(levels, after)| {
        let at = |percent: usize| levels[(levels.len() - 1) * percent / 100].or_zero();
        let range = Range {
            low: at(5),
            likely: at(50),
            high: at(95),
        };
        (now.plus(after), range)
    });
    std::iter::once((now, range)).chain(later).collect()
}
