//! Nodes, the pods on them, and what Karpenter launches for pods that fit nowhere.

use brimful_karpenter::nodepool::ExpireAfter;
use brimful_karpenter::{Node, NodeCapacity, NodeClaim, NodePool, Pods};
use brimful_simulation::cluster::REGION;
use brimful_simulation::dice::Dice;
use brimful_simulation::trace::{STEPS_PER_HOUR, time_of};
use brimful_types::Result;
use brimful_types::hour::rfc3339;
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::pool::{Pool, Spec};
use super::workload::{Pod, Workload};
use super::{ON_DEMAND, SIZES, SPOT, room};

/// No node.
const NOWHERE: u32 = u32::MAX;

/// A node.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its number.
    pub serial: u32,
    /// Its pool, by place.
    pub pool: usize,
    /// Its size, by place in [`SIZES`].
    pub size: usize,
    /// Its pods, by place in the workload.
    pub pods: Vec<u32>,
    /// Thousandths of a vCPU that no pod has.
    pub free: u32,
    /// The step in which it was launched.
    pub born: usize,
    /// True if its pool's template has changed since.
    pub drifted: bool,
}

impl Machine {
    /// vCPU.
    #[must_use]
    pub fn vcpu(&self) -> u32 {
        SIZES[self.size].1
    }
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its pools.
    pub pools: Vec<Pool>,
    /// Its nodes.
    pub machines: Vec<Machine>,
    /// Where each pod runs, by number of the node.
    pub(super) home: Vec<u32>,
    /// Pods that run nowhere.
    pub pending: Vec<u32>,
    launched: u32,
    begun: usize,
}

/// What happens to a cluster in a step, whoever decides.
#[derive(Debug, Clone, Copy)]
pub struct Weather<'a> {
    /// Pods.
    pub work: &'a Workload,
    /// The step.
    pub step: usize,
    /// Whether Spot can be had.
    pub has_spot: bool,
    /// The part of the Spot nodes that is interrupted in this step.
    pub interruptions: f64,
    /// True in the step in which the committed pools' template changes.
    pub rolls_out: bool,
    /// For what differs from run to run.
    pub seed: u64,
}

/// A node that is planned for pods that fit nowhere.
struct Planned {
    pool: usize,
    pods: Vec<u32>,
    asked: u32,
    /// The largest size that it may become.
    largest: usize,
}

impl Cluster {
    /// A cluster without nodes.
    ///
    /// # Errors
    /// Never, as long as the program reads what it should.
    pub fn new(pools: &[Spec], work: &Workload) -> Result<Self> {
        Ok(Self {
            pools: pools.iter().cloned().map(Pool::new).collect::<Result<_>>()?,
            machines: Vec::new(),
            home: vec![NOWHERE; work.pods.len()],
            pending: Vec::new(),
            launched: 0,
            begun: 0,
        })
    }

    /// vCPU of a pool's nodes.
    #[must_use]
    pub fn vcpu(&self, pool: usize) -> u32 {
        let own = self.machines.iter().filter(|machine| machine.pool == pool);
        own.map(Machine::vcpu).sum()
    }

    /// vCPU on demand, and on Spot.
    #[must_use]
    pub fn by_capacity(&self) -> (u32, u32) {
        self.machines.iter().fold((0, 0), |(on_demand, spot), machine| {
            if self.pools[machine.pool].spec.spot {
                (on_demand, spot + machine.vcpu())
            } else {
                (on_demand + machine.vcpu(), spot)
            }
        })
    }

    /// Patches the pool of that name.
    ///
    /// # Errors
    /// The patched object is no `NodePool` any more.
    pub fn patch(&mut self, name: &str, patch: &Value) -> Result<()> {
        let pool = self.pools.iter_mut().find(|pool| pool.spec.name == name);
        pool.map_or(Ok(()), |pool| pool.patch(patch))
    }

    /// Deletes the claim of that name: its pods wait.
    pub fn delete_claim(&mut self, name: &str) {
        let serial = name.rsplit('-').next().and_then(|serial| serial.parse().ok());
        if let Some(serial) = serial {
            self.evict(serial);
        }
    }

    /// All pods, as the program reads them.
    ///
    /// # Errors
    /// Never, as long as the program reads what it should.
    pub fn pods(&self, work: &Workload) -> Result<Pods> {
        let by_team = self.pools.iter().any(|pool| pool.spec.team.is_some());
        let pod = |place: u32, node: Option<String>| {
            let asked = &work.pods[place as usize];
            let mut spec = json!({
                "nodeName": node,
                "containers": [{ "resources": { "requests": { "cpu": format!("{}m", asked.cpu) } } }],
            });
            if asked.on_demand {
                spec["nodeSelector"] = json!({ "karpenter.sh/capacity-type": "on-demand" });
            }
            if by_team {
                let team = asked.team.to_string();
                spec["tolerations"] = json!([{ "key": "team", "value": team, "effect": "NoSchedule" }]);
            }
            let scheduled = if node.is_some() { "True" } else { "False" };
            brimful_karpenter::Pod::from_json(&json!({
                "metadata": {
                    "name": format!("pod-{place}"),
                    "creationTimestamp": rfc3339(time_of(asked.from)),
                    "ownerReferences": [{ "kind": "ReplicaSet", "controller": true }],
                },
                "spec": spec,
                "status": { "conditions": [{ "type": "PodScheduled", "status": scheduled, "reason": "Unschedulable" }] },
            }))
        };
        let on_nodes = self.machines.iter().flat_map(|machine| {
            let name = self.name(machine);
            machine
                .pods
                .iter()
                .map(move |place| pod(*place, Some(name.clone())))
        });
        let waiting = self.pending.iter().map(|place| pod(*place, None));
        Ok(Pods {
            pods: on_nodes.chain(waiting).collect::<Result<_>>()?,
            budgets: Vec::new(),
        })
    }

    fn name(&self, machine: &Machine) -> String {
        format!("{}-{}", self.pools[machine.pool].spec.name, machine.serial)
    }

    /// All pools, as the program reads them, with what they have in their status.
    pub fn node_pools(&mut self) -> Vec<NodePool> {
        for index in 0..self.pools.len() {
            let own = self.machines.iter().filter(|machine| machine.pool == index);
            let (vcpu, nodes) = own.fold((0, 0), |(vcpu, nodes), one| (vcpu + one.vcpu(), nodes + 1));
            self.pools[index].count(vcpu, nodes);
        }
        self.pools.iter().map(|pool| pool.seen().clone()).collect()
    }

    /// All nodes, as the program reads them.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.machines.iter().map(|machine| self.node(machine)).collect()
    }

    fn node(&self, machine: &Machine) -> Node {
        let spec = &self.pools[machine.pool].spec;
        Node {
            name: self.name(machine),
            node_pool: Some(spec.name.clone()),
            instance_type: Some(SIZES[machine.size].0.to_owned()),
            capacity: if spec.spot {
                NodeCapacity::Spot
            } else {
                NodeCapacity::OnDemand
            },
            region: Some(REGION.to_owned()),
            zone: None,
            arch: None,
            os: None,
            instance_id: None,
            created: time_of(machine.born) + Duration::minutes(1),
            ready: true,
            deleting: false,
            cluster_name: None,
            vcpu: Some(machine.vcpu()),
            memory_mib: Some(u64::from(machine.vcpu()) * 4096),
            held_by: None,
        }
    }

    /// The claims of all nodes, as the program reads them.
    #[must_use]
    pub fn node_claims(&self) -> Vec<NodeClaim> {
        let claim = |machine: &Machine| {
            let lives = self.pools[machine.pool].spec.expire_after;
            NodeClaim {
                drifted: machine.drifted,
                created: time_of(machine.born),
                expire_after: lives.map_or(ExpireAfter::Never, |hours| {
                    ExpireAfter::After(Duration::hours(hours as i64))
                }),
                ..NodeClaim::of(&self.node(machine))
            }
        };
        self.machines.iter().map(claim).collect()
    }

    /// Whether a pod may run in a pool.
    pub(super) fn suits(&self, pod: &Pod, pool: usize) -> bool {
        let spec = &self.pools[pool].spec;
        !(pod.on_demand && spec.spot) && spec.team.is_none_or(|team| team == pod.team)
    }

    /// One step: pods end and come, nodes end, what is missing is launched, and consolidation does its part.
    pub fn step(&mut self, weather: &Weather<'_>) {
        let (work, step) = (weather.work, weather.step);
        for pod in &work.ends[step] {
            self.end(*pod, work);
        }
        while work.pods.get(self.begun).is_some_and(|pod| pod.from <= step) {
            self.pending.push(self.begun as u32);
            self.begun += 1;
        }
        let mut dice = Dice::new(weather.seed, 10_000 + step as u64);
        let ends: Vec<u32> = self
            .machines
            .iter()
            .filter(|machine| {
                let spec = &self.pools[machine.pool].spec;
                let interrupted = spec.spot && dice.chance(weather.interruptions);
                let age = step - machine.born;
                interrupted
                    || spec
                        .expire_after
                        .is_some_and(|hours| age >= hours * STEPS_PER_HOUR)
            })
            .map(|machine| machine.serial)
            .collect();
        for serial in ends {
            self.evict(serial);
        }
        if weather.rolls_out {
            for machine in &mut self.machines {
                machine.drifted = self.pools[machine.pool].spec.managed;
            }
        }
        self.schedule(weather);
        self.consolidate(weather);
    }

    fn end(&mut self, pod: u32, work: &Workload) {
        let home = std::mem::replace(&mut self.home[pod as usize], NOWHERE);
        self.pending.retain(|one| *one != pod);
        if let Some(machine) = self.machines.iter_mut().find(|machine| machine.serial == home) {
            machine.pods.retain(|one| *one != pod);
            machine.free += work.pods[pod as usize].cpu;
        }
    }

    /// Takes a node away; its pods wait.
    pub(super) fn evict(&mut self, serial: u32) {
        let Some(place) = self.machines.iter().position(|machine| machine.serial == serial) else {
            return;
        };
        let machine = self.machines.remove(place);
        for pod in &machine.pods {
            self.home[*pod as usize] = NOWHERE;
        }
        self.pending.extend(machine.pods);
    }

    /// Pods that wait go where there is room, by whom there is most of it (kube-scheduler's default, `LeastAllocated`);
    /// nodes are launched for the rest.
    pub(super) fn schedule(&mut self, weather: &Weather<'_>) {
        let work = weather.work;
        let mut waiting = std::mem::take(&mut self.pending);
        waiting.sort_by_key(|pod| std::cmp::Reverse((work.pods[*pod as usize].cpu, *pod)));
        let mut left = Vec::new();
        for pod in waiting {
            let asked = &work.pods[pod as usize];
            let best = self.roomiest(asked, NOWHERE, |place| self.machines[place].free);
            match best {
                Some(place) => self.bind(pod, place, work),
                None => left.push(pod),
            }
        }
        let planned = self.plan(&left, weather);
        for new in planned {
            let size = (0..SIZES.len())
                .find(|size| room(*size) >= new.asked)
                .unwrap_or(new.largest);
            self.launched += 1;
            self.machines.push(Machine {
                serial: self.launched,
                pool: new.pool,
                size,
                pods: Vec::new(),
                free: room(size),
                born: weather.step,
                drifted: false,
            });
            let place = self.machines.len() - 1;
            for pod in new.pods {
                self.bind(pod, place, work);
            }
        }
        let home = &self.home;
        self.pending = left
            .into_iter()
            .filter(|pod| home[*pod as usize] == NOWHERE)
            .collect();
    }

    /// The node that kube-scheduler takes for a pod: of those with room the one with most of it, as a part of the node.
    pub(super) fn roomiest(&self, pod: &Pod, but: u32, free: impl Fn(usize) -> u32) -> Option<usize> {
        let fits = (0..self.machines.len()).filter(|place| {
            let machine = &self.machines[*place];
            free(*place) >= pod.cpu
                && machine.serial != but
                && !machine.drifted
                && self.suits(pod, machine.pool)
        });
        fits.max_by_key(|place| {
            let machine = &self.machines[*place];
            (
                free(*place) * 1000 / room(machine.size),
                std::cmp::Reverse(machine.serial),
            )
        })
    }

    fn bind(&mut self, pod: u32, place: usize, work: &Workload) {
        let machine = &mut self.machines[place];
        machine.pods.push(pod);
        machine.free -= work.pods[pod as usize].cpu;
        self.home[pod as usize] = machine.serial;
    }

    /// Nodes for pods that fit nowhere, largest pods first: one that is planned already and has fewest pods, else a new
    /// one of the heaviest pool with room below its limits. A planned node counts against the limits as the largest that
    /// it may become, as Karpenter counts it.
    fn plan(&self, pods: &[u32], weather: &Weather<'_>) -> Vec<Planned> {
        let mut planned: Vec<Planned> = Vec::new();
        let mut order: Vec<usize> = (0..self.pools.len())
            .filter(|pool| weather.has_spot || !self.pools[*pool].spec.spot)
            .collect();
        order.sort_by_key(|pool| std::cmp::Reverse(self.rank(*pool)));
        let mut taken: Vec<u32> = (0..self.pools.len()).map(|pool| self.vcpu(pool)).collect();
        for pod in pods {
            let asked = &weather.work.pods[*pod as usize];
            let open = planned
                .iter_mut()
                .filter(|new| room(new.largest) >= new.asked + asked.cpu && self.suits(asked, new.pool))
                .min_by_key(|new| new.pods.len());
            if let Some(new) = open {
                new.pods.push(*pod);
                new.asked += asked.cpu;
                continue;
            }
            let found = order
                .iter()
                .filter(|pool| self.suits(asked, **pool))
                .find_map(|pool| {
                    let left = self.pools[*pool].limit.saturating_sub(taken[*pool]);
                    let fits = |size: &usize| SIZES[*size].1 <= left && room(*size) >= asked.cpu;
                    Some((*pool, (0..SIZES.len()).rfind(fits)?))
                });
            if let Some((pool, largest)) = found {
                taken[pool] += SIZES[largest].1;
                planned.push(Planned {
                    pool,
                    pods: vec![*pod],
                    asked: asked.cpu,
                    largest,
                });
            }
        }
        planned
    }

    /// The one node that pods would get that fit on no other, if one takes them all: pool and size. The node that they
    /// leave counts against no limit.
    pub(super) fn replacement(
        &self,
        pods: &[u32],
        leaves: &Machine,
        weather: &Weather<'_>,
    ) -> Option<(usize, usize)> {
        let all = |pool: usize| {
            let mut pods = pods.iter().map(|pod| &weather.work.pods[*pod as usize]);
            pods.all(|pod| self.suits(pod, pool))
        };
        let asked: u32 = pods.iter().map(|pod| weather.work.pods[*pod as usize].cpu).sum();
        let size = (0..SIZES.len()).find(|size| room(*size) >= asked)?;
        let takes = |pool: &usize| {
            let own = if leaves.pool == *pool { leaves.vcpu() } else { 0 };
            (weather.has_spot || !self.pools[*pool].spec.spot)
                && all(*pool)
                && self.vcpu(*pool) - own + SIZES[size].1 <= self.pools[*pool].limit
        };
        let pool = (0..self.pools.len())
            .filter(takes)
            .max_by_key(|pool| self.rank(*pool))?;
        Some((pool, size))
    }

    /// The order in which pools are tried: by weight, of equal ones the later name first (`OrderByWeight`).
    fn rank(&self, pool: usize) -> (i32, &str) {
        let pool = &self.pools[pool];
        (pool.weight(), &pool.spec.name)
    }

    /// What Karpenter takes for the price of a node of that pool and size, $/h.
    pub(super) fn price(&self, pool: usize, size: usize) -> f64 {
        let each = if self.pools[pool].spec.spot {
            SPOT
        } else {
            ON_DEMAND
        };
        each * f64::from(SIZES[size].1)
    }

    /// A time within a step.
    pub(super) fn time(step: usize, minutes: i64) -> DateTime<Utc> {
        time_of(step) + Duration::minutes(minutes)
    }
}
