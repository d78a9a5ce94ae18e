//! The bytes of an object as they come: all of them, in time, or a reason.

use std::fmt;

use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};

use super::short;
use crate::access::Patience;
use brimful_types::Error;

/// Memory taken before the first byte is there: a length is what somebody says.
const AT_FIRST: usize = 64 << 20;

/// Why an object's bytes are not all there.
#[derive(Debug)]
pub(super) struct Broken {
    received: usize,
    why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} bytes", self.why, self.received)
    }
}

impl Broken {
    /// When no more is tried.
    pub(super) fn error(&self, name: &str, expected: usize, tries: u32) -> Error {
        Error::report(format!(
            "{name}: {} of {expected} bytes came: {}, {tries} times",
            self.received, self.why
        ))
        .hint("check the network between here and S3 (HTTPS_PROXY, a VPC endpoint's limits); the next run reads it again")
    }
}

/// Reads exactly `expected` bytes, into one piece of that size: put together at the end, they would be in memory twice.
pub(super) async fn read(
    mut body: ByteStream,
    expected: usize,
    patience: &Patience,
) -> Result<Bytes, Broken> {
    let started = Instant::now();
    let mut bytes = BytesMut::with_capacity(expected.min(AT_FIRST));
    loop {
        let broken = |why: String| Broken {
            received: bytes.len(),
            why,
        };
        let by = patience.next_bytes_by(started, Instant::now(), bytes.len());
        let next = timeout_at(by, body.next()).await;
        match next {
            Err(_) => {
                let seconds = started.elapsed().as_secs_f64();
                return Err(broken(format!("too slow, given up after {seconds:.1} s")));
            }
            Ok(Some(Err(error))) => {
                let why = short(&DisplayErrorContext(&error).to_string());
                return Err(broken(format!("the connection broke ({why})")));
            }
            Ok(Some(Ok(part))) if bytes.len() + part.len() > expected => {
                return Err(broken("more came than was asked for".to_owned()));
            }
            Ok(Some(Ok(part))) => bytes.extend_from_slice(&part),
            Ok(None) if bytes.len() < expected => return Err(broken("it ended there".to_owned())),
            Ok(None) => return Ok(bytes.freeze()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn of(bytes: &'static [u8]) -> ByteStream {
        ByteStream::new(SdkBody::from(bytes))
    }

    fn patience(silence: u64, rate: u32) -> Patience {
        Patience {
            silence: Duration::from_secs(silence),
            rate,
            ..Patience::default()
        }
    }

    #[tokio::test]
    async fn too_few_bytes_and_too_many_are_not_taken_for_the_object() {
        let patience = patience(1, 1000);
        let read = |expected| read(of(b"12345"), expected, &patience);
        assert_eq!(read(5).await.unwrap(), Bytes::from_static(b"12345"));
        assert_eq!(
            read(6).await.unwrap_err().to_string(),
            "it ended there after 5 bytes"
        );
        assert!(
            read(4)
                .await
                .unwrap_err()
                .to_string()
                .starts_with("more came than was asked for")
        );
    }

    #[test]
    fn a_body_must_go_on_and_bring_what_the_rate_asks_for() {
        let patience = patience(20, 1000);
        let started = Instant::now();
        let left = |after: u64, received| {
            let now = started + Duration::from_secs(after);
            patience
                .next_bytes_by(started, now, received)
                .saturating_duration_since(now)
        };
        assert_eq!(left(0, 0), Duration::from_secs(20));
        // What came quickly is no leave to stand still.
        assert_eq!(left(1, 1_000_000), Duration::from_secs(20));
        // At 20 bytes a second it is behind; a slow line is not.
        assert_eq!(left(21, 20 * 21), Duration::ZERO);
        assert_eq!(left(21, 5_000), Duration::from_secs(4));
    }
}
