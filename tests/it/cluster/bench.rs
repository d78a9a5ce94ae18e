//! An API server of a test's own with the cluster of the fixtures, behind a front that breaks requests; the report from
//! a folder. Put back as it was between runs, which is quicker than a new one.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{STATE, create, documents, install};
use crate::support::apiserver::ApiServer;
use crate::support::faults::Front;
use crate::support::kind::{CONFIG_MAP, NODE_POOL};
use crate::support::run::{Brimful, NOW, fixture};

/// The pools that a run changes, and their weights before and after it.
const CHANGED: [(&str, i64, i64); 2] = [("general-committed", 60, 1), ("memory-committed", 10, 60)];
/// The weights after a run.
pub(crate) const PLANNED: [Option<i64>; 2] = [Some(CHANGED[0].2), Some(CHANGED[1].2)];

/// The place of such a test.
pub(crate) struct Bench {
    pub(crate) server: ApiServer,
    pub(crate) front: Front,
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let server = ApiServer::start();
        install(&server);
        for file in ["nodepools.yaml", "nodes.yaml"] {
            create(&server, &documents(&fixture(file)));
        }
        let token = server.service_account_token("brimful", "brimful");
        let front = Front::new(&server.client_for_token(&token));
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { server, front, dir }
    }

    /// As before any run.
    pub(crate) fn restore(&self) {
        self.front.heal();
        let annotations = json!({"brimful.dev/baseline": null, "brimful.dev/decision": null});
        for (pool, weight, _) in CHANGED {
            let patch = json!({"metadata": {"annotations": annotations}, "spec": {"weight": weight}});
            self.server.patch(&NODE_POOL, pool, &patch);
        }
        if self.state().is_some() {
            self.server.delete(&CONFIG_MAP, STATE);
        }
    }

    pub(crate) fn apply(&self) -> Brimful {
        let cur = fixture("cur/legacy");
        self.run("apply").arg("--cur").arg(cur).args(["--now", NOW])
    }

    pub(crate) fn run(&self, command: &str) -> Brimful {
        let kubeconfig = self.front.kubeconfig(self.dir.path());
        Brimful::new(command).arg("--kubeconfig").arg(kubeconfig)
    }

    pub(crate) fn weights(&self) -> [Option<i64>; 2] {
        CHANGED.map(|(pool, _, _)| {
            let pool = self.server.get(&NODE_POOL, pool).expect("a pool of the fixtures");
            pool["spec"]["weight"].as_i64()
        })
    }

    /// Each pool is as before the run, or as planned with all that belongs to it.
    #[track_caller]
    pub(crate) fn assert_old_or_planned(&self, context: &str) {
        for (name, old, planned) in CHANGED {
            let pool = self.server.get(&NODE_POOL, name).expect("a pool of the fixtures");
            let weight = pool["spec"]["weight"].as_i64();
            let marked = |key: &str| pool["metadata"]["annotations"][key].is_string();
            let is_marked = marked("brimful.dev/baseline") && marked("brimful.dev/decision");
            let is_right = (weight == Some(old) && !marked("brimful.dev/decision"))
                || (weight == Some(planned) && is_marked);
            assert!(is_right, "{pool:#}\n{context}");
        }
    }

    pub(crate) fn is_as_before(&self) -> bool {
        self.weights() == CHANGED.map(|(_, old, _)| Some(old))
    }

    pub(crate) fn state(&self) -> Option<Value> {
        self.server.get(&CONFIG_MAP, STATE)
    }

    /// Who holds the state.
    pub(crate) fn holder(&self) -> Option<String> {
        let state = self.state()?;
        state["metadata"]["annotations"]["brimful.dev/holder"]
            .as_str()
            .map(str::to_owned)
    }

    /// How many changes the history tells that were made.
    pub(crate) fn changes(&self) -> usize {
        let state = self.state().unwrap_or_default();
        let history = state["data"]["history.json"].as_str().unwrap_or("{}").to_owned();
        let history: Value = serde_json::from_str(&history).expect("a history");
        let entries = history["entries"].as_array().into_iter().flatten();
        entries.filter(|entry| entry["result"] == "patched").count()
    }

    /// A state of earlier runs, with nothing in it.
    pub(crate) fn leave_a_state(&self) {
        let (namespace, name) = STATE.split_once('/').expect("namespace/name");
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}});
        self.server.apply(&map.to_string());
    }

    /// So that a test need not wait until a dead run's time is over.
    pub(crate) fn shorten_the_lease(&self) {
        let lease = json!({"metadata": {"annotations": {"brimful.dev/lease-seconds": "1"}}});
        self.server.patch(&CONFIG_MAP, STATE, &lease);
    }
}
