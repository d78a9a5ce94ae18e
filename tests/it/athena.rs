//! `cur.engine: athena` against an Athena that runs the SQL: the ledger is the one that reading the files makes.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use brimful::analysis::read_history;
use brimful_aws::AwsAccess;
use brimful_cur::athena::AthenaTable;
use brimful_cur::columns::{Detail, Own};
use brimful_cur::location::Location;
use brimful_cur::reader::ReadOptions;
use brimful_types::Error;
use chrono::{DateTime, Duration, Utc};

use crate::support::athena::{Athena, settings};
use crate::support::block_on;
use crate::support::cur::{Bucket, COMPUTE, File, Layout, Row, Seen, at, read};
use crate::support::run::{Brimful, NOW, fixture, text};

mod faults;
mod rows;

/// Reads the report below `root` and asks for the table; all must be equal but where it comes from.
fn compare(table: &AthenaTable, root: &Path, now: DateTime<Utc>) {
    let server = settings(&Athena::shared().endpoint());
    let files = read(root).now(now);
    let asked = files.clone().asking(table, server);
    equal(&files.history().unwrap(), &asked.history().unwrap());
    equal(&files.utilization(), &asked.utilization());
    let window = (
        now - Duration::days(5),
        now - Duration::days(2) + Duration::minutes(20),
    );
    let files = files.window(window.0, window.1).utilization();
    equal(&files, &asked.window(window.0, window.1).utilization());
}

fn equal(files: &Seen, asked: &Seen) {
    let (one, other) = (&files.analysis, &asked.analysis);
    assert!(!one.ledger.plans.is_empty() && !one.ledger.cells.is_empty());
    // Field by field first: a whole ledger is long.
    let (ledger, same) = (&one.ledger, &other.ledger);
    assert_eq!(ledger.unreadable_rows, same.unreadable_rows);
    assert_eq!(ledger.newest_usage, same.newest_usage);
    assert_eq!(ledger.newest_by_region, same.newest_by_region);
    assert_eq!(ledger.covered_regions, same.covered_regions);
    assert_eq!(ledger.regions, same.regions);
    assert_eq!(ledger.rates, same.rates);
    assert_eq!(ledger.on_demand_prices, same.on_demand_prices);
    assert_eq!(ledger.series, same.series);
    for ((series, cells), asked) in ledger.usage().zip(&same.cells) {
        assert_eq!(cells, asked, "{series:?}");
    }
    for (plan, asked) in ledger.plans.iter().zip(&same.plans) {
        assert_eq!(plan.plan, asked.plan);
        for (hour, asked) in plan.hours.iter().zip(&asked.hours) {
            assert_eq!(hour, asked, "{:?}", plan.plan);
        }
    }
    assert!(ledger == same);
    assert_eq!(one.utilization.plans, other.utilization.plans);
    assert_eq!(one.utilization.horizon, other.utilization.horizon);
    assert_eq!(one.source.billing_periods, other.source.billing_periods);
    assert_eq!(
        (one.source.format, one.source.rows),
        (other.source.format, other.source.rows)
    );
    assert!(other.source.scan_cost.is_some() && one.source.scan_cost.is_none());
}

#[test]
fn a_legacy_report_is_the_same_ledger() {
    let root = fixture("cur/legacy");
    let table = Athena::shared().table("legacy", &root, |key| key.contains("year="));
    compare(&table, &root, NOW.parse().unwrap());
}

#[test]
fn an_export_is_the_same_ledger() {
    let root = fixture("cur/cur2");
    let table = Athena::shared().table("cur2", &root, |key| key.contains("20261121T"));
    compare(&table, &root, NOW.parse().unwrap());
}

#[test]
fn a_table_that_lacks_columns_says_so() {
    let bucket = Bucket::written(
        File::cur2().without("savings_plan_savings_plan_rate"),
        (0..30).flat_map(|hour| Row::hour_of(COMPUTE, hour, 1.0, 0.5)),
    );
    let table = Athena::shared().table("lacking", bucket.path(), |_| true);
    let seen = read(bucket.path())
        .asking(&table, settings(&Athena::shared().endpoint()))
        .utilization();
    let warning = seen.warning("missing-columns").unwrap();
    assert!(
        warning
            .message
            .starts_with("athena:lacking.lacking: the report lacks savings_plan_savings_plan_rate"),
        "{warning:?}"
    );
    let bucket = Bucket::written(
        File::cur2().without("savings_plan_used_commitment"),
        Row::hour_of(COMPUTE, 0, 1.0, 0.5),
    );
    let table = Athena::shared().table("useless", bucket.path(), |_| true);
    let error = history(
        &settings(&Athena::shared().endpoint()),
        &table,
        &AtomicBool::new(false),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("required columns are missing: savings_plan_used_commitment"),
        "{error}"
    );
}

#[test]
fn a_report_that_aws_is_rewriting_freezes() {
    let server = Athena::shared();
    let root = fixture("cur/legacy");
    let table = server.table("rewriting", &root, |key| key.contains("year="));
    server.status("rewriting", &Bucket::status("READY"));
    let never = AtomicBool::new(false);
    let settings = settings(&server.endpoint());
    let analysis = history(&settings, &table, &never).unwrap();
    assert_eq!(analysis.doubt, None);
    assert!(
        analysis
            .warnings
            .iter()
            .all(|warning| warning.code.as_str() != "table-unwatched")
    );
    server.put("rewriting", "status/status.parquet", &Bucket::status("UPDATING"));
    let doubt = history(&settings, &table, &never).unwrap().doubt.unwrap();
    assert!(
        doubt.starts_with("athena:rewriting.rewriting: AWS is rewriting the report")
            && doubt.ends_with("rewriting.cost_and_usage_data_status says UPDATING"),
        "{doubt}"
    );
}

#[test]
fn files_whose_manifest_changes_during_the_query_freeze() {
    let rows: Vec<Row> = (0..150)
        .flat_map(|hour| Row::hour_of(COMPUTE, hour, 1.0, 0.5))
        .collect();
    let bucket = Bucket::written(File::cur2(), rows.clone());
    let server = Athena::shared();
    let mut table = server.table("watched", bucket.path(), |_| true);
    table.files = Some(Box::new(Location::Path(bucket.path().to_owned())));
    let asked = read(bucket.path())
        .now(at(160))
        .asking(&table, settings(&server.endpoint()));
    let seen = asked.history().unwrap();
    assert!(seen.analysis.doubt.is_none() && seen.warning("table-unwatched").is_none());
    let moved = asked.history_with(&|_, _| {
        bucket.deliver("2026-11", "2", &[&rows[..20]]);
    });
    let doubt = moved.unwrap().analysis.doubt.unwrap();
    assert!(doubt.contains("would mix old and new"), "{doubt}");
}

#[test]
fn a_table_that_ended_months_ago_is_as_old_as_its_files() {
    let bucket = Bucket::new(Layout::Legacy);
    let july: Vec<Row> = (-2900..-2800)
        .flat_map(|hour| Row::hour_of(COMPUTE, hour, 1.0, 0.5))
        .collect();
    bucket.deliver("2026-07", "1", &[&july]);
    let server = Athena::shared();
    let table = server.table("old", bucket.path(), |_| true);
    let files = read(bucket.path());
    let asked = files.clone().asking(&table, settings(&server.endpoint()));
    let (files, asked) = (files.history().unwrap(), asked.history().unwrap());
    assert_eq!(
        files.analysis.source.billing_periods,
        asked.analysis.source.billing_periods
    );
    assert!(files.analysis.doubt.is_some());
    assert_eq!(files.analysis.doubt, asked.analysis.doubt);
}

#[test]
fn months_that_have_files_and_are_not_in_the_table_are_named() {
    let bucket = Bucket::new(Layout::Export);
    let rows = |hours: std::ops::Range<i32>| -> Vec<Row> {
        hours
            .flat_map(|hour| Row::hour_of(COMPUTE, hour, 1.0, 0.5))
            .collect()
    };
    bucket.deliver("2026-10", "1", &[&rows(-50..0)]);
    bucket.deliver("2026-11", "1", &[&rows(0..150)]);
    let server = Athena::shared();
    let mut table = server.table("partial", bucket.path(), |key| key.contains("2026-11"));
    table.files = Some(Box::new(Location::Path(bucket.path().to_owned())));
    let asked = read(bucket.path())
        .now(at(160))
        .asking(&table, settings(&server.endpoint()));
    let seen = asked.history().unwrap();
    let warning = seen.warning("table-lacks-periods").unwrap();
    assert!(
        warning
            .message
            .starts_with("athena:partial.partial: the table lacks 2026-10, of which there are files"),
        "{warning:?}"
    );
    // None of the wanted time at all.
    let error = asked
        .window(at(-24 * 100), at(-24 * 90))
        .try_utilization()
        .unwrap_err();
    assert!(
        error.to_string().contains("no billing period in the wanted time"),
        "{error}"
    );
}

#[test]
fn the_binary_shows_the_same_and_what_it_cost() {
    let server = Athena::shared();
    let root = fixture("cur/legacy");
    server.table("binary", &root, |key| key.contains("year="));
    let config = "cur:\n  engine: athena\n  athena:\n    database: binary\n    table: binary\n    output: s3://binary/results/\n";
    let plan = Brimful::on_the_fixtures_cluster;
    let asked = plan(Brimful::new("plan").config(config).envs(server.env())).json(0);
    let files = Brimful::plan("fixtures/cur/legacy").json(0);
    assert_eq!(asked["nodePools"], files["nodePools"]);
    assert_eq!(asked["plans"], files["plans"]);
    assert_eq!(asked["source"]["uri"], "athena:binary.binary");
    assert!(asked["source"]["scanCost"].as_f64().unwrap() > 0.0);
    let shares = |run: Brimful| run.args(["--now", NOW]).json(0)["plans"].take();
    let files = shares(Brimful::new("utilization").args(["--cur", "fixtures/cur/legacy"]));
    let asked = Brimful::new("utilization").config(config).envs(server.env());
    assert_eq!(shares(asked), files);
    let shown = plan(Brimful::new("plan").config(config).envs(server.env())).ends(0);
    assert!(
        shown.stdout.contains("athena:binary.binary") && shown.stdout.contains("scanned"),
        "{shown:?}"
    );
    assert!(
        shown.stderr.contains("table-unwatched")
            || shown.stdout.contains("nothing tells whether AWS rewrote"),
        "{shown:?}"
    );
    let doctor = plan(
        Brimful::new("doctor")
            .config(config)
            .envs(server.env())
            .env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9"),
    );
    let doctor = doctor.args(["-o", "json"]).ends_any();
    let checks = doctor.json()["checks"].as_array().unwrap().clone();
    let engine = checks
        .iter()
        .find(|check| check["id"] == "report-engine")
        .unwrap();
    assert!(text(&engine["message"]).contains("athena"), "{engine}");
    // No place for results.
    let config = config.replace("    output: s3://binary/results/\n", "");
    let said = plan(Brimful::new("plan").config(&config).envs(server.env())).fails(3);
    assert!(said.contains("cur.athena.output"), "{said}");
    let config = config.replace("table: binary", "table: nothing");
    let said = plan(Brimful::new("plan").config(&config).envs(server.env())).fails(4);
    assert!(said.contains("there is no such table"), "{said}");
}

fn history(
    settings: &aws_config::SdkConfig,
    table: &AthenaTable,
    stop: &AtomicBool,
) -> Result<brimful::analysis::Analysis, Error> {
    let location = Location::Athena(Box::new(table.clone()));
    let access = AwsAccess {
        settings: Some(settings.clone()),
        ..AwsAccess::default()
    };
    let options = ReadOptions {
        location: &location,
        cache: None,
        detail: Detail::Accounts,
        own: Own::default(),
        threads: 1,
        progress: &|_, _| (),
        stop,
    };
    let now = NOW.parse().unwrap();
    block_on(async { read_history(&access, &options, &brimful::config::Config::default(), now).await })
}
