//! Somebody else sets the weight, too: a GitOps tool, or a person.

use serde_json::{Value, json};

use super::world::World;
use crate::support::kind::NODE_POOL;
use crate::support::run::{Derived, entry, text};

/// What Git says, applied by a tool that owns it.
fn sync_from_git(world: &World, weight: i64) {
    let yaml = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {"name": "memory-committed"}, "spec": {"weight": weight},
    });
    world.server.apply_as("argocd-controller", &yaml.to_string());
}

fn frozen_events(world: &World) -> Vec<Value> {
    world
        .server
        .events()
        .into_iter()
        .filter(|event| event["reason"] == "Frozen")
        .collect()
}

#[test]
fn a_pool_that_git_sets_back_is_frozen_and_the_cure_is_told() {
    let world = World::new();
    sync_from_git(&world, 10);
    let first = world.run("apply").json(0);
    let taken_over = entry(&first["applied"], "nodePool", "memory-committed");
    assert_eq!(
        taken_over["result"], "patched",
        "the first setter's weight is taken over"
    );

    sync_from_git(&world, 10);
    let before = world.pools();
    let done = world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    let pool = entry(&done["nodePools"], "name", "memory-committed");
    assert_eq!(pool["decision"], "freeze");
    assert_eq!(pool["weight"], json!({"current": 10, "proposed": 10}));
    for part in [
        "argocd-controller set the weight to 10 after Brimful had set 60",
        "ignoreDifferences",
        "/spec/weight",
    ] {
        assert!(text(&pool["reason"]).contains(part), "{part}: {pool:#}");
    }
    assert_eq!(done["applied"], json!([]));
    assert_eq!(world.pools(), before);
    let warnings = done["warnings"].as_array().expect("warnings").iter();
    let contested: Vec<_> = warnings
        .filter(|w| w["code"] == "contested" || w["code"] == "frozen")
        .map(|w| (text(&w["code"]), w["nodePool"].clone()))
        .collect();
    assert_eq!(contested, [("contested", json!("memory-committed"))]);

    world.run_at("apply", "2026-11-21T18:20:00Z").json(0);
    let told = frozen_events(&world);
    assert_eq!(told.len(), 1, "told once, not every ten minutes: {told:#?}");
    assert_eq!(
        (&told[0]["type"], &told[0]["note"]),
        (&json!("Warning"), &pool["reason"])
    );
}

#[test]
fn reset_hands_a_contested_pool_back_with_the_weight_that_the_other_set() {
    let world = World::new();
    world.run("apply").json(0);
    sync_from_git(&world, 12);
    world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    let given = world.reset().args(["--nodepool", "memory-committed"]).json(0);
    assert_eq!(
        given["applied"][0]["message"],
        "weight 12 stays: somebody else has set it since"
    );
    assert_eq!(
        world.pools()["memory-committed"]["metadata"].get("annotations"),
        None
    );

    let done = world.run_at("apply", "2026-11-21T18:20:00Z").json(0);
    assert_eq!(
        entry(&done["applied"], "nodePool", "memory-committed")["message"],
        "weight 12 → 60"
    );
    let pool = &world.pools()["memory-committed"];
    let baseline = text(&pool["metadata"]["annotations"]["brimful.dev/baseline"]);
    assert!(
        baseline.contains(r#""weight":12"#),
        "a new beginning has a new baseline: {baseline}"
    );
}

#[test]
fn a_contest_of_the_only_managed_pool_ends_with_5() {
    let world = World::new();
    world.manage_only("memory-committed");
    world.run("apply").json(0);
    sync_from_git(&world, 10);
    let before = world.pools();
    let done = world.run_at("apply", "2026-11-21T18:10:00Z").json(5);
    assert_eq!(
        entry(&done["nodePools"], "name", "memory-committed")["decision"],
        "freeze"
    );
    assert_eq!(world.pools(), before);
    let planned = world
        .run_at("plan", "2026-11-21T18:10:00Z")
        .arg("--exit-code")
        .json(5);
    assert_eq!(planned["changes"], json!([]));
}

#[test]
fn an_edit_by_hand_is_respected_and_told_how_to_be_undone() {
    let world = World::new();
    world.run("apply").json(0);
    world
        .server
        .patch(&NODE_POOL, "memory-committed", &json!({"spec": {"weight": 33}}));
    let before = world.pools();
    let done = world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    assert_eq!(world.pools(), before);
    let pool = entry(&done["nodePools"], "name", "memory-committed");
    assert_eq!(
        pool["reason"],
        "kubectl-edit set the weight to 33 after Brimful had set 60: it is left so; to hand the pool back, run \
         `brimful reset --nodepool memory-committed`"
    );
    world.reset().args(["--nodepool", "memory-committed"]).ends(0);
    assert_eq!(world.weight("memory-committed"), Some(33));
    world.run_at("apply", "2026-11-21T18:20:00Z").json(0);
    assert_eq!(world.weight("memory-committed"), Some(60));
}

#[test]
fn an_edit_of_anything_but_the_weight_is_no_contest() {
    let world = World::new();
    world.run("apply").json(0);
    world.server.patch(
        &NODE_POOL,
        "memory-committed",
        &json!({"spec": {"limits": {"cpu": "96"}}}),
    );
    let done = world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    assert_eq!(
        entry(&done["nodePools"], "name", "memory-committed")["decision"],
        "fill"
    );
    assert_eq!(done["applied"], json!([]));
}

#[test]
fn a_damaged_annotation_freezes_its_pool() {
    let world = World::new();
    world.run("apply").json(0);
    world.annotate("memory-committed", "brimful.dev/baseline", &json!("{"));
    let before = world.pools();
    world.deliver(Derived::report("full").path());
    let done = world.run_at("apply", "2026-11-21T19:10:00Z").json(0);
    let pool = entry(&done["nodePools"], "name", "memory-committed");
    assert_eq!(pool["decision"], "freeze");
    assert!(
        text(&pool["reason"]).contains("brimful.dev/baseline cannot be read"),
        "{pool:#}"
    );
    assert_eq!(world.pools(), before);
}
