//! What a kubelet, a cloud and a `ReplicaSet` controller would do for Karpenter: Nodes become ready, pods run and end,
//! and a workload has as many pods as it should.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::offers;
use crate::support::kind::{Kind, NODE, POD};
use crate::support::spawn;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(200);

/// Pods that are alike.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) replicas: usize,
    /// Requests of one pod: cpu and memory, as Kubernetes writes them.
    pub(crate) cpu: String,
    pub(crate) memory: String,
    /// Labels that its nodes must have.
    pub(crate) selector: BTreeMap<String, String>,
    /// A taint `KEY:NoSchedule` that it tolerates.
    pub(crate) tolerates: Option<String>,
}

impl Workload {
    /// No pods yet of these requests, which run on any node.
    pub(crate) fn of(cpu: &str, memory: &str) -> Self {
        Self {
            replicas: 0,
            cpu: cpu.to_owned(),
            memory: memory.to_owned(),
            selector: BTreeMap::new(),
            tolerates: None,
        }
    }

    /// On the nodes of [`super::Pool::only_for`].
    pub(crate) fn only_on(mut self, who: &str) -> Self {
        self.selector.insert("only-for".to_owned(), who.to_owned());
        self.tolerates = Some(who.to_owned());
        self
    }

    /// On nodes with this label.
    pub(crate) fn on(mut self, key: &str, value: &str) -> Self {
        self.selector.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// Workloads by name.
pub(super) type Workloads = Arc<Mutex<BTreeMap<String, Workload>>>;

/// The caretaker, at work until it is dropped.
pub(super) struct Caretaker(JoinHandle<()>);

impl Caretaker {
    pub(super) fn start(client: Client, workloads: Workloads) -> Self {
        let work = async move {
            let mut made = 0;
            loop {
                // What fails now, such as a pod that has just gone, is seen again in a moment.
                let _ = look_after(&client, &workloads, &mut made).await;
                tokio::time::sleep(EVERY).await;
            }
        };
        Self(spawn(work))
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look_after(client: &Client, workloads: &Workloads, made: &mut usize) -> kube::Result<()> {
    let nodes = list(client, NODE).await?;
    for node in &nodes {
        make_ready(client, node).await?;
    }
    let nodes: BTreeSet<&str> = nodes.iter().map(name).collect();
    let mut running: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pod in list(client, POD).await? {
        let node = pod["spec"]["nodeName"].as_str();
        let is_over = !pod["metadata"]["deletionTimestamp"].is_null();
        if is_over || node.is_some_and(|node| !nodes.contains(node)) {
            delete(client, name(&pod)).await?;
            continue;
        }
        if node.is_some() && pod["status"]["phase"] == "Pending" {
            run(client, name(&pod)).await?;
        }
        let workload = pod["metadata"]["labels"]["app"].as_str().unwrap_or_default();
        running.entry(workload.to_owned()).or_default().push(pod);
    }
    let wanted = workloads.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (name, workload) in wanted {
        scale(
            client,
            &name,
            &workload,
            running.remove(&name).unwrap_or_default(),
            made,
        )
        .await?;
    }
    Ok(())
}

/// What the kubelet reports once a Node has joined; only then does Karpenter count it as initialized.
async fn make_ready(client: &Client, node: &Value) -> kube::Result<()> {
    let conditions = node["status"]["conditions"].as_array();
    let is_ready =
        conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
    let labels = &node["metadata"]["labels"];
    let kind = labels["node.kubernetes.io/instance-type"]
        .as_str()
        .unwrap_or_default();
    let Some(capacity) = offers::capacity(kind).filter(|_| !is_ready) else {
        return Ok(());
    };
    let nodes: Api<DynamicObject> = NODE.api(client, "-");
    let params = PatchParams::default();
    let taints = &node["spec"]["taints"];
    let rest: Value = taints
        .as_array()
        .into_iter()
        .flatten()
        .filter(|taint| taint["key"] != "node.kubernetes.io/not-ready")
        .cloned()
        .collect();
    // Karpenter changes taints, too: what has changed meanwhile is left for the next round.
    let untaint = json!([{"op": "test", "path": "/spec/taints", "value": taints},
        {"op": "replace", "path": "/spec/taints", "value": rest}]);
    let untaint = serde_json::from_value(untaint).map_err(kube::Error::SerdeError)?;
    nodes
        .patch(name(node), &params, &Patch::<()>::Json(untaint))
        .await?;
    // The provider reports as a node's capacity no more than what its first pods asked for.
    let status = json!({"status": {"capacity": capacity,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}});
    nodes
        .patch_status(name(node), &params, &Patch::Merge(&status))
        .await?;
    Ok(())
}

async fn run(client: &Client, pod: &str) -> kube::Result<()> {
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    let pods: Api<DynamicObject> = POD.api(client, pod);
    pods.patch_status(pod, &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    Ok(())
}

async fn delete(client: &Client, pod: &str) -> kube::Result<()> {
    let pods: Api<DynamicObject> = POD.api(client, pod);
    pods.delete(pod, &DeleteParams::default().grace_period(0)).await?;
    Ok(())
}

/// As many pods as there should be; of too many those without a node go first, then the newest.
async fn scale(
    client: &Client,
    workload: &str,
    wanted: &Workload,
    mut pods: Vec<Value>,
    made: &mut usize,
) -> kube::Result<()> {
    pods.sort_by_key(|pod| {
        let created = pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
        (
            pod["spec"]["nodeName"].is_null(),
            created.to_owned(),
            name(pod).to_owned(),
        )
    });
    for pod in pods.iter().skip(wanted.replicas) {
        delete(client, name(pod)).await?;
    }
    for _ in pods.len()..wanted.replicas {
        *made += 1;
        let pod: DynamicObject =
            serde_json::from_value(pod(workload, wanted, *made)).map_err(kube::Error::SerdeError)?;
        let pods: Api<DynamicObject> = POD.api(client, "-");
        pods.create(&PostParams::default(), &pod).await?;
    }
    Ok(())
}

fn pod(workload: &str, wanted: &Workload, number: usize) -> Value {
    let tolerations: Vec<Value> = wanted
        .tolerates
        .iter()
        .map(|key| json!({"key": key, "operator": "Exists"}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{workload}-{number}"), "labels": {"app": workload}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": workload, "uid": workload, "controller": true},
        ]},
        "spec": {
            "nodeSelector": wanted.selector, "tolerations": tolerations, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "work", "image": "none",
                "resources": {"requests": {"cpu": wanted.cpu, "memory": wanted.memory}}}],
        },
    })
}

async fn list(client: &Client, kind: Kind) -> kube::Result<Vec<Value>> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
    let found = api.list(&ListParams::default()).await?.items.into_iter();
    Ok(found
        .map(|object| serde_json::to_value(object).unwrap_or_default())
        .collect())
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}
