//! Protection from consolidation: Brimful's own entry in `spec.disruption.budgets`, and when it holds.
//!
//! Karpenter's consolidation takes the dearest nodes first, by list price. A pool that is always protected cannot give
//! back what its plans do not pay for; one that never is loses what they do pay for. So the entry holds while the pool
//! has no more than it needs, and lets go while it has. It is never taken away: an entry that does not hold has a
//! schedule at which it holds again, so that a job that died, a freeze or a pause leaves the pool protected.
//!
//! An entry is active while its schedule (UTC) was last due less than its duration ago (`Budget.IsActive` in Karpenter's
//! `pkg/apis/v1/nodepool.go`, the same in 1.0 and 1.15). Hence one duration for both forms, by which the entry is known
//! as Brimful's: 364 days. Due every midnight, it is always active. Due once a year, at the minute in which it should
//! hold again, it is active for 364 days from then on, and was last active until a day before then: it does not hold
//! now, and no turn of a day, month or year matters. A duration of a whole year would reach from last year's time
//! to this year's, and never let go. The 29th of February comes every four years; its entry, too, holds for 364 days.

use chrono::{DateTime, Datelike, Duration, DurationRound, TimeZone, Timelike, Utc};
use serde_json::{Value, json};

use brimful_karpenter::NodePool;
use brimful_karpenter::cluster::OWN_BUDGET_HOURS as HOURS;
use brimful_karpenter::nodepool::Budget;
use brimful_karpenter::units::duration;

/// Due every midnight.
const ALWAYS: &str = "0 0 * * *";
/// What consolidation calls the nodes that it would replace although they are in use.
const REASON: &str = "Underutilized";
/// What Karpenter takes budgets for that are not written (default of the CRD): writing a list replaces it.
const DEFAULT_NODES: &str = "10%";
/// The API server takes no longer list of budgets.
pub const MAX_ENTRIES: usize = 50;
/// Being open ends by itself after so many minutes: two runs of the job.
const OPEN: i64 = 20;
/// It is renewed when less than this is left, lest it ends just before the next run.
const RENEW_BELOW: i64 = 12; // minutes
/// A wave of consolidation takes about this long: the check of 15 s, new nodes, the pods' moving.
const WAVE: i64 = 2; // minutes

/// What should become of a pool's protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// True while the entry holds now.
    pub current: bool,
    /// True when it should.
    pub proposed: bool,
}

/// True for an entry that Brimful has written.
#[must_use]
pub fn is_own(entry: &Value) -> bool {
    let length = entry["duration"].as_str().and_then(duration);
    entry["nodes"] == "0" && entry["reasons"] == json!([REASON]) && length == Some(Duration::hours(HOURS))
}

/// The entries that are not Brimful's.
#[must_use]
pub fn without_own(entries: &[Value]) -> Vec<Value> {
    entries.iter().filter(|entry| !is_own(entry)).cloned().collect()
}

/// The user's entries, and one of Brimful's with this schedule.
#[must_use]
pub fn with_own(users: Option<&[Value]>, schedule: &str) -> Vec<Value> {
    let mut entries = match users {
        Some(users) => without_own(users),
        None => vec![json!({ "nodes": DEFAULT_NODES })],
    };
    entries.push(json!({
        "nodes": "0", "reasons": [REASON], "schedule": schedule, "duration": format!("{HOURS}h"),
    }));
    entries
}

/// The schedule of an entry that always holds.
#[must_use]
pub fn always() -> String {
    ALWAYS.to_owned()
}

/// The schedule of an entry that does not hold until then, to the minute, and holds from then on.
#[must_use]
pub fn from(time: DateTime<Utc>) -> String {
    format!(
        "{} {} {} {} *",
        time.minute(),
        time.hour(),
        time.day(),
        time.month()
    )
}

/// Until when an entry of Brimful's does not hold; `None` when it does.
#[must_use]
pub fn open_until(entry: &Value, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let [last, next] = due(entry, now)?;
    let holds = last.is_some_and(|last| now - last < Duration::hours(HOURS));
    next.filter(|_| !holds)
}

/// True when an entry of Brimful's lets go, or did within that time.
#[must_use]
pub fn was_open_within(entry: &Value, time: Duration, now: DateTime<Utc>) -> bool {
    let last = due(entry, now).and_then(|[last, _]| last);
    open_until(entry, now).is_some() || last.is_some_and(|last| now - last < time)
}

/// When an entry that is due once a year was due last, and will be next; `None` for one that is due otherwise.
fn due(entry: &Value, now: DateTime<Utc>) -> Option<[Option<DateTime<Utc>>; 2]> {
    let schedule = entry["schedule"].as_str()?;
    let numbers: Vec<u32> = schedule.split(' ').filter_map(|word| word.parse().ok()).collect();
    let &[minute, hour, day, month] = numbers.as_slice() else {
        return None;
    };
    let due = |year| {
        let time = Utc.with_ymd_and_hms(year, month, day, hour, minute, 0);
        time.single()
    };
    // The 29th of February may be eight years away.
    let year = now.year();
    let last = (0..=8)
        .filter_map(|back| due(year - back))
        .find(|time| *time <= now);
    let next = (0..=8)
        .filter_map(|ahead| due(year + ahead))
        .find(|time| *time > now);
    Some([last, next])
}

/// True while an entry of Brimful's among them holds.
#[must_use]
pub fn is_on(entries: Option<&[Value]>, now: DateTime<Utc>) -> bool {
    let mut own = entries.unwrap_or_default().iter().filter(|entry| is_own(entry));
    own.any(|entry| open_until(entry, now).is_none())
}

/// True when Brimful's entry among them was written to let go for a while, whether that is over or not.
#[must_use]
pub fn was_opened(entries: &[Value]) -> bool {
    let mut own = entries.iter().filter(|entry| is_own(entry));
    own.any(|entry| entry["schedule"] != ALWAYS)
}

/// True when two lists hold the same entries, in whatever order.
#[must_use]
pub fn same_entries(one: Option<&[Value]>, other: Option<&[Value]>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return one.is_none() && other.is_none();
    };
    let mut left: Vec<&Value> = other.iter().collect();
    let takes = |entry: &Value| {
        let found = left.iter().position(|left| *left == entry);
        found.map(|index| left.swap_remove(index)).is_some()
    };
    one.len() == other.len() && one.iter().all(takes)
}

/// The budgets that let consolidation take `excess` nodes of `nodes`, or one wave of 0, as far as the user's own budgets let it. What is
/// open already stays so until it is about to end. The time is cut to what the excess needs at the pace of those
/// budgets: a wave takes all that they allow, whatever is left to give back.
#[must_use]
pub fn opened(
    pool: &NodePool,
    users: Option<&[Value]>,
    nodes: i64,
    excess: i64,
    now: DateTime<Utc>,
) -> Vec<Value> {
    // A budget that is active at times only is counted as if it never were, since more may go then.
    let waves = (excess / pace(users, nodes, is_always_active).max(1)).max(1);
    let minutes = (waves * WAVE).clamp(WAVE, OPEN);
    let standing = pool.budgets.as_deref().unwrap_or_default();
    let own = standing.iter().find(|entry| is_own(entry));
    let until = own.and_then(|entry| open_until(entry, now));
    let left = until.map_or(0, |until| (until - now).num_minutes());
    let is_short = left < minutes.min(RENEW_BELOW) || left > OPEN;
    if let Some(until) = until.filter(|_| !is_short) {
        return with_own(users, &from(until));
    }
    let minute = now.duration_trunc(Duration::minutes(1)).unwrap_or(now);
    with_own(users, &from(minute + Duration::minutes(minutes)))
}

fn is_always_active(entry: &Value) -> bool {
    Budget::is_always_active(entry["schedule"].as_str(), entry["duration"].as_str())
}

/// How many underutilized nodes the user's budgets let go at once, of those entries that count.
pub(crate) fn pace(users: Option<&[Value]>, nodes: i64, counts: fn(&Value) -> bool) -> i64 {
    let part = |text: &str| match text.strip_suffix('%') {
        Some(percent) => Some((percent.parse::<i64>().ok()? * nodes + 99) / 100),
        None => text.parse().ok(),
    };
    let concerns = |entry: &&Value| {
        let reasons = entry["reasons"].as_array();
        let names = |reasons: &Vec<Value>| reasons.iter().any(|reason| reason == REASON);
        counts(entry) && reasons.is_none_or(names)
    };
    let written = users.map(|users| users.iter().filter(concerns));
    let least = match written {
        Some(entries) => entries
            .filter_map(|entry| part(entry["nodes"].as_str().unwrap_or(DEFAULT_NODES)))
            .min(),
        None => part(DEFAULT_NODES),
    };
    least.unwrap_or(nodes)
}

#[cfg(test)]
mod tests;
