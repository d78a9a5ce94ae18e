//! The HTTP client by which others are told: webhooks and the Pushgateway. Nothing waits for it for long, and an address
//! that may be a secret is in no message.

use std::fmt::Write as _;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};

/// For one try.
const TRY: Duration = Duration::from_secs(3);
/// For all tries of a request: what a run may be held up by.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// Why a try failed.
struct Failed {
    why: String,
    /// Whether another try may do better.
    passes: bool,
}

/// A client that trusts the system's certificates and heeds `HTTPS_PROXY` and `NO_PROXY`.
///
/// # Errors
/// In words: no certificates, or a proxy that is no address.
pub(crate) fn client() -> Result<Client, String> {
    choose_cryptography();
    let client = Client::builder()
        .timeout(TRY)
        // A redirect would hand on what is meant for one address.
        .redirect(Policy::none())
        .user_agent(concat!("brimful/", env!("CARGO_PKG_VERSION")));
    client.build().map_err(described)
}

/// The same cryptography as of the other clients; with FIPS it is chosen before.
pub(crate) fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever was quicker has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Sends until it is taken, at most three times and ten seconds.
///
/// # Errors
/// Why not, without the address.
pub(crate) async fn send(client: &Client, url: &str, request: &Request) -> Result<(), String> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(300))
        .with_factor(3.0)
        .with_max_times(2);
    let tries = (|| attempt(client, url, request))
        .retry(pauses)
        .when(|failed| failed.passes);
    match tokio::time::timeout(BOUND, tries).await {
        Ok(outcome) => outcome.map_err(|failed| failed.why),
        Err(_) => Err(format!("no answer within {} s", BOUND.as_secs())),
    }
}

async fn attempt(client: &Client, url: &str, request: &Request) -> Result<(), Failed> {
    let sent = client
        .request(request.method.clone(), url)
        .header("content-type", request.content_type)
        .body(request.body.clone());
    let answer = sent.send().await.map_err(|error| Failed {
        passes: !error.is_builder(),
        why: described(error),
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let again = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    // What it says beside that may repeat the address.
    Err(Failed {
        why: refused(status),
        passes: status.is_server_error() || again.contains(&status),
    })
}

fn refused(status: StatusCode) -> String {
    let mut why = format!("it answers {status}");
    if status.is_redirection() {
        why.push_str(": redirects are not followed, give the address that it names");
    } else if status == StatusCode::NOT_FOUND || status == StatusCode::GONE {
        why.push_str(": the address is wrong, or no longer valid");
    }
    why
}

/// The whole chain of causes, without the address.
fn described(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let _ = write!(said, ": {error}");
        cause = error.source();
    }
    said
}
