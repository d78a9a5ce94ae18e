//! A Kubernetes Node as far as the bill is concerned: which machine it is, where it runs, and how it is paid for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::instance_type::Arch;
use super::json::{At, owner};
use super::labels::{self, DISRUPTED, Pair};
use super::launchable::region_of_zone;
use super::pod::DO_NOT_DISRUPT;
use super::units;
use brimful_types::Result;

/// How a node's machine is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeCapacity {
    /// On demand; Savings Plans apply.
    OnDemand,
    /// Spot; never covered.
    Spot,
    /// In an on-demand capacity reservation (ODCR): billed, and covered, as on-demand.
    Reserved,
    /// A Capacity Block: paid up front, never covered.
    CapacityBlock,
    /// Not an EC2 instance of the cluster's own: Fargate, hybrid, other clouds.
    NotEc2,
}

/// A Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: String,
    /// The `NodePool` that it came from; None for other nodes (managed node groups).
    pub node_pool: Option<String>,
    /// EC2 instance type.
    pub instance_type: Option<String>,
    /// How its machine is billed.
    pub capacity: NodeCapacity,
    /// AWS region; derived from the zone if there is no label.
    pub region: Option<String>,
    /// Availability zone.
    pub zone: Option<String>,
    /// CPU architecture.
    pub arch: Option<Arch>,
    /// `linux` or `windows`.
    pub os: Option<String>,
    /// EC2 instance id, from `spec.providerID`.
    pub instance_id: Option<String>,
    /// When the Node object was made, which is when its machine had started.
    pub created: DateTime<Utc>,
    /// The `Ready` condition.
    pub ready: bool,
    /// True once the Node is being deleted.
    pub deleting: bool,
    /// Name of the cluster, where a label has it.
    pub cluster_name: Option<String>,
    /// vCPU.
    pub vcpu: Option<u32>,
    /// Memory in MiB: the instance type's, where a label has it, else what the kubelet reports, which is less.
    pub memory_mib: Option<u64>,
    /// Why it is to be left alone, if so: an annotation, somebody who cordoned it, or Karpenter, which is about to take it.
    pub held_by: Option<&'static str>,
}

impl Node {
    /// Reads a Node object.
    ///
    /// # Errors
    /// A usage error that names the node and the field: no name, no creation time, or a value of a wrong type.
    pub fn from_json(object: &Value) -> Result<Self> {
        let owner = owner("Node", object);
        let root = At::root(&owner, object);
        Self::read(&root, root.field("spec").field("providerID").text()?)
    }

    /// Reads an object with a Node's labels and status: a Node, or the `NodeClaim` of one, which has its provider id in
    /// another place.
    pub(super) fn read(root: &At<'_>, provider_id: Option<&str>) -> Result<Self> {
        let (metadata, status) = (root.field("metadata"), root.field("status"));
        let created = metadata.field("creationTimestamp");
        let labels = Labels::read(&metadata)?;
        let zone = labels.first(&[labels::ZONE, "failure-domain.beta.kubernetes.io/zone"]);
        let zone = zone.or_else(|| zone_of(provider_id?)).map(str::to_owned);
        let region = labels.first(&[labels::REGION, "failure-domain.beta.kubernetes.io/region"]);
        let capacity = status.field("capacity").quantities()?;
        let quantity = |name| capacity.get(name).and_then(|text| units::quantity(text));
        Ok(Self {
            name: metadata.field("name").required()?.to_owned(),
            node_pool: labels.get(labels::NODE_POOL).map(str::to_owned),
            instance_type: labels
                .first(&[labels::INSTANCE_TYPE, "beta.kubernetes.io/instance-type"])
                .map(str::to_owned),
            capacity: labels.capacity(provider_id),
            region: region
                .map(str::to_owned)
                .or_else(|| region_of_zone(zone.as_ref()?)),
            zone,
            arch: labels
                .first(&[labels::ARCH, "beta.kubernetes.io/arch"])
                .and_then(Arch::from_label),
            os: labels
                .first(&[labels::OS, "beta.kubernetes.io/os"])
                .map(str::to_owned),
            instance_id: provider_id.and_then(instance_id).map(str::to_owned),
            created: created.time()?.ok_or_else(|| created.error("missing"))?,
            ready: status.field("conditions").condition("Ready")? == Some("True"),
            deleting: !metadata.field("deletionTimestamp").is_absent(),
            cluster_name: labels
                .first(&["eks.amazonaws.com/cluster", "alpha.eksctl.io/cluster-name"])
                .map(str::to_owned),
            vcpu: labels
                .number(labels::CPU)
                .or_else(|| quantity("cpu").and_then(whole)),
            memory_mib: labels
                .number(labels::MEMORY)
                .or_else(|| quantity("memory").and_then(|bytes| whole(bytes / 1_048_576.0))),
            held_by: held_by(root)?,
        })
    }
}

fn held_by(root: &At<'_>) -> Result<Option<&'static str>> {
    let spec = root.field("spec");
    for taint in spec.field("taints").items()? {
        if taint.field("key").text()? == Some(DISRUPTED) {
            return Ok(Some(DISRUPTED));
        }
    }
    if spec.field("unschedulable").flag()? {
        return Ok(Some("cordon"));
    }
    let annotations = root.field("metadata").field("annotations").text_map()?;
    Ok(annotations.contains_key(DO_NOT_DISRUPT).then_some(DO_NOT_DISRUPT))
}

/// The labels of a node, read by key.
struct Labels(BTreeMap<String, String>);

impl Labels {
    fn read(metadata: &At<'_>) -> Result<Self> {
        metadata.field("labels").text_map().map(Self)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The first of `keys` that is set.
    fn first(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    fn number<T: std::str::FromStr>(&self, keys: Pair) -> Option<T> {
        self.first(&keys)?.parse().ok()
    }

    /// Karpenter's labels speak first, then those of EKS managed node groups. An EC2 instance that nothing is
    /// said of is on demand.
    fn capacity(&self, provider_id: Option<&str>) -> NodeCapacity {
        let group = self.get("eks.amazonaws.com/capacityType");
        if matches!(
            self.get("eks.amazonaws.com/compute-type"),
            Some("fargate" | "hybrid")
        ) {
            return NodeCapacity::NotEc2;
        }
        if self.first(&labels::RESERVATION_TYPE) == Some("capacity-block") || group == Some("CAPACITY_BLOCK")
        {
            return NodeCapacity::CapacityBlock;
        }
        match (self.get(labels::CAPACITY_TYPE), group) {
            (Some("spot"), _) | (None, Some("SPOT")) => NodeCapacity::Spot,
            (Some("reserved"), _) => NodeCapacity::Reserved,
            (Some("on-demand"), _) | (None, Some("ON_DEMAND")) => NodeCapacity::OnDemand,
            _ if provider_id.and_then(instance_id).is_some() => NodeCapacity::OnDemand,
            _ => NodeCapacity::NotEc2,
        }
    }
}

/// Zone and resource of an AWS provider id, `aws:///us-east-2a/i-0123456789abcdef0`.
fn aws_provider(provider_id: &str) -> Option<(&str, &str)> {
    provider_id.strip_prefix("aws:///")?.split_once('/')
}

fn zone_of(provider_id: &str) -> Option<&str> {
    aws_provider(provider_id)
        .map(|(zone, _)| zone)
        .filter(|zone| !zone.is_empty())
}

fn instance_id(provider_id: &str) -> Option<&str> {
    aws_provider(provider_id)
        .map(|(_, id)| id)
        .filter(|id| id.starts_with("i-"))
}

/// A quantity as a whole number, rounded down; None if it does not fit.
fn whole<T: TryFrom<u64>>(value: f64) -> Option<T> {
    let whole = format!("{:.0}", value.floor()).parse::<u64>().ok()?;
    T::try_from(whole).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(provider_id: &str, labels: &Value) -> Node {
        let object = json!({
            "metadata": {"name": "n", "creationTimestamp": "2026-11-20T08:00:00Z", "labels": labels},
            "spec": {"providerID": provider_id},
            "status": {"capacity": {"cpu": "4", "memory": "15896988Ki"}, "conditions": [{"type": "Ready", "status": "True"}]}
        });
        Node::from_json(&object).unwrap()
    }

    fn capacity(labels: &Value) -> NodeCapacity {
        node("aws:///us-east-2a/i-0abc", labels).capacity
    }

    #[test]
    fn a_karpenter_node_is_read_whole() {
        let node = node(
            "aws:///us-east-2a/i-0123456789abcdef0",
            &json!({
                "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand",
                "node.kubernetes.io/instance-type": "m5.xlarge", "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "us-east-2a",
                "karpenter.k8s.aws/instance-cpu": "4", "karpenter.k8s.aws/instance-memory": "16384",
                "alpha.eksctl.io/cluster-name": "prod"
            }),
        );
        assert_eq!(node.node_pool.as_deref(), Some("general"));
        assert_eq!(node.instance_id.as_deref(), Some("i-0123456789abcdef0"));
        assert_eq!(
            (node.region.as_deref(), node.arch),
            (Some("us-east-2"), Some(Arch::Amd64))
        );
        assert_eq!(
            (node.vcpu, node.memory_mib),
            (Some(4), Some(16384)),
            "the labels' memory, not the kubelet's"
        );
        assert_eq!(
            (node.ready, node.deleting, node.cluster_name.as_deref()),
            (true, false, Some("prod"))
        );
        assert_eq!(node.created.to_rfc3339(), "2026-11-20T08:00:00+00:00");
    }

    #[test]
    fn every_way_to_say_how_a_node_is_billed_is_understood() {
        assert_eq!(
            capacity(&json!({"karpenter.sh/capacity-type": "spot"})),
            NodeCapacity::Spot
        );
        assert_eq!(
            capacity(&json!({"karpenter.sh/capacity-type": "on-demand"})),
            NodeCapacity::OnDemand
        );
        assert_eq!(
            capacity(&json!({"karpenter.sh/capacity-type": "reserved"})),
            NodeCapacity::Reserved
        );
        assert_eq!(
            capacity(&json!({"eks.amazonaws.com/capacityType": "SPOT"})),
            NodeCapacity::Spot
        );
        assert_eq!(
            capacity(&json!({"eks.amazonaws.com/capacityType": "ON_DEMAND"})),
            NodeCapacity::OnDemand
        );
        assert_eq!(
            capacity(&json!({"eks.amazonaws.com/capacityType": "CAPACITY_BLOCK"})),
            NodeCapacity::CapacityBlock
        );
        let block = json!({"karpenter.sh/capacity-type": "reserved", "karpenter.k8s.aws/capacity-reservation-type": "capacity-block"});
        assert_eq!(capacity(&block), NodeCapacity::CapacityBlock);
        assert_eq!(
            capacity(&json!({})),
            NodeCapacity::OnDemand,
            "an EC2 instance that nothing is said of"
        );
    }

    #[test]
    fn what_is_not_ec2_is_told_apart() {
        assert_eq!(
            capacity(&json!({"eks.amazonaws.com/compute-type": "fargate"})),
            NodeCapacity::NotEc2
        );
        assert_eq!(
            node("eks-hybrid:///us-east-2/c/mi-1", &json!({})).capacity,
            NodeCapacity::NotEc2
        );
        assert_eq!(node("", &json!({})).capacity, NodeCapacity::NotEc2);
        let karpenter_on_another_provider = json!({"karpenter.sh/capacity-type": "spot"});
        assert_eq!(
            node("kwok://n", &karpenter_on_another_provider).capacity,
            NodeCapacity::Spot
        );
    }

    #[test]
    fn without_labels_the_provider_id_and_the_kubelet_tell() {
        let node = node("aws:///us-west-2-lax-1a/i-0abc", &json!({}));
        assert_eq!(
            (node.zone.as_deref(), node.region.as_deref()),
            (Some("us-west-2-lax-1a"), Some("us-west-2"))
        );
        assert_eq!((node.vcpu, node.memory_mib), (Some(4), Some(15524)));
    }

    #[test]
    fn a_node_without_a_creation_time_is_an_error() {
        let error = Node::from_json(&json!({"metadata": {"name": "n"}})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Node \"n\": metadata.creationTimestamp: missing"
        );
    }
}
