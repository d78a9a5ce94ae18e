//! How long AWS is waited for: in one place for all of its APIs.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use tokio::time::Instant;

/// The first pause between two tries; each further one is up to twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How long AWS is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the beginning of an answer, and for the next bytes of an object.
    pub silence: Duration,
    /// For one try of a call, credentials included. Of an object, only the beginning of the answer counts.
    pub attempt: Duration,
    /// For a call with all of its tries.
    pub call: Duration,
    /// For credentials, whoever gives them. Shorter than a try, so that what was missing is reported.
    pub credentials: Duration,
    /// For a listing, however many calls it takes.
    pub listing: Duration,
    /// The longest pause between two tries.
    pub pause: Duration,
    /// How often an object whose bytes stop coming is asked for, in all.
    pub tries: u32,
    /// Bytes a second that an object must bring on the whole, some first seconds (`silence`) apart.
    pub rate: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            attempt: Duration::from_secs(30),
            call: Duration::from_mins(1),
            credentials: Duration::from_secs(25),
            listing: Duration::from_mins(2),
            pause: Duration::from_secs(5),
            tries: 3,
            rate: 64 << 10,
        }
    }
}

impl Patience {
    /// The bounds in the SDK's words.
    pub(crate) fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .read_timeout(self.silence)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.call)
            .build()
    }

    /// The settings with these bounds. How often the SDK tries stays what its own variables say.
    pub(crate) fn bound(&self, config: SdkConfig) -> SdkConfig {
        let retries = config
            .retry_config()
            .cloned()
            .unwrap_or_else(RetryConfig::standard);
        let retries = retries
            .with_initial_backoff(FIRST_PAUSE.min(self.pause))
            .with_max_backoff(self.pause);
        let bounded = config.into_builder().timeout_config(self.timeouts());
        bounded.retry_config(retries).build()
    }

    /// The pause after a try of that number, from 1 on.
    pub(crate) fn pause_after(&self, tried: u32) -> Duration {
        (FIRST_PAUSE * 2_u32.saturating_pow(tried - 1)).min(self.pause)
    }

    /// Until when the next bytes of an object must be there, of which `received` came since `started`. The SDK's own
    /// guard asks for one byte a second: 20 a second would pass, and take a day for a footer.
    pub(crate) fn next_bytes_by(&self, started: Instant, now: Instant, received: usize) -> Instant {
        let allowed = received as u64 * 1000 / u64::from(self.rate.max(1));
        let by_rate = started + self.silence + Duration::from_millis(allowed);
        by_rate.min(now + self.silence)
    }
}
