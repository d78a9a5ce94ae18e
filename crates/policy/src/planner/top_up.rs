//! Spot nodes that move over to a pool that fills. Karpenter replaces no running Spot node by one on demand, so what was
//! given back by night would come back only as pods do: deleting a Spot `NodeClaim` makes Karpenter launch anew for its
//! pods, from the heaviest pool that takes them.
//!
//! A deletion ignores `NodePool` budgets and cannot be undone, and while pods are asked to leave by eviction it holds
//! `PodDisruptionBudgets`. So a node moves only if nothing on it would rather stay, and one after the other.

use std::collections::BTreeMap;

use chrono::Duration;

use super::Planner;
use crate::Decision;
use crate::limits::{Limits, Member, Vcpu, wanted};
use crate::plan::PoolPlan;
use crate::protection::pace;
use crate::state::State;
use crate::top_up::{Move, TopUp};
use brimful_karpenter::units::quantity;
use brimful_karpenter::{Node, NodeCapacity, NodeClaim, NodePool, Pod, Pods};

/// How long a move is remembered, for the bound by the hour.
const REMEMBERED: Duration = Duration::hours(1);

/// What is known of nodes and pods, where all of it is.
struct Sight<'a> {
    claims: &'a [NodeClaim],
    pods: &'a Pods,
    nodes: &'a [Node],
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
        let since = self.inputs.now - REMEMBERED;
        let known = self.inputs.state.moved.iter();
        state.moved = known.copied().filter(|time| *time > since).collect();
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
        let so_far = state.moved.len();
        if so_far >= config.nodes_per_hour as usize {
            return Err(format!("{so_far} moved within an hour"));
        }
        let sources = self.sources(&plan.pool);
        if sources.is_empty() {
            return Err("of the Spot pools in topUp.from, none lies below it and takes its pods".to_owned());
        }
        let sight = Sight { claims, pods, nodes };
        sight.is_calm(&plan.pool, &sources)?;
        // Its pods went back to Spot: whatever keeps them from the pool keeps others, too.
        let newest = state.moved.last();
        let again = |claim: &&NodeClaim| {
            newest.is_some_and(|moved| claim.created > *moved) && is_of(claim.node_pool.as_deref(), &sources)
        };
        if let Some(claim) = claims.iter().find(again) {
            let of = claim.node_pool.as_deref().unwrap_or_default();
            return Err(format!(
                "{of} has launched {} since the last node moved, so pods do not come over",
                claim.name
            ));
        }
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<(Move, usize)> = None;
        for node in nodes
            .iter()
            .filter(|node| is_of(node.node_pool.as_deref(), &sources))
        {
            match sight.may_move(node, plan, lack, &sources) {
                Ok((one, pods)) if best.as_ref().is_none_or(|best| is_better((&one, pods), best)) => {
                    best = Some((one, pods));
                }
                Ok(_) => {}
                Err(why) => *kept.entry(why).or_default() += 1,
            }
        }
        best.map(|(one, _)| one).ok_or_else(|| {
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

    /// The Spot pools whose nodes may move to this one: its pods are not theirs again at once.
    fn sources(&self, pool: &NodePool) -> Vec<&NodePool> {
        let from = &self.inputs.config.top_up.from;
        let below = |rival: &&NodePool| rival.effective_weight() < pool.effective_weight();
        let rivals = self.pools.rivals(pool).map(|rival| rival.pool);
        let named = rivals.filter(|rival| from.contains(&rival.name));
        named.filter(below).collect()
    }
}

impl Sight<'_> {
    /// Nothing is on its way between these pools, and no pod waits that the pool would take.
    fn is_calm(&self, pool: &NodePool, sources: &[&NodePool]) -> Result<(), String> {
        let concerns = |name: Option<&str>| name == Some(pool.name.as_str()) || is_of(name, sources);
        let is_moving = |claim: &&NodeClaim| {
            let is_new = !claim.registered && claim.node_pool.as_deref() == Some(pool.name.as_str());
            concerns(claim.node_pool.as_deref()) && (claim.deleting || is_new)
        };
        if let Some(claim) = self.claims.iter().find(is_moving) {
            return Err(format!("NodeClaim {} comes or goes", claim.name));
        }
        let waits = |pod: &&Pod| pod.waits && pod.fits(pool);
        match self.pods.pods.iter().find(waits) {
            Some(pod) => Err(format!("pod {} waits for a node", pod.path())),
            None => Ok(()),
        }
    }

    /// The move of this node, and how many pods must go; or what keeps it.
    fn may_move(
        &self,
        node: &Node,
        plan: &PoolPlan,
        lack: Vcpu,
        sources: &[&NodePool],
    ) -> Result<(Move, usize), String> {
        let said = |why: &str| Err(why.to_owned());
        let claim = self
            .claims
            .iter()
            .find(|claim| claim.node_name.as_deref() == Some(&node.name));
        let source = sources
            .iter()
            .find(|source| node.node_pool.as_deref() == Some(&source.name));
        let (Some(claim), Some(vcpu), Some(source)) = (claim, node.vcpu, source) else {
            return said("without a NodeClaim or a size");
        };
        if node.capacity != NodeCapacity::Spot {
            return said("not on Spot");
        }
        if !node.ready || node.deleting || !claim.registered || claim.drifted {
            return said("not ready, or about to be replaced");
        }
        if node.do_not_disrupt || claim.held_by.is_some() {
            return Err(format!(
                "held by {}",
                claim.held_by.unwrap_or("karpenter.sh/do-not-disrupt")
            ));
        }
        if Vcpu::cores(vcpu) > lack {
            return said("larger than what is missing");
        }
        if !has_room(plan, node) {
            return said("too large for the pool's limits");
        }
        if self.disrupted(source) >= allowed(source, self.count(source)) {
            return said("the budgets of its NodePool allow no more");
        }
        let on_it: Vec<&Pod> = self
            .pods
            .pods
            .iter()
            .filter(|pod| pod.node.as_deref() == Some(&node.name) && !pod.ended && !pod.comes_with_the_node())
            .collect();
        if on_it.is_empty() {
            return said("empty: it goes by itself");
        }
        for pod in &on_it {
            self.may_leave(pod, &on_it, &plan.pool)?;
        }
        let one = Move {
            claim: claim.name.clone(),
            uid: claim.uid.clone(),
            node: node.name.clone(),
            from: source.name.clone(),
            instance_type: node.instance_type.clone().unwrap_or_default(),
            vcpu,
            pods: on_it.len(),
        };
        Ok((one, on_it.len()))
    }

    /// Whether nothing holds a pod, beside the others that leave with it.
    fn may_leave(&self, pod: &Pod, leaving: &[&Pod], pool: &NodePool) -> Result<(), String> {
        if pod.do_not_disrupt {
            return Err("with a pod that asks not to be disrupted".to_owned());
        }
        match pod.controller.as_deref() {
            None => return Err("with a pod that nobody would make anew".to_owned()),
            Some("Job") => return Err("with a pod of a Job, which would begin anew".to_owned()),
            Some(_) => {}
        }
        if !pod.fits(pool) {
            return Err(format!("with a pod that {} does not take", pool.name));
        }
        let mut budgets = self.pods.budgets.iter().filter(|budget| budget.covers(pod));
        let (budget, second) = (budgets.next(), budgets.next());
        let all_may = |budget: &brimful_karpenter::PodDisruptionBudget| {
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

    /// Nodes that Karpenter counts against the budgets: those that go, or are not ready.
    fn disrupted(&self, pool: &NodePool) -> i64 {
        let own = self
            .nodes
            .iter()
            .filter(|node| node.node_pool.as_deref() == Some(&pool.name));
        let away = own.filter(|node| node.deleting || !node.ready);
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

/// Whether a node of that size has room below the pool's limits.
fn has_room(plan: &PoolPlan, node: &Node) -> bool {
    let of = |amounts: &Limits, name: &str| amounts.get(name).and_then(|text| quantity(text));
    let mebibyte = 1_048_576.0;
    plan.limits.iter().all(|(name, limit)| {
        let asked = match name.as_str() {
            "cpu" => node.vcpu.map(f64::from),
            "memory" => node.memory_mib.map(|memory| memory as f64 * mebibyte),
            "nodes" => Some(1.0),
            _ => Some(0.0),
        };
        let used = of(&plan.pool.resources, name).unwrap_or_default();
        quantity(limit)
            .zip(asked)
            .is_some_and(|(limit, asked)| used + asked <= limit)
    })
}

/// More capacity for each pod that must move; of equal ones the first name.
fn is_better((one, pods): (&Move, usize), (best, best_pods): &(Move, usize)) -> bool {
    let (own, other) = (
        u64::from(one.vcpu) * *best_pods as u64,
        u64::from(best.vcpu) * pods as u64,
    );
    own > other || own == other && one.claim < best.claim
}
