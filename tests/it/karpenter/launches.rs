//! Where new nodes come from.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{COMMITTED, SPOT, committed, spot, told};
use crate::support::karpenter::{Karpenter, Pool, Workload};
use crate::support::kind::NODE_POOL;

/// A pod that fills a node of two vCPU.
pub(super) fn pod() -> Workload {
    Workload::of("1500m", "1Gi")
}

fn counts(pools: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pools
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

fn condition(karpenter: &Karpenter, pool: &str, kind: &str) -> String {
    let pool = karpenter.server.get(&NODE_POOL, pool).unwrap_or_default();
    let conditions = pool["status"]["conditions"].as_array().into_iter().flatten();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind);
    found
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or("absent")
        .to_owned()
}

#[test]
fn the_heavier_pool_launches_whatever_it_costs_and_a_patch_counts_for_the_next_node() {
    let karpenter = Karpenter::start();
    karpenter.pool(&committed().weight(20));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 1);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 1)]));
    karpenter.patch_pool(COMMITTED, &json!({"weight": 1}));
    karpenter.scale("web", 2);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 1), (SPOT, 1)]));

    // A pool in between takes the nodes, committed or not.
    karpenter.pool(&Pool::new("between", &["on-demand"], &["r6i.large"]).weight(15));
    karpenter.patch_pool(COMMITTED, &json!({"weight": 20}));
    karpenter.patch_pool(SPOT, &json!({"weight": null}));
    karpenter.scale("web", 3);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 2), (SPOT, 1)]));
    karpenter.patch_pool(COMMITTED, &json!({"weight": 12}));
    karpenter.scale("web", 4);
    assert_eq!(
        karpenter.counts(),
        counts(&[("between", 1), (COMMITTED, 2), (SPOT, 1)])
    );
}

#[test]
fn of_equal_weights_the_later_name_launches() {
    let karpenter = Karpenter::start();
    karpenter.pool(&committed().weight(10));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 1);
    assert_eq!(karpenter.counts(), counts(&[(SPOT, 1)]));
    // Absent is 0, for the order too.
    karpenter.patch_pool(COMMITTED, &json!({"weight": null}));
    karpenter.patch_pool(SPOT, &json!({"weight": null}));
    karpenter.pool(&Pool::new("zone", &["on-demand"], &["m5.large"]));
    karpenter.scale("web", 2);
    assert_eq!(karpenter.counts(), counts(&[(SPOT, 1), ("zone", 1)]));
}

/// After a patch of the weight the pool's health is unknown until it launches again; it launches all the same.
#[test]
fn a_patch_makes_the_registration_health_unknown_and_the_pool_launches_all_the_same() {
    let karpenter = Karpenter::start();
    karpenter.pool(&committed().weight(20));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 1);
    karpenter.wait("the registration to count", 30, |karpenter| {
        (condition(karpenter, COMMITTED, "NodeRegistrationHealthy") == "True").then_some(())
    });
    karpenter.patch_pool(COMMITTED, &json!({"weight": 21}));
    let ((), seconds) = karpenter.wait("the health to be unknown", 30, |karpenter| {
        (condition(karpenter, COMMITTED, "NodeRegistrationHealthy") == "Unknown").then_some(())
    });
    told(
        "NodeRegistrationHealthy is Unknown after a patch of the weight",
        seconds,
    );
    // It blinks (`ready_after`).
    karpenter.wait("the pool to be ready again", 30, |karpenter| {
        karpenter.is_ready(COMMITTED).then_some(())
    });
    karpenter.stays("the health is unknown and the pool is ready", 20, |karpenter| {
        condition(karpenter, COMMITTED, "NodeRegistrationHealthy") == "Unknown"
            && karpenter.is_ready(COMMITTED)
    });
    karpenter.scale("web", 2);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 2)]));
    let ((), seconds) = karpenter.wait("the health to be true again", 90, |karpenter| {
        (condition(karpenter, COMMITTED, "NodeRegistrationHealthy") == "True").then_some(())
    });
    told("and True again after the next launch", seconds);
    let seen = ready_after(&karpenter);
    told(&format!("Ready in the second after a patch: {seen:?}"), 0);
}

/// The values of Ready that a pool shows in the moments after a patch.
fn ready_after(karpenter: &Karpenter) -> Vec<String> {
    karpenter.patch_pool(COMMITTED, &json!({"weight": 22}));
    let mut seen = vec![];
    for _ in 0..200 {
        let now = condition(karpenter, COMMITTED, "Ready");
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    seen
}

/// Once a pool's limits are reached, new nodes come from the next pool by weight; raised, they count for the next node.
#[test]
fn a_full_pool_spills_to_the_next_and_fills_again_when_its_limits_rise() {
    let karpenter = Karpenter::start();
    karpenter.pool(&committed().weight(20).limits(json!({"cpu": "4"})));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 2);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 2)]));
    karpenter.settle();
    karpenter.scale("web", 4);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 2), (SPOT, 2)]));
    karpenter.patch_pool(COMMITTED, &json!({"limits": {"cpu": "6"}}));
    karpenter.scale("web", 6);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 3), (SPOT, 3)]));
    let capacity = || {
        let pool = karpenter.server.get(&NODE_POOL, COMMITTED).unwrap_or_default();
        (
            pool["status"]["resources"]["cpu"].clone(),
            pool["status"]["resources"]["nodes"].clone(),
        )
    };
    karpenter.wait("the status to count three nodes", 30, |_| {
        (capacity() == (Value::from("6"), Value::from("3"))).then_some(())
    });
}

/// Pods that any pool may run are not left pending when Spot has run out and the committed pool is full, if there is a
/// pool that takes what is left over; without one they are.
#[test]
fn when_spot_runs_out_an_overflow_pool_takes_what_a_full_pool_does_not() {
    let mut karpenter = Karpenter::start();
    karpenter.pool(&committed().weight(20).limits(json!({"cpu": "2"})));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 1);
    karpenter.settle();
    karpenter.restart(false);
    karpenter.run("more", pod());
    karpenter.run("more", Workload { replicas: 1, ..pod() });
    let waits = |karpenter: &Karpenter| {
        let pods = karpenter.pods("more");
        !pods.is_empty() && pods.iter().all(|pod| pod["spec"]["nodeName"].is_null())
    };
    karpenter.wait("the pod to be there", 30, |karpenter| {
        waits(karpenter).then_some(())
    });
    karpenter.stays("the pod waits for a node", 20, waits);
    karpenter.pool(&Pool::new("overflow", &["on-demand"], &["m5.large"]));
    karpenter.scale("more", 1);
    assert_eq!(karpenter.counts(), counts(&[(COMMITTED, 1), ("overflow", 1)]));
}
