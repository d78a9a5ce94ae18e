//! The decision for one `NodePool`: fill, hold, drain, freeze or none.
//!
//! Two thresholds with a band between them, in money: filling begins when even the cautious headroom holds a node
//! and ends when the expected headroom is gone; draining begins when demand has exceeded the commitment by more
//! than the band for a while.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::Decision;
use super::arithmetic::{Arithmetic, Rule, range};
use super::eligibility::Eligible;
use super::groups::GroupNow;
use super::prices::{Price, Prices, Source};
use super::state::{Filling, Memory};
use crate::commitment::nowcast::Method;
use crate::commitment::savings_plan::GroupId;
use crate::config::PolicyConfig;
use crate::money::Money;

/// So long may a report take to show in mature hours what was launched.
const UNSEEN_HOURS: i64 = 48;

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
    /// Live on-demand nodes of this cluster in the groups' scopes, $/h, where Nodes are at hand.
    pub live: Option<Money>,
    /// Where the last fill began, if it did lately.
    pub filling: Option<Filling>,
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
    /// What the next run should be reminded of.
    pub memory: Memory,
    /// What limits are computed from.
    pub room: Room,
    /// True when live Nodes show that nothing fits any more: no dwell delays what stops it.
    pub overshoots: bool,
    /// The numbers behind it, where it is decided by numbers.
    pub arithmetic: Option<Box<Arithmetic>>,
}

/// What the groups of a pool leave to this cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Room {
    /// By group, $/h at the expected demand; negative is what must be given back.
    pub by_group: BTreeMap<GroupId, Money>,
    /// By how much it may err before a decision changes, $/h.
    pub band: Money,
    /// True when live Nodes are in it.
    pub live: bool,
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
    let to_go_on = price.rate.scale(thresholds.hold).max(facts.launches.scale(0.5));
    let band = price.rate.max(level.commitment.scale(thresholds.drain));
    let over = level.excess_at_least > band;
    let over_since = over.then(|| facts.over_since.unwrap_or(facts.now));
    let goes_on = facts.last == Some(Decision::Fill) && level.expected > to_go_on;
    let spent = spent(facts, &level);
    let (decision, rule, reason) = if let Some(reason) = beyond_cap(facts, &level) {
        (Decision::Hold, Rule::BeyondCap, reason)
    } else if let Some(spent) = spent.filter(|spent| *spent >= level.expected && level.expected > Money::ZERO)
    {
        (Decision::Hold, Rule::Spent, spent_reason(facts, &level, spent))
    } else if level.cautious >= to_start || goes_on {
        let rule = if level.cautious >= to_start {
            Rule::Starts
        } else {
            Rule::GoesOn
        };
        (Decision::Fill, rule, fill_reason(facts, &level, &node, price))
    } else if over && has_lasted(facts, over_since, band) {
        let reason = format!(
            "{}: {} more than they hold, for longer than the dwell time",
            full(facts, &level),
            level.excess_at_least.per_hour()
        );
        (Decision::Drain, Rule::Drains, reason)
    } else {
        let rule = match level.expected > Money::ZERO {
            true => Rule::TooLittle,
            false if over => Rule::NotYetDrains,
            false => Rule::Full,
        };
        (Decision::Hold, rule, hold_reason(facts, &level, &node, to_start))
    };
    let begins = || {
        facts.live.map(|live| Filling {
            since: facts.now,
            live: live.dollars(),
        })
    };
    Outcome {
        overshoots: decision != Decision::Fill
            && (spent.is_some()
                || beyond_cap(facts, &level).is_some()
                || (level.method == Method::Live && level.expected <= Money::ZERO)),
        decision,
        reason,
        headroom: Some(level.expected),
        room: Room {
            by_group: rooms(facts, &level, decision, spent),
            band,
            live: level.method == Method::Live,
        },
        memory: Memory {
            over_since,
            filling: match decision {
                Decision::Fill => remembered(facts).or_else(begins),
                _ => remembered(facts).filter(|_| spent.is_some()),
            },
            ..Memory::default()
        },
        arithmetic: range(facts.groups).map(|(low, high)| {
            Box::new(Arithmetic {
                groups: facts.groups.iter().map(|group| group.id.clone()).collect(),
                commitment: level.commitment,
                demand: level.demand,
                low,
                high,
                expected: level.expected,
                cautious: level.cautious,
                excess: level.excess_at_least,
                node,
                price,
                launches: facts.launches,
                to_start,
                to_go_on,
                to_drain: band,
                over_since,
                spent,
                last: facts.last,
                rule,
            })
        }),
    }
}

/// What each group leaves to this cluster, as the decision sees it. A hold that live Nodes ask for leaves nothing.
fn rooms(
    facts: &Facts<'_>,
    level: &Level,
    decision: Decision,
    spent: Option<Money>,
) -> BTreeMap<GroupId, Money> {
    let left = |group: &GroupNow| {
        let demand = group.nowcast.as_ref()?.demand;
        let room = match decision {
            // Plans that end soon are not worth filling, but still pay.
            Decision::Drain => (group.in_force - demand).scale(group.share),
            _ => group.shared(group.commitment - demand).or_zero(),
        };
        let room = match spent.map(|spent| (level.expected - spent).or_zero()) {
            Some(rest) if decision != Decision::Drain => room.share(rest, level.expected),
            _ => room,
        };
        Some((group.id.clone(), room))
    };
    let capped = decision == Decision::Hold && beyond_cap(facts, level).is_some();
    let groups = facts.groups.iter().filter(|_| !capped);
    groups.filter_map(|group| left(group)).collect()
}

/// Live nodes cost more beyond the commitment than the configuration allows.
fn beyond_cap(facts: &Facts<'_>, level: &Level) -> Option<String> {
    let most = facts.policy.max_extra_on_demand.and_then(Money::from_dollars)?;
    let extra = facts.live? - level.commitment;
    (extra > most).then(|| {
        format!(
            "live on-demand nodes cost {} more than the commitment, above maxExtraOnDemand",
            extra.per_hour()
        )
    })
}

/// The beginning of the last fill, while the report cannot have caught up with it.
fn remembered(facts: &Facts<'_>) -> Option<Filling> {
    facts
        .filling
        .filter(|filling| facts.now - filling.since < Duration::hours(UNSEEN_HOURS))
}

/// What has been added since the fill began, where live Nodes do not correct the estimate: nothing else would stop a
/// fill before the report shows it, a day or two later.
fn spent(facts: &Facts<'_>, level: &Level) -> Option<Money> {
    let filling = remembered(facts).filter(|_| level.method != Method::Live)?;
    Some(facts.live? - Money::from_dollars(filling.live)?)
}

fn spent_reason(facts: &Facts<'_>, level: &Level, spent: Money) -> String {
    format!(
        "on-demand nodes worth {} were added since the fill began, as much as the {} that {} had free by the report",
        spent.per_hour(),
        level.expected.per_hour(),
        names(facts.groups)
    )
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
        memory: Memory::default(),
        room: Room::default(),
        overshoots: false,
        arithmetic: None,
    }
}

fn with_room<'a>(facts: &Facts<'a>) -> Vec<&'a GroupNow> {
    facts
        .groups
        .iter()
        .copied()
        .filter(|group| has_room(group))
        .collect()
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
    let free = with_room(facts);
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
        return claimed(facts).unwrap_or_else(|| full(facts, level));
    }
    let cautious = level.cautious.or_zero();
    format!(
        "{} of {} is free (at least {}), which is less than the {} that it takes to fill (one {node}, or what the pools launch at a time)",
        level.expected.per_hour(),
        names(&with_room(facts)),
        cautious.per_hour(),
        to_start.per_hour()
    )
}

/// What is free, where all of it is left to other clusters.
fn claimed(facts: &Facts<'_>) -> Option<String> {
    let free = with_room(facts);
    let headroom: Money = free.iter().filter_map(|group| group.headroom()).sum();
    (!free.is_empty()).then(|| {
        format!(
            "{} of {} is free, but other clusters have claimed it, or keep their part of it (coordination.uri)",
            headroom.per_hour(),
            names(&free)
        )
    })
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
