//! What a run leaves behind: entries of the history, and Events on the pools.

use chrono::{DateTime, Utc};

use super::super::state_store::Known;
use super::{Done, How};
use crate::render::json::{ApplyResult, MoveResult, Moved};
use brimful_karpenter::NodePool;
use brimful_karpenter::cluster::PoolEvent;
use brimful_policy::Decision;
use brimful_policy::history::{Entry, Fate, History};
use brimful_policy::plan::PoolPlan;
use brimful_policy::state::State;

/// What was changed so far, this run included.
pub(super) fn history(done: &Done, known: &Known, now: DateTime<Utc>, how: How) -> History {
    let mut history = known.history.clone();
    history.catch_up(done.proposal.pools.iter().map(|plan| &plan.pool));
    for one in done.applied.iter().filter(|_| how == How::Patch) {
        let mut plans = done.proposal.pools.iter();
        let plan = plans.find(|plan| plan.pool.name == one.node_pool);
        let Some(fate) = fate(one.result) else { continue };
        // Else every ten minutes the same would be reported.
        if fate == Fate::Patched && plan.is_some_and(PoolPlan::is_routine) {
            continue;
        }
        let message = (fate != Fate::Patched).then_some(one.message.as_str());
        history.note(match plan {
            Some(plan) => Entry::of(plan, now, fate, message),
            None => continue,
        });
    }
    let moved = done.moved.as_ref().filter(|_| how == How::Patch);
    if let Some((moved, fate)) = moved.and_then(|moved| Some((moved, fate_of_move(moved.result)?))) {
        let mut plans = done.proposal.pools.iter();
        if let Some(plan) = plans.find(|plan| plan.pool.name == moved.to) {
            history.note(Entry::of_move(plan, now, fate, &moved.message));
        }
    }
    history
}

fn fate_of_move(result: MoveResult) -> Option<Fate> {
    match result {
        // The message says that it is not known.
        MoveResult::Moved | MoveResult::Unknown => Some(Fate::Patched),
        MoveResult::Refused => Some(Fate::Refused),
        MoveResult::Unchanged => None,
    }
}

/// What became of a patch, in the history's words; `None` when none was sent.
pub(in crate::cli) fn fate(result: ApplyResult) -> Option<Fate> {
    match result {
        ApplyResult::Patched => Some(Fate::Patched),
        ApplyResult::Conflict => Some(Fate::Conflict),
        ApplyResult::Refused => Some(Fate::Refused),
        ApplyResult::Unchanged => None,
    }
}

/// One Event per change, and one when a pool becomes frozen.
pub(super) fn events<'a>(done: &'a Done, before: &State, how: How) -> Vec<(&'a NodePool, PoolEvent)> {
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
            Some(_) if pool.is_routine() => continue,
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
    events.extend(
        done.moved
            .as_ref()
            .and_then(|moved| event_of_move(done, moved, how)),
    );
    events
}

fn event_of_move<'a>(done: &'a Done, moved: &Moved, how: How) -> Option<(&'a NodePool, PoolEvent)> {
    let plan = done
        .proposal
        .pools
        .iter()
        .find(|plan| plan.pool.name == moved.to)?;
    let (warning, reason) = match (moved.result, how) {
        (MoveResult::Moved, _) => (false, "SpotNodeMoved"),
        (MoveResult::Unchanged, How::Observe) => (false, "WouldMoveSpotNode"),
        (MoveResult::Unchanged, _) => return None,
        (MoveResult::Refused, _) => (true, "SpotNodeMoveRefused"),
        (MoveResult::Unknown, _) => (true, "SpotNodeMoveUnknown"),
    };
    let event = PoolEvent {
        warning,
        reason: reason.to_owned(),
        action: "TopUp".to_owned(),
        note: moved.message.clone(),
    };
    Some((&plan.pool, event))
}

fn capitalized(decision: Decision) -> String {
    let word = decision.to_string();
    word[..1].to_ascii_uppercase() + &word[1..]
}
