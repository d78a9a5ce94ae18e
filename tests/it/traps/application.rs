//! The application order, replayed: a report that AWS made by it is reproduced, one made otherwise is noticed.

use brimful_savings_plans::ledger::UsageClass;
use brimful_savings_plans::replay::{Replay, replay};
use brimful_savings_plans::sharing::Sharing;

use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, EC2_M5, Row, Seen, at, read, usd};

const M5: &str = "USE2-BoxUsage:m5.large";
const R5: &str = "USE2-BoxUsage:r5.large";
/// The account that owns the plans.
const OWNER: &str = "111122223333";
const OTHER: &str = "444455556666";

/// Usage of an account that a plan paid for, of an on-demand price of $0.10.
fn covered(arn: &str, account: &str, hour: i32, usage_type: &str, rate: f64, amount: f64) -> Row {
    Row::covered(arn, hour, usage_type)
        .account(account)
        .amount(amount)
        .rate(rate)
        .cost(rate * amount)
        .list(0.1 * amount)
}

fn on_demand(account: &str, hour: i32, usage_type: &str, amount: f64) -> Row {
    Row::on_demand(hour, usage_type)
        .account(account)
        .amount(amount)
        .list(0.1 * amount)
}

/// Two days whose first is mature; each hour is made of these rows.
fn days(hour: impl Fn(i32) -> Vec<Row>) -> Seen {
    let rows = (0..48).flat_map(hour);
    read(Bucket::of(rows).path()).now(at(48)).utilization()
}

fn replayed(seen: &Seen, sharing: &Sharing) -> Replay {
    replay(&seen.analysis.ledger, &seen.analysis.utilization, sharing)
}

/// An EC2 Instance plan is filled by its owner's m5 and a part of the other account's; a Compute plan by the rest.
fn by_the_rules(hour: i32) -> Vec<Row> {
    vec![
        Row::fee(EC2_M5, hour).commitment(0.6).used(0.6).for_m5_in_ohio(),
        Row::fee(COMPUTE, hour).commitment(1.0).used(1.0),
        covered(EC2_M5, OWNER, hour, M5, 0.06, 8.0).for_m5_in_ohio(),
        covered(EC2_M5, OTHER, hour, M5, 0.06, 2.0).for_m5_in_ohio(),
        // The owner's r5 first, although m5 saves more; then the other's m5, as far as the money goes.
        covered(COMPUTE, OWNER, hour, R5, 0.08, 5.0),
        covered(COMPUTE, OTHER, hour, M5, 0.075, 8.0),
        on_demand(OTHER, hour, M5, 3.0),
        on_demand(OTHER, hour, R5, 1.0),
    ]
}

#[test]
fn a_report_made_by_the_rules_is_reproduced() {
    let seen = days(by_the_rules);
    let found = replayed(&seen, &Sharing::Open);
    assert_eq!(found.hours, 24, "the second day is not mature");
    assert_eq!(found.by_plan().fraction(), Some(0.0));
    assert_eq!(Some(found.by_plan().commitment), usd(1.6 * 24.0));
}

#[test]
fn everybodys_usage_is_kept_by_account() {
    let seen = days(by_the_rules);
    // Plans are sorted by ARN: the Compute plan first.
    let cells = seen.cells(UsageClass::Covered(1));
    let of = |account: &str| {
        let own = cells.iter().filter(|(series, _)| &*series.account == account);
        own.map(|(_, cell)| cell.amount.units()).sum::<f64>()
    };
    assert_eq!((of(OWNER), of(OTHER)), (48.0 * 8.0, 48.0 * 2.0));
    let uncovered = seen.cells(UsageClass::OnDemand);
    assert!(uncovered.iter().all(|(series, _)| &*series.account == OTHER));
}

#[test]
fn a_report_with_sharing_off_is_noticed() {
    // The plan is half idle while another account pays on demand.
    let seen = days(|hour| {
        vec![
            Row::fee(COMPUTE, hour).commitment(1.0).used(0.5),
            covered(COMPUTE, OWNER, hour, M5, 0.05, 10.0),
            on_demand(OTHER, hour, M5, 20.0),
        ]
    });
    let open = replayed(&seen, &Sharing::Open);
    assert_eq!(open.by_group().fraction(), Some(0.5));
    assert_eq!(open.worst().map(|(plan, _)| plan), Some(0));
    assert_eq!(replayed(&seen, &Sharing::Off).by_group().fraction(), Some(0.0));
}

#[test]
fn usage_that_no_plan_ever_paid_for_counts_at_its_price() {
    // r5 has no rate in the report, and yet could have used what m5 left.
    let seen = days(|hour| {
        vec![
            Row::fee(COMPUTE, hour).commitment(1.0).used(0.5),
            covered(COMPUTE, OWNER, hour, M5, 0.05, 10.0),
            on_demand(OWNER, hour, R5, 2.0),
        ]
    });
    let found = replayed(&seen, &Sharing::Open);
    assert_eq!(Some(found.by_group().off), usd(0.2 * 24.0));
}

#[test]
fn how_plans_of_one_group_share_their_usage_is_left_open() {
    // Two plans of the same rates: the second, by ARN, was used first.
    let seen = days(|hour| {
        vec![
            Row::fee(COMPUTE, hour).commitment(1.0).used(0.2),
            Row::fee(COMPUTE_2, hour).commitment(1.0).used(1.0),
            covered(COMPUTE_2, OWNER, hour, M5, 0.05, 20.0),
            covered(COMPUTE, OWNER, hour, M5, 0.05, 4.0),
        ]
    });
    let found = replayed(&seen, &Sharing::Open);
    assert_eq!(found.by_group().fraction(), Some(0.0));
    assert_eq!(Some(found.by_plan().off), usd(1.6 * 24.0));
}

#[test]
fn hours_that_do_not_reconcile_are_not_replayed() {
    let seen = days(|hour| {
        let mut rows = by_the_rules(hour);
        if hour < 4 {
            rows.remove(3);
        }
        rows
    });
    assert_eq!(replayed(&seen, &Sharing::Open).hours, 20);
}

#[test]
fn a_daily_or_planless_report_has_nothing_to_replay() {
    let none = read(Bucket::of([on_demand(OWNER, 0, M5, 1.0)]).path()).utilization();
    let found = replayed(&none, &Sharing::Open);
    assert_eq!((found.hours, found.by_plan().fraction()), (0, None));
}

#[test]
fn the_bundled_fixtures_are_reproduced() {
    for form in ["fixtures/cur/legacy", "fixtures/cur/cur2"] {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(form);
        let now = "2026-11-21T18:00:00Z".parse().unwrap();
        let seen = read(&root).now(now).history().unwrap();
        let found = replayed(&seen, &Sharing::Open);
        assert_eq!(found.hours, 465);
        let by_plan = found.by_plan().fraction().unwrap();
        assert!(by_plan < 1e-6, "{form}: {by_plan:e}, {found:?}");
        let off = replayed(&seen, &Sharing::Off).by_group().fraction().unwrap();
        assert!(
            off > 0.3,
            "{form}: two plans belong to an account that uses nothing: {off}"
        );
    }
}
