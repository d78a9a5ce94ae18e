//! Every request of an `apply` meets every fault: no pool is left half-way, the truth is told in time, and the next run
//! is right. The table of `docs/reliability.md`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::{Bench, PLANNED};
use crate::support::faults::Fault;
use crate::support::run::Ended;

/// A request of `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Look,
    Take,
    Schema,
    NodeClaims,
    NodePools,
    Nodes,
    Patch,
    Release,
    Event,
}

impl Ask {
    const ALL: [Self; 9] = [
        Self::Look,
        Self::Take,
        Self::Schema,
        Self::NodeClaims,
        Self::NodePools,
        Self::Nodes,
        Self::Patch,
        Self::Release,
        Self::Event,
    ];

    fn is(self, line: &str, body: &str) -> bool {
        let (verb, path) = line.split_once(' ').unwrap_or_default();
        let is = |which: &str, part: &str| verb == which && path.contains(part);
        let frees = body.contains(r#""brimful.dev/holder":null"#);
        match self {
            Self::Look => is("GET", "/configmaps/"),
            Self::Take => (is("POST", "/configmaps") || is("PATCH", "/configmaps/")) && !frees,
            Self::Schema => is("GET", "/openapi/"),
            Self::NodeClaims => is("GET", "/nodeclaims"),
            Self::NodePools => is("GET", "/nodepools?"),
            Self::Nodes => is("GET", "/api/v1/nodes"),
            Self::Patch => is("PATCH", "/nodepools/"),
            Self::Release => is("PATCH", "/configmaps/") && frees,
            Self::Event => is("POST", "/events"),
        }
    }

    /// How a run ends whose requests of this kind all meet a fault, with so little time that nothing slow is outlived.
    fn exit(self, fault: Fault) -> i32 {
        let outlived = match self {
            // Told by nobody, the schema holds nobody back; and an Event is worth no failure.
            Self::Schema => !fault.is_slow() && fault != Fault::TooMany,
            Self::Event => true,
            // What was done is seen when it is read back.
            Self::Take | Self::Patch | Self::Release => fault.has_effect() && !fault.is_slow(),
            _ => false,
        };
        if outlived { 0 } else { 7 }
    }
}

/// Time for a run: short where nothing but its end helps, for the sake of the tests.
fn time_for(fault: Fault) -> Duration {
    let is_long = fault.is_slow() || fault == Fault::TooMany;
    Duration::from_secs(if is_long { 4 } else { 20 })
}

fn table(faults: &[Fault]) {
    let bench = Bench::new();
    for fault in faults {
        for ask in Ask::ALL {
            one(&bench, ask, *fault);
        }
    }
}

#[track_caller]
fn one(bench: &Bench, ask: Ask, fault: Fault) {
    let time = time_for(fault);
    // A busy machine may need all of a short time to come to the request.
    if !tried(bench, ask, fault, time) {
        assert!(
            tried(bench, ask, fault, time * 4),
            "{fault:?} at {ask:?} was not met"
        );
    }
}

/// One run with a fault; false if it ended before it came to it.
#[track_caller]
fn tried(bench: &Bench, ask: Ask, fault: Fault, time: Duration) -> bool {
    bench.restore();
    if ask == Ask::Look {
        // One that is not there is told by the status line alone.
        bench.leave_a_state();
    }
    let before = bench.weights();
    bench
        .front
        .break_requests(Box::new(move |line, body| ask.is(line, body)), fault);
    let began = Instant::now();
    let timeout = format!("{}s", time.as_secs());
    let ended = bench
        .apply()
        .args(["-o", "json", "--timeout", &timeout])
        .ends_any();
    let (took, hits, seen) = (began.elapsed(), bench.front.hits(), bench.front.seen());
    bench.front.heal();
    let has_patched = seen.iter().any(|line| Ask::Patch.is(line, ""));
    // The state is given back by a run whose time was up before it came to patch, too.
    if hits == 0 || (ask == Ask::Release && !has_patched) {
        return false;
    }
    let context = format!("{fault:?} at {ask:?}, {hits} times in {took:?}\n{seen:#?}\n{ended:?}");
    // Two seconds of grace, and some for a busy machine.
    assert!(took < time + Duration::from_secs(5), "{context}");
    assert_eq!(ended.code, Some(ask.exit(fault)), "{context}");
    told(&ended, &context);
    let after = bench.weights();
    match ask {
        Ask::Patch => bench.assert_old_or_planned(&context),
        Ask::Release | Ask::Event => assert_eq!(after, PLANNED, "{context}"),
        _ if ended.code == Some(0) => assert_eq!(after, PLANNED, "{context}"),
        _ => assert_eq!(after, before, "{context}"),
    }
    if ended.code == Some(0) {
        let patched = ended.json()["applied"].as_array().map_or(0, |applied| {
            applied.iter().filter(|one| one["result"] == "patched").count()
        });
        assert_eq!(patched, 2, "{context}");
        assert_eq!(bench.changes(), 2, "both stand in the history: {context}");
    }
    let holder = bench.holder();
    if ask == Ask::Release && !fault.has_effect() {
        assert!(
            holder.is_some() && ended.stderr.contains("brimful-state"),
            "{context}"
        );
        bench.shorten_the_lease();
    } else {
        assert_eq!(holder, None, "the state is free: {context}");
    }
    let next = bench.apply().ends_any();
    assert_eq!(next.code, Some(0), "the next run: {next:?}\nafter {context}");
    assert_eq!(
        bench.weights(),
        PLANNED,
        "the next run: {next:?}\nafter {context}"
    );
    assert_eq!(bench.changes(), 2, "both changes are told once: {context}");
    true
}

/// A run that failed says at what, and what to do.
fn told(ended: &Ended, context: &str) {
    if ended.code == Some(7) {
        let applied: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        let refused = applied["applied"].as_array().is_some_and(|applied| {
            applied
                .iter()
                .any(|one| one["result"] != "patched" && one["message"] != json!(""))
        });
        assert!(ended.stderr.contains('→') || refused, "{context}");
    }
}

#[test]
fn an_answer_that_does_not_come_or_hardly_moves_ends_with_the_runs_time() {
    table(&[Fault::Silence, Fault::SilenceAfter]);
}

#[test]
fn an_answer_that_trickles_ends_with_the_runs_time() {
    table(&[Fault::SlowHeaders, Fault::TrickleAfter]);
}

#[test]
fn connections_and_answers_that_break_are_read_again_or_read_back() {
    table(&[
        Fault::CutAfter,
        Fault::Reset,
        Fault::TimeoutAfter,
        Fault::TruncatedAfter,
    ]);
}

#[test]
fn a_server_that_is_busy_or_not_there_is_tried_again_and_told() {
    table(&[Fault::TooMany, Fault::Failed, Fault::Unavailable, Fault::Redirect]);
}

#[test]
fn the_table_has_every_fault() {
    assert_eq!(Fault::ALL.len(), 2 + 2 + 4 + 4);
}
