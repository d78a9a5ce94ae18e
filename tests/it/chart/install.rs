//! Installed on a real kube-apiserver: what is consented to is granted, and nothing else.

use std::thread::sleep;
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{MUST, chart, helm, outcome};
use crate::cluster::rights::may;
use crate::cluster::world::World;
use crate::support::apiserver::ApiServer;
use crate::support::block_on;
use crate::support::kind::{CONFIG_MAP, Kind, NODE_POOL};

/// Another name and namespace than the kustomize base's: nothing may rest on those.
const RELEASE: &str = "steering";
const NAMESPACE: &str = "finops";
const NAME: &str = "steering-brimful";

const CRON_JOB: Kind = Kind::new("batch", "v1", "CronJob", "cronjobs").namespaced();
const NETWORK_POLICY: Kind =
    Kind::new("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies").namespaced();
const CLUSTER_ROLE: Kind = Kind::new("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles");

/// The fixtures' cluster and bucket, where the chart is installed, again and again with other values.
struct Cluster {
    world: World,
}

impl Cluster {
    fn new() -> Self {
        Self { world: World::new() }
    }

    fn server(&self) -> &ApiServer {
        &self.world.server
    }

    /// A token of the chart's `ServiceAccount`.
    fn token(&self) -> String {
        self.server().service_account_token(NAMESPACE, NAME)
    }

    fn helm(&self, args: &[&str]) -> String {
        let mut helm = helm(args);
        helm.env("KUBECONFIG", self.server().admin_kubeconfig())
            .args(["--namespace", NAMESPACE]);
        outcome(helm).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    /// Installs it, or upgrades it to these values; a client of its `ServiceAccount`.
    fn with(&self, values: &[&str]) -> Client {
        self.installed(values);
        self.server().client_for_token(&self.token())
    }

    /// The same; what helm says of it.
    fn installed(&self, values: &[&str]) -> String {
        let chart = chart();
        let mut args = vec!["upgrade", "--install", RELEASE, chart.to_str().expect("UTF-8")];
        args.push("--create-namespace");
        for value in MUST.iter().chain(values) {
            args.extend(["--set", value]);
        }
        self.helm(&args)
    }
}

/// Release and namespace are gone when the test is over, however it ends: other tests share the server.
impl Drop for Cluster {
    fn drop(&mut self) {
        let mut helm = helm(&[
            "uninstall",
            RELEASE,
            "--ignore-not-found",
            "--namespace",
            NAMESPACE,
        ]);
        helm.env("KUBECONFIG", self.server().admin_kubeconfig());
        let _ = outcome(helm);
    }
}

type Asked = (&'static str, &'static str, &'static str, &'static str);

const PATCH: Asked = ("patch", "karpenter.sh/nodepools", "-", "spot");
const CLAIMS: Asked = ("list", "karpenter.sh/nodeclaims", "-", "");
const EVENTS: Asked = ("create", "events.k8s.io/events", "default", "");
const DELETE_STATE: Asked = ("delete", "/configmaps", NAMESPACE, "brimful-state");

/// Everything that the chart grants by its defaults.
const ALL: [Asked; 10] = [
    ("get", "karpenter.sh/nodepools", "-", "spot"),
    ("list", "karpenter.sh/nodepools", "-", ""),
    PATCH,
    CLAIMS,
    ("list", "/nodes", "-", ""),
    EVENTS,
    ("create", "/configmaps", NAMESPACE, ""),
    ("get", "/configmaps", NAMESPACE, "brimful-state"),
    ("patch", "/configmaps", NAMESPACE, "brimful-state"),
    DELETE_STATE,
];

/// Never granted, whatever the values.
const NEVER: [Asked; 8] = [
    ("create", "karpenter.sh/nodepools", "-", ""),
    ("delete", "karpenter.sh/nodepools", "-", "spot"),
    ("delete", "karpenter.sh/nodeclaims", "-", "x"),
    ("patch", "/nodes", "-", "x"),
    ("list", "/pods", "-", ""),
    ("list", "/secrets", NAMESPACE, ""),
    ("patch", "/configmaps", NAMESPACE, "steering-brimful-config"),
    ("get", "/configmaps", "default", "brimful-state"),
];

fn is_granted(client: &Client, (verb, resource, namespace, name): Asked) -> bool {
    may(client, verb, resource, namespace, name)
}

/// All that the chart grants but for these.
fn assert_all_but(client: &Client, missing: &[Asked], values: &[&str]) {
    for asked in ALL {
        let wanted = !missing.contains(&asked);
        assert_eq!(is_granted(client, asked), wanted, "{values:?}: {asked:?}");
    }
    for asked in NEVER {
        assert!(!is_granted(client, asked), "{values:?}: {asked:?}");
    }
}

#[test]
fn what_is_not_consented_to_is_not_granted() {
    let cluster = Cluster::new();
    let switches: [(&[&str], &[Asked]); 6] = [
        (&[], &[]),
        (&["config.mode=observe"], &[PATCH]),
        (&["rbac.patchNodePools=false"], &[PATCH]),
        (&["rbac.nodeClaims=false"], &[CLAIMS]),
        (&["rbac.events=false"], &[EVENTS]),
        (&["rbac.reset=false"], &[DELETE_STATE]),
    ];
    for (values, missing) in switches {
        assert_all_but(&cluster.with(values), missing, values);
    }
    let named = ["rbac.nodePools={general-committed}"];
    let client = cluster.with(&named);
    assert_all_but(&client, &[PATCH], &named);
    assert!(may(
        &client,
        "patch",
        "karpenter.sh/nodepools",
        "-",
        "general-committed"
    ));
}

/// `doctor` asks for the rights that a run needs: by the chart's account it must find those, and miss what was left out.
#[test]
fn doctor_agrees_with_what_is_granted() {
    let cluster = Cluster::new();
    let doctor = |mode: &str| {
        let doctor = cluster.world.doctor_as(&cluster.token());
        let config = format!("mode: {mode}\ncluster:\n  name: prod\n");
        doctor.args(["--namespace", NAMESPACE]).config(&config).ends_any()
    };
    for (values, mode, code) in [
        ("rbac.create=true", "apply", 0),
        ("config.mode=observe", "observe", 0),
        (
            "rbac.nodePools={general-committed,batch-committed,memory-committed}",
            "apply",
            0,
        ),
        ("rbac.patchNodePools=false", "apply", 7),
    ] {
        cluster.installed(&[values]);
        let ended = doctor(mode);
        assert_eq!(ended.code, Some(code), "{values}: {ended:?}");
        let misses = ended.stdout.contains("may not");
        assert_eq!(
            misses,
            values.contains("observe") || code != 0,
            "{values}: {ended:?}"
        );
    }
}

#[test]
fn it_is_installed_upgraded_and_removed_without_a_trace() {
    let cluster = Cluster::new();
    let said = cluster.installed(&["networkPolicy.enabled=true", "cronJob.schedule=0 * * * *"]);
    for line in [
        "helm test steering --namespace finops --logs",
        "brimful doctor --cur s3://billing/exports --namespace finops",
        "brimful plan --cur s3://billing/exports --namespace finops",
        "kubectl label nodepool NODEPOOL brimful.dev/managed=true",
        "aws eks create-pod-identity-association",
    ] {
        assert!(
            said.contains(line),
            "the notes name the next commands: {line}\n{said}"
        );
    }
    let name = format!("{NAMESPACE}/{NAME}");
    let job = cluster.server().get(&CRON_JOB, &name).expect("the CronJob");
    assert_eq!(job["spec"]["schedule"], "0 * * * *");
    assert!(cluster.server().get(&NETWORK_POLICY, &name).is_some());
    assert!(
        cluster
            .server()
            .get(&CONFIG_MAP, &format!("{name}-config"))
            .is_some()
    );
    let before = cluster.server().list(&NODE_POOL);
    cluster.with(&[]);
    assert!(
        cluster.server().get(&NETWORK_POLICY, &name).is_none(),
        "switched off"
    );
    cluster.helm(&["uninstall", RELEASE]);
    assert!(cluster.server().get(&CRON_JOB, &name).is_none());
    assert!(cluster.server().get(&CLUSTER_ROLE, NAME).is_none());
    assert_eq!(
        cluster.server().list(&NODE_POOL),
        before,
        "no NodePool is touched"
    );
}

/// The answer to a patch of the pool `spot` that is not made.
fn patched(client: &Client, patch: &Value) -> Result<(), String> {
    let api: Api<DynamicObject> = NODE_POOL.api(client, "spot");
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    match block_on(api.patch("spot", &params, &Patch::Merge(patch))) {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_guard_leaves_the_fields_of_the_grips_that_are_consented_to() {
    let weight = json!({"spec": {"weight": 7}});
    let limits = json!({"spec": {"limits": {"cpu": "16"}}});
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let cluster = Cluster::new();
    let pool = cluster
        .server()
        .get(&NODE_POOL, "spot")
        .expect("a pool of the fixtures");
    let mut budgets = pool["spec"]["disruption"]["budgets"].clone();
    budgets
        .as_array_mut()
        .expect("Karpenter's default is written")
        .push(
            json!({"nodes": "0", "reasons": ["Underutilized"], "schedule": "0 0 * * *", "duration": "8736h"}),
        );
    let budgets = json!({"spec": {"disruption": {"budgets": budgets}}});
    for (grips, words, allowed) in [
        ("", "change weight only", [true, false, false]),
        (
            "config.grips={weight,limits}",
            "change weight and limits only",
            [true, true, false],
        ),
        (
            "config.limits.manage=true",
            "change weight and limits only",
            [true, true, false],
        ),
        (
            "guard.grips={disruption}",
            "change weight and one disruption budget only",
            [true, false, true],
        ),
    ] {
        let mut values = vec!["guard.enabled=true"];
        values.extend(Some(grips).filter(|grips| !grips.is_empty()));
        let client = cluster.with(&values);
        // The server reads a changed policy from time to time; the field that nobody may change shows which it has.
        let foreign = json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}});
        let start = Instant::now();
        while !patched(&client, &foreign).is_err_and(|told| told.contains(words)) {
            assert!(start.elapsed() < Duration::from_mins(1), "{grips}: not in force");
            sleep(Duration::from_millis(100));
        }
        for (patch, allowed) in [&weight, &limits, &budgets].into_iter().zip(allowed) {
            let answer = patched(&client, patch);
            assert_eq!(answer.is_ok(), allowed, "{grips}: {patch}: {answer:?}");
        }
        assert!(patched(&client, &labels).is_err(), "{grips}");
    }
}
