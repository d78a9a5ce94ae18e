//! One run at a time holds the state.

use serde_json::{Value, json};

use super::world::{STATE, World};
use crate::support::kind::CONFIG_MAP;
use crate::support::run::{Ended, entry, text};

/// The state as a run leaves it that is still going on, or died, until `until`.
fn hold(world: &World, until: &str) -> Value {
    let state = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "namespace": "brimful", "name": "brimful-state",
            "annotations": {"brimful.dev/holder": "brimful-29384-x7k2p-1", "brimful.dev/held-until": until},
        },
    });
    world.server.apply(&state.to_string()).remove(0)
}

#[test]
fn while_another_run_holds_the_state_nothing_is_changed() {
    let world = World::new();
    let held = hold(&world, "2999-01-01T00:00:00Z");
    let before = world.pools();
    let error = world.run("apply").fails(7);
    assert!(
        error.contains("another run (brimful-29384-x7k2p-1) holds the state until 2999-01-01T00:00:00Z"),
        "{error}"
    );
    assert_eq!(world.pools(), before);
    assert_eq!(
        world.state().as_ref(),
        Some(&held),
        "the other's hold stays as it is"
    );
    world.run("plan").json(0);
}

#[test]
fn a_hold_that_has_expired_is_taken_over() {
    let world = World::new();
    hold(&world, "2026-01-01T00:00:00Z");
    world.run("apply").json(0);
    assert_eq!(world.weight("memory-committed"), Some(60));
    let state = world.server.get(&CONFIG_MAP, STATE).expect("the state");
    assert_eq!(state["metadata"].get("annotations"), None, "{state:#}");
}

#[test]
fn of_two_runs_at_once_none_does_harm() {
    let world = World::new();
    let runs = [0, 1].map(|_| world.run("apply").args(["-o", "json"]).spawn());
    let ended = runs.map(Ended::of);
    assert!(ended.iter().any(|run| run.code == Some(0)), "{ended:?}");
    for run in &ended {
        match run.code {
            Some(0) => {}
            Some(7) => assert!(run.stderr.contains("another run"), "{run:?}"),
            _ => panic!("{run:?}"),
        }
    }
    assert_eq!(
        (
            world.weight("memory-committed"),
            world.weight("general-committed")
        ),
        (Some(60), Some(1))
    );
    let told = world.server.events();
    assert_eq!(told.len(), 2, "each change is made and told once: {told:#?}");
}

#[test]
fn state_that_cannot_be_read_freezes_and_is_told() {
    let world = World::new();
    world.run("apply").json(0);
    world
        .server
        .patch(&CONFIG_MAP, STATE, &json!({"data": {"state.json": "{"}}));
    let before = world.pools();
    let done = world.run("apply").json(5);
    for part in [
        "ConfigMap brimful/brimful-state",
        "cannot be read",
        "brimful reset",
    ] {
        let pool = entry(&done["nodePools"], "name", "memory-committed");
        assert!(text(&pool["reason"]).contains(part), "{part}: {pool:#}");
    }
    assert_eq!(world.pools(), before);
    let state = world.state().expect("the state");
    assert_eq!(
        state["metadata"].get("annotations"),
        None,
        "it is not left held: {state:#}"
    );
}
