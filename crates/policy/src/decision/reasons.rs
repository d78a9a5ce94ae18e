//! What a decision says for itself: one sentence with the numbers.

use super::{Facts, Level, has_room, names};
use crate::groups::GroupNow;
use crate::prices::{Price, Source};
use brimful_savings_plans::nowcast::Method;
use brimful_types::money::Money;

pub(super) fn drain(facts: &Facts<'_>, level: &Level) -> String {
    format!(
        "{}: {} more than they hold, for longer than the dwell time",
        full(facts, level),
        level.excess.per_hour()
    )
}

pub(super) fn spent(facts: &Facts<'_>, level: &Level, spent: Money) -> String {
    format!(
        "on-demand nodes worth {} were added since the fill began, as much as the {} that {} had free by the report",
        spent.per_hour(),
        level.room.per_hour(),
        names(facts.groups)
    )
}

pub(super) fn fill(facts: &Facts<'_>, level: &Level, node: &str, price: Price) -> String {
    let fits = level.room.fits(price.rate);
    let assumed = match price.source {
        Source::Learned => "",
        Source::Described => " (by AWS's list of the plan's rates: the report has not seen it yet)",
        Source::Family => " (by the SP rates of other sizes of its family: its own was not seen yet)",
        Source::OnDemand => " (its on-demand price: no SP rate seen yet)",
        Source::Assumed => " (an assumed price: the report has never seen it)",
    };
    let room = match fits {
        0 => format!("less than one {node} at {}{assumed}", price.rate.per_hour()),
        1 => format!("room for 1 more {node} at {}{assumed}", price.rate.per_hour()),
        fits => format!(
            "room for {fits} more {node} at {}{assumed}",
            price.rate.per_hour()
        ),
    };
    let free = with_room(facts);
    format!(
        "{} of {} stands unused ({}): {room}",
        level.room.per_hour(),
        names(&free),
        demand(&free, level.method)
    )
}

pub(super) fn hold(facts: &Facts<'_>, level: &Level, node: &str, to_start: Money) -> String {
    if level.room <= Money::ZERO {
        return claimed(facts).unwrap_or_else(|| full(facts, level));
    }
    let free = with_room(facts);
    let takes = if facts.worth_filling_from > Money::ZERO {
        format!("one {node}, and enough of what the pools launch at a time")
    } else {
        format!("one {node}")
    };
    format!(
        "{} of {} is free ({}), which is less than the {} that it takes to fill ({takes})",
        level.room.per_hour(),
        names(&free),
        demand(&free, level.method),
        to_start.per_hour()
    )
}

/// What is free, where all of it is left to other clusters.
fn claimed(facts: &Facts<'_>) -> Option<String> {
    let free = with_room(facts);
    let room: Money = free.iter().filter_map(|group| group.room()).sum();
    (!free.is_empty()).then(|| {
        format!(
            "{} of {} is free, but other clusters have claimed it, or keep their part of it (coordination.uri)",
            room.per_hour(),
            names(&free)
        )
    })
}

fn full(facts: &Facts<'_>, level: &Level) -> String {
    format!(
        "{} are full: {}",
        names(facts.groups),
        demand(facts.groups, level.method)
    )
}

/// `demand 1.700 $/h of 2.000 $/h by the report and live Nodes, 1.750 $/h to plan for in the next 16 h`.
fn demand(groups: &[&GroupNow], method: Method) -> String {
    let commitment: Money = groups.iter().map(|group| group.commitment).sum();
    let estimates = groups.iter().filter_map(|group| group.nowcast.as_ref());
    let now: Money = estimates.map(|estimate| estimate.demand).sum();
    let planned: Money = groups.iter().filter_map(|group| group.planned).sum();
    let how = match method {
        Method::Live => "by the report and live Nodes",
        Method::Profile => "by the report at this hour of the day",
        Method::LastMature => "by the newest complete hours",
    };
    format!(
        "demand {} of {} {how}, {} to plan for in the next {} h",
        now.per_hour(),
        commitment.per_hour(),
        planned.per_hour(),
        groups.first().map_or(0, |group| group.lookahead)
    )
}

fn with_room<'a>(facts: &Facts<'a>) -> Vec<&'a GroupNow> {
    let groups = facts.groups.iter().copied();
    groups.filter(|group| has_room(group)).collect()
}
