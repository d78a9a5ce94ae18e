//! This cluster's part of the plans' use: in the report by its tags, now by its live Nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::Identity;
use super::prices::{Placement, Prices};
use crate::commitment::ledger::{Ledger, Series, UsageClass};
use crate::commitment::nowcast::OwnUse;
use crate::commitment::rates::Rates;
use crate::commitment::savings_plan::{GroupId, PlanKind};
use crate::commitment::usage::{family, instance_type};
use crate::karpenter::{InstanceTypes, Node, NodeCapacity};
use crate::money::Money;

/// Compares live Nodes with the report; `None` when the report has no tag by which this cluster's use is known.
#[must_use]
pub fn own_use(
    ledger: &Ledger,
    groups: &BTreeSet<GroupId>,
    identity: &Identity,
    nodes: &[Node],
    types: &InstanceTypes,
    prices: &Prices,
) -> Option<OwnUse> {
    let rates = Rates::new(ledger);
    let own: Vec<Option<OwnSeries>> = ledger
        .series
        .iter()
        .map(|s| OwnSeries::of(s, ledger, groups, identity, &rates))
        .collect();
    if own.iter().all(Option::is_none) {
        return None;
    }
    let by_cluster_tag = ledger
        .series
        .iter()
        .any(|s| s.is_instance && !s.cluster.is_empty() && identity.owns(s));
    let mut found = OwnUse::default();
    for cell in &ledger.cells {
        let Some(series) = &own[cell.series as usize] else {
            continue;
        };
        let cost = cell.amount.at(series.rate);
        let key = (series.scope.clone(), cell.hour);
        if series.covered_by_compute && series.scope != GroupId::Compute {
            *found.overflow.entry(key.clone()).or_default() += cost;
        }
        *found.then.entry(key).or_default() += cost;
    }
    let mut at_compute: BTreeMap<GroupId, Money> = BTreeMap::new();
    for node in nodes.iter().filter(|node| is_billed_on_demand(node)) {
        // Where only the NodePool tag tells, other nodes are not in the old figures either.
        if !by_cluster_tag && node.node_pool.is_none() {
            continue;
        }
        let Some(name) = node.instance_type.as_deref() else {
            continue;
        };
        let region = node.region.as_deref().or(identity.region.as_deref());
        let scope = scope_of(groups, family(name), region.unwrap_or_default());
        let place = Placement {
            region,
            os: node.os.as_deref().unwrap_or("linux"),
        };
        let vcpu = node.vcpu.or_else(|| types.get(name).map(|kind| kind.vcpu));
        let price = |group: &GroupId| {
            prices
                .of(group, name, place, vcpu)
                .map_or(Money::ZERO, |price| price.rate)
        };
        *at_compute.entry(scope.clone()).or_default() += price(&GroupId::Compute);
        let cost = price(&scope);
        *found.now.entry(scope).or_default() += cost;
    }
    for (group, compute) in at_compute {
        let instance = found.now.get(&group).copied().unwrap_or_default();
        if instance > Money::ZERO {
            let per_mille = i64::try_from(compute.picos() * 1000 / instance.picos()).unwrap_or(1000);
            found.compute_per_mille.insert(group, per_mille);
        }
    }
    Some(found)
}

/// True for nodes that a plan could pay: on demand, or in an On-Demand Capacity Reservation.
#[must_use]
pub fn is_billed_on_demand(node: &Node) -> bool {
    matches!(node.capacity, NodeCapacity::OnDemand | NodeCapacity::Reserved) && !node.deleting
}

/// The EC2 Instance group that applies first to this family and region; Compute when there is none.
fn scope_of(groups: &BTreeSet<GroupId>, family: &str, region: &str) -> GroupId {
    let instance = GroupId::Ec2Instance {
        family: family.to_owned(),
        region: region.to_owned(),
    };
    if groups.contains(&instance) {
        instance
    } else {
        GroupId::Compute
    }
}

/// A series of this cluster's on-demand instances, and what a unit costs in its scope.
struct OwnSeries {
    scope: GroupId,
    rate: Money,
    covered_by_compute: bool,
}

impl OwnSeries {
    fn of(
        series: &Series,
        ledger: &Ledger,
        groups: &BTreeSet<GroupId>,
        identity: &Identity,
        rates: &Rates<'_>,
    ) -> Option<Self> {
        if !series.is_instance || series.class == UsageClass::Spot || !identity.owns(series) {
            return None;
        }
        let scope = scope_of(groups, family(instance_type(&series.usage_type)), &series.region);
        let key = series.key();
        Some(Self {
            rate: rates.of(&scope, &key)?.rate,
            covered_by_compute: match series.class {
                UsageClass::Covered(plan) => ledger.plans[plan].plan.kind == PlanKind::Compute,
                _ => false,
            },
            scope,
        })
    }
}

/// Covered and coverable use of tagged instances, $ at SP rates, by group and cluster.
#[must_use]
pub fn by_cluster(ledger: &Ledger) -> BTreeMap<GroupId, BTreeMap<String, Money>> {
    let mut found: BTreeMap<GroupId, BTreeMap<String, Money>> = BTreeMap::new();
    for cell in &ledger.cells {
        let series = ledger.series_of(cell);
        if let UsageClass::Covered(plan) = series.class
            && !series.cluster.is_empty()
            && let Some(group) = ledger.plans[plan].plan.group()
        {
            *found
                .entry(group)
                .or_default()
                .entry(series.cluster.to_string())
                .or_default() += cell.cost();
        }
    }
    found
}
