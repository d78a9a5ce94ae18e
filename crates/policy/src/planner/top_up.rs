//! Spot nodes that move over to a pool that fills. Karpenter replaces no running Spot node by one on demand, so what was
//! given back by night would come back only as pods do: deleting a Spot `NodeClaim` makes Karpenter launch anew for its
//! pods, from the heaviest pool that takes them.
//!
//! A deletion ignores `NodePool` budgets and cannot be undone, and while pods are asked to leave by eviction it holds
//! `PodDisruptionBudgets`. So a node moves only if nothing on it would rather stay, and one after the other.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use chrono::{DateTime, Duration, Utc};

use super::Planner;
use crate::Decision;
use crate::limits::{Member, Vcpu, binding, smallest, wanted};
use crate::plan::PoolPlan;
use crate::pools::Pool;
use crate::protection::pace;
use crate::state::State;
use crate::top_up::{Move, TopUp};
use brimful_karpenter::labels::DISRUPTED;
use brimful_karpenter::{
    Arch, InstanceType, Launchable, Node, NodeCapacity, NodeClaim, NodePool, Pod, PodDisruptionBudget, Pods,
};
use brimful_types::hour::human_duration;

/// A pod that has waited for so long waits for something else than this.
const LONG: Duration = Duration::hours(1);
/// The part of a machine that is left for pods, at least.
const FOR_PODS: f64 = 0.9;

/// What is known of nodes and pods, and of the pool that lacks nodes.
struct Sight<'a> {
    claims: &'a [NodeClaim],
    pods: &'a Pods,
    nodes: &'a [Node],
    target: &'a PoolPlan,
    launchable: &'a Launchable<'a>,
    now: DateTime<Utc>,
}

impl Planner<'_> {
    /// For each pool that lacks nodes: the Spot node that moves to it now, or why none does.
    pub(super) fn set_top_up(
        &self,
        plans: &mut BTreeMap<String, PoolPlan>,
        members: &[Member],
        state: &mut State,
    ) {
        let config = &self.inputs.config.top_up;
        if config.nodes_per_hour == 0 {
            return;
        }
        state.moved = self.inputs.state.moved.by(self.inputs.now, |to, from, until| {
            self.went_elsewhere(to, from, until)
        });
        let wanted = wanted(members);
        let mut lacking: Vec<(i64, &Member)> = members
            .iter()
            .filter_map(|member| Some((wanted.get(&member.pool)?.0 - member.running.0, member)))
            .collect();
        lacking.retain(|(lack, member)| member.decision == Decision::Fill && *lack > 0);
        lacking.sort_by_key(|(lack, member)| (-lack, member.pool.clone()));
        let mut moves = None;
        for (lack, member) in lacking {
            let Some(plan) = plans.get(&member.pool) else {
                continue;
            };
            let found = match &moves {
                None => self.moved(plan, Vcpu(lack), state),
                Some(other) => Err(format!("a node moves to {other} now, and one moves at a time")),
            };
            let top_up = match found {
                Ok(one) => {
                    moves = Some(member.pool.clone());
                    TopUp::Moves(one)
                }
                Err(why) => TopUp::Waits(why),
            };
            if let Some(plan) = plans.get_mut(&member.pool) {
                if let TopUp::Moves(one) = &top_up {
                    plan.outcome.reason = format!("{}; {}", plan.outcome.reason, one.describe());
                }
                plan.top_up = Some(top_up);
            }
        }
    }

    fn moved(&self, plan: &PoolPlan, lack: Vcpu, state: &State) -> Result<Move, String> {
        let inputs = self.inputs;
        let config = &inputs.config.top_up;
        if plan.changes_weight() {
            return Err("its weight comes first".to_owned());
        }
        let (Some(claims), Some(pods), Some(nodes)) = (inputs.node_claims, inputs.pods, inputs.nodes) else {
            return Err(
                "which pods run where is not known: it takes a cluster, and the right to list pods"
                    .to_owned(),
            );
        };
        let so_far = state.moved.within_the_hour(inputs.now);
        if so_far >= config.nodes_per_hour as usize {
            return Err(format!("{so_far} moved within an hour"));
        }
        if let Some(until) = state.moved.rests_until().filter(|until| *until > inputs.now) {
            let left = human_duration(until - inputs.now);
            return Err(format!(
                "pods of the last node went elsewhere ({} in a row): it is tried again in {left}",
                state.moved.in_vain
            ));
        }
        let sources = self.sources(&plan.pool)?;
        let sight = Sight {
            claims,
            pods,
            nodes,
            target: plan,
            launchable: self
                .pools
                .launchable(&plan.pool)
                .ok_or("its types are not known")?,
            now: inputs.now,
        };
        let names: Vec<&NodePool> = sources.iter().map(|source| source.pool).collect();
        sight.is_calm(&names)?;
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<Move> = None;
        for node in nodes {
            let of = |source: &&&Pool<'_>| node.node_pool.as_deref() == Some(source.name.as_str());
            let Some(source) = sources.iter().find(of) else {
                continue;
            };
            match sight.may_move(node, source, self.pools.launchable(source), lack) {
                Ok(one) if best.as_ref().is_none_or(|best| is_better(&one, best)) => best = Some(one),
                Ok(_) => {}
                Err(why) => *kept.entry(why).or_default() += 1,
            }
        }
        best.ok_or_else(|| {
            let mut most: Vec<(&String, &usize)> = kept.iter().collect();
            most.sort_by_key(|(why, count)| (std::cmp::Reverse(**count), (*why).clone()));
            let said: Vec<String> = most
                .into_iter()
                .take(3)
                .map(|(why, count)| format!("{count} × {why}"))
                .collect();
            match said.as_slice() {
                [] => "there is no Spot node".to_owned(),
                said => format!("no Spot node can move: {}", said.join(", ")),
            }
        })
    }

    /// The Spot pools whose nodes may move to this one: no other pool comes before it for their pods.
    fn sources(&self, pool: &NodePool) -> Result<Vec<&Pool<'_>>, String> {
        let rank = |pool: &NodePool| (pool.effective_weight(), pool.name.clone());
        let mut others = self.pools.competitors(pool);
        if let Some(other) = others.find(|other| rank(other) > rank(pool)) {
            return Err(format!("{} comes before it, and would take the pods", other.name));
        }
        let from = &self.inputs.config.top_up.from;
        let named: Vec<&Pool<'_>> = self
            .pools
            .rivals(pool)
            .filter(|rival| from.contains(&rival.name))
            .collect();
        if named.is_empty() {
            return Err("none of the Spot pools in topUp.from takes its pods".to_owned());
        }
        // Whoever keeps consolidation from them wants them left alone.
        let open: Vec<&Pool<'_>> = named
            .into_iter()
            .filter(|source| !source.protected_from_consolidation())
            .collect();
        if open.is_empty() {
            return Err("the Spot pools in topUp.from are protected from consolidation".to_owned());
        }
        Ok(open)
    }

    /// Whether pools that take the same pods launched nodes in that time, and this one none.
    fn went_elsewhere(&self, pool: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        let claims = self.inputs.node_claims.unwrap_or_default().iter();
        let launched: Vec<&str> = claims
            .filter(|claim| claim.created > from && claim.created <= until)
            .filter_map(|claim| claim.node_pool.as_deref())
            .collect();
        let Some(known) = self.pools.get(pool) else {
            return false;
        };
        let mut others = self.pools.competitors(known);
        !launched.contains(&pool) && others.any(|other| launched.contains(&other.name.as_str()))
    }
}

impl Sight<'_> {
    /// Nothing is on its way between these pools, and no pod waits that the pool would take.
    fn is_calm(&self, sources: &[&NodePool]) -> Result<(), String> {
        let pool = &self.target.pool;
        let concerns = |name: Option<&str>| name == Some(pool.name.as_str()) || is_of(name, sources);
        let is_moving = |claim: &&NodeClaim| {
            let is_new = !claim.registered && claim.node_pool.as_deref() == Some(pool.name.as_str());
            concerns(claim.node_pool.as_deref()) && (claim.deleting || is_new)
        };
        if let Some(claim) = self.claims.iter().find(is_moving) {
            return Err(format!("NodeClaim {} comes or goes", claim.name));
        }
        // What has waited for longer, Karpenter cannot help.
        let waits = |pod: &&Pod| pod.waits && self.now - pod.created < LONG && pod.fits(pool);
        match self.pods.pods.iter().find(waits) {
            Some(pod) => Err(format!("pod {} waits for a node", pod.path())),
            None => Ok(()),
        }
    }

    /// The move of this node, or what keeps it.
    fn may_move(
        &self,
        node: &Node,
        source: &NodePool,
        launchable: Option<&Rc<Launchable<'_>>>,
        lack: Vcpu,
    ) -> Result<Move, String> {
        let said = |why: &str| Err(why.to_owned());
        let claim = self
            .claims
            .iter()
            .find(|claim| claim.node_name.as_deref() == Some(&node.name));
        let (Some(claim), Some(vcpu)) = (claim, node.vcpu) else {
            return said("without a NodeClaim or a size");
        };
        if node.capacity != NodeCapacity::Spot {
            return said("not on Spot");
        }
        if let Some(why) = node.held_by.or(claim.held_by) {
            return Err(format!("held by {why}"));
        }
        if !node.ready || node.deleting || !claim.registered || claim.drifted {
            return said("not ready, or about to be replaced");
        }
        // Its pods may need a larger node than they are on.
        let needed = Vcpu::cores(vcpu).max(smallest(self.launchable));
        if needed > lack {
            return said("larger than what is missing");
        }
        if binding(&self.target.limits, &self.target.pool.resources, needed).is_some() {
            return said("too large for the pool's limits");
        }
        if self.away(source) >= allowed(source, self.count(source)) {
            return said("the budgets of its NodePool allow no more");
        }
        if !self.runs_its_programs(node, launchable) {
            return said("of an architecture that the pool does not launch");
        }
        let on_it: Vec<&Pod> = self
            .pods
            .pods
            .iter()
            .filter(|pod| pod.is_moved_with(&node.name))
            .collect();
        if on_it.is_empty() {
            return said("empty: it goes by itself");
        }
        for pod in &on_it {
            self.may_leave(pod, &on_it)?;
        }
        let mut pods: Vec<String> = on_it.iter().map(|pod| pod.path()).collect();
        pods.sort();
        Ok(Move {
            claim: claim.name.clone(),
            uid: claim.uid.clone(),
            resource_version: claim.resource_version.clone(),
            node: node.name.clone(),
            from: source.name.clone(),
            instance_type: node.instance_type.clone().unwrap_or_default(),
            vcpu,
            pods,
        })
    }

    /// Whether pods that run on that node run on the pool's, too, by their processors: they do if their own pool might as
    /// well have launched such a one for them.
    fn runs_its_programs(&self, node: &Node, of_source: Option<&Rc<Launchable<'_>>>) -> bool {
        let own = |arch: Arch| self.launchable.types.iter().any(|kind| kind.arch == arch);
        let mut might = of_source.into_iter().flat_map(|source| &source.types);
        node.arch.is_none_or(own) || might.any(|kind| own(kind.arch))
    }

    /// Whether nothing holds a pod, beside the others that leave with it.
    fn may_leave(&self, pod: &Pod, leaving: &[&Pod]) -> Result<(), String> {
        if let Some(why) = pod.stays {
            return Err(format!("with a pod that {why}"));
        }
        let (cpu, memory) = pod.asks_for;
        #[allow(clippy::cast_precision_loss)] // MiB of a machine
        let holds = |kind: &InstanceType| {
            let mebibytes = kind.memory_mib as f64;
            cpu <= f64::from(kind.vcpu) * FOR_PODS && memory <= mebibytes * 1_048_576.0 * FOR_PODS
        };
        if !pod.fits(&self.target.pool) || !self.launchable.types.iter().copied().any(holds) {
            return Err(format!("with a pod that {} does not take", self.target.pool.name));
        }
        let mut budgets = self.pods.budgets.iter().filter(|budget| budget.covers(pod));
        let (budget, second) = (budgets.next(), budgets.next());
        let all_may = |budget: &PodDisruptionBudget| {
            let together = leaving.iter().filter(|other| budget.covers(other)).count();
            i64::try_from(together).is_ok_and(|together| together <= budget.allowed)
        };
        // Two budgets on one pod: the eviction API refuses it.
        if second.is_some() || budget.is_some_and(|budget| !all_may(budget)) {
            return Err("with pods that a PodDisruptionBudget keeps".to_owned());
        }
        Ok(())
    }

    fn count(&self, pool: &NodePool) -> i64 {
        let own = self
            .nodes
            .iter()
            .filter(|node| node.node_pool.as_deref() == Some(&pool.name));
        i64::try_from(own.count()).unwrap_or(i64::MAX)
    }

    /// Nodes that count against the budgets: those that go or are about to, and those that are not ready.
    fn away(&self, pool: &NodePool) -> i64 {
        let own = self
            .nodes
            .iter()
            .filter(|node| node.node_pool.as_deref() == Some(&pool.name));
        let away = own.filter(|node| node.deleting || !node.ready || node.held_by == Some(DISRUPTED));
        i64::try_from(away.count()).unwrap_or(i64::MAX)
    }
}

fn is_of(name: Option<&str>, pools: &[&NodePool]) -> bool {
    pools.iter().any(|pool| name == Some(pool.name.as_str()))
}

/// How many nodes the budgets let go at once. Those with a schedule count as if they were always active.
fn allowed(pool: &NodePool, nodes: i64) -> i64 {
    pace(pool.budgets.as_deref(), nodes, |_| true)
}

/// More capacity for each pod that must move; of equal ones the first name.
fn is_better(one: &Move, best: &Move) -> bool {
    let per_pod = |one: &Move, other: &Move| u64::from(one.vcpu) * other.pods.len() as u64;
    match per_pod(one, best).cmp(&per_pod(best, one)) {
        Ordering::Equal => one.claim < best.claim,
        order => order == Ordering::Greater,
    }
}
