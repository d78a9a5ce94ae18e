//! The overflow pool: where pods go that need on-demand capacity when a committed pool is at its limits.

use std::collections::BTreeMap;

use super::Limits;
use crate::config::Config;
use crate::karpenter::units::quantity;
use crate::karpenter::{CapacityType, NodePool, labels};
use crate::policy::records::MANAGE_LIMITS;
use crate::warning::Warning;

/// Why no pool takes what a full one cannot, and the one to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacks {
    /// Pools that come near, and what is in their way.
    pub near: Vec<String>,
    /// A pool that would do if it were Ready, which every patch makes it cease to be for a moment.
    pub unready: Option<String>,
    /// The command that makes a pool that would do.
    pub command: String,
}

/// Whether limits are to be managed on this pool: its annotation, else the configuration.
///
/// # Errors
/// The annotation is neither true nor false: the warning of it.
pub fn wished(pool: &NodePool, config: &Config) -> Result<bool, Warning> {
    match pool.annotations.get(MANAGE_LIMITS).map(String::as_str) {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => {
            let message = format!(
                "its annotation {MANAGE_LIMITS} is {other:?}, neither true nor false: its limits stay as they are"
            );
            Err(Warning::of_pool("manage-limits", &pool.name, message))
        }
        None => Ok(config.limits.manage),
    }
}

/// The pool that takes the pods of `pool` when that is at its limits, so that none stays Pending for want of
/// on-demand capacity: ready, not static, with room under its own limits, at least as wide. `is_steered` says which
/// pools Brimful itself may raise or limit.
///
/// # Errors
/// There is none.
pub fn overflow<'a>(
    pool: &NodePool,
    pools: &'a BTreeMap<String, NodePool>,
    is_steered: impl Fn(&NodePool) -> bool,
) -> Result<&'a NodePool, Lacks> {
    let (mut near, mut unready) = (Vec::new(), None);
    let others = pools.values().filter(|other| other.name != pool.name);
    for other in
        others.filter(|other| other.is_v1() && !other.deleting && other.can_launch(CapacityType::OnDemand))
    {
        match in_the_way(pool, other, is_steered(other)) {
            None if other.ready == Some(false) => {
                near.push(format!("{} is not Ready", other.name));
                unready = Some(other.name.clone());
            }
            None => return Ok(other),
            Some(what) => near.push(format!("{} {what}", other.name)),
        }
    }
    Err(Lacks {
        near,
        unready,
        command: command(pool),
    })
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
    Warning::of_pool("no-overflow", &pool.name, message)
}

fn in_the_way(pool: &NodePool, other: &NodePool, is_steered: bool) -> Option<String> {
    if other.is_static() {
        return Some("is static".to_owned());
    }
    if is_steered {
        return Some("is steered by Brimful itself".to_owned());
    }
    if !pool.can_share_pods_with(other) {
        return Some("is kept apart by taints or labels".to_owned());
    }
    if let Some(key) = [labels::ARCH, labels::OS, labels::ZONE]
        .into_iter()
        .find(|key| !is_as_wide(pool, other, key))
    {
        return Some(format!("allows less of {key}"));
    }
    binding(other).map(|resource| format!("has reached its own limit of {resource}"))
}

fn is_as_wide(pool: &NodePool, other: &NodePool, key: &str) -> bool {
    let (own, theirs) = (pool.requirements.get(key), other.requirements.get(key));
    match own.finite() {
        Some(values) => values.iter().all(|value| theirs.allows(value)),
        None => theirs.finite().is_none(),
    }
}

/// The resource whose limit is reached, if one is.
fn binding(pool: &NodePool) -> Option<&str> {
    let amount = |of: &Limits, name: &str| of.get(name).and_then(|text| quantity(text));
    let limited = pool.limits.keys();
    limited.map(String::as_str).find(|name| {
        let used = amount(&pool.resources, name).unwrap_or(0.0);
        amount(&pool.limits, name).is_some_and(|limit| used >= limit)
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

    fn find(others: Vec<NodePool>) -> Result<String, Vec<String>> {
        let pool = NodePool::test("committed")
            .committed()
            .zones(&["us-east-2a", "us-east-2b"]);
        let pools = others.into_iter().map(|pool| (pool.name.clone(), pool)).collect();
        overflow(&pool, &pools, |other| {
            other.labels.contains_key("brimful.dev/managed")
        })
        .map(|found| found.name.clone())
        .map_err(|lacks| lacks.near)
    }

    #[test]
    fn an_unmanaged_pool_that_may_launch_on_demand_takes_the_overflow() {
        assert_eq!(find(vec![NodePool::test("spot").spot()]), Err(vec![]));
        assert_eq!(
            find(vec![NodePool::test("mixed").mixed()]),
            Ok("mixed".to_owned())
        );
        let roomy = NodePool::test("spare")
            .committed()
            .limit("cpu", "64")
            .resources(8);
        assert_eq!(find(vec![roomy]), Ok("spare".to_owned()));
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let spare = || NodePool::test("spare").committed();
        let mut unready = spare();
        unready.ready = Some(false);
        for (other, why) in [
            (spare().managed(), "spare is steered by Brimful itself"),
            (spare().replicas(2), "spare is static"),
            (
                spare().limit("cpu", "8").resources(8),
                "spare has reached its own limit of cpu",
            ),
            (
                spare().zones(&["us-east-2a"]),
                "spare allows less of topology.kubernetes.io/zone",
            ),
            (unready, "spare is not Ready"),
        ] {
            assert_eq!(find(vec![other]), Err(vec![why.to_owned()]));
        }
    }
}
