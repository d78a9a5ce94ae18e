//! How long a call to the API server is waited for, and which calls are sent again.
//!
//! Reads are sent again, briefly, whatever went wrong on the way. Writes are not: see `written`. The bounds are for one
//! call; the bound of a whole run is the caller's, who drops the call.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// A dead API server must say so in seconds, not minutes.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// A page of hundreds of Nodes may take a while, but not in silence.
pub(super) const SILENCE: Duration = Duration::from_secs(12);
/// One read with all its tries, however slowly its bytes come.
const READ: Duration = Duration::from_secs(30);
/// One try of a write. Short: a lease must outlast it (see `state`).
pub(super) const WRITE: Duration = Duration::from_secs(10);
/// Tries of one read.
const TRIES: usize = 3;
/// The first pause between tries; each further one is four times as long.
const PAUSE: Duration = Duration::from_millis(300);
/// Whatever the server asks for by `Retry-After`, no pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs a call that changes nothing, again after a passing failure.
pub(super) async fn read<T, F>(call: impl Fn() -> F) -> kube::Result<T>
where
    F: Future<Output = kube::Result<T>>,
{
    let until = Instant::now() + READ;
    let mut tried = 0;
    loop {
        let error = match timeout_at(until, call()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => return Err(late(READ)),
        };
        let pause = pause(&error, tried);
        tried += 1;
        if tried == TRIES || !is_passing(&error) || Instant::now() + pause >= until {
            return Err(error);
        }
        sleep(pause).await;
    }
}

/// Runs one try of a call that may change something.
pub(super) async fn write<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    let answer = timeout_at(Instant::now() + WRITE, call).await;
    answer.unwrap_or_else(|_| Err(late(WRITE)))
}

/// How long to wait before a call that failed so is sent again, when it was tried so often before.
pub(super) fn pause(error: &kube::Error, tried: usize) -> Duration {
    let asked = match error {
        kube::Error::Api(status) => status.details.as_ref().map(|details| details.retry_after_seconds),
        _ => None,
    };
    let own = PAUSE * 4_u32.saturating_pow(u32::try_from(tried).unwrap_or(u32::MAX));
    let asked = asked.map_or(Duration::ZERO, |seconds| Duration::from_secs(seconds.into()));
    own.max(asked).min(LONGEST_PAUSE)
}

/// True for a failure that may be over a moment later.
fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 408 | 429 | 500 | 502..=504),
        kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::SerdeError(_) => true,
        _ => false,
    }
}

fn late(after: Duration) -> kube::Error {
    let what = format!("no complete answer within {} s", after.as_secs());
    kube::Error::Service(Box::new(io::Error::new(io::ErrorKind::TimedOut, what)))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::core::response::StatusDetails;

    use super::*;

    fn refused(code: u16, retry_after: u32) -> kube::Error {
        let details = StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: retry_after,
        };
        let status = Status::failure("", "").with_code(code).with_details(details);
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn a_server_that_asks_for_ten_minutes_gets_five_seconds() {
        assert_eq!(pause(&refused(429, 565), 0), Duration::from_secs(5));
        assert_eq!(pause(&refused(429, 2), 0), Duration::from_secs(2));
        assert_eq!(pause(&refused(503, 0), 1), Duration::from_millis(1200));
        assert_eq!(pause(&refused(503, 0), 60), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_read_is_tried_three_times_and_a_refusal_once() {
        for (code, tries) in [(503, 3), (403, 1), (410, 1)] {
            let tried = std::cell::Cell::new(0);
            let read = read(|| {
                tried.set(tried.get() + 1);
                async move { Err::<(), _>(refused(code, 0)) }
            });
            assert!(read.await.is_err());
            assert_eq!(tried.get(), tries, "{code}");
        }
    }
}
