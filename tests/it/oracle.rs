//! Every row of the ledger against an independent reading of the same files, by `DuckDB` (`tests/oracle/ledger.py`).

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brimful_savings_plans::ledger::{Ledger, UsageClass, UsageKey};
use brimful_types::hour::rfc3339;
use brimful_types::money::Money;
use chrono::{DateTime, Duration, Utc};
use serde_json::Value as Json;

use crate::support::cur::{Seen, read};
use crate::support::tools;

/// What sums of exact decimals and of whole picodollars may differ by.
const TOLERANCE: f64 = 1e-6;

/// Rows of a table: the texts that identify a row, and its numbers.
type Table = BTreeMap<Vec<String>, Vec<f64>>;

#[test]
fn the_legacy_fixture_reads_as_duckdb_reads_it() {
    let root = repository().join("fixtures/cur/legacy");
    let manifest = root.join("billing/acme-hourly/20261101-20261201/acme-hourly-Manifest.json");
    compare(
        &root,
        "legacy",
        &named_by(&root, &manifest, "reportKeys"),
        "2026-11-21T18:00:00Z",
    );
}

#[test]
fn the_cur2_fixture_reads_as_duckdb_reads_it() {
    let root = repository().join("fixtures/cur/cur2");
    let manifest = root.join("exports/acme-cur2/metadata/BILLING_PERIOD=2026-11/acme-cur2-Manifest.json");
    compare(
        &root,
        "cur2",
        &named_by(&root, &manifest, "dataFiles"),
        "2026-11-21T18:00:00Z",
    );
}

#[test]
fn a_generated_legacy_month_reads_as_duckdb_reads_it() {
    let (dir, files) = generate("legacy");
    compare(dir.path(), "legacy", &files, "2025-01-20T10:00:00Z");
}

#[test]
fn a_generated_cur2_month_reads_as_duckdb_reads_it() {
    let (dir, files) = generate("cur2");
    compare(dir.path(), "cur2", &files, "2025-01-31T23:30:00Z");
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that a manifest names; their keys are paths below `root`.
fn named_by(root: &Path, manifest: &Path, list: &str) -> Vec<PathBuf> {
    let manifest: Json = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    let keys = manifest[list]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap());
    let key = |text: &str| match text.strip_prefix("s3://") {
        Some(rest) => rest.split_once('/').unwrap().1.to_owned(),
        None => text.to_owned(),
    };
    keys.map(|text| root.join(key(text))).collect()
}

/// A month of random rows, a small sister of the one that is timed.
fn generate(style: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let script = repository().join("benches/generate.py");
    let mut command = Command::new(tools::python());
    command.arg(script).args([
        "--rows", "60000", "--files", "3", "--jobs", "2", "--style", style, "--out",
    ]);
    run(command.arg(dir.path()));
    let mut files = Vec::new();
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".snappy.parquet") {
                files.push(path);
            }
        }
    }
    assert_eq!(files.len(), 3);
    (dir, files)
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn compare(root: &Path, style: &str, files: &[PathBuf], now: &str) {
    let script = repository().join("tests/oracle/ledger.py");
    let mut command = Command::new(tools::python());
    let answer = run(command
        .arg(script)
        .args(["--style", style, "--now", now])
        .args(files));
    let answer: Json = serde_json::from_slice(&answer).unwrap();
    let now: DateTime<Utc> = now.parse().unwrap();
    let newest_period = read(root).now(now);
    let windowed = newest_period.clone().window(now - Duration::days(31), now);
    for seen in [newest_period.utilization(), windowed.utilization()] {
        let horizon = seen.analysis.utilization.horizon.unwrap();
        assert_eq!(rfc3339(horizon), answer["horizon"], "the horizon");
        let ledger = &seen.analysis.ledger;
        assert_eq!(ledger.unreadable_rows, 0);
        assert_same("plans", &plans(ledger, horizon), &table(&answer["plans"], 2));
        assert_same(
            "ondemand",
            &usage(&seen, UsageClass::OnDemand, horizon),
            &table(&answer["ondemand"], 7),
        );
        assert_same(
            "spot",
            &usage(&seen, UsageClass::Spot, horizon),
            &table(&answer["spot"], 7),
        );
        assert_same("covered", &covered(&seen, horizon), &table(&answer["covered"], 8));
        assert_same("document", &document(&seen), &in_force(&answer["plans"]));
    }
    // Without a window rates are learned from all hours; the oracle stops at the horizon.
    assert_same(
        "rates",
        &rates(&windowed.utilization().analysis.ledger),
        &rates_at_any_hour(&answer["rates"]),
    );
}

/// The oracle's rows, whose first `keys` cells identify them.
fn table(rows: &Json, keys: usize) -> Table {
    let rows = rows.as_array().unwrap().iter().map(|row| row.as_array().unwrap());
    let text = |cell: &Json| cell.as_str().unwrap().to_owned();
    let number = |cell: &Json| cell.as_f64().unwrap();
    let split = |row: &Vec<Json>| {
        (
            row[..keys].iter().map(text).collect(),
            row[keys..].iter().map(number).collect(),
        )
    };
    rows.map(split).collect()
}

/// Commitment, used and covered of each plan in each hour.
fn plans(ledger: &Ledger, horizon: DateTime<Utc>) -> Table {
    let mut rows = Table::new();
    for plan in &ledger.plans {
        for (hour, amounts) in plan.hours.iter().filter(|(hour, _)| hour.end() <= horizon) {
            let commitment = amounts.commitment.unwrap_or_default();
            let numbers = [commitment, amounts.used, amounts.covered].map(Money::dollars);
            rows.insert(vec![plan.plan.arn.clone(), hour.to_string()], numbers.into());
        }
    }
    rows
}

/// Amount and cost by hour, account, usage type, operation, region, cluster and `NodePool`.
fn usage(seen: &Seen, class: UsageClass, horizon: DateTime<Utc>) -> Table {
    let mut rows = Table::new();
    for (series, cell) in seen
        .cells(class)
        .into_iter()
        .filter(|(_, cell)| cell.hour.end() <= horizon)
    {
        let key = [
            &series.account,
            &series.usage_type,
            &series.operation,
            &series.region,
            &series.cluster,
            &series.node_pool,
        ];
        let key = std::iter::once(cell.hour.to_string()).chain(key.iter().map(ToString::to_string));
        let sums = rows.entry(key.collect()).or_insert_with(|| vec![0.0; 2]);
        // Series also tell instances from other usage, which the usage type tells already.
        sums[0] += cell.amount.units();
        sums[1] += cell.cost().dollars();
    }
    rows
}

/// The same of what each plan covered.
fn covered(seen: &Seen, horizon: DateTime<Utc>) -> Table {
    let plans = seen.analysis.ledger.plans.iter().enumerate();
    plans
        .flat_map(|(index, entry)| {
            let rows = usage(seen, UsageClass::Covered(index), horizon).into_iter();
            rows.map(|(mut key, numbers)| {
                key.insert(0, entry.plan.arn.clone());
                (key, numbers)
            })
        })
        .collect()
}

/// The rate of each plan, usage type and operation.
fn rates(ledger: &Ledger) -> Table {
    let row = |(
        (
            plan,
            UsageKey {
                usage_type,
                operation,
            },
        ),
        rate,
    ): (&(usize, UsageKey), &Money)| {
        let arn = ledger.plans[*plan].plan.arn.clone();
        (
            vec![arn, usage_type.to_string(), operation.to_string()],
            vec![rate.dollars()],
        )
    };
    ledger.rates.iter().map(row).collect()
}

/// The oracle's rates without the hour at which they were seen. Rates of zero say nothing.
fn rates_at_any_hour(rows: &Json) -> Table {
    let rows = table(rows, 4).into_iter().filter(|(_, numbers)| numbers[0] > 0.0);
    rows.map(|(mut key, numbers)| {
        key.truncate(3);
        (key, numbers)
    })
    .collect()
}

/// Commitment, used and unused as `utilization` prints them.
fn document(seen: &Seen) -> Table {
    let mut rows = Table::new();
    for plan in &seen.document.plans {
        for hour in &plan.hours {
            let numbers = [hour.commitment, hour.used, hour.unused].map(|amount| amount.unwrap().dollars());
            rows.insert(vec![plan.arn.clone(), hour.hour.to_string()], numbers.into());
        }
    }
    rows
}

/// The same from the oracle's rows: hours in which the plan was committed to something.
fn in_force(rows: &Json) -> Table {
    let rows = table(rows, 2).into_iter().filter(|(_, numbers)| numbers[0] > 0.0);
    rows.map(|(key, numbers)| (key, vec![numbers[0], numbers[1], numbers[0] - numbers[1]]))
        .collect()
}

fn assert_same(name: &str, ours: &Table, theirs: &Table) {
    assert!(
        !theirs.is_empty(),
        "{name}: the oracle found nothing to compare with"
    );
    let differs = |key: &&Vec<String>| match (ours.get(*key), theirs.get(*key)) {
        (Some(ours), Some(theirs)) => ours.iter().zip(theirs).any(|(a, b)| (a - b).abs() > TOLERANCE),
        _ => true,
    };
    let wrong: Vec<&Vec<String>> = ours.keys().chain(theirs.keys()).filter(differs).collect();
    let shown = wrong.iter().take(5).map(|key| {
        format!(
            "{key:?}: brimful {:?}, duckdb {:?}",
            ours.get(*key),
            theirs.get(*key)
        )
    });
    assert!(
        wrong.is_empty(),
        "{name}: {} of {} rows differ:\n{}",
        wrong.len(),
        theirs.len(),
        shown.collect::<Vec<_>>().join("\n")
    );
}
