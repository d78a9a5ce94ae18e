//! The decision for one `NodePool`: fill, hold, drain, freeze or none.
//!
//! Two thresholds with a band between them, in money. Filling begins when there is room for a node below the demand to
//! plan for ([`super::critical_ratio`]) and ends when that room is gone; draining begins when that demand has exceeded
//! the commitment by more than the band for a while.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::Decision;
use super::arithmetic::{Arithmetic, Rule, range};
use super::eligibility::Eligible;
use super::groups::GroupNow;
use super::prices::{Price, Prices};
use super::state::{Filling, Memory};
use crate::settings::PolicyConfig;
use brimful_savings_plans::nowcast::{Method, Nowcast};
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::money::Money;

mod reasons;

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
    /// The least room at which what this pool and the Spot pools beside it launch is better launched on demand.
    pub worth_filling_from: Money,
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
    /// By group, $/h; negative is what must be given back.
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
    /// Demand to plan for.
    planned: Money,
    /// This cluster's headroom by the best guess, and what of it is worth filling.
    headroom: Money,
    room: Money,
    /// By how much the demand to plan for exceeds the commitments that may be in force.
    excess: Money,
    method: Method,
}

impl Level {
    fn of(groups: &[&GroupNow]) -> Option<Self> {
        let mut level = Self {
            commitment: Money::ZERO,
            demand: Money::ZERO,
            planned: Money::ZERO,
            headroom: Money::ZERO,
            room: Money::ZERO,
            excess: Money::ZERO,
            method: Method::Live,
        };
        let (mut headrooms, mut rooms) = (Vec::new(), Vec::new());
        let mut asked = None;
        for group in groups {
            let nowcast = group.nowcast.as_ref()?;
            level.commitment += group.commitment;
            level.demand += nowcast.demand;
            level.planned += group.planned?;
            let excess = group.excess()?;
            level.excess += group.own_part(at_most(excess, asked));
            asked = Some(asked_of_next(nowcast, excess));
            level.method = nowcast.method;
            headrooms.push(group.shared(group.headroom()?));
            rooms.push(group.shared(group.room()?));
        }
        level.headroom = together(&headrooms);
        level.room = together(&rooms);
        Some(level)
    }
}

/// What of a group's scope the next group is asked for, beside what nobody pays for, at the next group's rates.
fn asked_of_next(nowcast: &Nowcast, excess: Money) -> Money {
    let rest = (nowcast.beyond - excess.or_zero()).or_zero();
    nowcast.overflow.share(rest, nowcast.beyond)
}

/// A group's excess as far as it is the pool's: what the group before it holds is paid for, whatever happens to this one.
fn at_most(excess: Money, asked: Option<Money>) -> Money {
    asked.map_or(excess, |asked| excess.min(asked))
}

/// What several groups have room for together. One group's spill takes nothing from another's room, which would be
/// lost if it were not filled; without any room the spill adds up.
fn together(headrooms: &[Money]) -> Money {
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
    let Some((node, price)) = next_node(facts) else {
        return frozen("no instance type that it can launch has a known price, so what fits cannot be told: the report shows it once the type has run, AWS at once (cur.describeRates)".into());
    };
    let to_start = price.rate.scale(thresholds.fill).max(facts.worth_filling_from);
    let to_go_on = price
        .rate
        .scale(thresholds.hold)
        .max(facts.worth_filling_from.scale(0.5));
    let band = price.rate.max(level.commitment.scale(thresholds.drain));
    let spot_saves = facts.groups.iter().all(|group| group.ratio.spot_saves());
    let over = level.excess > band && spot_saves;
    let over_since = over.then(|| facts.over_since.unwrap_or(facts.now));
    let goes_on = facts.last == Some(Decision::Fill) && level.room > to_go_on;
    let spent = spent(facts, &level);
    let (decision, rule, reason) = if let Some(reason) = beyond_cap(facts, &level) {
        (Decision::Hold, Rule::BeyondCap, reason)
    } else if let Some(spent) = spent.filter(|spent| *spent >= level.room && level.room > Money::ZERO) {
        (Decision::Hold, Rule::Spent, reasons::spent(facts, &level, spent))
    } else if level.room >= to_start || goes_on {
        let rule = if level.room >= to_start {
            Rule::Starts
        } else {
            Rule::GoesOn
        };
        (Decision::Fill, rule, reasons::fill(facts, &level, &node, price))
    } else if over && has_lasted(facts, over_since, band) {
        (Decision::Drain, Rule::Drains, reasons::drain(facts, &level))
    } else {
        let rule = match level.room > Money::ZERO {
            true => Rule::TooLittle,
            false if over => Rule::NotYetDrains,
            false => Rule::Full,
        };
        (
            Decision::Hold,
            rule,
            reasons::hold(facts, &level, &node, to_start),
        )
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
                || (level.method == Method::Live && level.room <= Money::ZERO)),
        decision,
        reason,
        headroom: Some(level.headroom),
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
                planned: level.planned,
                headroom: level.headroom,
                room: level.room,
                excess: level.excess,
                node,
                price,
                lookahead: facts.groups.first().map_or(0, |group| group.lookahead),
                worth_filling_from: facts.worth_filling_from,
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
    let left = |place: usize, group: &GroupNow| {
        let before = place.checked_sub(1).and_then(|before| facts.groups.get(before));
        let asked = before.and_then(|before| Some(asked_of_next(before.nowcast.as_ref()?, before.excess()?)));
        let room = match decision {
            // Plans that end soon are not worth filling, but still pay.
            Decision::Drain => -group.own_part(at_most(group.excess()?, asked)).scale(group.share),
            _ => group.shared(group.room()?).or_zero(),
        };
        let room = match spent.map(|spent| (level.room - spent).or_zero()) {
            Some(rest) if decision != Decision::Drain => room.share(rest, level.room),
            _ => room,
        };
        Some((group.id.clone(), room))
    };
    let capped = decision == Decision::Hold && beyond_cap(facts, level).is_some();
    let groups = facts.groups.iter().enumerate().filter(|_| !capped);
    groups.filter_map(|(place, group)| left(place, group)).collect()
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

fn has_room(group: &GroupNow) -> bool {
    group.room().is_some_and(|room| room > Money::ZERO)
}

/// The next node, and what it costs the first group that has room, else the first group.
fn next_node(facts: &Facts<'_>) -> Option<(String, Price)> {
    let group = facts
        .groups
        .iter()
        .find(|group| has_room(group))
        .or(facts.groups.first())?;
    facts.eligible.next_node(&group.id, facts.prices)
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
