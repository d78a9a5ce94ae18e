//! `brimful run` on a real kube-apiserver, with the rights that the chart grants an operator.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Command};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{World, documents, install};
use crate::chart::rendered;
use crate::karpenter::told;
use crate::support::apiserver::ApiServer;
use crate::support::kind::{NODE, NODE_CLAIM, NODE_POOL};
use crate::support::monitoring::get;
use crate::support::run::{Brimful, Ended, NOW, fixture};

/// Longer than anything here takes; what is promised is asserted beside it.
const LONG: Duration = Duration::from_mins(1);

/// A running operator.
pub(crate) struct Operator {
    process: Child,
    /// What it says, read all the time: nobody would, and it would wait, once a pipe is full.
    log: JoinHandle<String>,
    address: String,
    /// It holds the configuration's file.
    _run: Brimful,
}

impl Operator {
    /// One that has nothing to do by the clock for an hour.
    pub(crate) fn start(run: Brimful) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        let mut run = run.args(["--interval", "1h", "--listen", &address]);
        let mut process = run.spawn();
        let mut stderr = process.stderr.take().expect("a pipe");
        let log = spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).expect("a log in UTF-8");
            log
        });
        Self {
            process,
            log,
            address,
            _run: run,
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Status code and body.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&self.address, path)
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        let metrics = self.get("/metrics");
        metrics.is_some_and(|(_, text)| text.lines().any(|found| found == line))
    }

    /// Waits for its first run to end, and well.
    #[track_caller]
    pub(crate) fn runs_once(&self) {
        wait("the first run", || {
            self.has("brimful_runs_total{exit_code=\"0\"} 1")
        });
    }

    /// The most memory that it has held so far, in MiB, as the kernel counts it.
    fn peak_mib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).expect("the status of a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a peak") / 1024
    }

    /// Asks it to end, as Kubernetes does.
    pub(crate) fn terminate(self) -> Ended {
        let sent = Command::new("kill")
            .args(["-s", "TERM", &self.process.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
        let ended = Ended::of(self.process);
        let stderr = self.log.join().expect("the log");
        Ended { stderr, ..ended }
    }
}

/// The rights that the chart grants an operator.
pub(crate) fn grant(server: &ApiServer) {
    for object in rendered(&["operator.enabled=true"]) {
        if ["Role", "ClusterRole"].contains(&object["kind"].as_str().unwrap_or_default()) {
            server.apply(&object.to_string());
        }
    }
}

#[track_caller]
pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "{what}: not within {LONG:?}");
        sleep(Duration::from_millis(100));
    }
    began.elapsed()
}

#[test]
fn one_of_two_replicas_acts_sees_changes_within_seconds_and_hands_over() {
    let world = World::new();
    grant(&world.server);
    let first = Operator::start(world.run("run"));
    first.runs_once();
    assert_eq!(world.weight("memory-committed"), Some(60), "it has acted");
    assert!(first.has("brimful_leader 1.0"));
    assert_eq!(first.get("/healthz").map(|(code, _)| code), Some(200));
    assert_eq!(first.get("/readyz").map(|(code, _)| code), Some(200));
    let (code, page) = first.get("/").expect("the page");
    assert_eq!(code, 200);
    assert!(
        page.contains("stands unused now") && page.contains("general-committed"),
        "{page}"
    );
    assert!(
        page.contains("What was changed") && page.contains("fill: weight 10 → 60"),
        "{page}"
    );
    assert!(
        page.contains("<td data-label=\"Result\">patched</td>"),
        "it says what became of the changes"
    );

    let second = Operator::start(world.run("run"));
    wait("the second stands by", || second.has("brimful_leader 0.0"));
    assert_eq!(second.get("/readyz").map(|(code, _)| code), Some(200));
    assert!(
        !second.has("brimful_runs_total{exit_code=\"0\"} 1"),
        "it does not act"
    );
    assert_eq!(
        second.get("/").map(|(code, _)| code),
        Some(404),
        "it has no plan to show"
    );

    world.annotate("general-committed", "brimful.dev/paused", &json!("true"));
    let paused = "brimful_nodepool_decision{nodepool=\"general-committed\",decision=\"freeze\"} 1.0";
    let took = wait("the pause is seen", || first.has(paused));
    assert!(took < Duration::from_secs(30), "{took:?}");

    let began = Instant::now();
    let ended = first.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let took = wait("the second takes over", || second.has(paused));
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(second.has("brimful_leader 1.0"));
    let ended = second.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A large cluster, as its API server serves it: so many pools and Nodes, and a claim for each Node.
fn crowd(server: &ApiServer, pools: usize, nodes: usize) {
    let named = |kind: &str| {
        let objects = ["nodepools.yaml", "nodes.yaml"]
            .into_iter()
            .flat_map(|file| documents(&fixture(file)));
        let mut found = objects.filter(|object| object["kind"] == kind);
        found
            .find(|object| {
                object["metadata"]["labels"]["karpenter.sh/nodepool"] == "general-committed"
                    || object["metadata"]["name"] == "general-committed"
            })
            .expect(kind)
    };
    let copy = |of: &Value, name: String| {
        let mut object = of.clone();
        object["metadata"]["name"] = json!(name);
        for key in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
            object["metadata"].as_object_mut().expect("metadata").remove(key);
        }
        object
    };
    let (pool, node) = (named("NodePool"), named("Node"));
    let pool_name = |index: usize| format!("pool-{:03}", index % pools);
    server.create_all(&NODE_POOL, (0..pools).map(|index| copy(&pool, pool_name(index))));
    server.create_all(
        &NODE,
        (0..nodes).map(|index| {
            let mut node = copy(&node, format!("node-{index:04}"));
            node["metadata"]["labels"]["karpenter.sh/nodepool"] = json!(pool_name(index));
            node
        }),
    );
    server.create_all(&NODE_CLAIM, (0..nodes).map(|index| json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": format!("claim-{index:04}"), "labels": {"karpenter.sh/nodepool": pool_name(index),
            "karpenter.sh/capacity-type": "on-demand"}},
        "spec": {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}]},
    })));
}

#[test]
fn five_hundred_pools_and_five_thousand_nodes_take_less_than_128_mib() {
    // Of its own: filling it takes longer than others should wait for the shared one.
    let server = ApiServer::start();
    install(&server);
    grant(&server);
    crowd(&server, 500, 5000);
    let token = server.service_account_token("brimful", "brimful");
    let run = Brimful::new("run")
        .arg("--kubeconfig")
        .arg(server.kubeconfig_for_token(&token))
        .arg("--cur")
        .arg(fixture("cur/legacy"))
        .args(["--now", NOW]);
    let operator = Operator::start(run);
    operator.runs_once();
    let paused = json!({"metadata": {"annotations": {"brimful.dev/paused": "true"}}});
    server.patch(&NODE_POOL, "pool-007", &paused);
    let paused = "brimful_nodepool_decision{nodepool=\"pool-007\",decision=\"freeze\"} 1.0";
    wait("another run", || operator.has(paused));
    let peak = operator.peak_mib();
    told(&format!("operator: {peak} MiB with 500 pools and 5000 nodes"), 0);
    assert!(peak < 128, "{peak} MiB");
    let ended = operator.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_port_that_is_taken_and_a_lease_that_may_not_be_made_end_it_with_the_way_out() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let said = world.run("run").args(["--listen", &address]).fails(3);
    assert!(
        said.contains("cannot listen on") && said.contains("--listen"),
        "{said}"
    );
    drop(taken);
    // The CronJob's rights are not enough.
    let said = world.run("run").args(["--listen", &address]).fails(7);
    assert!(
        said.contains("brimful/brimful-leader") && said.contains("leases"),
        "{said}"
    );
}

#[test]
fn a_job_writes_its_metrics_for_node_exporter() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("brimful.prom");
    world.run("apply").arg("--metrics-file").arg(&file).ends(0);
    let text = std::fs::read_to_string(&file).expect("metrics");
    assert!(text.contains("brimful_runs_total{exit_code=\"0\"} 1"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    let success = |text: &str| {
        let found = text
            .lines()
            .find(|line| line.starts_with("brimful_run_last_success_timestamp_seconds "));
        found.expect("a success").to_owned()
    };
    // Five days later the report is too old; the last success stays what it was.
    let later = world.run_at("apply", "2026-11-26T18:00:00Z");
    later.arg("--metrics-file").arg(&file).ends(5);
    let frozen = std::fs::read_to_string(&file).expect("metrics");
    assert!(
        frozen.contains("brimful_runs_total{exit_code=\"5\"} 1"),
        "{frozen}"
    );
    assert_eq!(success(&frozen), success(&text));
    let nowhere = folder.path().join("nowhere/brimful.prom");
    let ended = world.run("apply").arg("--metrics-file").arg(&nowhere).ends(3);
    assert!(ended.stderr.contains("--metrics-file"), "{ended:?}");
}
