//! Plans as AWS lists them now (`savingsplans:DescribeSavingsPlans`), beside what the report tells of them: bought an hour
//! ago, queued to begin, returned. The list is of one account; that a plan is not in it says nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use crate::ledger::{Ledger, PlanLedger};
use crate::savings_plan::Plan;
use brimful_types::money::Money;

/// How a plan stands by the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In force.
    Active,
    /// Being returned, of which nobody says when.
    Leaving,
    /// To begin at its start.
    Queued,
    /// Over: its term has ended, or it was returned or never paid.
    Ended,
}

/// What the list says of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// How it stands.
    pub standing: Standing,
    /// Its commitment, $/h.
    pub commitment: Money,
}

/// How far a queued plan may begin from another's end and still take its place.
const SEAM: Duration = Duration::hours(1);

impl Ledger {
    /// Brings together what the report and the list say: of a plan's standing the list has the last word. Plans that the
    /// report has not seen are added if they are in force or will be.
    pub fn take_inventory(&mut self, listed: Vec<Plan>, now: DateTime<Utc>) {
        for plan in listed {
            let Some(listing) = plan.listed else { continue };
            let known = self.plans.iter_mut().find(|entry| entry.plan.arn == plan.arn);
            let Some(PlanLedger { plan: known, .. }) = known else {
                if matches!(listing.standing, Standing::Active | Standing::Queued) {
                    let hours = BTreeMap::new();
                    self.plans.push(PlanLedger { plan, hours });
                }
                continue;
            };
            known.listed = Some(listing);
            known.end = plan.end.or(known.end);
            match listing.standing {
                Standing::Active => (known.stopped, known.returned) = (None, None),
                Standing::Ended if known.is_active(now) => known.stopped = Some(now),
                _ => {}
            }
        }
    }

    /// What plans that are queued to begin at a plan's end will commit in its place, $/h; no more than it commits itself.
    #[must_use]
    pub fn renewed(&self, plan: &Plan, commitment: Money) -> Money {
        let Some(end) = plan.ends() else {
            return Money::ZERO;
        };
        let queued = self.plans.iter().map(|entry| &entry.plan).filter_map(|other| {
            let listing = other
                .listed
                .filter(|listing| listing.standing == Standing::Queued)?;
            let follows = other.start.is_some_and(|start| (start - end).abs() <= SEAM);
            (follows && other.group() == plan.group()).then_some(listing.commitment)
        });
        queued.sum::<Money>().min(commitment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::savings_plan::{Covered, PlanKind, PlanTexts};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn plan(id: &str, standing: Standing, dollars: f64, start: &str, end: &str) -> Plan {
        let arn = format!("arn:aws:savingsplans::111122223333:savingsplan/{id}");
        let texts = PlanTexts {
            offering_type: "ComputeSavingsPlans".to_owned(),
            start: start.to_owned(),
            end: end.to_owned(),
            ..PlanTexts::default()
        };
        let mut plan = Plan::read(&arn, &texts, &Covered::default());
        plan.listed = Some(Listing {
            standing,
            commitment: Money::from_dollars(dollars).unwrap(),
        });
        plan
    }

    fn ledger(mut plans: Vec<Plan>) -> Ledger {
        for plan in &mut plans {
            plan.listed = None;
        }
        let entry = |plan| PlanLedger {
            plan,
            hours: BTreeMap::new(),
        };
        Ledger {
            plans: plans.into_iter().map(entry).collect(),
            ..Ledger::default()
        }
    }

    const NOW: &str = "2026-11-21T18:00:00Z";

    #[test]
    fn the_list_adds_what_the_report_has_not_seen_and_ends_what_is_over() {
        let old = || {
            plan(
                "a",
                Standing::Ended,
                5.0,
                "2026-01-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            )
        };
        let mut ledger = ledger(vec![old()]);
        let listed = vec![
            old(),
            plan(
                "b",
                Standing::Active,
                3.0,
                "2026-11-21T17:00:00Z",
                "2027-11-21T17:00:00Z",
            ),
            plan(
                "c",
                Standing::Queued,
                2.0,
                "2026-12-01T00:00:00Z",
                "2027-12-01T00:00:00Z",
            ),
            plan(
                "d",
                Standing::Ended,
                9.0,
                "2025-01-01T00:00:00Z",
                "2026-01-01T00:00:00Z",
            ),
        ];
        ledger.take_inventory(listed, at(NOW));
        let active: Vec<(&str, bool)> = ledger
            .plans
            .iter()
            .map(|entry| (entry.plan.short_id(), entry.plan.is_active(at(NOW))))
            .collect();
        assert_eq!(active, [("a", false), ("b", true), ("c", false)]);
        assert_eq!(ledger.plans[1].plan.kind, PlanKind::Compute);
    }

    /// A plan whose rows stopped is in force all the same if AWS says so.
    #[test]
    fn the_list_has_the_last_word_on_a_plan_whose_rows_stopped() {
        let own = plan(
            "a",
            Standing::Active,
            5.0,
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        );
        let mut ledger = ledger(vec![own.clone()]);
        ledger.plans[0].plan.stopped = Some(at("2026-11-19T00:00:00Z"));
        assert!(!ledger.plans[0].plan.is_active(at(NOW)));
        ledger.take_inventory(vec![own], at(NOW));
        assert!(ledger.plans[0].plan.is_active(at(NOW)));
    }

    #[test]
    fn a_queued_plan_of_the_same_group_takes_the_place_of_one_that_ends() {
        let ending = plan(
            "a",
            Standing::Active,
            5.0,
            "2026-01-01T00:00:00Z",
            "2026-11-22T00:00:00Z",
        );
        let mut ledger = ledger(vec![ending.clone()]);
        let five = Money::from_dollars(5.0).unwrap();
        assert_eq!(ledger.renewed(&ending, five), Money::ZERO);
        let queued = |id, dollars, start| plan(id, Standing::Queued, dollars, start, "2027-11-22T00:00:00Z");
        ledger.take_inventory(vec![queued("b", 3.0, "2026-11-22T00:00:00Z")], at(NOW));
        assert_eq!(ledger.renewed(&ending, five), Money::from_dollars(3.0).unwrap());
        ledger.take_inventory(vec![queued("c", 4.0, "2026-11-22T00:30:00Z")], at(NOW));
        assert_eq!(
            ledger.renewed(&ending, five),
            five,
            "no more than it commits itself"
        );
        let later = queued("d", 9.0, "2026-11-23T00:00:00Z");
        let mut other = self::ledger(vec![ending.clone()]);
        other.take_inventory(vec![later], at(NOW));
        assert_eq!(other.renewed(&ending, five), Money::ZERO);
    }
}
