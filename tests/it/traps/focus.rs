//! FOCUS exports: the same truth in other words, and what they cannot tell.

use std::collections::BTreeSet;

use brimful_savings_plans::ledger::Ledger;
use brimful_savings_plans::savings_plan::PlanKind;

use crate::support::cur::{Bucket, COMPUTE, EC2_M5, File, Focus, Row, at, message, read, usd};

const M5: &str = "USE2-BoxUsage:m5.large";

/// A day and a half of everything.
fn rows() -> Vec<Row> {
    let hours = (0..36).flat_map(|h| {
        let cents = f64::from(h) / 100.0;
        let m5 =
            Row::hour_of(EC2_M5, h, 2.0, 1.0 + cents).map(|row| row.for_m5_in_ohio().region("us-east-2"));
        let compute =
            Row::hour_of(COMPUTE, h, 1.0, cents).map(|row| row.region("us-east-2").tag_cluster("prod"));
        let rest = [
            Row::on_demand(h, M5)
                .list(0.096)
                .tag_node_pool("general")
                .region("us-east-2"),
            Row::reserved(h, M5).tag_cluster("prod").region("us-east-2"),
            Row::spot(h, "EU-SpotUsage:c5.large")
                .region("eu-west-1")
                .unblended(0.03)
                .number("pricing_public_on_demand_cost", 0.09),
        ];
        m5.into_iter().chain(compute).chain(rest)
    });
    hours.collect()
}

/// The ledger without what FOCUS has no word for: a plan's term, and how it is paid.
fn ledger(file: File) -> Ledger {
    let seen = read(Bucket::written(file, rows()).path()).utilization();
    assert_eq!(seen.analysis.ledger.unreadable_rows, 0);
    let mut ledger = seen.analysis.ledger;
    for entry in &mut ledger.plans {
        (entry.plan.start, entry.plan.end, entry.plan.payment_option) = (None, None, None);
    }
    ledger
}

// 6.7
#[test]
fn one_truth_gives_one_ledger_in_all_three_formats() {
    let legacy = ledger(File::legacy());
    assert_eq!((legacy.plans.len(), legacy.plans[0].hours.len()), (2, 36));
    for file in [
        File::cur2(),
        File::focus(Focus::OneZero),
        File::focus(Focus::OneTwo),
        File::focus(Focus::OneTwo).without("x_ServiceCode"),
        File::focus(Focus::OneTwo).without("CommitmentDiscountQuantity"),
    ] {
        assert_eq!(ledger(file.clone()), legacy, "{file:?}");
    }
}

#[test]
fn where_the_meter_names_no_type_the_price_details_do() {
    let (found, legacy) = (ledger(File::focus(Focus::Details)), ledger(File::legacy()));
    assert_eq!(found.plans, legacy.plans);
    let plain = |ledger: &Ledger| -> BTreeSet<(String, String)> {
        let series = ledger.series.iter();
        series
            .map(|one| {
                let usage_type = one.usage_type.rsplit('-').next().unwrap().to_owned();
                (usage_type, one.region.to_string())
            })
            .collect()
    };
    assert_eq!(plain(&found), plain(&legacy));
}

#[test]
fn hours_count_by_their_age_and_what_cannot_be_told_is_null() {
    let bucket = Bucket::written(File::focus(Focus::OneTwo), rows());
    let seen = read(bucket.path()).now(at(40)).history().unwrap();
    assert_eq!(seen.analysis.doubt, None);
    assert!(seen.warning("focus-report").is_some());
    let shown = read(bucket.path()).now(at(40)).utilization();
    assert_eq!(shown.document.source.format, Some("focus"));
    let (old, young) = (shown.hour(COMPUTE, 5), shown.hour(COMPUTE, 20));
    assert_eq!(
        (old.commitment, old.used, old.covered),
        (usd(1.0), usd(0.05), usd(0.05))
    );
    assert_eq!((old.reconciles, old.mature, young.mature), (None, true, false));
    let plan = shown.plan(EC2_M5);
    assert_eq!(
        (plan.kind, plan.family.as_deref()),
        (PlanKind::Ec2Instance, Some("m5"))
    );
    assert_eq!(
        (&plan.start, &plan.end, &plan.payment_option),
        (&None, &None, &None)
    );
}

// 6.6: the scenario of the FOCUS specification, 75 % of a day.
#[test]
fn eighteen_used_hours_and_six_unused_ones_are_75_percent() {
    let day = (0..24).flat_map(|h| {
        let [fee, covered] = Row::hour_of(COMPUTE, h, 52.40, if h < 18 { 52.40 } else { 0.0 });
        let rest = Row::on_demand(h, M5).list(0.1);
        if h < 18 {
            vec![fee, covered, rest]
        } else {
            vec![fee, rest]
        }
    });
    let bucket = Bucket::written(File::focus(Focus::OneZero), day);
    let total = read(bucket.path()).utilization().sum(COMPUTE);
    assert_eq!(
        (total.hours, total.used, total.utilization),
        (24, usd(18.0 * 52.40), Some(0.75))
    );
}

#[test]
fn a_plans_hour_without_any_row_is_missing_not_idle() {
    let hours = (0..40)
        .filter(|h| *h != 7)
        .flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5));
    let rows: Vec<Row> = hours.chain([Row::on_demand(7, M5).list(0.1)]).collect();
    let seen = read(Bucket::written(File::focus(Focus::OneTwo), rows).path())
        .now(at(44))
        .history()
        .unwrap();
    let group = &seen.analysis.utilization.groups[0];
    let (gap, before) = (crate::support::cur::hour(7), crate::support::cur::hour(6));
    assert!(!group.hours[&gap].mature && group.hours[&gap].contradictory);
    assert!(group.hours[&before].mature);
}

#[test]
fn a_missing_column_is_named_with_its_file_and_the_way_out() {
    for column in [
        "ChargeCategory",
        "ChargePeriodEnd",
        "CommitmentDiscountStatus",
        "EffectiveCost",
    ] {
        let bucket = Bucket::written(File::focus(Focus::OneTwo).without(column), rows());
        let refused = message(read(bucket.path()).try_utilization());
        assert!(
            refused.contains(column)
                && refused.contains("acme-00001.snappy.parquet")
                && refused.contains("FOCUS"),
            "{refused}"
        );
    }
}

#[test]
fn without_awss_own_columns_use_is_shown_up_to_the_newest_usage_and_nothing_decided() {
    let bucket = Bucket::written(File::focus(Focus::Plain), rows());
    let shown = read(bucket.path()).now(at(40)).utilization();
    assert_eq!(shown.analysis.utilization.horizon, Some(at(36)));
    assert_eq!(
        (shown.hour(COMPUTE, 30).commitment, shown.hour(COMPUTE, 30).used),
        (usd(1.0), usd(0.3))
    );
    let seen = read(bucket.path()).now(at(40)).history().unwrap();
    let missing = seen.warning("missing-columns").unwrap();
    assert!(
        missing.message.contains("x_UsageType or SkuMeter"),
        "{}",
        missing.message
    );
    assert!(seen.analysis.doubt.is_some());
}

#[test]
fn a_plans_dollars_are_those_before_negotiated_discounts() {
    let rows = Row::hour_of(COMPUTE, 0, 10.0, 9.0);
    let whole = read(Bucket::written(File::focus(Focus::OneTwo), rows.clone()).path()).utilization();
    assert_eq!(
        (whole.hour(COMPUTE, 0).commitment, whole.hour(COMPUTE, 0).used),
        (usd(10.0), usd(9.0))
    );
    let discounted = File::focus(Focus::OneTwo).discounted();
    let found = read(Bucket::written(discounted, rows).path()).utilization();
    assert_eq!(found.hour(COMPUTE, 0), whole.hour(COMPUTE, 0));
}

#[test]
fn a_daily_export_shows_use_and_is_refused_for_decisions() {
    let days = (0..4).flat_map(|day| Row::hour_of(COMPUTE, day * 24, 24.0, 18.0).map(|row| row.lasting(24)));
    let bucket = Bucket::written(File::focus(Focus::OneTwo), days);
    let shown = read(bucket.path()).utilization();
    assert_eq!(shown.sum(COMPUTE).utilization, Some(0.75));
    let refused = message(read(bucket.path()).history());
    assert!(
        refused.contains("DAILY") && refused.contains("hourly"),
        "{refused}"
    );
}

#[test]
fn focus_and_cur_files_together_are_refused() {
    let bucket = Bucket::written(File::cur2(), rows());
    let key = bucket.key("2026-11", "1", 1);
    let all = rows();
    let keys = bucket.deliver("2026-11", "1", &[&all, &all]);
    assert_ne!(keys[1], key);
    File::focus(Focus::OneTwo).write(&bucket.join(&keys[1]), &all);
    let refused = message(read(bucket.path()).try_utilization());
    assert!(
        refused.contains("CUR 2.0 and FOCUS files lie together"),
        "{refused}"
    );
}
