//! Which groups of plans can pay for what a `NodePool` launches.
//!
//! Scope of plans: AWS Savings Plans user guide, "Types of Savings Plans". A Compute plan pays for any family and
//! region; an EC2 Instance plan for one family in one region, so it counts only for pools that launch nothing else.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::identity::Identity;
use super::pools::{Pool, Pools};
use super::prices::{Placement, Price, Prices};
use brimful_karpenter::{CapacityType, Launchable, NodePool, Role, labels, os, regions};
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::warning::{Warning, WarningCode};

/// A `NodePool` as the plans see it.
#[derive(Debug, Clone)]
pub struct Eligible<'a> {
    /// Groups that can pay for every node of the pool, EC2 Instance first.
    pub groups: Vec<GroupId>,
    /// What it can launch.
    pub launchable: Rc<Launchable<'a>>,
    /// Its region, where it is confined to one or the cluster's is known.
    pub region: Option<String>,
    /// `linux` or `windows`; Linux where both are possible.
    pub os: &'static str,
    /// What stands in the way of more.
    pub warnings: Vec<Warning>,
    /// Groups in force that do not pay for it, and why.
    pub left_out: Vec<(GroupId, String)>,
    /// The instance type that it will most likely launch, where Nodes tell.
    pub likely: Option<String>,
}

impl<'a> Eligible<'a> {
    /// Judges a pool against the groups in force.
    #[must_use]
    pub fn of(
        pool: &NodePool,
        active: &BTreeSet<GroupId>,
        identity: &Identity,
        launchable: Rc<Launchable<'a>>,
    ) -> Self {
        let zones = regions(pool).filter(|regions| !regions.is_empty());
        let region = match &zones {
            Some(regions) if regions.len() == 1 => regions.first().cloned(),
            Some(_) => None,
            None => identity.region.clone(),
        };
        let mut eligible = Self {
            groups: Vec::new(),
            region,
            os: if os(pool).contains("linux") {
                "linux"
            } else {
                "windows"
            },
            launchable,
            warnings: Vec::new(),
            left_out: Vec::new(),
            likely: None,
        };
        if pool.role() == Role::Committed && pool.can_launch(CapacityType::OnDemand) {
            for group in active {
                eligible.consider(pool, group);
            }
        }
        eligible
    }

    fn consider(&mut self, pool: &NodePool, group: &GroupId) {
        let GroupId::Ec2Instance { family, region } = group else {
            self.groups.push(group.clone());
            return;
        };
        if !self.launchable.families.contains(family) {
            self.leave_out(group, format!("the pool launches no {family}"));
            return;
        }
        if let Some(own) = self.region.as_ref().filter(|own| *own != region) {
            let why = format!("the pool launches in {own}, and these plans apply in {region}");
            self.leave_out(group, why);
            return;
        }
        if self.launchable.families.len() > 1 || !self.launchable.complete {
            let families = list(&self.launchable.families);
            let why = format!("they pay for {family} only, and the pool can launch {families}");
            self.leave_out(group, why);
            // Only worth a word where the plan's family was named, not where anything may be launched.
            if self.launchable.complete && self.region.is_some() {
                let message = format!(
                    "EC2 Instance Savings Plan group {group} covers only {family}, but this pool can launch {}: the plan does not count for it. \
                     To let it count, give {family} a pool of its own with the requirement\n{}",
                    list(&self.launchable.families),
                    family_requirement(family)
                );
                self.warnings
                    .push(Warning::of_pool(WarningCode::FamilyMismatch, &pool.name, message));
            }
            return;
        }
        if self.region.is_none() {
            self.leave_out(group, "the pool's region is not known".to_owned());
            let message = format!(
                "cannot tell whether this pool launches in {region}, where group {group} applies: set cluster.region in the configuration"
            );
            self.warnings
                .push(Warning::of_pool(WarningCode::RegionUnknown, &pool.name, message));
            return;
        }
        self.groups.push(group.clone());
    }

    fn leave_out(&mut self, group: &GroupId, why: String) {
        self.left_out.push((group.clone(), why));
    }

    /// Where the pool's nodes run, for prices.
    #[must_use]
    pub fn placement(&self) -> Placement<'_> {
        Placement {
            region: self.region.as_deref(),
            os: self.os,
        }
    }

    /// The types that the report has priced for `group` and the pool can launch, cheapest first.
    #[must_use]
    pub fn priced<'p>(&'p self, group: &GroupId, prices: &'p Prices) -> Vec<(&'p str, Price)> {
        let seen = prices.all_seen(group, self.placement());
        let mut found: Vec<(&str, Price)> = seen.filter(|(name, _)| self.can_launch(name)).collect();
        found.sort_by(|a, b| (a.1.rate, a.0).cmp(&(b.1.rate, b.0)));
        found
    }

    /// True for a type that the pool can launch, as far as its types are known.
    #[must_use]
    pub fn can_launch(&self, name: &str) -> bool {
        let types = &self.launchable.types;
        let known = types.binary_search_by(|kind| kind.name.as_str().cmp(name));
        known.is_ok() || self.launchable.unknown_types.contains(name)
    }

    /// The node that the pool most likely launches next and `group` would pay: of the type that Nodes tell, else the middle
    /// one by price of those that it can launch and the report has priced (by SP rates, if by any), else the cheapest of all. What merely occurs in
    /// the report says nothing of this pool's pods, least of all the smallest.
    #[must_use]
    pub fn next_node(&self, group: &GroupId, prices: &Prices) -> Option<(String, Price)> {
        let at_price = |name: &str, vcpu: u32| {
            let price = prices.of(group, name, self.placement(), Some(vcpu))?;
            Some((name.to_owned(), price))
        };
        let types = || self.launchable.types.iter();
        let likely = self.likely.as_deref().and_then(|likely| {
            let kind = types().find(|kind| kind.name == likely)?;
            at_price(likely, kind.vcpu)
        });
        let assumed = || {
            let nodes = types().filter_map(|kind| at_price(&kind.name, kind.vcpu));
            nodes.min_by(|a, b| (a.1.rate, &a.0).cmp(&(b.1.rate, &b.0)))
        };
        likely
            .or_else(|| {
                let mut known = self.priced(group, prices);
                if known.iter().any(|(_, price)| price.source.is_plan_rate()) {
                    known.retain(|(_, price)| price.source.is_plan_rate());
                }
                let (name, price) = known.get(known.len() / 2)?;
                Some(((*name).to_owned(), *price))
            })
            .or_else(assumed)
    }
}

/// Pools by name, for messages.
pub(crate) fn list(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(6).map(String::as_str).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

pub(crate) fn family_requirement(family: &str) -> String {
    format!(
        "      - key: karpenter.k8s.aws/instance-family\n        operator: In\n        values: [{family}]"
    )
}

/// An on-demand pool that Brimful does not steer, and Spot pools after it in Karpenter's order.
#[derive(Debug)]
pub struct BeforeSpot<'a> {
    /// The on-demand pool.
    pub pool: &'a Pool<'a>,
    /// Spot and mixed pools for the same pods, by name.
    pub spot: Vec<&'a Pool<'a>>,
}

/// What takes the pods of `pool` at list price as soon as that does not: on-demand pools beside it that Brimful does not
/// steer, and that Karpenter takes before a Spot pool. Pools for reservations are left out: those are paid for, too.
#[must_use]
pub fn before_spot<'a>(
    pool: &NodePool,
    pools: &'a Pools<'a>,
    weight: impl Fn(&Pool<'_>) -> i32,
    is_steered: impl Fn(&Pool<'_>) -> bool,
) -> Vec<BeforeSpot<'a>> {
    // Of equal weights the later name comes first (`docs/karpenter-behaviour.md`), and places go by name.
    let rank = |pool: &Pool<'_>| (weight(pool), pool.place);
    let on_demand = pools
        .competitors(pool)
        .filter(|other| other.role == Role::Committed && other.on_demand_only && !is_steered(other));
    let found = on_demand.map(|on_demand| {
        let spot = pools.rivals(pool).filter(|other| pools.is_open(other, on_demand));
        BeforeSpot {
            pool: on_demand,
            spot: spot.filter(|spot| rank(spot) < rank(on_demand)).collect(),
        }
    });
    found.filter(|found| !found.spot.is_empty()).collect()
}

/// True for pools that name `reserved` among their capacity types.
#[must_use]
pub fn launches_reservations(pool: &NodePool) -> bool {
    let named = pool.requirements.get(labels::CAPACITY_TYPE).finite();
    named.is_some_and(|types| types.contains(CapacityType::Reserved.label()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brimful_karpenter::{InstanceTypes, launchable};

    fn m5() -> GroupId {
        GroupId::Ec2Instance {
            family: "m5".into(),
            region: "us-east-2".into(),
        }
    }

    fn judge(pool: &NodePool, region: Option<&str>) -> (Vec<GroupId>, Vec<&'static str>) {
        let identity = Identity {
            region: region.map(str::to_owned),
            ..Identity::default()
        };
        let launchable = Rc::new(launchable(pool, InstanceTypes::bundled()));
        let eligible = Eligible::of(
            pool,
            &BTreeSet::from([GroupId::Compute, m5()]),
            &identity,
            launchable,
        );
        (
            eligible.groups,
            eligible.warnings.iter().map(|w| w.code.as_str()).collect(),
        )
    }

    #[test]
    fn compute_plans_pay_for_any_on_demand_pool_and_never_for_spot() {
        assert_eq!(
            judge(&NodePool::test("a").committed(), None),
            (vec![GroupId::Compute], vec![])
        );
        assert_eq!(judge(&NodePool::test("a").spot(), None).0, vec![]);
        assert_eq!(judge(&NodePool::test("a").mixed(), None).0, vec![]);
        assert_eq!(
            judge(&NodePool::test("a").committed().replicas(3), None).0,
            vec![]
        );
    }

    #[test]
    fn an_instance_plan_needs_its_family_alone_and_its_region() {
        let pool = || NodePool::test("a").committed().families(&["m5"]);
        assert_eq!(judge(&pool(), Some("us-east-2")).0, vec![m5(), GroupId::Compute]);
        assert_eq!(
            judge(&pool().zones(&["us-east-2a", "us-east-2b"]), None).0,
            vec![m5(), GroupId::Compute]
        );
        assert_eq!(
            judge(&pool(), Some("us-west-2")),
            (vec![GroupId::Compute], vec![])
        );
        assert_eq!(
            judge(&pool(), None),
            (vec![GroupId::Compute], vec!["region-unknown"])
        );
    }

    #[test]
    fn several_families_are_a_mismatch_with_the_cure() {
        let pool = NodePool::test("a").committed().families(&["m5", "m6i"]);
        assert_eq!(
            judge(&pool, Some("us-east-2")),
            (vec![GroupId::Compute], vec!["family-mismatch"])
        );
    }

    #[test]
    fn on_demand_pools_before_spot_are_found_by_karpenters_own_order() {
        let found = |others: Vec<NodePool>| {
            let pool = NodePool::test("a").committed().weight(80);
            let pools = Pools::new(others.iter().chain([&pool]), InstanceTypes::bundled());
            let found = before_spot(
                &pool,
                &pools,
                |pool| pool.effective_weight(),
                |pool| pool.labels.contains_key("brimful.dev/managed"),
            );
            let names = |of: &BeforeSpot<'_>| {
                let spot: Vec<&str> = of.spot.iter().map(|pool| pool.name.as_str()).collect();
                format!("{} before {}", of.pool.name, spot.join(" "))
            };
            found.iter().map(names).collect::<Vec<_>>()
        };
        let default = || NodePool::test("default").committed();
        let spot = || NodePool::test("spot").spot();
        assert_eq!(
            found(vec![default().weight(50), spot().weight(10)]),
            ["default before spot"]
        );
        assert_eq!(
            found(vec![default().weight(50), spot().weight(60)]),
            Vec::<String>::new()
        );
        // Without a weight it is 0, and of equal ones the later name comes first.
        assert_eq!(found(vec![default(), spot()]), Vec::<String>::new());
        let late = NodePool::test("web-overflow").committed();
        assert_eq!(
            found(vec![default(), late, spot(), NodePool::test("b").mixed()]),
            ["default before b", "web-overflow before b spot"]
        );
        for harmless in [
            default().weight(50).managed(),
            default().weight(50).taint("team", "x"),
            default().weight(50).replicas(2),
            NodePool::test("odcr")
                .requirement(labels::CAPACITY_TYPE, "In", &["reserved", "on-demand"])
                .weight(50),
        ] {
            let apart = spot().weight(10).taint("team", "y");
            assert_eq!(found(vec![harmless, apart]), Vec::<String>::new());
        }
    }

    #[test]
    fn a_family_named_by_its_types_counts_too() {
        let pool = NodePool::test("a")
            .committed()
            .instance_types(&["m5.large", "m5.xlarge"]);
        assert_eq!(judge(&pool, Some("us-east-2")).0, vec![m5(), GroupId::Compute]);
    }
}
