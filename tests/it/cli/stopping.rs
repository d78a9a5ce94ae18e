//! Being stopped, and not being listened to.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

use crate::support::run::{Brimful, Derived, NOW};

/// Sends a signal to a run.
fn signal(run: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &run.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -s {name}");
}

#[test]
fn a_run_that_is_interrupted_ends_with_130_and_prints_no_data() {
    // AWS is rewriting this report, so the run waits.
    let report = Derived::report("status:UPDATING");
    for (name, mut run) in [
        ("INT", Brimful::plan(report.path())),
        ("TERM", Brimful::plan(report.path())),
        (
            "INT",
            Brimful::new("utilization")
                .arg("--cur")
                .arg(report.path())
                .args(["--now", NOW]),
        ),
    ] {
        let mut run = run.spawn();
        let mut said = BufReader::new(run.stderr.take().expect("standard error"));
        let mut line = String::new();
        while !line.contains("reading the report again") {
            line.clear();
            assert!(
                said.read_line(&mut line).expect("text") > 0,
                "it ended before it was interrupted"
            );
        }
        signal(&run, name);
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("text");
        let output = run.wait_with_output().expect("the output of a run");
        assert_eq!(output.status.code(), Some(130), "{name}: {rest}");
        assert!(output.stdout.is_empty(), "{name}");
        assert!(rest.contains("interrupted"), "{name}: {rest}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut run =
        Brimful::new("utilization").args(["--cur", "fixtures/cur/legacy", "--now", NOW, "-o", "csv"]);
    let mut run = run.spawn();
    let mut first = String::new();
    // As `head -1` does: one line, then the pipe is closed.
    BufReader::with_capacity(64, run.stdout.take().expect("standard output"))
        .read_line(&mut first)
        .expect("text");
    assert!(first.starts_with("arn,"), "{first}");
    let output = run.wait_with_output().expect("the output of a run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("error") && !said.contains("panicked"), "{said}");
}
