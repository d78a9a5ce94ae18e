//! A cluster that does not answer, does not know us, or is too old: told, with exit code 7, and nothing changed.

use serde_json::json;

use super::world::{World, create, documents};
use crate::support::apiserver::ApiServer;
use crate::support::free_ports;
use crate::support::kind::NODE_POOL_V1BETA1;
use crate::support::run::{Brimful, Ended, NOW, entry, fixture};

/// `COMMAND` on the legacy fixture.
fn run(command: &str) -> Brimful {
    Brimful::new(command)
        .arg("--cur")
        .arg(fixture("cur/legacy"))
        .args(["--now", NOW])
}

fn kubeconfig(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("a kubeconfig is written");
    file
}

#[test]
fn an_api_server_that_is_down_ends_with_7_and_is_named() {
    let [port] = free_ports();
    let config = kubeconfig(
        &json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "down",
            "clusters": [{"name": "down", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "down", "user": {}}],
            "contexts": [{"name": "down", "context": {"cluster": "down", "user": "down"}}],
        })
        .to_string(),
    );
    for command in ["plan", "apply"] {
        let error = run(command).arg("--kubeconfig").arg(config.path()).fails(7);
        assert!(
            error.contains(&format!("http://127.0.0.1:{port}")),
            "{command}: {error}"
        );
        assert!(
            error.contains("does not answer") && error.contains("refused"),
            "{command}: {error}"
        );
    }
}

#[test]
fn a_kubeconfig_that_leads_nowhere_ends_with_7() {
    let missing = run("plan").args(["--kubeconfig", "/nonexistent/config"]).fails(7);
    assert!(missing.contains("/nonexistent/config"), "{missing}");
    let empty = kubeconfig("apiVersion: v1\nkind: Config\n");
    let unknown = run("plan")
        .arg("--kubeconfig")
        .arg(empty.path())
        .args(["--context", "prod"])
        .fails(7);
    assert!(
        unknown.contains("prod") && unknown.contains("--context"),
        "{unknown}"
    );
    let nowhere = run("plan").fails(7);
    assert!(
        nowhere.contains("no cluster to talk to") && nowhere.contains("--nodepools"),
        "{nowhere}"
    );
}

#[test]
fn a_token_that_is_not_accepted_ends_with_7() {
    let world = World::new();
    let before = world.pools();
    for command in ["plan", "apply"] {
        let error = world.run_as("not-a-token", command).fails(7);
        assert!(
            error.contains("401") && error.contains("does not accept these credentials"),
            "{command}: {error}"
        );
    }
    assert_eq!(world.pools(), before);
}

#[test]
fn a_cluster_of_before_karpenter_1_0_ends_with_7_and_says_what_is_needed() {
    let server = ApiServer::start_v1beta1();
    let old = json!({
        "apiVersion": "karpenter.sh/v1beta1", "kind": "NodePool", "metadata": {"name": "old"},
        "spec": {"weight": 10, "template": {"spec": {
            "nodeClassRef": {"apiVersion": "karpenter.k8s.aws/v1beta1", "kind": "EC2NodeClass", "name": "default"},
            "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}],
        }}},
    });
    create(&server, &[old]);
    let before = server.list(&NODE_POOL_V1BETA1);
    for command in ["plan", "apply"] {
        let error = run(command)
            .arg("--kubeconfig")
            .arg(server.admin_kubeconfig())
            .args(["--namespace", "default"])
            .fails(7);
        assert!(
            error.contains("karpenter.sh/v1beta1 only") && error.contains("1.0"),
            "{command}: {error}"
        );
    }
    assert_eq!(server.list(&NODE_POOL_V1BETA1), before);
}

#[test]
fn a_weight_that_the_server_refuses_is_told_in_its_own_words() {
    // A policy of the cluster's owner answers 422, as the CRD's own rules do.
    let world = World::new();
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "weights-are-ours"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["karpenter.sh"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodepools"],
            }]},
            "validations": [{
                "expression": "!has(object.spec.weight) || object.spec.weight <= 50",
                "message": "weights above 50 are the platform team's",
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "weights-are-ours"},
        "spec": {"policyName": "weights-are-ours", "validationActions": ["Deny"]},
    });
    world.server.apply(&policy.to_string());
    world.server.apply(&binding.to_string());
    // Policies take a moment to be in force: asked without storing anything until they are.
    let is_refused = || {
        let mut run = world.run("apply").arg("--dry-run=server");
        Ended::of(run.spawn()).code == Some(7)
    };
    assert!(
        (0..50).any(|_| is_refused()),
        "the policy is in force within 50 tries"
    );
    let done = world.run("apply").json(7);
    let refused = entry(&done["applied"], "nodePool", "memory-committed");
    assert_eq!(refused["result"], "refused");
    assert!(
        refused["message"]
            .as_str()
            .is_some_and(|m| m.contains("422") && m.contains("the platform team's")),
        "{refused}"
    );
    assert_eq!(
        (
            world.weight("memory-committed"),
            world.weight("general-committed")
        ),
        (Some(10), Some(1))
    );
}

#[test]
fn the_fixtures_are_what_the_real_crds_accept() {
    let world = World::new();
    let pools = world.pools();
    for object in documents(&fixture("nodepools.yaml")) {
        let name = object["metadata"]["name"].as_str().expect("a name");
        assert_eq!(
            pools[name]["spec"]["template"], object["spec"]["template"],
            "{name}"
        );
    }
}
