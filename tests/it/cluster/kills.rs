//! A run that is killed, or asked to stop, at each of its requests in turn.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::bench::{Bench, PLANNED};
use crate::support::faults::Fault;
use crate::support::run::{Brimful, Ended};

fn signal(run: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &run.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -s {name}");
}

/// Sends the signal while the nth request waits for its answer, for each n; `before` makes ready, `then` looks.
fn at_each_request(
    bench: &Bench,
    name: &str,
    run: impl Fn() -> Brimful,
    before: impl Fn(),
    then: impl Fn(&Ended, &str),
) {
    // Killed after one request's effect is killed before the next one's.
    let faults: &[Fault] = match name {
        "KILL" => &[Fault::SilenceAfter],
        _ => &[Fault::Silence, Fault::SilenceAfter],
    };
    for fault in faults {
        for nth in 0.. {
            before();
            let count = std::sync::atomic::AtomicUsize::new(0);
            let is_nth =
                move |_: &str, _: &str| count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == nth;
            bench.front.break_requests(Box::new(is_nth), *fault);
            let mut child = run().spawn();
            while bench.front.hits() == 0 && child.try_wait().expect("a run's state").is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            if bench.front.hits() == 0 {
                assert!(nth > 6, "only {nth} requests were met");
                drop(Ended::of(child));
                break;
            }
            // So that what the server does on it is done.
            std::thread::sleep(Duration::from_millis(60));
            let began = Instant::now();
            signal(&child, name);
            let ended = Ended::of(child);
            let took = began.elapsed();
            let request = bench.front.seen().get(nth).cloned().unwrap_or_default();
            let context = format!("{name} at request {nth} ({request}), {fault:?}, {took:?}\n{ended:?}");
            bench.front.heal();
            assert!(took < Duration::from_millis(3500), "{context}");
            then(&ended, &context);
        }
    }
}

fn apply_then_next(name: &str, code: Option<i32>) {
    let bench = Bench::new();
    let look = |ended: &Ended, context: &str| {
        assert_eq!(ended.code, code, "{context}");
        assert_eq!(ended.stdout, "", "{context}");
        bench.assert_old_or_planned(context);
        if bench.holder().is_some() {
            // Only a run that was not asked, or whose last word got lost, cannot give it back.
            assert!(
                code.is_none() || ended.stderr.contains("brimful-state"),
                "{context}"
            );
            bench.shorten_the_lease();
        }
        let next = bench.apply().ends_any();
        assert_eq!(next.code, Some(0), "{next:?}\nafter {context}");
        assert_eq!(bench.weights(), PLANNED, "{next:?}\nafter {context}");
        assert_eq!(bench.holder(), None, "{context}");
        assert_eq!(
            bench.changes(),
            2,
            "every change is in the history once: {context}"
        );
    };
    at_each_request(&bench, name, || bench.apply(), || bench.restore(), look);
}

fn reset_then_next(name: &str, code: Option<i32>) {
    let bench = Bench::new();
    let ready = || {
        bench.restore();
        drop(bench.apply().ends(0));
    };
    let look = |ended: &Ended, context: &str| {
        assert_eq!(ended.code, code, "{context}");
        bench.assert_old_or_planned(context);
        if bench.holder().is_some() {
            assert!(
                code.is_none() || ended.stderr.contains("brimful-state"),
                "{context}"
            );
            bench.shorten_the_lease();
        }
        let next = bench.run("reset").ends_any();
        assert_eq!(next.code, Some(0), "{next:?}\nafter {context}");
        assert!(bench.is_as_before(), "{next:?}\nafter {context}");
        assert_eq!(bench.state(), None, "{context}");
    };
    at_each_request(&bench, name, || bench.run("reset"), ready, look);
}

#[test]
fn an_apply_that_is_killed_at_any_request_leaves_old_or_new_and_the_next_run_is_right() {
    apply_then_next("KILL", None);
}

#[test]
fn an_apply_that_is_asked_to_stop_at_any_request_gives_the_state_back_within_two_seconds() {
    apply_then_next("TERM", Some(130));
}

#[test]
fn a_reset_that_is_killed_at_any_request_is_finished_by_the_next() {
    reset_then_next("KILL", None);
}

#[test]
fn a_reset_that_is_asked_to_stop_at_any_request_gives_the_state_back() {
    reset_then_next("TERM", Some(130));
}
