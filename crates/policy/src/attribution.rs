//! This cluster's part of the plans' use: in the report by its tags, else by its own record; now by its live Nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::coverage::DEAREST_RATIO;
use super::identity::Identity;
use super::peers::Demand;
use super::prices::{Placement, Price, Prices};
use brimful_karpenter::{InstanceTypes, Node, NodeCapacity};
use brimful_savings_plans::ledger::{Cell, Ledger, Series, UsageClass};
use brimful_savings_plans::nowcast::{ByScope, OwnUse};
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::usage::{family, instance_type};
use brimful_savings_plans::utilization::{GroupUse, Utilization};
use brimful_types::by_hour::ByHour;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

mod recorded;

pub use recorded::{record, recorded_use};

/// By how much nodes that ran in an old hour may exceed what the report shows of it before its tags are not believed.
const TAG_SLACK: f64 = 1.1;

/// What use is measured with, then and now alike.
#[derive(Debug, Clone, Copy)]
pub struct Valuation<'a> {
    /// Groups in force.
    pub groups: &'a BTreeSet<GroupId>,
    /// This cluster.
    pub identity: &'a Identity,
    /// vCPU of types that the report has no price for.
    pub types: &'a InstanceTypes,
    /// What nodes cost.
    pub prices: &'a Prices,
}

impl Valuation<'_> {
    /// The group that pays first for this family and region.
    fn scope(&self, family: &str, region: &str) -> GroupId {
        GroupId::paying_first(self.groups, family, region)
    }

    /// What a node costs in a group, else in its own scope; no price where nothing tells one.
    fn price_in(&self, node: &Node, group: Option<GroupId>) -> Option<(GroupId, Option<Price>)> {
        let name = node.instance_type.as_deref()?;
        let region = node.region.as_deref().or(self.identity.region.as_deref());
        let group = group.unwrap_or_else(|| self.scope(family(name), region.unwrap_or_default()));
        let place = Placement {
            region,
            os: node.os.as_deref().unwrap_or("linux"),
        };
        let vcpu = node.vcpu.or_else(|| self.types.get(name).map(|kind| kind.vcpu));
        let price = self.prices.of(&group, name, place, vcpu);
        Some((group, price))
    }

    /// A node's scope, and what it costs there and at Compute rates, $/h.
    pub(super) fn node(&self, node: &Node) -> Option<(GroupId, Money, Money)> {
        let (scope, cost) = self.price_in(node, None)?;
        let (_, compute) = self.price_in(node, Some(GroupId::Compute))?;
        let rate = |price: Option<Price>| price.map_or(Money::ZERO, |price| price.rate);
        let is_known = |price: Option<Price>| price.is_some_and(|price| price.source.is_plan_rate());
        // What stands in for a Compute rate may be far above it; the rate of the EC2 Instance plan bounds it.
        let bound = rate(cost).scale(DEAREST_RATIO);
        let at_compute = if is_known(cost) && !is_known(compute) && scope != GroupId::Compute {
            rate(compute).min(bound)
        } else {
            rate(compute)
        };
        Some((scope, rate(cost), at_compute))
    }
}

/// Live on-demand nodes, $/h at SP rates, by the scope of each group.
#[must_use]
pub fn live_use(scale: &Valuation<'_>, nodes: &[Node]) -> BTreeMap<GroupId, Money> {
    by_scope(scale, nodes, |own, _| own)
}

/// The same at Compute rates.
#[must_use]
pub fn live_at_compute(scale: &Valuation<'_>, nodes: &[Node]) -> BTreeMap<GroupId, Money> {
    by_scope(scale, nodes, |_, compute| compute)
}

/// Adds up what live nodes cost: one of their price in their own scope and that at Compute rates.
fn by_scope(
    scale: &Valuation<'_>,
    nodes: &[Node],
    cost: impl Fn(Money, Money) -> Money,
) -> BTreeMap<GroupId, Money> {
    let mut found: BTreeMap<GroupId, Money> = BTreeMap::new();
    for (scope, own, compute) in billed(nodes).filter_map(|node| scale.node(node)) {
        *found.entry(scope).or_default() += cost(own, compute);
    }
    found
}

/// What this cluster used in each hour of the report, by its tags.
#[must_use]
pub fn own_then(scale: &Valuation<'_>, ledger: &Ledger) -> ByScope {
    let mut found = ByScope::new();
    add_then(&mut found, scale, ledger, |series| scale.identity.owns(series));
    found
}

/// What of this cluster's use Reserved Instances paid for in the newest mature hour, by its tags.
#[must_use]
pub fn own_reserved(
    scale: &Valuation<'_>,
    ledger: &Ledger,
    utilization: &Utilization,
) -> BTreeMap<GroupId, Money> {
    let mut found = ByScope::new();
    add_then(&mut found, scale, ledger, |series| {
        series.class == UsageClass::Reserved && scale.identity.owns(series)
    });
    let Some(hour) = newest_mature(utilization) else {
        return BTreeMap::new();
    };
    let in_hour = |(scope, hours): (GroupId, BTreeMap<Hour, Money>)| Some((scope, *hours.get(&hour)?));
    found.into_iter().filter_map(in_hour).collect()
}

/// The newest hour that is mature in every group.
fn newest_mature(utilization: &Utilization) -> Option<Hour> {
    let mature = utilization
        .groups
        .iter()
        .filter_map(|group| group.hours.iter().rev().find(|(_, h)| h.mature));
    mature.map(|(hour, _)| *hour).min()
}

/// Compares live Nodes with the report, in which this cluster's use is `then`.
///
/// # Errors
/// Why they cannot be compared: the report does not tell this cluster's use, or not all of it.
pub fn own_use(
    scale: &Valuation<'_>,
    ledger: &Ledger,
    utilization: &Utilization,
    then: &Arc<ByScope>,
    nodes: &[Node],
) -> Result<OwnUse, String> {
    if scale.identity.cluster.is_none() && scale.identity.account.is_none() {
        return Err("the cluster's name is not known: set cluster.name in the configuration to the EKS cluster's name".to_owned());
    }
    let mut found = OwnUse {
        then: Arc::clone(then),
        ..OwnUse::default()
    };
    let by_cluster_tag = ledger
        .series
        .iter()
        .any(|s| s.is_instance && !s.cluster.is_empty() && scale.identity.owns(s));
    // Where only the NodePool tag tells, other nodes are not in the old figures either.
    let counted: Vec<&Node> = billed(nodes)
        .filter(|node| by_cluster_tag || node.node_pool.is_some())
        .collect();
    check_tags(scale, utilization, &found, &counted)?;
    add_now(&mut found, scale, counted.into_iter());
    Ok(found)
}

/// Adds what live nodes cost.
fn add_now<'a>(found: &mut OwnUse, scale: &Valuation<'_>, nodes: impl Iterator<Item = &'a Node>) {
    let mut at_compute: BTreeMap<GroupId, Money> = BTreeMap::new();
    for (scope, cost, compute) in nodes.filter_map(|node| scale.node(node)) {
        *at_compute.entry(scope.clone()).or_default() += compute;
        *found.now.entry(scope).or_default() += cost;
    }
    for (group, compute) in at_compute {
        let instance = found.now.get(&group).copied().unwrap_or_default();
        if instance > Money::ZERO {
            let per_mille = i64::try_from(compute.picos() * 1000 / instance.picos()).unwrap_or(1000);
            found.compute_per_mille.insert(group, per_mille);
        }
    }
}

/// Adds what the series that are `known` used in each hour of the report.
fn add_then(found: &mut ByScope, scale: &Valuation<'_>, ledger: &Ledger, known: impl Fn(&Series) -> bool) {
    for (series, cells) in ledger.usage().filter(|(series, _)| known(series)) {
        let Some(series) = OwnSeries::of(series, scale).filter(|_| !cells.is_empty()) else {
            continue;
        };
        let hours = found.entry(series.scope).or_default();
        for cell in cells {
            *hours.entry(cell.hour).or_default() += cell.amount.at(series.rate);
        }
    }
}

/// Adds clusters that have told their live demand: theirs now, and theirs in the report.
pub fn add_peers(found: &mut OwnUse, scale: &Valuation<'_>, ledger: &Ledger, peers: &[&Demand]) {
    let identities: Vec<Identity> = peers.iter().map(|peer| peer.identity()).collect();
    add_then(Arc::make_mut(&mut found.then), scale, ledger, |series| {
        // Where only names of pools tell, they may be several clusters': each use counts once.
        !scale.identity.owns(series) && identities.iter().any(|peer| peer.owns(series))
    });
    let at_compute = |found: &OwnUse, group: &GroupId| {
        let now = found.now.get(group).copied().unwrap_or_default();
        let per_mille = found.compute_per_mille.get(group).copied().unwrap_or(1000);
        Money::from_picos((now * per_mille).picos() / 1000)
    };
    for (name, told) in peers.iter().flat_map(|peer| &peer.groups) {
        let group = scale.groups.iter().find(|group| group.to_string() == *name);
        // Without the plans of an EC2 Instance group its scope is Compute's.
        let is_instance = group.is_some_and(|group| *group != GroupId::Compute);
        let group = group.cloned().unwrap_or(GroupId::Compute);
        let demand = if is_instance { told.demand } else { told.at_compute };
        let compute = at_compute(found, &group) + told.at_compute;
        let now = found.now.entry(group.clone()).or_default();
        *now += demand;
        if *now > Money::ZERO {
            let per_mille = i64::try_from(compute.picos() * 1000 / now.picos()).unwrap_or(1000);
            found.compute_per_mille.insert(group, per_mille);
        }
    }
}

/// Nodes that ran in the newest mature hour and still do must all be in the report's figures of that hour: if they
/// are not, part of this cluster's use carries no tag, and would be counted twice.
fn check_tags(
    scale: &Valuation<'_>,
    utilization: &Utilization,
    own: &OwnUse,
    nodes: &[&Node],
) -> Result<(), String> {
    let Some(hour) = newest_mature(utilization) else {
        return Ok(());
    };
    let ran_then = nodes.iter().filter(|node| node.created <= hour.start());
    let alive: Money = ran_then
        .filter_map(|node| scale.node(node))
        .map(|(_, cost, _)| cost)
        .sum();
    let seen: Money = own.then.keys().map(|scope| own.then(scope, hour)).sum();
    if alive <= seen.scale(TAG_SLACK) {
        return Ok(());
    }
    Err(tags_incomplete(scale, hour, alive, seen))
}

fn tags_incomplete(scale: &Valuation<'_>, hour: Hour, alive: Money, seen: Money) -> String {
    let cluster = scale.identity.cluster.as_deref().unwrap_or("this cluster");
    format!(
        "in the hour {hour} the report shows {} of on-demand nodes with the tags of {cluster}, but nodes that ran then and still do \
         cost {}: activate the cost allocation tags aws:eks:cluster-name and karpenter.sh/nodepool in the payer account",
        seen.per_hour(),
        alive.per_hour()
    )
}

/// True for nodes that a plan could pay: on demand, or in an On-Demand Capacity Reservation.
#[must_use]
pub fn is_billed_on_demand(node: &Node) -> bool {
    matches!(node.capacity, NodeCapacity::OnDemand | NodeCapacity::Reserved) && !node.deleting
}

fn billed(nodes: &[Node]) -> impl Iterator<Item = &Node> {
    nodes.iter().filter(|node| is_billed_on_demand(node))
}

/// A series of a cluster's on-demand instances (those that RIs pay included, as live Nodes are), and what a unit
/// costs in its scope.
struct OwnSeries {
    scope: GroupId,
    rate: Money,
}

impl OwnSeries {
    fn of(series: &Series, scale: &Valuation<'_>) -> Option<Self> {
        if !series.is_instance || series.class == UsageClass::Spot {
            return None;
        }
        let name = instance_type(&series.usage_type);
        let scope = scale.scope(family(name), &series.region);
        let place = Placement::of(series);
        let vcpu = scale.types.get(name).map(|kind| kind.vcpu);
        let price = scale.prices.of(&scope, name, place, vcpu);
        Some(Self {
            rate: price.map_or(Money::ZERO, |price| price.rate),
            scope,
        })
    }
}

/// Use by group and cluster, $ at SP rates.
pub type UseByCluster = BTreeMap<GroupId, BTreeMap<String, Money>>;

/// Covered use of tagged instances in mature hours, $ at SP rates, by group and cluster.
#[must_use]
pub fn by_cluster(ledger: &Ledger, utilization: &Utilization) -> UseByCluster {
    let groups = &utilization.groups;
    let mature = |group: &GroupUse| -> ByHour<()> {
        let hours = group.hours.iter().filter(|(_, found)| found.mature);
        hours.map(|(hour, _)| *hour).collect()
    };
    let mature: Vec<ByHour<()>> = groups.iter().map(mature).collect();
    let place = |series: &Series| match series.class {
        UsageClass::Covered(plan) if !series.cluster.is_empty() => {
            let id = ledger.plans[plan].plan.group()?;
            groups.iter().position(|group| group.id == id)
        }
        _ => None,
    };
    let mut found = UseByCluster::new();
    for (series, cells) in ledger.usage() {
        let Some(place) = place(series) else { continue };
        let mut counted = cells
            .iter()
            .filter(|cell| mature[place].contains(cell.hour))
            .peekable();
        if counted.peek().is_some() {
            let clusters = found.entry(groups[place].id.clone()).or_default();
            *clusters.entry(series.cluster.to_string()).or_default() +=
                counted.map(Cell::cost).sum::<Money>();
        }
    }
    found
}
