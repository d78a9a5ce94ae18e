//! Where the control state and the history lie: a `ConfigMap` in the cluster, or a file. Who changes a cluster holds
//! the `ConfigMap` in any case.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::context::wall_clock;
use super::signals::{GIVE_BACK, Interrupt};
use crate::cluster::{Cluster, StateLease};
use crate::files::replace;
use brimful_karpenter::cluster::STATE_CONFIG_MAP;
use brimful_policy::history::History;
use brimful_policy::state::{MAX_BYTES, State};
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, ErrorKind, Result};

/// Freeing what a failed run may have taken is not worth waiting for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What earlier runs left.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The state; empty when it could not be read.
    pub(crate) state: State,
    /// Why it could not be read: then nothing may be decided.
    pub(crate) damage: Option<String>,
    /// What was changed; empty when it could not be read, which is no reason to decide nothing.
    pub(crate) history: History,
    /// That it could not be read, and why.
    pub(crate) lost: Option<Warning>,
}

impl Known {
    fn read(place: &str, state: Option<&str>, history: Option<&str>) -> Self {
        let (state, damage) = match state.map(|text| State::parse(place, text)) {
            None => (State::default(), None),
            Some(Ok(state)) => (state, None),
            Some(Err(error)) => {
                let next = error.next_step().unwrap_or_default();
                (State::default(), Some(format!("{error}; {next}")))
            }
        };
        let (history, lost) = match history.map(History::parse) {
            None => (History::default(), None),
            Some(Ok(history)) => (history, None),
            Some(Err(why)) => {
                let message =
                    format!("{place}: the history of changes cannot be read ({why}): a new one is begun");
                (
                    History::default(),
                    Some(Warning::new(WarningCode::HistoryLost, message)),
                )
            }
        };
        Self {
            state,
            damage,
            history,
            lost,
        }
    }

    /// The same from a file, which holds both.
    fn read_file(place: &str, text: &str) -> Self {
        // A file that is not JSON is a damaged state; no history need be reported.
        let kept: Option<WithHistory> = serde_json::from_str(text).ok();
        let history = kept
            .and_then(|kept| kept.history)
            .map(|history| history.to_string());
        Self::read(place, Some(text), history.as_deref())
    }
}

/// The part of a state file that the state itself does not know.
#[derive(Deserialize)]
struct WithHistory {
    history: Option<Value>,
}

/// A state file.
#[derive(Serialize)]
struct Kept<'a> {
    #[serde(flatten)]
    state: &'a State,
    #[serde(skip_serializing_if = "History::is_empty")]
    history: &'a History,
}

/// What the next run should know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next<'a> {
    /// The state; `None` leaves it as it was.
    pub(crate) state: Option<&'a State>,
    /// What was changed so far.
    pub(crate) history: &'a History,
}

/// The state, held by this run.
#[derive(Debug)]
pub(crate) struct Held {
    lease: StateLease,
    /// The file that has the state instead of the `ConfigMap`, and its lock.
    file: Option<(PathBuf, File)>,
}

impl Held {
    /// Whether this run is sure to hold the state, and may change something.
    pub(crate) fn check(&self) -> Result<()> {
        self.lease.check()
    }
}

/// Reads the state of a file without holding it.
pub(crate) fn peek_file(path: Option<&Path>) -> Result<Known> {
    let Some(path) = path else {
        return Ok(Known::default());
    };
    match fs::read_to_string(path) {
        Ok(text) => Ok(Known::read_file(&path.display().to_string(), &text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
        Err(error) => Err(Error::usage(format!(
            "cannot read the state {}: {error}",
            path.display()
        ))),
    }
}

/// Reads the state of the cluster without holding it. A plan is worth printing without it, too.
pub(crate) async fn peek_cluster(
    cluster: &Cluster,
    namespace: &str,
    warnings: &mut Vec<Warning>,
) -> Result<Known> {
    match cluster.read_state(namespace, STATE_CONFIG_MAP).await {
        Ok(text) => Ok(Known::read(&place(namespace), text.as_deref(), None)),
        Err(error) => {
            let message = format!("{error}: the plan is made as if this were the first run");
            warnings.push(Warning::new(WarningCode::NoState, message));
            Ok(Known::default())
        }
    }
}

/// Takes the state for this run, so that a second one at the same time is refused.
pub(crate) async fn take(
    cluster: &Cluster,
    namespace: &str,
    file: Option<&Path>,
    interrupt: &Interrupt,
) -> Result<(Held, Known)> {
    let locked = file
        .map(|path| lock_file(path).map(|lock| (path.to_owned(), lock)))
        .transpose()?;
    let known = file.map(|path| peek_file(Some(path))).transpose()?;
    let holder = holder();
    let taken = interrupt
        .or(cluster.take_state(namespace, STATE_CONFIG_MAP, &holder, wall_clock()))
        .await;
    let lease = match taken {
        Ok(lease) => lease,
        Err(error) => {
            // What was cut off, or got no answer, may have come through.
            let free = timeout(PATIENCE, cluster.free_state(namespace, STATE_CONFIG_MAP, &holder));
            if let Ok(Ok(Err(error))) = interrupt.finish(GIVE_BACK, async { Ok(free.await) }).await {
                tracing::debug!(%error, "cannot see whether the state is free");
            }
            return Err(error);
        }
    };
    let known = known.unwrap_or_else(|| Known::read(&place(namespace), lease.state(), lease.history()));
    Ok((Held { lease, file: locked }, known))
}

/// The history of a cluster's `ConfigMap`, for a look at it.
pub(crate) async fn peek_history(cluster: &Cluster, namespace: &str) -> Result<Known> {
    let text = cluster.read_history(namespace, STATE_CONFIG_MAP).await?;
    Ok(Known::read(&place(namespace), None, text.as_deref()))
}

/// Gives the state back, with what the next run should know; `None` leaves all as it was. A run that has to end does not
/// wait for it for long.
pub(crate) async fn give_back(held: Held, next: Option<Next<'_>>, interrupt: &Interrupt) -> Result<()> {
    let given = interrupt
        .finish(GIVE_BACK, async { Ok(release(held, next).await) })
        .await;
    given.unwrap_or_else(|_| {
        let message =
            format!("{STATE_CONFIG_MAP} could not be given back: the API server does not answer in time");
        Err(Error::kubernetes(message).hint("the next run waits until nobody has renewed it for 45 s"))
    })
}

/// What does not fit is left out, oldest first.
async fn release(held: Held, next: Option<Next<'_>>) -> Result<()> {
    let state = next.and_then(|next| next.state).map(|state| {
        let (state, dropped) = state.clone().bounded(MAX_BYTES);
        if dropped > 0 {
            tracing::warn!(
                "the control state does not fit into {MAX_BYTES} bytes: the {dropped} NodePools whose decision is oldest are forgotten"
            );
        }
        state
    });
    let text = state.as_ref().map(State::to_text);
    let length = text.as_ref().map_or(0, String::len);
    // Both together stay below the bound; the field that holds the history in a file takes a few bytes, too.
    let room = MAX_BYTES.saturating_sub(length + r#","history":"#.len());
    let history = next.map(|next| next.history.clone().bounded(room));
    let Held { lease, file } = held;
    let Some((path, lock)) = file else {
        // One that could not be read is written over even by an empty one.
        let is_wanted = |history: &&History| !history.is_empty() || lease.history().is_some();
        let history = history.as_ref().filter(is_wanted).map(History::to_text);
        return lease.release(text.as_deref(), history.as_deref()).await;
    };
    let history = &history.unwrap_or_default();
    let kept = state.and_then(|state| {
        serde_json::to_string(&Kept {
            state: &state,
            history,
        })
        .ok()
    });
    let written = kept.map_or(Ok(()), |kept| replace(&path, &kept));
    drop(lock);
    let released = lease.release(None, None).await;
    let failed = |e| Error::unexpected(format!("cannot write the state {}", path.display())).source(e);
    written.map_err(failed).and(released)
}

/// Removes the state.
pub(crate) async fn delete(cluster: &Cluster, namespace: &str, file: Option<&Path>) -> Result<()> {
    let Some(path) = file else {
        return cluster.delete_state(namespace, STATE_CONFIG_MAP).await;
    };
    let _lock = lock_file(path)?;
    // Made to be held only.
    if cluster.read_state(namespace, STATE_CONFIG_MAP).await?.is_none() {
        cluster.delete_state(namespace, STATE_CONFIG_MAP).await?;
    }
    for path in [path.to_owned(), lock_path(path)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::unexpected(format!("cannot remove {}", path.display())).source(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn lock_path(path: &Path) -> PathBuf {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    lock.into()
}

fn lock_file(path: &Path) -> Result<File> {
    let lock = lock_path(path);
    let failed = |e: io::Error| Error::usage(format!("cannot lock the state {}: {e}", path.display()));
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&lock)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Kubernetes,
            format!("another run holds the state {}", path.display()),
        )
        .hint("wait for it to end; nothing was changed")),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Tells runs apart, by chance: two pods on one host's network have its name, and both are process 1. The host's name
/// is for people.
pub(super) fn holder() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // The standard library's hash maps are seeded by the system's randomness.
    let chance = RandomState::new().hash_one((std::process::id(), Instant::now()));
    format!("{}-{chance:016x}", host.trim())
}

fn place(namespace: &str) -> String {
    format!("ConfigMap {namespace}/{STATE_CONFIG_MAP}")
}
