//! Giving everything back.

use serde_json::{Value, json};

use super::world::World;
use crate::support::kind::NODE_POOL;

/// A pool without what every write moves.
fn content(pool: &Value) -> Value {
    let mut pool = pool.clone();
    for key in ["resourceVersion", "generation", "managedFields"] {
        pool["metadata"][key].take();
    }
    pool
}

#[test]
fn reset_restores_the_weights_and_leaves_neither_annotations_nor_state() {
    let world = World::new();
    // One pool starts without a weight: absent is a value, too.
    let absent = json!({"spec": {"weight": null}});
    world.server.patch(&NODE_POOL, "memory-committed", &absent);
    let before = world.pools();
    world.run("apply").json(0);
    assert_eq!(world.weight("memory-committed"), Some(60));
    let told = world.server.events().len();

    let done = world.reset().json(0);
    assert_eq!(done["schema"], "brimful/reset/v1");
    assert_eq!(
        done["applied"],
        json!([
            {"nodePool": "general-committed", "result": "patched", "message": "weight 1 → 60, as before Brimful"},
            {"nodePool": "memory-committed", "result": "patched", "message": "weight 60 → none, as before Brimful"},
        ])
    );
    for (name, pool) in world.pools() {
        assert_eq!(content(&pool), content(&before[&name]), "{name}");
    }
    assert_eq!(world.state(), None);
    assert_eq!(world.server.events().len(), told + 2);

    let again = world.reset().ends(0);
    assert_eq!(again.stdout, "Nothing of Brimful's was left on any NodePool.\n");
}

#[test]
fn reset_of_one_pool_leaves_the_others_and_the_state() {
    let world = World::new();
    world.run("apply").json(0);
    world.reset().args(["--nodepool", "memory-committed"]).ends(0);
    assert_eq!(
        (
            world.weight("memory-committed"),
            world.weight("general-committed")
        ),
        (Some(10), Some(1))
    );
    let marked =
        |pool: &str| world.pools()[pool]["metadata"]["annotations"]["brimful.dev/baseline"].is_string();
    assert!(!marked("memory-committed") && marked("general-committed"));
    assert!(world.state().is_some());
    let error = world.reset().args(["--nodepool", "memory"]).fails(3);
    assert!(error.contains("there is no NodePool memory"), "{error}");
}

#[test]
fn a_pool_that_loses_its_label_gets_its_baseline_back_on_the_next_run() {
    let world = World::new();
    let before = world.pools();
    world.run("apply").json(0);
    world.label("memory-committed", "brimful.dev/managed", &Value::Null);
    let done = world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    assert_eq!(
        done["applied"],
        json!([{"nodePool": "memory-committed", "result": "patched", "message": "weight 60 → 10"}])
    );
    let pool = &world.pools()["memory-committed"];
    assert_eq!(pool["spec"], before["memory-committed"]["spec"]);
    assert_eq!(pool["metadata"].get("annotations"), None, "{pool:#}");
    let told = world
        .server
        .events()
        .into_iter()
        .filter(|event| event["reason"] == "Restored");
    assert_eq!(
        told.map(|event| event["regarding"]["name"].clone())
            .collect::<Vec<_>>(),
        ["memory-committed"]
    );
    let later = world.run_at("apply", "2026-11-21T18:20:00Z").json(0);
    assert_eq!(later["applied"], json!([]), "and then it is left alone");
}
