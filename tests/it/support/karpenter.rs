//! A real Karpenter with its kwok provider, on a kube-apiserver and a kube-scheduler of its own: it launches, packs,
//! consolidates and replaces as it does anywhere; its Nodes have no machines behind them.
//!
//! Up in about ten seconds. Its clocks are real: it looks for disruption every 10 s and waits 15 s before it acts.

mod caretaker;
mod offers;
mod pool;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::caretaker::{Caretaker, Workloads};
use super::apiserver::ApiServer;
use super::kind::{NODE, NODE_CLAIM, NODE_POOL, POD};
use super::supervised::{Supervised, temp_dir};
use super::{command_lines, tools};

pub(crate) use self::caretaker::Workload;
pub(crate) use self::offers::prices;
pub(crate) use self::pool::Pool;

/// A Node as tests see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeView {
    pub(crate) name: String,
    pub(crate) pool: String,
    pub(crate) spot: bool,
    pub(crate) instance_type: String,
    /// It is going away.
    pub(crate) deleting: bool,
}

/// A running Karpenter; dropping it ends it and all that belongs to it.
pub(crate) struct Karpenter {
    // Ended in this order.
    caretaker: Caretaker,
    controller: Option<Supervised>,
    _scheduler: Supervised,
    pub(crate) server: ApiServer,
    workloads: Workloads,
    feature_gates: String,
}

impl Karpenter {
    /// Karpenter as its chart installs it.
    pub(crate) fn start() -> Self {
        Self::with_gates("")
    }

    /// With feature gates: `NodeOverlay=true`.
    pub(crate) fn with_gates(feature_gates: &str) -> Self {
        Self::try_start(feature_gates).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_start(feature_gates: &str) -> Result<Self, String> {
        let server = ApiServer::start_for_scheduler();
        server.install_crds(&tools::path("crds-kwok"))?;
        server.apply(
            "{apiVersion: karpenter.kwok.sh/v1alpha1, kind: KWOKNodeClass, metadata: {name: default}}",
        );
        let dir = temp_dir("kube-scheduler")?;
        let line = command_lines::kube_scheduler(&server.admin_kubeconfig());
        let scheduler = Supervised::start(
            &dir,
            &[],
            &[("NO_PROXY", "127.0.0.1")],
            vec![("kube-scheduler", line)],
        )?;
        let workloads = Workloads::default();
        let mut karpenter = Self {
            caretaker: Caretaker::start(server.client(), Workloads::clone(&workloads)),
            controller: None,
            _scheduler: scheduler,
            server,
            workloads,
            feature_gates: feature_gates.to_owned(),
        };
        karpenter.controller = Some(karpenter.controller(true)?);
        Ok(karpenter)
    }

    fn controller(&self, with_spot: bool) -> Result<Supervised, String> {
        let dir = temp_dir("karpenter")?;
        let types = dir.join("instance-types.json");
        fs::write(&types, offers::file(with_spot).to_string()).map_err(|error| error.to_string())?;
        let kubeconfig = self.server.admin_kubeconfig();
        let env = [
            ("NO_PROXY", "127.0.0.1"),
            ("KUBECONFIG", &kubeconfig.display().to_string()),
            ("INSTANCE_TYPES_FILE_PATH", &types.display().to_string()),
            // Any that is free.
            ("METRICS_PORT", "0"),
            ("HEALTH_PROBE_PORT", "0"),
            ("DISABLE_LEADER_ELECTION", "true"),
            ("BATCH_IDLE_DURATION", "1s"),
            ("FEATURE_GATES", &self.feature_gates),
        ];
        let line = vec![tools::path("bin/karpenter").into_os_string()];
        Supervised::start(&dir, &[], &env, vec![("karpenter", line)])
    }

    /// Starts Karpenter anew, in a cloud that has Spot capacity or none. (The provider knows no other shortage.)
    pub(crate) fn restart(&mut self, with_spot: bool) {
        self.controller = None;
        let controller = self
            .controller(with_spot)
            .unwrap_or_else(|error| panic!("{error}"));
        self.controller = Some(controller);
    }

    /// Creates or changes a pool, and waits until Karpenter calls it ready.
    pub(crate) fn pool(&self, pool: &Pool) {
        self.server.apply(&pool.manifest().to_string());
        self.wait(&format!("the pool {} to be ready", pool.name), 60, |karpenter| {
            karpenter.is_ready(&pool.name).then_some(())
        });
    }

    /// Whether Karpenter calls the pool, as it is now, ready.
    pub(crate) fn is_ready(&self, pool: &str) -> bool {
        let pool = self.server.get(&NODE_POOL, pool).unwrap_or_default();
        let generation = &pool["metadata"]["generation"];
        let conditions = pool["status"]["conditions"].as_array().into_iter().flatten();
        conditions
            .into_iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True" && c["observedGeneration"] == *generation)
    }

    /// A patch of a pool's spec, as Brimful's would be.
    pub(crate) fn patch_pool(&self, pool: &str, spec: &Value) {
        self.server.patch(&NODE_POOL, pool, &json!({ "spec": spec }));
    }

    /// Runs a workload from now on.
    pub(crate) fn run(&self, name: &str, workload: Workload) {
        let mut workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        workloads.insert(name.to_owned(), workload);
    }

    /// Changes how many pods a workload has, and waits until they all run.
    pub(crate) fn scale(&self, name: &str, replicas: usize) {
        if let Some(workload) = self
            .workloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(name)
        {
            workload.replicas = replicas;
        }
        self.wait(&format!("{replicas} pods of {name} to run"), 90, |karpenter| {
            let pods = karpenter.pods(name);
            let runs = pods.iter().all(|pod| pod["status"]["phase"] == "Running");
            (runs && pods.len() == replicas).then_some(())
        });
    }

    /// The pods of a workload.
    pub(crate) fn pods(&self, workload: &str) -> Vec<Value> {
        let pods = self.server.list(&POD).into_iter();
        pods.filter(|pod| pod["metadata"]["labels"]["app"] == workload)
            .collect()
    }

    /// All Nodes by name.
    pub(crate) fn nodes(&self) -> Vec<NodeView> {
        let nodes = self.server.list(&NODE).into_iter().map(|node| {
            let label = |key: &str| {
                node["metadata"]["labels"][key]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            NodeView {
                name: node["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                pool: label("karpenter.sh/nodepool"),
                spot: label("karpenter.sh/capacity-type") == "spot",
                instance_type: label("node.kubernetes.io/instance-type"),
                deleting: !node["metadata"]["deletionTimestamp"].is_null(),
            }
        });
        let mut nodes: Vec<NodeView> = nodes.collect();
        nodes.sort();
        nodes
    }

    /// The names of a pool's Nodes that are not going away.
    pub(crate) fn nodes_of(&self, pool: &str) -> BTreeSet<String> {
        let nodes = self
            .nodes()
            .into_iter()
            .filter(|node| node.pool == pool && !node.deleting);
        nodes.map(|node| node.name).collect()
    }

    /// How many Nodes each pool has.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for node in self.nodes().into_iter().filter(|node| !node.deleting) {
            *counts.entry(node.pool).or_default() += 1;
        }
        counts
    }

    /// Waits until every Node is initialized, as consolidation does, and no `NodeClaim` is on its way.
    pub(crate) fn settle(&self) {
        self.wait("all NodeClaims to be initialized", 60, |karpenter| {
            let claims = karpenter.server.list(&NODE_CLAIM);
            let done = claims.iter().all(|claim| {
                let conditions = claim["status"]["conditions"].as_array().into_iter().flatten();
                claim["metadata"]["deletionTimestamp"].is_null()
                    && conditions
                        .into_iter()
                        .any(|c| c["type"] == "Initialized" && c["status"] == "True")
            });
            done.then_some(())
        });
    }

    /// Waits until `seen` gives a value, and says in how many seconds it did; for so long at most.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, seconds: u64, seen: impl Fn(&Self) -> Option<T>) -> (T, u64) {
        let start = Instant::now();
        loop {
            if let Some(value) = seen(self) {
                return (value, start.elapsed().as_secs());
            }
            assert!(
                start.elapsed() < Duration::from_secs(seconds),
                "waited {seconds} s for {what}\n{}",
                self.state()
            );
            sleep(Duration::from_millis(250));
        }
    }

    /// Watches for so long that `holds` stays true, and that Karpenter is at work all the while.
    #[track_caller]
    pub(crate) fn stays(&self, what: &str, seconds: u64, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            assert!(
                holds(self),
                "{what}: no longer after {:?}\n{}",
                start.elapsed(),
                self.state()
            );
            assert!(
                self.controller.as_ref().is_some_and(Supervised::is_running),
                "{what}: Karpenter has ended\n{}",
                self.state()
            );
            sleep(Duration::from_millis(500));
        }
    }

    /// What there is, for a failure's message.
    pub(crate) fn state(&self) -> String {
        let nodes: Vec<String> = self.nodes().iter().map(|node| format!("{node:?}")).collect();
        let pending = self.server.list(&POD).into_iter();
        let pending = pending.filter(|pod| pod["spec"]["nodeName"].is_null()).count();
        let logs = self.controller.as_ref().map(Supervised::logs).unwrap_or_default();
        format!("{}\n{pending} pods without a node\n{logs}", nodes.join("\n"))
    }

    /// A folder for files of the test, removed with the servers.
    pub(crate) fn folder(&self) -> PathBuf {
        self.server
            .admin_kubeconfig()
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default()
    }
}
