//! A `NodePool` as the API server holds it, as the program reads it, and what the model of Karpenter makes of it.

use brimful_karpenter::NodePool;
use brimful_simulation::node_pools::Object;
use brimful_types::Result;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::SIZES;

/// What a pool is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `metadata.name`.
    pub name: String,
    /// True for Spot.
    pub spot: bool,
    /// `spec.weight`; none is 0.
    pub weight: Option<i32>,
    /// True if Brimful may steer it.
    pub managed: bool,
    /// Only pods of this team tolerate its taint.
    pub team: Option<usize>,
    /// Its nodes live so many hours.
    pub expire_after: Option<usize>,
}

impl Spec {
    /// A pool of that name, weight and kind.
    #[must_use]
    pub fn new(name: &str, spot: bool, weight: Option<i32>) -> Self {
        Self {
            name: name.to_owned(),
            spot,
            weight,
            managed: name.starts_with("committed"),
            team: None,
            expire_after: None,
        }
    }
}

/// A pool.
#[derive(Debug, Clone)]
pub struct Pool {
    /// What it was made of.
    pub spec: Spec,
    object: Object,
    /// vCPU that its limits allow.
    pub limit: u32,
    /// True if only empty nodes may go.
    pub when_empty: bool,
}

impl Pool {
    /// A pool as its owner made it.
    ///
    /// # Errors
    /// Never, as long as the program reads what it should.
    pub fn new(spec: Spec) -> Result<Self> {
        let capacity = if spec.spot { "spot" } else { "on-demand" };
        let names: Vec<&str> = SIZES.iter().map(|(name, _)| *name).collect();
        let mut template = json!({ "expireAfter": "Never", "requirements": [
            { "key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity] },
            { "key": "node.kubernetes.io/instance-type", "operator": "In", "values": names },
        ] });
        if let Some(hours) = spec.expire_after {
            template["expireAfter"] = json!(format!("{hours}h"));
        }
        if let Some(team) = spec.team {
            template["taints"] =
                json!([{ "key": "team", "value": team.to_string(), "effect": "NoSchedule" }]);
        }
        let mut object = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": { "name": spec.name, "uid": spec.name, "resourceVersion": "1", "generation": 1, "labels": {} },
            "spec": {
                "disruption": { "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s" },
                "template": { "spec": template },
            },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        if let Some(weight) = spec.weight {
            object["spec"]["weight"] = json!(weight);
        }
        if spec.managed {
            object["metadata"]["labels"]["brimful.dev/managed"] = json!("true");
        }
        let mut pool = Self {
            spec,
            object: Object::new(object)?,
            limit: u32::MAX,
            when_empty: false,
        };
        pool.look();
        Ok(pool)
    }

    /// What the program reads.
    #[must_use]
    pub fn seen(&self) -> &NodePool {
        &self.object.seen
    }

    fn look(&mut self) {
        let spec = &self.object.held["spec"];
        self.limit = spec["limits"]["cpu"].as_str().map_or(u32::MAX, vcpu);
        self.when_empty = spec["disruption"]["consolidationPolicy"] == "WhenEmpty";
    }

    /// `spec.weight`; none is 0.
    #[must_use]
    pub fn weight(&self) -> i32 {
        self.seen().effective_weight()
    }

    /// A merge patch (RFC 7386), as the API server carries it out.
    ///
    /// # Errors
    /// The patched object is no `NodePool` any more.
    pub fn patch(&mut self, patch: &Value) -> Result<()> {
        self.object.patch(patch)?;
        self.look();
        Ok(())
    }

    /// Shows in the status what the pool has.
    pub fn count(&mut self, vcpu: u32, nodes: usize) {
        self.object.count([
            ("cpu", vcpu.to_string()),
            ("memory", format!("{}Gi", vcpu * 4)),
            ("nodes", nodes.to_string()),
        ]);
    }

    /// How many of so many nodes may be disrupted at once for that reason.
    #[must_use]
    pub fn allows(&self, reason: &str, nodes: usize, now: DateTime<Utc>) -> usize {
        self.object.allows(reason, nodes, now)
    }
}

/// `"16"` or `"16500m"` in whole vCPU, rounded down.
fn vcpu(text: &str) -> u32 {
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<u32>().unwrap_or(0) / 1000,
        None => text.parse().unwrap_or(0),
    }
}
