//! ministack, an emulator of some of AWS's services, on loopback.

use std::net::TcpStream;
use std::time::Duration;

use super::supervised::{Supervised, temp_dir};
use super::{command_lines, free_ports};

/// From start to ready it takes 2 s; the rest is for a busy one.
const START: Duration = Duration::from_mins(1);

/// A server of these services (`sts,iam`), and its port; dropping it ends it.
pub(super) fn launch(services: &str) -> Result<(u16, Supervised), String> {
    let dir = temp_dir("ministack")?;
    let [port] = free_ports();
    let number = port.to_string();
    let env = [
        ("BIND_HOST", "127.0.0.1"),
        ("GATEWAY_PORT", number.as_str()),
        ("SERVICES", services),
        ("LOG_LEVEL", "WARNING"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let server = Supervised::start(&dir, &[], &env, vec![("ministack", command_lines::ministack())])?;
    server.wait_for("ministack", START, || {
        TcpStream::connect(("127.0.0.1", port))
            .map(drop)
            .map_err(|error| error.to_string())
    })?;
    Ok((port, server))
}
