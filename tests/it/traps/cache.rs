//! The ledger cache: what comes out is the same with it and without it, an unchanged month is not scanned again, and
//! what is wrong with an entry is told and put right.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use brimful_types::warning::Warning;
use proptest::prelude::*;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::properties::row;
use crate::support::cur::{Bucket, COMPUTE, File, Layout, Row, Seen, at, read, usd};

fn rows(used: f64) -> Vec<Row> {
    (0..4).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, used)).collect()
}

fn october(used: f64) -> Vec<Row> {
    (-60..0)
        .flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, used))
        .collect()
}

/// What decisions rest on, and how many rows were scanned for it.
fn history(report: &Path, cache: Option<&Path>) -> (Seen, u64) {
    let scanned = AtomicU64::new(0);
    let progress = |done, _| {
        scanned.fetch_max(done, Ordering::Relaxed);
    };
    let reading = read(report).now(at(5));
    let reading = match cache {
        Some(cache) => reading.cache(cache),
        None => reading,
    };
    let seen = reading.history_with(&progress).unwrap();
    (seen, scanned.into_inner())
}

/// All that comes of a report but warnings about the cache.
fn outcome(seen: &Seen) -> String {
    let others = |warning: &&Warning| !warning.code.as_str().starts_with("cache-");
    let warnings: Vec<&Warning> = seen.analysis.warnings.iter().filter(others).collect();
    let mut document: Json = serde_json::from_str(&seen.json()).unwrap();
    document["warnings"].take();
    format!(
        "{document:#}\n{warnings:#?}\n{:#?}\n{:?}",
        seen.analysis.ledger, seen.analysis.doubt
    )
}

/// The entries of whole months.
fn entries(cache: &Path) -> Vec<PathBuf> {
    kept(cache, "ledger")
}

fn kept(cache: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let mut entries: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    entries.sort();
    entries
}

/// A report of two months, and a cache that a run has filled.
fn two_months(layout: Layout) -> (Bucket, TempDir) {
    let bucket = Bucket::new(layout);
    bucket.deliver("2026-10", "1", &[&october(0.5)]);
    bucket.deliver("2026-11", "1", &[&rows(0.2), &[]]);
    let cache = tempfile::tempdir().unwrap();
    history(bucket.path(), Some(cache.path()));
    (bucket, cache)
}

#[test]
fn an_unchanged_report_is_not_scanned_again_and_says_the_same() {
    for layout in Layout::ALL {
        let (bucket, cache) = two_months(layout);
        let (without, scanned) = history(bucket.path(), None);
        assert_eq!(scanned, 128);
        let (with, scanned) = history(bucket.path(), Some(cache.path()));
        assert_eq!(scanned, 0, "{layout:?}");
        assert_eq!(outcome(&with), outcome(&without), "{layout:?}");
        assert_eq!(with.analysis.warnings, without.analysis.warnings);
    }
}

#[test]
fn the_run_that_fills_the_cache_says_what_the_one_without_says() {
    let (bucket, _) = two_months(Layout::Legacy);
    let cache = tempfile::tempdir().unwrap();
    let (filling, scanned) = history(bucket.path(), Some(cache.path()));
    assert_eq!(scanned, 120, "part by part");
    assert_eq!(outcome(&filling), outcome(&history(bucket.path(), None).0));
    assert_eq!(entries(cache.path()).len(), 2);
}

#[test]
fn only_the_month_that_has_changed_is_scanned_again() {
    for layout in Layout::ALL {
        let (bucket, cache) = two_months(layout);
        bucket.deliver("2026-11", "2", &[&rows(0.4)]);
        let (seen, scanned) = history(bucket.path(), Some(cache.path()));
        assert_eq!(scanned, 8, "{layout:?}");
        assert_eq!(seen.hour(COMPUTE, 0).used, usd(0.4));
        assert_eq!(outcome(&seen), outcome(&history(bucket.path(), None).0));
        // Restated late, an old month is read again, too.
        bucket.deliver("2026-10", "2", &[&october(0.75)]);
        let (seen, scanned) = history(bucket.path(), Some(cache.path()));
        assert_eq!((scanned, seen.hour(COMPUTE, -1).used), (120, usd(0.75)));
        assert_eq!(history(bucket.path(), Some(cache.path())).1, 0);
    }
}

#[test]
fn a_file_changed_under_the_same_manifest_is_read_again() {
    let (bucket, cache) = two_months(Layout::Legacy);
    let key = bucket.key("2026-11", "1", 1);
    File::legacy().write(&bucket.join(&key), &rows(0.45));
    let (seen, _) = history(bucket.path(), Some(cache.path()));
    assert_eq!(seen.hour(COMPUTE, 0).used, usd(0.45));
}

fn hours(hours: std::ops::Range<i32>, used: f64) -> Vec<Row> {
    hours.flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, used)).collect()
}

#[test]
fn of_a_changed_month_only_the_changed_files_are_scanned_again() {
    for layout in Layout::ALL {
        let form = match layout {
            Layout::Legacy | Layout::LegacyCreateNew => File::legacy(),
            Layout::Export | Layout::ExportCreateNew => File::cur2(),
        };
        let bucket = Bucket::with(layout, form.clone());
        let files = [0..2, 2..4, 4..5].map(|of| hours(of, 0.2));
        bucket.deliver("2026-11", "1", &files.each_ref().map(Vec::as_slice));
        let cache = tempfile::tempdir().unwrap();
        let compare = |scanned| {
            let (seen, rows) = history(bucket.path(), Some(cache.path()));
            assert_eq!(
                outcome(&seen),
                outcome(&history(bucket.path(), None).0),
                "{layout:?}"
            );
            assert_eq!(rows, scanned, "{layout:?}");
        };
        compare(10);
        compare(0);
        let second = bucket.join(&bucket.key("2026-11", "1", 2));
        for used in [0.4, 0.45] {
            form.write(&second, &hours(2..4, used));
            compare(4);
        }
        // What is kept of the files is damaged: all of them are read.
        let of_files = kept(cache.path(), "files");
        assert_eq!(of_files.len(), 1);
        fs::write(&of_files[0], "damaged").unwrap();
        form.write(&second, &hours(2..4, 0.6));
        let (seen, scanned) = history(bucket.path(), Some(cache.path()));
        assert!(
            seen.warning("cache-rebuilt").is_some() && scanned == 10,
            "{layout:?}"
        );
        form.write(&second, &hours(2..4, 0.65));
        compare(4);
    }
}

#[test]
fn a_report_without_a_manifest_and_a_single_file_are_kept_by_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.parquet");
    for place in [folder.path(), &file] {
        let cache = tempfile::tempdir().unwrap();
        for used in [0.2, 0.45] {
            File::legacy().write(&file, &rows(used));
            for scanned in [8, 0] {
                let (seen, rows) = history(place, Some(cache.path()));
                assert_eq!((seen.hour(COMPUTE, 0).used, rows), (usd(used), scanned));
                assert_eq!(outcome(&seen), outcome(&history(place, None).0));
            }
        }
        assert_eq!(entries(cache.path()).len(), 1, "one takes the other's place");
    }
}

#[test]
fn a_damaged_foreign_or_older_entry_is_told_and_replaced() {
    let (bucket, cache) = two_months(Layout::Export);
    let (_, others) = two_months(Layout::Legacy);
    assert_ne!(
        entries(cache.path())[0].file_name(),
        entries(others.path())[0].file_name()
    );
    let sound: Vec<Vec<u8>> = entries(cache.path())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let expected = outcome(&history(bucket.path(), None).0);
    let mut flipped = sound[1].clone();
    *flipped.last_mut().unwrap() ^= 1;
    let middle = sound[1].len() / 2;
    let line = sound[1].iter().position(|byte| *byte == b'\n').unwrap();
    for (bytes, what) in [
        (Vec::new(), "damaged"),
        (b"PAR1".to_vec(), "damaged"),
        (sound[1][..middle].to_vec(), "damaged"),
        (flipped, "damaged"),
        (
            [b"brimful-ledger 0 0.0.1", &sound[1][line..]].concat(),
            "another version",
        ),
        (fs::read(&entries(others.path())[1]).unwrap(), "another report"),
    ] {
        fs::write(&entries(cache.path())[1], bytes).unwrap();
        let (seen, scanned) = history(bucket.path(), Some(cache.path()));
        let warning = seen.warning("cache-rebuilt").unwrap_or_else(|| panic!("{what}"));
        assert!(warning.message.contains(what), "{what}: {}", warning.message);
        // What is kept of the month's files spares reading them.
        assert_eq!((outcome(&seen), scanned), (expected.clone(), 0));
        assert_eq!(fs::read(&entries(cache.path())[1]).unwrap(), sound[1], "{what}");
    }
    // One month's entry in the place of the other's.
    fs::write(&entries(cache.path())[1], &sound[0]).unwrap();
    let (seen, _) = history(bucket.path(), Some(cache.path()));
    assert_eq!(outcome(&seen), expected);
}

#[test]
fn a_cache_that_cannot_be_used_is_told_and_the_report_is_read() {
    let (bucket, _) = two_months(Layout::Legacy);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let (without, _) = history(bucket.path(), None);
    let (seen, scanned) = history(bucket.path(), Some(&file));
    let warning = seen.warning("cache-unusable").unwrap();
    assert!(warning.message.contains("cannot be read"), "{}", warning.message);
    assert_eq!((outcome(&seen), scanned), (outcome(&without), 120));
    // Nothing is there to be read, and nothing can be written.
    let (seen, scanned) = history(bucket.path(), Some(Path::new("/proc/brimful")));
    let warning = seen.warning("cache-unusable").unwrap();
    assert!(
        warning.message.contains("cannot be written"),
        "{}",
        warning.message
    );
    assert_eq!((outcome(&seen), scanned), (outcome(&without), 120));
}

#[test]
fn the_cache_does_not_grow_with_deliveries_or_years() {
    let bucket = Bucket::new(Layout::Export);
    let cache = tempfile::tempdir().unwrap();
    for (year, hours) in [(2025, -365 * 24), (2026, 0)] {
        for version in ["1", "2", "3"] {
            let rows: Vec<Row> = (0..4)
                .flat_map(|h| Row::hour_of(COMPUTE, hours + h, 1.0, 0.5))
                .collect();
            bucket.deliver(&format!("{year}-11"), version, &[&rows]);
            let reading = read(bucket.path()).now(at(hours + 5)).cache(cache.path());
            let seen = reading.history().unwrap();
            assert_eq!(seen.sum(COMPUTE).used, usd(2.0));
            assert!(seen.warning("cache-rebuilt").is_none());
        }
    }
    assert_eq!(entries(cache.path()).len(), 1);
}

#[test]
fn rows_without_a_time_are_never_kept() {
    let form = File::legacy()
        .renamed("line_item_usage_start_date", "was_start")
        .renamed("start_as_text", "line_item_usage_start_date");
    let times = ["2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", "soon"];
    let rows = rows(0.5)
        .into_iter()
        .zip(times)
        .map(|(row, time)| row.text("start_as_text", time));
    let bucket = Bucket::written(form, rows);
    let cache = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (seen, scanned) = history(bucket.path(), Some(cache.path()));
        assert_eq!((scanned, seen.analysis.ledger.unreadable_rows), (3, 1));
        assert_eq!(outcome(&seen), outcome(&history(bucket.path(), None).0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    // A cache filled at one time serves all later ones, and never falsifies earlier ones: whatever the rows, wherever
    // the window begins and ends, however little of a file a scan can skip.
    #[test]
    fn with_a_cache_and_without_it_any_time_sees_the_same(
        november in proptest::collection::vec(row(), 1..80),
        before in proptest::collection::vec(row(), 0..40),
        times in proptest::collection::vec((0..60i32, 1..50i64), 3),
        row_group in 1..20usize,
    ) {
        let bucket = Bucket::with(Layout::Legacy, File::legacy().row_groups_of(row_group));
        let october: Vec<Row> = before.into_iter().map(|row| row.later(-40)).collect();
        bucket.deliver("2026-10", "1", &[&october]);
        let (first, second) = november.split_at(november.len() / 2);
        bucket.deliver("2026-11", "1", &[first, second]);
        let changing = bucket.join(&bucket.key("2026-11", "1", 2));
        let cache = tempfile::tempdir().unwrap();
        for (step, (now, lookback)) in times.into_iter().enumerate() {
            // From the second time on, one of the two files is another.
            if step > 0 {
                File::legacy().row_groups_of(row_group).write(&changing, &second[step.min(second.len())..]);
            }
            let reading = read(bucket.path()).now(at(now)).lookback(lookback);
            let seen = [reading.clone().cache(cache.path()), reading].map(|reading| reading.history());
            let [with, without] = seen.map(|seen| seen.map(|seen| {
                let mut document: Json = serde_json::from_str(&seen.json()).unwrap();
                document["source"]["bytesRead"].take();
                (document, seen.analysis.ledger, seen.analysis.doubt)
            }).map_err(|error| error.to_string()));
            prop_assert_eq!(with, without);
        }
    }
}
