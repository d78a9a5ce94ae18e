//! Figures that AWS's own pages and other tools work out by hand.

use brimful_types::money::Money;
use chrono::{TimeZone, Utc};

use crate::support::cur::{Bucket, COMPUTE, EC2_M5, File, Row, read, usd};

// 6.1: the sample rows of AWS's page on Savings Plans in the CUR.
#[test]
fn the_sample_rows_of_awss_page_give_its_78_percent() {
    let nano = |amount: f64, list: f64, effective: f64| {
        Row::covered(COMPUTE, 0, "BoxUsage:t3.nano")
            .amount(amount)
            .list(list)
            .rate(0.0026)
            .cost(effective)
    };
    let upfront = Row::fee(COMPUTE, 0)
        .text("line_item_line_item_type", "SavingsPlanUpfrontFee")
        .unblended(43.80);
    let bought = Utc.with_ymd_and_hms(2026, 10, 10, 0, 3, 54).unwrap();
    let bucket = Bucket::of([
        Row::fee(COMPUTE, 0).commitment(0.005).used(0.0039),
        nano(1.0, 0.0052, 0.0026),
        nano(0.5, 0.0026, 0.0013),
        Row::negation(COMPUTE, 0, "BoxUsage:t3.nano")
            .amount(-1.5)
            .unblended(-0.0078),
        upfront.between(bought, bought),
    ]);
    let hour = read(bucket.path()).utilization().hour(COMPUTE, 0);
    assert_eq!(
        (hour.used, hour.covered, hour.unused),
        (usd(0.0039), usd(0.0039), usd(0.0011))
    );
    assert_eq!((hour.utilization, hour.reconciles), (Some(0.78), Some(true)));
}

// 6.2: the utilization report's page.
#[test]
fn ten_dollars_with_nine_eighty_used_leave_room_for_three_instances() {
    let seen = read(Bucket::of(Row::hour_of(COMPUTE, 0, 10.0, 9.8)).path()).utilization();
    let hour = seen.hour(COMPUTE, 0);
    assert_eq!((hour.utilization, hour.unused), (Some(0.98), usd(0.2)));
    assert_eq!(hour.unused.unwrap().fits(Money::from_dollars(0.062).unwrap()), 3);
}

// 6.3
#[test]
fn the_payment_option_changes_neither_commitment_nor_use() {
    for (option, upfront, recurring) in [
        ("NoUpfront", 0.0, 0.12),
        ("PartialUpfront", 0.07, 0.05),
        ("AllUpfront", 0.12, 0.0),
    ] {
        let [fee, covered] = Row::hour_of(COMPUTE, 0, 0.12, 0.06);
        let fee = fee
            .text("savings_plan_payment_option", option)
            .number(
                "savings_plan_amortized_upfront_commitment_for_billing_period",
                upfront,
            )
            .number("savings_plan_recurring_commitment_for_billing_period", recurring)
            .unblended(recurring);
        let seen = read(Bucket::of([fee, covered]).path()).utilization();
        let hour = seen.hour(COMPUTE, 0);
        assert_eq!(
            (hour.commitment, hour.unused, hour.utilization),
            (usd(0.12), usd(0.06), Some(0.5)),
            "{option}"
        );
        // Spelt as AWS does, whichever way the report does.
        assert_eq!(
            seen.plan(COMPUTE)
                .payment_option
                .as_deref()
                .map(|o| o.replace(' ', "")),
            Some(option.to_owned())
        );
        assert!(
            seen.plan(COMPUTE)
                .payment_option
                .as_deref()
                .is_some_and(|o| o.ends_with(" Upfront"))
        );
    }
}

// 6.4: $0.75 an hour in a daily report.
#[test]
fn a_day_of_eighteen_dollars_with_six_used_is_a_third() {
    let bucket = Bucket::of(Row::hour_of(COMPUTE, 0, 18.0, 6.0).map(|row| row.lasting(24)));
    let total = read(bucket.path()).utilization().sum(COMPUTE);
    assert_eq!((total.hours, total.utilization), (24, Some(0.333_333_333_3)));
}

// 6.7
#[test]
fn one_truth_reads_the_same_from_legacy_and_cur2() {
    let rows: Vec<Row> = (0..30)
        .flat_map(|h| {
            let cents = f64::from(h) / 100.0;
            let m5 = Row::hour_of(EC2_M5, h, 2.0, 1.0 + cents).map(Row::for_m5_in_ohio);
            let compute =
                Row::hour_of(COMPUTE, h, 1.0, cents).map(|row| row.region("us-east-2").tag_cluster("prod"));
            let rest = [
                Row::on_demand(h, "USE2-BoxUsage:m5.large")
                    .list(0.096)
                    .tag_node_pool("general"),
                Row::spot(h, "EU-SpotUsage:c5.large").unblended(0.03),
            ];
            m5.into_iter().chain(compute).chain(rest)
        })
        .collect();
    let legacy = read(Bucket::written(File::legacy(), rows.clone()).path()).utilization();
    let cur2 = read(Bucket::written(File::cur2(), rows).path()).utilization();
    assert_eq!(
        (legacy.document.source.format, cur2.document.source.format),
        (Some("legacy"), Some("cur2"))
    );
    assert_eq!(legacy.analysis.ledger, cur2.analysis.ledger);
    assert_eq!(legacy.document.plans, cur2.document.plans);
}
