//! ministack as STS and CUR API, on loopback: an access key of twelve digits is an account's.

use std::sync::OnceLock;

use super::ministack;
use super::supervised::{Supervised, start_with_free_ports};

/// A running STS; dropping it ends it.
pub(crate) struct Sts {
    endpoint: String,
    _server: Supervised,
}

impl Sts {
    /// The server that all tests of this process share, started at the first call.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<Sts, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| start_with_free_ports(Self::launch));
        shared.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    fn launch() -> Result<Self, String> {
        let (port, server) = ministack::launch("sts,iam,cur")?;
        Ok(Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            _server: server,
        })
    }

    /// Where it is reached; it is the CUR API, too.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The variable that makes the SDK ask this server.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        vec![("AWS_ENDPOINT_URL_STS".to_owned(), self.endpoint.clone())]
    }
}
