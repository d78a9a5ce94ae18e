//! Whether a report's figures agree with each other, and whose report it is.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, File, Row, Seen, at, read, usd};

const M5: &str = "USE2-BoxUsage:m5.large";

/// Two days in which stated use and covered usage are these.
fn two_days(used: f64, covered: f64) -> Seen {
    let rows = (0..48).flat_map(|h| {
        let fee = Row::fee(COMPUTE, h).commitment(2.0).used(used);
        [fee, Row::covered(COMPUTE, h, M5).rate(covered).cost(covered)]
    });
    read(Bucket::of(rows).path()).now(at(49)).history().unwrap()
}

#[test]
fn float_noise_between_use_and_coverage_is_no_gap() {
    let seen = two_days(1.0, 1.000_001);
    assert_eq!(seen.hour(COMPUTE, 0).reconciles, Some(true));
    assert!(seen.warning("reconciliation-gap").is_none());
}

#[test]
fn a_gap_of_half_a_percent_warns_and_decisions_take_the_larger_figure() {
    for (used, covered) in [(1.0, 1.004), (1.004, 1.0)] {
        let seen = two_days(used, covered);
        let hour = seen.hour(COMPUTE, 0);
        assert_eq!((hour.reconciles, hour.mature), (Some(true), true));
        assert_eq!(
            (hour.used, hour.covered),
            (usd(used), usd(covered)),
            "both are shown as they are"
        );
        assert_eq!(hour.demand, usd(1.004));
        assert!(
            seen.warning("reconciliation-gap")
                .unwrap()
                .message
                .contains("48 hours")
        );
        let group = &seen.groups(at(49))[0];
        assert_eq!(group.doubt, None);
        assert_eq!(group.nowcast.as_ref().map(|nowcast| nowcast.demand), usd(1.004));
    }
}

#[test]
fn a_larger_gap_does_not_reconcile_and_freezes_the_group() {
    for (used, covered) in [(1.0, 1.006), (1.0, 0.994), (1.0, 0.0), (0.0, 1.0)] {
        let seen = two_days(used, covered);
        let hour = seen.hour(COMPUTE, 0);
        assert_eq!(
            (hour.reconciles, hour.mature),
            (Some(false), false),
            "{used} and {covered}"
        );
        assert_eq!(
            seen.warning("not-reconciling").unwrap().plan.as_deref(),
            Some(COMPUTE)
        );
        assert!(seen.groups(at(49))[0].doubt.is_some(), "{used} and {covered}");
    }
}

#[test]
fn more_use_than_commitment_does_not_reconcile() {
    let seen = two_days(2.5, 2.5);
    let hour = seen.hour(COMPUTE, 0);
    assert_eq!(
        (hour.used, hour.unused, hour.reconciles),
        (usd(2.0), usd(0.0), Some(false))
    );
}

// Trap 13: a WHERE in the export's query can take the rows that prove the use.
#[test]
fn an_export_that_filters_covered_usage_out_is_shown_and_not_decided_on() {
    let rows = (0..48).flat_map(|h| {
        [
            Row::fee(COMPUTE, h).commitment(1.0).used(0.5),
            Row::spot(h, "USE2-SpotUsage:m5.large"),
        ]
    });
    let bucket = Bucket::written(File::cur2(), rows);
    let seen = read(bucket.path()).now(at(49)).history().unwrap();
    assert_eq!(seen.sum(COMPUTE).utilization, Some(0.5));
    assert!(
        seen.plan(COMPUTE)
            .hours
            .iter()
            .all(|hour| hour.reconciles == Some(false))
    );
    assert!(seen.groups(at(49))[0].doubt.is_some());
}

// Trap 21
#[test]
fn a_plan_of_another_account_has_an_unknown_total_not_a_full_one() {
    let theirs = (0..48).map(|h| Row::covered(COMPUTE_2, h, M5).rate(0.4).cost(0.4));
    let ours = (0..48).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5));
    let bucket = Bucket::of(ours.chain(theirs));
    let seen = read(bucket.path()).now(at(49)).history().unwrap();
    let hour = seen.hour(COMPUTE_2, 0);
    assert_eq!(
        (
            hour.commitment,
            hour.used,
            hour.unused,
            hour.utilization,
            hour.demand
        ),
        (None, None, None, None, None)
    );
    assert_eq!((hour.covered, hour.mature), (usd(0.4), false));
    let total = seen.sum(COMPUTE_2);
    assert_eq!((total.commitment, total.utilization), (None, None));
    assert_eq!(
        seen.warning("commitment-unknown").unwrap().plan.as_deref(),
        Some(COMPUTE_2)
    );
    let json: serde_json::Value = serde_json::from_str(&seen.json()).unwrap();
    assert!(
        json["plans"][1]["total"]["utilization"].is_null(),
        "{}",
        json["plans"][1]["total"]
    );
    let doubt = seen.groups(at(49))[0].doubt.clone().unwrap_or_default();
    assert!(
        doubt.contains("unknown") || doubt.contains("reconcile"),
        "{doubt}"
    );
}

// Trap 2: when all use is gone at once, rows are missing; no fleet stops like that.
#[test]
fn use_that_falls_to_nothing_in_the_newest_hours_is_not_believed() {
    let rows = (0..48).flat_map(|h| {
        if h < 20 {
            Row::hour_of(COMPUTE, h, 1.0, 0.5)
        } else {
            [
                Row::fee(COMPUTE, h).commitment(1.0).used(0.0),
                Row::spot(h, "USE2-SpotUsage:m5.large"),
            ]
        }
    });
    let seen = read(Bucket::of(rows).path()).now(at(49)).history().unwrap();
    assert!(seen.hour(COMPUTE, 22).mature);
    let doubt = seen.groups(at(49))[0].doubt.clone().unwrap();
    assert!(doubt.contains("fell to nothing"), "{doubt}");
}

#[test]
fn a_report_older_than_max_data_age_is_not_decided_on() {
    let bucket = Bucket::of((0..48).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5)));
    let doubt = |now| read(bucket.path()).now(now).history().unwrap().analysis.doubt;
    assert_eq!(doubt(at(48 + 72)), None);
    assert!(doubt(at(48 + 73)).is_some_and(|why| why.contains("maxDataAge")));
}

#[test]
fn a_report_without_plans_is_no_doubt_and_is_said() {
    let bucket = Bucket::of([Row::on_demand(0, M5).list(0.1)]);
    let seen = read(bucket.path()).now(at(2)).history().unwrap();
    assert!(seen.warning("no-plans").is_some());
    assert_eq!(
        (seen.analysis.doubt.clone(), seen.document.plans.len()),
        (None, 0)
    );
}
