//! Pools steered by their limits as well, on a real API server with the shipped rights.

use serde_json::{Value, json};

use super::world::World;
use crate::contract::{APPLIED, check};
use crate::support::kind::NODE_POOL;
use crate::support::run::{Brimful, entry, text};

/// `default` of the fixtures may launch on-demand for the same pods and is not managed: the overflow pool.
const MANAGE: &str = "limits: {manage: true}";

const LATER: [&str; 3] = [
    "2026-11-21T18:10:00Z",
    "2026-11-21T18:20:00Z",
    "2026-11-21T18:30:00Z",
];

fn apply(world: &World, now: &str) -> Value {
    world.run_at("apply", now).config(MANAGE).json(0)
}

fn plan(world: &World) -> Brimful {
    world.run("plan").config(MANAGE)
}

fn limits(world: &World, pool: &str) -> Value {
    world.pools()[pool]["spec"]["limits"].clone()
}

fn record(world: &World, pool: &str, which: &str) -> Value {
    let pools = world.pools();
    let text = pools[pool]["metadata"]["annotations"][which].as_str();
    serde_json::from_str(text.expect("the annotation is there")).expect("it is JSON")
}

fn warned(document: &Value, code: &str) -> bool {
    let warnings = document["warnings"].as_array().expect("warnings").iter();
    warnings.into_iter().any(|warning| warning["code"] == code)
}

#[test]
fn a_fill_is_given_room_and_a_hold_what_runs_and_then_nothing_changes() {
    let world = World::new();
    let before = world.pools();
    let done = apply(&world, "2026-11-21T18:00:00Z");
    check(&APPLIED, &done);
    // Two r6i.xlarge (4 vCPU) more beside the two that run; a full pool keeps its 28 vCPU, below the user's 64.
    let fills = entry(&done["nodePools"], "name", "memory-committed");
    let holds = entry(&done["nodePools"], "name", "general-committed");
    assert_eq!(
        (text(&fills["decision"]), text(&holds["decision"])),
        ("fill", "hold")
    );
    assert_eq!(fills["limits"]["current"]["cpu"], "64");
    assert_eq!(fills["limits"]["proposed"]["cpu"], "16");
    assert_eq!(limits(&world, "memory-committed")["cpu"], "16");
    assert_eq!(limits(&world, "general-committed")["cpu"], "28");
    assert_eq!(holds["capacity"]["cpu"], "28");
    // The weight of a full pool stays above Spot.
    assert_eq!(world.weight("general-committed"), Some(60));
    assert_eq!(limits(&world, "spot"), before["spot"]["spec"]["limits"]);
    assert_eq!(limits(&world, "default"), before["default"]["spec"]["limits"]);
    let change = done["changes"].as_array().expect("changes").iter();
    let change: Vec<&Value> = change
        .filter(|change| change["nodePool"] == "general-committed")
        .collect();
    assert_eq!(change.len(), 1);
    assert_eq!(
        (text(&change[0]["field"]), &change[0]["from"]),
        ("spec.limits", &json!({"cpu": "64"}))
    );
    let kept = record(&world, "general-committed", "brimful.dev/baseline");
    assert_eq!(kept, json!({"weight": 60, "limits": {"cpu": "64"}}));
    let set = record(&world, "general-committed", "brimful.dev/decision");
    assert_eq!(set["values"]["limits"], limits(&world, "general-committed"));
    let told = world.server.events();
    assert!(
        told.iter().any(|event| event["reason"] == "LimitsSet"),
        "{told:#?}"
    );

    let settled = world.pools();
    for now in LATER {
        assert_eq!(apply(&world, now)["applied"], json!([]), "{now}");
    }
    assert_eq!(world.pools(), settled);
}

#[test]
fn reset_gives_both_fields_back() {
    let world = World::new();
    let before = world.pools();
    apply(&world, "2026-11-21T18:00:00Z");
    let said = world.reset().ends(0).stdout;
    assert!(said.contains("limits cpu 28 → 64"), "{said}");
    for pool in ["memory-committed", "general-committed", "batch-committed"] {
        assert_eq!(world.pools()[pool]["spec"], before[pool]["spec"]);
    }
}

#[test]
fn turned_off_again_the_limits_come_back_and_the_weight_is_steered_alone() {
    let world = World::new();
    apply(&world, "2026-11-21T18:00:00Z");
    let done = world.run_at("apply", "2026-11-21T20:00:00Z").json(0);
    assert_eq!(limits(&world, "general-committed"), json!({"cpu": "64"}));
    assert_eq!(limits(&world, "batch-committed"), Value::Null);
    let pool = entry(&done["nodePools"], "name", "general-committed");
    assert_eq!(pool["limits"]["proposed"], json!({"cpu": "64"}));
    let set = record(&world, "general-committed", "brimful.dev/decision");
    assert_eq!(set["values"].get("limits"), None);
}

#[test]
fn one_pool_may_ask_for_it_or_be_left_out() {
    let world = World::new();
    world.annotate("memory-committed", "brimful.dev/manage-limits", &json!("true"));
    let planned = world.run("plan").json(0);
    let limited =
        |document: &Value, name: &str| !entry(&document["nodePools"], "name", name)["limits"].is_null();
    assert!(limited(&planned, "memory-committed") && !limited(&planned, "general-committed"));
    world.annotate("memory-committed", "brimful.dev/manage-limits", &json!("false"));
    let planned = plan(&world).json(0);
    assert!(!limited(&planned, "memory-committed") && limited(&planned, "general-committed"));
    world.annotate("memory-committed", "brimful.dev/manage-limits", &json!("yes"));
    let planned = plan(&world).json(0);
    assert!(!limited(&planned, "memory-committed") && warned(&planned, "manage-limits"));
}

#[test]
fn without_an_overflow_pool_limits_are_left_alone_and_the_cure_is_told() {
    let world = World::new();
    apply(&world, "2026-11-21T18:00:00Z");
    world.server.delete(&NODE_POOL, "default");
    world.server.delete(&NODE_POOL, "team-gpu");
    let done = apply(&world, "2026-11-21T20:00:00Z");
    assert_eq!(limits(&world, "general-committed"), json!({"cpu": "64"}));
    let warning = entry(&done["warnings"], "code", "no-overflow");
    let message = text(&warning["message"]);
    assert!(
        message.contains("kubectl get nodepool") && message.contains("-overflow"),
        "{message}"
    );
}

/// Any patch makes a pool's `Ready` blink: that must not throw the limits over.
#[test]
fn an_overflow_pool_that_is_not_ready_for_a_moment_changes_nothing() {
    let world = World::new();
    apply(&world, "2026-11-21T18:00:00Z");
    let unready = json!({"conditions": [{"type": "Ready", "status": "Unknown", "reason": "ReconcilingDependents",
        "message": "", "lastTransitionTime": "2026-11-21T18:05:00Z"}]});
    world.server.delete(&NODE_POOL, "team-gpu");
    world.server.patch_status(&NODE_POOL, "default", &unready);
    let done = apply(&world, "2026-11-21T20:00:00Z");
    assert_eq!(done["applied"], json!([]));
    assert!(warned(&done, "overflow-lost"), "{:#}", done["warnings"]);
    // Where nothing stands yet, nothing begins.
    world.reset().ends(0);
    apply(&world, "2026-11-21T22:00:00Z");
    assert_eq!(limits(&world, "general-committed"), json!({"cpu": "64"}));
}

#[test]
fn a_label_taken_off_gives_the_limits_back_and_a_pause_keeps_them() {
    let world = World::new();
    apply(&world, "2026-11-21T18:00:00Z");
    world.annotate("memory-committed", "brimful.dev/paused", &json!("true"));
    world.label("general-committed", "brimful.dev/managed", &Value::Null);
    apply(&world, "2026-11-21T18:10:00Z");
    assert_eq!(limits(&world, "memory-committed")["cpu"], "16");
    assert_eq!(limits(&world, "general-committed"), json!({"cpu": "64"}));
    let annotations = &world.pools()["general-committed"]["metadata"]["annotations"];
    assert!(annotations["brimful.dev/decision"].is_null(), "{annotations:#}");
}

#[test]
fn a_users_own_limit_is_never_exceeded() {
    let world = World::new();
    world.server.patch(
        &NODE_POOL,
        "memory-committed",
        &json!({"spec": {"limits": {"cpu": "12"}}}),
    );
    let done = apply(&world, "2026-11-21T18:00:00Z");
    let pool = entry(&done["nodePools"], "name", "memory-committed");
    assert_eq!(pool["limits"]["proposed"]["cpu"], "12");
    assert!(
        text(&pool["reason"]).contains("its own limits allow no more"),
        "{pool:#}"
    );
}

#[test]
fn limits_that_somebody_changes_are_respected_and_told() {
    let world = World::new();
    apply(&world, "2026-11-21T18:00:00Z");
    world.server.patch(
        &NODE_POOL,
        "general-committed",
        &json!({"spec": {"limits": {"cpu": "40"}}}),
    );
    let by_git = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {"name": "memory-committed"}, "spec": {"limits": {"cpu": "64"}}});
    world.server.apply_as("argocd-controller", &by_git.to_string());
    let before = world.pools();
    let done = apply(&world, "2026-11-21T20:00:00Z");
    let reason = |name: &str| {
        let pool = entry(&done["nodePools"], "name", name);
        assert_eq!(pool["decision"], "freeze", "{pool:#}");
        text(&pool["reason"]).to_owned()
    };
    let by_hand = reason("general-committed");
    assert!(
        by_hand.contains("kubectl-edit changed its limits cpu 28 → 40"),
        "{by_hand}"
    );
    let contested = reason("memory-committed");
    for part in ["argocd-controller", "contested", "/spec/limits"] {
        assert!(contested.contains(part), "{part}: {contested}");
    }
    assert_eq!(world.pools(), before);

    // Handed back, what the person set is the baseline.
    world.reset().args(["--nodepool", "general-committed"]).ends(0);
    assert_eq!(limits(&world, "general-committed")["cpu"], "40");
    apply(&world, "2026-11-21T22:00:00Z");
    assert_eq!(limits(&world, "general-committed")["cpu"], "28");
    let kept = record(&world, "general-committed", "brimful.dev/baseline");
    assert_eq!(kept["limits"]["cpu"], "40");
}

#[test]
fn a_freeze_keeps_the_limits() {
    let world = World::new();
    apply(&world, "2026-11-21T18:00:00Z");
    let before = world.pools();
    let stale = world
        .run_at("apply", "2026-11-26T18:00:00Z")
        .config(MANAGE)
        .json(5);
    assert_eq!(world.pools(), before);
    let pool = entry(&stale["nodePools"], "name", "general-committed");
    assert_eq!(pool["limits"]["proposed"]["cpu"], "28");
}
