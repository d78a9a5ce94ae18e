//! What EC2 Instance plans that were bought lately take over from Compute plans.
//!
//! AWS applies EC2 Instance plans first. So usage that Compute plans paid for in hours before such a plan began is paid by
//! that plan now, and leaves the Compute plans as much room; no hour of the report shows that for a day or two.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::groups::commitment_now;
use brimful_savings_plans::ledger::{Ledger, Series, UsageClass};
use brimful_savings_plans::savings_plan::{GroupId, PlanKind};
use brimful_savings_plans::usage::{family, instance_type};
use brimful_savings_plans::utilization::Utilization;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// The use of old hours as it would have been with the EC2 Instance plans of now.
#[must_use]
pub fn as_in_force_now<'a>(
    utilization: &'a Utilization,
    ledger: &Ledger,
    active: &BTreeSet<GroupId>,
    now: DateTime<Utc>,
) -> Cow<'a, Utilization> {
    let mut taken: BTreeMap<Hour, Money> = BTreeMap::new();
    for group in active.iter().filter(|group| **group != GroupId::Compute) {
        let now_in_force = in_force(ledger, group, now);
        let then = utilization.groups.iter().find(|use_| use_.id == *group);
        for (hour, covered) in covered_by_compute(ledger, group) {
            let before = then.and_then(|use_| Some(use_.hours.get(&hour)?.commitment));
            // At Compute rates the new commitment pays for more; by how much is not known before it is used.
            let more = (now_in_force - before.unwrap_or_default()).or_zero();
            *taken.entry(hour).or_default() += covered.min(more);
        }
    }
    if taken.values().all(|taken| *taken == Money::ZERO) {
        return Cow::Borrowed(utilization);
    }
    let mut changed = utilization.clone();
    let compute = changed
        .groups
        .iter_mut()
        .filter(|use_| use_.id == GroupId::Compute);
    for (hour, of_hour) in compute.flat_map(|use_| use_.hours.iter_mut()) {
        let taken = taken.get(hour).copied().unwrap_or_default();
        // What was spilled then is paid for first by what has become free.
        let spill = of_hour.spill.min(taken);
        of_hour.spill -= spill;
        of_hour.used = (of_hour.used - (taken - spill)).or_zero();
    }
    Cow::Owned(changed)
}

fn in_force(ledger: &Ledger, group: &GroupId, now: DateTime<Utc>) -> Money {
    let plans = ledger.plans.iter().enumerate();
    let of_group =
        plans.filter(|(_, entry)| entry.plan.is_active(now) && entry.plan.group().as_ref() == Some(group));
    of_group
        .filter_map(|(index, _)| commitment_now(ledger, index, now))
        .sum()
}

/// What Compute plans paid of a group's family and region, hour by hour, at their rates.
fn covered_by_compute(ledger: &Ledger, group: &GroupId) -> BTreeMap<Hour, Money> {
    let GroupId::Ec2Instance { family: of, region } = group else {
        return BTreeMap::new();
    };
    let is_such = |series: &Series| {
        let by_compute = match series.class {
            UsageClass::Covered(plan) => ledger.plans[plan].plan.kind == PlanKind::Compute,
            _ => false,
        };
        by_compute
            && series.is_instance
            && *series.region == **region
            && family(instance_type(&series.usage_type)) == of
    };
    let wanted: Vec<bool> = ledger.series.iter().map(is_such).collect();
    let mut found: BTreeMap<Hour, Money> = BTreeMap::new();
    for cell in ledger.cells.iter().filter(|cell| wanted[cell.series as usize]) {
        *found.entry(cell.hour).or_default() += cell.cost();
    }
    found
}
