//! Deliveries: which files are the report, while AWS rewrites them and long after.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use brimful_types::ErrorKind;

use crate::support::cur::{Bucket, COMPUTE, File, Layout, Row, at, message, read, usd};

fn rows(used: f64) -> Vec<Row> {
    (0..4).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, used)).collect()
}

#[test]
fn every_layout_is_read_and_so_is_every_folder_on_the_way_to_it() {
    for layout in Layout::ALL {
        let bucket = Bucket::new(layout);
        bucket.deliver("2026-11", "1", &[&rows(0.5)]);
        for folder in ["", "billing", "billing/acme"] {
            let seen = read(&bucket.join(folder)).utilization();
            assert_eq!(seen.sum(COMPUTE).used, usd(2.0), "{layout:?} from {folder:?}");
            assert_eq!(seen.document.source.billing_periods, ["2026-11"]);
            assert!(seen.warning("no-manifest").is_none());
        }
        let file = bucket.join(&bucket.key("2026-11", "1", 1));
        assert_eq!(
            read(&file).utilization().sum(COMPUTE).used,
            usd(2.0),
            "{layout:?} as one file"
        );
    }
}

// Trap 14
#[test]
fn chunks_without_rows_are_normal() {
    for layout in Layout::ALL {
        let bucket = Bucket::new(layout);
        bucket.deliver("2026-11", "1", &[&rows(0.5), &[], &[]]);
        let seen = read(bucket.path()).utilization();
        assert_eq!(seen.sum(COMPUTE).used, usd(2.0), "{layout:?}");
        assert_eq!((seen.document.source.files, seen.document.source.rows), (3, 8));
    }
}

// Trap 14: the columns of a file without rows say nothing.
#[test]
fn a_chunk_without_rows_may_lack_columns() {
    let bucket = Bucket::new(Layout::Legacy);
    let keys = bucket.deliver("2026-11", "1", &[&rows(0.5), &[]]);
    File::legacy()
        .without("savings_plan_used_commitment")
        .write(&bucket.join(&keys[1]), &[]);
    assert_eq!(read(bucket.path()).utilization().sum(COMPUTE).used, usd(2.0));
}

// Trap 14: overwriting leaves the surplus chunks of a larger delivery behind.
#[test]
fn chunks_that_the_manifest_does_not_name_are_left_out() {
    for layout in [Layout::Legacy, Layout::Export] {
        let bucket = Bucket::new(layout);
        bucket.deliver("2026-11", "1", &[&rows(0.2), &rows(0.2)]);
        bucket.deliver("2026-11", "2", &[&rows(0.5)]);
        let seen = read(bucket.path()).utilization();
        assert_eq!(
            (seen.sum(COMPUTE).used, seen.document.source.files),
            (usd(2.0), 1),
            "{layout:?}"
        );
    }
}

#[test]
fn only_the_newest_of_several_kept_versions_is_read() {
    for layout in [Layout::LegacyCreateNew, Layout::ExportCreateNew] {
        let bucket = Bucket::new(layout);
        bucket.deliver("2026-11", "2", &[&rows(0.2), &rows(0.2)]);
        bucket.deliver("2026-11", "3", &[&rows(0.5)]);
        let seen = read(bucket.path()).utilization();
        assert_eq!(
            (seen.sum(COMPUTE).used, seen.document.source.files),
            (usd(2.0), 1),
            "{layout:?}"
        );
    }
}

/// Puts other bytes in place of a data file while it is read, once; then the report must be the new one.
fn rewrite_while_reading(rewrite: &(dyn Fn(&Bucket, &str) + Sync)) {
    let bucket = Bucket::with(Layout::Legacy, File::legacy().row_groups_of(2));
    let keys = bucket.deliver("2026-11", "1", &[&rows(0.2)]);
    let done = AtomicBool::new(false);
    let meddle = |_, _| {
        if !done.swap(true, Ordering::SeqCst) {
            rewrite(&bucket, &keys[0]);
        }
    };
    let seen = read(bucket.path()).threads(1).with(&meddle).unwrap();
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(seen.sum(COMPUTE).used, usd(2.0));
    assert_eq!(seen.analysis.ledger.plans[0].hours.len(), 4);
}

// Trap 15
#[test]
fn a_file_replaced_while_it_is_read_is_read_again() {
    rewrite_while_reading(&|bucket, key| {
        File::legacy().write(&bucket.join("new.tmp"), &rows(0.5));
        fs::rename(bucket.join("new.tmp"), bucket.join(key)).unwrap();
    });
}

// Trap 15: written over in place, the old footer leads into new bytes.
#[test]
fn a_file_overwritten_in_place_while_it_is_read_is_read_again() {
    rewrite_while_reading(&|bucket, key| File::cur2().delta_strings().write(&bucket.join(key), &rows(0.5)));
}

// Trap 15
#[test]
fn a_manifest_replaced_while_its_files_are_read_is_read_again() {
    rewrite_while_reading(&|bucket, _| {
        let other = bucket.key("2026-11", "1", 7);
        File::legacy().write(&bucket.join(&other), &rows(0.5));
        bucket.write_manifest("2026-11", "another", &[other]);
    });
}

// Trap 15: legacy reports for Athena say so while they are rewritten. Reading waits some seconds for the end of it.
#[test]
fn a_report_that_stays_updating_freezes() {
    let bucket = Bucket::of(rows(0.5));
    bucket.write_status("READY");
    assert_eq!(read(bucket.path()).utilization().sum(COMPUTE).used, usd(2.0));
    bucket.write_status("UPDATING");
    thread::scope(|scope| {
        let history = scope.spawn(|| read(bucket.path()).now(at(5)).history().unwrap());
        // Whoever only looks gets an error; a decision freezes.
        let error = read(bucket.path()).try_utilization().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Report);
        assert!(error.to_string().contains("UPDATING"), "{error:#}");
        let history = history.join().unwrap();
        assert!(
            history
                .analysis
                .doubt
                .as_ref()
                .is_some_and(|why| why.contains("UPDATING"))
        );
        assert!(history.warning("report-changing").is_some());
    });
}

// Trap 16
#[test]
fn other_files_in_the_tree_are_not_the_report() {
    let bucket = Bucket::of(rows(0.5));
    bucket.write_status("READY");
    let stranger = File::legacy().bytes(&rows(0.3));
    for (key, bytes) in [
        ("billing/acme/acme/crawler-cfn.yml", b"x: 1".as_slice()),
        ("billing/acme/20261101-20261201/acme-create-table.sql", b"CREATE"),
        (
            "billing/acme/acme/year=2026/month=11/acme-00001.csv.gz",
            b"\x1f\x8b",
        ),
        (
            "billing/acme/acme/year=2026/month=11/acme-00002.csv.metadata",
            b"x",
        ),
        (
            "billing/acme/acme/year=2026/month=11/.acme-00001.snappy.parquet.crc",
            b"crc",
        ),
        (
            "billing/acme/acme/year=2026/month=11/_temporary.parquet",
            &stranger,
        ),
        (
            "billing/acme/acme/year=2026/month=11/acme-00009.snappy.parquet",
            &stranger,
        ),
        ("aws-programmatic-access-test-object", b""),
        ("athena-results/query.parquet", &stranger),
    ] {
        bucket.write_bytes(key, bytes);
    }
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        (seen.sum(COMPUTE).used, seen.document.source.files),
        (usd(2.0), 1)
    );
}

// Trap 17: January, in the spellings of both services and with a leading zero.
#[test]
fn a_month_of_one_digit_is_a_month() {
    const JANUARY: i32 = -304 * 24;
    let january: Vec<Row> = (0..4)
        .flat_map(|h| Row::hour_of(COMPUTE, JANUARY + h, 1.0, 0.5))
        .collect();
    for layout in Layout::ALL {
        let bucket = Bucket::new(layout);
        let keys = bucket.deliver("2026-01", "1", &[&january]);
        assert!(layout != Layout::Legacy || keys[0].contains("/month=1/"));
        let seen = read(bucket.path()).now(at(JANUARY + 9)).utilization();
        assert_eq!(seen.document.source.billing_periods, ["2026-01"], "{layout:?}");
        assert_eq!(seen.sum(COMPUTE).used, usd(2.0));
    }
    let bucket = Bucket::new(Layout::Legacy);
    File::legacy().write(
        &bucket.join("acme/acme/year=2026/month=01/acme-00001.snappy.parquet"),
        &january,
    );
    let seen = read(bucket.path()).now(at(JANUARY + 9)).utilization();
    assert_eq!(seen.document.source.billing_periods, ["2026-01"]);
    assert!(seen.warning("no-manifest").is_some());
}

// Trap 18
#[test]
fn decisions_on_the_first_of_a_month_look_at_both_months() {
    let october: Vec<Row> = (-60..0)
        .flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5))
        .collect();
    for layout in Layout::ALL {
        let bucket = Bucket::new(layout);
        bucket.deliver("2026-10", "1", &[&october]);
        bucket.deliver("2026-11", "1", &[&rows(0.2)]);
        let seen = read(bucket.path()).now(at(5)).history().unwrap();
        assert_eq!(
            seen.document.source.billing_periods,
            ["2026-10", "2026-11"],
            "{layout:?}"
        );
        assert_eq!(seen.sum(COMPUTE).hours, 64);
        assert!(seen.hour(COMPUTE, -21).mature);
        // What is shown without a window is the newest month.
        assert_eq!(read(bucket.path()).now(at(5)).utilization().sum(COMPUTE).hours, 4);
    }
}

// Traps 18 and 32: restated late, by usage that came in or by another sharing preference. Nothing is remembered.
#[test]
fn a_restated_month_is_read_as_it_now_stands() {
    for layout in Layout::ALL {
        let bucket = Bucket::new(layout);
        let october = |used| {
            (-60..0)
                .flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, used))
                .collect::<Vec<_>>()
        };
        bucket.deliver("2026-10", "3", &[&october(0.5)]);
        bucket.deliver("2026-11", "3", &[&rows(0.2)]);
        let first = read(bucket.path()).now(at(5)).history().unwrap();
        bucket.deliver("2026-10", "4", &[&october(0.75)]);
        let second = read(bucket.path()).now(at(5)).history().unwrap();
        let used = [&first, &second].map(|seen| seen.hour(COMPUTE, -1).used);
        assert_eq!(used, [usd(0.5), usd(0.75)], "{layout:?}");
    }
}

// Trap 19
#[test]
fn rows_that_look_the_same_all_count() {
    let covered = || {
        Row::covered(COMPUTE, 0, "USE2-BoxUsage:m5.large")
            .rate(0.1)
            .cost(0.1)
            .text("identity_line_item_id", "same")
    };
    let bucket = Bucket::of([
        Row::fee(COMPUTE, 0).commitment(1.0).used(0.3),
        covered(),
        covered(),
        covered(),
    ]);
    let hour = read(bucket.path()).utilization().hour(COMPUTE, 0);
    assert_eq!((hour.covered, hour.reconciles), (usd(0.3), Some(true)));
}

// Trap 20
#[test]
fn a_csv_report_beside_the_parquet_report_is_left_alone() {
    let bucket = Bucket::of(rows(0.5));
    let csv = serde_json::json!({"contentType": "text/csv", "reportKeys": ["billing/csv/20261101-20261201/x/csv-1.csv.gz"]});
    bucket.write_json("billing/csv/20261101-20261201/csv-Manifest.json", &csv);
    bucket.write_bytes("billing/csv/20261101-20261201/x/csv-1.csv.gz", b"\x1f\x8b");
    assert_eq!(read(bucket.path()).utilization().sum(COMPUTE).used, usd(2.0));
    fs::remove_dir_all(bucket.join("billing/acme")).unwrap();
    let refused = message(read(bucket.path()).try_utilization());
    assert!(refused.contains("billing/csv is delivered as CSV"), "{refused}");
}

// Trap 20: they tell the same costs twice, so they are never added up.
#[test]
fn two_reports_in_one_place_are_refused_by_name() {
    let bucket = Bucket::of(rows(0.5));
    let export = File::cur2().bytes(&rows(0.5));
    bucket.write_bytes(
        "exports/cur2/data/BILLING_PERIOD=2026-11/cur2-00001.snappy.parquet",
        &export,
    );
    let refused = message(read(bucket.path()).try_utilization());
    assert!(refused.contains("billing/acme, exports/cur2"), "{refused}");
    assert_eq!(
        read(&bucket.join("exports/cur2")).utilization().sum(COMPUTE).used,
        usd(2.0)
    );
    // In one folder, only their columns tell them apart.
    let folder = tempfile::tempdir().unwrap();
    File::legacy().write(&folder.path().join("a.parquet"), &rows(0.5));
    fs::write(folder.path().join("b.parquet"), export).unwrap();
    let refused = message(read(folder.path()).try_utilization());
    assert!(
        refused.contains("b.parquet") && refused.contains("legacy CUR and CUR 2.0"),
        "{refused}"
    );
}
