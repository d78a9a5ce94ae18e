//! Sends a change of a `NodePool` until its outcome is known, while the run has time and holds the state; and reports it
//! by Events afterwards.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::signals::{Interrupt, LAST_ANSWER};
use super::state_store::Held;
use crate::cluster::Cluster;
use crate::render::json::ApplyResult;
use brimful_karpenter::NodePool;
use brimful_karpenter::cluster::{PatchError, PoolEvent, Stored};
use brimful_types::Error;

/// Tries to patch a pool whose resourceVersion keeps moving (Karpenter writes status at every launch), or whose server
/// is busy.
const TRIES: usize = 4;
/// The pause before a busy server is tried again.
const PAUSE: Duration = Duration::from_millis(700);
/// Events are not worth waiting for longer, all together.
const EVENTS: Duration = Duration::from_secs(5);

/// How changes are sent.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) cluster: &'a Cluster,
    /// The state that this run holds; `None` where nothing is stored anyway.
    pub(super) held: Option<&'a Held>,
    pub(super) interrupt: &'a Interrupt,
    /// Let the server check the change and store nothing.
    pub(super) dry_run: bool,
}

/// What became of a change.
#[derive(Debug)]
pub(super) enum Sent {
    /// The pool is changed.
    Stored(Box<Stored>),
    /// The pool is no longer what the change was made for.
    Edited(String),
    /// It was not made, and why.
    Failed(ApplyResult, String),
    /// The run has to end; this change was not sent.
    Stopped(Error),
    /// The run has to end, and no answer shows whether this change was made.
    CutOff(Error),
}

impl Sender<'_> {
    /// Sends what `patch` makes of the pool. When the pool has moved meanwhile it is read again and, if it `fits` still,
    /// the change is made anew.
    pub(super) async fn send(
        &self,
        pool: &NodePool,
        patch: impl Fn(&NodePool) -> Value,
        fits: impl Fn(&NodePool) -> bool,
    ) -> Sent {
        let mut pool = pool.clone();
        let mut last = String::new();
        for _ in 0..TRIES {
            if let Err(stop) = self.interrupt.check() {
                return Sent::Stopped(stop);
            }
            if let Err(error) = self.held.map_or(Ok(()), Held::check) {
                return Sent::Failed(ApplyResult::Conflict, format!("not sent: {error}"));
            }
            let patch = patch(&pool);
            let sent = async {
                Ok(self
                    .cluster
                    .patch_node_pool(&pool.name, &patch, self.dry_run)
                    .await)
            };
            match self.interrupt.finish(LAST_ANSWER, sent).await {
                Err(stop) => return Sent::CutOff(stop),
                Ok(Ok(stored)) => return Sent::Stored(Box::new(stored)),
                Ok(Err(PatchError::Refused { code, message })) => {
                    let message = format!("the API server refused ({code}): {message}");
                    return Sent::Failed(ApplyResult::Refused, message);
                }
                Ok(Err(PatchError::Unknown(error))) => {
                    let message =
                        format!("{error:#}; whether it was changed is not known, the next run finds out");
                    return Sent::Failed(ApplyResult::Refused, message);
                }
                Ok(Err(PatchError::Undone(error))) => {
                    last = format!("{error:#}; nothing was changed");
                    sleep(PAUSE).await;
                }
                Ok(Err(PatchError::Conflict(message))) => {
                    last = message;
                    match self.interrupt.or(self.cluster.node_pool(&pool.name)).await {
                        Ok(fresh) if fits(&fresh) => pool = fresh,
                        Ok(_) => {
                            return Sent::Edited(format!("it was edited while the plan was made: {last}"));
                        }
                        Err(error) => match self.interrupt.check() {
                            Err(stop) => return Sent::Stopped(stop),
                            Ok(()) => {
                                return Sent::Failed(ApplyResult::Conflict, format!("{last}; {error:#}"));
                            }
                        },
                    }
                }
            }
        }
        Sent::Failed(ApplyResult::Conflict, format!("tried {TRIES} times: {last}"))
    }
}

/// Publishes Events. They never fail a run, nor hold it up for long.
pub(super) async fn publish(cluster: &Cluster, interrupt: &Interrupt, events: Vec<(&NodePool, PoolEvent)>) {
    let all = events.len();
    let mut done = 0;
    let publish = async {
        for (pool, event) in events {
            cluster.publish(pool, event).await;
            done += 1;
        }
        Ok(())
    };
    let in_time = async { timeout(EVENTS, publish).await.unwrap_or(Ok(())) };
    // A run that has to end has done all that counts.
    let _ = interrupt.or(in_time).await;
    if done < all {
        tracing::warn!(
            "{} of {all} Events were not published: no answer in time",
            all - done
        );
    }
}

/// The error of a run that had to end, with what it had changed by then.
pub(super) fn stopped(stop: &Error, changed: &[String], unknown: Option<&str>) -> Error {
    let mut said = match changed {
        [] => vec!["nothing was changed".to_owned()],
        names => vec![format!("changed before: {}", names.join(", "))],
    };
    said.extend(
        unknown.map(|name| format!("whether {name} was changed is not known, the next run finds out")),
    );
    let error = Error::new(stop.kind(), format!("{stop}; {}", said.join("; ")));
    match stop.next_step() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
