//! Where the control state lies: a `ConfigMap` in the cluster, or a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};

use crate::karpenter::{Cluster, StateLease};
use crate::policy::state::{MAX_BYTES, State};
use crate::warning::Warning;
use crate::{Error, ErrorKind, Result};

/// Name of the `ConfigMap`.
pub(crate) const CONFIG_MAP: &str = "brimful-state";
/// Minutes that a run may hold the state: longer than the `CronJob`'s deadline, shorter than its interval, so that a
/// killed run holds up nobody.
const LEASE: i64 = 9;

/// What earlier runs left.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The state; empty when it could not be read.
    pub(crate) state: State,
    /// Why it could not be read: then nothing may be decided.
    pub(crate) damage: Option<String>,
}

impl Known {
    fn read(place: &str, text: &str) -> Self {
        match State::parse(place, text) {
            Ok(state) => Self { state, damage: None },
            Err(error) => Self {
                state: State::default(),
                damage: Some(format!("{error}; {}", error.next_step().unwrap_or_default())),
            },
        }
    }
}

/// The state, held by this run.
#[derive(Debug)]
pub(crate) enum Held {
    File { path: PathBuf, lock: File },
    ConfigMap(StateLease),
}

/// Reads the state of a file without holding it.
pub(crate) fn peek_file(path: Option<&Path>) -> Result<Known> {
    let Some(path) = path else {
        return Ok(Known::default());
    };
    match fs::read_to_string(path) {
        Ok(text) => Ok(Known::read(&path.display().to_string(), &text)),
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
    match cluster.read_state(namespace, CONFIG_MAP).await {
        Ok(text) => Ok(text.map_or_else(Known::default, |text| Known::read(&place(namespace), &text))),
        Err(error) => {
            let message = format!("{error}: the plan is made as if this were the first run");
            warnings.push(Warning::new("no-state", message));
            Ok(Known::default())
        }
    }
}

/// Takes the state for this run, so that a second one at the same time is refused.
pub(crate) async fn take(
    cluster: &Cluster,
    namespace: &str,
    file: Option<&Path>,
    wall_clock: DateTime<Utc>,
) -> Result<(Held, Known)> {
    if let Some(path) = file {
        let lock = lock_file(path)?;
        let known = peek_file(Some(path))?;
        let path = path.to_owned();
        return Ok((Held::File { path, lock }, known));
    }
    let lease = Duration::minutes(LEASE);
    let lease = cluster
        .take_state(namespace, CONFIG_MAP, &holder(), wall_clock, lease)
        .await?;
    let known = lease
        .state()
        .map_or_else(Known::default, |text| Known::read(&place(namespace), text));
    Ok((Held::ConfigMap(lease), known))
}

/// Gives the state back, with what the next run should know; `None` leaves it as it was.
pub(crate) async fn release(cluster: &Cluster, held: Held, state: Option<&State>) -> Result<()> {
    let text = state.map(State::to_text);
    if text.as_ref().is_some_and(|text| text.len() > MAX_BYTES) {
        return Err(Error::unexpected(format!(
            "the control state has grown beyond {MAX_BYTES} bytes"
        )));
    }
    match held {
        Held::ConfigMap(lease) => cluster.release_state(lease, text.as_deref()).await,
        Held::File { path, lock } => {
            let outcome = text.map_or(Ok(()), |text| write_whole(&path, &text));
            drop(lock);
            outcome.map_err(|e| {
                Error::unexpected(format!("cannot write the state {}", path.display())).source(e)
            })
        }
    }
}

/// Removes the state.
pub(crate) async fn delete(cluster: &Cluster, namespace: &str, file: Option<&Path>) -> Result<()> {
    let Some(path) = file else {
        return cluster.delete_state(namespace, CONFIG_MAP).await;
    };
    let _lock = lock_file(path)?;
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

/// Written beside and renamed, so that a killed run leaves the old state or the new one.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
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

/// Tells runs apart: a pod's host name is its own name.
fn holder() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

fn place(namespace: &str) -> String {
    format!("ConfigMap {namespace}/{CONFIG_MAP}")
}
