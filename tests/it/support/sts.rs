//! ministack as STS and CUR API, on loopback: an access key of twelve digits is an account's.

use std::sync::OnceLock;
use std::time::Duration;

use super::supervised::{Supervised, start_with_free_ports, temp_dir};
use super::{command_lines, free_ports};

/// From start to ready it takes 2 s; the rest is for a busy one.
const START: Duration = Duration::from_mins(1);

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
        let dir = temp_dir("sts")?;
        let [port] = free_ports();
        let number = port.to_string();
        let env = [
            ("BIND_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", number.as_str()),
            ("SERVICES", "sts,iam,cur"),
            ("LOG_LEVEL", "WARNING"),
            ("NO_PROXY", "127.0.0.1"),
        ];
        let server = Supervised::start(&dir, &[], &env, vec![("ministack", command_lines::ministack())])?;
        server.wait_for("ministack", START, || {
            std::net::TcpStream::connect(("127.0.0.1", port))
                .map(drop)
                .map_err(|error| error.to_string())
        })?;
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
