//! A model of Karpenter: which nodes go, which pool launches what is missing, and what consolidation moves to Spot.
//!
//! The rules are those that `docs/karpenter-behaviour.md` measured; how fast nodes move is a parameter.

use brimful_karpenter::{Node, NodeCapacity, NodeClaim, NodePool, Pod, Pods};
use brimful_types::Result;
use brimful_types::hour::rfc3339;
use chrono::Duration;
use serde_json::{Value, json};

use super::node_pools::{INSTANCE_TYPE, NODE_MEMORY, NODE_VCPU, Pool, Stored};
use super::trace::{Workload, time_of};

/// Region of all clusters.
pub const REGION: &str = "us-east-2";
/// Rounds of consolidation in a step, of a few minutes each.
const ROUNDS: usize = 2;
/// One in so many nodes may be disrupted at a time (Karpenter's default budget of 10 %, rounded up).
const BUDGET: usize = 10;

/// The most on-demand nodes that consolidation replaces by Spot in one step.
#[must_use]
pub fn pace(on_demand: usize) -> usize {
    ROUNDS * on_demand.div_ceil(BUDGET)
}

/// What a step takes from a cluster before anything is launched, whoever decides. Depends on counts only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Losses {
    /// On-demand nodes that end.
    pub on_demand_ended: usize,
    /// Spot nodes that end, interruptions included.
    pub spot_ended: usize,
    /// On-demand nodes that the workload no longer needs.
    pub on_demand_spare: usize,
    /// Spot nodes that it no longer needs.
    pub spot_spare: usize,
    /// Nodes that must be launched.
    pub missing: usize,
}

impl Losses {
    /// The losses of a step for so many nodes, of which `open` on demand are not protected from consolidation. When the
    /// workload shrinks, those go first: the dearest (Karpenter from 1.14 on, `disruption/consolidation.go`); those that
    /// are protected go last.
    #[must_use]
    pub fn of(work: &Workload, step: usize, on_demand: usize, open: usize, spot: usize) -> Self {
        let below = |ends: &Vec<usize>, count: usize| ends.partition_point(|slot| *slot < count);
        let on_demand_ended = below(&work.on_demand_ends[step], on_demand);
        let spot_ended = below(&work.spot_ends[step], spot);
        let (on_demand, spot) = (on_demand - on_demand_ended, spot - spot_ended);
        let needed = work.nodes[step];
        let excess = (on_demand + spot).saturating_sub(needed);
        let first = excess.min(open).min(on_demand);
        let on_demand_spare = first.max(excess.saturating_sub(spot));
        Self {
            on_demand_ended,
            spot_ended,
            on_demand_spare,
            spot_spare: excess - on_demand_spare,
            missing: needed.saturating_sub(on_demand + spot),
        }
    }

    /// On-demand nodes that are left of so many.
    #[must_use]
    pub fn on_demand_left(&self, before: usize) -> usize {
        before - self.on_demand_ended - self.on_demand_spare
    }
}

/// A cluster and its `NodePools`.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name, as tags tell it.
    pub name: String,
    pools: Vec<Stored>,
    /// Nodes by pool, in the order of [`Pool::ALL`].
    counts: [usize; 3],
    /// The same nodes as objects, pool after pool.
    nodes: Vec<Node>,
    template: Node,
    /// What runs on a node.
    pod: Pod,
    launched: usize,
    moved: usize,
}

impl Cluster {
    /// A cluster that runs its workload on Spot.
    ///
    /// # Errors
    /// Never, as long as the crate reads what it should.
    pub fn new(name: &str, protected: bool, nodes: usize) -> Result<Self> {
        let pools = Pool::ALL.into_iter().map(|pool| Stored::new(pool, protected));
        let template = Node {
            name: String::new(),
            node_pool: None,
            instance_type: Some(INSTANCE_TYPE.to_owned()),
            capacity: NodeCapacity::Spot,
            region: Some(REGION.to_owned()),
            zone: None,
            arch: None,
            os: None,
            instance_id: None,
            created: time_of(0),
            ready: true,
            deleting: false,
            cluster_name: None,
            vcpu: Some(NODE_VCPU),
            memory_mib: Some(NODE_MEMORY),
            held_by: None,
        };
        let mut cluster = Self {
            name: name.to_owned(),
            pools: pools.collect::<Result<_>>()?,
            counts: [0; 3],
            nodes: Vec::new(),
            template,
            pod: pod()?,
            launched: 0,
            moved: 0,
        };
        for _ in 0..nodes {
            cluster.launch(Pool::Spot, 0);
        }
        Ok(cluster)
    }

    /// Nodes of a pool.
    #[must_use]
    pub fn count(&self, pool: Pool) -> usize {
        self.counts[pool as usize]
    }

    /// On-demand nodes of both pools.
    #[must_use]
    pub fn on_demand(&self) -> usize {
        self.count(Pool::Committed) + self.count(Pool::Overflow)
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A pool.
    #[must_use]
    pub fn pool(&self, pool: Pool) -> &Stored {
        &self.pools[pool as usize]
    }

    /// All pools, as the program reads them.
    #[must_use]
    pub fn node_pools(&self) -> Vec<NodePool> {
        self.pools.iter().map(|pool| pool.seen().clone()).collect()
    }

    /// All `NodeClaims`: one a node, of its name.
    #[must_use]
    pub fn node_claims(&self) -> Vec<NodeClaim> {
        self.nodes.iter().map(NodeClaim::of).collect()
    }

    /// What runs: a pod on each node.
    #[must_use]
    pub fn pods(&self) -> Pods {
        let on = |node: &Node| {
            let mut pod = self.pod.clone();
            pod.name.clone_from(&node.name);
            pod.node = Some(node.name.clone());
            pod.created = node.created;
            pod
        };
        Pods {
            pods: self.nodes.iter().map(on).collect(),
            budgets: Vec::new(),
        }
    }

    /// Nodes whose claims were deleted so far.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved
    }

    /// Deletes a claim: its node leaves, and what ran there is launched anew.
    pub fn delete_claim(&mut self, name: &str) {
        if let Some(place) = self.nodes.iter().position(|node| node.name == name) {
            self.remove(place);
            self.moved += 1;
        }
    }

    /// Patches the pool of that name.
    ///
    /// # Errors
    /// The patched object is no `NodePool` any more.
    pub fn patch(&mut self, name: &str, patch: &Value) -> Result<()> {
        let pool = self.pools.iter_mut().find(|pool| pool.seen().name == name);
        pool.map_or(Ok(()), |pool| pool.patch(patch))
    }

    /// One step: nodes end, the workload moves, what is missing is launched, and consolidation does its part.
    pub fn step(&mut self, work: &Workload, step: usize, has_spot: bool) {
        let (on_demand, spot) = (self.on_demand(), self.count(Pool::Spot));
        let now = time_of(step);
        let is_protected = self.pool(Pool::Committed).is_protected(now);
        let open = if is_protected {
            self.count(Pool::Overflow)
        } else {
            on_demand
        };
        let losses = Losses::of(work, step, on_demand, open, spot);
        for slot in work.spot_ends[step][..losses.spot_ended].iter().rev() {
            self.remove(on_demand + slot);
        }
        for slot in work.on_demand_ends[step][..losses.on_demand_ended].iter().rev() {
            self.remove(*slot);
        }
        for turn in 0..losses.on_demand_spare {
            let kept = self.count(Pool::Committed) * usize::from(is_protected);
            let (first, open) = match self.on_demand() - kept {
                0 => (0, kept),
                open => (kept, open),
            };
            self.remove(first + some(step, turn, open));
        }
        for turn in 0..losses.spot_spare {
            let (before, left) = (self.on_demand(), self.count(Pool::Spot));
            self.remove(before + some(step, turn, left));
        }
        for _ in 0..pace(self.on_demand()) {
            let Some(pool) = self.candidate(is_protected, has_spot) else {
                break;
            };
            let first = self.first_of(pool);
            self.remove(first + some(step, 0, self.count(pool)));
            self.launch(Pool::Spot, step);
        }
        for _ in 0..losses.missing {
            let pool = self.next(self.counts, has_spot).unwrap_or(Pool::Overflow);
            self.launch(pool, step);
        }
    }

    /// The on-demand pool of which consolidation would replace a node by Spot: the replacement comes from where new
    /// nodes come from, once the node's own capacity is free.
    fn candidate(&self, is_protected: bool, has_spot: bool) -> Option<Pool> {
        [Pool::Overflow, Pool::Committed].into_iter().find(|pool| {
            let mut counts = self.counts;
            if counts[*pool as usize] == 0 || *pool == Pool::Committed && is_protected {
                return false;
            }
            counts[*pool as usize] -= 1;
            self.next(counts, has_spot) == Some(Pool::Spot)
        })
    }

    /// The pool that launches the next node: the heaviest one with room; of equal ones the later name.
    fn next(&self, counts: [usize; 3], has_spot: bool) -> Option<Pool> {
        let has_room = |pool: &Pool| {
            counts[*pool as usize] < self.pools[*pool as usize].terms.most
                && (*pool != Pool::Spot || has_spot)
        };
        let rank = |pool: &Pool| (self.pools[*pool as usize].terms.weight, pool.name());
        Pool::ALL.into_iter().filter(has_room).max_by_key(rank)
    }

    fn first_of(&self, pool: Pool) -> usize {
        self.counts[..pool as usize].iter().sum()
    }

    fn launch(&mut self, pool: Pool, step: usize) {
        let place = self.first_of(pool) + self.count(pool);
        self.launched += 1;
        let node = Node {
            name: format!("{}-{}", pool.name(), self.launched),
            node_pool: Some(pool.name().to_owned()),
            capacity: if pool == Pool::Spot {
                NodeCapacity::Spot
            } else {
                NodeCapacity::OnDemand
            },
            created: time_of(step) + Duration::minutes(1),
            ..self.template.clone()
        };
        self.nodes.insert(place, node);
        self.counts[pool as usize] += 1;
    }

    fn remove(&mut self, place: usize) {
        self.nodes.remove(place);
        let mut first = 0;
        for count in &mut self.counts {
            if place < first + *count {
                *count -= 1;
                return;
            }
            first += *count;
        }
    }

    /// Tells every pool's status.
    pub fn refresh(&mut self) {
        for (pool, count) in self.pools.iter_mut().zip(self.counts) {
            pool.count(count);
        }
    }

    /// A line for people, of the time at which a step begins.
    #[must_use]
    pub fn show(&self, step: usize) -> String {
        format!(
            "{} {}: {:?}, committed weight {} most {}",
            rfc3339(time_of(step)),
            self.name,
            self.counts,
            self.pool(Pool::Committed).terms.weight,
            self.pool(Pool::Committed).terms.most
        )
    }
}

/// A pod that fills a node, but for what Kubernetes itself takes.
fn pod() -> Result<Pod> {
    Pod::from_json(&json!({
        "metadata": {
            "name": "", "creationTimestamp": rfc3339(time_of(0)),
            "ownerReferences": [{ "kind": "ReplicaSet", "controller": true }],
        },
        "spec": { "containers": [{ "resources": { "requests": { "cpu": "3500m" } } }] },
    }))
}

/// One of so many, now this and now that.
fn some(step: usize, turn: usize, of: usize) -> usize {
    (step * 7919 + turn * 104_729) % of.max(1)
}
