//! What is asked again beyond what the SDK does: 429, which S3 itself does not say, but servers like it and proxies do; and
//! `Retry-After`, as far as a run's time allows.

use std::time::Duration;

use aws_config::retry::ErrorKind;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};

/// Says so to the SDK, which waits no longer than its longest pause.
#[derive(Debug)]
pub(super) struct TooBusy;

impl ClassifyRetry for TooBusy {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(response) = context.response() else {
            return RetryAction::NoActionIndicated;
        };
        if !matches!(response.status().as_u16(), 429 | 503) {
            return RetryAction::NoActionIndicated;
        }
        let after = response.headers().get("retry-after");
        match after.and_then(|seconds| seconds.trim().parse().ok()) {
            Some(seconds) => {
                let after = Duration::from_secs(seconds);
                RetryAction::retryable_error_with_explicit_delay(ErrorKind::ThrottlingError, after)
            }
            None => RetryAction::throttling_error(),
        }
    }

    fn name(&self) -> &'static str {
        "a server that is too busy"
    }
}
