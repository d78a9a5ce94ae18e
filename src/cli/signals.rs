//! What ends a run before its time: Ctrl-C, the SIGTERM that Kubernetes sends at a Job's deadline, and the run's own
//! deadline (`--timeout`). Whatever a command waits for, it waits for with [`Interrupt::or`].

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use brimful_types::{Error, ErrorKind, Result};

/// For so long after a stop a change that is under way may still be answered.
pub(crate) const LAST_ANSWER: Duration = Duration::from_millis(600);
/// By then the state has to be given back.
pub(crate) const GIVE_BACK: Duration = Duration::from_millis(1600);
/// By then a command is over, or is left alone.
const END: Duration = Duration::from_millis(1800);

/// What can be said of a run that is ended before its time, if it changes anything: whatever was changed before is added
/// where it is known.
const NO_MORE: &str = "nothing more was changed";
/// What can be said of a run that only reads.
const NOTHING: &str = "nothing was changed";

/// What a run is waiting for, in case it waits too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Nothing outside.
    Start,
    /// The report, or what AWS says beside it.
    Report,
    /// The Kubernetes API.
    Cluster,
}

/// Why a run has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Asked,
    Late,
}

/// That a run has to end, and since when.
#[derive(Debug, Clone, Copy)]
struct Stop {
    why: Why,
    at: Instant,
}

/// Tells whether a run has to end: the user (or Kubernetes) asks for it, or its time is up. Listens from its making on,
/// also while the report is read by threads that nothing else can interrupt.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    stop: Arc<AtomicBool>,
    stopped: watch::Receiver<Option<Stop>>,
    stage: Arc<AtomicU8>,
    timeout: Duration,
    /// What was left unchanged.
    unchanged: &'static str,
}

impl Interrupt {
    /// Starts to listen, and to count the time. `changes`: whether the command may change anything.
    pub(crate) fn listen(timeout: Duration, changes: bool) -> Result<Self> {
        let failed = |e| Error::unexpected("cannot listen for signals").source(e);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let (sender, stopped) = watch::channel(None);
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        tokio::spawn(async move {
            let why = tokio::select! {
                _ = interrupt.recv() => Why::Asked,
                _ = terminate.recv() => Why::Asked,
                _ = hangup.recv() => Why::Asked,
                () = sleep(timeout) => Why::Late,
            };
            flag.store(true, Ordering::Relaxed);
            // Nobody listens any more: the run is over anyway.
            let _ = sender.send(Some(Stop {
                why,
                at: Instant::now(),
            }));
        });
        let stage = Arc::new(AtomicU8::new(Stage::Start as u8));
        Ok(Self {
            stop,
            stopped,
            stage,
            timeout,
            unchanged: if changes { NO_MORE } else { NOTHING },
        })
    }

    /// The same signals with a deadline of its own: for one run of a process that goes on.
    #[cfg(feature = "cluster")]
    pub(crate) fn within(&self, timeout: Duration) -> Self {
        let (sender, stopped) = watch::channel(None);
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, process) = (Arc::clone(&stop), self.clone());
        tokio::spawn(async move {
            let end = tokio::select! {
                stop = process.stop() => stop,
                () = sleep(timeout) => Stop { why: Why::Late, at: Instant::now() },
                // The run is over.
                () = sender.closed() => return,
            };
            flag.store(true, Ordering::Relaxed);
            let _ = sender.send(Some(end));
        });
        Self {
            stop,
            stopped,
            stage: Arc::new(AtomicU8::new(Stage::Start as u8)),
            timeout,
            unchanged: self.unchanged,
        }
    }

    /// Waits until the process has to end.
    #[cfg(feature = "cluster")]
    pub(crate) async fn stopped(&self) {
        self.stop().await;
    }

    /// Set once the run has to end.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// What is waited for from here on.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Fails once the run has to end.
    pub(crate) fn check(&self) -> Result<()> {
        let stop = *self.stopped.borrow();
        stop.map_or(Ok(()), |stop| Err(self.error(stop)))
    }

    /// That the user (or Kubernetes) has asked to stop, if so.
    pub(crate) fn asked(&self) -> Option<Error> {
        self.check()
            .err()
            .filter(|error| error.kind() == ErrorKind::Interrupted)
    }

    /// Runs `work` until it is done or the run has to end.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            // A run that has to end says so, whatever it ran into on the way.
            done = work => if done.is_err() { self.check().and(done) } else { done },
            stop = self.stop() => Err(self.error(stop)),
        }
    }

    /// Runs `work` even if the run has to end, but for no longer than `grace` from then on.
    pub(crate) async fn finish<T>(
        &self,
        grace: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let cut_off = async {
            let stop = self.stop().await;
            sleep_until(stop.at + grace).await;
            stop
        };
        tokio::select! {
            done = work => done,
            stop = cut_off => Err(self.error(stop)),
        }
    }

    /// Waits for the end of a command that may be stuck where nothing can interrupt it.
    pub(crate) async fn outlive<T>(&self, command: impl Future<Output = Result<T>>) -> Result<T> {
        self.finish(END, command).await
    }

    async fn stop(&self) -> Stop {
        let mut stopped = self.stopped.clone();
        match stopped.wait_for(Option::is_some).await.map(|stop| *stop) {
            Ok(Some(stop)) => stop,
            // The listener is gone only when the runtime is.
            _ => std::future::pending().await,
        }
    }

    fn error(&self, stop: Stop) -> Error {
        if stop.why == Why::Asked {
            return Error::new(ErrorKind::Interrupted, "interrupted").source(self.unchanged);
        }
        let (kind, what) = match self.stage.load(Ordering::Relaxed) {
            stage if stage == Stage::Report as u8 => (ErrorKind::Report, " while the report was read"),
            stage if stage == Stage::Cluster as u8 => {
                (ErrorKind::Kubernetes, " while the Kubernetes API was asked")
            }
            _ => (ErrorKind::Unexpected, ""),
        };
        let seconds = self.timeout.as_secs();
        let late = format!("the run's time was up after {seconds} s{what}");
        Error::new(kind, late)
            .source(self.unchanged)
            .hint("-vv shows what it waits for; --timeout (BRIMFUL_TIMEOUT) gives it more time")
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_run_whose_time_is_up_says_what_it_waited_for() {
        for (stage, code) in [(Stage::Start, 1), (Stage::Report, 4), (Stage::Cluster, 7)] {
            let interrupt = Interrupt::listen(Duration::from_secs(1), true).unwrap();
            interrupt.enter(stage);
            assert!(interrupt.check().is_ok());
            let error = interrupt.or(pending::<Result<()>>()).await.unwrap_err();
            assert_eq!(error.kind().exit_code(), code);
            assert!(error.to_string().contains("after 1 s"), "{error}");
            assert!(error.next_step().is_some_and(|hint| hint.contains("--timeout")));
            assert!(interrupt.check().is_err() && interrupt.flag().load(Ordering::Relaxed));
        }
    }

    #[tokio::test]
    async fn what_must_be_finished_gets_its_grace_and_no_more() {
        let time = Duration::from_millis(100);
        let interrupt = Interrupt::listen(time, true).unwrap();
        let began = Instant::now();
        let quick = async {
            sleep(3 * time).await;
            Ok(7)
        };
        assert_eq!(interrupt.finish(GIVE_BACK, quick).await.unwrap(), 7);
        assert!(
            interrupt
                .finish(GIVE_BACK, pending::<Result<()>>())
                .await
                .is_err()
        );
        let took = began.elapsed();
        assert!(
            took >= time + GIVE_BACK && took < time + 2 * GIVE_BACK,
            "{took:?}"
        );
    }
}
