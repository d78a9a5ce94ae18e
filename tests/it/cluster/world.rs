//! The cluster and the bucket of the fixtures, and Brimful in it with the rights that it ships with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::apiserver::{ApiServer, Exclusive};
use crate::support::kind::{CONFIG_MAP, NODE_POOL};
use crate::support::run::{Brimful, NOW, fixture};
use crate::support::s3::S3;
use crate::support::sts::Sts;

/// The `ConfigMap` of the control state.
pub(crate) const STATE: &str = "brimful/brimful-state";

/// A cluster with the fixtures' `NodePool`s and Nodes, the shipped RBAC, and the report in a bucket of its own.
pub(crate) struct World {
    pub(crate) server: Exclusive,
    pub(crate) token: String,
    bucket: String,
}

impl World {
    pub(crate) fn new() -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let server = ApiServer::exclusive();
        install(&server);
        for file in ["nodepools.yaml", "nodes.yaml"] {
            create(&server, &documents(&fixture(file)));
        }
        let bucket = format!("world-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        S3::shared().create_bucket(&bucket);
        let token = server.service_account_token("brimful", "brimful");
        let world = Self {
            server,
            token,
            bucket,
        };
        world.deliver(&fixture("cur/legacy"));
        world
    }

    /// Writes a report into the bucket, over the one that is there, as AWS does.
    pub(crate) fn deliver(&self, report: &Path) {
        S3::shared().put_dir(report, &self.bucket, "");
    }

    /// A place in the bucket for what clusters tell each other.
    pub(crate) fn shared(&self) -> String {
        format!("s3://{}/shared", self.bucket)
    }

    /// Writes an object into the bucket.
    pub(crate) fn put(&self, key: &str, text: &str) {
        S3::shared().put(&self.bucket, key, text);
    }

    /// An object of the bucket, if it is there.
    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        S3::shared().get(&self.bucket, key)
    }

    /// The only managed pool from now on.
    pub(crate) fn manage_only(&self, name: &str) {
        for pool in self.pools().keys().filter(|pool| *pool != name) {
            self.annotate_or_label(pool, "labels", "brimful.dev/managed", &Value::Null);
        }
    }

    pub(crate) fn annotate(&self, pool: &str, key: &str, value: &Value) {
        self.annotate_or_label(pool, "annotations", key, value);
    }

    pub(crate) fn label(&self, pool: &str, key: &str, value: &Value) {
        self.annotate_or_label(pool, "labels", key, value);
    }

    fn annotate_or_label(&self, pool: &str, which: &str, key: &str, value: &Value) {
        self.server
            .patch(&NODE_POOL, pool, &json!({"metadata": {which: {key: value}}}));
    }

    /// A command with the report in the bucket, at the fixtures' clock, as Brimful's `ServiceAccount`.
    pub(crate) fn run(&self, command: &str) -> Brimful {
        self.run_at(command, NOW)
    }

    /// The same at another time.
    pub(crate) fn run_at(&self, command: &str, now: &str) -> Brimful {
        self.with_report(command, &self.token).args(["--now", now])
    }

    /// The same as somebody else.
    pub(crate) fn run_as(&self, token: &str, command: &str) -> Brimful {
        self.with_report(command, token).args(["--now", NOW])
    }

    /// `reset`, which takes neither report nor clock.
    pub(crate) fn reset(&self) -> Brimful {
        self.with_kubeconfig("reset", &self.token)
    }

    /// `history` without a report, as Brimful's `ServiceAccount`.
    pub(crate) fn look_back(&self) -> Brimful {
        self.with_kubeconfig("history", &self.token).args(["--now", NOW])
    }

    /// `doctor` as somebody, with STS at hand.
    pub(crate) fn doctor_as(&self, token: &str) -> Brimful {
        self.run_as(token, "doctor").envs(Sts::shared().env())
    }

    /// `doctor` as Brimful's `ServiceAccount`.
    pub(crate) fn doctor(&self) -> Brimful {
        self.doctor_as(&self.token)
    }

    /// A `ServiceAccount` with these rules in the whole cluster, and its token.
    pub(crate) fn account(&self, name: &str, rules: &Value) -> String {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": rules});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}]});
        let token = self.server.service_account_token("default", name);
        self.server.apply(&role.to_string());
        self.server.apply(&binding.to_string());
        token
    }

    fn with_report(&self, command: &str, token: &str) -> Brimful {
        let run = self.with_kubeconfig(command, token);
        run.envs(S3::shared().env())
            .arg("--cur")
            .arg(format!("s3://{}", self.bucket))
    }

    fn with_kubeconfig(&self, command: &str, token: &str) -> Brimful {
        Brimful::new(command)
            .arg("--kubeconfig")
            .arg(self.server.kubeconfig_for_token(token))
    }

    /// All `NodePool`s by name, as they are stored.
    pub(crate) fn pools(&self) -> BTreeMap<String, Value> {
        let pools = self.server.list(&NODE_POOL).into_iter();
        pools
            .map(|pool| {
                (
                    pool["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                    pool,
                )
            })
            .collect()
    }

    /// The weights of all pools that have one.
    pub(crate) fn weights(&self) -> BTreeMap<String, i64> {
        let pools = self.pools().into_iter();
        pools
            .filter_map(|(name, pool)| Some((name, pool["spec"]["weight"].as_i64()?)))
            .collect()
    }

    pub(crate) fn weight(&self, pool: &str) -> Option<i64> {
        self.weights().get(pool).copied()
    }

    pub(crate) fn state(&self) -> Option<Value> {
        self.server.get(&CONFIG_MAP, STATE)
    }
}

/// Applies the shipped manifests, all but the CronJob's image being what a user gets.
pub(crate) fn install(server: &ApiServer) {
    for file in resources("manifests/base") {
        server.apply(&read(&file));
    }
}

/// The files that a kustomization of this repository lists.
pub(crate) fn resources(kustomization: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kustomization);
    let listed = read(&folder.join("kustomization.yaml"));
    let listed: Value = serde_saphyr::from_str(&listed).expect("kustomization.yaml is YAML");
    let files = listed["resources"].as_array().expect("resources").iter();
    files
        .map(|file| folder.join(file.as_str().expect("a file's name")))
        .collect()
}

/// The objects of a manifest of the fixtures.
pub(crate) fn documents(file: &Path) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&read(file)).expect("fixtures are YAML");
    let items = |document: Value| match document.get("items") {
        Some(Value::Array(items)) => items.clone(),
        _ => vec![document],
    };
    documents.into_iter().flat_map(items).collect()
}

/// Creates objects that were read from a cluster: what that cluster's API server gave them is left out.
pub(crate) fn create(server: &ApiServer, objects: &[Value]) {
    for object in objects {
        let mut object = object.clone();
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        for key in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
            metadata.remove(key);
        }
        let status = object.as_object_mut().and_then(|object| object.remove("status"));
        server.apply(&object.to_string());
        if let (Some(status), "NodePool") = (status, object["kind"].as_str().unwrap_or_default()) {
            server.patch_status(
                &NODE_POOL,
                object["metadata"]["name"].as_str().unwrap_or_default(),
                &status,
            );
        }
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
