//! What must hold for any report.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::collections::BTreeMap;

use brimful_types::money::Money;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, EC2_M5, File, Layout, Row, read};

const USAGE_TYPES: [&str; 5] = [
    "BoxUsage:m5.large",
    "USE2-BoxUsage:m5.large",
    "USE2-BoxUsage:m5.xlarge",
    "EU-BoxUsage:r5.large",
    "USE2-SpotUsage:m5.large",
];

/// Any line item that matters, with figures that need not make sense.
pub(super) fn row() -> impl Strategy<Value = Row> {
    let plan = select(vec![COMPUTE, COMPUTE_2, EC2_M5]);
    let dollars = || (0u32..2_000_000).prop_map(|micros| f64::from(micros) / 1e6 * 1.1);
    let parts = (
        0..6u8,
        plan,
        0..40i32,
        select(USAGE_TYPES.to_vec()),
        dollars(),
        dollars(),
        select(vec!["", "prod", "test"]),
        select(vec!["111122223333", "444455556666"]),
    );
    parts.prop_map(|(kind, arn, hour, usage_type, a, b, cluster, account)| {
        let row = match kind {
            0 => Row::fee(arn, hour).commitment(a + b).used(a),
            1 => Row::fee(arn, hour).commitment(a).used(b),
            2 => Row::covered(arn, hour, usage_type)
                .rate(a)
                .cost(b)
                .amount(b)
                .list(a + b),
            3 => Row::on_demand(hour, usage_type).amount(a).list(b),
            4 => Row::reserved(hour, usage_type).amount(a),
            _ => Row::spot(hour, "USE2-SpotUsage:m5.large").amount(a).unblended(b),
        };
        let row = if kind < 2 { row } else { row.account(account) };
        let row = if arn == EC2_M5 && kind < 3 {
            row.for_m5_in_ohio()
        } else {
            row
        };
        if cluster.is_empty() {
            row
        } else {
            row.tag_cluster(cluster)
        }
    })
}

/// A few rows more than one batch of them; several hours have rows of each kind.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    vec(row(), 1..120)
}

/// The same rows in an order that the seed decides.
fn shuffled(rows: &[Row], seed: u64) -> Vec<Row> {
    let mut keyed: Vec<(u64, &Row)> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| (mixed(i as u64 ^ seed), row))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, row)| row.clone()).collect()
}

fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The document, without what says how the report was stored.
fn document(bucket: &Bucket, threads: usize) -> serde_json::Value {
    let seen = read(bucket.path()).threads(threads).utilization();
    let mut json: serde_json::Value = serde_json::from_str(&seen.json()).unwrap();
    for key in ["uri", "files", "bytesRead"] {
        json["source"].as_object_mut().unwrap().remove(key);
    }
    for warning in json["warnings"].as_array_mut().unwrap() {
        let message = warning["message"]
            .as_str()
            .unwrap()
            .replace(&bucket.path().display().to_string(), "");
        warning["message"] = message.into();
    }
    json
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn used_and_unused_make_up_the_commitment(rows in rows()) {
        let bucket = Bucket::of(rows.clone());
        let seen = read(bucket.path()).utilization();
        for plan in &seen.document.plans {
            for hour in &plan.hours {
                let parts = hour.used.zip(hour.unused).map(|(used, unused)| used + unused);
                prop_assert_eq!(parts, hour.commitment);
                prop_assert!(hour.utilization.is_none_or(|u| (0.0..=1.0).contains(&u)));
                prop_assert!(hour.used.is_none_or(|used| used >= Money::ZERO));
                prop_assert!(hour.demand >= hour.used);
            }
            for (total, mature) in [(plan.total, true), (plan.incomplete, false)] {
                let hours: Vec<_> = plan.hours.iter().filter(|hour| hour.mature == mature).collect();
                let sum: Option<Money> = hours.iter().map(|hour| hour.used).sum();
                prop_assert_eq!(total.hours, hours.len());
                prop_assert_eq!(total.used, sum.filter(|_| !hours.is_empty()));
                prop_assert_eq!(total.used.zip(total.unused).map(|(a, b)| a + b), total.commitment);
            }
        }
        let covered: Money = seen.analysis.ledger.plans.iter().flat_map(|p| p.hours.values()).map(|h| h.covered).sum();
        let stated: f64 = rows.iter().filter_map(|row| match row.values.get("savings_plan_savings_plan_effective_cost") {
            Some(crate::support::cur::Value::Number(cost)) => Some(*cost),
            _ => None,
        }).sum();
        prop_assert!((covered.dollars() - stated).abs() < 1e-6, "no covered dollar is lost or counted twice");
    }

    #[test]
    fn spill_is_split_among_plans_without_loss(rows in rows()) {
        let bucket = Bucket::of(rows);
        let seen = read(bucket.path()).utilization();
        for group in &seen.analysis.utilization.groups {
            for (hour, together) in &group.hours {
                let members = group.plans.iter().filter_map(|i| {
                    let hours = &seen.analysis.utilization.plans[*i].hours;
                    hours.iter().find(|h| h.hour == *hour)?.demand
                });
                let demand: Money = members.sum();
                // Shares are rounded to the picodollar. A group without a commitment has nobody to give spill to.
                let off = (demand - together.demand()).abs().dollars();
                prop_assert!(off < 1e-9, "{hour}: {demand} and {}", together.demand());
            }
        }
    }

    #[test]
    fn order_of_rows_and_files_threads_and_row_groups_do_not_matter(rows in rows(), seed in any::<u64>()) {
        for layout in [Layout::Legacy, Layout::Export] {
            let expected = {
                let bucket = Bucket::new(layout);
                bucket.deliver("2026-11", "1", &[&rows]);
                document(&bucket, 1)
            };
            let other = shuffled(&rows, seed);
            let form = if layout == Layout::Legacy { File::legacy() } else { File::cur2() };
            let bucket = Bucket::with(layout, form.row_groups_of(1 + usize::try_from(seed % 40).unwrap()));
            let cut = usize::try_from(mixed(seed) % (other.len() as u64 + 1)).unwrap();
            bucket.deliver("2026-11", "1", &[&other[cut..], &other[..cut]]);
            for threads in [1, 2, 4] {
                prop_assert_eq!(document(&bucket, threads).to_string(), expected.to_string());
            }
        }
    }

    #[test]
    fn the_bytes_of_the_document_do_not_depend_on_the_number_of_threads(rows in rows()) {
        let bucket = Bucket::written(File::legacy().row_groups_of(9), rows);
        let documents: BTreeMap<String, usize> = [1, 2, 4].into_iter().map(|n| (read(bucket.path()).threads(n).utilization().json(), n)).collect();
        prop_assert_eq!(documents.len(), 1);
    }
}
