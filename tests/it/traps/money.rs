//! Dollars: which column says what a plan paid for.

use brimful_savings_plans::ledger::UsageClass;

use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, File, Row, at, read, usd};

const M5: &str = "USE2-BoxUsage:m5.large";

// Trap 3
#[test]
fn an_all_upfront_plan_has_fees_of_nothing_and_a_commitment_all_the_same() {
    let [fee, covered] = Row::hour_of(COMPUTE, 0, 0.12, 0.06);
    let fee = fee
        .unblended(0.0)
        .text("savings_plan_payment_option", "All Upfront")
        .number(
            "savings_plan_amortized_upfront_commitment_for_billing_period",
            0.12,
        );
    let bucket = Bucket::of([fee, covered]);
    let seen = read(bucket.path()).utilization();
    assert_eq!(seen.hour(COMPUTE, 0).commitment, usd(0.12));
    assert_eq!(seen.sum(COMPUTE).utilization, Some(0.5));
    assert_eq!(seen.plan(COMPUTE).payment_option.as_deref(), Some("All Upfront"));
}

// Trap 4: whichever sign a negation's numbers have.
#[test]
fn negations_are_neither_usage_nor_cost() {
    let rows = Row::hour_of(COMPUTE, 0, 1.0, 0.5);
    let alone = read(Bucket::of(rows.clone()).path()).utilization();
    for sign in [1.0, -1.0] {
        let negation = Row::negation(COMPUTE, 0, M5)
            .amount(sign)
            .list(sign * 0.8)
            .cost(sign * 0.5)
            .rate(0.9);
        let bucket = Bucket::of(rows.clone().into_iter().chain([negation]));
        let seen = read(bucket.path()).utilization();
        assert_eq!(seen.analysis.ledger, alone.analysis.ledger);
    }
}

// Trap 5
#[test]
fn covered_usage_counts_at_what_the_plan_paid_not_at_the_on_demand_cost() {
    let covered = Row::covered(COMPUTE, 0, M5)
        .rate(0.06)
        .cost(0.06)
        .list(0.096)
        .tag_cluster("prod");
    let bucket = Bucket::of([Row::fee(COMPUTE, 0).commitment(1.0).used(0.06), covered]);
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        (seen.hour(COMPUTE, 0).covered, seen.hour(COMPUTE, 0).reconciles),
        (usd(0.06), Some(true))
    );
    let cells = seen.cells(UsageClass::Covered(0));
    assert_eq!((cells.len(), Some(cells[0].1.cost())), (1, usd(0.06)));
    let prices: Vec<_> = seen
        .analysis
        .ledger
        .on_demand_prices
        .values()
        .copied()
        .map(Some)
        .collect();
    assert_eq!(prices, [usd(0.096)]);
}

// Trap 6: the column's name ends in `_date`, and its text is a number.
#[test]
fn the_commitment_is_a_number_although_its_column_is_named_a_date() {
    let bucket = Bucket::written(
        File::legacy().numbers_as_text(),
        Row::hour_of(COMPUTE, 0, 20_261_101.0, 0.5),
    );
    assert_eq!(
        read(bucket.path()).utilization().hour(COMPUTE, 0).commitment,
        usd(20_261_101.0)
    );
}

// Trap 7
#[test]
fn the_upfront_fee_is_no_hour_of_the_plan_and_makes_no_report_monthly() {
    let bought = at(3) + chrono::Duration::seconds(234);
    let upfront = |arn| {
        let row = Row::fee(arn, 3).text("line_item_line_item_type", "SavingsPlanUpfrontFee");
        row.between(bought, at(720))
            .unblended(43.80)
            .commitment(43.80)
            .used(43.80)
    };
    let bucket = Bucket::of(
        Row::hour_of(COMPUTE, 3, 0.005, 0.0039)
            .into_iter()
            .chain([upfront(COMPUTE), upfront(COMPUTE_2)]),
    );
    let seen = read(bucket.path()).utilization();
    assert_eq!(seen.sum(COMPUTE).commitment, usd(0.005));
    assert_eq!(
        seen.arns(),
        [COMPUTE],
        "a plan of which only the purchase is known has no use to show"
    );
}

// Trap 23
#[test]
fn plans_in_several_currencies_are_shown_apart_and_not_decided_on() {
    let yuan = |row: Row| row.text("line_item_currency_code", "CNY");
    let rows = (0..48).flat_map(|h| {
        let china = Row::hour_of(COMPUTE_2, h, 7.0, 7.0).map(yuan);
        Row::hour_of(COMPUTE, h, 1.0, 0.5).into_iter().chain(china)
    });
    let bucket = Bucket::of(rows);
    let seen = read(bucket.path()).now(at(49)).history().unwrap();
    assert!(
        seen.warning("mixed-currencies")
            .unwrap()
            .message
            .contains("CNY, USD")
    );
    assert_eq!(seen.sum(COMPUTE).commitment, usd(48.0));
    assert_eq!(seen.sum(COMPUTE_2).commitment, usd(336.0));
    let doubt = seen.groups(at(49))[0].doubt.clone().unwrap();
    assert!(doubt.contains("currencies"), "{doubt}");
}

// Trap 30
#[test]
fn utilization_of_a_time_is_used_over_committed_not_a_mean_of_percentages() {
    let rows = Row::hour_of(COMPUTE, 0, 10.0, 1.0)
        .into_iter()
        .chain(Row::hour_of(COMPUTE, 1, 1.0, 1.0));
    let seen = read(Bucket::of(rows).path()).utilization();
    // The mean of 10 % and 100 % would be 55 %.
    assert_eq!(seen.sum(COMPUTE).utilization, Some(0.181_818_181_8));
}

// Trap 31: commitment and use are before negotiated discounts, so net columns must not be mixed in.
#[test]
fn net_columns_of_a_negotiated_discount_change_nothing() {
    let rows = Row::hour_of(COMPUTE, 0, 1.0, 0.5);
    let plain = read(Bucket::of(rows.clone()).path()).utilization();
    let [fee, covered] = rows;
    let fee = fee
        .number("savings_plan_net_recurring_commitment_for_billing_period", 0.9)
        .number("line_item_net_unblended_cost", 0.9);
    let covered = covered
        .number("savings_plan_net_savings_plan_effective_cost", 0.45)
        .number("line_item_net_unblended_cost", 0.7);
    let discounted = read(Bucket::of([fee, covered]).path()).utilization();
    assert_eq!(discounted.analysis.ledger, plain.analysis.ledger);
}

// Trap 35
#[test]
fn numbers_may_be_text_with_an_exponent() {
    let [fee, covered] = Row::hour_of(COMPUTE, 0, 1.0, 0.5);
    let fee = fee
        .text("savings_plan_used_commitment", "3.15932e-05")
        .text("savings_plan_total_commitment_to_date", " 1.0 ");
    let covered = covered.text("savings_plan_savings_plan_effective_cost", "3.15932E-05");
    let bucket = Bucket::written(File::legacy().numbers_as_text(), [fee, covered]);
    let hour = read(bucket.path()).utilization().hour(COMPUTE, 0);
    assert_eq!(
        (hour.used, hour.covered, hour.commitment),
        (usd(3.159_32e-5), usd(3.159_32e-5), usd(1.0))
    );
    assert_eq!(hour.reconciles, Some(true));
}

// Trap 35
#[test]
fn a_commitment_that_is_no_number_is_counted_and_never_nothing() {
    for (column, garbage) in [
        ("savings_plan_used_commitment", "n/a"),
        ("savings_plan_total_commitment_to_date", "NaN"),
        ("savings_plan_total_commitment_to_date", "1,5"),
        ("savings_plan_total_commitment_to_date", "inf"),
        ("savings_plan_savings_plan_effective_cost", "-"),
    ] {
        let broken = Row::hour_of(COMPUTE, 1, 1.0, 0.5).map(|row| {
            if row.values.contains_key(column) {
                row.text(column, garbage)
            } else {
                row
            }
        });
        let rows = Row::hour_of(COMPUTE, 0, 1.0, 0.5)
            .into_iter()
            .chain(broken)
            .chain(Row::hour_of(COMPUTE, 40, 1.0, 0.5));
        let bucket = Bucket::written(File::legacy().numbers_as_text(), rows);
        let seen = read(bucket.path()).utilization();
        assert_eq!(seen.analysis.ledger.unreadable_rows, 1, "{column} = {garbage}");
        assert!(seen.warning("unreadable-rows").is_some());
        assert!(seen.hour(COMPUTE, 0).mature);
        let hour = seen.hour(COMPUTE, 1);
        assert!(
            !hour.mature && hour.reconciles != Some(true),
            "{column} = {garbage}: {hour:?}"
        );
        assert_ne!(hour.commitment, usd(0.0));
    }
}

// Trap 35: demand would be too low without the row, so its hour is not used.
#[test]
fn an_hour_whose_uncovered_usage_cannot_be_read_is_not_decided_on() {
    for column in ["line_item_usage_amount", "line_item_unblended_cost"] {
        let broken = Row::on_demand(1, M5)
            .amount(1.0)
            .unblended(0.1)
            .text(column, "many");
        let rows = (0..2)
            .chain([40])
            .flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5))
            .chain([broken]);
        let bucket = Bucket::written(File::legacy().numbers_as_text(), rows);
        let seen = read(bucket.path()).utilization();
        assert_eq!(seen.analysis.ledger.unreadable_rows, 1, "{column}");
        assert!(
            seen.hour(COMPUTE, 0).mature && !seen.hour(COMPUTE, 1).mature,
            "{column}"
        );
    }
}

// Trap 35
#[test]
fn a_time_that_is_no_time_is_counted() {
    let rows = Row::hour_of(COMPUTE, 0, 1.0, 0.5)
        .into_iter()
        .chain([Row::on_demand(0, M5).unblended(0.1)]);
    let renamed = File::legacy()
        .renamed("line_item_usage_start_date", "was_start")
        .renamed("start_as_text", "line_item_usage_start_date");
    let rows: Vec<Row> = rows.collect();
    let times = ["2026-11-01T00:00:00Z", "2026-11-01 00:00:00", "yesterday"];
    let rows = rows
        .into_iter()
        .zip(times)
        .map(|(row, time)| row.text("start_as_text", time));
    let seen = read(Bucket::written(renamed, rows).path()).utilization();
    assert_eq!(seen.analysis.ledger.unreadable_rows, 1);
    assert_eq!(seen.hour(COMPUTE, 0).covered, usd(0.5));
    assert!(seen.cells(UsageClass::OnDemand).is_empty());
}
