//! Reports that cannot be read or must not be acted upon.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::contract::{PLAN, UTILIZATION, check};
use crate::support::run::{Brimful, Derived, Ended, NOW, entry, fixture, text};

fn utilization(cur: &Path) -> Brimful {
    Brimful::new("utilization")
        .arg("--cur")
        .arg(cur)
        .args(["--now", NOW])
}

/// A copy of a fixture, to be spoilt.
fn copy(of: &str) -> tempfile::TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("the fixture").flatten() {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                all(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), &to).expect("a copy");
            }
        }
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    all(&fixture(of), dir.path());
    dir
}

const DATA: &str = "billing/acme-hourly/acme-hourly/year=2026/month=11";
const MANIFEST: &str = "billing/acme-hourly/20261101-20261201/acme-hourly-Manifest.json";

/// Both commands end with 4, and the message names these.
#[track_caller]
fn is_unusable(cur: &Path, parts: &[&str]) {
    for (run, command) in [(Brimful::plan(cur), "plan"), (utilization(cur), "utilization")] {
        let error = run.fails(4);
        for part in parts {
            assert!(error.contains(part), "{command}: {part} is not in\n{error}");
        }
    }
}

/// What a frozen plan says of each managed pool, and that it proposes nothing.
#[track_caller]
fn is_frozen(plan: &Value, parts: &[&str]) {
    check(&PLAN, plan);
    assert_eq!(plan["changes"], json!([]));
    for name in ["batch-committed", "general-committed", "memory-committed"] {
        let pool = entry(&plan["nodePools"], "name", name);
        assert_eq!(pool["decision"], "freeze", "{name}");
        for part in parts {
            assert!(text(&pool["reason"]).contains(part), "{part}: {pool:#}");
        }
    }
}

#[test]
fn a_place_without_a_report_is_named() {
    is_unusable(
        Path::new("/nonexistent"),
        &["/nonexistent: no such file or directory"],
    );
    let empty = tempfile::tempdir().expect("a temporary folder");
    is_unusable(empty.path(), &[&empty.path().display().to_string()]);
    fs::write(empty.path().join("notes.txt"), "nothing").expect("written");
    is_unusable(empty.path(), &["no Cost and Usage Report in parquet form"]);
}

#[test]
fn a_damaged_file_is_named() {
    let report = copy("cur/legacy");
    let file = report.path().join(DATA).join("acme-hourly-00002.snappy.parquet");
    let bytes = fs::read(&file).expect("the fixture");
    for (bytes, what) in [
        (&bytes[..bytes.len() / 2], "truncated"),
        (&bytes[..6], "hardly begun"),
        (&[][..], "empty"),
        (
            b"not a parquet file at all, whatever its name says",
            "something else",
        ),
    ] {
        fs::write(&file, bytes).expect("written");
        for cur in [report.path(), &file] {
            let error = utilization(cur).fails(4);
            assert!(
                error.contains("acme-hourly-00002.snappy.parquet"),
                "{what}: {error}"
            );
        }
    }
    is_unusable(report.path(), &["acme-hourly-00002.snappy.parquet"]);
}

#[test]
fn a_file_whose_inside_is_damaged_is_named_too() {
    let report = copy("cur/legacy");
    let file = report.path().join(DATA).join("acme-hourly-00001.snappy.parquet");
    let mut bytes = fs::read(&file).expect("the fixture");
    // The footer stays whole, the pages do not.
    let pages = bytes.len() / 2;
    bytes[4..pages].fill(0xff);
    fs::write(&file, bytes).expect("written");
    is_unusable(report.path(), &["acme-hourly-00001.snappy.parquet"]);
}

#[test]
fn a_manifest_that_names_a_missing_file_is_told() {
    let report = copy("cur/legacy");
    fs::remove_file(report.path().join(DATA).join("acme-hourly-00002.snappy.parquet")).expect("removed");
    is_unusable(
        report.path(),
        &[
            "acme-hourly-Manifest.json",
            "names a missing file",
            "acme-hourly-00002",
        ],
    );
}

#[test]
fn a_manifest_that_is_no_json_is_told() {
    let report = copy("cur/legacy");
    fs::write(report.path().join(MANIFEST), "{").expect("written");
    is_unusable(report.path(), &["acme-hourly-Manifest.json"]);
}

#[test]
fn a_report_of_csv_files_is_told_what_it_lacks() {
    let report = copy("cur/legacy");
    let manifest = report.path().join(MANIFEST);
    let csv = fs::read_to_string(&manifest).expect("the manifest");
    let csv = csv
        .replace("\"Parquet\"", "\"text/csv\"")
        .replace(".snappy.parquet", ".csv.gz");
    fs::write(&manifest, csv).expect("written");
    for number in 1..=3 {
        let file = report
            .path()
            .join(DATA)
            .join(format!("acme-hourly-0000{number}.snappy.parquet"));
        fs::remove_file(file).expect("removed");
    }
    is_unusable(report.path(), &["CSV", "parquet"]);
}

#[test]
fn of_two_reports_in_one_place_none_is_chosen() {
    is_unusable(
        &fixture("cur"),
        &["several reports lie here", "acme-hourly", "acme-cur2", "--cur"],
    );
}

#[test]
fn a_daily_report_is_shown_and_not_decided_upon() {
    let daily = Derived::report("daily");
    let error = Brimful::plan(daily.path()).fails(4);
    assert!(
        error.contains("the report is DAILY; decisions need an HOURLY one"),
        "{error}"
    );
    let shown = utilization(daily.path()).json(0);
    check(&UTILIZATION, &shown);
    assert!(text(&entry(&shown["warnings"], "code", "daily-report")["message"]).contains("DAILY"));
}

#[test]
fn a_monthly_report_is_refused() {
    is_unusable(
        Derived::report("monthly").path(),
        &["the report is MONTHLY", "hourly granularity"],
    );
}

#[test]
fn a_missing_column_is_named() {
    let column = "savings_plan_used_commitment";
    is_unusable(
        Derived::report(&format!("without:{column}")).path(),
        &[column, "acme-hourly-0000"],
    );
}

#[test]
fn a_column_that_only_decisions_need_freezes_them_and_is_named() {
    for column in ["line_item_usage_type", "savings_plan_savings_plan_effective_cost"] {
        let report = Derived::report(&format!("without:{column}"));
        is_frozen(&Brimful::plan(report.path()).json(5), &[column]);
        let shown = utilization(report.path()).json(0);
        check(&UTILIZATION, &shown);
        assert!(text(&entry(&shown["warnings"], "code", "missing-columns")["message"]).contains(column));
    }
}

#[test]
fn a_report_without_plans_is_no_error_and_proposes_nothing() {
    let report = Derived::report("no-plans");
    let plan = Brimful::plan(report.path()).arg("--exit-code").json(0);
    check(&PLAN, &plan);
    assert_eq!((&plan["plans"], &plan["changes"]), (&json!([]), &json!([])));
    let shown = utilization(report.path()).json(0);
    for document in [&plan, &shown] {
        let warning = entry(&document["warnings"], "code", "no-plans");
        assert!(text(&warning["message"]).contains("no Savings Plan"), "{warning}");
    }
    assert_eq!(
        entry(&plan["nodePools"], "name", "memory-committed")["decision"],
        "none"
    );
}

#[test]
fn a_report_of_hours_to_come_only_is_frozen() {
    let report = Derived::report("future-only");
    let plan = Brimful::plan(report.path()).json(5);
    is_frozen(&plan, &["only fees and no usage yet"]);
    assert_eq!(plan["source"]["horizon"], Value::Null);
    let shown = utilization(report.path()).json(0);
    assert!(
        shown["plans"]
            .as_array()
            .is_some_and(|plans| plans.iter().all(|plan| plan["hours"] == json!([])))
    );
}

#[test]
fn a_report_older_than_max_data_age_is_frozen_until_the_configuration_allows_it() {
    let at = |now: &str| {
        Brimful::new("plan")
            .args([
                "--cur",
                "fixtures/cur/legacy",
                "--nodepools",
                "fixtures/nodepools.yaml",
                "--exit-code",
            ])
            .args(["--now", now])
    };
    is_frozen(
        &at("2026-11-24T09:00:01Z").json(5),
        &["2026-11-21T09:00:00Z", "maxDataAge is 3 d"],
    );
    at("2026-11-24T09:00:00Z").ends(2);
    is_frozen(
        &at("2026-11-21T18:00:00Z")
            .config("policy: {maxDataAge: 8h}\n")
            .json(5),
        &["maxDataAge is 8 h"],
    );
    at("2026-12-01T18:00:00Z")
        .config("policy: {maxDataAge: 30d}\n")
        .json(2);
}

#[test]
fn a_report_that_aws_is_rewriting_is_read_again_and_then_frozen() {
    let report = Derived::report("status:UPDATING");
    let (mut plan, mut shown) = (
        Brimful::plan(report.path()).args(["-o", "json"]),
        utilization(report.path()),
    );
    // Both wait for AWS, so they wait together.
    let [plan, shown] = [plan.spawn(), shown.spawn()].map(Ended::of);
    assert_eq!(plan.code, Some(5), "{plan:?}");
    is_frozen(&plan.json(), &["keeps changing", "UPDATING"]);
    let warning = entry(&plan.json()["warnings"], "code", "report-changing").clone();
    assert!(
        text(&warning["message"]).contains("cost_and_usage_data_status"),
        "{warning}"
    );
    assert!(
        plan.stderr.matches("reading the report again").count() > 1,
        "{plan:?}"
    );
    assert_eq!(shown.code, Some(4), "utilization never ends with 5: {shown:?}");
    assert!(
        shown.stdout.is_empty() && shown.stderr.contains("keeps changing"),
        "{shown:?}"
    );
}

#[test]
fn without_a_manifest_the_files_are_found_and_it_is_told() {
    let report = copy("cur/legacy");
    fs::remove_file(report.path().join(MANIFEST)).expect("removed");
    let bare = Brimful::plan(report.path()).json(0);
    let warning = entry(&bare["warnings"], "code", "no-manifest");
    assert!(text(&warning["message"]).contains("no manifest"), "{warning}");
    assert_eq!(
        bare["plans"],
        Brimful::plan("fixtures/cur/legacy").json(0)["plans"]
    );
}

#[test]
fn the_reports_own_folder_serves_as_well_as_the_buckets_root() {
    let whole = Brimful::plan("fixtures/cur/legacy").json(0);
    for folder in ["billing", "billing/acme-hourly"] {
        let part = Brimful::plan(fixture("cur/legacy").join(folder)).json(0);
        assert_eq!(
            (&part["plans"], &part["changes"]),
            (&whole["plans"], &whole["changes"]),
            "{folder}"
        );
        assert!(!part["warnings"].to_string().contains("no-manifest"), "{folder}");
    }
    let whole = Brimful::plan("fixtures/cur/cur2").json(0);
    for folder in ["exports", "exports/acme-cur2"] {
        let part = Brimful::plan(fixture("cur/cur2").join(folder)).json(0);
        assert_eq!(
            (&part["plans"], &part["changes"]),
            (&whole["plans"], &whole["changes"]),
            "{folder}"
        );
    }
}
