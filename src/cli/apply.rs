//! `brimful apply`: the same plan, then patches.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::args::{ApplyArgs, ClusterArgs};
use super::context::{Context, connect_to};
use super::coordination::meet;
use super::output;
use super::plan::{look, show};
use super::send::{Sender, Sent, publish, stopped};
use super::signals::{Interrupt, Stage};
use super::state_store::{self, Held, Known, Next};
use crate::cluster::Stored;
use crate::cluster::{Cluster, PoolEvent};
use crate::pipeline::{ClusterView, Judged, document, judge_history, plan};
use crate::report::json::{Applied, ApplyResult};
use brimful_cur::columns::Detail;
use brimful_karpenter::NodePool;
use brimful_policy::Decision;
use brimful_policy::history::{Entry, Fate, History};
use brimful_policy::limits::Vcpu;
use brimful_policy::patch::patch;
use brimful_policy::plan::{PoolPlan, Proposal, show_limits};
use brimful_policy::settings::Mode;
use brimful_policy::state::State;
use brimful_policy::weights::show as show_weight;
use brimful_types::warning::Warning;
use brimful_types::{Error, ErrorKind, Result};

/// How patches are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Patch,
    Validate,
    Observe,
}

/// What a run has done.
#[derive(Debug)]
struct Done {
    proposal: Proposal,
    judged: Judged,
    warnings: Vec<Warning>,
    applied: Vec<Applied>,
    /// Why the run ended before all was done, if so.
    stopped: Option<Error>,
    /// Why the state could not be given back, if so.
    unreleased: Option<Error>,
}

pub(crate) async fn run(args: ApplyArgs, interrupt: Interrupt) -> Result<u8> {
    let ApplyArgs {
        common,
        cluster: target,
        output: format,
        dry_run,
        allow_now,
    } = args;
    if common.now.is_some() && dry_run.is_none() && !allow_now {
        let what = "--now (or BRIMFUL_NOW) is set: a cluster is not patched by a clock that was set by hand";
        let hint = "leave it out; to try something, add --dry-run server, or set BRIMFUL_ALLOW_NOW=1";
        return Err(Error::usage(what).hint(hint));
    }
    let context = interrupt.or(Context::new(common, interrupt.clone())).await?;
    let how = match (dry_run, context.config.mode) {
        (Some(_), _) => How::Validate,
        (None, Mode::Observe) => How::Observe,
        (None, Mode::Apply) => How::Patch,
    };
    let cluster = interrupt.or(connect_to(&target, &interrupt)).await?;
    let done = if how == How::Validate {
        // Nothing is written, so nothing needs to be held.
        let mut warnings = Vec::new();
        let known = match &target.state {
            Some(path) => state_store::peek_file(Some(path))?,
            None => {
                let peek = state_store::peek_cluster(&cluster, &target.namespace, &mut warnings);
                interrupt.or(peek).await?
            }
        };
        let mut done = work(&context, &cluster, &known, how, None).await?;
        done.warnings.extend(warnings);
        done
    } else {
        held(&context, &cluster, &target, how).await?
    };
    if let Some(stop) = done.stopped {
        return Err(stop);
    }
    let mut document = document(&done.judged, &done.proposal, &done.warnings);
    let failed = |one: &Applied| matches!(one.result, ApplyResult::Conflict | ApplyResult::Refused);
    let trouble = done.applied.iter().any(failed) || done.unreleased.is_some();
    document.applied = Some(done.applied);
    show(
        &document,
        format,
        context.quiet,
        done.judged.utilization.horizon,
        context.now,
    )?;
    if let Some(error) = &done.unreleased {
        output::tell_error(error);
    }
    Ok(match (trouble, done.proposal.is_frozen()) {
        (true, _) => ErrorKind::Kubernetes.exit_code(),
        (false, true) => ErrorKind::Frozen.exit_code(),
        (false, false) => 0,
    })
}

/// Runs while holding the state, and gives it back whatever happens.
async fn held(context: &Context, cluster: &Cluster, target: &ClusterArgs, how: How) -> Result<Done> {
    let (interrupt, file) = (&context.interrupt, target.state.as_deref());
    let (held, known) = state_store::take(cluster, &target.namespace, file, interrupt).await?;
    let outcome = work(context, cluster, &known, how, Some(&held)).await;
    // State that could not be read stays for whoever looks into it.
    let history = outcome.as_ref().map_or_else(
        |_| known.history.clone(),
        |done| history(done, &known, context.now, how),
    );
    let next = outcome.as_ref().ok().map(|done| Next {
        state: Some(&done.proposal.state).filter(|_| known.damage.is_none()),
        history: &history,
    });
    let released = state_store::give_back(held, next, interrupt).await;
    let mut done = match outcome {
        Ok(done) => done,
        Err(error) => {
            if let Err(unreleased) = released {
                output::tell_error(&unreleased);
            }
            return Err(error);
        }
    };
    done.warnings.extend(known.lost.clone());
    done.unreleased = released.err();
    publish(cluster, interrupt, events(&done, &known.state, how)).await;
    // Whoever asked to stop, if only when all was done, is answered by the exit code.
    if let (None, Some(stop)) = (&done.stopped, interrupt.asked()) {
        done.stopped = Some(stopped(&stop, &patched(&done.applied), None));
    }
    if let (Some(_), Some(unreleased)) = (&done.stopped, &done.unreleased) {
        output::tell_error(unreleased);
    }
    Ok(done)
}

/// What is made of report and cluster before anything is changed.
struct Proposed {
    judged: Judged,
    view: ClusterView,
    proposal: Proposal,
    warnings: Vec<Warning>,
}

async fn propose(context: &Context, cluster: &Cluster, known: &Known, how: How) -> Result<Proposed> {
    let progress = context.progress();
    let report = |done, all| progress.update(done, all);
    let options = context.read_options(Detail::Usage, &report);
    let mut judged = judge_history(&options, &context.config, context.now).await?;
    drop(progress);
    if let Some(damage) = &known.damage {
        judged.doubt.get_or_insert_with(|| damage.clone());
    }
    let state = &known.state;
    context.interrupt.enter(Stage::Cluster);
    let (mut view, warnings) = look(cluster).await?;
    context.interrupt.enter(Stage::Report);
    context.describe_rates(&mut judged, &view).await;
    let (meeting, peers) = meet(&context.config, &judged, &view, context.now).await;
    view.peers = peers;
    let mut proposal = plan(&judged, &context.config, &view, state, context.now);
    if let Some(meeting) = meeting.filter(|_| how != How::Validate) {
        proposal = meeting.tell(&judged, &mut view, state, proposal).await;
    }
    context.interrupt.enter(Stage::Cluster);
    Ok(Proposed {
        judged,
        view,
        proposal,
        warnings,
    })
}

async fn work(
    context: &Context,
    cluster: &Cluster,
    known: &Known,
    how: How,
    held: Option<&Held>,
) -> Result<Done> {
    let interrupt = &context.interrupt;
    let proposed = interrupt.or(propose(context, cluster, known, how)).await?;
    let Proposed {
        judged,
        mut view,
        mut proposal,
        warnings,
    } = proposed;
    let state = &known.state;
    let sender = Sender {
        cluster,
        held,
        interrupt,
        dry_run: how == How::Validate,
    };
    let mut run = Carried::default();
    // A pool that was edited under the plan is planned again, once, from what it is now.
    for last_round in [false, true] {
        let edited = run.round(&sender, &proposal, context.now, how, last_round).await;
        if !edited || run.stopped.is_some() {
            break;
        }
        match interrupt.or(cluster.node_pools()).await {
            Ok(node_pools) => view = ClusterView { node_pools, ..view },
            // What was patched already must still be told.
            Err(error) => {
                run.stopped = interrupt.check().err();
                let open = in_order(&proposal)
                    .into_iter()
                    .filter(|pool| !run.settled.contains(&pool.pool.name));
                let open = open.map(|pool| result(pool, ApplyResult::Conflict, format!("{error:#}")));
                run.applied.extend(open);
                break;
            }
        }
        let fresh = plan(&judged, &context.config, &view, state, context.now);
        proposal = keep_settled(proposal, fresh, &run.settled);
    }
    Ok(run.conclude(judged, proposal, warnings))
}

/// What was carried out so far.
#[derive(Default)]
struct Carried {
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
            match carry_out(sender, pool, now, how).await {
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

    fn conclude(mut self, judged: Judged, mut proposal: Proposal, warnings: Vec<Warning>) -> Done {
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
            judged,
            warnings,
            applied: self.applied,
            unreleased: None,
        }
    }
}

/// The pools that were changed.
pub(super) fn patched(applied: &[Applied]) -> Vec<String> {
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

async fn carry_out(sender: &Sender<'_>, planned: &PoolPlan, now: DateTime<Utc>, how: How) -> Step {
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
        Sent::Stored(stored) => Step::Done(told(planned, &stored, sender.dry_run)),
        Sent::Failed(outcome, message) => Step::Done(result(planned, outcome, message)),
        Sent::Edited(message) => Step::Edited(message),
        Sent::Stopped(stop) => Step::Stopped(stop, false),
        Sent::CutOff(stop) => Step::Stopped(stop, true),
    }
}

/// What to tell of a patch that went through, by what the API server stored.
fn told(planned: &PoolPlan, stored: &Stored, dry_run: bool) -> Applied {
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

/// What was changed so far, this run included.
fn history(done: &Done, known: &Known, now: DateTime<Utc>, how: How) -> History {
    let mut history = known.history.clone();
    history.catch_up(done.proposal.pools.iter().map(|plan| &plan.pool));
    for one in done.applied.iter().filter(|_| how == How::Patch) {
        let mut plans = done.proposal.pools.iter();
        let plan = plans.find(|plan| plan.pool.name == one.node_pool);
        let Some(fate) = fate(one.result) else { continue };
        // Every ten minutes the same would be told.
        if fate == Fate::Patched && plan.is_some_and(PoolPlan::only_renews) {
            continue;
        }
        let message = (fate != Fate::Patched).then_some(one.message.as_str());
        history.note(match plan {
            Some(plan) => Entry::of(plan, now, fate, message),
            None => continue,
        });
    }
    history
}

/// What became of a patch, in the history's words; `None` when none was sent.
pub(super) fn fate(result: ApplyResult) -> Option<Fate> {
    match result {
        ApplyResult::Patched => Some(Fate::Patched),
        ApplyResult::Conflict => Some(Fate::Conflict),
        ApplyResult::Refused => Some(Fate::Refused),
        ApplyResult::Unchanged => None,
    }
}

/// One Event per change, and one when a pool becomes frozen.
fn events<'a>(done: &'a Done, before: &State, how: How) -> Vec<(&'a NodePool, PoolEvent)> {
    let mut events = Vec::new();
    for pool in &done.proposal.pools {
        let name = &pool.pool.name;
        let patched = done
            .applied
            .iter()
            .find(|one| one.node_pool == *name && one.result != ApplyResult::Conflict);
        let newly_frozen = pool.managed
            && pool.outcome.decision == Decision::Freeze
            && before
                .node_pools
                .get(name)
                .is_none_or(|was| was.decision != Decision::Freeze);
        let set = if pool.changes_budgets_only() {
            "Protection"
        } else if pool.changes_limits() && !pool.changes_weight() {
            "Limits"
        } else {
            "Weight"
        };
        let (warning, reason, note) = match patched {
            Some(one) if one.result == ApplyResult::Refused => {
                (true, format!("{set}Refused"), one.message.clone())
            }
            Some(_) if how == How::Observe => (false, format!("WouldSet{set}"), pool.outcome.reason.clone()),
            Some(_) if pool.only_renews() => continue,
            Some(_) if pool.restore => (false, "Restored".to_owned(), pool.outcome.reason.clone()),
            Some(_) => (false, format!("{set}Set"), pool.outcome.reason.clone()),
            None if newly_frozen => (true, "Frozen".to_owned(), pool.outcome.reason.clone()),
            None => continue,
        };
        let event = PoolEvent {
            warning,
            reason,
            action: capitalized(pool.outcome.decision),
            note,
        };
        events.push((&pool.pool, event));
    }
    events
}

fn capitalized(decision: Decision) -> String {
    let word = decision.to_string();
    word[..1].to_ascii_uppercase() + &word[1..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::pipeline::unread;
    use brimful_cur::location::Location;
    use brimful_policy::state::Memory;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn proposal() -> Proposal {
        let judged = unread(&Location::Path("x".into()), &Error::report("no report"));
        let view = ClusterView {
            node_pools: vec![NodePool::test("a").weight(10), NodePool::test("b").weight(20)],
            ..ClusterView::default()
        };
        plan(&judged, &Config::default(), &view, &State::default(), NOW)
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
    fn what_a_webhook_made_of_a_change_is_told_and_is_no_success() {
        let mut planned = proposal().pools.remove(0);
        planned.managed = true;
        planned.proposed = Some(60);
        let stored = |weight: i32, as_sent: bool| {
            let mut pool = planned.pool.clone();
            pool.weight = Some(weight);
            told(&planned, &Stored { pool, as_sent }, false)
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
