//! The optional admission policy: even with every right, Brimful's `ServiceAccount` changes weight, limits and its own
//! annotations, and nothing else of a `NodePool`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
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
    patched_of(client, "spot", patch, subresource, dry_run)
}

fn patched_of(
    client: &Client,
    pool: &str,
    patch: &Value,
    subresource: &str,
    dry_run: bool,
) -> Result<(), String> {
    let api: Api<DynamicObject> = NODE_POOL.api(client, pool);
    let params = PatchParams {
        dry_run,
        ..PatchParams::default()
    };
    let patch = Patch::Merge(patch);
    let answer = block_on(async {
        match subresource {
            "" => api.patch(pool, &params, &patch).await,
            "status" => api.patch_status(pool, &params, &patch).await,
            other => panic!("no subresource {other}"),
        }
    });
    said(answer.map(drop))
}

/// Replaces the pool `spot` as it is, but for this merge patch.
fn put(world: &World, client: &Client, patch: &Value) -> Result<(), String> {
    let mut pool = world.pools()["spot"].clone();
    merge(&mut pool, patch);
    let pool: DynamicObject = serde_json::from_value(pool).expect("a NodePool");
    let api: Api<DynamicObject> = NODE_POOL.api(client, "spot");
    said(block_on(api.replace("spot", &PostParams::default(), &pool)).map(drop))
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    for (key, value) in fields {
        merge(&mut into[key.as_str()], value);
    }
}

/// Server-side apply of these fields of the pool `spot`, by force.
fn applied(client: &Client, mut fields: Value) -> Result<(), String> {
    merge(
        &mut fields,
        &json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "spot"}}),
    );
    let api: Api<DynamicObject> = NODE_POOL.api(client, "spot");
    let params = PatchParams::apply("brimful").force();
    said(block_on(api.patch("spot", &params, &Patch::Apply(&fields))).map(drop))
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
    // Its own entry among the budgets, on or off until a time, in whatever order.
    let users = world.pools()["spot"]["spec"]["disruption"]["budgets"].clone();
    for schedule in ["0 0 * * *", "20 18 21 11 *"] {
        let mut budgets = users.as_array().expect("Karpenter's default is written").clone();
        let own =
            json!({"nodes": "0", "reasons": ["Underutilized"], "schedule": schedule, "duration": "8736h"});
        budgets.insert(0, own);
        let patch = json!({"spec": {"disruption": {"budgets": budgets}}});
        assert_eq!(patched(&client, &patch, "", false), Ok(()), "{patch}");
    }
    let patch = json!({"spec": {"disruption": {"budgets": users}}});
    assert_eq!(patched(&client, &patch, "", false), Ok(()), "{patch}");
    // However it is sent.
    assert_eq!(put(&world, &client, &json!({"spec": {"weight": 11}})), Ok(()));
    assert_eq!(world.weight("spot"), Some(11));
    assert_eq!(applied(&client, json!({"spec": {"weight": 12}})), Ok(()));
    assert_eq!(world.weight("spot"), Some(12));
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
#[allow(clippy::too_many_lines, reason = "one table of what is refused")]
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
            json!({"spec": {"disruption": {"consolidationPolicy": "WhenEmpty", "budgets": []}}}),
            spec,
        ),
        (
            json!({"spec": {"disruption": {"budgets": [
                {"nodes": "10%"}, {"nodes": "0", "reasons": ["Underutilized"], "schedule": "0 0 * * *", "duration": "1h"}]}}}),
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
        (
            json!({"metadata": {"ownerReferences": [
                {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "a"}]}}),
            metadata,
        ),
        // A field that is gone comes back as its default.
        (json!({"spec": {"disruption": null}}), spec),
    ] {
        let told = patched(&client, &patch, "", false).expect_err(&patch.to_string());
        assert!(told.starts_with("422") && told.contains(why), "{patch}: {told}");
    }
    let disruption = json!({"spec": {"disruption": {"consolidateAfter": "1h"}}});
    let put = put(&world, &client, &disruption);
    assert!(put.is_err_and(|told| told.starts_with("422") && told.contains(spec)));
    let applied = applied(&client, disruption);
    assert!(applied.is_err_and(|told| told.starts_with("422") && told.contains(spec)));
    let more = patched_of(
        &client,
        "static-ingress",
        &json!({"spec": {"replicas": 9}}),
        "",
        false,
    );
    assert!(more.is_err_and(|told| told.starts_with("422") && told.contains(spec)));
    // Karpenter's own rules refuse these before the policy is asked.
    for (pool, patch) in [
        ("spot", json!({"spec": {"replicas": 9}})),
        ("spot", json!({"spec": {"replicas": 9, "weight": null}})),
        ("static-ingress", json!({"spec": {"replicas": null}})),
        ("spot", json!({"spec": {"template": null}})),
    ] {
        let told = patched_of(&client, pool, &patch, "", false).expect_err(&patch.to_string());
        assert!(told.starts_with("422"), "{patch}: {told}");
    }
    let only_updates = "may update NodePools only";
    let status = patched(&client, &json!({"status": {"nodes": 3}}), "status", false);
    assert!(status.is_err_and(|told| told.contains(only_updates)));
    let api: Api<DynamicObject> = NODE_POOL.api(&client, "spot");
    let deleted = said(block_on(api.delete("spot", &DeleteParams::default())).map(drop));
    assert!(deleted.is_err_and(|told| told.contains(only_updates)));
    let (gone, all) = (DeleteParams::default(), ListParams::default());
    let deleted = said(block_on(api.delete_collection(&gone, &all)).map(drop));
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

/// What the policy's head admits.
#[test]
fn managed_fields_and_what_people_say_to_brimful_are_not_guarded() {
    let (world, client) = guarded();
    let paused = json!({"metadata": {"annotations": {"brimful.dev/paused": "true"}}});
    world.server.patch(&NODE_POOL, "spot", &paused);
    for patch in [
        json!({"metadata": {"managedFields": [{}]}}),
        json!({"metadata": {"annotations": {"brimful.dev/paused": null}}}),
    ] {
        assert_eq!(patched(&client, &patch, "", false), Ok(()), "{patch}");
    }
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
