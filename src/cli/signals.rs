//! Ctrl-C, and the SIGTERM that Kubernetes sends at a Job's deadline.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::{Error, ErrorKind, Result};

/// Runs `work` until it is done or the user (or Kubernetes) asks to stop.
pub(crate) async fn or_interrupt<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        error = interrupted() => Err(error),
    }
}

/// Waits for a request to stop.
pub(crate) async fn interrupted() -> Error {
    let listen = |kind| signal(kind);
    let (mut terminate, mut hangup) = match (listen(SignalKind::terminate()), listen(SignalKind::hangup())) {
        (Ok(terminate), Ok(hangup)) => (terminate, hangup),
        (Err(error), _) | (_, Err(error)) => {
            return Error::unexpected("cannot listen for signals").source(error);
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {},
        _ = terminate.recv() => {},
        _ = hangup.recv() => {},
    }
    Error::new(ErrorKind::Interrupted, "interrupted: nothing more was changed")
}
