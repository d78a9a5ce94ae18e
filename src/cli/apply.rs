//! `brimful apply`: the same plan, then patches.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::args::{ApplyArgs, ClusterArgs};
use super::context::{Context, wall_clock};
use super::coordination::meet;
use super::output;
use super::plan::{look, show};
use super::signals::Interrupt;
use super::state_store::{self, Known, Next};
use crate::cur::columns::Detail;
use crate::pipeline::{ClusterView, Judged, document, judge_history, plan};
use crate::report::json::{Applied, ApplyResult};
use brimful_karpenter::NodePool;
use brimful_kube::{Cluster, PatchError, PoolEvent};
use brimful_policy::Decision;
use brimful_policy::history::{Entry, Fate, History};
use brimful_policy::limits::Vcpu;
use brimful_policy::patch::patch;
use brimful_policy::plan::{PoolPlan, Proposal};
use brimful_policy::settings::Mode;
use brimful_policy::state::State;
use brimful_types::warning::Warning;
use brimful_types::{Error, ErrorKind, Result};

/// Tries to patch a pool whose resourceVersion keeps moving: Karpenter writes status at every launch.
const TRIES: usize = 4;

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
    /// Why the state could not be given back, if so.
    unreleased: Option<Error>,
}

pub(crate) async fn run(args: ApplyArgs, interrupt: Interrupt) -> Result<u8> {
    let ApplyArgs {
        common,
        cluster: target,
        output: format,
        dry_run,
    } = args;
    let context = Context::new(common, interrupt).await?;
    let how = match (dry_run, context.config.mode) {
        (Some(_), _) => How::Validate,
        (None, Mode::Observe) => How::Observe,
        (None, Mode::Apply) => How::Patch,
    };
    let cluster = Cluster::connect(target.kubeconfig.as_deref(), target.context.as_deref()).await?;
    let done = if how == How::Validate {
        // Nothing is written, so nothing needs to be held.
        let mut warnings = Vec::new();
        let known = match &target.state {
            Some(path) => state_store::peek_file(Some(path))?,
            None => state_store::peek_cluster(&cluster, &target.namespace, &mut warnings).await?,
        };
        let mut done = context
            .interrupt
            .or(work(&context, &cluster, &known, how))
            .await?;
        done.warnings.extend(warnings);
        done
    } else {
        held(&context, &cluster, &target, how).await?
    };
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
    let file = target.state.as_deref();
    let (lease, known) = state_store::take(cluster, &target.namespace, file, wall_clock()).await?;
    let outcome = context.interrupt.or(work(context, cluster, &known, how)).await;
    // State that could not be read stays for whoever looks into it.
    let history = outcome.as_ref().map_or_else(
        |_| known.history.clone(),
        |done| history(done, &known, context.now, how),
    );
    let next = outcome.as_ref().ok().map(|done| Next {
        state: Some(&done.proposal.state).filter(|_| known.damage.is_none()),
        history: &history,
    });
    let released = state_store::release(cluster, lease, next).await;
    let mut done = outcome?;
    done.warnings.extend(known.lost.clone());
    done.unreleased = released.err();
    announce(cluster, &done, &known.state, how).await;
    Ok(done)
}

async fn work(context: &Context, cluster: &Cluster, known: &Known, how: How) -> Result<Done> {
    let progress = context.progress();
    let report = |done, all| progress.update(done, all);
    let options = context.read_options(Detail::Usage, &report);
    let mut judged = judge_history(&options, &context.config, context.now).await?;
    drop(progress);
    if let Some(damage) = &known.damage {
        judged.doubt.get_or_insert_with(|| damage.clone());
    }
    let state = &known.state;
    let (mut view, warnings) = look(cluster).await?;
    context.describe_rates(&mut judged, &view).await;
    let (meeting, peers) = meet(&context.config, &judged, &view, context.now).await;
    view.peers = peers;
    let mut proposal = plan(&judged, &context.config, &view, state, context.now);
    if let Some(meeting) = meeting.filter(|_| how != How::Validate) {
        proposal = meeting.tell(&judged, &mut view, state, proposal).await;
    }
    let mut applied = Vec::new();
    let mut settled = BTreeSet::new();
    // A pool that was edited under the plan is planned again, once, from what it is now.
    for last_round in [false, true] {
        let mut edited = false;
        for pool in in_order(&proposal) {
            if settled.contains(&pool.pool.name) {
                continue;
            }
            match carry_out(cluster, pool, context.now, how).await {
                Step::Done(one) => {
                    settled.insert(pool.pool.name.clone());
                    applied.push(one);
                }
                Step::Edited(message) if last_round => {
                    applied.push(result(pool, ApplyResult::Conflict, message));
                }
                Step::Edited(_) => edited = true,
            }
        }
        if !edited {
            break;
        }
        match cluster.node_pools().await {
            Ok(node_pools) => view = ClusterView { node_pools, ..view },
            // What was patched already must still be told.
            Err(error) => {
                let open = in_order(&proposal)
                    .into_iter()
                    .filter(|pool| !settled.contains(&pool.pool.name));
                applied.extend(open.map(|pool| result(pool, ApplyResult::Conflict, format!("{error:#}"))));
                break;
            }
        }
        let fresh = plan(&judged, &context.config, &view, state, context.now);
        proposal = keep_settled(proposal, fresh, &settled);
    }
    applied.sort_by(|a, b| a.node_pool.cmp(&b.node_pool));
    for one in applied.iter().filter(|one| one.result == ApplyResult::Patched) {
        proposal.state.patched(&one.node_pool);
    }
    // What was decided and could not be set is due in the next run.
    for pool in proposal.pools.iter().filter(|pool| pool.changes_limits()) {
        let set = |one: &Applied| one.node_pool == pool.pool.name && one.result == ApplyResult::Patched;
        if !applied.iter().any(set) {
            proposal.state.limits_not_set(&pool.pool.name);
        }
    }
    Ok(Done {
        proposal,
        judged,
        warnings,
        applied,
        unreleased: None,
    })
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

/// The new plan, but what was carried out already stays as it was planned.
fn keep_settled(old: Proposal, mut fresh: Proposal, settled: &BTreeSet<String>) -> Proposal {
    for pool in old
        .pools
        .into_iter()
        .filter(|pool| settled.contains(&pool.pool.name))
    {
        if let Some(place) = fresh.pools.iter_mut().find(|p| p.pool.name == pool.pool.name) {
            *place = pool;
        }
    }
    fresh
}

enum Step {
    Done(Applied),
    /// The spec is no longer what the plan was made from.
    Edited(String),
}

async fn carry_out(cluster: &Cluster, planned: &PoolPlan, now: DateTime<Utc>, how: How) -> Step {
    if how == How::Observe {
        let message = format!("observe mode: {} is not set", planned.change());
        return Step::Done(result(planned, ApplyResult::Unchanged, message));
    }
    let mut pool = planned.clone();
    let mut last = String::new();
    for _ in 0..TRIES {
        match send(cluster, &pool, now, how).await {
            Ok((outcome, message)) => return Step::Done(result(planned, outcome, message)),
            Err(message) => last = message,
        }
        match cluster.node_pool(&planned.pool.name).await {
            Ok(fresh) if same_spec(&fresh, &planned.pool) => pool.pool = fresh,
            Ok(_) => return Step::Edited(format!("it was edited while the plan was made: {last}")),
            Err(error) => {
                return Step::Done(result(
                    planned,
                    ApplyResult::Conflict,
                    format!("{last}; {error:#}"),
                ));
            }
        }
    }
    Step::Done(result(
        planned,
        ApplyResult::Conflict,
        format!("it kept changing: {last}"),
    ))
}

/// Sends one patch; `Err` is a conflict, after which the pool must be read again.
async fn send(
    cluster: &Cluster,
    pool: &PoolPlan,
    now: DateTime<Utc>,
    how: How,
) -> Result<(ApplyResult, String), String> {
    let dry_run = how == How::Validate;
    match cluster
        .patch_node_pool(&pool.pool.name, &patch(pool, now), dry_run)
        .await
    {
        Ok(_) if dry_run => Ok((
            ApplyResult::Unchanged,
            format!("dry run: the API server accepts {}", pool.change()),
        )),
        Ok(_) => Ok((ApplyResult::Patched, pool.change())),
        Err(PatchError::Refused { code, message }) => Ok((
            ApplyResult::Refused,
            format!("the API server refused ({code}): {message}"),
        )),
        Err(PatchError::Other(error)) => Ok((ApplyResult::Refused, format!("{error:#}"))),
        Err(PatchError::Conflict(message)) => Err(message),
    }
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

/// One Event per change, and one when a pool becomes frozen. They never fail the run.
async fn announce(cluster: &Cluster, done: &Done, before: &State, how: How) {
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
        let set = if pool.changes_limits() && !pool.changes_weight() {
            "Limits"
        } else {
            "Weight"
        };
        let (warning, reason, note) = match patched {
            Some(one) if one.result == ApplyResult::Refused => {
                (true, format!("{set}Refused"), one.message.clone())
            }
            Some(_) if how == How::Observe => (false, format!("WouldSet{set}"), pool.outcome.reason.clone()),
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
        cluster.publish(&pool.pool, event).await;
    }
}

fn capitalized(decision: Decision) -> String {
    let word = decision.to_string();
    word[..1].to_ascii_uppercase() + &word[1..]
}
