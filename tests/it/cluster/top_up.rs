//! Spot nodes given up on a real API server: what is deleted, what is told of it, and what rights and admission policy let
//! through. (There is no Karpenter here that launches anew for their pods: see `karpenter::top_up`.)

use std::path::Path;

use kube::api::{Api, DeleteParams, DynamicObject};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::world::{World, documents};
use crate::support::block_on;
use crate::support::kind::{NODE, NODE_CLAIM, POD};
use crate::support::receiver::Receiver;
use crate::support::run::{Brimful, entry, text};

/// Deletes a claim as whoever the client is; a dry run shows whether it would be.
pub(crate) fn delete_claim(client: &Client, name: &str, dry_run: bool) -> Result<(), Error> {
    let api: Api<DynamicObject> = NODE_CLAIM.api(client, name);
    let params = DeleteParams {
        dry_run,
        ..DeleteParams::default()
    };
    block_on(api.delete(name, &params)).map(drop)
}

const CONFIG: &str = "{topUp: {nodesPerHour: 6, from: [spot]}}";
/// It has room for two more `r6i.xlarge`.
const POOL: &str = "memory-committed";

/// Nodes of the pool `spot` with a claim and a pod each, all on Spot and ready; the rights and the policy of
/// `manifests/top-up`.
fn world() -> (World, Vec<String>) {
    let (world, names) = without_policy();
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/top-up/admission-policy.yaml");
    for object in documents(&policy) {
        world.server.apply(&object.to_string());
    }
    (world, names)
}

/// The same with the rights alone.
fn without_policy() -> (World, Vec<String>) {
    let world = World::new();
    let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/top-up/rbac.yaml");
    for object in documents(&rights) {
        world.server.apply(&object.to_string());
    }
    let is_spot = |node: &Value| node["metadata"]["labels"]["karpenter.sh/nodepool"] == "spot";
    let mut names = Vec::new();
    for node in world.server.list(&NODE).into_iter().filter(is_spot) {
        let name = text(&node["metadata"]["name"]).to_owned();
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        world.server.patch_status(&NODE, &name, &ready);
        claim(&world, &name, &node["metadata"]["labels"]);
        pod(&world, &name);
        names.push(name);
    }
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    (world, names)
}

fn claim(world: &World, node: &str, labels: &Value) {
    let labels: Value = labels
        .as_object()
        .expect("labels")
        .iter()
        .filter(|(key, _)| key.contains("karpenter.sh/") || key.contains("instance-type"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let claim = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": short(node), "labels": labels},
        "spec": {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}, "requirements": []},
    });
    world.server.apply(&claim.to_string());
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": kind, "message": "",
            "lastTransitionTime": "2026-11-21T06:00:58Z"})
    };
    let status = json!({"nodeName": node, "conditions": [condition("Launched"), condition("Registered")]});
    world.server.patch_status(&NODE_CLAIM, &short(node), &status);
}

/// The claim's name, and the pod's.
fn short(node: &str) -> String {
    node.split('.').next().unwrap_or(node).to_owned()
}

fn pod(world: &World, node: &str) {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": short(node), "namespace": "default", "labels": {"app": short(node)}, "ownerReferences": [owner]},
        "spec": {"nodeName": node, "containers": [{"name": "work", "image": "none"}]},
    });
    world.server.apply(&pod.to_string());
    world
        .server
        .patch_status(&POD, &short(node), &json!({"phase": "Running"}));
}

fn claims(world: &World) -> Vec<String> {
    let claims = world.server.list(&NODE_CLAIM).into_iter();
    claims
        .map(|claim| text(&claim["metadata"]["name"]).to_owned())
        .collect()
}

fn apply_at(world: &World, time: &str) -> Brimful {
    world.run_at("apply", time).config(CONFIG)
}

#[test]
fn one_spot_node_is_given_up_once_the_weight_is_right_and_all_that_looks_back_tells_it() {
    let (world, nodes) = world();
    world.manage_only(POOL);
    let before = claims(&world);
    // A pod that must not go keeps its node.
    let kept = short(&nodes[0]);
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": kept}}},
    });
    world.server.apply(&budget.to_string());

    let first = apply_at(&world, "2026-11-21T18:00:00Z").json(0);
    let planned = entry(&first["nodePools"], "name", POOL);
    assert_eq!(planned["topUp"]["waits"], "its weight comes first");
    assert_eq!((claims(&world), &first["moved"]), (before.clone(), &Value::Null));

    let observed = world
        .run_at("apply", "2026-11-21T18:10:00Z")
        .config("{mode: observe, topUp: {nodesPerHour: 6, from: [spot]}}")
        .json(0);
    assert_eq!(
        (text(&observed["moved"]["result"]), claims(&world)),
        ("unchanged", before.clone())
    );

    let receiver = Receiver::start();
    let told = format!("[{{url: '{}', events: [move]}}]", receiver.endpoint());
    let config = format!("{{topUp: {{nodesPerHour: 6, from: [spot]}}, notify: {{webhooks: {told}}}}}");
    let run = world.run_at("apply", "2026-11-21T18:10:00Z").config(&config);
    let done = run.json(0);
    let moved = &done["moved"];
    let gone = text(&moved["nodeClaim"]).to_owned();
    assert_eq!(
        (text(&moved["result"]), text(&moved["from"]), text(&moved["to"])),
        ("moved", "spot", POOL)
    );
    let left: Vec<String> = before.iter().filter(|name| **name != gone).cloned().collect();
    assert_eq!(claims(&world), left);
    assert_ne!(gone, kept);
    let planned = entry(&done["nodePools"], "name", POOL);
    assert!(text(&planned["reason"]).contains(&format!("NodeClaim {gone} of spot moves over")));
    let told = world.server.events().into_iter();
    let told: Vec<Value> = told.filter(|event| event["reason"] == "SpotNodeMoved").collect();
    assert_eq!((told.len(), text(&told[0]["regarding"]["name"])), (1, POOL));
    let notices = receiver.take();
    let notice = &notices[0].json()["events"][0];
    assert_eq!(
        (
            notices.len(),
            &notice["event"],
            &notice["nodeClaim"],
            &notice["to"]
        ),
        (1, &json!("move"), &json!(gone), &json!(POOL))
    );
    let history = world.look_back().json(0);
    let changes = history["entries"].as_array().expect("entries");
    let last = changes
        .iter()
        .find(|change| change["action"] == "move")
        .expect("the move");
    assert!(text(&last["reason"]).contains(&gone), "{last}");

    // By the test's clock the other claims are made later: Spot launched, the pool did not.
    let again = apply_at(&world, "2026-11-21T18:20:00Z").json(0);
    let planned = entry(&again["nodePools"], "name", POOL);
    assert!(planned["topUp"].is_object(), "{planned}");
}

#[test]
fn without_the_right_to_see_pods_nothing_moves_and_without_that_to_delete_it_is_told() {
    let (world, _) = world();
    world.manage_only(POOL);
    apply_at(&world, "2026-11-21T18:00:00Z").json(0);
    let before = claims(&world);
    let role = |rules: Value| {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "brimful-top-up"}, "rules": rules});
        world.server.apply(&role.to_string());
    };
    let lists = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["list"]}]);
    role(lists);
    let refused = apply_at(&world, "2026-11-21T18:10:00Z").json(7);
    assert_eq!(refused["moved"]["result"], "refused");
    assert!(text(&refused["moved"]["message"]).contains("403"), "{refused:#}");
    role(json!([]));
    let blind = apply_at(&world, "2026-11-21T18:20:00Z").json(0);
    let codes: Vec<&str> = blind["warnings"]
        .as_array()
        .expect("warnings")
        .iter()
        .map(|warning| text(&warning["code"]))
        .collect();
    assert!(codes.contains(&"no-pods"), "{codes:?}");
    assert_eq!(claims(&world), before);
}

/// A run looks by a dry run whether it could delete what it must not.
#[test]
fn without_the_admission_policy_nothing_is_deleted() {
    let (world, _) = without_policy();
    world.manage_only(POOL);
    let is_own = |node: &Value| node["metadata"]["labels"]["karpenter.sh/nodepool"] == POOL;
    let mut nodes = world.server.list(&NODE).into_iter();
    let own = nodes.find(is_own).expect("a node on demand");
    claim(&world, text(&own["metadata"]["name"]), &own["metadata"]["labels"]);
    apply_at(&world, "2026-11-21T18:00:00Z").json(0);
    let before = claims(&world);
    let refused = apply_at(&world, "2026-11-21T18:10:00Z").json(7);
    assert_eq!(refused["moved"]["result"], "refused");
    let message = text(&refused["moved"]["message"]);
    assert!(
        message.contains("admission policy") && message.contains("not in force"),
        "{message}"
    );
    assert_eq!(claims(&world), before);
}

/// RBAC lets the account delete any claim; the policy leaves it those of Spot in the pools that it names.
#[test]
fn the_admission_policy_lets_nothing_be_deleted_but_spot_of_the_named_pools() {
    let (world, nodes) = world();
    let others = [
        ("of-demand", "spot", "on-demand"),
        ("elsewhere", "arm-spot", "spot"),
    ];
    for (name, pool, capacity) in others {
        claim(
            &world,
            name,
            &json!({"karpenter.sh/nodepool": pool, "karpenter.sh/capacity-type": capacity}),
        );
    }
    let client = world.server.client_for_token(&world.token);
    let delete = |name: &str, dry_run: bool| delete_claim(&client, name, dry_run);
    let refused = |name: &str, why: &str| match delete(name, false) {
        Err(Error::Api(status)) if status.message.contains(why) => true,
        Ok(()) => false,
        Err(other) => panic!("{name}: {other}"),
    };
    // A new policy is in force a moment later: until then the server would let it be deleted.
    let start = std::time::Instant::now();
    while delete("of-demand", true).is_ok() {
        assert!(start.elapsed().as_secs() < 60, "the policy is not in force");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(refused("of-demand", "NodeClaims of Spot only"));
    assert!(refused("elsewhere", "NodePools in topUp.from only"));
    delete(&short(&nodes[0]), false).expect("a Spot claim of the pool spot");
}
