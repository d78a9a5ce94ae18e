//! Rows of every kind, good and bad: the query counts them as the builder does.

use chrono::Duration;

use super::compare;
use crate::support::athena::Athena;
use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, EC2_M5, File, Layout, Row, Times, at};

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
