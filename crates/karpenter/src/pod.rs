//! Pods and their `PodDisruptionBudgets`, as far as moving a node's pods elsewhere is concerned: where a pod runs, what it
//! asks of a node, and what keeps it where it is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::json::{At, owner};
use super::labels::{self, DISRUPTED};
use super::nodepool::{NodePool, Taint};
use super::requirement::{Requirements, ValueSet};
use super::units::quantity;
use brimful_types::Result;

/// On a pod, a Node or a `NodeClaim`: Karpenter is not to disrupt it.
pub(super) const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";

/// All pods of a cluster, and what bounds their disruption.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pods {
    /// Pods.
    pub pods: Vec<Pod>,
    /// `PodDisruptionBudgets`.
    pub budgets: Vec<PodDisruptionBudget>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// The Node that it is bound to.
    pub node: Option<String>,
    /// Kind of its controller; None for a pod that nobody makes anew.
    pub controller: Option<String>,
    /// Why it should not have to leave its node, if so.
    pub stays: Option<&'static str>,
    /// True while it waits for a node, and the scheduler has found none.
    pub waits: bool,
    /// True once it has ended, or is on its way out.
    pub ended: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// What all of its containers ask for, one after the other's end or not: vCPU, and bytes of memory.
    pub asks_for: (f64, f64),
    labels: BTreeMap<String, String>,
    /// What it asks of a node's labels: one of these at least.
    asks: Vec<Requirements>,
    tolerations: Vec<Toleration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Toleration {
    key: Option<String>,
    value: Option<String>,
    effect: Option<String>,
    any_value: bool,
}

/// A `PodDisruptionBudget`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDisruptionBudget {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// How many pods more may be evicted now, by its status.
    pub allowed: i64,
    /// None selects nothing.
    selector: Option<Requirements>,
}

impl Pod {
    /// Reads a Pod object.
    ///
    /// # Errors
    /// A usage error that names the pod and the field: no name, or a value of a wrong type.
    pub fn from_json(object: &Value) -> Result<Self> {
        let owner = owner("Pod", object);
        let root = At::root(&owner, object);
        let (metadata, spec, status) = (root.field("metadata"), root.field("spec"), root.field("status"));
        let (name, namespace) = names(&metadata)?;
        let created = metadata.field("creationTimestamp");
        let node = spec.field("nodeName").text()?.map(str::to_owned);
        let phase = status.field("phase").text()?.unwrap_or("Pending");
        let ended =
            matches!(phase, "Succeeded" | "Failed") || !metadata.field("deletionTimestamp").is_absent();
        let controller = controller(&metadata)?;
        let tolerations = spec
            .field("tolerations")
            .items()?
            .iter()
            .map(toleration)
            .collect::<Result<Vec<_>>>()?;
        let requests = requests(&spec)?;
        let asked = |name: &str| requests.get(name).copied().unwrap_or_default();
        Ok(Self {
            name,
            namespace,
            waits: node.is_none() && !ended && is_unschedulable(&status)?,
            node,
            stays: stays(&metadata, &spec, controller.as_deref(), &tolerations, &requests)?,
            controller,
            ended,
            created: created.time()?.unwrap_or_default(),
            asks_for: (asked("cpu"), asked("memory")),
            labels: metadata.field("labels").text_map()?,
            asks: asks(&spec)?,
            tolerations,
        })
    }

    /// True for the pods that every node has: those of `DaemonSets`, and static ones.
    #[must_use]
    pub fn comes_with_the_node(&self) -> bool {
        matches!(self.controller.as_deref(), Some("DaemonSet" | "Node"))
    }

    /// True if it runs on that Node, and would have to leave with it.
    #[must_use]
    pub fn is_moved_with(&self, node: &str) -> bool {
        self.node.as_deref() == Some(node) && !self.ended && !self.comes_with_the_node()
    }

    /// True if the pool's nodes have the labels that it must have, and it tolerates their taints. Of a label that users
    /// define and the pool does not, nothing good is assumed.
    #[must_use]
    pub fn fits(&self, pool: &NodePool) -> bool {
        let has = |(key, values): (&str, &ValueSet)| match key {
            labels::NODE_POOL => values.allows(&pool.name),
            // A machine of its own choice.
            labels::HOSTNAME => false,
            _ if pool.requirements.contains(key) => values.intersects(pool.requirements.get(key)),
            _ => labels::is_well_known(key) || values.is_empty(),
        };
        let tolerates = |taint: &Taint| {
            taint.effect == "PreferNoSchedule" || self.tolerations.iter().any(|one| one.covers(taint))
        };
        self.asks.iter().any(|asked| asked.iter().all(has)) && pool.taints.iter().all(tolerates)
    }

    /// `namespace/name`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Toleration {
    fn covers(&self, taint: &Taint) -> bool {
        let of_key = self.key.as_ref().is_none_or(|key| *key == taint.key);
        let of_value =
            self.any_value || self.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("");
        let of_effect = self.effect.as_ref().is_none_or(|effect| *effect == taint.effect);
        of_key && of_value && of_effect
    }
}

impl PodDisruptionBudget {
    /// Reads a `PodDisruptionBudget` object. One whose status nobody has written yet allows nothing.
    ///
    /// # Errors
    /// A usage error that names the budget and the field: no name, a selector with an operator that Kubernetes does not
    /// have, or a value of a wrong type.
    pub fn from_json(object: &Value) -> Result<Self> {
        let owner = owner("PodDisruptionBudget", object);
        let root = At::root(&owner, object);
        let (name, namespace) = names(&root.field("metadata"))?;
        let selector = root.field("spec").field("selector");
        let selected = || -> Result<Requirements> {
            let mut selected = Requirements::read(&selector.field("matchExpressions"))?;
            for (key, value) in selector.field("matchLabels").text_map()? {
                selected.add(&key, &ValueSet::one_of([value]));
            }
            Ok(selected)
        };
        Ok(Self {
            name,
            namespace,
            allowed: root
                .field("status")
                .field("disruptionsAllowed")
                .integer()?
                .unwrap_or_default(),
            selector: (!selector.is_absent()).then(selected).transpose()?,
        })
    }

    /// True if the budget counts this pod.
    #[must_use]
    pub fn covers(&self, pod: &Pod) -> bool {
        let holds = |(key, values): (&str, &ValueSet)| match pod.labels.get(key) {
            Some(value) => values.allows(value),
            // `NotIn` and `DoesNotExist`; `Exists` is every value, and asks for one.
            None => values.is_empty() || values.finite().is_none() && *values != ValueSet::ANY,
        };
        self.namespace == pod.namespace
            && self
                .selector
                .as_ref()
                .is_some_and(|selector| selector.iter().all(holds))
    }
}

/// Why a pod should not have to leave its node, if so. What stays by the node's own terms (`comes_with_the_node`) is not
/// asked.
fn stays(
    metadata: &At<'_>,
    spec: &At<'_>,
    controller: Option<&str>,
    tolerations: &[Toleration],
    requests: &BTreeMap<String, f64>,
) -> Result<Option<&'static str>> {
    let annotations = metadata.field("annotations").text_map()?;
    // Karpenter neither evicts nor waits for pods that tolerate the taint of a node that goes (`IsDrainable`).
    let going = Taint {
        key: DISRUPTED.to_owned(),
        value: None,
        effect: "NoSchedule".to_owned(),
    };
    let plain = ["cpu", "memory", "ephemeral-storage"];
    let has_claim = |volume: &At<'_>| !volume.field("persistentVolumeClaim").is_absent();
    let why = [
        // Karpenter takes a duration, too; whichever it is, somebody asked for rest.
        annotations
            .get(DO_NOT_DISRUPT)
            .is_some_and(|text| text != "false")
            .then_some("asks not to be disrupted"),
        controller.is_none().then_some("nobody would make anew"),
        (!matches!(
            controller,
            Some("ReplicaSet" | "StatefulSet" | "ReplicationController")
        ))
        .then_some("may not be made anew as it was"),
        tolerations
            .iter()
            .any(|one| one.covers(&going))
            .then_some("would not be asked to leave, since it tolerates Karpenter's taint"),
        (requests.keys().any(|name| !plain.contains(&name.as_str()))
            || !spec.field("resourceClaims").is_absent())
        .then_some("asks for devices"),
        spec.field("volumes")
            .items()?
            .iter()
            .any(has_claim)
            .then_some("has a volume that may be bound to its zone or node"),
    ];
    Ok(why.into_iter().flatten().next())
}

/// What all containers ask for together, and what their pod costs beside them.
fn requests(spec: &At<'_>) -> Result<BTreeMap<String, f64>> {
    let mut all = vec![spec.field("overhead").quantities()?];
    for list in ["containers", "initContainers"] {
        for container in spec.field(list).items()? {
            all.push(container.field("resources").field("requests").quantities()?);
        }
    }
    let mut sum = BTreeMap::new();
    for (name, amount) in all.into_iter().flatten() {
        *sum.entry(name).or_default() += quantity(&amount).unwrap_or_default();
    }
    Ok(sum)
}

fn is_unschedulable(status: &At<'_>) -> Result<bool> {
    let Some(scheduled) = status.field("conditions").condition_itself("PodScheduled")? else {
        return Ok(false);
    };
    let is_false = scheduled.field("status").text()? == Some("False");
    Ok(is_false && scheduled.field("reason").text()? == Some("Unschedulable"))
}

/// What a namespaced object is called, and its namespace.
fn names(metadata: &At<'_>) -> Result<(String, String)> {
    let namespace = metadata.field("namespace").text()?.unwrap_or("default");
    Ok((
        metadata.field("name").required()?.to_owned(),
        namespace.to_owned(),
    ))
}

fn controller(metadata: &At<'_>) -> Result<Option<String>> {
    for owner in metadata.field("ownerReferences").items()? {
        if owner.field("controller").flag()? {
            return owner.field("kind").text().map(|kind| kind.map(str::to_owned));
        }
    }
    Ok(None)
}

/// What a pod's node selector and required node affinity ask for. A term by other fields than labels names its node.
fn asks(spec: &At<'_>) -> Result<Vec<Requirements>> {
    let mut selected = Requirements::default();
    for (key, value) in spec.field("nodeSelector").text_map()? {
        selected.add(&key, &ValueSet::one_of([value]));
    }
    let required = spec
        .field("affinity")
        .field("nodeAffinity")
        .field("requiredDuringSchedulingIgnoredDuringExecution");
    if required.is_absent() {
        return Ok(vec![selected]);
    }
    let mut asks = Vec::new();
    for term in required.field("nodeSelectorTerms").items()? {
        if !term.field("matchFields").is_absent() {
            continue;
        }
        let mut asked = Requirements::read(&term.field("matchExpressions"))?;
        for (key, values) in selected.iter() {
            asked.add(key, values);
        }
        asks.push(asked);
    }
    Ok(asks)
}

fn toleration(at: &At<'_>) -> Result<Toleration> {
    let text = |key| at.field(key).text().map(|text| text.map(str::to_owned));
    Ok(Toleration {
        key: text("key")?.filter(|key| !key.is_empty()),
        value: text("value")?,
        effect: text("effect")?.filter(|effect| !effect.is_empty()),
        any_value: at.field("operator").text()? == Some("Exists"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: &Value) -> Pod {
        let object = json!({
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"},
                "ownerReferences": [{"kind": "Cache"}, {"kind": "ReplicaSet", "controller": true}]},
            "spec": spec, "status": {"phase": "Running"}
        });
        Pod::from_json(&object).unwrap()
    }

    fn pool() -> NodePool {
        let object = json!({"metadata": {"name": "committed"}, "spec": {"template": {
        "metadata": {"labels": {"tier": "web"}},
        "spec": {
            "taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}, {"key": "soft", "effect": "PreferNoSchedule"}],
            "requirements": [
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["us-east-1a", "us-east-1b"]}
            ]}}}});
        NodePool::from_json(&object).unwrap()
    }

    /// What a pod asks of its node's labels and taints, and whether the pool has that.
    #[test]
    fn a_pod_fits_where_its_labels_and_taints_are_met() {
        let tolerated = json!([{"key": "team", "operator": "Equal", "value": "a"}]);
        let affinity = |expressions: Value| {
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": [{"matchExpressions": expressions}]}}})
        };
        let with = |more: Value| {
            let mut spec = json!({ "tolerations": tolerated });
            spec.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            pod(&spec).fits(&pool())
        };
        assert!(with(json!({})));
        assert!(!pod(&json!({})).fits(&pool()), "its taint is not tolerated");
        assert!(pod(&json!({"tolerations": [{"operator": "Exists"}]})).fits(&pool()));
        assert!(!pod(&json!({"tolerations": [{"key": "team", "value": "b"}]})).fits(&pool()));
        for (selector, fits) in [
            (json!({"karpenter.sh/capacity-type": "spot"}), false),
            (json!({"karpenter.sh/capacity-type": "on-demand"}), true),
            (json!({"karpenter.sh/nodepool": "committed"}), true),
            (json!({"karpenter.sh/nodepool": "spot"}), false),
            (json!({"topology.kubernetes.io/zone": "us-east-1a"}), true),
            (json!({"topology.kubernetes.io/zone": "us-east-1c"}), false),
            (
                json!({"failure-domain.beta.kubernetes.io/zone": "us-east-1c"}),
                false,
            ),
            (json!({"kubernetes.io/arch": "amd64"}), true),
            (json!({"kubernetes.io/hostname": "ip-10-0-0-1"}), false),
            (json!({"tier": "web"}), true),
            (json!({"tier": "db"}), false),
            (json!({"disk": "fast"}), false),
        ] {
            assert_eq!(with(json!({ "nodeSelector": selector })), fits, "{selector}");
        }
        let not_spot =
            json!([{"key": "karpenter.sh/capacity-type", "operator": "NotIn", "values": ["spot"]}]);
        assert!(with(json!({ "affinity": affinity(not_spot) })));
        let only_spot = json!([{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]);
        assert!(!with(json!({ "affinity": affinity(only_spot.clone()) })));
        let mut either = affinity(only_spot);
        let terms = "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        let terms = either.pointer_mut(terms).and_then(Value::as_array_mut).unwrap();
        terms.push(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}));
        assert!(
            !with(json!({ "affinity": either.clone() })),
            "a term that names the node"
        );
        let terms = "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        let terms = either.pointer_mut(terms).and_then(Value::as_array_mut).unwrap();
        terms.push(json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}));
        assert!(with(json!({ "affinity": either })), "one of the terms is enough");
    }

    #[test]
    fn a_pod_is_read_with_what_keeps_it() {
        let web = pod(&json!({"nodeName": "n"}));
        assert_eq!(web.controller.as_deref(), Some("ReplicaSet"));
        assert_eq!(
            (web.node.as_deref(), web.waits, web.ended),
            (Some("n"), false, false)
        );
        let read = |metadata: Value, status: Value| {
            Pod::from_json(&json!({"metadata": metadata, "spec": {}, "status": status})).unwrap()
        };
        let waiting = |reason: &str| json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": reason}]});
        assert!(read(json!({"name": "p"}), waiting("Unschedulable")).waits);
        assert!(!read(json!({"name": "p"}), waiting("SchedulingGated")).waits);
        assert!(!read(json!({"name": "p"}), json!({"phase": "Pending"})).waits);
        assert!(read(json!({"name": "p"}), json!({"phase": "Succeeded"})).ended);
        let leaving = json!({"name": "p", "deletionTimestamp": "2026-11-20T10:00:00Z"});
        assert!(read(leaving, json!({"phase": "Running"})).ended);
        let daemon = json!({"name": "p", "ownerReferences": [{"kind": "DaemonSet", "controller": true}]});
        assert!(read(daemon, json!({})).comes_with_the_node());
    }

    #[test]
    fn what_a_pod_asks_for_is_the_sum_of_its_containers() {
        let container =
            |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let asked = pod(&json!({
            "containers": [container("500m", "1Gi"), container("1", "512Mi")],
            "initContainers": [container("250m", "0")], "overhead": {"cpu": "250m"},
        }));
        assert_eq!(asked.asks_for, (2.0, 1.5 * 1_073_741_824.0));
    }

    /// A pod stays that would be lost, killed or unable to run elsewhere.
    #[test]
    fn what_keeps_a_pod_on_its_node() {
        let of = |kind: &str, annotations: Value, spec: Value| {
            let object = json!({"metadata": {"name": "p", "annotations": annotations,
                "ownerReferences": [{"kind": kind, "controller": true}]}, "spec": spec});
            Pod::from_json(&object).unwrap().stays
        };
        let plain = || json!({});
        assert_eq!(of("ReplicaSet", plain(), plain()), None);
        assert_eq!(of("StatefulSet", plain(), plain()), None);
        for kind in ["Job", "Workflow", "EphemeralRunner"] {
            assert_eq!(
                of(kind, plain(), plain()),
                Some("may not be made anew as it was"),
                "{kind}"
            );
        }
        for (text, stays) in [("true", true), ("1h", true), ("false", false)] {
            let asked = of(
                "ReplicaSet",
                json!({"karpenter.sh/do-not-disrupt": text}),
                plain(),
            );
            assert_eq!(asked.is_some(), stays, "{text}");
        }
        for (spec, word) in [
            (json!({"tolerations": [{"operator": "Exists"}]}), "asked to leave"),
            (
                json!({"containers": [{"resources": {"requests": {"nvidia.com/gpu": "1"}}}]}),
                "devices",
            ),
            (json!({"resourceClaims": [{"name": "gpu"}]}), "devices"),
            (
                json!({"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}),
                "volume",
            ),
        ] {
            let stays = of("ReplicaSet", plain(), spec.clone());
            assert!(stays.is_some_and(|why| why.contains(word)), "{spec}: {stays:?}");
        }
        assert_eq!(
            of("ReplicaSet", plain(), json!({"volumes": [{"emptyDir": {}}]})),
            None
        );
    }

    #[test]
    fn a_budget_covers_the_pods_that_its_selector_takes() {
        let budget = |namespace: &str, selector: Value| {
            let object = json!({"metadata": {"name": "b", "namespace": namespace},
                "spec": {"selector": selector}, "status": {"disruptionsAllowed": 1}});
            PodDisruptionBudget::from_json(&object).unwrap()
        };
        let expression = |operator: &str, key: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let web = pod(&json!({}));
        for (selector, covers) in [
            (json!({}), true),
            (Value::Null, false),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({"matchLabels": {"tier": "x"}}), false),
            (expression("In", "app", json!(["web", "db"])), true),
            (expression("NotIn", "app", json!(["web"])), false),
            (expression("NotIn", "tier", json!(["x"])), true),
            (expression("Exists", "app", json!([])), true),
            (expression("Exists", "tier", json!([])), false),
            (expression("DoesNotExist", "tier", json!([])), true),
            (expression("DoesNotExist", "app", json!([])), false),
        ] {
            assert_eq!(
                budget("shop", selector.clone()).covers(&web),
                covers,
                "{selector}"
            );
        }
        assert!(!budget("other", json!({})).covers(&web));
        let fresh = json!({"metadata": {"name": "b"}, "spec": {"selector": {}}});
        assert_eq!(PodDisruptionBudget::from_json(&fresh).unwrap().allowed, 0);
    }
}
