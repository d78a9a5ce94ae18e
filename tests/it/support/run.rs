//! Runs of the binary: nothing of the developer's machine gets in, and a surprise shows all that was said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempPath;

use super::hermetic_env;
use super::tools::python;

/// The clock of the fixtures.
pub(crate) const NOW: &str = "2026-11-21T18:00:00Z";

/// A file or folder of `fixtures`.
pub(crate) fn fixture(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(relative)
}

/// A run of the binary, not yet started.
pub(crate) struct Brimful {
    command: Command,
    /// Removed when the run has ended.
    config: Option<TempPath>,
}

impl Brimful {
    /// `brimful COMMAND`, at the fixtures' root.
    pub(crate) fn new(command: &str) -> Self {
        let mut run = Command::new(env!("CARGO_BIN_EXE_brimful"));
        run.env_clear()
            .envs(hermetic_env())
            .envs([
                ("AWS_ACCESS_KEY_ID", "dummy"),
                ("AWS_SECRET_ACCESS_KEY", "dummy"),
                ("AWS_REGION", "us-east-1"),
                // No kubeconfig and no AWS profile of the person who runs the tests.
                ("HOME", "/nonexistent"),
                ("NO_PROXY", "127.0.0.1"),
                // Clusters of tests stand at the fixtures' time.
                ("BRIMFUL_ALLOW_NOW", "1"),
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .arg(command);
        Self {
            command: run,
            config: None,
        }
    }

    /// `plan` on the fixtures' cluster and on the report `cur` (a folder of `fixtures/cur`, or a path).
    pub(crate) fn plan(cur: impl AsRef<OsStr>) -> Self {
        Self::new("plan").on_the_fixtures_cluster().arg("--cur").arg(cur)
    }

    /// On the pools and nodes of the fixtures, at their time.
    pub(crate) fn on_the_fixtures_cluster(self) -> Self {
        self.args([
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--nodes",
            "fixtures/nodes.yaml",
            "--now",
            NOW,
        ])
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// In another folder than the repository's root.
    pub(crate) fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn envs(mut self, env: Vec<(String, String)>) -> Self {
        self.command.envs(env);
        self
    }

    /// With a file on standard input.
    pub(crate) fn reads(mut self, path: impl AsRef<Path>) -> Self {
        let file = std::fs::File::open(path).expect("the file to read");
        self.command.stdin(Stdio::from(file));
        self
    }

    /// With a configuration file of this text.
    pub(crate) fn config(mut self, yaml: &str) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), yaml).expect("the configuration is written");
        self.command.arg("--config").arg(file.path());
        self.config = Some(file.into_temp_path());
        self
    }

    /// Starts it and goes on.
    pub(crate) fn spawn(&mut self) -> Child {
        let piped = self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        piped.spawn().expect("the binary under test starts")
    }

    /// Runs it to its end, which must be by `code`.
    #[track_caller]
    pub(crate) fn ends(mut self, code: i32) -> Ended {
        let ended = Ended::of(self.spawn());
        assert_eq!(ended.code, Some(code), "the exit code is another\n{ended:?}");
        ended
    }

    /// Runs it to its end, whatever that is.
    pub(crate) fn ends_any(mut self) -> Ended {
        Ended::of(self.spawn())
    }

    /// Runs it to an error with `code`; what it says on standard error.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        let ended = self.ends(code);
        assert_eq!(ended.stdout, "", "an error belongs on standard error\n{ended:?}");
        ended.stderr
    }

    /// Runs it with `-o json` to its end by `code`; the document.
    #[track_caller]
    pub(crate) fn json(self, code: i32) -> Value {
        self.args(["-o", "json"]).ends(code).json()
    }
}

/// A run that has ended.
pub(crate) struct Ended {
    /// `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Waits for a run.
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().expect("the output of a run");
        let text = |bytes| String::from_utf8(bytes).expect("output in UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self:?}"))
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "--- exit code {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// The entry of a list of a document whose `key` is `value`.
#[track_caller]
pub(crate) fn entry<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let found = list
        .as_array()
        .and_then(|list| list.iter().find(|one| one[key] == value));
    found.unwrap_or_else(|| panic!("no {key} {value} in {list:#}"))
}

/// Text of a document.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A variant of the legacy fixture; see `tests/tools/derive_report.py`.
pub(crate) struct Derived(tempfile::TempDir);

impl Derived {
    pub(crate) fn report(what: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let script = super::tools::source("derive_report.py");
        let mut run = Command::new(python());
        let run = run
            .arg("-I")
            .arg(script)
            .arg(what)
            .arg(fixture("cur/legacy"))
            .arg(dir.path());
        let ended = Ended::of(
            run.stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("python starts"),
        );
        assert_eq!(ended.code, Some(0), "derive_report.py {what}\n{ended:?}");
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
