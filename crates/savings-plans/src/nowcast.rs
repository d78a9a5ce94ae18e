//! Where each group of plans stands now, estimated from hours that are a day or more old.
//!
//! The report gives the level, and [`forecast`] carries it to this hour. Live Nodes, when at hand, replace what this
//! cluster ran in old hours:
//! `demand(now) = demand(then) − own on-demand use then + own on-demand nodes now`, all at SP rates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::forecast::{Forecast, Predictor, forecast};
use super::savings_plan::GroupId;
use super::utilization::{GroupHour, GroupUse, Utilization};
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// Quantiles of the estimate's range: demand lies within it nine times in ten.
const LOW: f64 = 0.05;
const HIGH: f64 = 0.95;

/// How an estimate came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Mature hours, corrected with live Nodes.
    Live,
    /// Mature hours at this hour of the day, or of the week.
    Profile,
    /// The newest mature hours.
    LastMature,
}

/// Demand on a group of plans in the current hour, $/h at SP rates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nowcast {
    /// The best estimate.
    pub demand: Money,
    /// What it stays above in 19 of 20 cases.
    pub low: Money,
    /// What it stays below, likewise.
    pub high: Money,
    /// How it came about.
    pub method: Method,
    /// What of an EC2 Instance group's scope its plans cannot hold, so that Compute plans are asked for it, $/h at Compute
    /// rates as far as those are known.
    pub overflow: Money,
    /// The same at the group's own rates.
    pub beyond: Money,
    /// The forecast from the report, with this cluster's part taken as it is now.
    pub forecast: Arc<Forecast>,
}

impl Nowcast {
    /// What demand stays below with a probability of `quantile` (0 to 1), in an hour taken at random from this one and
    /// the `hours` − 1 after it.
    #[must_use]
    pub fn over(&self, hours: usize, quantile: f64) -> Money {
        self.forecast.over(hours, quantile).or_zero()
    }
}

/// This cluster's use of on-demand instances, now and in old hours, in the scope of each group: for an EC2 Instance
/// group its family and region, for Compute whatever is in no such scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnUse {
    /// Live Nodes, $/h at the group's SP rates.
    pub now: BTreeMap<GroupId, Money>,
    /// The same, by hour of the report. It is the same in every plan that is made of one.
    pub then: Arc<ByScope>,
    /// The hours for which it is known; `None` = all. An unknown hour counts for nothing, not as zero.
    pub known: Option<BTreeSet<Hour>>,
    /// Compute rate over Instance rate of what an EC2 Instance group's scope runs, in thousandths.
    pub compute_per_mille: BTreeMap<GroupId, i64>,
}

impl OwnUse {
    /// This cluster's part of an old hour in the scope of a group.
    #[must_use]
    pub fn then(&self, group: &GroupId, hour: Hour) -> Money {
        in_hour(&self.then, group, hour)
    }

    /// True where this cluster's part of an old hour is known. Where it is and has no entry, it is zero.
    #[must_use]
    pub fn knows(&self, hour: Hour) -> bool {
        self.known.as_ref().is_none_or(|known| known.contains(&hour))
    }
}

/// Use in the scopes of groups, hour by hour; none where there is no entry.
pub type ByScope = BTreeMap<GroupId, BTreeMap<Hour, Money>>;

/// Use in the scope of an EC2 Instance group that Compute plans paid for, at the Instance group's rates.
pub type Overflow = ByScope;

fn in_hour(use_: &ByScope, group: &GroupId, hour: Hour) -> Money {
    let of_hour = use_.get(group).and_then(|hours| hours.get(&hour));
    of_hour.copied().unwrap_or_default()
}

/// Estimates every group in force that has a mature hour.
#[must_use]
pub fn nowcast(
    utilization: &Utilization,
    active: &BTreeSet<GroupId>,
    now: DateTime<Utc>,
    own: Option<&OwnUse>,
    overflow: &Overflow,
) -> BTreeMap<GroupId, Nowcast> {
    let is_active = |group: &&GroupUse| active.contains(&group.id);
    let estimates = utilization.groups.iter().filter(is_active).filter_map(|group| {
        let level = |hour: Hour| match own {
            Some(own) => corrected(
                &Scopes {
                    utilization,
                    active,
                    own,
                    overflow,
                },
                group,
                hour,
            ),
            None => at(group, hour),
        };
        let mature = group.hours.iter().filter(|(_, of_hour)| of_hour.mature);
        let known = mature.filter(|(hour, _)| own.is_none_or(|own| own.knows(**hour)));
        let known: BTreeMap<Hour, Money> = known.map(|(hour, _)| (*hour, level(*hour))).collect();
        let (newest, _) = known.last_key_value()?;
        let incomplete = group
            .hours
            .range(newest.plus(1)..)
            .filter(|(_, hour)| !hour.contradictory);
        // Where this cluster's part is not known, its own launches would look like others' use.
        let incomplete = incomplete.filter(|(hour, _)| own.is_some_and(|own| own.knows(**hour)));
        let incomplete = incomplete.map(|(hour, _)| (*hour, level(*hour))).collect();
        let forecast = forecast(&known, &incomplete, Hour::of(now))?;
        let method = match (own, forecast.predictor) {
            (Some(_), _) => Method::Live,
            (None, Predictor::HourOfWeek | Predictor::HourOfDay) => Method::Profile,
            (None, Predictor::DailyMean | Predictor::Newest) => Method::LastMature,
        };
        let demand = forecast.level.or_zero();
        let none = OwnUse::default();
        let scopes = Scopes {
            utilization,
            active,
            own: own.unwrap_or(&none),
            overflow,
        };
        let basis = forecast.basis.iter().filter(|_| group.id != GroupId::Compute);
        let beyond = basis.map(|basis| scopes.beyond(group, basis.hour).1);
        let beyond = beyond.min().unwrap_or_default();
        let estimate = Nowcast {
            demand,
            overflow: scopes.at_compute(group, beyond),
            beyond,
            low: forecast.at(LOW).or_zero().min(demand),
            high: forecast.at(HIGH).max(demand),
            method,
            forecast: Arc::new(forecast),
        };
        Some((group.id.clone(), estimate))
    });
    estimates.collect()
}

/// Demand on a group in an old hour, as far as rows show it.
fn at(group: &GroupUse, hour: Hour) -> Money {
    group.hours.get(&hour).map(shown).unwrap_or_default()
}

/// What rows show of an hour that is not complete; of one that is, all of it.
fn shown(hour: &GroupHour) -> Money {
    if hour.mature {
        hour.demand()
    } else {
        hour.demand() - hour.unseen
    }
}

/// What old hours are corrected by.
struct Scopes<'a> {
    utilization: &'a Utilization,
    active: &'a BTreeSet<GroupId>,
    own: &'a OwnUse,
    overflow: &'a Overflow,
}

/// The same, with this cluster's part as it is now.
fn corrected(scopes: &Scopes<'_>, group: &GroupUse, hour: Hour) -> Money {
    let moved = if group.id == GroupId::Compute {
        scopes.arrivals(hour)
    } else if scopes.active.contains(&GroupId::Compute) {
        -scopes.overflow_change(group, hour)
    } else {
        Money::ZERO
    };
    at(group, hour) + scopes.own_change(group, hour) + moved
}

impl Scopes<'_> {
    fn own_change(&self, group: &GroupUse, hour: Hour) -> Money {
        let now = self.own.now.get(&group.id).copied().unwrap_or_default();
        now - self.own.then(&group.id, hour)
    }

    /// What an EC2 Instance group's scope used beyond its commitment then, and would have with this cluster's part as it is
    /// now, at its rates. AWS applies Compute plans to that.
    fn beyond(&self, group: &GroupUse, hour: Hour) -> (Money, Money) {
        let Some(then) = group.hours.get(&hour) else {
            return (Money::ZERO, Money::ZERO);
        };
        let total = shown(then) + in_hour(self.overflow, &group.id, hour);
        let beyond = |total: Money| (total - then.commitment).or_zero();
        (beyond(total), beyond(total + self.own_change(group, hour)))
    }

    fn overflow_change(&self, group: &GroupUse, hour: Hour) -> Money {
        let (then, now) = self.beyond(group, hour);
        now - then
    }

    /// An amount of a group's scope at Compute rates.
    fn at_compute(&self, group: &GroupUse, amount: Money) -> Money {
        let per_mille = self.own.compute_per_mille.get(&group.id).copied().unwrap_or(1000);
        Money::from_picos((amount * per_mille).picos() / 1000)
    }

    /// What Compute plans gain from all EC2 Instance groups, at Compute rates.
    fn arrivals(&self, hour: Hour) -> Money {
        let in_force = |group: &&GroupUse| group.id != GroupId::Compute && self.active.contains(&group.id);
        let groups = self.utilization.groups.iter().filter(in_force);
        groups
            .map(|group| self.at_compute(group, self.overflow_change(group, hour)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(amount: f64) -> Money {
        Money::from_dollars(amount).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn group(id: GroupId, commitment: f64, demand: impl Fn(Hour) -> f64) -> GroupUse {
        let first = Hour::of(at("2026-11-10T00:00:00Z"));
        let hours = (0..240).map(|i| first.plus(i)).map(|hour| {
            let demand = dollars(demand(hour));
            let used = demand.min(dollars(commitment));
            let hours = GroupHour {
                commitment: dollars(commitment),
                used,
                spill: demand - used,
                mature: true,
                ..GroupHour::default()
            };
            (hour, hours)
        });
        GroupUse {
            id,
            plans: vec![0],
            horizon: at("2026-11-21T00:00:00Z"),
            hours: hours.collect(),
        }
    }

    fn utilization(groups: Vec<GroupUse>) -> Utilization {
        Utilization {
            horizon: Some(at("2026-11-21T00:00:00Z")),
            plans: Vec::new(),
            groups,
            warnings: Vec::new(),
        }
    }

    fn m5() -> GroupId {
        GroupId::Ec2Instance {
            family: "m5".into(),
            region: "us-east-2".into(),
        }
    }

    fn all() -> BTreeSet<GroupId> {
        BTreeSet::from([m5(), GroupId::Compute])
    }

    const NOW: &str = "2026-11-21T18:20:00Z"; // a Saturday

    #[test]
    fn without_nodes_the_profile_of_old_hours_is_all_there_is() {
        let by_day = |hour: Hour| if hour.of_day() == 18 { 3.0 } else { 9.0 };
        let found = nowcast(
            &utilization(vec![group(GroupId::Compute, 10.0, by_day)]),
            &all(),
            at(NOW),
            None,
            &Overflow::new(),
        );
        let estimate = &found[&GroupId::Compute];
        let basis = &estimate.forecast.basis;
        let hours: Vec<String> = basis.iter().map(|basis| basis.hour.to_string()).collect();
        let days = [
            "2026-11-19T18:00:00Z",
            "2026-11-18T18:00:00Z",
            "2026-11-17T18:00:00Z",
        ];
        assert_eq!(hours, days);
        assert_eq!(
            (estimate.method, estimate.demand),
            (Method::Profile, dollars(3.0))
        );
    }

    #[test]
    fn live_nodes_replace_what_this_cluster_ran_then() {
        let use_ = utilization(vec![group(GroupId::Compute, 10.0, |_| 6.0)]);
        let then = use_.groups[0].hours.keys().map(|hour| (*hour, dollars(2.0)));
        let own = OwnUse {
            now: BTreeMap::from([(GroupId::Compute, dollars(3.5))]),
            then: Arc::new(ByScope::from([(GroupId::Compute, then.collect())])),
            ..OwnUse::default()
        };
        let found = nowcast(&use_, &all(), at(NOW), Some(&own), &Overflow::new());
        assert_eq!(found[&GroupId::Compute].demand, dollars(7.5));
        assert_eq!(found[&GroupId::Compute].method, Method::Live);
    }

    #[test]
    fn use_that_is_stated_before_its_rows_are_there_is_nobody_elses() {
        let told = |unseen: f64| {
            let mut group = group(GroupId::Compute, 10.0, |_| 4.0);
            for (_, hour) in group.hours.iter_mut().rev().take(12) {
                hour.mature = false;
                hour.used = dollars(6.0);
                hour.unseen = dollars(unseen);
            }
            let hours = group.hours.iter();
            // This cluster's rows of those hours are not there, either.
            let then = hours.map(|(hour, of_hour)| (*hour, dollars(if of_hour.mature { 2.0 } else { 0.0 })));
            let own = OwnUse {
                now: BTreeMap::from([(GroupId::Compute, dollars(2.0))]),
                then: Arc::new(ByScope::from([(GroupId::Compute, then.collect())])),
                ..OwnUse::default()
            };
            nowcast(
                &utilization(vec![group]),
                &all(),
                at(NOW),
                Some(&own),
                &Overflow::new(),
            )
            .remove(&GroupId::Compute)
            .map(|estimate| estimate.demand)
        };
        assert_eq!(
            told(4.0),
            Some(dollars(4.0)),
            "2 of others' 6 are seen, as before"
        );
        assert_eq!(told(3.0), Some(dollars(5.0)), "3 of them are others', 2 are live");
    }

    #[test]
    fn nor_does_it_flow_over_to_compute() {
        let mut instance = group(m5(), 2.0, |_| 2.0);
        let then: BTreeMap<Hour, Money> = instance
            .hours
            .iter_mut()
            .rev()
            .enumerate()
            .map(|(back, (hour, of_hour))| {
                let is_late = back < 12;
                of_hour.mature = !is_late;
                of_hour.unseen = dollars(if is_late { 2.0 } else { 0.0 });
                (*hour, dollars(if is_late { 0.0 } else { 1.5 }))
            })
            .collect();
        let mut compute = group(GroupId::Compute, 10.0, |_| 4.0);
        for of_hour in compute.hours.values_mut().rev().take(12) {
            of_hour.mature = false;
        }
        let use_ = utilization(vec![instance, compute]);
        let own = OwnUse {
            now: BTreeMap::from([(m5(), dollars(1.5))]),
            then: Arc::new(ByScope::from([(m5(), then)])),
            ..OwnUse::default()
        };
        let found = nowcast(&use_, &all(), at(NOW), Some(&own), &Overflow::new());
        assert_eq!(found[&GroupId::Compute].demand, dollars(4.0));
        assert_eq!(found[&m5()].demand, dollars(2.0));
    }

    #[test]
    fn what_an_instance_plan_cannot_hold_goes_to_compute() {
        let use_ = utilization(vec![
            group(m5(), 2.0, |_| 1.5),
            group(GroupId::Compute, 10.0, |_| 4.0),
        ]);
        let own = OwnUse {
            now: BTreeMap::from([(m5(), dollars(1.0))]),
            compute_per_mille: BTreeMap::from([(m5(), 1100)]),
            ..OwnUse::default()
        };
        let found = nowcast(&use_, &all(), at(NOW), Some(&own), &Overflow::new());
        assert_eq!(found[&m5()].demand, dollars(2.0)); // 1.5 + 1.0, of which 0.5 spills over
        assert_eq!(found[&GroupId::Compute].demand, dollars(4.55));
    }

    #[test]
    fn without_a_mature_hour_there_is_no_estimate() {
        let mut group = group(GroupId::Compute, 10.0, |_| 1.0);
        group.hours.values_mut().for_each(|hour| hour.mature = false);
        assert!(nowcast(&utilization(vec![group]), &all(), at(NOW), None, &Overflow::new()).is_empty());
    }

    #[test]
    fn one_hour_of_this_time_of_day_is_no_certainty() {
        let mut young = group(GroupId::Compute, 10.0, |hour| {
            if hour.of_day() == 18 { 1.0 } else { 9.9 }
        });
        let first = Hour::of(at("2026-11-19T10:00:00Z"));
        young.hours.retain(|hour, _| *hour >= first);
        let found = nowcast(
            &utilization(vec![young]),
            &all(),
            at("2026-11-20T18:20:00Z"),
            None,
            &Overflow::new(),
        );
        assert_eq!(found[&GroupId::Compute].demand, dollars(1.0));
        assert_eq!(found[&GroupId::Compute].high, dollars(9.9));
    }
}
