//! The Helm chart: what it renders, what it refuses, and what it grants on a real kube-apiserver.

mod install;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::world::{documents, resources};
use crate::support::tools;

/// What has no default that could serve: the image, and where the report lies.
const MUST: [&str; 2] = ["image.repository=brimful", "config.cur.uri=s3://billing/exports"];

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/brimful")
}

/// helm, with nothing of the developer's own settings.
fn helm(args: &[&str]) -> Command {
    let mut helm = Command::new(tools::path("bin/helm"));
    let home = std::env::temp_dir().join("brimful-helm");
    helm.env_clear()
        .env("HOME", home)
        .env("NO_PROXY", "127.0.0.1")
        .args(args);
    helm
}

/// Its standard output, or what it said on standard error.
fn outcome(mut helm: Command) -> Result<String, String> {
    let ended = helm.output().expect("helm starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if ended.status.success() {
        Ok(text(&ended.stdout))
    } else {
        Err(text(&ended.stderr))
    }
}

/// `helm template brimful` with these values beside those that must be set.
fn template(values: &[&str]) -> Result<Vec<Value>, String> {
    let mut helm = helm(&["template", "brimful"]);
    helm.arg(chart()).args(["--namespace", "brimful", "--no-hooks"]);
    for value in MUST.iter().chain(values) {
        helm.args(["--set", value]);
    }
    let rendered = outcome(helm)?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).expect("the chart renders YAML");
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

pub(crate) fn rendered(values: &[&str]) -> Vec<Value> {
    template(values).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Objects by kind and place, each with the one label that the kustomize base sets, and the configuration parsed.
fn comparable(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let named = |mut object: Value| {
        keep_the_name_label(&mut object);
        if let Some(config) = object["data"]["config.yaml"].as_str() {
            let mut config: Value = serde_saphyr::from_str(config).expect("a configuration");
            config["cur"]["uri"] = json!("");
            object["data"]["config.yaml"] = config;
        }
        let metadata = &object["metadata"];
        let name = format!(
            "{} {} {}",
            object["kind"], metadata["namespace"], metadata["name"]
        );
        (name, object)
    };
    objects.into_iter().map(named).collect()
}

fn keep_the_name_label(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Object(labels)) = fields.get_mut("labels") {
                labels.retain(|name, _| name == "app.kubernetes.io/name");
            }
            fields.values_mut().for_each(keep_the_name_label);
        }
        Value::Array(items) => items.iter_mut().for_each(keep_the_name_label),
        _ => {}
    }
}

fn shipped(kustomization: &str) -> Vec<Value> {
    let files = resources(kustomization);
    let all = files.iter().flat_map(|file| documents(file));
    // Helm makes the namespace itself, where it also keeps the release.
    all.filter(|object| object["kind"] != "Namespace").collect()
}

#[test]
fn it_passes_helms_own_lint() {
    let mut lint = helm(&["lint", "--strict"]);
    lint.arg(chart());
    for value in MUST {
        lint.args(["--set", value]);
    }
    outcome(lint).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn its_defaults_are_the_objects_of_the_kustomize_base() {
    assert_eq!(comparable(rendered(&[])), comparable(shipped("manifests/base")));
}

#[test]
fn with_every_grip_its_guard_is_the_one_of_the_manifests() {
    let all = rendered(&["guard.enabled=true", "config.grips={weight,disruption,limits}"]);
    let kinds = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let guard = all
        .into_iter()
        .filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    assert_eq!(
        comparable(guard.collect()),
        comparable(shipped("manifests/guard"))
    );
}

#[test]
fn with_top_up_it_adds_the_manifests_of_that() {
    let values = ["config.topUp.nodesPerHour=6", "config.topUp.from={spot}"];
    let base = comparable(rendered(&[]));
    let mut added = comparable(rendered(&values));
    added.retain(|name, _| !base.contains_key(name));
    assert_eq!(added, comparable(shipped("manifests/top-up")));
}

#[test]
fn every_object_has_the_recommended_labels() {
    let all = rendered(&[
        "guard.enabled=true",
        "networkPolicy.enabled=true",
        "config.topUp.nodesPerHour=6",
        "config.topUp.from={spot}",
    ]);
    assert!(all.len() > 10, "{all:#?}");
    for object in all {
        let labels = &object["metadata"]["labels"];
        for name in [
            "name",
            "instance",
            "version",
            "component",
            "part-of",
            "managed-by",
        ] {
            assert!(
                labels[format!("app.kubernetes.io/{name}")].is_string(),
                "{name}: {object:#}"
            );
        }
        assert!(labels["helm.sh/chart"].is_string());
    }
}

#[test]
fn the_configuration_arrives_as_it_was_given() {
    let all = rendered(&[
        "config.cluster.name=production",
        "config.policy.dwell=2h",
        "config.paused=true",
        "config.nodePools.names={a,b}",
    ]);
    let text = of_kind(&all, "ConfigMap")[0]["data"]["config.yaml"].as_str();
    let config: Value = serde_saphyr::from_str(text.expect("a configuration")).expect("YAML");
    let expected = json!({
        "cluster": {"name": "production"}, "cur": {"uri": "s3://billing/exports"},
        "nodePools": {"names": ["a", "b"]}, "paused": true, "policy": {"dwell": "2h"},
    });
    assert_eq!(config, expected);
}

#[test]
fn irsa_names_the_role_and_pod_identity_needs_nothing_in_the_cluster() {
    let role = "arn:aws:iam::111122223333:role/brimful";
    let named = format!("aws.roleArn={role}");
    let with_irsa = rendered(&["aws.identity=irsa", &named]);
    let account = of_kind(&with_irsa, "ServiceAccount")[0];
    assert_eq!(
        account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        role
    );
    let with_pod_identity = rendered(&[&named]);
    let account = of_kind(&with_pod_identity, "ServiceAccount")[0];
    assert!(account["metadata"]["annotations"].is_null(), "{account:#}");
}

#[test]
fn the_network_policy_lets_nobody_in_and_only_dns_https_and_the_identity_agent_out() {
    let all = rendered(&["networkPolicy.enabled=true"]);
    let spec = &of_kind(&all, "NetworkPolicy")[0]["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(spec["ingress"], json!([]));
    let egress = spec["egress"].as_array().expect("egress").iter();
    let ports = egress.flat_map(|rule| rule["ports"].as_array().expect("ports"));
    let ports: Vec<u64> = ports.filter_map(|port| port["port"].as_u64()).collect();
    assert_eq!(ports, [53, 53, 443, 80]);
    let pod = &of_kind(&all, "CronJob")[0]["spec"]["jobTemplate"]["spec"]["template"]["metadata"];
    let selected = spec["podSelector"]["matchLabels"].as_object().expect("labels");
    for (name, value) in selected {
        assert_eq!(&pod["labels"][name], value, "the policy selects the pod");
    }
}

#[test]
fn the_addresses_of_webhooks_come_from_secrets() {
    let hook = "config.notify.webhooks[0].urlFile=/etc/brimful-secrets/slack/url";
    for values in [
        vec!["secrets={slack}", hook],
        vec!["secrets={slack}", hook, "operator.enabled=true"],
    ] {
        let all = rendered(&values);
        let (job, operator) = (of_kind(&all, "CronJob"), of_kind(&all, "Deployment"));
        let pod = match job.first() {
            Some(job) => &job["spec"]["jobTemplate"]["spec"]["template"]["spec"],
            None => &operator[0]["spec"]["template"]["spec"],
        };
        let volume = json!({"name": "secret-slack", "secret": {"secretName": "slack"}});
        assert!(
            pod["volumes"].as_array().is_some_and(|all| all.contains(&volume)),
            "{pod:#}"
        );
        let mount =
            json!({"name": "secret-slack", "mountPath": "/etc/brimful-secrets/slack", "readOnly": true});
        let mounts = pod["containers"][0]["volumeMounts"].as_array();
        assert!(mounts.is_some_and(|all| all.contains(&mount)), "{pod:#}");
    }
}

#[test]
fn what_must_be_set_is_asked_for_with_the_way_out() {
    for (missing, cure) in [
        ("image.repository=", "docker build"),
        ("config.cur.uri=", "--set config.cur.uri=s3://BUCKET/PREFIX"),
        ("config.topUp.nodesPerHour=6", "--set 'config.topUp.from={spot}'"),
    ] {
        let error = template(&[missing]).expect_err(missing);
        assert!(error.contains(cure), "{missing}: {error}");
    }
    template(&["config.cur.uri=", "config.cur.discover=auto"]).expect("discover serves as well");
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/metrics.md");
    let reference = std::fs::read_to_string(reference).expect("the reference");
    for file in ["files/rules.yaml", "files/dashboard.json"] {
        let text = std::fs::read_to_string(chart().join(file)).expect("a file of the chart");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics: BTreeSet<&str> = words.filter(|word| word.starts_with("brimful_")).collect();
        assert!(metrics.len() > 4, "{file}: {metrics:?}");
        for metric in metrics {
            assert!(
                reference.contains(&format!("| `{metric}` |")),
                "{file}: {metric} is not in the reference"
            );
        }
    }
}

#[test]
fn the_operator_takes_the_cron_jobs_place_and_may_watch() {
    let objects = rendered(&[
        "operator.enabled=true",
        "operator.replicas=2",
        "operator.serviceMonitor.enabled=true",
        "prometheusRule.enabled=true",
        "dashboard.enabled=true",
    ]);
    assert!(of_kind(&objects, "CronJob").is_empty());
    for kind in ["Deployment", "Service", "ServiceMonitor", "PrometheusRule"] {
        assert_eq!(of_kind(&objects, kind).len(), 1, "{kind}");
    }
    let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["args"], json!(["run"]));
    assert_eq!(pod["restartPolicy"], "Always");
    let rules = &of_kind(&objects, "PrometheusRule")[0]["spec"]["groups"][0]["rules"];
    assert!(rules.as_array().is_some_and(|rules| rules.len() > 4), "{rules:#}");
    let role = of_kind(&objects, "ClusterRole")[0]["rules"].to_string();
    assert_eq!(role.matches("\"watch\"").count(), 3, "{role}");
    // A job needs none of it.
    let role = of_kind(&rendered(&[]), "ClusterRole")[0]["rules"].to_string();
    assert!(!role.contains("watch"), "{role}");
}
