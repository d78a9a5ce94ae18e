//! What becomes of nodes that a plan pays for: Karpenter knows list and Spot prices only, so it holds them for dear.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::json;

use super::launches::pod;
use super::{COMMITTED, SPOT, committed, spot, told};
use crate::support::karpenter::{Karpenter, Pool, Workload};
use crate::support::kind::{NODE_CLAIM, NODE_OVERLAY};

/// Longer than Karpenter needs for a consolidation: 10 s until it looks, 15 s until it acts, and as long again.
const LONG: u64 = 50;

/// A committed pool above Spot with so many nodes, full of pods.
fn filled(karpenter: &Karpenter, committed: &Pool, spot: &Pool, nodes: usize) -> BTreeSet<String> {
    karpenter.pool(committed);
    karpenter.pool(spot);
    karpenter.run("web", pod());
    karpenter.scale("web", nodes);
    karpenter.settle();
    let covered = karpenter.nodes_of(COMMITTED);
    assert_eq!(covered.len(), nodes, "{}", karpenter.state());
    covered
}

/// Why Karpenter is taking a pool's nodes away, of those that it has made up its mind about.
fn reasons_of(karpenter: &Karpenter, pool: &str) -> Vec<String> {
    let claims = karpenter.server.list(&NODE_CLAIM).into_iter();
    let claims = claims.filter(|claim| claim["metadata"]["labels"]["karpenter.sh/nodepool"] == pool);
    let reason = |claim: serde_json::Value| {
        let conditions = claim["status"]["conditions"].as_array()?;
        let found = conditions.iter().find(|c| c["type"] == "DisruptionReason")?;
        Some(found["reason"].as_str()?.to_owned())
    };
    claims.filter_map(reason).collect()
}

#[test]
fn a_flip_of_the_weight_replaces_every_covered_node_by_spot() {
    let karpenter = Karpenter::start();
    let covered = filled(&karpenter, &committed().weight(20), &spot().weight(10), 4);
    karpenter.patch_pool(COMMITTED, &json!({"weight": 1}));
    let ((), first) = karpenter.wait("the first covered node to go", 120, |karpenter| {
        (karpenter.nodes_of(COMMITTED) != covered).then_some(())
    });
    let ((), rest) = karpenter.wait("all covered nodes to go", 300, |karpenter| {
        karpenter.nodes_of(COMMITTED).is_empty().then_some(())
    });
    told("flip, unprotected: the first of 4 covered nodes is gone", first);
    told("flip, unprotected: all of them, all budgets open", first + rest);
    assert!(!karpenter.nodes_of(SPOT).is_empty());
}

#[test]
fn protected_pools_keep_their_nodes_after_a_flip_but_lose_them_by_drift_and_expiry_as_others_do() {
    let karpenter = Karpenter::start();
    let when_empty = json!({"consolidationPolicy": "WhenEmpty", "consolidateAfter": "0s"});
    let no_budget = json!({"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s",
        "budgets": [{"nodes": "0", "reasons": ["Underutilized"]}, {"nodes": "100%"}]});
    let pool = |name: &str, disruption: &serde_json::Value| {
        Pool::new(name, &["on-demand"], &["m5.large"])
            .weight(20)
            .only_for(name)
            .disruption(disruption.clone())
    };
    let open = json!({"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s",
        "budgets": [{"nodes": "100%"}]});
    let short = pool("short", &when_empty).expire_after("75s");
    for (committed, pods) in [
        (pool("open", &open), 1),
        (pool("empty", &when_empty), 3),
        (pool("budget", &no_budget), 3),
        (short, 1),
    ] {
        karpenter.pool(&committed);
        let spot = format!("{}-spot", committed.name);
        karpenter.pool(
            &Pool::new(&spot, &["spot"], &["m5.large"])
                .weight(10)
                .only_for(&committed.name),
        );
        karpenter.run(&committed.name, pod().only_on(&committed.name));
        karpenter.scale(&committed.name, pods);
    }
    karpenter.settle();
    let covered = ["empty", "budget"].map(|pool| karpenter.nodes_of(pool));
    assert_eq!(covered.each_ref().map(BTreeSet::len), [3, 3]);
    for pool in ["empty", "budget", "short"] {
        karpenter.patch_pool(pool, &json!({"weight": 1}));
    }
    karpenter.stays("the covered nodes stay", LONG, |karpenter| {
        ["empty", "budget"].map(|pool| karpenter.nodes_of(pool)) == covered
    });
    // Expiry asks for no price.
    let ((), seconds) = karpenter.wait("the node to expire", 120, |karpenter| {
        karpenter.nodes_of("short").is_empty().then_some(())
    });
    told(
        "protected, weight below Spot: the node that expired after 75 s is gone, after the watch",
        seconds,
    );
    karpenter.wait("its pod to run on Spot", 60, |karpenter| {
        (karpenter.nodes_of("short-spot").len() == 1).then_some(())
    });
    // Nor does drift.
    for (name, disruption) in [("empty", &when_empty), ("budget", &no_budget), ("open", &open)] {
        karpenter.pool(&pool(name, disruption).weight(1).template("2"));
    }
    let reasons = RefCell::new(BTreeSet::new());
    let ((), seconds) = karpenter.wait("drift to replace the covered nodes", 300, |karpenter| {
        reasons.borrow_mut().extend(reasons_of(karpenter, "open"));
        ["empty", "budget", "open"]
            .iter()
            .all(|pool| karpenter.nodes_of(pool).is_empty())
            .then_some(())
    });
    told(
        "weight below Spot: drift has moved 2 x 3 covered nodes of protected pools and 1 of another to Spot",
        seconds,
    );
    for pool in ["empty-spot", "budget-spot", "open-spot"] {
        assert!(!karpenter.nodes_of(pool).is_empty(), "{pool}");
    }
    // It was not consolidation that took the one without protection.
    assert_eq!(reasons.into_inner(), BTreeSet::from(["Drifted".to_owned()]));
}

#[test]
fn a_pool_above_spot_at_its_limits_keeps_its_nodes_unprotected() {
    let karpenter = Karpenter::start();
    let limited = committed().weight(20).limits(json!({"cpu": "6"}));
    let covered = filled(&karpenter, &limited, &spot().weight(10), 3);
    // New pods go to Spot, and nothing drives out what is covered.
    karpenter.scale("web", 5);
    assert_eq!(karpenter.nodes_of(SPOT).len(), 2);
    karpenter.stays("the covered nodes stay", LONG, |karpenter| {
        karpenter.nodes_of(COMMITTED) == covered
    });
    // A roll-out replaces nodes of a full pool within the pool. Once, on a busy machine, one of three went to Spot, presumably
    // while the node before it still counted against the limits.
    karpenter.pool(&limited.template("2"));
    let ((), seconds) = karpenter.wait("drift to replace the covered nodes", 300, |karpenter| {
        covered.is_disjoint(&karpenter.nodes_of(COMMITTED)).then_some(())
    });
    karpenter.settle();
    told(
        &format!(
            "weight high, limits full: drift has replaced 3 nodes; now {:?}",
            karpenter.counts()
        ),
        seconds,
    );
    assert!(karpenter.nodes_of(COMMITTED).len() >= 2, "{}", karpenter.state());
}

#[test]
fn limits_below_what_runs_move_the_excess_to_spot_and_no_more() {
    let karpenter = Karpenter::start();
    filled(&karpenter, &committed().weight(20), &spot().weight(10), 5);
    karpenter.patch_pool(COMMITTED, &json!({"limits": {"cpu": "4"}}));
    let ((), first) = karpenter.wait("the first node to go", 120, |karpenter| {
        (karpenter.nodes_of(COMMITTED).len() < 5).then_some(())
    });
    let ((), rest) = karpenter.wait("the pool to shrink to its limits", 400, |karpenter| {
        (karpenter.nodes_of(COMMITTED).len() <= 2).then_some(())
    });
    told(
        "limits 4 of 10 vCPU, unprotected: the first of 3 nodes beyond is gone",
        first,
    );
    told("limits 4 of 10 vCPU, unprotected: all 3 are gone", first + rest);
    let left = karpenter.nodes_of(COMMITTED);
    karpenter.stays("it shrinks no further", LONG, |karpenter| {
        karpenter.nodes_of(COMMITTED) == left
    });
    assert_eq!(left.len(), 2);
    // Karpenter is at work: a new pod gets a node, beside the full pool.
    let spot = karpenter.nodes_of(SPOT);
    karpenter.scale("web", 6);
    assert!(spot.is_subset(&karpenter.nodes_of(SPOT)) && spot != karpenter.nodes_of(SPOT));
    assert_eq!(karpenter.nodes_of(COMMITTED), left);
}

#[test]
fn limits_below_what_runs_move_nothing_out_of_a_protected_pool() {
    let karpenter = Karpenter::start();
    let when_empty = json!({"consolidationPolicy": "WhenEmpty", "consolidateAfter": "0s"});
    let covered = filled(
        &karpenter,
        &committed().weight(20).disruption(when_empty),
        &spot().weight(10),
        3,
    );
    karpenter.patch_pool(COMMITTED, &json!({"limits": {"cpu": "2"}}));
    karpenter.stays("all nodes stay", LONG, |karpenter| {
        karpenter.nodes_of(COMMITTED) == covered
    });
    // Karpenter is at work: a node whose pod goes by itself is taken away.
    karpenter.scale("web", 2);
    karpenter.wait("the empty node to go", 120, |karpenter| {
        (karpenter.nodes_of(COMMITTED).len() == 2).then_some(())
    });
}

#[test]
fn running_spot_is_not_moved_to_a_committed_pool_by_weight() {
    let karpenter = Karpenter::start();
    karpenter.pool(&committed().weight(1));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 3);
    karpenter.settle();
    let running = karpenter.nodes_of(SPOT);
    assert_eq!(running.len(), 3);
    karpenter.patch_pool(COMMITTED, &json!({"weight": 20}));
    karpenter.stays("Spot stays", LONG, |karpenter| {
        karpenter.nodes_of(SPOT) == running
    });
    // Karpenter is at work, and has seen the weight: a new pod goes by it.
    karpenter.scale("web", 4);
    assert_eq!(karpenter.nodes_of(COMMITTED).len(), 1);
}

/// But a roll-out of the Spot pool asks for no price: its pods go where new ones would.
#[test]
fn drift_of_a_spot_pool_moves_its_pods_to_a_committed_pool_above_it() {
    let karpenter = Karpenter::start();
    karpenter.pool(&committed().weight(1));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 3);
    karpenter.settle();
    let running = karpenter.nodes_of(SPOT);
    assert_eq!(running.len(), 3, "{}", karpenter.state());
    karpenter.patch_pool(COMMITTED, &json!({"weight": 20}));
    karpenter.pool(&spot().weight(10).template("2"));
    let ((), seconds) = karpenter.wait("drift to replace the Spot nodes", 300, |karpenter| {
        running.is_disjoint(&karpenter.nodes_of(SPOT)).then_some(())
    });
    told(
        "weight high, room: drift of a Spot pool has moved 3 nodes to on demand",
        seconds,
    );
    karpenter.settle();
    assert_eq!(karpenter.nodes_of(SPOT), BTreeSet::new(), "{}", karpenter.state());
    assert_eq!(karpenter.nodes_of(COMMITTED).len(), 3, "{}", karpenter.state());
}

/// Nor is a price in the way where a smaller on-demand node costs less than the Spot node that is too large.
#[test]
fn a_spot_node_that_is_too_large_becomes_a_smaller_one_of_the_committed_pool_above_it() {
    let karpenter = Karpenter::start();
    let sizes = ["m5.large", "m5.xlarge", "m5.2xlarge"];
    karpenter.pool(&Pool::new(COMMITTED, &["on-demand"], &sizes).weight(1));
    karpenter.pool(&Pool::new(SPOT, &["spot"], &sizes).weight(10));
    karpenter.run("big", Workload::of("6", "1Gi"));
    karpenter.run("small", Workload::of("1", "1Gi"));
    karpenter.scale("big", 1);
    karpenter.scale("small", 1);
    karpenter.settle();
    assert_eq!(karpenter.nodes_of(SPOT).len(), 1, "{}", karpenter.state());
    karpenter.patch_pool(COMMITTED, &json!({"weight": 20}));
    karpenter.scale("big", 0);
    let ((), seconds) = karpenter.wait("the Spot node to go", 180, |karpenter| {
        karpenter.nodes_of(SPOT).is_empty().then_some(())
    });
    let left = karpenter.nodes();
    let left: Vec<_> = left.iter().filter(|node| !node.deleting).collect();
    told(
        &format!("weight high, room: a Spot m5.2xlarge with little to do became {left:?}"),
        seconds,
    );
    assert!(
        left.len() == 1 && left[0].pool == COMMITTED && left[0].instance_type == "m5.large",
        "{left:?}"
    );
}

/// A node whose pods have shrunk is replaced by a smaller one of the same pool, full or not.
#[test]
fn a_covered_node_that_is_too_large_becomes_a_smaller_one_of_its_pool() {
    let karpenter = Karpenter::start();
    let sizes = ["m5.large", "m5.xlarge", "m5.2xlarge"];
    let large = Pool::new(COMMITTED, &["on-demand"], &sizes)
        .weight(20)
        .limits(json!({"cpu": "8"}));
    karpenter.pool(&large);
    karpenter.pool(&Pool::new(SPOT, &["spot"], &sizes).weight(10));
    karpenter.run("big", Workload::of("6", "1Gi"));
    karpenter.run("small", Workload::of("1", "1Gi"));
    karpenter.scale("big", 1);
    karpenter.scale("small", 1);
    karpenter.settle();
    assert_eq!(karpenter.nodes_of(COMMITTED).len(), 1, "{}", karpenter.state());
    karpenter.scale("big", 0);
    let (node, seconds) = karpenter.wait("a smaller node", 180, |karpenter| {
        let nodes = karpenter.nodes();
        let one = nodes
            .into_iter()
            .find(|node| !node.deleting && node.instance_type == "m5.large")?;
        (karpenter.counts().values().sum::<usize>() == 1).then_some(one)
    });
    told(
        &format!(
            "weight high, limits full: an m5.2xlarge with little to do became {} of {}",
            node.instance_type, node.pool
        ),
        seconds,
    );
    assert_eq!((node.pool.as_str(), node.spot), (COMMITTED, false));
}

/// A `NodeOverlay` that tells Karpenter the truth about the price turns consolidation round.
#[test]
fn an_overlay_that_prices_on_demand_below_spot_moves_running_spot() {
    let karpenter = Karpenter::with_gates("NodeOverlay=true");
    let overlay = json!({"apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": "paid"},
        "spec": {"price": "0.001", "requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}]}});
    karpenter.server.apply(&overlay.to_string());
    assert_eq!(karpenter.server.list(&NODE_OVERLAY).len(), 1);
    karpenter.pool(&committed().weight(1));
    karpenter.pool(&spot().weight(10));
    karpenter.run("web", pod());
    karpenter.scale("web", 3);
    karpenter.settle();
    let running = karpenter.nodes_of(SPOT);
    assert_eq!(running.len(), 3, "{}", karpenter.state());
    karpenter.patch_pool(COMMITTED, &json!({"weight": 20}));
    let ((), seconds) = karpenter.wait("Spot to be replaced", 240, |karpenter| {
        running.is_disjoint(&karpenter.nodes_of(SPOT)).then_some(())
    });
    told(
        "overlay prices on-demand below Spot, weight high: 3 Spot nodes became on-demand",
        seconds,
    );
    assert!(karpenter.nodes_of(SPOT).is_empty() && !karpenter.nodes_of(COMMITTED).is_empty());
}
