//! What this cluster's on-demand nodes cost, hour by hour, as its own runs saw it: for old hours in which the report's
//! tags do not tell this cluster's part.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// Hours that are kept: two weeks, in which a report has long matured.
const HOURS: i32 = 14 * 24;
/// At most so many figures: about ten bytes each, well within the control state's bound.
const MOST_FIGURES: usize = 3600;
/// Costs are kept in millionths of a dollar.
const PICOS: i128 = 1_000_000;

/// The record. It is of one set of groups, since a node's cost counts in the scope of the first group that could pay
/// for it: with other plans in force the same nodes count elsewhere, and a new record begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// The groups' names, in the order of the figures.
    groups: Vec<String>,
    /// By hour since 1970: how many runs saw it, and the sum of what they saw by group, 10⁻⁶ $/h.
    hours: BTreeMap<i32, Vec<i64>>,
}

impl UsageRecord {
    /// True while nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hours.is_empty()
    }

    /// Notes what live on-demand nodes cost now, $/h at SP rates, for each of `groups`; one that is not in `live` has
    /// none.
    pub fn note(&mut self, groups: &BTreeSet<GroupId>, live: &BTreeMap<GroupId, Money>, now: DateTime<Utc>) {
        let names: Vec<String> = groups.iter().map(ToString::to_string).collect();
        if self.groups != names {
            *self = Self {
                groups: names,
                hours: BTreeMap::new(),
            };
        }
        let index = Hour::of(now).index();
        let known = self
            .hours
            .entry(index)
            .or_insert_with(|| vec![0; groups.len() + 1]);
        let costs = groups
            .iter()
            .map(|group| live.get(group).copied().unwrap_or_default().picos() / PICOS);
        for (sum, more) in known.iter_mut().zip([1].into_iter().chain(costs)) {
            *sum = sum.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
        }
        // A clock that was set back leaves hours ahead.
        self.hours
            .retain(|hour, _| (index - HOURS + 1..=index).contains(hour));
        while self.hours.len() * (self.groups.len() + 1) > MOST_FIGURES {
            self.hours.pop_first();
        }
    }

    /// What was recorded of an hour, for each of `groups`: the mean of the runs in it. `None` when nothing was, or when
    /// other plans were in force.
    #[must_use]
    pub fn of(&self, groups: &BTreeSet<GroupId>, hour: Hour) -> Option<BTreeMap<GroupId, Money>> {
        let (runs, sums) = self.hours.get(&hour.index())?.split_first()?;
        let fits = self.groups.len() == groups.len() && sums.len() == groups.len() && *runs > 0;
        let same = || {
            self.groups
                .iter()
                .zip(groups)
                .all(|(name, group)| *name == group.to_string())
        };
        if !fits || !same() {
            return None;
        }
        let mean = |sum: &i64| Money::from_picos(i128::from(*sum) * PICOS / i128::from(*runs));
        Some(groups.iter().cloned().zip(sums.iter().map(mean)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{MAX_BYTES, State};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn dollars(amount: f64) -> Money {
        Money::from_dollars(amount).unwrap()
    }

    fn compute(amount: f64) -> BTreeMap<GroupId, Money> {
        BTreeMap::from([(GroupId::Compute, dollars(amount))])
    }

    fn family(name: &str) -> GroupId {
        GroupId::Ec2Instance {
            family: name.to_owned(),
            region: "ap-southeast-2".to_owned(),
        }
    }

    #[test]
    fn an_hour_is_the_mean_of_the_runs_in_it_and_no_run_is_unknown() {
        let groups = BTreeSet::from([GroupId::Compute]);
        let mut burn = UsageRecord::default();
        burn.note(&groups, &compute(1.0), at("2026-11-21T18:00:00Z"));
        burn.note(&groups, &compute(2.0), at("2026-11-21T18:50:00Z"));
        burn.note(&groups, &BTreeMap::new(), at("2026-11-21T20:10:00Z"));
        let of = |time| burn.of(&groups, Hour::of(at(time)));
        assert_eq!(of("2026-11-21T18:00:00Z"), Some(compute(1.5)));
        assert_eq!(of("2026-11-21T19:00:00Z"), None);
        assert_eq!(
            of("2026-11-21T20:00:00Z"),
            Some(compute(0.0)),
            "no node is a figure, too"
        );
    }

    #[test]
    fn a_record_of_other_plans_tells_nothing() {
        let (one, two) = (
            BTreeSet::from([GroupId::Compute]),
            BTreeSet::from([family("m5"), GroupId::Compute]),
        );
        let mut burn = UsageRecord::default();
        burn.note(&one, &compute(1.0), at("2026-11-21T18:00:00Z"));
        let hour = Hour::of(at("2026-11-21T18:00:00Z"));
        assert_eq!(burn.of(&two, hour), None);
        burn.note(&two, &compute(1.0), at("2026-11-21T18:10:00Z"));
        assert_eq!(burn.of(&one, hour), None);
        assert_eq!(
            burn.of(&two, hour).map(|found| found[&family("m5")]),
            Some(Money::ZERO)
        );
    }

    #[test]
    fn months_of_runs_on_many_plans_leave_room_in_the_state() {
        for count in [1, 4, 20] {
            let groups: BTreeSet<GroupId> = (0..count).map(|i| family(&format!("m{i}in-flex"))).collect();
            let live = groups
                .iter()
                .map(|group| (group.clone(), dollars(1_234.567_891)))
                .collect();
            let mut state = State::default();
            let first = at("2026-09-01T00:00:00Z");
            for run in 0..6 * 24 * 60 {
                state
                    .burn
                    .note(&groups, &live, first + chrono::Duration::minutes(run * 10));
            }
            let text = state.to_text();
            assert!(text.len() < MAX_BYTES / 2, "{count} groups: {} bytes", text.len());
            assert_eq!(State::parse("s", &text).unwrap(), state);
            let newest = Hour::of(first + chrono::Duration::days(60)).plus(-1);
            assert_eq!(state.burn.of(&groups, newest), Some(live));
            let kept = state.burn.of(&groups, newest.plus(1 - HOURS)).is_some();
            assert_eq!(kept, count < 20, "{count} groups");
            assert!(state.burn.of(&groups, newest.plus(-HOURS)).is_none());
        }
    }
}
