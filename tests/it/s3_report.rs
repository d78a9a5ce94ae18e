//! The report on a real S3 server: found wherever one points, read in parts, refused clearly, and never read half old
//! and half new.

use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::contract::{PLAN, check};
use crate::support::run::{Brimful, Derived, Ended, NOW, entry, fixture, text};
use crate::support::s3::{Identity, S3};

/// A bucket of the test's own with a fixture in it.
fn bucket(report: &str) -> String {
    let bucket = empty_bucket();
    S3::shared().put_dir(&fixture(report), &bucket, "");
    bucket
}

fn empty_bucket() -> String {
    static BUCKETS: AtomicU32 = AtomicU32::new(0);
    let bucket = format!("report-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
    S3::shared().create_bucket(&bucket);
    bucket
}

/// `plan` on the fixtures' cluster, as whoever may read only.
fn plan(uri: &str) -> Brimful {
    Brimful::plan(uri).envs(S3::shared().env())
}

fn utilization(uri: &str) -> Brimful {
    Brimful::new("utilization")
        .args(["--now", NOW, "--cur", uri])
        .envs(S3::shared().env())
}

/// A document without what tells where the report lay.
fn content(mut document: Value, uri: &str) -> Value {
    let said = std::mem::take(&mut document["source"]["uri"]);
    assert_eq!(said, uri);
    document["source"]["bytesRead"].take();
    document
}

const DATA: &str = "billing/acme-hourly/acme-hourly/year=2026/month=11/acme-hourly-0000";
const EXPORT: &str = "exports/acme-cur2/data/BILLING_PERIOD=2026-11/20261121T121011Z-0dc70d69-854e-faa1-13e6-80ecd1229ff9/acme-cur2-00001.snappy.parquet";

#[test]
fn a_report_on_s3_says_what_the_same_report_in_a_directory_says() {
    for report in ["cur/legacy", "cur/cur2"] {
        let uri = format!("s3://{}", bucket(report));
        let local = format!("fixtures/{report}");
        assert_eq!(
            content(plan(&uri).json(0), &uri),
            content(Brimful::plan(&local).json(0), &local),
            "{report}"
        );
        let run = Brimful::new("utilization").args(["--now", NOW, "--cur", &local]);
        assert_eq!(
            content(utilization(&uri).json(0), &uri),
            content(run.json(0), &local),
            "{report}"
        );
    }
}

#[test]
fn the_buckets_root_the_prefix_and_the_reports_own_folder_all_serve() {
    for (report, folders) in [
        (
            "cur/legacy",
            [
                "",
                "/",
                "/billing",
                "/billing/",
                "/billing/acme-hourly",
                "/billing/acme-hourly/",
            ],
        ),
        (
            "cur/cur2",
            [
                "",
                "/",
                "/exports",
                "/exports/",
                "/exports/acme-cur2",
                "/exports/acme-cur2/",
            ],
        ),
    ] {
        let bucket = bucket(report);
        let [first, others @ ..] = folders.map(|folder| plan(&format!("s3://{bucket}{folder}")).json(0));
        for other in others {
            let uri = other["source"]["uri"].clone();
            for section in ["plans", "groups", "nodePools", "changes", "warnings"] {
                assert_eq!(other[section], first[section], "{uri}: {section}");
            }
        }
    }
}

#[test]
fn a_report_below_another_prefix_than_its_manifest_says_is_found() {
    // As after a replication into a bucket of one's own.
    let copy = empty_bucket();
    S3::shared().put_dir(&fixture("cur/cur2/exports"), &copy, "copied/from/payer");
    let local = Brimful::plan("fixtures/cur/cur2").json(0);
    for folder in ["", "/copied", "/copied/from/payer/acme-cur2"] {
        let there = plan(&format!("s3://{copy}{folder}")).json(0);
        assert_eq!(
            (&there["plans"], &there["changes"]),
            (&local["plans"], &local["changes"]),
            "{folder}"
        );
    }
}

#[test]
fn only_the_needed_parts_of_the_files_are_fetched() {
    // Most of these files is a column that nobody asks for.
    let wide = Derived::report("wide");
    let sizes = [1, 2].map(|number| {
        let file = wide.path().join(format!("{DATA}{number}.snappy.parquet"));
        std::fs::metadata(file).expect("a file").len()
    });
    let bucket = empty_bucket();
    S3::shared().put_dir(wide.path(), &bucket, "");
    let document = utilization(&format!("s3://{bucket}")).json(0);
    let (read, all) = (
        document["source"]["bytesRead"].as_u64().expect("bytes"),
        sizes.iter().sum::<u64>(),
    );
    assert!(read > 0 && read < all / 4, "{read} of {all} bytes");
    assert_eq!(
        document["plans"],
        Brimful::new("utilization")
            .args(["--now", NOW, "--cur", "fixtures/cur/legacy"])
            .json(0)["plans"]
    );
}

#[test]
fn what_is_not_there_ends_with_4_and_is_named() {
    let bucket = bucket("cur/legacy");
    for (uri, parts) in [
        (
            "s3://no-such-bucket-anywhere".to_owned(),
            vec!["there is no bucket no-such-bucket-anywhere"],
        ),
        (
            "s3://My_Bucket".to_owned(),
            vec!["My_Bucket is no valid bucket name", "lowercase letters"],
        ),
        (
            format!("s3://{bucket}/wrong"),
            vec!["nothing lies below", "wrong", "check the prefix"],
        ),
        (format!("s3://{}", empty_bucket()), vec!["nothing lies below"]),
    ] {
        for run in [plan(&uri), utilization(&uri)] {
            let error = run.fails(4);
            for part in &parts {
                assert!(error.contains(part), "{part} is not in\n{error}");
            }
        }
    }
    S3::shared().delete(&bucket, &format!("{DATA}2.snappy.parquet"));
    let error = plan(&format!("s3://{bucket}")).fails(4);
    assert!(
        error.contains("names a missing file") && error.contains("acme-hourly-00002"),
        "{error}"
    );
    S3::shared().put(&bucket, &format!("{DATA}2.snappy.parquet"), "cut off");
    let error = plan(&format!("s3://{bucket}")).fails(4);
    assert!(
        error.contains(&format!("s3://{bucket}/{DATA}2.snappy.parquet")),
        "{error}"
    );
}

#[test]
fn what_aws_refuses_ends_with_6_and_says_what_to_do() {
    let uri = format!("s3://{}", bucket("cur/legacy"));
    for run in [plan(&uri), utilization(&uri)] {
        let denied = run.envs(S3::shared().env_as(Identity::Stranger)).fails(6);
        assert!(
            denied.contains("access denied to bucket") && denied.contains("s3:ListBucket"),
            "{denied}"
        );
    }
    let unknown = plan(&uri).env("AWS_ACCESS_KEY_ID", "NOBODY").fails(6);
    assert!(unknown.contains("does not accept the credentials"), "{unknown}");
    let wrong = plan(&uri).env("AWS_SECRET_ACCESS_KEY", "guessed").fails(6);
    assert!(wrong.contains("does not accept the credentials"), "{wrong}");
    let none = plan(&uri)
        .env("AWS_ACCESS_KEY_ID", "")
        .env("AWS_SECRET_ACCESS_KEY", "")
        .fails(6);
    assert!(
        none.contains("no AWS credentials were found") && none.contains("AWS_PROFILE"),
        "{none}"
    );
}

#[test]
fn a_file_that_is_newer_than_its_exports_manifest_is_waited_for_and_then_freezes() {
    let bucket = bucket("cur/cur2");
    let uri = format!("s3://{bucket}");
    let file = std::fs::read(fixture("cur/cur2").join(EXPORT)).expect("the fixture");
    // S3 tells times by the second.
    std::thread::sleep(Duration::from_millis(1100));
    S3::shared().put(&bucket, EXPORT, file);
    let (mut frozen, mut shown) = (plan(&uri).args(["-o", "json"]), utilization(&uri));
    let [frozen, shown] = [frozen.spawn(), shown.spawn()].map(Ended::of);
    assert_eq!(frozen.code, Some(5), "{frozen:?}");
    let document = frozen.json();
    check(&PLAN, &document);
    assert_eq!(
        (&document["changes"], &document["source"]["horizon"]),
        (&json!([]), &Value::Null)
    );
    let pool = entry(&document["nodePools"], "name", "memory-committed");
    assert_eq!(pool["decision"], "freeze");
    for part in [
        "keeps changing",
        "newer than its manifest",
        "acme-cur2-00001.snappy.parquet",
    ] {
        assert!(text(&pool["reason"]).contains(part), "{part}: {pool:#}");
    }
    assert_eq!(shown.code, Some(4), "{shown:?}");
    assert!(shown.stderr.contains("keeps changing"), "{shown:?}");
    // The manifest comes last: with it the refresh is complete.
    S3::shared().put_dir(
        &fixture("cur/cur2/exports/acme-cur2/metadata"),
        &bucket,
        "exports/acme-cur2/metadata",
    );
    plan(&uri).json(0);
}

#[test]
fn a_file_that_is_rewritten_over_and_over_is_read_in_one_piece_or_not_at_all() {
    // Two deliveries of one file. Half of one and half of the other would be told by the figures.
    let key = format!("{DATA}1.snappy.parquet");
    let full = Derived::report("full");
    let bodies = [fixture("cur/legacy"), full.path().to_owned()].map(|dir| dir.join(&key));
    let whole = bodies.clone().map(|file| {
        let run = Brimful::new("utilization")
            .arg("--cur")
            .arg(file)
            .args(["--now", NOW]);
        run.json(0)["plans"].clone()
    });
    assert_ne!(whole[0], whole[1]);
    let bodies = bodies.map(|file| std::fs::read(file).expect("a file"));
    let bucket = empty_bucket();
    let deliver = |body: &Vec<u8>| drop(S3::shared().put(&bucket, &key, body.clone()));
    deliver(&bodies[0]);
    let over = AtomicBool::new(false);
    let runs = std::thread::scope(|scope| {
        scope.spawn(|| {
            for body in bodies
                .iter()
                .cycle()
                .take_while(|_| !over.load(Ordering::Relaxed))
            {
                deliver(body);
                // Now and then there is time enough to read it.
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        let uri = format!("s3://{bucket}");
        let runs = [1, 2, 3]
            .map(|_| utilization(&uri).args(["-o", "json"]).spawn())
            .map(Ended::of);
        over.store(true, Ordering::Relaxed);
        runs
    });
    for run in runs {
        match run.code {
            Some(0) => assert!(whole.contains(&run.json()["plans"]), "half of each: {run:?}"),
            Some(4) => assert!(run.stderr.contains("keeps changing"), "{run:?}"),
            _ => panic!("{run:?}"),
        }
    }
}

#[test]
fn a_file_that_is_rewritten_within_a_run_is_read_again_from_the_start() {
    // The run waits for a refresh; by the time it looks again, the refresh is complete.
    let bucket = bucket("cur/legacy");
    let status =
        "billing/acme-hourly/acme-hourly/cost_and_usage_data_status/cost_and_usage_data_status.parquet";
    let updating = Derived::report("status:UPDATING");
    S3::shared().put(
        &bucket,
        status,
        std::fs::read(updating.path().join(status)).expect("a file"),
    );
    let mut run = plan(&format!("s3://{bucket}")).args(["-o", "json"]).spawn();
    let mut said = BufReader::new(run.stderr.take().expect("standard error"));
    let mut line = String::new();
    while !line.contains("reading the report again") {
        line.clear();
        assert!(
            said.read_line(&mut line).expect("text") > 0,
            "it ended before the refresh was complete"
        );
    }
    S3::shared().put_dir(Derived::report("full").path(), &bucket, "");
    let ended = Ended::of(run);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let group = entry(&ended.json()["groups"], "id", "ec2Instance/r6i/us-east-2").clone();
    // Half of it by the report that was there first.
    let demand = group["demand"].as_f64().expect("a number");
    assert!(
        (demand - 0.65).abs() < 0.001,
        "what it tells is the refreshed report: {group}"
    );
}
