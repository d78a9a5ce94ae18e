//! `apply` among other clusters: it tells its demand, over what it has read only, and goes on whatever becomes of that.

use serde_json::{Value, json};

use super::world::World;
use crate::support::run::{Brimful, NOW, entry, text};
use crate::support::s3::{Identity, S3};

const R6I: &str = "ec2Instance/r6i/us-east-2";

/// `apply` at a time, with the right to write to its world's bucket.
fn apply_at(world: &World, now: &str, more: &str) -> Brimful {
    world
        .run_at("apply", now)
        .envs(S3::shared().env_as(Identity::Full))
        .config(&format!("coordination: {{uri: '{}'}}\n{more}", world.shared()))
}

fn apply(world: &World, more: &str) -> Brimful {
    apply_at(world, NOW, more)
}

fn codes(done: &Value) -> Vec<&str> {
    let warnings = done["warnings"].as_array().expect("warnings").iter();
    warnings
        .map(|warning| text(&warning["code"]))
        .filter(|code| code.starts_with("coordination"))
        .collect()
}

fn told(world: &World) -> Option<Value> {
    world
        .object("shared/prod.json")
        .map(|text| serde_json::from_slice(&text).expect("JSON"))
}

#[test]
fn each_run_tells_the_live_demand_and_what_it_claims() {
    let world = World::new();
    let done = apply(&world, "").json(0);
    assert_eq!(codes(&done), [""; 0]);
    let first = told(&world).expect("an object");
    assert_eq!(
        (&first["schema"], &first["cluster"], &first["time"]),
        (&json!("brimful/demand/v1"), &json!("prod"), &json!(NOW))
    );
    assert_eq!(first["comparable"], true);
    let r6i = &first["groups"][R6I];
    let headroom = &entry(&done["groups"], "id", R6I)["headroom"];
    assert_eq!(
        (&r6i["wants"], &r6i["claim"]),
        (&json!(true), headroom),
        "all of it, as long as it is alone"
    );
    // Again and again, over what it has written itself.
    let again = apply_at(&world, "2026-11-21T18:10:00Z", "").json(0);
    assert_eq!(codes(&again), [""; 0]);
    assert_eq!(told(&world).expect("an object")["time"], "2026-11-21T18:10:00Z");
}

#[test]
fn a_dry_run_tells_nothing_and_an_observing_run_claims_nothing() {
    let world = World::new();
    apply(&world, "").arg("--dry-run=server").json(0);
    assert_eq!(told(&world), None);
    let before = world.pools();
    apply(&world, "mode: observe\n").json(0);
    assert_eq!(world.pools(), before);
    let r6i = told(&world).expect("an object")["groups"][R6I].clone();
    assert_eq!((&r6i["wants"], &r6i["claim"]), (&json!(false), &json!(0.0)));
    assert!(r6i["demand"].as_f64().expect("a demand") > 0.0);
}

#[test]
fn whoever_may_not_write_goes_on_as_without_coordination() {
    let world = World::new();
    let done = world
        .run("apply")
        .config(&format!("coordination: {{uri: '{}'}}\n", world.shared()))
        .json(0);
    assert_eq!(codes(&done), ["coordination-unreachable"]);
    let message = text(&entry(&done["warnings"], "code", "coordination-unreachable")["message"]);
    assert!(
        message.contains("s3:PutObject") && message.contains("iam-policy-optional"),
        "{message}"
    );
    assert_eq!(done["applied"].as_array().map(Vec::len), Some(2));
    assert_eq!(told(&world), None);
}

#[test]
fn a_namesakes_object_is_left_alone_and_the_run_goes_on() {
    let world = World::new();
    let group = json!({"demand": 0, "atCompute": 0, "wants": true, "claim": 9, "launches": 0});
    let namesake = json!({"schema": "brimful/demand/v1", "cluster": "prod", "account": null, "region": null,
        "time": NOW, "nodePools": {"other": "uid-of-another"}, "comparable": true, "share": null,
        "groups": {"compute": group}});
    world.put("shared/prod.json", &namesake.to_string());
    let done = apply(&world, "").json(0);
    assert_eq!(codes(&done), ["coordination-conflict"]);
    assert_eq!(done["applied"].as_array().map(Vec::len), Some(2));
    assert_eq!(told(&world), Some(namesake));
}
