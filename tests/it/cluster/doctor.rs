//! `doctor` on real servers: what is well, what is missing, and that nothing is changed.

use std::time::Duration;

use serde_json::{Value, json};

use super::rights::all_but;
use super::world::{World, create, documents, install};
use crate::contract::{DOCTOR, check};
use crate::support::apiserver::ApiServer;
use crate::support::kind::{CUSTOM_RESOURCE_DEFINITION, Kind, NODE_OVERLAY, NODE_POOL};
use crate::support::run::{Brimful, Ended, NOW, entry, fixture, text};
use crate::support::s3::{Identity, S3};

const DEPLOYMENT: Kind = Kind::new("apps", "v1", "Deployment", "deployments").namespaced();
const NODE_POOL_CRD: &str = "nodepools.karpenter.sh";

/// The checks of that id, of whatever subject.
fn of<'a>(diagnosis: &'a Value, id: &str) -> Vec<&'a Value> {
    let checks = diagnosis["checks"].as_array().expect("checks");
    checks.iter().filter(|check| check["id"] == id).collect()
}

#[track_caller]
fn only<'a>(diagnosis: &'a Value, id: &str) -> &'a Value {
    match of(diagnosis, id).as_slice() {
        [one] => one,
        others => panic!("{} checks {id} in {diagnosis:#}", others.len()),
    }
}

#[track_caller]
fn is(diagnosis: &Value, id: &str, status: &str, message: &str) {
    let check = only(diagnosis, id);
    assert_eq!(check["status"], status, "{check:#}");
    assert!(text(&check["message"]).contains(message), "{check:#}");
}

fn failed(diagnosis: &Value) -> Vec<&str> {
    let checks = diagnosis["checks"].as_array().expect("checks").iter();
    checks
        .filter(|check| check["status"] == "fail")
        .map(|check| text(&check["id"]))
        .collect()
}

#[test]
fn with_the_shipped_manifests_all_is_well_and_nothing_is_changed() {
    let world = World::new();
    let before = world.pools();
    let diagnosis = world.doctor().json(0);
    check(&DOCTOR, &diagnosis);
    assert_eq!(failed(&diagnosis), Vec::<&str>::new(), "{diagnosis:#}");
    is(&diagnosis, "aws-identity", "ok", "arn:aws:iam::000000000000:root");
    is(&diagnosis, "s3-list", "ok", "objects below s3://");
    is(&diagnosis, "s3-get", "ok", "can be read");
    is(&diagnosis, "report-found", "ok", "billing/acme-hourly at s3://");
    is(&diagnosis, "report-delivered", "ok", "ago");
    is(
        &diagnosis,
        "cluster",
        "ok",
        "as system:serviceaccount:brimful:brimful",
    );
    assert_eq!(only(&diagnosis, "cluster")["cure"], Value::Null);
    is(
        &diagnosis,
        "karpenter-api",
        "ok",
        "the CRDs are those of Karpenter 1.15 or newer",
    );
    is(
        &diagnosis,
        "karpenter-version",
        "ok",
        "its Deployment is not visible here",
    );
    is(&diagnosis, "node-overlays", "skipped", "not granted");
    let rights = of(&diagnosis, "right");
    assert!(
        rights.len() == 10 && rights.iter().all(|right| right["status"] == "ok"),
        "{rights:#?}"
    );
    assert_eq!((world.pools(), world.state()), (before, None));
    assert_eq!(world.server.events(), Vec::<Value>::new());
}

#[test]
fn every_missing_right_is_named_with_the_rule_and_the_report_is_judged_all_the_same() {
    let world = World::new();
    let token = world.account("nobody", &json!([]));
    let diagnosis = world.doctor_as(&token).json(7);
    check(&DOCTOR, &diagnosis);
    let rights = of(&diagnosis, "right");
    let missing = |status: &str| rights.iter().filter(|right| right["status"] == status).count();
    assert_eq!((missing("fail"), missing("warn")), (7, 3), "{rights:#?}");
    let patch = entry(&diagnosis["checks"], "subject", "patch nodepools.karpenter.sh");
    assert_eq!(patch["message"], "system:serviceaccount:default:nobody may not");
    assert!(
        text(&patch["cure"]).contains("apiGroups: [\"karpenter.sh\"]"),
        "{patch:#}"
    );
    is(
        &diagnosis,
        "nodepools",
        "fail",
        "cannot list nodepools.karpenter.sh: 403",
    );
    is(&diagnosis, "report-fresh", "ok", "reaches to");
    is(&diagnosis, "state", "skipped", "403");
}

#[test]
fn without_nodes_or_claims_the_pools_are_judged_all_the_same() {
    let world = World::new();
    let token = world.account("without-list-nodes", &all_but("list", "nodes"));
    let diagnosis = world.doctor_as(&token).json(7);
    let nodes = entry(&diagnosis["checks"], "subject", "list nodes");
    assert_eq!(nodes["status"], "fail");
    is(&diagnosis, "managed", "ok", "3 of 8");
}

#[test]
fn a_patch_granted_pool_by_pool_is_granted() {
    let world = World::new();
    let mut rules = all_but("patch", "nodepools");
    let named = ["general-committed", "memory-committed", "batch-committed"];
    let rule = json!({"apiGroups": ["karpenter.sh"], "resources": ["nodepools"], "resourceNames": named, "verbs": ["patch"]});
    rules.as_array_mut().expect("rules").push(rule);
    let token = world.account("by-name", &rules);
    let diagnosis = world.doctor_as(&token).json(0);
    let patch = entry(&diagnosis["checks"], "subject", "patch nodepools.karpenter.sh");
    assert!(
        text(&patch["message"]).contains("granted on batch-committed, general-committed"),
        "{patch:#}"
    );
}

#[test]
fn another_user_can_be_asked_for_by_whoever_may_impersonate() {
    let world = World::new();
    let doctor = |token: &str| {
        world
            .doctor_as(token)
            .args(["--as", "system:serviceaccount:brimful:brimful"])
    };
    let admin = Brimful::new("doctor")
        .args([
            "--cur",
            "fixtures/cur/legacy",
            "--now",
            NOW,
            "--as",
            "system:serviceaccount:brimful:brimful",
        ])
        .arg("--kubeconfig")
        .arg(world.server.admin_kubeconfig())
        .json(0);
    is(
        &admin,
        "cluster",
        "ok",
        "as system:serviceaccount:brimful:brimful",
    );
    is(&admin, "node-overlays", "skipped", "not granted");
    let refused = doctor(&world.token).json(7);
    is(&refused, "cluster", "fail", "cannot impersonate");
    is(&refused, "report-hourly", "ok", "HOURLY");
}

#[test]
fn an_s3_stranger_ends_with_6_and_the_missing_action() {
    let world = World::new();
    let diagnosis = world
        .doctor()
        .envs(S3::shared().env_as(Identity::Stranger))
        .json(6);
    assert_eq!(failed(&diagnosis), ["s3-list"], "{diagnosis:#}");
    assert!(text(&only(&diagnosis, "s3-list")["cure"]).contains("s3:ListBucket on arn:aws:s3:::world-"));
    is(&diagnosis, "report-found", "skipped", "could not be read");
    is(&diagnosis, "managed", "ok", "3 of 8");
    assert_eq!(of(&diagnosis, "unprotected").len(), 1, "{diagnosis:#}");
}

#[test]
fn a_wrong_bucket_ends_with_4_and_hides_nothing_else() {
    let world = World::new();
    let diagnosis = Brimful::new("doctor")
        .args(["--now", NOW, "--cur", "s3://no-such-bucket"])
        .arg("--kubeconfig")
        .arg(world.server.kubeconfig_for_token(&world.token))
        .envs(S3::shared().env())
        .json(4);
    assert_eq!(failed(&diagnosis), ["s3-list"], "{diagnosis:#}");
    is(&diagnosis, "s3-list", "fail", "there is no bucket no-such-bucket");
    // AWS is not asked about credentials that are not its own.
    is(&diagnosis, "aws-identity", "skipped", "AWS_ENDPOINT_URL_STS");
    assert_eq!(of(&diagnosis, "mixed").len(), 1, "{diagnosis:#}");
}

#[test]
fn sts_that_does_not_answer_is_no_failure() {
    let world = World::new();
    let [port] = crate::support::free_ports();
    let diagnosis = world
        .doctor()
        .env("AWS_ENDPOINT_URL_STS", format!("http://127.0.0.1:{port}"))
        .json(0);
    is(&diagnosis, "aws-identity", "warn", "STS does not answer");
}

#[test]
fn a_cluster_of_before_karpenter_1_0_is_refused() {
    let server = ApiServer::start_v1beta1();
    let diagnosis = Brimful::new("doctor")
        .args(["--cur", "fixtures/cur/legacy", "--now", NOW])
        .arg("--kubeconfig")
        .arg(server.admin_kubeconfig())
        .json(7);
    is(
        &diagnosis,
        "karpenter-api",
        "fail",
        "only karpenter.sh/v1beta1 is served",
    );
    is(&diagnosis, "nodepools", "fail", "v1beta1 only");
    is(&diagnosis, "report-hourly", "ok", "HOURLY");
}

/// A command on a cluster with the CRDs of Karpenter 1.0.
fn on(server: &ApiServer, command: &str) -> Brimful {
    Brimful::new(command)
        .args(["--cur", "fixtures/cur/legacy", "--now", NOW])
        .arg("--kubeconfig")
        .arg(server.kubeconfig_for_token(&server.service_account_token("brimful", "brimful")))
}

#[test]
fn karpenter_1_0_is_served_as_well_as_the_newest_and_another_weight_is_refused() {
    let server = ApiServer::start_oldest();
    install(&server);
    let is_static = |object: &Value| object["spec"].get("replicas").is_some(); // since 1.8
    let pools: Vec<Value> = documents(&fixture("nodepools.yaml"))
        .into_iter()
        .filter(|pool| !is_static(pool))
        .collect();
    create(&server, &pools);
    create(&server, &documents(&fixture("nodes.yaml")));

    let diagnosis = on(&server, "doctor").json(0);
    assert_eq!(failed(&diagnosis), Vec::<&str>::new(), "{diagnosis:#}");
    is(
        &diagnosis,
        "karpenter-api",
        "ok",
        "the CRDs are those of Karpenter 1.0 to 1.3",
    );
    is(&diagnosis, "node-overlays", "ok", "has no NodeOverlays");

    let newest = World::new();
    let changes = |document: &Value| document["changes"].clone();
    let planned = on(&server, "plan").json(0);
    assert_eq!(changes(&planned), changes(&newest.run("plan").json(0)));
    assert!(!changes(&planned).as_array().expect("changes").is_empty());
    let applied = on(&server, "apply").json(0);
    for change in changes(&planned).as_array().expect("changes") {
        let name = text(&change["nodePool"]);
        assert_eq!(entry(&applied["applied"], "nodePool", name)["result"], "patched");
        let stored = server.get(&NODE_POOL, name).expect("the pool");
        assert_eq!(stored["spec"]["weight"], change["to"], "{name}");
    }

    // A Karpenter to come, whose weights mean something else.
    let crd = server
        .get(&CUSTOM_RESOURCE_DEFINITION, NODE_POOL_CRD)
        .expect("the CRD");
    let versions = crd["spec"]["versions"].as_array().expect("versions");
    let v1 = versions
        .iter()
        .position(|version| version["name"] == "v1")
        .expect("v1");
    let mut versions = versions.clone();
    versions[v1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["weight"]["maximum"] =
        json!(1000);
    server.patch(
        &CUSTOM_RESOURCE_DEFINITION,
        NODE_POOL_CRD,
        &json!({"spec": {"versions": versions}}),
    );
    let weights = || -> Vec<Value> {
        server
            .list(&NODE_POOL)
            .iter()
            .map(|pool| pool["spec"].clone())
            .collect()
    };
    let before = weights();
    // The server publishes the schema a moment later.
    let refused = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let ended = Ended::of(on(&server, "plan").spawn());
        (ended.code == Some(7)).then_some(ended.stderr)
    });
    let refused = refused.expect("plan refuses within 10 s");
    assert!(
        refused.contains("from 1 to 1000") && refused.contains("nothing is changed"),
        "{refused}"
    );
    let error = on(&server, "apply").fails(7);
    assert!(error.contains("from 1 to 1000"), "{error}");
    assert_eq!(weights(), before);
    is(
        &on(&server, "doctor").json(7),
        "karpenter-api",
        "fail",
        "`apply` refuses it",
    );
}

/// `doctor` as the administrator.
fn as_admin(world: &World) -> Brimful {
    Brimful::new("doctor")
        .args(["--cur", "fixtures/cur/legacy", "--now", NOW])
        .arg("--kubeconfig")
        .arg(world.server.admin_kubeconfig())
}

#[test]
fn a_newer_karpenter_than_tested_is_a_warning_and_apply_goes_on() {
    let world = World::new();
    let deployment = |version: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "karpenter", "namespace": "kube-system",
                "labels": {"app.kubernetes.io/name": "karpenter", "app.kubernetes.io/version": version}},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "controller", "image": "karpenter/controller:x"}]}}}})
        .to_string()
    };
    world.server.apply(&deployment("1.16.0"));
    let newer = as_admin(&world).json(0);
    world.server.apply(&deployment("1.15.1"));
    let known = as_admin(&world).json(0);
    world.server.delete(&DEPLOYMENT, "kube-system/karpenter");
    is(
        &newer,
        "karpenter-version",
        "warn",
        "1.16.0 is newer than what Brimful is tested with (tested: 1.0 to 1.15)",
    );
    is(&known, "karpenter-version", "ok", "1.15.1");
    assert!(text(&only(&known, "cluster")["cure"]).contains("--as system:serviceaccount:brimful:brimful"));
}

#[test]
fn a_gitops_owner_of_the_weight_is_named_with_the_cure() {
    let world = World::new();
    let mut pool = documents(&fixture("nodepools.yaml"))
        .into_iter()
        .find(|pool| pool["metadata"]["name"] == "general-committed")
        .expect("the pool");
    pool["metadata"] = json!({"name": "general-committed", "labels": {"brimful.dev/managed": "true"}});
    pool.as_object_mut().expect("an object").remove("status");
    world.server.apply_as("argocd-controller", &pool.to_string());
    let diagnosis = world.doctor().json(0);
    let found = only(&diagnosis, "gitops");
    assert_eq!(
        (&found["subject"], &found["status"]),
        (&json!("general-committed"), &json!("warn"))
    );
    assert!(
        text(&found["message"]).starts_with("argocd-controller sets spec.weight"),
        "{found:#}"
    );
    assert!(
        text(&found["cure"]).contains("jsonPointers: [/spec/weight]"),
        "{found:#}"
    );
}

#[test]
fn an_overlay_that_changes_prices_is_told_to_whoever_may_see_it() {
    let world = World::new();
    let overlay = |name: &str, spec: Value| {
        let mut spec = spec;
        spec["requirements"] =
            json!([{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}]);
        let object = json!({"apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": name}, "spec": spec});
        world.server.apply(&object.to_string());
    };
    overlay("more-memory", json!({"capacity": {"example.com/widgets": "1"}}));
    is(
        &as_admin(&world).json(0),
        "node-overlays",
        "ok",
        "none changes prices",
    );
    overlay("cheap-on-demand", json!({"priceAdjustment": "-90%"}));
    let diagnosis = as_admin(&world).json(0);
    is(&diagnosis, "node-overlays", "warn", "cheap-on-demand change");
    assert_eq!(world.server.list(&NODE_OVERLAY).len(), 2);
}

#[test]
fn a_built_in_pool_of_auto_mode_is_never_patched() {
    let world = World::new();
    let mut pool = documents(&fixture("nodepools.yaml"))
        .into_iter()
        .find(|pool| pool["metadata"]["name"] == "memory-committed")
        .expect("the pool");
    pool["metadata"] = json!({"name": "general-purpose", "labels": {"app.kubernetes.io/managed-by": "eks"}});
    create(&world.server, &[pool]);
    let before = world.pools()["general-purpose"].clone();
    let config = "nodePools: {names: [general-purpose]}";
    let applied = world.run("apply").config(config).json(0);
    let planned = entry(&applied["nodePools"], "name", "general-purpose");
    assert_eq!(planned["decision"], "none");
    assert!(
        text(&planned["reason"]).contains("built-in pool of EKS Auto Mode"),
        "{planned:#}"
    );
    assert_eq!(world.pools()["general-purpose"], before);
    let diagnosis = world.doctor().config(config).json(0);
    assert!(text(&only(&diagnosis, "built-in")["cure"]).contains("kind: NodeClass"));
}

/// As `aws eks update-kubeconfig` writes it: the context's cluster is called by its ARN.
#[test]
fn the_cluster_s_name_comes_from_the_kubeconfig_s_arn_until_a_node_says_it() {
    let server = ApiServer::exclusive();
    install(&server);
    create(&server, &documents(&fixture("nodepools.yaml")));
    let path = server.admin_kubeconfig();
    let config = std::fs::read_to_string(&path).expect("the kubeconfig");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    let arn = json!("arn:aws:eks:us-east-2:111122223333:cluster/prod");
    config["clusters"][0]["name"] = arn.clone();
    config["contexts"][0]["context"]["cluster"] = arn;
    std::fs::write(&path, config.to_string()).expect("the kubeconfig");
    let doctor = || {
        let run = Brimful::new("doctor").args(["--cur", "fixtures/cur/legacy", "--now", NOW, "--kubeconfig"]);
        run.arg(&path).json(0)
    };
    let diagnosis = doctor();
    check(&DOCTOR, &diagnosis);
    is(
        &diagnosis,
        "cluster-name",
        "ok",
        "prod, by the ARN in the kubeconfig",
    );
    create(&server, &documents(&fixture("nodes.yaml")));
    assert_eq!(of(&doctor(), "cluster-name"), Vec::<&Value>::new());
}
