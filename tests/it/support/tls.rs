//! TLS before a server on loopback, by a certificate authority of the test's own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::tools;

/// A front with TLS; dropping it ends it.
pub(crate) struct Tls {
    endpoint: String,
    dir: tempfile::TempDir,
    front: Child,
}

impl Tls {
    /// A front of the server at `http://127.0.0.1:PORT`.
    pub(crate) fn of(server: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        certify(dir.path());
        let mut front = Command::new(tools::python())
            .args(["-I", "-S"])
            .arg(tools::source("tls_front.py"))
            .args([dir.path().join("server.crt"), dir.path().join("server.key")])
            .arg(server.strip_prefix("http://").expect("plain HTTP"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut port = String::new();
        BufReader::new(front.stdout.take().expect("its output"))
            .read_line(&mut port)
            .expect("a port");
        Self {
            endpoint: format!("https://127.0.0.1:{}", port.trim()),
            dir,
            front,
        }
    }

    /// `https://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The authority's certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        drop(self.front.stdin.take());
        let _ = self.front.wait();
    }
}

/// An authority's certificate, and one by it for 127.0.0.1.
fn certify(dir: &Path) {
    std::fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("a file");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for line in [
        format!("req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=tests -days 2"),
        format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt -days 2".to_owned(),
    ] {
        let made = Command::new("openssl").args(line.split(' ')).current_dir(dir).output();
        let made = made.expect("openssl is installed");
        assert!(made.status.success(), "openssl {line}\n{}", String::from_utf8_lossy(&made.stderr));
    }
}
