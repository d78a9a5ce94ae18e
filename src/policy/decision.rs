//! The decision for one `NodePool`: fill, hold, drain, freeze or none.
//!
//! Two thresholds with a band between them, in money: filling begins when even the cautious headroom holds a node
//! and ends when the expected headroom is gone; draining begins when demand has exceeded the commitment by more
//! than the band for a while.

use chrono::{DateTime, Utc};

use super::Decision;
use super::eligibility::Eligible;
use super::groups::GroupNow;
use super::prices::{Price, Prices, Source};
use crate::commitment::nowcast::Method;
use crate::commitment::savings_plan::GroupId;
use crate::config::PolicyConfig;
use crate::money::Money;

/// What a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The clock.
    pub now: DateTime<Utc>,
    /// Thresholds and times.
    pub policy: &'a PolicyConfig,
    /// The groups that can pay for the pool, EC2 Instance first.
    pub groups: &'a [&'a GroupNow],
    /// What the pool can launch.
    pub eligible: &'a Eligible<'a>,
    /// What nodes cost.
    pub prices: &'a Prices,
    /// The last decision.
    pub last: Option<Decision>,
    /// Since when demand exceeded the commitment by more than the band.
    pub over_since: Option<DateTime<Utc>>,
    /// What all managed pools together launch in one interval, $/h.
    pub launches: Money,
    /// Live on-demand nodes of this cluster in the groups' scopes, $/h, where known.
    pub live: Option<Money>,
}

/// A decision and its arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The decision.
    pub decision: Decision,
    /// One sentence with the numbers.
    pub reason: String,
    /// What this cluster may still use of the groups' commitments, $/h; negative is spill.
    pub headroom: Option<Money>,
    /// Since when demand has exceeded the commitment by more than the band.
    pub over_since: Option<DateTime<Utc>>,
    /// True when live Nodes show that nothing fits any more: no dwell delays what stops it.
    pub overshoots: bool,
}

/// Sums over the groups of a pool, $/h.
struct Level {
    commitment: Money,
    demand: Money,
    /// Headroom at the expected, at the high and at the low demand. The first two are this cluster's share.
    expected: Money,
    cautious: Money,
    excess_at_least: Money,
    method: Method,
}

impl Level {
    fn of(groups: &[&GroupNow]) -> Option<Self> {
        let mut level = Self {
            commitment: Money::ZERO,
            demand: Money::ZERO,
            expected: Money::ZERO,
            cautious: Money::ZERO,
            excess_at_least: Money::ZERO,
            method: Method::Live,
        };
        let mut expected = Vec::new();
        let mut cautious = Vec::new();
        for group in groups {
            let nowcast = group.nowcast.as_ref()?;
            level.commitment += group.commitment;
            level.demand += nowcast.demand;
            level.excess_at_least += nowcast.low - group.in_force;
            level.method = nowcast.method;
            expected.push(group.shared(group.commitment - nowcast.demand));
            cautious.push(group.shared(group.commitment - nowcast.high));
        }
        level.expected = room(&expected);
        level.cautious = room(&cautious);
        Some(level)
    }
}

/// What several groups have room for together. One group's spill takes nothing from another's room, which would be
/// lost if it were not filled; without any room the spill adds up.
fn room(headrooms: &[Money]) -> Money {
    let free: Money = headrooms.iter().map(|headroom| headroom.or_zero()).sum();
    if free > Money::ZERO {
        free
    } else {
        headrooms.iter().copied().sum()
    }
}

/// Decides for a committed pool whose groups are all free of doubt.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Outcome {
    let Some(level) = Level::of(facts.groups) else {
        return frozen("the demand on its plans is unknown".into());
    };
    let thresholds = facts.policy.thresholds;
    let Some((node, price)) = cheapest(facts) else {
        return frozen("no instance type that it can launch is known, so what fits cannot be told".into());
    };
    let to_start = price.rate.scale(thresholds.fill).max(facts.launches);
    let to_go_on = price.rate.scale(thresholds.hold);
    let band = price.rate.max(level.commitment.scale(thresholds.drain));
    let over = level.excess_at_least > band;
    let over_since = over.then(|| facts.over_since.unwrap_or(facts.now));
    let goes_on = facts.last == Some(Decision::Fill) && level.expected > to_go_on;
    let extra = facts.live.map(|live| live - level.commitment);
    let beyond_extra = facts
        .policy
        .max_extra_on_demand
        .and_then(Money::from_dollars)
        .is_some_and(|most| extra.is_some_and(|extra| extra > most));
    let (decision, reason) = if beyond_extra {
        (
            Decision::Hold,
            format!(
                "live on-demand nodes cost {} more than the commitment, above maxExtraOnDemand",
                extra.unwrap_or_default().per_hour()
            ),
        )
    } else if level.cautious >= to_start || goes_on {
        (Decision::Fill, fill_reason(facts, &level, &node, price))
    } else if over && has_lasted(facts, over_since, band) {
        (
            Decision::Drain,
            format!(
                "{}: {} more than it holds, for longer than the dwell time",
                full(facts, &level),
                level.excess_at_least.per_hour()
            ),
        )
    } else {
        (Decision::Hold, hold_reason(facts, &level, &node, to_start))
    };
    Outcome {
        decision,
        reason,
        headroom: Some(level.expected),
        over_since,
        overshoots: level.method == Method::Live && level.expected <= Money::ZERO,
    }
}

/// A freeze for a reason.
#[must_use]
pub fn frozen(reason: String) -> Outcome {
    outcome(Decision::Freeze, reason)
}

/// No decision, for a reason.
#[must_use]
pub fn none(reason: String) -> Outcome {
    outcome(Decision::None, reason)
}

pub(crate) fn outcome(decision: Decision, reason: String) -> Outcome {
    Outcome {
        decision,
        reason,
        headroom: None,
        over_since: None,
        overshoots: false,
    }
}

fn has_room(group: &GroupNow) -> bool {
    group.headroom().is_some_and(|headroom| headroom > Money::ZERO)
}

/// The cheapest node, and what it costs the first group that has room, else the first group.
fn cheapest(facts: &Facts<'_>) -> Option<(String, Price)> {
    let group = facts
        .groups
        .iter()
        .find(|group| has_room(group))
        .or(facts.groups.first())?;
    facts.eligible.cheapest(&group.id, facts.prices)
}

/// True when the excess has lasted: since an earlier run saw it, or in the report's own newest hours.
fn has_lasted(facts: &Facts<'_>, over_since: Option<DateTime<Utc>>, band: Money) -> bool {
    let dwell = facts.policy.dwell.0;
    if over_since.is_some_and(|since| facts.now - since >= dwell && facts.over_since.is_some()) {
        return true;
    }
    let hours = usize::try_from(dwell.num_hours().max(1)).unwrap_or(1) + 1;
    let sums: Vec<Money> = (0..hours)
        .map_while(|hour| {
            facts
                .groups
                .iter()
                .map(|group| group.recent_excess.get(hour).copied())
                .sum::<Option<Money>>()
        })
        .collect();
    sums.len() == hours && sums.iter().all(|excess| *excess > band)
}

fn fill_reason(facts: &Facts<'_>, level: &Level, node: &str, price: Price) -> String {
    let fits = level.expected.fits(price.rate);
    let assumed = match price.source {
        Source::Learned => "",
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
    let free: Vec<&GroupNow> = facts
        .groups
        .iter()
        .copied()
        .filter(|group| has_room(group))
        .collect();
    let demand: Money = free
        .iter()
        .filter_map(|group| Some(group.nowcast.as_ref()?.demand))
        .sum();
    let commitment: Money = free.iter().map(|group| group.commitment).sum();
    format!(
        "{} of {} stands unused (demand {} of {}, {}): {room}",
        level.expected.per_hour(),
        names(&free),
        demand.per_hour(),
        commitment.per_hour(),
        how(level.method)
    )
}

fn hold_reason(facts: &Facts<'_>, level: &Level, node: &str, to_start: Money) -> String {
    if level.expected <= Money::ZERO {
        return full(facts, level);
    }
    let cautious = level.cautious.or_zero();
    format!(
        "{} of {} is free (at least {}), which is less than the {} that it takes to fill (one {node}, or what the pools launch at a time)",
        level.expected.per_hour(),
        names(
            &facts
                .groups
                .iter()
                .copied()
                .filter(|group| has_room(group))
                .collect::<Vec<_>>()
        ),
        cautious.per_hour(),
        to_start.per_hour()
    )
}

fn full(facts: &Facts<'_>, level: &Level) -> String {
    format!(
        "{} are full: demand {} of {}, {}",
        names(facts.groups),
        level.demand.per_hour(),
        level.commitment.per_hour(),
        how(level.method)
    )
}

fn how(method: Method) -> &'static str {
    match method {
        Method::Live => "by the report and live Nodes",
        Method::Profile => "by the report at this hour of the day",
        Method::LastMature => "by the newest complete hour",
    }
}

/// The groups by name: `Compute plans`, `r6i plans in us-east-2`.
#[must_use]
pub fn names(groups: &[&GroupNow]) -> String {
    let names: Vec<String> = groups
        .iter()
        .map(|group| match &group.id {
            GroupId::Compute => "Compute plans".to_owned(),
            GroupId::Ec2Instance { family, region } => format!("{family} plans in {region}"),
        })
        .collect();
    names.join(" and ")
}
