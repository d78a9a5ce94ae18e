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
use crate::limits::{Member, Vcpu, binding, smallest};
use crate::plan::PoolPlan;
use crate::pools::Pool;
use crate::protection::pace;
use crate::state::State;
use crate::top_up::{Move, TopUp};
use brimful_karpenter::labels::DISRUPTED;
use brimful_karpenter::{
    Arch, InstanceType, Launchable, Node, NodeCapacity, NodeClaim, NodePool, Pod, PodDisruptionBudget, Pods,
    Role,
};
use brimful_types::hour::human_duration;

/// A pod that has waited for so long waits for something else than this.
const LONG: Duration = Duration::hours(1);
/// The part of a machine that is left for pods, at least.
const FOR_PODS: f64 = 0.9;

/// What runs where.
struct Sight<'a> {
    nodes: &'a [Node],
    claims: &'a [NodeClaim],
    pods: &'a Pods,
    claim_of: BTreeMap<&'a str, &'a NodeClaim>,
    /// By Node, those that would have to leave with it.
    pods_on: BTreeMap<&'a str, Vec<&'a Pod>>,
}

/// A pool that lacks nodes.
struct Target<'a> {
    sight: &'a Sight<'a>,
    plan: &'a PoolPlan,
    launchable: &'a Launchable<'a>,
    /// The smallest node that it launches.
    least: Vcpu,
    lack: Vcpu,
    now: DateTime<Utc>,
}

/// A Spot pool whose nodes may move.
struct Source<'a> {
    pool: &'a NodePool,
    launchable: Option<&'a Rc<Launchable<'a>>>,
    nodes: Vec<&'a Node>,
    /// Whether its budgets allow one node less.
    can_spare: bool,
}

impl Planner<'_> {
    /// For each pool that lacks nodes: the Spot node that moves to it now, or why none does.
    pub(super) fn set_top_up(
        &self,
        plans: &mut BTreeMap<String, PoolPlan>,
        members: &[Member],
        wanted: &BTreeMap<String, Vcpu>,
        state: &mut State,
    ) {
        if !self.inputs.config.top_up.is_on() {
            return;
        }
        state.moved = self.inputs.state.moved.by(self.inputs.now, |to, from, until| {
            self.went_elsewhere(to, from, until)
        });
        let mut lacking: Vec<(i64, &Member)> = members
            .iter()
            .filter_map(|member| Some((wanted.get(&member.pool)?.0 - member.running.0, member)))
            .collect();
        lacking.retain(|(lack, member)| member.decision == Decision::Fill && *lack > 0);
        lacking.sort_by_key(|(lack, member)| (-lack, member.pool.clone()));
        let sight = self.sight();
        let mut moves = None;
        for (lack, member) in lacking {
            let Some(plan) = plans.get(&member.pool) else {
                continue;
            };
            let found = match &moves {
                None => self.moved(plan, Vcpu(lack), sight.as_ref(), state),
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

    fn sight(&self) -> Option<Sight<'_>> {
        let (claims, pods) = (self.inputs.node_claims?, self.inputs.pods?);
        let mut claim_of = BTreeMap::new();
        for claim in claims {
            if let Some(node) = claim.node_name.as_deref() {
                claim_of.entry(node).or_insert(claim);
            }
        }
        let mut pods_on: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in &pods.pods {
            if let Some(node) = pod.node.as_deref().filter(|node| pod.is_moved_with(node)) {
                pods_on.entry(node).or_default().push(pod);
            }
        }
        Some(Sight {
            nodes: self.inputs.nodes?,
            claims,
            pods,
            claim_of,
            pods_on,
        })
    }

    fn moved(
        &self,
        plan: &PoolPlan,
        lack: Vcpu,
        sight: Option<&Sight<'_>>,
        state: &State,
    ) -> Result<Move, String> {
        let inputs = self.inputs;
        let config = &inputs.config.top_up;
        if plan.changes_weight() {
            return Err("its weight comes first".to_owned());
        }
        let Some(sight) = sight else {
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
        let sources = self.sources(&plan.pool, sight)?;
        let launchable = self
            .pools
            .launchable(&plan.pool)
            .ok_or("its types are not known")?;
        let target = Target {
            sight,
            plan,
            launchable,
            least: smallest(launchable),
            lack,
            now: inputs.now,
        };
        target.is_calm(&sources)?;
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<Move> = None;
        for source in &sources {
            for node in &source.nodes {
                match target.may_take(node, source) {
                    Ok(one) if best.as_ref().is_none_or(|best| is_better(&one, best)) => best = Some(one),
                    Ok(_) => {}
                    Err(why) => *kept.entry(why).or_default() += 1,
                }
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
    fn sources<'s>(&'s self, pool: &NodePool, sight: &Sight<'s>) -> Result<Vec<Source<'s>>, String> {
        let rank = |pool: &NodePool| (pool.effective_weight(), pool.name.clone());
        let mut others = self.pools.competitors(pool);
        if let Some(other) = others.find(|other| rank(other) > rank(pool)) {
            return Err(format!("{} comes before it, and would take the pods", other.name));
        }
        let from = &self.inputs.config.top_up.from;
        let named: Vec<&Pool<'_>> = self
            .pools
            .rivals(pool)
            .filter(|rival| rival.role == Role::Spot && (from.is_empty() || from.contains(&rival.name)))
            .collect();
        if named.is_empty() {
            return Err("it takes the pods of no Spot pool that may give up nodes (topUp.from)".to_owned());
        }
        // Whoever keeps consolidation from them wants them left alone.
        let open = named
            .into_iter()
            .filter(|source| !source.protected_from_consolidation());
        let open: Vec<Source<'_>> = open
            .map(|source| Source::of(source.pool, self.pools.launchable(source), sight))
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

impl<'a> Source<'a> {
    fn of(pool: &'a NodePool, launchable: Option<&'a Rc<Launchable<'a>>>, sight: &Sight<'a>) -> Self {
        let is_own = |node: &&Node| node.node_pool.as_deref() == Some(&pool.name);
        let nodes: Vec<&Node> = sight.nodes.iter().filter(is_own).collect();
        // Karpenter counts those that go or are about to, and those that are not ready.
        let away = |node: &&&Node| node.deleting || !node.ready || node.held_by == Some(DISRUPTED);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        // Budgets with a schedule count as if they were always active.
        let allowed = pace(pool.budgets.as_deref(), count(nodes.len()), |_| true);
        Self {
            can_spare: count(nodes.iter().filter(away).count()) < allowed,
            pool,
            launchable,
            nodes,
        }
    }
}

impl Target<'_> {
    /// Nothing is on its way between these pools, and no pod waits that the pool would take.
    fn is_calm(&self, sources: &[Source<'_>]) -> Result<(), String> {
        let pool = &self.plan.pool;
        let is_moving = |claim: &&NodeClaim| {
            let is_of = |pool: &NodePool| claim.node_pool.as_deref() == Some(&pool.name);
            let concerns = is_of(pool) || sources.iter().any(|source| is_of(source.pool));
            concerns && (claim.deleting || !claim.registered && is_of(pool))
        };
        if let Some(claim) = self.sight.claims.iter().find(is_moving) {
            return Err(format!("NodeClaim {} comes or goes", claim.name));
        }
        // What has waited for longer, Karpenter cannot help.
        let waits = |pod: &&Pod| pod.waits && self.now - pod.created < LONG && pod.fits(pool);
        match self.sight.pods.pods.iter().find(waits) {
            Some(pod) => Err(format!("pod {} waits for a node", pod.path())),
            None => Ok(()),
        }
    }

    /// The move of this node, or what keeps it.
    fn may_take(&self, node: &Node, source: &Source<'_>) -> Result<Move, String> {
        let said = |why: &str| Err(why.to_owned());
        let claim = self.sight.claim_of.get(node.name.as_str());
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
        let needed = Vcpu::cores(vcpu).max(self.least);
        if needed > self.lack {
            return said("larger than what is missing");
        }
        if binding(&self.plan.limits, &self.plan.pool.resources, needed).is_some() {
            return said("too large for the pool's limits");
        }
        if !source.can_spare {
            return said("the budgets of its NodePool allow no more");
        }
        if !self.runs_programs_of(node, source) {
            return said("of an architecture that the pool does not launch");
        }
        let on_it = self.sight.pods_on.get(node.name.as_str());
        let on_it = on_it.map(Vec::as_slice).unwrap_or_default();
        if on_it.is_empty() {
            return said("empty: it goes by itself");
        }
        for pod in on_it {
            self.may_leave(pod, on_it)?;
        }
        let mut pods: Vec<String> = on_it.iter().map(|pod| pod.path()).collect();
        pods.sort();
        Ok(Move {
            claim: claim.name.clone(),
            uid: claim.uid.clone(),
            resource_version: claim.resource_version.clone(),
            node: node.name.clone(),
            from: source.pool.name.clone(),
            instance_type: node.instance_type.clone().unwrap_or_default(),
            vcpu,
            pods,
        })
    }

    /// Whether pods that run on that node run on the pool's, too, by their processors: they do if their own pool might as
    /// well have launched such a one for them.
    fn runs_programs_of(&self, node: &Node, source: &Source<'_>) -> bool {
        let own = |arch: Arch| self.launchable.types.iter().any(|kind| kind.arch == arch);
        let mut might = source.launchable.into_iter().flat_map(|source| &source.types);
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
        if !pod.fits(&self.plan.pool) || !self.launchable.types.iter().copied().any(holds) {
            return Err(format!("with a pod that {} does not take", self.plan.pool.name));
        }
        let mut budgets = self.sight.pods.budgets.iter().filter(|budget| budget.covers(pod));
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
}

/// More capacity for each pod that must move; of equal ones the first name.
fn is_better(one: &Move, best: &Move) -> bool {
    let per_pod = |one: &Move, other: &Move| u64::from(one.vcpu) * other.pods.len() as u64;
    match per_pod(one, best).cmp(&per_pod(best, one)) {
        Ordering::Equal => one.claim < best.claim,
        order => order == Ordering::Greater,
    }
}
