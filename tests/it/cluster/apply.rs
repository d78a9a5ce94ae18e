//! The main job: from a report to patched weights, once, and then only when something changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::{STATE, World};
use crate::contract::{APPLIED, check};
use crate::support::kind::{CONFIG_MAP, NODE_POOL};
use crate::support::run::{Derived, Ended, entry, fixture, text};

const BASELINE: &str = "brimful.dev/baseline";
const DECISION: &str = "brimful.dev/decision";

/// The JSON in an annotation of Brimful's.
fn record(pool: &Value, annotation: &str) -> Value {
    let text = pool["metadata"]["annotations"][annotation].as_str();
    let text = text.unwrap_or_else(|| panic!("no annotation {annotation}: {pool:#}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{annotation} is not JSON: {error}: {text}"))
}

/// A pool without what a change of its weight may touch.
fn rest(pool: &Value) -> Value {
    let mut pool = pool.clone();
    for key in ["resourceVersion", "generation", "managedFields"] {
        pool["metadata"][key].take();
    }
    pool["spec"]["weight"].take();
    let metadata = pool["metadata"].as_object_mut().expect("metadata");
    if let Some(Value::Object(mut annotations)) = metadata.remove("annotations") {
        annotations.retain(|key, _| ![BASELINE, DECISION].contains(&key.as_str()));
        if !annotations.is_empty() {
            metadata.insert("annotations".to_owned(), Value::Object(annotations));
        }
    }
    pool
}

#[test]
fn apply_patches_exactly_what_plan_says_and_nothing_else() {
    let world = World::new();
    let before = world.pools();
    let planned = world.run("plan").json(0);
    assert_eq!(world.pools(), before, "a plan changes nothing");
    assert_eq!(world.state(), None, "a plan leaves no state");
    let wanted: Vec<(&str, i64, i64)> = planned["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|c| {
            (
                text(&c["nodePool"]),
                c["from"].as_i64().unwrap_or(0),
                c["to"].as_i64().unwrap_or(0),
            )
        })
        .collect();
    assert_eq!(
        wanted,
        [("general-committed", 60, 1), ("memory-committed", 10, 60)]
    );

    let done = world.run("apply").json(0);
    check(&APPLIED, &done);
    assert_eq!(done["changes"], planned["changes"]);
    assert_eq!(
        done["applied"],
        json!([
            {"nodePool": "general-committed", "result": "patched", "message": "weight 60 → 1"},
            {"nodePool": "memory-committed", "result": "patched", "message": "weight 10 → 60"},
        ])
    );
    for (name, pool) in world.pools() {
        let Some((_, from, to)) = wanted.iter().find(|(changed, ..)| *changed == name) else {
            assert_eq!(pool, before[&name], "{name} is not Brimful's to change");
            continue;
        };
        assert_eq!(pool["spec"]["weight"], json!(to), "{name}");
        assert_eq!(
            rest(&pool),
            rest(&before[&name]),
            "{name}: only the weight and the annotations change"
        );
        let generations =
            [&before[&name], &pool].map(|pool| pool["metadata"]["generation"].as_i64().unwrap_or(0));
        assert_eq!(generations[1], generations[0] + 1, "{name}: all in one write");
        let baseline = record(&pool, BASELINE);
        assert_eq!(
            baseline,
            json!({"weight": from, "limits": {"cpu": "64"}}),
            "{name}"
        );
        let decision = record(&pool, DECISION);
        let reported = entry(&done["nodePools"], "name", &name);
        assert_eq!(decision["values"], json!({"weight": to}), "{name}");
        assert_eq!(decision["decision"], reported["decision"], "{name}");
        assert_eq!(decision["reason"], reported["reason"], "{name}");
        assert_eq!(decision["time"], done["now"], "{name}");
        is_written_by_brimful(&pool);
    }
}

/// One entry of managedFields is Brimful's: the weight and the two annotations, by an update, no more.
#[track_caller]
fn is_written_by_brimful(pool: &Value) {
    let entries = pool["metadata"]["managedFields"]
        .as_array()
        .expect("managedFields");
    let ours: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry["manager"] == "brimful")
        .collect();
    assert_eq!(ours.len(), 1, "{entries:#?}");
    assert_eq!(ours[0]["operation"], "Update");
    let fields = &ours[0]["fieldsV1"];
    assert_eq!(fields["f:spec"], json!({"f:weight": {}}));
    let annotations = fields["f:metadata"]["f:annotations"]
        .as_object()
        .expect("annotations");
    let mut annotations: Vec<&str> = annotations
        .keys()
        .map(String::as_str)
        .filter(|key| *key != ".")
        .collect();
    annotations.sort_unstable();
    assert_eq!(annotations, ["f:brimful.dev/baseline", "f:brimful.dev/decision"]);
}

#[test]
fn a_second_apply_changes_nothing_and_tells_nothing() {
    let world = World::new();
    world.run("apply").json(0);
    let (pools, events) = (world.pools(), world.server.events());
    let again = world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    assert_eq!((&again["changes"], &again["applied"]), (&json!([]), &json!([])));
    assert_eq!(
        world.pools(),
        pools,
        "the very same objects, resourceVersion included"
    );
    assert_eq!(world.server.events(), events);
    let table = world.run_at("apply", "2026-11-21T18:20:00Z").ends(0).stdout;
    assert!(
        table.contains("fill    memory-committed  committed  weight 60\n"),
        "{table}"
    );
    assert_eq!(world.pools(), pools);
}

#[test]
fn each_change_is_told_by_one_event_on_its_pool() {
    let world = World::new();
    let done = world.run("apply").json(0);
    let pools = world.pools();
    let mut events = world.server.events();
    events.sort_by_key(|event| event["regarding"]["name"].to_string());
    assert_eq!(events.len(), 2, "{events:#?}");
    for (event, (name, action)) in events
        .iter()
        .zip([("general-committed", "Hold"), ("memory-committed", "Fill")])
    {
        assert_eq!(event["regarding"]["kind"], "NodePool");
        assert_eq!(event["regarding"]["name"], name);
        assert_eq!(
            event["regarding"]["uid"], pools[name]["metadata"]["uid"],
            "kubectl describe finds it by uid"
        );
        assert_eq!(event["metadata"]["namespace"], "default");
        assert_eq!(event["reportingController"], "brimful");
        assert_eq!(
            (&event["type"], &event["reason"]),
            (&json!("Normal"), &json!("WeightSet"))
        );
        assert_eq!(event["action"], action);
        assert_eq!(event["note"], entry(&done["nodePools"], "name", name)["reason"]);
    }
}

#[test]
fn the_state_is_kept_in_a_config_map_that_nobody_holds_after_the_run() {
    let world = World::new();
    world.run("apply").json(0);
    let state = world.state().expect("the state's ConfigMap");
    assert_eq!(state["metadata"].get("annotations"), None, "{state:#}");
    assert_eq!(
        state["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "brimful"
    );
    let written = text(&state["data"]["state.json"]);
    let kept: Value = serde_json::from_str(written).expect("the state is JSON");
    let since = |pool: &str| kept["nodePools"][pool]["since"].clone();
    assert_eq!(kept["nodePools"]["memory-committed"]["decision"], "fill");
    assert_eq!(kept["nodePools"]["general-committed"]["decision"], "hold");
    assert_eq!(since("memory-committed"), "2026-11-21T18:00:00Z");
    assert!(written.len() < 100 * 1024);
    world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    let later = world.state().expect("the state's ConfigMap");
    let after: Value = serde_json::from_str(text(&later["data"]["state.json"])).expect("the state is JSON");
    assert_eq!(
        after["nodePools"], kept["nodePools"],
        "a decision that stands keeps its beginning"
    );
}

#[test]
fn a_report_that_says_the_plan_is_full_makes_the_pool_yield_and_the_dwell_keeps_it_from_flapping() {
    let world = World::new();
    world.run("apply").json(0);
    assert_eq!(world.weight("memory-committed"), Some(60));

    world.deliver(Derived::report("full").path());
    let full = world.run_at("apply", "2026-11-21T19:10:00Z").json(0);
    let pool = entry(&full["nodePools"], "name", "memory-committed");
    assert_eq!(pool["decision"], "hold");
    let reason = text(&pool["reason"]);
    assert!(
        reason.contains("r6i plans in us-east-2 and Compute plans are full"),
        "{pool:#}"
    );
    let weights = world.weights();
    assert!(
        weights["memory-committed"] < weights["default"],
        "below the lowest Spot or mixed pool: {weights:?}"
    );
    let stored = &world.pools()["memory-committed"];
    assert_eq!(
        record(stored, BASELINE)["weight"],
        10,
        "the baseline is that of the first change"
    );
    assert_eq!(
        record(stored, DECISION)["values"]["weight"],
        weights["memory-committed"]
    );

    world.deliver(&fixture("cur/legacy"));
    let soon = world.run_at("apply", "2026-11-21T19:30:00Z").json(0);
    let pool = entry(&soon["nodePools"], "name", "memory-committed");
    assert_eq!(
        (&pool["decision"], &soon["applied"]),
        (&json!("fill"), &json!([]))
    );
    assert!(
        text(&pool["reason"]).contains("waits 40 min more, since it was changed lately"),
        "{pool:#}"
    );
    assert_eq!(world.weights(), weights);

    world.run_at("apply", "2026-11-21T20:10:00Z").json(0);
    assert_eq!(
        world.weight("memory-committed"),
        Some(60),
        "after the dwell it fills again"
    );
}

#[test]
fn karpenters_own_status_writes_keep_no_change_out() {
    let world = World::new();
    let over = AtomicBool::new(false);
    // Each write moves the resourceVersion, which the patch carries.
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            for launched in 0.. {
                let status = json!({"resources": {"cpu": launched.to_string()}});
                world.server.patch_status(&NODE_POOL, "memory-committed", &status);
                if over.load(Ordering::Relaxed) {
                    break;
                }
                sleep(Duration::from_millis(60));
            }
        });
        let done = Ended::of(world.run("apply").args(["-o", "json"]).spawn());
        over.store(true, Ordering::Relaxed);
        done
    });
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        entry(&done.json()["applied"], "nodePool", "memory-committed")["result"],
        "patched",
        "{done:?}"
    );
    assert_eq!(world.weight("memory-committed"), Some(60));
}

#[test]
fn a_run_that_is_killed_leaves_every_pool_old_or_new_and_the_next_run_is_right() {
    let world = World::new();
    let before = world.pools();
    let mut run = world.run("apply").spawn();
    // From here on it may be anywhere between its first and its last write.
    while world.state().is_none() && run.try_wait().expect("a child").is_none() {}
    run.kill().expect("SIGKILL");
    run.wait().expect("a child");
    for (name, pool) in world.pools() {
        let annotations = &pool["metadata"]["annotations"];
        let marked = [BASELINE, DECISION].map(|key| annotations.get(key).is_some());
        let old = pool["spec"]["weight"] == before[&name]["spec"]["weight"] && marked == [false; 2];
        let new =
            marked == [true; 2] && pool["spec"]["weight"] == record(&pool, DECISION)["values"]["weight"];
        assert!(old || new, "neither old nor new: {pool:#}");
    }
    // The dead run's hold on the state ends by time: ten minutes, which the test does not wait.
    let expired = json!({"metadata": {"annotations": {"brimful.dev/held-until": "2026-01-01T00:00:00Z"}}});
    world.server.patch(&CONFIG_MAP, STATE, &expired);
    world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    assert_eq!(
        (
            world.weight("general-committed"),
            world.weight("memory-committed")
        ),
        (Some(1), Some(60))
    );
}
