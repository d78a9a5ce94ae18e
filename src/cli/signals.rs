//! Ctrl-C, and the SIGTERM that Kubernetes sends at a Job's deadline.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use brimful_types::{Error, ErrorKind, Result};

/// Tells whether the user (or Kubernetes) has asked to stop. Listens from its making on, also while the report is
/// read by threads that nothing else can interrupt.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    stop: Arc<AtomicBool>,
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Starts to listen.
    pub(crate) fn listen() -> Result<Self> {
        let failed = |e| Error::unexpected("cannot listen for signals").source(e);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let (ask, asked) = watch::channel(false);
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {},
                _ = terminate.recv() => {},
                _ = hangup.recv() => {},
            }
            flag.store(true, Ordering::Relaxed);
            // Nobody listens any more: the run is over anyway.
            let _ = ask.send(true);
        });
        Ok(Self { stop, asked })
    }

    /// Set once a stop was asked for.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Runs `work` until it is done or a stop is asked for.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut asked = self.asked.clone();
        tokio::select! {
            done = work => match done {
                // A run that was asked to stop says so, whatever it ran into on the way.
                Err(_) if self.stop.load(Ordering::Relaxed) => Err(interrupted()),
                done => done,
            },
            _ = asked.wait_for(|asked| *asked) => Err(interrupted()),
        }
    }
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted: nothing more was changed")
}
