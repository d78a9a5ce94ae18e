//! Server processes that can't outlive the test process.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::tools;

/// A server to run: its name (the log is `NAME.log`) and its command line.
pub(crate) type Server = (&'static str, Vec<OsString>);

/// Servers that share a folder, under `tests/tools/supervise.py`, which kills them when this process ends
/// (even by a kill: its end of a pipe closes) or when this value is dropped.
#[derive(Debug)]
pub(crate) struct Supervised {
    supervisor: Mutex<Child>,
    dir: PathBuf,
}

impl Supervised {
    /// Starts the servers in `dir`, which is theirs: it is removed with them, as are the files in `litter`.
    pub(crate) fn start(
        dir: &Path,
        litter: &[String],
        env: &[(&str, &str)],
        servers: Vec<Server>,
    ) -> Result<Self, String> {
        let mut command = Command::new(tools::python());
        command
            .args(["-I", "-S"])
            .arg(tools::source("supervise.py"))
            .arg(dir)
            .arg(litter.join(","));
        for (name, line) in servers {
            command.arg("--").arg(name).args(line);
        }
        let supervisor = command
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Out of the test's group: what is sent to that, by Ctrl-C or a time limit, would end it too soon.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", tools::python().display()))?;
        Ok(Self {
            supervisor: Mutex::new(supervisor),
            dir: dir.to_owned(),
        })
    }

    /// Waits until `ready` gives a value; an error says what the servers wrote last.
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut ready: impl FnMut() -> Result<T, String>,
    ) -> Result<T, String> {
        let start = Instant::now();
        loop {
            let pending = match ready() {
                Ok(value) => return Ok(value),
                Err(pending) => pending,
            };
            if !self.is_running() {
                return Err(format!(
                    "{what}: a server ended while it was started\n{}",
                    self.logs()
                ));
            }
            if start.elapsed() > timeout {
                return Err(format!(
                    "{what}: not ready after {timeout:?}: {pending}\n{}",
                    self.logs()
                ));
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// True while all servers run: when one ends, the supervisor does.
    pub(crate) fn is_running(&self) -> bool {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        supervisor.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// The last lines of each server's log.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "log")
            {
                let log = fs::read(entry.path()).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                let lines: Vec<&str> = log.lines().collect();
                let tail = &lines[lines.len().saturating_sub(15)..];
                let _ = writeln!(text, "--- {}\n{}", entry.file_name().display(), tail.join("\n"));
            }
        }
        text
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(supervisor.stdin.take());
        let _ = supervisor.wait();
        // The supervisor leaves the folder when a server failed, for its logs; those have been read by now.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A folder for servers, removed by their supervisor: values in statics are never dropped.
pub(crate) fn temp_dir(name: &str) -> Result<PathBuf, String> {
    let prefix = format!("brimful-{name}-");
    let dir = tempfile::Builder::new().prefix(&prefix).tempdir();
    dir.map(tempfile::TempDir::keep)
        .map_err(|error| format!("cannot make a temporary folder: {error}"))
}

/// Starts a server up to three times: a free port may be taken by someone else before it is bound.
pub(crate) fn start_with_free_ports<T>(start: impl Fn() -> Result<T, String>) -> Result<T, String> {
    let mut attempts = 1;
    loop {
        match start() {
            Err(error) if attempts < 3 && error.contains("address already in use") => attempts += 1,
            result => return result,
        }
    }
}
