//! Gives up the Spot node that the plan moves over, once all patches are made.

use chrono::{DateTime, Utc};

use super::super::send::{Sender, stopped};
use super::super::signals::LAST_ANSWER;
use super::super::state_store::Held;
use super::patches::patched;
use super::{Done, How};
use crate::render::json::{ApplyResult, MoveResult, Moved};
use brimful_karpenter::cluster::DeleteError;
use brimful_policy::top_up::{Move, TopUp};

/// Deletes the claim, if the plan moves one and nothing went wrong before: it cannot be undone.
pub(super) async fn carry_out(sender: &Sender<'_>, done: &mut Done, now: DateTime<Utc>, how: How) {
    let moves = done.proposal.pools.iter().find_map(|plan| match &plan.top_up {
        Some(TopUp::Moves(one)) => Some((plan.pool.name.clone(), one.clone())),
        _ => None,
    });
    let Some((to, one)) = moves else { return };
    let went_wrong = |result: ApplyResult| matches!(result, ApplyResult::Conflict | ApplyResult::Refused);
    if done.stopped.is_some() || done.applied.iter().any(|one| went_wrong(one.result)) {
        return;
    }
    let (result, message) = match how {
        How::Observe => (
            MoveResult::Unchanged,
            format!("observe mode: {} is not deleted", one.claim),
        ),
        How::Patch | How::Validate => match delete(sender, &one).await {
            Ok(told) => told,
            Err(stop) => {
                done.stopped = Some(stopped(&stop, &patched(&done.applied), None));
                return;
            }
        },
    };
    // What may have been deleted counts against the hour.
    if how == How::Patch && matches!(result, MoveResult::Moved | MoveResult::Unknown) {
        done.proposal.state.moved.push(now);
    }
    done.moved = Some(Moved {
        node_claim: one.claim,
        from: one.from,
        to,
        result,
        message,
    });
}

/// What became of the deletion; an error is why the run has to end, and then none was sent.
async fn delete(sender: &Sender<'_>, one: &Move) -> brimful_types::Result<(MoveResult, String)> {
    sender.interrupt.check()?;
    if let Err(error) = sender.held.map_or(Ok(()), Held::check) {
        return Ok((MoveResult::Refused, format!("not sent: {error}")));
    }
    let deleted = async {
        let (name, uid) = (&one.claim, one.uid.as_deref());
        Ok(sender.cluster.delete_node_claim(name, uid, sender.dry_run).await)
    };
    let unknown = |error: &brimful_types::Error| {
        format!("{error:#}; whether it is being deleted is not known, the next run finds out")
    };
    Ok(match sender.interrupt.finish(LAST_ANSWER, deleted).await {
        Err(stop) => (MoveResult::Unknown, unknown(&stop)),
        Ok(Ok(())) if sender.dry_run => (
            MoveResult::Unchanged,
            format!("dry run: the API server accepts that {} is deleted", one.claim),
        ),
        Ok(Ok(())) => (MoveResult::Moved, one.describe()),
        Ok(Err(DeleteError::Gone(message))) => (
            MoveResult::Unchanged,
            format!("{} is not there any more: {message}", one.claim),
        ),
        Ok(Err(DeleteError::Refused { code, message })) => (
            MoveResult::Refused,
            format!("the API server refused ({code}): {message}"),
        ),
        Ok(Err(DeleteError::Unknown(error))) => (MoveResult::Unknown, unknown(&error)),
    })
}
