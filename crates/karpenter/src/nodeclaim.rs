//! A Karpenter `NodeClaim`: one machine that Karpenter asked for.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::json::{At, owner};
use super::labels::{self, DISRUPTED};
use super::node::Node;
use super::nodepool::ExpireAfter;
use super::pod::DO_NOT_DISRUPT;
use brimful_types::Result;

/// A `NodeClaim`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent conditions of the API object"
)]
pub struct NodeClaim {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`; None where no API server has seen it.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`; None where no API server has seen it.
    pub resource_version: Option<String>,
    /// The pool it belongs to; None for a claim made by hand.
    pub node_pool: Option<String>,
    /// Its Node, once there is one.
    pub node_name: Option<String>,
    /// Its instance type, once launched.
    pub instance_type: Option<String>,
    /// Its machine, as its Node will show it: named as the claim, with the labels that Karpenter gives both. None before
    /// the launch.
    pub machine: Option<Node>,
    /// True if Karpenter will replace it because the pool's template or the node class changed.
    pub drifted: bool,
    /// True once the machine was launched.
    pub launched: bool,
    /// True once the Node joined the cluster.
    pub registered: bool,
    /// True once it is being deleted.
    pub deleting: bool,
    /// When the claim was made, from which its age counts.
    pub created: DateTime<Utc>,
    /// When it is deleted by age.
    pub expire_after: ExpireAfter,
    /// Why it is not to be deleted before its time, if so: its annotation; a time of grace, after which pods are killed,
    /// whatever protects them; or Karpenter, which is about to take it.
    pub held_by: Option<&'static str>,
}

impl NodeClaim {
    /// The claim of a Node that has joined the cluster, made with it, of its name.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            uid: None,
            resource_version: None,
            node_pool: node.node_pool.clone(),
            node_name: Some(node.name.clone()),
            instance_type: node.instance_type.clone(),
            machine: None,
            drifted: false,
            launched: true,
            registered: true,
            deleting: false,
            created: node.created,
            expire_after: ExpireAfter::Never,
            held_by: None,
        }
    }

    /// Reads a `NodeClaim` object.
    ///
    /// # Errors
    /// A usage error that names the claim and the field: no name, no creation time, or a value of a wrong type.
    pub fn from_json(object: &Value) -> Result<Self> {
        let owner = owner("NodeClaim", object);
        let root = At::root(&owner, object);
        let (metadata, spec, status) = (root.field("metadata"), root.field("spec"), root.field("status"));
        let label = |key: &str| {
            metadata
                .field("labels")
                .field(key)
                .text()
                .map(|text| text.map(str::to_owned))
        };
        let holds = |kind| {
            status
                .field("conditions")
                .condition(kind)
                .map(|status| status == Some("True"))
        };
        let launched = holds("Launched")?;
        let machine = || Node::read(&root, status.field("providerID").text()?);
        let created = metadata.field("creationTimestamp");
        Ok(Self {
            name: metadata.field("name").required()?.to_owned(),
            uid: metadata.field("uid").text()?.map(str::to_owned),
            resource_version: metadata.field("resourceVersion").text()?.map(str::to_owned),
            node_pool: label(labels::NODE_POOL)?,
            node_name: status.field("nodeName").text()?.map(str::to_owned),
            instance_type: label(labels::INSTANCE_TYPE)?,
            machine: launched.then(machine).transpose()?,
            drifted: holds("Drifted")?,
            launched,
            registered: holds("Registered")?,
            deleting: !metadata.field("deletionTimestamp").is_absent(),
            created: created.time()?.ok_or_else(|| created.error("missing"))?,
            expire_after: ExpireAfter::read(&spec.field("expireAfter"))?,
            held_by: held_by(&metadata, &spec, &status)?,
        })
    }

    /// When Karpenter will delete it by age; None = never.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self.expire_after {
            ExpireAfter::Never => None,
            ExpireAfter::After(age) => self.created.checked_add_signed(age),
        }
    }
}

fn held_by(metadata: &At<'_>, spec: &At<'_>, status: &At<'_>) -> Result<Option<&'static str>> {
    if status.field("conditions").condition("DisruptionReason")? == Some("True") {
        return Ok(Some(DISRUPTED));
    }
    if metadata
        .field("annotations")
        .text_map()?
        .contains_key(DO_NOT_DISRUPT)
    {
        return Ok(Some(DO_NOT_DISRUPT));
    }
    let grace = "terminationGracePeriod";
    Ok((!spec.field(grace).is_absent()).then_some(grace))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::NodeCapacity;

    fn claim(spec: &Value, conditions: &Value) -> NodeClaim {
        let object = json!({
            "metadata": {"name": "general-abc", "creationTimestamp": "2026-11-20T08:00:00Z",
                "labels": {"karpenter.sh/nodepool": "general", "node.kubernetes.io/instance-type": "m5.large"}},
            "spec": spec,
            "status": {"nodeName": "ip-10-0-0-1", "conditions": conditions}
        });
        NodeClaim::from_json(&object).unwrap()
    }

    #[test]
    fn conditions_and_owner_are_read() {
        let conditions = json!([{"type": "Drifted", "status": "True"}, {"type": "Launched", "status": "True"},
            {"type": "Registered", "status": "Unknown"}]);
        let claim = claim(&json!({}), &conditions);
        assert_eq!(
            (claim.drifted, claim.launched, claim.registered),
            (true, true, false)
        );
        assert_eq!(
            (claim.node_pool.as_deref(), claim.node_name.as_deref()),
            (Some("general"), Some("ip-10-0-0-1"))
        );
    }

    #[test]
    fn a_launched_claim_tells_its_machine_before_the_node_does() {
        let object = json!({
            "metadata": {"name": "general-abc", "creationTimestamp": "2026-11-20T08:00:00Z", "labels": {
                "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "reserved",
                "node.kubernetes.io/instance-type": "m5.large", "kubernetes.io/os": "linux"}},
            "status": {"providerID": "aws:///us-east-2a/i-0abc", "capacity": {"cpu": "2"},
                "conditions": [{"type": "Launched", "status": "True"}]}
        });
        let machine = NodeClaim::from_json(&object).unwrap().machine.unwrap();
        assert_eq!(
            (machine.capacity, machine.vcpu, machine.deleting),
            (NodeCapacity::Reserved, Some(2), false)
        );
        assert_eq!(
            (machine.region.as_deref(), machine.instance_id.as_deref()),
            (Some("us-east-2"), Some("i-0abc"))
        );
        assert_eq!(claim(&json!({}), &json!([])).machine, None);
    }

    #[test]
    fn a_claim_expires_after_its_own_time_or_karpenters_default_or_never() {
        let expiry = |spec: &Value| claim(spec, &json!([])).expires_at().map(|time| time.to_rfc3339());
        assert_eq!(
            expiry(&json!({"expireAfter": "24h"})).as_deref(),
            Some("2026-11-21T08:00:00+00:00")
        );
        assert_eq!(expiry(&json!({})).as_deref(), Some("2026-12-20T08:00:00+00:00"));
        assert_eq!(expiry(&json!({"expireAfter": "Never"})), None);
    }
}
