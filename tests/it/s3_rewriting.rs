//! A report on S3 that is rewritten while it is read, in all the ways in which AWS does it: what comes out is one
//! version, whole, or nothing. Every row of a version tells which it is of.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::cur::at;
use crate::support::rewriter::{HOURS, Rewriter, Way};
use crate::support::run::{Brimful, Ended};
use crate::support::s3::S3;

/// Rewrites of each way in a short run.
const REWRITES: u64 = 8;
/// Readers of each report in a long run.
const READERS: u64 = 2;

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Version(u64),
    Frozen,
}

/// Which command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Utilization,
    Plan,
}

/// Reads a report; also how often it was read again.
fn read(by: By, bucket: &str, cache: Option<&str>) -> (Outcome, u64) {
    let now = brimful_types::hour::rfc3339(at(HOURS + 1));
    let mut run = match by {
        By::Utilization => Brimful::new("utilization"),
        By::Plan => Brimful::new("plan").args(["--nodepools", "fixtures/nodepools.yaml"]),
    };
    run = run.args(["-o", "json", "--now", &now, "--cur", &format!("s3://{bucket}")]);
    if let Some(cache) = cache {
        run = run.args(["--cache", cache]);
    }
    let ended = Ended::of(run.envs(S3::shared().env()).spawn());
    let again = ended.stderr.matches("reading the report again").count() as u64;
    let outcome = match (by, ended.code) {
        (By::Utilization, Some(0)) => Outcome::Version(hours(&ended.json())),
        (By::Utilization, Some(4)) if ended.stderr.contains("keeps changing") => Outcome::Frozen,
        (By::Plan, Some(0)) => Outcome::Version(observed(&ended.json())),
        (By::Plan, Some(5)) => {
            let document = ended.json();
            assert_eq!(document["changes"], json!([]), "{ended:?}");
            let warnings = document["warnings"].to_string();
            assert!(warnings.contains("keeps changing"), "{ended:?}");
            Outcome::Frozen
        }
        _ => panic!("{ended:?}"),
    };
    (outcome, again)
}

fn dollars(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The version of all hours: of the fees and of the covered usage.
fn hours(document: &Value) -> u64 {
    let hours = document["plans"][0]["hours"].as_array().expect("hours");
    assert_eq!(
        hours.len(),
        usize::try_from(HOURS).expect("positive"),
        "{document:#}"
    );
    let figures = hours
        .iter()
        .flat_map(|hour| [dollars(&hour["used"]), dollars(&hour["covered"])]);
    Rewriter::version_of(&figures.collect::<Vec<f64>>())
}

fn observed(document: &Value) -> u64 {
    Rewriter::version_of(&[dollars(&document["plans"][0]["observed"]["used"])])
}

#[test]
fn a_rewrite_that_stands_still_at_any_step_gives_the_old_version_the_new_one_or_none() {
    let stands_still = |way: Way, steps: usize| {
        let rewriter = Rewriter::new(way, &format!("still-{}-{steps}", way.name));
        for version in [1, 2, 3] {
            let writes = rewriter.delivery(version);
            let all = writes.len();
            for write in writes.into_iter().take(if version == 3 { steps } else { all }) {
                rewriter.write(write);
            }
            // S3 tells times by the second, and AWS takes hours from one delivery to the next.
            thread::sleep(Duration::from_millis(1100));
        }
        let (outcome, again) = read(By::Utilization, &rewriter.bucket, None);
        let all = rewriter.delivery(3).len();
        let expected = match (steps, outcome) {
            (0, _) => Outcome::Version(2),
            (steps, _) if steps == all => Outcome::Version(3),
            (_, Outcome::Version(version)) => Outcome::Version(version.clamp(2, 3)),
            (_, Outcome::Frozen) => Outcome::Frozen,
        };
        assert_eq!(outcome, expected, "{} after {steps} of {all} writes", way.name);
        assert!(
            outcome != Outcome::Frozen || again == 5,
            "it was tried five times"
        );
        (way, outcome)
    };
    let runs = Way::ALL.into_iter().filter(|way| way.tells_when_it_is_done());
    let outcomes: Vec<(Way, Outcome)> = thread::scope(|scope| {
        let runs = runs.flat_map(|way| {
            let steps = Rewriter::new(way, &format!("steps-{}", way.name))
                .delivery(3)
                .len();
            (0..=steps).map(move |steps| scope.spawn(move || stands_still(way, steps)))
        });
        let runs: Vec<_> = runs.collect();
        runs.into_iter().map(|run| run.join().expect("no mix")).collect()
    });
    for way in Way::ALL.into_iter().filter(|way| way.tells_when_it_is_done()) {
        let frozen = outcomes
            .iter()
            .any(|(of, outcome)| *of == way && *outcome == Outcome::Frozen);
        // Versions in folders of their own are there as a whole or not at all.
        assert_eq!(frozen, !way.name.ends_with("versions"), "{}", way.name);
    }
}

/// What happened to one report.
#[derive(Debug, Default)]
struct Figures {
    /// The newest delivery begun, and the newest completed.
    begun: AtomicU64,
    complete: AtomicU64,
    reads: AtomicU64,
    again: AtomicU64,
    frozen: AtomicU64,
}

impl Figures {
    /// One read, by one command or the other, with a cache or without.
    fn read(&self, number: u64, bucket: &str, cache: &str) {
        let by = if number % 4 == 3 {
            By::Plan
        } else {
            By::Utilization
        };
        let oldest = self.complete.load(Ordering::SeqCst);
        let (outcome, again) = read(by, bucket, (number % 2 == 1).then_some(cache));
        let newest = self.begun.load(Ordering::SeqCst);
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.again.fetch_add(again, Ordering::SeqCst);
        match outcome {
            Outcome::Version(version) => assert!(
                (oldest..=newest).contains(&version),
                "{bucket}: version {version}, where {oldest} was complete before and {newest} begun after"
            ),
            Outcome::Frozen => {
                self.frozen.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// Pauses of a delivery that is not in step with anything.
struct Pauses(u64);

impl Pauses {
    fn below(&mut self, milliseconds: u64) -> Duration {
        // Knuth's generator; the upper bits are good enough.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % milliseconds)
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times).is_zero()
    }

    fn between_writes(&mut self) -> Duration {
        if self.one_in(8) {
            self.below(1200)
        } else {
            self.below(60)
        }
    }

    fn between_deliveries(&mut self, way: Way) -> Duration {
        if !self.one_in(3) {
            return self.below(100);
        }
        if way.needs_rest() {
            Duration::from_secs(6) + self.below(4000)
        } else {
            self.below(2500)
        }
    }
}

/// Rewrites a report until it was done often or long enough, while it is read all the time.
fn rewrite(way: Way, long: Option<Duration>) -> Figures {
    let rewriter = Rewriter::new(way, &format!("rewritten-{}", way.name));
    let cache = tempfile::tempdir().expect("a temporary folder");
    let cache = cache.path().display().to_string();
    let figures = Figures::default();
    let over = AtomicBool::new(false);
    let mut pauses = Pauses(way.name.bytes().map(u64::from).sum());
    let deliver = |version, pauses: &mut Pauses| {
        figures.begun.store(version, Ordering::SeqCst);
        for write in rewriter.delivery(version) {
            rewriter.write(write);
            thread::sleep(pauses.between_writes());
        }
        figures.complete.store(version, Ordering::SeqCst);
    };
    deliver(1, &mut pauses);
    thread::scope(|scope| {
        for reader in 0..if long.is_some() { READERS } else { 1 } {
            let (figures, over, bucket, cache) = (&figures, &over, &rewriter.bucket, &cache);
            scope.spawn(move || {
                for number in reader.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    figures.read(number, bucket, cache);
                }
            });
        }
        let begin = Instant::now();
        for version in 2.. {
            let enough = long.map_or(version > REWRITES, |long| begin.elapsed() > long);
            if enough {
                break;
            }
            thread::sleep(pauses.between_deliveries(way));
            deliver(version, &mut pauses);
        }
        over.store(true, Ordering::SeqCst);
    });
    // Left alone, it is read, and it is the last version.
    let last = figures.complete.load(Ordering::SeqCst);
    for cache in [None, Some(cache.as_str()), Some(cache.as_str())] {
        let (outcome, _) = read(By::Utilization, &rewriter.bucket, cache);
        assert_eq!(outcome, Outcome::Version(last), "{}", way.name);
    }
    figures
}

/// `BRIMFUL_REWRITE_MINUTES` (`make rewrite-long`) makes it longer.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "how long this test should run is no flag of Brimful's"
)]
fn a_report_that_is_rewritten_over_and_over_is_never_read_as_a_mix_of_two_versions() {
    let long = std::env::var("BRIMFUL_REWRITE_MINUTES").ok();
    let long = long.map(|minutes| Duration::from_mins(minutes.parse().expect("whole minutes")));
    let figures = thread::scope(|scope| {
        let runs = Way::ALL.map(|way| scope.spawn(move || (way, rewrite(way, long))));
        runs.map(|run| run.join().expect("no mix"))
    });
    eprintln!(
        "no mix of versions in\n{:<24} rewrites    reads  retries   frozen",
        ""
    );
    for (way, figures) in figures {
        let Figures {
            complete,
            reads,
            again,
            frozen,
            ..
        } = figures;
        let numbers = [complete, reads, again, frozen].map(AtomicU64::into_inner);
        let numbers = numbers.map(|number| format!("{number:>8}")).join(" ");
        eprintln!("{:<24} {numbers}", way.name);
    }
}
