//! Gives up the Spot node that the plan moves over, once all patches are made: it cannot be undone.

use chrono::{DateTime, Utc};

use super::super::send::{Sender, stopped};
use super::super::signals::LAST_ANSWER;
use super::super::state_store::Held;
use super::patches::patched;
use super::{Done, How};
use crate::render::json::{MoveResult, Moved};
use brimful_karpenter::cluster::DeleteError;
use brimful_policy::top_up::{Move, TopUp};
use brimful_types::Error;

/// Deletes the claim, if the plan moves one and nothing went wrong before. `on_demand` is a claim that nobody may delete,
/// by which it is seen that the admission policy holds.
pub(super) async fn carry_out(
    sender: &Sender<'_>,
    done: &mut Done,
    on_demand: Option<&str>,
    now: DateTime<Utc>,
    how: How,
) {
    let moves = done.proposal.pools.iter().find_map(|plan| match &plan.top_up {
        Some(TopUp::Moves(one)) => Some((plan.pool.name.clone(), one.clone())),
        _ => None,
    });
    let Some((to, one)) = moves else { return };
    if done.stopped.is_some() || done.applied.iter().any(|one| one.result.has_failed()) {
        return;
    }
    let (result, message) = match how {
        How::Observe => (
            MoveResult::Unchanged,
            format!("observe mode: {} is not deleted", one.claim),
        ),
        How::Patch | How::Validate => match delete(sender, &one, on_demand).await {
            Ok(told) => told,
            Err(stop) => {
                done.stopped = Some(stopped(&stop, &patched(&done.applied), None));
                return;
            }
        },
    };
    // What may have been deleted counts against the hour.
    if how == How::Patch && matches!(result, MoveResult::Moved | MoveResult::Unknown) {
        done.proposal.state.moved.note(&to, now);
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
async fn delete(
    sender: &Sender<'_>,
    one: &Move,
    on_demand: Option<&str>,
) -> Result<(MoveResult, String), Error> {
    if let Some(why) = sender.interrupt.or(reason_not_to(sender, one, on_demand)).await? {
        return Ok(why);
    }
    sender.interrupt.check()?;
    if let Err(error) = sender.held.map_or(Ok(()), Held::check) {
        return Ok((MoveResult::Refused, format!("not sent: {error}")));
    }
    let deleted = async {
        let version = (one.uid.as_deref(), one.resource_version.as_deref());
        Ok(sender
            .cluster
            .delete_node_claim(&one.claim, version, sender.dry_run)
            .await)
    };
    let unknown = |error: &Error| {
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
            format!(
                "{} is not what it was when it was looked at: {message}",
                one.claim
            ),
        ),
        Ok(Err(DeleteError::Refused { code, message })) => (
            MoveResult::Refused,
            format!("the API server refused ({code}): {message}"),
        ),
        Ok(Err(DeleteError::Unknown(error))) => (MoveResult::Unknown, unknown(&error)),
    })
}

/// What speaks against the deletion at the last moment: pods have come or gone, or nothing would keep this run from
/// deleting the wrong claim.
async fn reason_not_to(
    sender: &Sender<'_>,
    one: &Move,
    on_demand: Option<&str>,
) -> Result<Option<(MoveResult, String)>, Error> {
    if let Some(claim) = on_demand {
        let tried = sender.cluster.delete_node_claim(claim, (None, None), true).await;
        if tried.is_ok() {
            let message = format!(
                "a dry run shows that NodeClaim {claim} could be deleted, which is on demand: the admission policy of \
                 manifests/top-up is not in force for this account"
            );
            return Ok(Some((MoveResult::Refused, message)));
        }
    }
    let found = sender.cluster.pods_on(&one.node).await?.into_iter();
    let mut there: Vec<String> = found
        .filter(|pod| pod.is_moved_with(&one.node))
        .map(|pod| pod.path())
        .collect();
    there.sort();
    let changed = there != one.pods;
    let message = || format!("the pods of {} are not those that were looked at", one.node);
    Ok(changed.then(|| (MoveResult::Unchanged, message())))
}
