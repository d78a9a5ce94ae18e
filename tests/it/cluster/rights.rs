//! The shipped roles: enough for the work, and for nothing else.

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::world::World;
use crate::support::block_on;
use crate::support::kind::{CONFIG_MAP, Kind, NODE, NODE_CLAIM, NODE_POOL, POD, last};
use crate::support::run::{entry, text};

const SECRET: Kind = Kind::new("", "v1", "Secret", "secrets").namespaced();
const CLUSTER_ROLE: Kind = Kind::new("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles");
const REVIEW: Kind = Kind::new(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
);

/// What the API server says about a right: `group/resource`, in a namespace or (`-`) none.
pub(crate) fn may(client: &Client, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let (group, resource) = resource.split_once('/').expect("group/resource");
    let mut asked = json!({"verb": verb, "group": group, "resource": resource, "name": name});
    if namespace != "-" {
        asked["namespace"] = json!(namespace);
    }
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
        "spec": {"resourceAttributes": asked},
    });
    let review: DynamicObject = serde_json::from_value(review).expect("a review");
    let answer = block_on(REVIEW.api(client, "-").create(&PostParams::default(), &review));
    answer.expect("everybody may ask").data["status"]["allowed"] == true
}

#[test]
fn the_service_account_may_do_its_work_and_nothing_else() {
    let world = World::new();
    let client = world.server.client_for_token(&world.token);
    let allowed = [
        ("get", "karpenter.sh/nodepools", "-", "spot"),
        ("list", "karpenter.sh/nodepools", "-", ""),
        ("patch", "karpenter.sh/nodepools", "-", "spot"),
        ("list", "karpenter.sh/nodeclaims", "-", ""),
        ("list", "/nodes", "-", ""),
        ("create", "events.k8s.io/events", "default", ""),
        ("create", "/configmaps", "brimful", ""),
        ("get", "/configmaps", "brimful", "brimful-state"),
        ("patch", "/configmaps", "brimful", "brimful-state"),
        ("delete", "/configmaps", "brimful", "brimful-state"),
    ];
    for (verb, resource, namespace, name) in allowed {
        assert!(
            may(&client, verb, resource, namespace, name),
            "{verb} {resource} {namespace} {name}"
        );
    }
    let denied = [
        ("create", "karpenter.sh/nodepools", "-", ""),
        ("update", "karpenter.sh/nodepools", "-", "spot"),
        ("delete", "karpenter.sh/nodepools", "-", "spot"),
        ("deletecollection", "karpenter.sh/nodepools", "-", ""),
        ("patch", "karpenter.sh/nodepools/status", "-", "spot"),
        ("patch", "karpenter.sh/nodeclaims", "-", "x"),
        ("delete", "karpenter.sh/nodeclaims", "-", "x"),
        ("patch", "/nodes", "-", "x"),
        ("delete", "/nodes", "-", "x"),
        ("list", "/pods", "-", ""),
        ("create", "/pods/eviction", "default", "x"),
        ("list", "/secrets", "-", ""),
        ("get", "/secrets", "brimful", "x"),
        ("list", "/configmaps", "brimful", ""),
        ("get", "/configmaps", "default", "brimful-state"),
        ("create", "/configmaps", "default", ""),
        ("patch", "/configmaps", "brimful", "brimful-config"),
        ("delete", "/configmaps", "brimful", "brimful-config"),
        ("create", "events.k8s.io/events", "brimful", ""),
        ("list", "events.k8s.io/events", "default", ""),
        ("delete", "events.k8s.io/events", "default", "x"),
        ("create", "/serviceaccounts/token", "brimful", "brimful"),
        ("patch", "rbac.authorization.k8s.io/clusterroles", "-", "brimful"),
        ("create", "batch/jobs", "brimful", ""),
    ];
    for (verb, resource, namespace, name) in denied {
        assert!(
            !may(&client, verb, resource, namespace, name),
            "{verb} {resource} {namespace} {name}"
        );
    }
}

#[test]
fn what_the_service_account_may_not_do_the_server_refuses() {
    let world = World::new();
    let client = world.server.client_for_token(&world.token);
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    let node = world.server.list(&NODE)[0]["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let api = |kind: &Kind, name: &str| -> Api<DynamicObject> { kind.api(&client, name) };
    let refused = |what: &str, outcome: Result<(), Error>| match outcome {
        Err(Error::Api(status)) => assert_eq!(status.code, 403, "{what}: {status:?}"),
        other => panic!("{what}: {other:?}"),
    };
    let params = PatchParams::default();
    let delete = DeleteParams::default();
    let list = ListParams::default();
    block_on(async {
        refused(
            "delete a pool",
            api(&NODE_POOL, "-").delete("spot", &delete).await.map(drop),
        );
        refused(
            "patch a Node",
            api(&NODE, "-").patch(&node, &params, &patch).await.map(drop),
        );
        refused(
            "delete NodeClaims",
            api(&NODE_CLAIM, "-")
                .delete_collection(&delete, &list)
                .await
                .map(drop),
        );
        refused(
            "list secrets",
            api(&SECRET, "brimful/-").list(&list).await.map(drop),
        );
        refused("list pods", api(&POD, "default/-").list(&list).await.map(drop));
        let config = "brimful/brimful-config";
        refused(
            "patch its config",
            api(&CONFIG_MAP, config)
                .patch(last(config), &params, &patch)
                .await
                .map(drop),
        );
        refused(
            "widen its role",
            api(&CLUSTER_ROLE, "-")
                .patch("brimful", &params, &patch)
                .await
                .map(drop),
        );
    });
}

/// All that `apply` needs but for one rule.
pub(super) fn all_but(verb: &str, resource: &str) -> Value {
    let rules = [
        ("karpenter.sh", "nodepools", vec!["get", "list", "patch"]),
        ("karpenter.sh", "nodeclaims", vec!["list"]),
        ("", "nodes", vec!["list"]),
        ("", "configmaps", vec!["get", "create", "patch"]),
        ("events.k8s.io", "events", vec!["create"]),
    ];
    let without = |name: &str, verbs: Vec<&'static str>| -> Vec<&str> {
        verbs
            .into_iter()
            .filter(|one| (*one, name) != (verb, resource))
            .collect()
    };
    let rules = rules
        .into_iter()
        .map(|(group, name, verbs)| (group, name, without(name, verbs)));
    rules
        .filter(|(_, _, verbs)| !verbs.is_empty())
        .map(|(group, name, verbs)| json!({"apiGroups": [group], "resources": [name], "verbs": verbs}))
        .collect()
}

#[test]
fn a_right_that_is_missing_ends_the_run_with_7_and_names_the_rule_to_add() {
    let world = World::new();
    let before = world.pools();
    for (verb, resource, named, rule) in [
        (
            "get",
            "configmaps",
            "cannot get configmaps \"brimful-state\" in namespace \"brimful\": 403 Forbidden",
            "a Role in namespace \"brimful\": apiGroups [\"\"], resources [\"configmaps\"], verbs [\"get\"]",
        ),
        (
            "create",
            "configmaps",
            "cannot create configmaps",
            "a Role in namespace \"brimful\": apiGroups [\"\"], resources [\"configmaps\"], verbs [\"create\"]",
        ),
        (
            "list",
            "nodepools",
            "cannot list nodepools.karpenter.sh: 403 Forbidden",
            "a ClusterRole: apiGroups [\"karpenter.sh\"], resources [\"nodepools\"], verbs [\"list\"]",
        ),
        (
            "list",
            "nodes",
            "cannot list nodes: 403 Forbidden",
            "a ClusterRole: apiGroups [\"\"], resources [\"nodes\"], verbs [\"list\"]",
        ),
    ] {
        let token = world.account(&format!("without-{verb}-{resource}"), &all_but(verb, resource));
        let error = world.run_as(&token, "apply").fails(7);
        assert!(error.contains(named), "{verb} {resource}: {error}");
        assert!(error.contains(rule), "{verb} {resource}: {error}");
    }
    assert_eq!(world.pools(), before);
}

#[test]
fn a_pool_that_may_not_be_patched_is_told_and_the_run_ends_with_7() {
    let world = World::new();
    let before = world.pools();
    let token = world.account("without-patch-nodepools", &all_but("patch", "nodepools"));
    let done = world.run_as(&token, "apply").json(7);
    for name in ["general-committed", "memory-committed"] {
        let applied = entry(&done["applied"], "nodePool", name);
        assert_eq!(applied["result"], "refused");
        assert!(text(&applied["message"]).contains("403"), "{applied}");
    }
    assert_eq!(world.pools(), before);
    let told = world.server.events();
    assert!(
        told.len() == 2 && told.iter().all(|event| event["reason"] == "WeightRefused"),
        "{told:#?}"
    );
}

#[test]
fn without_node_claims_or_events_it_goes_on_and_says_so() {
    let world = World::new();
    let token = world.account("without-list-nodeclaims", &all_but("list", "nodeclaims"));
    let planned = world.run_as(&token, "plan").json(0);
    let warning = entry(&planned["warnings"], "code", "no-node-claims");
    assert!(
        text(&warning["message"]).contains("drift and expiry are not seen"),
        "{warning}"
    );
    let token = world.account("without-create-events", &all_but("create", "events"));
    let done = world.run_as(&token, "apply").args(["-o", "json"]).ends(0);
    assert!(done.stderr.contains("cannot publish an Event"), "{done:?}");
    assert_eq!(world.weight("memory-committed"), Some(60));
}
