//! The overflow pool: where pods go that need on-demand capacity when a committed pool is at its limits.

use std::rc::Rc;

use super::{CPU, Limits, Vcpu};
use crate::annotations::MANAGE_LIMITS;
use crate::eligibility::launches_reservations;
use crate::guards::consented;
use crate::pools::{Pool, Pools};
use crate::settings::{Grip, Settings};
use brimful_karpenter::nodepool::Readiness;
use brimful_karpenter::units::quantity;
use brimful_karpenter::{
    CapacityType, InstanceTypes, Launchable, NodePool, Role, labels, launchable, tells_types,
};
use brimful_types::warning::{Warning, WarningCode};

/// Why no pool takes what a full one cannot, and the one to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacks {
    /// Pools that come near, and what is in their way.
    pub near: Vec<String>,
    /// True where one would do but for its readiness, which is unknown: so it is for a moment after each change of a pool.
    pub blinks: bool,
    /// The command that makes a pool that would do.
    pub command: String,
}

/// Whether limits are to be managed on this pool: by its annotations, else by the configuration.
///
/// # Errors
/// The annotation is neither true nor false: the warning of it.
pub fn wished(pool: &NodePool, config: &Settings) -> Result<bool, Warning> {
    match pool.annotations.get(MANAGE_LIMITS).map(String::as_str) {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => {
            let message = format!(
                "its annotation {MANAGE_LIMITS} is {other:?}, neither true nor false: it is steered as before"
            );
            Err(Warning::of_pool(WarningCode::ManageLimits, &pool.name, message))
        }
        None => Ok(consented(pool, config).0.allow(Grip::Limits)),
    }
}

/// The pool that takes the pods of `pool` when that is at its limits, so that none stays Pending for want of
/// on-demand capacity: ready, not static, for every pod that `pool` takes, and with room for a node of its size (that
/// of its nodes now, else the smallest that it can launch) under limits of its own. `is_steered` says which pools
/// Brimful itself may raise or limit.
///
/// # Errors
/// There is none.
pub fn overflow<'a>(
    pool: &NodePool,
    pools: &'a Pools<'a>,
    node: Option<Vcpu>,
    is_steered: impl Fn(&Pool<'_>) -> bool,
) -> Result<&'a Pool<'a>, Lacks> {
    let (mut near, mut blinks) = (Vec::new(), false);
    let node = node.or_else(|| Some(smallest(pools.launchable(pool)?)));
    let others = pools.iter().filter(|other| other.name != pool.name);
    let launches = |other: &&Pool<'_>| {
        let steerable = other.is_v1() && other.other_provider().is_none() && !other.deleting;
        steerable && other.can_launch(CapacityType::OnDemand)
    };
    for other in others.filter(launches) {
        match in_the_way(pool, other, pools, node.unwrap_or_default(), is_steered(other)) {
            None if other.is_unready() => {
                blinks |= other.ready == Some(Readiness::Unknown);
                near.push(format!("{} is not Ready", other.name));
            }
            None => return Ok(other),
            Some(what) => near.push(format!("{} {what}", other.name)),
        }
    }
    Err(Lacks {
        near,
        blinks,
        command: command(pool),
    })
}

/// All pools that take the pods of `pool` on demand only, and that nobody steers: those for reservations are paid for,
/// too, and left out, and so is what launches nothing now. A limit that they are at does not matter here: Karpenter then
/// passes them over.
pub fn overflows<'a>(
    pool: &NodePool,
    pools: &'a Pools<'a>,
    is_steered: impl Fn(&Pool<'_>) -> bool,
) -> Vec<&'a Pool<'a>> {
    let others = pools.iter().filter(|other| other.name != pool.name);
    let on_demand = others.filter(|other| {
        other.role == Role::Committed && other.is_switched_on() && !launches_reservations(other)
    });
    on_demand
        .filter(|other| apart(pool, other, pools, is_steered(other)).is_none())
        .collect()
}

/// What is told of a pool whose limits are to be managed and that has no such pool.
#[must_use]
pub fn no_overflow(pool: &NodePool, lacks: &Lacks) -> Warning {
    let near = if lacks.near.is_empty() {
        String::new()
    } else {
        format!(" ({})", lacks.near.join("; "))
    };
    let message = format!(
        "its limits are not managed: at its limits, no other pool would launch on-demand for its pods{near}, and those that must not run \
         on Spot would stay Pending. Make an overflow pool with\n  {}",
        lacks.command
    );
    Warning::of_pool(WarningCode::NoOverflow, &pool.name, message)
}

/// The smallest node that a pool can launch, as far as its types are known.
#[must_use]
pub fn smallest_node(pool: &NodePool, types: &InstanceTypes) -> Vcpu {
    smallest(&launchable(pool, types))
}

pub(crate) fn smallest(launchable: &Launchable<'_>) -> Vcpu {
    let types = launchable.types.iter();
    types.map(|kind| Vcpu::cores(kind.vcpu)).min().unwrap_or_default()
}

fn in_the_way(
    pool: &NodePool,
    other: &NodePool,
    pools: &Pools<'_>,
    node: Vcpu,
    is_steered: bool,
) -> Option<String> {
    apart(pool, other, pools, is_steered).or_else(|| {
        binding(&other.limits, &other.resources, node)
            .map(|resource| format!("has too little left of its own limit of {resource}"))
    })
}

/// Why a pool is not one for all pods of another, if so, whatever is left of its limits.
fn apart(pool: &NodePool, other: &NodePool, pools: &Pools<'_>, is_steered: bool) -> Option<String> {
    if other.is_static() {
        return Some("is static".to_owned());
    }
    if is_steered {
        return Some("is steered by Brimful itself".to_owned());
    }
    if !other.takes_pods_of(pool) {
        return Some("is kept apart by taints or labels".to_owned());
    }
    let both = pools.launchable(pool).zip(pools.launchable(other));
    if !both.is_some_and(|(own, theirs)| Rc::ptr_eq(own, theirs) || own.is_within(theirs)) {
        return Some("cannot launch all of its instance types".to_owned());
    }
    let narrower = other.requirements.iter().find(|(key, theirs)| {
        labels::is_well_known(key)
            && *key != labels::CAPACITY_TYPE
            && !tells_types(key)
            && !pool.requirements.get(key).is_subset_of(theirs)
    });
    narrower.map(|(key, _)| format!("allows less of {key}"))
}

/// The resource whose limit leaves no room for a node beside what is used, if one does.
#[must_use]
pub fn binding<'a>(limits: &'a Limits, used: &Limits, node: Vcpu) -> Option<&'a str> {
    let amount = |of: &Limits, name: &str| of.get(name).and_then(|text| quantity(text));
    limits.keys().map(String::as_str).find(|name| {
        let used = amount(used, name).unwrap_or(0.0);
        #[allow(clippy::cast_precision_loss)] // vCPU of one node
        amount(limits, name)
            .is_some_and(|limit| used >= limit || *name == CPU && (limit - used) * 1000.0 < node.0 as f64)
    })
}

/// What makes a pool like `pool` without weight and limits, which Karpenter takes last.
fn command(pool: &NodePool) -> String {
    format!(
        "kubectl get nodepool {name} -o json | jq '{{apiVersion, kind, metadata: {{name: \"{name}-overflow\"}}, \
         spec: (.spec | del(.weight, .limits))}}' | kubectl apply -f -",
        name = pool.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(others: &[NodePool]) -> Result<String, Vec<String>> {
        let pool = NodePool::test("committed")
            .committed()
            .zones(&["us-east-2a", "us-east-2b"]);
        let pools = Pools::new(others.iter().chain([&pool]), InstanceTypes::bundled());
        overflow(&pool, &pools, Some(Vcpu::cores(4)), |other| {
            other.labels.contains_key("brimful.dev/managed")
        })
        .map(|found| found.name.clone())
        .map_err(|lacks| lacks.near)
    }

    #[test]
    fn an_unmanaged_pool_that_may_launch_on_demand_takes_the_overflow() {
        assert_eq!(find(&[NodePool::test("spot").spot()]), Err(vec![]));
        assert_eq!(find(&[NodePool::test("mixed").mixed()]), Ok("mixed".to_owned()));
        let roomy = NodePool::test("spare")
            .committed()
            .limit("cpu", "64")
            .resources(8);
        assert_eq!(find(&[roomy]), Ok("spare".to_owned()));
    }

    #[test]
    fn a_pool_that_the_pods_cannot_run_on_takes_no_overflow() {
        let find = |pool: NodePool, other: NodePool| {
            let pools = Pools::new([&pool, &other], InstanceTypes::bundled());
            overflow(&pool, &pools, None, |_| false)
                .map(|found| found.name.clone())
                .map_err(|lacks| lacks.near.join(""))
        };
        let pool = || NodePool::test("a").committed();
        let spare = || NodePool::test("spare").committed();
        let apart = Err("spare is kept apart by taints or labels".to_owned());
        assert_eq!(find(pool(), spare().taint("nvidia.com/gpu", "true")), apart);
        assert_eq!(find(pool().label("team", "a"), spare()), apart);
        assert_eq!(
            find(pool(), spare().families(&["m5"])),
            Err("spare cannot launch all of its instance types".to_owned())
        );
        assert_eq!(
            find(
                pool(),
                spare().requirement("karpenter.k8s.aws/instance-cpu", "Lt", &["5"])
            ),
            Err("spare cannot launch all of its instance types".to_owned())
        );
        let category = |pool: NodePool, list: &[&str]| {
            pool.requirement("karpenter.k8s.aws/instance-category", "In", list)
        };
        assert_eq!(
            find(pool().families(&["m5", "r6i"]), category(spare(), &["m", "r"])),
            Ok("spare".to_owned())
        );
        let wide = spare().label("team", "a").families(&["m5", "r5"]);
        let tainted = pool()
            .label("team", "a")
            .families(&["m5"])
            .taint("dedicated", "a");
        assert_eq!(find(tainted, wide), Ok("spare".to_owned()));
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let spare = || NodePool::test("spare").committed();
        let mut unready = spare();
        unready.ready = Some(Readiness::NotReady);
        for (other, why) in [
            (spare().managed(), "spare is steered by Brimful itself"),
            (spare().replicas(2), "spare is static"),
            (
                spare().limit("cpu", "10").resources(8),
                "spare has too little left of its own limit of cpu",
            ),
            (
                spare().zones(&["us-east-2a"]),
                "spare allows less of topology.kubernetes.io/zone",
            ),
            (unready, "spare is not Ready"),
        ] {
            assert_eq!(find(&[other]), Err(vec![why.to_owned()]));
        }
    }
}
