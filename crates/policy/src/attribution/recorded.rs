//! This cluster's part of old hours by its own record, where the report's tags do not tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{OwnUse, TAG_SLACK, Valuation, add_now, add_then, billed};
use crate::usage_record::UsageRecord;
use brimful_karpenter::Node;
use brimful_savings_plans::ledger::Ledger;
use brimful_savings_plans::nowcast::ByScope;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::utilization::{GroupUse, Utilization};
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// Complete hours that the record must hold: with fewer, no hour of the day may be among them, and the report alone tells
/// more.
const ENOUGH: usize = 24;

/// Groups in whose scopes nodes are counted: those in force, and Compute for what is in no other's.
fn scopes(scale: &Valuation<'_>) -> BTreeSet<GroupId> {
    scale.groups.iter().cloned().chain([GroupId::Compute]).collect()
}

/// Notes what live nodes cost. A node whose SP rate is not known yet leaves a gap: its cost would change with the rate,
/// and look like nodes that came or went.
pub fn record(burn: &mut UsageRecord, scale: &Valuation<'_>, nodes: &[Node], now: DateTime<Utc>) {
    if scale.groups.is_empty() {
        return;
    }
    let mut live: BTreeMap<GroupId, Money> = BTreeMap::new();
    for node in billed(nodes) {
        let Some((scope, Some(price))) = scale.price_in(node, None) else {
            return;
        };
        if !price.source.is_plan_rate() {
            return;
        }
        *live.entry(scope).or_default() += price.rate;
    }
    burn.note(&scopes(scale), &live, now);
}

/// Compares live Nodes with the report by what earlier runs recorded: in complete hours with a record only.
///
/// # Errors
/// What the record lacks.
pub fn recorded_use(
    scale: &Valuation<'_>,
    ledger: &Ledger,
    utilization: &Utilization,
    nodes: &[Node],
    burn: &UsageRecord,
) -> Result<OwnUse, String> {
    let mut all = ByScope::new();
    add_then(&mut all, scale, ledger, |_| true);
    let scopes = scopes(scale);
    let in_force = |id: &GroupId| scale.groups.contains(id);
    let groups = utilization.groups.iter().filter(|group| in_force(&group.id));
    let mature = |hours: &BTreeSet<Hour>, group: &GroupUse| {
        let complete = group.hours.iter().filter(|(_, of_hour)| of_hour.mature);
        complete.filter(|(hour, _)| hours.contains(hour)).count()
    };
    let wanted: BTreeSet<Hour> = groups
        .clone()
        .flat_map(|group| group.hours.iter().filter(|(_, of_hour)| of_hour.mature))
        .map(|(hour, _)| *hour)
        .collect();
    let mut then = ByScope::new();
    let mut known = BTreeSet::new();
    for hour in wanted {
        let Some(costs) = burn.of(&scopes, hour) else {
            continue;
        };
        // What the report does not hold cannot be taken out of it.
        let is_in = |(group, cost): (&GroupId, &Money)| {
            let seen = all.get(group).and_then(|hours| hours.get(&hour));
            *cost <= seen.copied().unwrap_or_default().scale(TAG_SLACK)
        };
        if costs.iter().all(is_in) {
            known.insert(hour);
            for (group, cost) in costs {
                then.entry(group).or_default().insert(hour, cost);
            }
        }
    }
    for group in groups {
        let (count, complete) = (
            mature(&known, group),
            group.hours.values().any(|hour| hour.mature),
        );
        if complete && count < ENOUGH {
            return Err(format!(
                "of what this cluster's nodes cost `apply` has recorded {count} complete hours of {} so far that fit the report, {ENOUGH} \
                 are needed",
                group.id
            ));
        }
    }
    let mut found = OwnUse {
        then: Arc::new(then),
        known: Some(known),
        ..OwnUse::default()
    };
    add_now(&mut found, scale, billed(nodes));
    Ok(found)
}
