//! Keys as AWS writes them.

use super::*;

fn object(key: &str) -> Object {
    Object {
        key: key.into(),
        size: 1,
        version: "v".into(),
        modified: chrono::DateTime::UNIX_EPOCH,
    }
}

fn objects(keys: &[&str]) -> Vec<Object> {
    keys.iter().map(|key| object(key)).collect()
}

fn november() -> BillingPeriod {
    BillingPeriod::parse("2026-11").unwrap()
}

#[test]
fn a_legacy_report_is_found_in_both_its_folders() {
    let found = reports(&objects(&[
        "billing/acme/acme/year=2026/month=11/acme-00001.snappy.parquet",
        "billing/acme/20261101-20261201/acme-Manifest.json",
        "billing/acme/acme/cost_and_usage_data_status/status.parquet",
        "billing/acme/acme/crawler-cfn.yml",
        "billing/acme/acme/acme-create-table.sql",
        "aws-programmatic-access-test-object",
    ]));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["billing/acme"]);
    let report = &found["billing/acme"];
    assert_eq!(report.status.len(), 1);
    assert_eq!(report.periods[&november()].data.len(), 1);
    assert!(report.periods[&november()].manifest().is_some());
}

#[test]
fn a_legacy_report_is_one_report_from_its_own_folder_and_below_a_prefix_of_its_name() {
    for (data, manifest) in [
        (
            "acme/year=2026/month=11/acme-00001.snappy.parquet",
            "20261101-20261201/acme-Manifest.json",
        ),
        (
            "acme/acme/acme/year=2026/month=11/acme-00001.snappy.parquet",
            "acme/acme/20261101-20261201/acme-Manifest.json",
        ),
    ] {
        let found = reports(&objects(&[data, manifest]));
        assert_eq!(found.len(), 1, "{}", names(&found));
        let report = found.values().next().unwrap();
        assert!(report.periods[&november()].manifest().is_some());
        assert_eq!(report.periods[&november()].data.len(), 1);
    }
}

#[test]
fn months_without_a_leading_zero_are_months() {
    let found = reports(&objects(&["r/r/year=2026/month=1/r-00001.snappy.parquet"]));
    assert_eq!(found["r"].periods.keys().next().unwrap().to_string(), "2026-01");
}

#[test]
fn an_exports_newest_execution_counts_when_there_is_no_manifest() {
    let found = reports(&objects(&[
        "p/e/data/BILLING_PERIOD=2026-11/20261120T000000Z-aa/e-00001.snappy.parquet",
        "p/e/data/BILLING_PERIOD=2026-11/20261121T000000Z-bb/e-00001.snappy.parquet",
    ]));
    let files = found["p/e"].periods[&november()].newest_data();
    assert_eq!(files.len(), 1);
    assert!(files[0].key.contains("20261121"));
}

#[test]
fn the_manifest_beside_the_executions_counts_before_theirs() {
    let found = reports(&objects(&[
        "p//e/metadata/BILLING_PERIOD=2026-11/20261121T000000Z-bb/e-Manifest.json",
        "p//e/metadata/BILLING_PERIOD=2026-11/e-Manifest.json",
    ]));
    let period = &found["p/e"].periods[&november()];
    assert_eq!(
        period.manifest().unwrap().key,
        "p//e/metadata/BILLING_PERIOD=2026-11/e-Manifest.json"
    );
    assert!(period.is_export);
}

#[test]
fn two_reports_stay_two_reports() {
    let found = reports(&objects(&[
        "a/data/BILLING_PERIOD=2026-11/a-00001.snappy.parquet",
        "b/b/year=2026/month=11/b-00001.snappy.parquet",
        "athena-results/q.parquet",
    ]));
    assert_eq!(names(&found), "a, b");
}

#[test]
fn manifest_entries_resolve_by_their_longest_suffix() {
    let listed = objects(&[
        "e/data/BILLING_PERIOD=2026-10/e-00001.snappy.parquet",
        "e/data/BILLING_PERIOD=2026-11/e-00001.snappy.parquet",
    ]);
    let entry = "s3://bucket/prefix/e/data/BILLING_PERIOD=2026-11/e-00001.snappy.parquet";
    assert_eq!(resolve(entry, &listed), Some(&listed[1]));
    // The same file name in another month is another file.
    let december = "prefix/e/data/BILLING_PERIOD=2026-12/e-00001.snappy.parquet";
    assert_eq!(resolve(december, &listed), None);
    assert_eq!(resolve("s3://bucket/../../etc/passwd", &listed), None);
    let twice = objects(&[
        "x/data/BILLING_PERIOD=2026-11/e.parquet",
        "y/data/BILLING_PERIOD=2026-11/e.parquet",
    ]);
    assert_eq!(resolve("data/BILLING_PERIOD=2026-11/e.parquet", &twice), None);
}
