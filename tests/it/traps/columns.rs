//! Columns and encodings: many ways to write the same, and none of them may matter.

use brimful_savings_plans::ledger::{Ledger, UsageClass};

use crate::support::cur::{Bucket, COMPUTE, File, Layout, Row, Times, at, message, read, usd};

const M5: &str = "USE2-BoxUsage:m5.large";

/// Some hours of everything; blanks of every sort.
fn rows() -> Vec<Row> {
    let hours = (0..30).flat_map(|h| {
        let usage = [
            Row::on_demand(h, M5)
                .list(0.096)
                .tag_cluster("prod")
                .tag_node_pool("general"),
            Row::on_demand(h, "EU-BoxUsage:r5.large").list(0.12),
            Row::spot(h, "USE2-SpotUsage:c5.large")
                .unblended(3.15932e-5)
                .tag_node_pool("spot"),
        ];
        Row::hour_of(COMPUTE, h, 1.0, 0.5).into_iter().chain(usage)
    });
    hours.collect()
}

fn ledger(file: File) -> Ledger {
    let seen = read(Bucket::written(file, rows()).path()).utilization();
    assert_eq!(seen.analysis.ledger.unreadable_rows, 0);
    seen.analysis.ledger
}

fn expected() -> Ledger {
    let ledger = ledger(File::legacy());
    assert_eq!(
        (
            ledger.plans.len(),
            ledger.plans[0].hours.len(),
            ledger.cells.concat().len()
        ),
        (1, 30, 120)
    );
    ledger
}

// Trap 11: '' in legacy reports, null or no map key in CUR 2.0, or no column at all.
#[test]
fn blank_null_and_absent_mean_the_same() {
    let expected = expected();
    let cluster = &expected
        .series
        .iter()
        .find(|series| &*series.node_pool == "general")
        .unwrap()
        .cluster;
    assert_eq!(&**cluster, "prod");
    assert!(expected.series.iter().any(|series| series.cluster.is_empty()));
    for file in [
        File::cur2(),
        File::cur2().tags_in("tags"),
        File::legacy()
            .without("product_region")
            .without("savings_plan_instance_type_family"),
        File::cur2()
            .without("product_region_code")
            .without("product")
            .without("identity_line_item_id"),
        File::cur2().region_in_product_map(),
    ] {
        assert_eq!(ledger(file.clone()), expected, "{file:?}");
    }
}

// Trap 11: an export without tags is one without clusters, not an error.
#[test]
fn without_a_tag_column_nothing_is_tagged() {
    let seen = read(Bucket::written(File::cur2().without("resource_tags"), rows()).path()).utilization();
    assert!(
        seen.analysis
            .ledger
            .series
            .iter()
            .all(|series| series.cluster.is_empty() && series.node_pool.is_empty())
    );
    assert_eq!(seen.hour(COMPUTE, 0).used, usd(0.5));
}

// Trap 11: the other keys under which a cluster's name is found.
#[test]
fn the_cluster_is_known_by_any_of_its_tags() {
    for key in [
        "aws_eks_cluster_name",
        "user_eks_eks_cluster_name",
        "user_eks_cluster_name",
        "user_alpha_eksctl_io_cluster_name",
    ] {
        for file in [File::legacy(), File::cur2()] {
            let tagged = Row::on_demand(0, M5)
                .list(0.1)
                .tag(key, "prod")
                .tag("user_team", "blue");
            let seen = read(Bucket::written(file, [tagged]).path()).utilization();
            assert_eq!(&*seen.cells(UsageClass::OnDemand)[0].0.cluster, "prod", "{key}");
        }
    }
}

// Trap 12
#[test]
fn files_of_one_month_may_differ_in_columns_and_in_their_order() {
    let bucket = Bucket::new(Layout::Legacy);
    let all = rows();
    let chunks: Vec<&[Row]> = all.chunks(50).collect();
    let keys = bucket.deliver("2026-11", "1", &chunks);
    let odd = File::legacy()
        .reversed()
        .without("product_region")
        .without("savings_plan_instance_type_family");
    odd.write(&bucket.join(&keys[1]), chunks[1]);
    let more: Vec<Row> = chunks[2]
        .iter()
        .map(|row| {
            row.clone()
                .text("product_storage", "EBS only")
                .number("reservation_unused_quantity", 2.0)
        })
        .collect();
    File::legacy().write(&bucket.join(&keys[2]), &more);
    assert_eq!(read(bucket.path()).utilization().analysis.ledger, expected());
}

// Trap 13
#[test]
fn a_renamed_required_column_is_named_with_its_file() {
    for column in [
        "line_item_line_item_type",
        "line_item_usage_start_date",
        "line_item_usage_end_date",
        "savings_plan_savings_plan_a_r_n",
        "savings_plan_used_commitment",
        "savings_plan_total_commitment_to_date",
    ] {
        let bucket = Bucket::written(File::cur2().renamed(column, "my_alias"), rows());
        let refused = message(read(bucket.path()).try_utilization());
        assert!(
            refused.contains(column) && refused.contains("acme-00001.snappy.parquet"),
            "{refused}"
        );
        assert!(refused.contains("QueryStatement"), "{refused}");
    }
}

// Trap 13: what is needed to check and to decide may lack for a look at utilization only.
#[test]
fn without_a_column_that_decisions_need_use_is_shown_and_nothing_decided() {
    for column in [
        "line_item_product_code",
        "line_item_operation",
        "line_item_usage_type",
        "line_item_usage_amount",
        "savings_plan_savings_plan_rate",
        "savings_plan_savings_plan_effective_cost",
    ] {
        let bucket = Bucket::written(File::cur2().without(column), rows());
        let seen = read(bucket.path()).now(at(31)).history().unwrap();
        assert!(seen.warning("missing-columns").unwrap().message.contains(column));
        assert!(seen.analysis.doubt.is_some(), "{column}");
        if column == "savings_plan_savings_plan_effective_cost" {
            let hour = seen.hour(COMPUTE, 0);
            assert_eq!(
                (hour.used, hour.covered, hour.reconciles, hour.mature),
                (usd(0.5), None, None, false)
            );
        }
    }
}

#[test]
fn a_parquet_file_of_something_else_is_no_report() {
    let bucket = Bucket::of([]);
    bucket.write_status("READY");
    let status = bucket.join("billing/acme/acme/cost_and_usage_data_status/status.snappy.parquet");
    let refused = message(read(&status).try_utilization());
    assert!(
        refused.contains("not a Cost and Usage Report") && refused.contains("status.snappy.parquet"),
        "{refused}"
    );
}

#[test]
fn a_column_of_another_type_is_named() {
    let file = File::legacy()
        .renamed("savings_plan_savings_plan_a_r_n", "was_arn")
        .renamed("line_item_unblended_cost", "savings_plan_savings_plan_a_r_n");
    let refused = message(read(Bucket::written(file, rows()).path()).try_utilization());
    assert!(
        refused.contains("column savings_plan_savings_plan_a_r_n has type Float64, expected text"),
        "{refused}"
    );
}

// Trap 33
#[test]
fn times_may_be_of_any_unit_int96_or_text() {
    let expected = expected();
    for times in [
        Times::Micros,
        Times::MicrosWithoutZone,
        Times::Nanos,
        Times::Int96,
        Times::Text,
    ] {
        assert_eq!(ledger(File::legacy().times(times)), expected, "{times:?}");
    }
    for times in [Times::Millis, Times::MicrosWithoutZone, Times::Nanos, Times::Text] {
        assert_eq!(ledger(File::cur2().times(times)), expected, "CUR 2.0 {times:?}");
    }
}

// Trap 33
#[test]
fn encodings_statistics_and_dictionary_offsets_do_not_matter() {
    let expected = expected();
    for file in [
        File::legacy().delta_strings(),
        File::legacy().without_statistics(),
        File::legacy().without_dictionary_offsets(),
        File::legacy().row_groups_of(7),
        File::legacy().numbers_as_text(),
        File::cur2()
            .delta_strings()
            .row_groups_of(11)
            .without_statistics(),
        File::cur2().numbers_as_text().reversed(),
    ] {
        assert_eq!(ledger(file.clone()), expected, "{file:?}");
    }
}

// Trap 33: statistics may spare row groups, and without them the window must give the same.
#[test]
fn a_window_gives_the_same_hours_with_statistics_and_without() {
    let forms = [
        File::legacy(),
        File::legacy().without_statistics(),
        File::legacy().times(Times::Nanos),
        File::legacy().times(Times::Text),
    ];
    for (index, form) in forms.into_iter().enumerate() {
        let bucket = Bucket::written(form.row_groups_of(5), rows());
        let seen = read(bucket.path()).window(at(10), at(12)).utilization();
        assert_eq!(
            (seen.sum(COMPUTE).hours, seen.sum(COMPUTE).used),
            (2, usd(1.0)),
            "form {index}"
        );
        assert_eq!(seen.document.source.rows, 150, "skipped or not");
    }
}

// Trap 34
#[test]
fn only_the_needed_columns_of_a_wide_file_are_read() {
    const WIDE: [&str; 12] = [
        "product_a",
        "product_b",
        "product_c",
        "product_d",
        "product_e",
        "product_f",
        "product_g",
        "product_h",
        "product_i",
        "product_j",
        "product_k",
        "product_l",
    ];
    let noise = |row: usize, column: usize| {
        format!(
            "{:x}",
            (row * 31 + column + 7)
                .wrapping_pow(5)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )
        .repeat(3)
    };
    let wide = (0..100).flat_map(|_| rows()).enumerate().map(|(at, row)| {
        WIDE.iter()
            .enumerate()
            .fold(row, |row, (column, name)| row.text(name, &noise(at, column)))
    });
    let bucket = Bucket::written(File::legacy().row_groups_of(2000), wide);
    let size = std::fs::metadata(bucket.join(&bucket.key("2026-11", "1", 1)))
        .unwrap()
        .len();
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        (seen.document.source.rows, seen.hour(COMPUTE, 0).used),
        (15_000, usd(50.0))
    );
    assert!(
        seen.document.source.bytes_read * 4 < size,
        "{} of {size} bytes",
        seen.document.source.bytes_read
    );
}
