//! Carries a plan's changes out, pool by pool, and keeps account of what became of each.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::super::send::{Sender, Sent, stopped};
use super::{Done, How};
use crate::render::json::{Applied, ApplyResult};
use crate::run::Run;
use brimful_karpenter::NodePool;
use brimful_karpenter::cluster::Stored;
use brimful_policy::Decision;
use brimful_policy::history::History;
use brimful_policy::limits::Vcpu;
use brimful_policy::patch::patch;
use brimful_policy::plan::{PoolPlan, Proposal, show_limits};
use brimful_policy::weights::show as show_weight;
use brimful_types::Error;
use brimful_types::warning::Warning;

/// Carries the proposal out. A pool that was edited under the plan is planned again, once, from what it is now.
pub(super) async fn carry_out(
    sender: &Sender<'_>,
    run: &mut Run<'_>,
    mut proposal: Proposal,
    now: DateTime<Utc>,
    how: How,
) -> (Carried, Proposal) {
    let mut carried = Carried::default();
    for is_last in [false, true] {
        let edited = carried.round(sender, &proposal, now, how, is_last).await;
        if !edited || carried.stopped.is_some() {
            break;
        }
        match sender.interrupt.or(sender.cluster.node_pools()).await {
            Ok(node_pools) => run.view.node_pools = node_pools,
            // What was patched already must still be shown.
            Err(error) => {
                carried.stopped = sender.interrupt.check().err();
                carried.leave_open(&proposal, &error);
                break;
            }
        }
        proposal = keep_settled(proposal, run.propose(), &carried.settled);
    }
    (carried, proposal)
}

/// What was carried out so far.
#[derive(Default)]
pub(super) struct Carried {
    applied: Vec<Applied>,
    /// Pools whose fate is known.
    settled: BTreeSet<String>,
    /// Why the run has to end, if so.
    stopped: Option<Error>,
    /// The pool of which it is not known whether it was changed.
    unknown: Option<String>,
}

impl Carried {
    /// Carries out the changes that are open; true if a pool was edited meanwhile and should be planned anew.
    async fn round(
        &mut self,
        sender: &Sender<'_>,
        proposal: &Proposal,
        now: DateTime<Utc>,
        how: How,
        is_last: bool,
    ) -> bool {
        let mut edited = false;
        for pool in in_order(proposal) {
            if self.settled.contains(&pool.pool.name) {
                continue;
            }
            match send(sender, pool, now, how).await {
                Step::Done(one) => {
                    self.settled.insert(pool.pool.name.clone());
                    self.applied.push(one);
                }
                Step::Edited(message) if is_last => {
                    self.applied.push(result(pool, ApplyResult::Conflict, message));
                }
                Step::Edited(_) => edited = true,
                Step::Stopped(stop, sent) => {
                    self.unknown = sent.then(|| pool.pool.name.clone());
                    self.stopped = Some(stop);
                    return false;
                }
            }
        }
        edited
    }

    /// Changes whose pools could not be read again are not made.
    fn leave_open(&mut self, proposal: &Proposal, error: &Error) {
        let all = in_order(proposal).into_iter();
        let open = all.filter(|pool| !self.settled.contains(&pool.pool.name));
        let open = open.map(|pool| result(pool, ApplyResult::Conflict, format!("{error:#}")));
        self.applied.extend(open);
    }

    /// What the run has done, with a state that knows what was patched.
    pub(super) fn conclude(mut self, run: Run<'_>, mut proposal: Proposal, warnings: Vec<Warning>) -> Done {
        self.applied.sort_by(|a, b| a.node_pool.cmp(&b.node_pool));
        let patched = patched(&self.applied);
        for name in &patched {
            proposal.state.patched(name);
        }
        // What was decided and could not be set is due in the next run.
        for pool in proposal.pools.iter().filter(|pool| pool.changes_limits()) {
            if !patched.contains(&pool.pool.name) {
                proposal.state.limits_not_set(&pool.pool.name);
            }
        }
        let stop = self.stopped.as_ref();
        Done {
            stopped: stop.map(|stop| stopped(stop, &patched, self.unknown.as_deref())),
            proposal,
            analysis: run.analysis,
            identity: run.identity,
            warnings,
            applied: self.applied,
            moved: None,
            history: History::default(),
            unreleased: None,
        }
    }
}

/// The pools that were changed.
pub(in crate::cli) fn patched(applied: &[Applied]) -> Vec<String> {
    let is_patched = |one: &&Applied| one.result == ApplyResult::Patched;
    let patched = applied.iter().filter(is_patched);
    patched.map(|one| one.node_pool.clone()).collect()
}

/// Changes, so ordered that no pool passes another the wrong way: first what moves down or shrinks, then what fills or
/// grows.
fn in_order(proposal: &Proposal) -> Vec<&PoolPlan> {
    let mut changing: Vec<&PoolPlan> = proposal
        .pools
        .iter()
        .filter(|pool| pool.changes() || pool.restore)
        .collect();
    changing.sort_by_key(|pool| {
        (
            pool.outcome.decision == Decision::Fill,
            grows(pool),
            &pool.pool.name,
        )
    });
    changing
}

/// True when a pool gets more room by its limits than it has.
fn grows(plan: &PoolPlan) -> bool {
    let cpu = |limits| Vcpu::of(limits).unwrap_or(Vcpu(i64::MAX));
    cpu(&plan.limits) > cpu(&plan.pool.limits)
}

/// The new plan, but what was carried out already stays as it was planned, and is remembered so.
fn keep_settled(old: Proposal, mut fresh: Proposal, settled: &BTreeSet<String>) -> Proposal {
    for pool in old
        .pools
        .into_iter()
        .filter(|pool| settled.contains(&pool.pool.name))
    {
        if let Some(place) = fresh.pools.iter_mut().find(|p| p.pool.name == pool.pool.name) {
            let name = &pool.pool.name;
            match old.state.node_pools.get(name) {
                Some(known) => fresh.state.node_pools.insert(name.clone(), known.clone()),
                None => fresh.state.node_pools.remove(name),
            };
            *place = pool;
        }
    }
    fresh
}

enum Step {
    Done(Applied),
    /// The spec is no longer what the plan was made from.
    Edited(String),
    /// The run has to end; true if a patch was sent whose fate is not known.
    Stopped(Error, bool),
}

async fn send(sender: &Sender<'_>, planned: &PoolPlan, now: DateTime<Utc>, how: How) -> Step {
    if how == How::Observe {
        let message = format!("observe mode: {} is not set", planned.change());
        return Step::Done(result(planned, ApplyResult::Unchanged, message));
    }
    let make = |fresh: &NodePool| {
        let mut plan = planned.clone();
        plan.pool = fresh.clone();
        patch(&plan, now)
    };
    let fits = |fresh: &NodePool| same_spec(fresh, &planned.pool);
    match sender.send(&planned.pool, make, fits).await {
        Sent::Stored(stored) => Step::Done(outcome(planned, &stored, sender.dry_run)),
        Sent::Failed(outcome, message) => Step::Done(result(planned, outcome, message)),
        Sent::Edited(message) => Step::Edited(message),
        Sent::Stopped(stop) => Step::Stopped(stop, false),
        Sent::CutOff(stop) => Step::Stopped(stop, true),
    }
}

/// What became of a patch that went through, by what the API server stored.
fn outcome(planned: &PoolPlan, stored: &Stored, dry_run: bool) -> Applied {
    let change = planned.change();
    if stored.as_sent && dry_run {
        let message = format!("dry run: the API server accepts {change}");
        return result(planned, ApplyResult::Unchanged, message);
    }
    if stored.as_sent {
        return result(planned, ApplyResult::Patched, change);
    }
    let pool = &stored.pool;
    let mut other = Vec::new();
    if pool.weight != planned.proposed {
        other.push(format!("weight {}", show_weight(pool.weight)));
    }
    if pool.limits != planned.limits {
        other.push(show_limits(&planned.limits, &pool.limits));
    }
    if pool.budgets != planned.budgets {
        other.push("other disruption budgets".to_owned());
    }
    if other.is_empty() {
        other.push("other annotations".to_owned());
    }
    let message = format!(
        "{change} was sent, but the API server made it {}: something in the cluster (a mutating webhook) changes NodePools as they are written",
        other.join(" and ")
    );
    result(planned, ApplyResult::Conflict, message)
}

/// True when nothing but the status has moved since the plan was made.
fn same_spec(fresh: &NodePool, planned: &NodePool) -> bool {
    (
        &fresh.uid,
        fresh.generation,
        fresh.weight,
        &fresh.annotations,
        &fresh.labels,
    ) == (
        &planned.uid,
        planned.generation,
        planned.weight,
        &planned.annotations,
        &planned.labels,
    )
}

fn result(plan: &PoolPlan, result: ApplyResult, message: String) -> Applied {
    Applied {
        node_pool: plan.pool.name.clone(),
        result,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::unread;
    use crate::config::Config;
    use crate::run::{ClusterView, Setup};
    use crate::source::AwsAccess;
    use brimful_cur::location::Location;
    use brimful_policy::state::{Memory, State};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn proposal() -> Proposal {
        let analysis = unread(&Location::Path("x".into()), &Error::report("no report"));
        let view = ClusterView {
            node_pools: vec![NodePool::test("a").weight(10), NodePool::test("b").weight(20)],
            ..ClusterView::default()
        };
        let setup = Setup {
            config: &Config::default(),
            access: &AwsAccess::default(),
            now: NOW,
            state: &State::default(),
            damage: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Run::gather(setup, analysis, view)).propose()
    }

    #[test]
    fn a_pool_that_was_settled_is_remembered_as_it_was_settled() {
        let (mut old, mut fresh) = (proposal(), proposal());
        for pool in ["a", "b"] {
            old.state.note(pool, Decision::Fill, Memory::default(), NOW);
            fresh.state.note(pool, Decision::Hold, Memory::default(), NOW);
        }
        let kept = keep_settled(old, fresh, &BTreeSet::from(["a".to_owned()]));
        assert_eq!(kept.state.node_pools["a"].decision, Decision::Fill);
        assert_eq!(kept.state.node_pools["b"].decision, Decision::Hold);
    }

    #[test]
    fn what_a_webhook_made_of_a_change_is_shown_and_is_no_success() {
        let mut planned = proposal().pools.remove(0);
        planned.managed = true;
        planned.proposed = Some(60);
        let stored = |weight: i32, as_sent: bool| {
            let mut pool = planned.pool.clone();
            pool.weight = Some(weight);
            outcome(&planned, &Stored { pool, as_sent }, false)
        };
        let other = stored(40, false);
        assert_eq!(other.result, ApplyResult::Conflict);
        assert!(
            other.message.contains("weight 10 → 60 was sent"),
            "{}",
            other.message
        );
        assert!(other.message.contains("made it weight 40"), "{}", other.message);
        assert_eq!(stored(60, true).result, ApplyResult::Patched);
        assert!(stored(60, false).message.contains("annotations"));
    }
}
