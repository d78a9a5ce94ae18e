//! `cur.engine: athena` against an Athena that runs the SQL: the ledger is the one that reading the files makes.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use brimful::Error;
use brimful::cur::athena::AthenaTable;
use brimful::cur::columns::Detail;
use brimful::cur::location::Location;
use brimful::cur::s3::AwsAccess;
use brimful::pipeline::{ReadOptions, judge_history};
use chrono::{DateTime, Duration, Utc};

use crate::support::athena::{Athena, settings};
use crate::support::block_on;
use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, EC2_M5, File, Layout, Row, Seen, Times, at, read};
use crate::support::run::{Brimful, NOW, fixture, text};

mod faults;

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
    let (one, other) = (&files.judged, &asked.judged);
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
    for (cell, asked) in ledger.cells.iter().zip(&same.cells) {
        assert_eq!(cell, asked, "{:?}", ledger.series_of(cell));
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

/// Numbers that come out the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// An amount of any size, some of them just between two picodollars.
    #[allow(clippy::cast_precision_loss)]
    fn number(&mut self) -> f64 {
        let whole = self.roll(2_000_000) as f64;
        match self.roll(8) {
            0 => 1.0,
            1 => 0.0,
            2 => (whole + 0.5) * 1e-12,
            3 => (whole + 0.5) / 8e12,
            4 => -whole / 7e6,
            5 => whole / 3e2,
            6 => whole * 1.1e-9,
            _ => whole / 1e7,
        }
    }
}

/// Rows of every kind, good and bad, of October and November.
fn rows(seed: u64, is_text: bool) -> Vec<Row> {
    let mut dice = Dice(seed);
    let plans = [COMPUTE, COMPUTE_2, EC2_M5];
    let types = [
        "USE2-BoxUsage:m5.large",
        "BoxUsage",
        "EU-DedicatedUsage:c5.xlarge",
        "UnusedBox:r5.large",
    ];
    let mut rows = Vec::new();
    for hour in -60..190 {
        for (plan, arn) in (0..).zip(plans) {
            let fee = Row::fee(arn, hour).commitment(2.5).used(dice.number());
            rows.push(if plan == 2 { fee.for_m5_in_ohio() } else { fee });
        }
        for _ in 0..dice.roll(12) {
            let usage_type = types[usize::try_from(dice.roll(4)).unwrap()];
            let arn = plans[usize::try_from(dice.roll(3)).unwrap()];
            let row = match dice.roll(9) {
                0 | 1 => Row::covered(arn, hour, usage_type)
                    .cost(dice.number())
                    .rate(dice.number().abs()),
                2 | 3 => Row::on_demand(hour, usage_type),
                4 => Row::spot(hour, "USE2-SpotUsage:m5.large"),
                5 => Row::reserved(hour, usage_type),
                6 => Row::negation(arn, hour, usage_type),
                7 => Row::of("Usage", hour)
                    .product("AWSLambda")
                    .usage_type("USE2-Lambda-GB-Second")
                    .operation("Invoke"),
                _ => Row::of("Usage", hour)
                    .product("AmazonEKS")
                    .usage_type("USE2-Fargate-vCPU-Hours:perCPU")
                    .operation(if dice.roll(2) == 0 {
                        "FargatePod"
                    } else {
                        "EKSPod-EC2"
                    }),
            };
            let mut row = row.list(dice.number()).amount(dice.number()).region("us-east-2");
            if dice.roll(3) == 0 {
                row = row.unblended(dice.number());
            }
            if dice.roll(2) == 0 {
                row = row.tag_cluster("blue").tag_node_pool("memory's \"own\"");
            }
            if dice.roll(9) == 0 {
                row = row.account("222233334444").region("");
            }
            if dice.roll(40) == 0 {
                let start = row.start + Duration::minutes(10);
                row = row.between(start, start + Duration::minutes(20));
            }
            if is_text && dice.roll(15) == 0 {
                let column = [
                    "line_item_usage_amount",
                    "line_item_unblended_cost",
                    "savings_plan_savings_plan_effective_cost",
                    "savings_plan_savings_plan_rate",
                ][usize::try_from(dice.roll(4)).unwrap()];
                row = row.text(
                    column,
                    ["n/a", "", " 0.25 ", "3.15932e-05", "NaN"][usize::try_from(dice.roll(5)).unwrap()],
                );
            }
            rows.push(row);
        }
    }
    if is_text {
        rows.push(
            Row::fee(COMPUTE, 7)
                .commitment(1.0)
                .text("savings_plan_used_commitment", "?"),
        );
    }
    rows
}

fn compare_rows(name: &str, file: File, is_text: bool) {
    let layout = if file.is_export() {
        Layout::Export
    } else {
        Layout::Legacy
    };
    let bucket = Bucket::with(layout, file);
    let (october, november): (Vec<Row>, Vec<Row>) = rows(name.len() as u64, is_text)
        .into_iter()
        .partition(|row| row.start < at(0));
    let (first, second) = november.split_at(november.len() / 2);
    bucket.deliver("2026-10", "1", &[&october]);
    bucket.deliver("2026-11", "1", &[first, second]);
    let table = Athena::shared().table(name, bucket.path(), |_| true);
    compare(&table, bucket.path(), at(185));
}

#[test]
fn every_sort_of_row_of_a_legacy_report_counts_the_same_to_the_picodollar() {
    compare_rows("rowslegacy", File::legacy(), false);
}

#[test]
fn numbers_kept_as_text_count_the_same_and_what_is_no_number_is_told() {
    compare_rows("rowstext", File::legacy().numbers_as_text(), true);
}

#[test]
fn times_kept_as_text_are_the_same_hours() {
    compare_rows("rowstimes", File::legacy().times(Times::Text), false);
}

#[test]
fn tags_and_regions_in_maps_are_found() {
    compare_rows("rowsexport", File::cur2().region_in_product_map(), false);
    compare_rows(
        "rowstagsmap",
        File::cur2().tags_in("tags").times(Times::MicrosWithoutZone),
        false,
    );
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
    let judged = history(&settings, &table, &never).unwrap();
    assert_eq!(judged.doubt, None);
    assert!(
        judged
            .warnings
            .iter()
            .all(|warning| warning.code != "table-unwatched")
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
    assert!(seen.judged.doubt.is_none() && seen.warning("table-unwatched").is_none());
    let moved = asked.history_with(&|_, _| {
        bucket.deliver("2026-11", "2", &[&rows[..20]]);
    });
    let doubt = moved.unwrap().judged.doubt.unwrap();
    assert!(doubt.contains("would mix old and new"), "{doubt}");
}

#[test]
fn the_binary_shows_the_same_and_what_it_cost() {
    let server = Athena::shared();
    let root = fixture("cur/legacy");
    server.table("binary", &root, |key| key.contains("year="));
    let config = "cur:\n  engine: athena\n  athena:\n    database: binary\n    table: binary\n    output: s3://binary/results/\n";
    let plan = |run: Brimful| {
        run.args([
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--nodes",
            "fixtures/nodes.yaml",
            "--now",
            NOW,
        ])
    };
    let asked = plan(Brimful::new("plan").config(config).envs(server.env())).json(0);
    let files = Brimful::plan("fixtures/cur/legacy").json(0);
    assert_eq!(asked["nodePools"], files["nodePools"]);
    assert_eq!(asked["plans"], files["plans"]);
    assert_eq!(asked["source"]["uri"], "athena:binary.binary");
    assert!(asked["source"]["scanCost"].as_f64().unwrap() > 0.0);
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
) -> Result<brimful::pipeline::Judged, Error> {
    let location = Location::Athena(Box::new(table.clone()));
    let access = AwsAccess {
        settings: Some(settings.clone()),
        ..AwsAccess::default()
    };
    let options = ReadOptions {
        location: &location,
        access: &access,
        cache: None,
        detail: Detail::Usage,
        threads: 1,
        progress: &|_, _| (),
        stop,
    };
    let now = NOW.parse().unwrap();
    block_on(async { judge_history(&options, &brimful::config::Config::default(), now).await })
}
