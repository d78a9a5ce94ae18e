//! Ways to run without changing, or without changing everything.

use serde_json::json;

use super::world::World;
use crate::support::run::{entry, text};

#[test]
fn a_paused_pool_is_left_alone_while_the_others_are_changed() {
    let world = World::new();
    world.annotate("memory-committed", "brimful.dev/paused", &json!("true"));
    let before = world.pools();
    let done = world.run("apply").json(0);
    let pool = entry(&done["nodePools"], "name", "memory-committed");
    assert_eq!(pool["decision"], "freeze");
    assert!(text(&pool["reason"]).contains("brimful.dev/paused"), "{pool:#}");
    let after = world.pools();
    assert_eq!(after["memory-committed"], before["memory-committed"]);
    assert_eq!(world.weight("general-committed"), Some(1));
}

#[test]
fn paused_in_the_configuration_nothing_is_changed_and_that_is_no_failure() {
    let world = World::new();
    let before = world.pools();
    let done = world.run("apply").config("paused: true\n").json(0);
    for name in ["memory-committed", "general-committed", "batch-committed"] {
        assert_eq!(
            entry(&done["nodePools"], "name", name)["reason"],
            "paused by the configuration"
        );
    }
    assert_eq!(world.pools(), before);
}

#[test]
fn a_blackout_stops_all_changes_while_it_lasts() {
    let world = World::new();
    let before = world.pools();
    let config = "policy: {blackouts: [{days: [Sat], from: '17:00', to: '18:30'}]}\n"; // 2026-11-21 is a Saturday
    let held = world.run("apply").config(config).json(0);
    assert_eq!(held["applied"], json!([]));
    assert_eq!(world.pools(), before);
    world
        .run_at("apply", "2026-11-21T18:30:00Z")
        .config(config)
        .json(0);
    assert_eq!(world.weight("memory-committed"), Some(60));
}

#[test]
fn observe_mode_tells_what_it_would_change_and_changes_nothing() {
    let world = World::new();
    let before = world.pools();
    let done = world.run("apply").config("mode: observe\n").json(0);
    assert_eq!(done["changes"].as_array().map(Vec::len), Some(2));
    for applied in done["applied"].as_array().expect("applied") {
        assert_eq!(applied["result"], "unchanged");
        assert!(text(&applied["message"]).contains("observe"), "{applied}");
    }
    assert_eq!(world.pools(), before);
    let mut told: Vec<_> = world
        .server
        .events()
        .into_iter()
        .map(|e| (e["reason"].clone(), e["regarding"]["name"].to_string()))
        .collect();
    told.sort_by(|a, b| a.1.cmp(&b.1));
    let told_of = |pool: &str| (json!("WouldSetWeight"), format!("\"{pool}\""));
    assert_eq!(told, [told_of("general-committed"), told_of("memory-committed")]);
}

#[test]
fn a_dry_run_on_the_server_is_validated_there_and_stores_nothing() {
    let world = World::new();
    let before = world.pools();
    let done = world.run("apply").arg("--dry-run=server").json(0);
    assert_eq!(
        done["applied"],
        json!([
            {"nodePool": "general-committed", "result": "unchanged",
             "message": "dry run: the API server accepts weight 60 → 1"},
            {"nodePool": "memory-committed", "result": "unchanged",
             "message": "dry run: the API server accepts weight 10 → 60"},
        ])
    );
    assert_eq!(world.pools(), before);
    assert_eq!(world.state(), None);
    assert!(world.server.events().is_empty());
}

#[test]
fn pools_can_be_named_in_the_configuration_instead_of_labelled() {
    let world = World::new();
    world.manage_only("nothing");
    let unmanaged = world.run("apply").json(0);
    assert_eq!(
        (&unmanaged["changes"], &unmanaged["applied"]),
        (&json!([]), &json!([]))
    );
    let done = world
        .run("apply")
        .config("nodePools: {names: [memory-committed]}\n")
        .json(0);
    assert_eq!(done["applied"].as_array().map(Vec::len), Some(1));
    let weights = world.weights();
    assert!(
        weights["memory-committed"] > weights["general-committed"],
        "that one has no room and stays: {weights:?}"
    );
    assert_eq!(weights["general-committed"], 60);
}

#[test]
fn the_state_can_be_kept_in_a_file_instead() {
    let world = World::new();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("state.json");
    let done = world.run("apply").arg("--state").arg(&file).json(0);
    assert_eq!(done["applied"].as_array().map(Vec::len), Some(2));
    let lock = world.state().expect("what is held in any case");
    assert_eq!(lock.get("data"), None, "{lock:#}");
    let kept = std::fs::read_to_string(&file).expect("the state file");
    assert!(kept.contains("memory-committed"), "{kept}");
    world.reset().arg("--state").arg(&file).ends(0);
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("the folder").count(),
        0,
        "reset removes the state and its lock"
    );
}
