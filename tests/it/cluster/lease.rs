//! One run at a time holds the state.

use serde_json::{Value, json};

use super::bench::{Bench, PLANNED};
use super::world::{STATE, World};
use crate::support::faults::Fault;
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
fn a_state_file_does_not_pass_by_the_lock_of_the_cluster() {
    let world = World::new();
    let file = tempfile::tempdir().expect("a temporary folder");
    let file = file.path().join("state.json");
    let held = hold(&world, "2999-01-01T00:00:00Z");
    let before = world.pools();
    let error = world.run("apply").arg("--state").arg(&file).fails(7);
    assert!(error.contains("another run"), "{error}");
    let error = world.reset().arg("--state").arg(&file).fails(7);
    assert!(error.contains("another run"), "{error}");
    assert_eq!(world.pools(), before);
    assert_eq!(world.state(), Some(held));
    hold(&world, "2026-01-01T00:00:00Z");
    world.run("apply").arg("--state").arg(&file).json(0);
    let state = world.state().expect("the lock");
    assert_eq!(state["metadata"].get("annotations"), None, "{state:#}");
    assert_eq!(state.get("data"), None, "the state is in the file");
    world.reset().arg("--state").arg(&file).ends(0);
    assert_eq!((world.state(), file.exists()), (None, false));
}

/// Lets the first requests for Nodes of a run wait for their answer, and starts it.
fn slow_run(bench: &Bench, waits: usize) -> std::process::Child {
    bench.restore();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let is_early = move |line: &str, _: &str| {
        line.starts_with("GET /api/v1/nodes")
            && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < waits
    };
    bench.front.break_requests(Box::new(is_early), Fault::Silence);
    let run = bench.apply().args(["-o", "json"]).spawn();
    assert!(bench.front.wait_for_hit(), "the run asks for Nodes");
    run
}

#[test]
fn a_run_that_has_lost_the_state_patches_nothing_more_and_says_so() {
    let bench = Bench::new();
    let run = slow_run(&bench, 1);
    let thief = json!({"metadata": {"annotations": {"brimful.dev/holder": "thief"}}});
    bench.server.patch(&CONFIG_MAP, STATE, &thief);
    let ended = Ended::of(run);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(bench.is_as_before(), "{ended:?}");
    let applied = &ended.json()["applied"];
    for pool in ["general-committed", "memory-committed"] {
        let one = entry(applied, "nodePool", pool);
        assert_eq!(one["result"], "conflict");
        assert!(
            text(&one["message"]).contains("taken over by another run (thief)"),
            "{one}"
        );
    }
    assert!(ended.stderr.contains("thief"), "{ended:?}");
    assert_eq!(bench.holder().as_deref(), Some("thief"), "the other's hold stays");
}

#[test]
fn a_slow_run_renews_its_hold_so_that_a_second_one_is_refused() {
    let bench = Bench::new();
    // Two silences take longer than a renewal.
    let first = slow_run(&bench, 2);
    let second = bench.apply().fails(7);
    assert!(second.contains("holds the state, and is at work"), "{second}");
    let first = Ended::of(first);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!((bench.weights(), bench.holder()), (PLANNED, None));
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
