//! The optional admission policy: even with every right, Brimful's `ServiceAccount` changes weight, limits and its own
//! annotations, and nothing else of a `NodePool`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::world::{World, documents, resources};
use crate::support::block_on;
use crate::support::kind::NODE_POOL;

/// The server reads new policies from time to time.
const IN_FORCE: Duration = Duration::from_mins(1);

/// The guarded cluster, and a client of Brimful's account to which RBAC allows everything.
fn guarded() -> (World, Client) {
    let world = World::new();
    let name = install(&world);
    let client = world
        .server
        .client_unlimited_as("system:serviceaccount:brimful:brimful");
    let forbidden = json!({"metadata": {"annotations": {"example.com/in-force": "?"}}});
    let start = Instant::now();
    while !patched(&client, &forbidden, "", true).is_err_and(|told| told.contains(&name)) {
        assert!(start.elapsed() < IN_FORCE, "the policy is not in force");
        sleep(Duration::from_millis(100));
    }
    (world, client)
}

/// Applies the shipped policy under a name of its own: one that another test left stays in force for a second or so
/// after it was deleted, and refuses with the same words.
fn install(world: &World) -> String {
    static INSTALLED: AtomicU32 = AtomicU32::new(0);
    let name = format!("brimful-{}", INSTALLED.fetch_add(1, Ordering::Relaxed));
    let files = resources("manifests/guard");
    for mut object in files.iter().flat_map(|file| documents(file)) {
        object["metadata"]["name"] = json!(name);
        if object["kind"] == "ValidatingAdmissionPolicyBinding" {
            object["spec"]["policyName"] = json!(name);
        }
        world.server.apply(&object.to_string());
    }
    name
}

/// Patches the pool `spot`; what is refused tells why.
fn patched(client: &Client, patch: &Value, subresource: &str, dry_run: bool) -> Result<(), String> {
    let api: Api<DynamicObject> = NODE_POOL.api(client, "spot");
    let params = PatchParams {
        dry_run,
        ..PatchParams::default()
    };
    let patch = Patch::Merge(patch);
    let answer = block_on(async {
        match subresource {
            "" => api.patch("spot", &params, &patch).await,
            "status" => api.patch_status("spot", &params, &patch).await,
            other => panic!("no subresource {other}"),
        }
    });
    said(answer.map(drop))
}

fn said(answer: Result<(), Error>) -> Result<(), String> {
    match answer {
        Ok(()) => Ok(()),
        Err(Error::Api(status)) => Err(format!("{} {}", status.code, status.message)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn weight_limits_and_own_annotations_may_change() {
    let (world, client) = guarded();
    for patch in [
        json!({"spec": {"weight": 7}}),
        json!({"spec": {"weight": null}}),
        json!({"spec": {"limits": {"cpu": "16", "memory": "64Gi"}}}),
        json!({"spec": {"limits": null}}),
        json!({"metadata": {"annotations": {"brimful.dev/baseline": "{}"}}, "spec": {"weight": 9}}),
        json!({"metadata": {"annotations": {"brimful.dev/baseline": null}}}),
    ] {
        assert_eq!(patched(&client, &patch, "", false), Ok(()), "{patch}");
    }
    assert_eq!(world.weight("spot"), Some(9));
}

#[test]
fn apply_and_reset_work_behind_it() {
    let (world, _client) = guarded();
    let before = world.pools();
    world.run("apply").json(0);
    assert_ne!(world.weights(), weights(&before));
    world.reset().ends(0);
    assert_eq!(world.weights(), weights(&before));
}

fn weights(pools: &BTreeMap<String, Value>) -> BTreeMap<String, i64> {
    let pools = pools.iter();
    pools
        .filter_map(|(name, pool)| Some((name.clone(), pool["spec"]["weight"].as_i64()?)))
        .collect()
}

#[test]
fn nothing_else_may() {
    let (world, client) = guarded();
    let foreign = json!({"metadata": {
        "annotations": {"team": "platform"}, "labels": {"team": "platform", "brimful.dev/managed": "true"},
        "finalizers": ["example.com/hold"]}});
    world.server.patch(&NODE_POOL, "spot", &foreign);
    let before = world.pools();
    let (spec, annotations, metadata) = (
        "spec Brimful may",
        "annotations Brimful may",
        "metadata Brimful may",
    );
    for (patch, why) in [
        (json!({"spec": {"disruption": {"consolidateAfter": "1h"}}}), spec),
        (
            json!({"spec": {"disruption": {"budgets": [{"nodes": "0"}]}}}),
            spec,
        ),
        (
            json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}),
            spec,
        ),
        (
            json!({"spec": {"weight": 3, "template": {"spec": {"expireAfter": "1h"}}}}),
            spec,
        ),
        (json!({"metadata": {"annotations": {"team": null}}}), annotations),
        (
            json!({"metadata": {"annotations": {"team": "other"}}}),
            annotations,
        ),
        (
            json!({"metadata": {"annotations": {"example.com/a": "b"}}}),
            annotations,
        ),
        (
            json!({"metadata": {"annotations": {"brimful.dev": "b"}}}),
            annotations,
        ),
        (json!({"metadata": {"labels": {"team": "other"}}}), metadata),
        (
            json!({"metadata": {"labels": {"brimful.dev/managed": null}}}),
            metadata,
        ),
        (json!({"metadata": {"finalizers": null}}), metadata),
    ] {
        let told = patched(&client, &patch, "", false).expect_err(&patch.to_string());
        assert!(told.starts_with("422") && told.contains(why), "{patch}: {told}");
    }
    let only_updates = "may update NodePools only";
    let status = patched(&client, &json!({"status": {"nodes": 3}}), "status", false);
    assert!(status.is_err_and(|told| told.contains(only_updates)));
    let api: Api<DynamicObject> = NODE_POOL.api(&client, "spot");
    let deleted = said(block_on(api.delete("spot", &DeleteParams::default())).map(drop));
    assert!(deleted.is_err_and(|told| told.contains(only_updates)));
    let mut copy: DynamicObject = serde_json::from_value(before["spot"].clone()).expect("a NodePool");
    copy.metadata = kube::api::ObjectMeta {
        name: Some("copy".to_owned()),
        ..Default::default()
    };
    let created = said(block_on(api.create(&PostParams::default(), &copy)).map(drop));
    assert!(created.is_err_and(|told| told.contains(only_updates)));
    assert_eq!(world.pools(), before);
}

#[test]
fn everybody_else_is_left_alone() {
    let (world, _client) = guarded();
    world.server.patch(
        &NODE_POOL,
        "spot",
        &json!({"spec": {"disruption": {"consolidateAfter": "1h"}}}),
    );
    assert_eq!(
        world.pools()["spot"]["spec"]["disruption"]["consolidateAfter"],
        "1h"
    );
}
