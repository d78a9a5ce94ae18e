//! What was changed stays known when its Events are gone.

use serde_json::{Value, json};

use super::world::{STATE, World};
use crate::contract::{HISTORY, check};
use crate::support::kind::CONFIG_MAP;
use crate::support::run::{entry, text};

/// The history as `brimful history` shows it to a pod that may read no report.
fn history(world: &World) -> Value {
    let document = world.look_back().json(0);
    check(&HISTORY, &document);
    document
}

/// Pool, action, result and weights of each entry.
fn told(document: &Value) -> Vec<(String, String, String, Value)> {
    let entries = document["entries"].as_array().expect("entries").iter();
    entries
        .map(|one| {
            let word = |key: &str| text(&one[key]).to_owned();
            (
                word("nodePool"),
                word("action"),
                word("result"),
                one["weight"].clone(),
            )
        })
        .collect()
}

fn weight(from: i64, to: i64) -> Value {
    json!({"from": from, "to": to})
}

#[test]
fn each_change_is_kept_beside_the_state_in_one_write() {
    let world = World::new();
    assert_eq!(history(&world)["entries"], json!([]));
    let done = world.run("apply").json(0);
    let document = history(&world);
    let set = |pool: &str, from, to| {
        (
            pool.to_owned(),
            "set".to_owned(),
            "patched".to_owned(),
            weight(from, to),
        )
    };
    assert_eq!(
        told(&document),
        [set("general-committed", 60, 1), set("memory-committed", 10, 60)]
    );
    let kept = entry(&document["entries"], "nodePool", "memory-committed");
    let reported = entry(&done["nodePools"], "name", "memory-committed");
    assert_eq!(kept["reason"], reported["reason"]);
    assert_eq!(kept["headroom"], reported["headroom"]);
    assert_eq!((&kept["time"], &kept["decision"]), (&done["now"], &json!("fill")));
    assert_eq!(kept["effect"], Value::Null, "no report, no effect");

    let state = world.state().expect("the state");
    world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    let later = world.state().expect("the state");
    assert_eq!(
        later["data"]["history.json"], state["data"]["history.json"],
        "a run that changes nothing adds nothing"
    );
    assert!(state["data"]["history.json"].is_string(), "{state:#}");
}

#[test]
fn what_is_restored_and_what_is_reset_is_told_as_such() {
    let world = World::new();
    world.run("apply").json(0);
    world.label("memory-committed", "brimful.dev/managed", &Value::Null);
    world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    world.reset().args(["--nodepool", "general-committed"]).ends(0);
    let words: Vec<(String, Value)> = told(&history(&world))
        .into_iter()
        .skip(2)
        .map(|(pool, action, _, weight)| (format!("{action} {pool}"), weight))
        .collect();
    assert_eq!(
        words,
        [
            ("restore memory-committed".to_owned(), weight(60, 10)),
            ("reset general-committed".to_owned(), weight(1, 60)),
        ]
    );
    world.reset().ends(0);
    assert_eq!(world.state(), None, "a whole reset leaves nothing behind");
    assert_eq!(history(&world)["entries"], json!([]));
}

#[test]
fn a_refused_patch_is_one_entry_however_often_it_is_tried() {
    let world = World::new();
    let may_not_patch = json!([
        {"apiGroups": ["karpenter.sh"], "resources": ["nodepools", "nodeclaims"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]},
    ]);
    let token = world.account("may-not-patch", &may_not_patch);
    for _ in 0..2 {
        world.run_as(&token, "apply").json(7);
    }
    let document = history(&world);
    let results: Vec<String> = told(&document)
        .into_iter()
        .map(|(_, _, result, _)| result)
        .collect();
    assert_eq!(results, ["refused", "refused"], "one for each pool");
    let one = entry(&document["entries"], "nodePool", "memory-committed");
    assert_eq!(one["tries"], 2);
    assert!(text(&one["message"]).contains("403"), "{one:#}");
}

#[test]
fn a_history_that_cannot_be_read_is_begun_anew_and_freezes_nothing() {
    let world = World::new();
    world.run("apply").json(0);
    let damaged = json!({"data": {"history.json": "{"}});
    world.server.patch(&CONFIG_MAP, STATE, &damaged);
    let told_of_it = world.look_back().ends(0);
    assert!(told_of_it.stderr.contains("history-lost"), "{told_of_it:?}");
    let done = world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    let warning = entry(&done["warnings"], "code", "history-lost");
    assert!(
        text(&warning["message"]).contains("brimful/brimful-state"),
        "{warning:#}"
    );
    assert_eq!(
        entry(&done["nodePools"], "name", "memory-committed")["decision"],
        "fill"
    );
    // What still stands on the pools is known again.
    assert_eq!(told(&history(&world)).len(), 2);
    let next = world.run_at("apply", "2026-11-21T18:20:00Z").json(0);
    let codes: Vec<&str> = next["warnings"]
        .as_array()
        .expect("warnings")
        .iter()
        .map(|warning| text(&warning["code"]))
        .collect();
    assert!(!codes.contains(&"history-lost"), "{codes:?}");
}

#[test]
fn a_state_file_holds_the_history_too() {
    let world = World::new();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("state.json");
    world.run("apply").arg("--state").arg(&file).json(0);
    let document = crate::support::run::Brimful::new("history")
        .arg("--state")
        .arg(&file)
        .json(0);
    assert_eq!(told(&document).len(), 2);
    world.run("apply").arg("--state").arg(&file).json(0);
    // What is left in the cluster was held, and holds nothing.
    let lock = world.state().expect("the lock");
    let left = (lock.get("data"), lock["metadata"].get("annotations"));
    assert_eq!(left, (None, None), "{lock:#}");
}
