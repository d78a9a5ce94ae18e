//! The cluster's three `NodePools` as the API server would hold them.

use chrono::{DateTime, Datelike, Duration, TimeZone, Utc};
use serde_json::{Value, json};

use brimful_karpenter::NodePool;
use brimful_policy::limits::Vcpu;
use brimful_types::Result;

/// vCPU of a node.
pub const NODE_VCPU: u32 = 4;
/// Memory of a node, MiB.
pub const NODE_MEMORY: u64 = 16_384;
/// The one instance type.
pub const INSTANCE_TYPE: &str = "m5.xlarge";

/// The pools, in the order of a cluster's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Pool {
    /// On demand, managed; the plans pay for it.
    Committed = 0,
    /// On demand, without a weight: takes what nothing else can.
    Overflow = 1,
    /// Spot.
    Spot = 2,
}

impl Pool {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Committed, Self::Overflow, Self::Spot];

    /// `metadata.name`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Overflow => "overflow",
            Self::Spot => "spot",
        }
    }

    /// The value of the capacity type's label.
    #[must_use]
    pub fn capacity(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            _ => "on-demand",
        }
    }
}

/// `spec.weight` of the Spot pool.
pub const SPOT_WEIGHT: i32 = 10;
/// `spec.weight` of the committed pool while nobody steers it.
pub const LOW: i32 = 5;
/// Its weight above Spot, for policies that are not Brimful.
pub const HIGH: i32 = 20;

/// A `NodePool` object as the API server holds it, and as the program reads it.
#[derive(Debug, Clone)]
pub struct Object {
    /// What the API server holds.
    pub held: Value,
    revision: usize,
    /// What the program reads; its `resources` are no part of the object and follow the nodes.
    pub seen: NodePool,
}

impl Object {
    /// An object that was just made.
    ///
    /// # Errors
    /// It is no `NodePool`.
    pub fn new(held: Value) -> Result<Self> {
        Ok(Self {
            seen: NodePool::from_json(&held)?,
            held,
            revision: 1,
        })
    }

    /// A merge patch (RFC 7386), as the API server carries it out.
    ///
    /// # Errors
    /// The patched object is no `NodePool` any more.
    pub fn patch(&mut self, patch: &Value) -> Result<()> {
        json_patch::merge(&mut self.held, patch);
        self.revision += 1;
        self.held["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.held["metadata"]["generation"] = json!(self.revision);
        let resources = std::mem::take(&mut self.seen.resources);
        self.seen = NodePool::from_json(&self.held)?;
        self.seen.resources = resources;
        Ok(())
    }

    /// Shows in the status what its nodes have.
    pub fn count(&mut self, amounts: impl IntoIterator<Item = (&'static str, String)>) {
        let named = amounts
            .into_iter()
            .map(|(name, amount)| (name.to_owned(), amount));
        self.seen.resources = named.collect();
    }

    /// How many of so many nodes may be disrupted at once for that reason.
    #[must_use]
    pub fn allows(&self, reason: &str, nodes: usize, now: DateTime<Utc>) -> usize {
        let default = [json!({ "nodes": "10%" })];
        let written = self.held["spec"]["disruption"]["budgets"].as_array();
        let entries = written.map_or(default.as_slice(), Vec::as_slice);
        let concerns = |entry: &&Value| {
            let reasons = entry["reasons"].as_array();
            reasons.is_none_or(|reasons| reasons.iter().any(|one| one == reason)) && is_active(entry, now)
        };
        let most = |entry: &Value| {
            let text = entry["nodes"].as_str().unwrap_or("10%");
            match text.strip_suffix('%') {
                Some(percent) => (percent.parse::<usize>().unwrap_or(0) * nodes).div_ceil(100),
                None => text.parse().unwrap_or(0),
            }
        };
        entries.iter().filter(concerns).map(most).min().unwrap_or(nodes)
    }
}

/// Whether a budget's schedule was last due less than its duration ago. Of cron only what is met here: every midnight,
/// or once a year.
fn is_active(entry: &Value, now: DateTime<Utc>) -> bool {
    let Some(schedule) = entry["schedule"].as_str() else {
        return true;
    };
    let hours = entry["duration"].as_str().and_then(|text| text.strip_suffix('h'));
    let length = Duration::hours(hours.and_then(|hours| hours.parse().ok()).unwrap_or(0));
    let field: Vec<Option<u32>> = schedule.split(' ').map(|word| word.parse().ok()).collect();
    let due = |year, month, day| {
        let time = Utc.with_ymd_and_hms(year, month, day, field[1].unwrap_or(0), field[0].unwrap_or(0), 0);
        time.single().filter(|time| *time <= now)
    };
    let last = match (field[2], field[3]) {
        (Some(day), Some(month)) => (0..9).find_map(|back| due(now.year() - back, month, day)),
        _ => due(now.year(), now.month(), now.day()),
    };
    last.is_some_and(|last| now - last < length)
}

/// One pool, as the API server and as the program sees it.
#[derive(Debug, Clone)]
pub struct Stored {
    object: Object,
    /// What Karpenter makes of weight and limits.
    pub terms: Terms,
}

/// What of a pool the model of Karpenter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Absent counts as 0.
    pub weight: i32,
    /// The most nodes that the limits allow.
    pub most: usize,
}

impl Terms {
    fn of(pool: &NodePool) -> Self {
        let most = Vcpu::of(&pool.limits).map_or(usize::MAX, |limit| {
            (limit.0 / Vcpu::cores(NODE_VCPU).0).max(0) as usize
        });
        Self {
            weight: pool.effective_weight(),
            most,
        }
    }
}

impl Stored {
    /// A pool as its owner made it. `protected` concerns the committed pool.
    ///
    /// # Errors
    /// Never, as long as the crate reads what it should.
    pub fn new(pool: Pool, protected: bool) -> Result<Self> {
        let weight = match pool {
            Pool::Committed => json!(LOW),
            Pool::Overflow => Value::Null,
            Pool::Spot => json!(SPOT_WEIGHT),
        };
        let managed = (pool == Pool::Committed).then_some("true");
        let policy = if protected && pool == Pool::Committed {
            "WhenEmpty"
        } else {
            "WhenEmptyOrUnderutilized"
        };
        let object = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": {
                "name": pool.name(), "uid": pool.name(), "resourceVersion": "1", "generation": 1,
                "labels": { "brimful.dev/managed": managed },
            },
            "spec": {
                "weight": weight,
                "disruption": { "consolidationPolicy": policy, "consolidateAfter": "0s" },
                "template": { "spec": { "expireAfter": "Never", "requirements": [
                    { "key": "karpenter.sh/capacity-type", "operator": "In", "values": [pool.capacity()] },
                    { "key": "node.kubernetes.io/instance-type", "operator": "In", "values": [INSTANCE_TYPE] },
                ] } },
            },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        let object = Object::new(without_nulls(&object))?;
        Ok(Self {
            terms: Terms::of(&object.seen),
            object,
        })
    }

    /// What the program reads.
    #[must_use]
    pub fn seen(&self) -> &NodePool {
        &self.object.seen
    }

    /// It grows by one with every patch.
    #[must_use]
    pub fn revision(&self) -> usize {
        self.object.revision
    }

    /// A merge patch (RFC 7386), as the API server carries it out.
    ///
    /// # Errors
    /// The patched object is no `NodePool` any more.
    pub fn patch(&mut self, patch: &Value) -> Result<()> {
        self.object.patch(patch)?;
        self.terms = Terms::of(&self.object.seen);
        Ok(())
    }

    /// True while consolidation leaves its nodes alone.
    #[must_use]
    pub fn is_protected(&self, now: DateTime<Utc>) -> bool {
        self.object.held["spec"]["disruption"]["consolidationPolicy"] == "WhenEmpty"
            || self.object.allows("Underutilized", 1, now) == 0
    }

    /// Tells in the status how many nodes the pool has.
    pub fn count(&mut self, nodes: usize) {
        self.object.count([
            ("cpu", (nodes * NODE_VCPU as usize).to_string()),
            ("memory", format!("{}Mi", nodes as u64 * NODE_MEMORY)),
        ]);
    }
}

fn without_nulls(value: &Value) -> Value {
    let mut clean = json!({});
    json_patch::merge(&mut clean, value);
    clean
}
