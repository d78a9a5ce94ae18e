//! Hours: future ones, young ones, partial ones, long ones.

use chrono::Duration;

use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, EC2_M5, Row, at, message, read, usd};

const M5: &str = "USE2-BoxUsage:m5.large";

/// `hours` hours in which half of a dollar is used.
fn half_used(hours: std::ops::Range<i32>) -> impl Iterator<Item = Row> {
    hours.flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5))
}

// Trap 1; the numbers are worked number 6.8.
#[test]
fn fees_written_ahead_for_future_hours_do_not_count() {
    let past = (0..4).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.25));
    let ahead = (4..720).map(|h| Row::fee(COMPUTE, h).commitment(1.0).used(0.0));
    let bucket = Bucket::of(past.chain(ahead));
    let seen = read(bucket.path()).utilization();
    let total = seen.sum(COMPUTE);
    assert_eq!((total.hours, total.utilization), (4, Some(0.25)));
    assert_eq!((total.used, total.commitment), (usd(1.0), usd(4.0)));
    assert_eq!(
        seen.document.source.horizon.as_deref(),
        Some("2026-11-01T04:00:00Z")
    );
}

// Trap 1: nothing says how far a report of fees alone reaches, so none of its hours is known.
#[test]
fn a_report_of_future_fees_only_has_no_hours_and_decides_nothing() {
    let bucket = Bucket::of((0..720).map(|h| Row::fee(COMPUTE, h).commitment(1.0).used(0.0)));
    let seen = read(bucket.path()).utilization();
    assert!(seen.plan(COMPUTE).hours.is_empty());
    assert_eq!(seen.sum(COMPUTE).utilization, None);
    assert_eq!(seen.document.source.horizon, None);
    assert!(seen.warning("no-usage").is_some());
    assert!(read(bucket.path()).history().unwrap().analysis.doubt.is_some());
}

// Trap 1: rows that span the month, and those of products that bill ahead, say nothing about the newest hour.
#[test]
fn the_horizon_is_taken_from_instance_hours_alone() {
    let tax = Row::of("Tax", 0).product("AmazonEC2").usage_type(M5).lasting(720);
    let storage = Row::of("Usage", 90)
        .product("AmazonEC2")
        .usage_type("USE2-EBS:VolumeUsage.gp3");
    let bucket = Bucket::of(half_used(0..5).chain([tax, storage]));
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        seen.document.source.horizon.as_deref(),
        Some("2026-11-01T05:00:00Z")
    );
}

#[test]
fn without_any_instance_the_horizon_is_that_of_fargate_and_lambda_and_it_is_said() {
    let fee = (0..9).map(|h| Row::fee(COMPUTE, h).commitment(1.0).used(0.5));
    let lambda = |h| {
        Row::covered(COMPUTE, h, "USE2-Lambda-GB-Second")
            .product("AWSLambda")
            .operation("Invoke")
            .cost(0.5)
    };
    let bucket = Bucket::of(fee.chain((0..3).map(lambda)));
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        seen.document.source.horizon.as_deref(),
        Some("2026-11-01T03:00:00Z")
    );
    assert!(seen.warning("no-instance-usage").is_some());
}

#[test]
fn a_replay_sees_no_hour_that_has_not_ended_by_its_clock() {
    let bucket = Bucket::of(half_used(0..60));
    let seen = read(bucket.path())
        .now(at(30) + Duration::minutes(30))
        .utilization();
    assert_eq!(seen.sum(COMPUTE).hours, 30);
    assert_eq!(
        seen.document.source.horizon.as_deref(),
        Some("2026-11-02T06:30:00Z")
    );
}

// Trap 2
#[test]
fn hours_are_mature_a_day_before_the_horizon_and_not_earlier() {
    let bucket = Bucket::of(half_used(0..48));
    let seen = read(bucket.path()).utilization();
    assert!(seen.hour(COMPUTE, 23).mature);
    assert!(!seen.hour(COMPUTE, 24).mature);
    let impatient = read(bucket.path()).maturity(2).utilization();
    assert!(impatient.hour(COMPUTE, 45).mature && !impatient.hour(COMPUTE, 46).mature);
}

// Trap 2: regions report at their own pace, and a plan is only as far as the slowest of its regions.
#[test]
fn a_late_region_delays_the_groups_that_are_used_there_and_no_others() {
    let m5 = (0..48).flat_map(|h| Row::hour_of(EC2_M5, h, 1.0, 0.5).map(Row::for_m5_in_ohio));
    let compute = (0..48).map(|h| {
        Row::fee(COMPUTE, h)
            .commitment(1.0)
            .used(if h < 40 { 0.3 } else { 0.0 })
    });
    let ireland = (0..40).map(|h| {
        Row::covered(COMPUTE, h, "EU-BoxUsage:r5.large")
            .rate(0.3)
            .cost(0.3)
    });
    let bucket = Bucket::of(m5.chain(compute).chain(ireland));
    let seen = read(bucket.path()).utilization();
    assert!(seen.hour(EC2_M5, 23).mature);
    assert!(seen.hour(COMPUTE, 15).mature);
    assert!(
        !seen.hour(COMPUTE, 16).mature,
        "eu-west-1 reaches to hour 40 only"
    );
}

#[test]
fn a_region_that_stopped_two_days_ago_does_not_hold_the_others_up() {
    let rows = (0..72).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5));
    let left = Row::covered(COMPUTE, 3, "EU-BoxUsage:r5.large")
        .rate(0.1)
        .cost(0.0);
    let bucket = Bucket::of(rows.chain([left]));
    assert!(read(bucket.path()).utilization().hour(COMPUTE, 47).mature);
}

// Trap 6: a commitment "to date" is that of its own hour.
#[test]
fn the_commitment_to_date_of_an_hour_is_not_cumulative() {
    let bucket = Bucket::of(half_used(0..5));
    let seen = read(bucket.path()).utilization();
    assert!(
        seen.plan(COMPUTE)
            .hours
            .iter()
            .all(|hour| hour.commitment == usd(1.0))
    );
    assert_eq!(seen.sum(COMPUTE).commitment, usd(5.0));
}

// Trap 8
#[test]
fn the_first_hour_of_a_plan_counts_with_its_own_partial_commitment() {
    let begun = at(3) + Duration::minutes(45);
    let first = Row::fee(COMPUTE, 3)
        .between(begun, at(4))
        .commitment(0.25)
        .used(0.25);
    let covered = Row::covered(COMPUTE, 3, M5)
        .between(begun, at(4))
        .amount(0.25)
        .rate(1.0)
        .cost(0.25);
    let bucket = Bucket::of(half_used(4..6).chain([first, covered]));
    let seen = read(bucket.path()).utilization();
    assert_eq!(seen.hour(COMPUTE, 3).commitment, usd(0.25));
    assert_eq!(seen.hour(COMPUTE, 3).utilization, Some(1.0));
    assert_eq!(
        seen.sum(COMPUTE).utilization.map(|u| (u * 1e6).round()),
        Some((1.25f64 / 2.25 * 1e6).round())
    );
    // What stands for the commitment now is a whole hour's.
    let groups = read(bucket.path()).now(at(6)).history().unwrap().groups(at(6));
    assert_eq!(groups[0].in_force, usd(1.0).unwrap());
}

// Trap 8
#[test]
fn hours_without_a_commitment_are_left_out() {
    let nothing = Row::fee(COMPUTE, 2).commitment(0.0).used(0.0);
    let bucket = Bucket::of(half_used(0..2).chain([nothing, Row::on_demand(5, M5)]));
    let seen = read(bucket.path()).utilization();
    assert_eq!(seen.find_hour(COMPUTE, 2), None);
    assert_eq!(seen.sum(COMPUTE).hours, 2);
}

// Trap 8: an expired plan's rows stay in the month; its money is gone.
#[test]
fn an_expired_plan_is_shown_and_commits_to_nothing_now() {
    let ended = |row: Row| row.text("savings_plan_end_time", "2026-11-02T00:00:00.000Z");
    let expired = (0..24).flat_map(|h| Row::hour_of(COMPUTE_2, h, 5.0, 4.0).map(ended));
    let bucket = Bucket::of(half_used(0..60).chain(expired));
    let seen = read(bucket.path()).now(at(62)).history().unwrap();
    assert_eq!(seen.sum(COMPUTE_2).used, usd(96.0));
    let groups = seen.groups(at(62));
    assert_eq!(groups.len(), 1);
    assert_eq!(
        (groups[0].in_force, groups[0].doubt.clone()),
        (usd(1.0).unwrap(), None)
    );
    assert_eq!(groups[0].plans, [COMPUTE]);
}

// Trap 8: a plan that is queued has no rows; one that begins later commits to nothing yet.
#[test]
fn a_plan_that_has_not_begun_commits_to_nothing_now() {
    let later = |row: Row| row.text("savings_plan_start_time", "2026-11-20T00:00:00.000Z");
    let queued = (456..720).map(|h| later(Row::fee(COMPUTE_2, h).commitment(5.0)));
    let bucket = Bucket::of(half_used(0..60).chain(queued));
    let groups = read(bucket.path()).now(at(62)).history().unwrap().groups(at(62));
    assert_eq!(groups[0].plans, [COMPUTE]);
    assert_eq!(groups[0].in_force, usd(1.0).unwrap());
}

// Trap 9
#[test]
fn refunds_and_credits_of_a_returned_plan_take_nothing_from_the_figures() {
    let give_back = |kind| {
        Row::fee(COMPUTE, 1)
            .text("line_item_line_item_type", kind)
            .commitment(-1.0)
            .used(-0.5)
            .unblended(-1.0)
    };
    let bucket = Bucket::of(half_used(0..3).chain([give_back("Refund"), give_back("Credit")]));
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        (seen.hour(COMPUTE, 1).commitment, seen.hour(COMPUTE, 1).used),
        (usd(1.0), usd(0.5))
    );
}

// Trap 9: fees are written ahead, so a plan whose rows stop long before the report's end was returned.
#[test]
fn a_plan_whose_rows_vanish_before_its_end_counts_as_ended_then() {
    let vanished = (0..30).flat_map(|h| Row::hour_of(COMPUTE_2, h, 5.0, 4.0));
    let bucket = Bucket::of(half_used(0..60).chain(vanished));
    let seen = read(bucket.path()).now(at(62)).history().unwrap();
    assert_eq!(seen.sum(COMPUTE_2).hours, 30);
    let warning = seen.warning("plan-stopped").expect("a word about the plan");
    assert!(warning.message.contains("counts as ended then"), "{warning:?}");
    let group = &seen.groups(at(62))[0];
    assert_eq!(group.plans, [COMPUTE]);
    // What it paid falls to the plans that are left: no headroom is made of it.
    assert!(group.headroom() < usd(0.0), "{group:?}");
}

fn days(range: std::ops::Range<i32>) -> impl Iterator<Item = Row> {
    let day = |row: Row| row.lasting(24);
    range.flat_map(move |d| Row::hour_of(COMPUTE, d * 24, 18.0, 6.0).map(day))
}

// Trap 10: the numbers are those of a plan of $0.75 an hour.
#[test]
fn a_daily_report_shows_days_and_decides_nothing() {
    let bucket = Bucket::of(days(0..3));
    let seen = read(bucket.path()).utilization();
    let total = seen.sum(COMPUTE);
    assert_eq!(
        (total.hours, total.commitment, total.used),
        (72, usd(54.0), usd(18.0))
    );
    let plan = seen.plan(COMPUTE);
    assert_eq!(plan.hours.len(), 3);
    assert!(
        plan.hours.iter().all(|day| !day.mature),
        "no decision may rest on a day"
    );
    // The newest day ended less than a day before the report's end.
    assert_eq!((plan.total.hours, plan.total.used), (48, usd(12.0)));
    assert_eq!((plan.incomplete.hours, plan.incomplete.used), (24, usd(6.0)));
    assert!(seen.warning("daily-report").is_some());
    let refused = message(read(bucket.path()).history());
    assert!(
        refused.contains("DAILY") && refused.contains("hourly"),
        "{refused}"
    );
}

// Trap 10: today's entry already has the whole day's commitment and only a part of its use.
#[test]
fn the_day_that_has_not_ended_is_not_in_a_daily_reports_total() {
    let bucket = Bucket::of(days(0..3));
    let seen = read(bucket.path()).now(at(2 * 24 + 9)).utilization();
    let total = seen.sum(COMPUTE);
    assert_eq!((total.hours, total.commitment), (48, usd(36.0)));
}

// Trap 10
#[test]
fn a_monthly_report_is_refused_by_name() {
    let bucket = Bucket::of(Row::hour_of(COMPUTE, 0, 720.0, 500.0).map(|row| row.lasting(720)));
    for refused in [
        read(bucket.path()).try_utilization(),
        read(bucket.path()).history(),
    ] {
        let refused = message(refused);
        assert!(
            refused.contains("MONTHLY") && refused.contains("hourly"),
            "{refused}"
        );
    }
}
