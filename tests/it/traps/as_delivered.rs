//! Reports as AWS really delivers them, found in public accounts of real ones: folders, manifests, columns, writers, and what
//! their rows say of plans.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::fs;

use brimful_savings_plans::savings_plan::PlanKind;
use brimful_types::money::Money;
use parquet::basic::{BrotliLevel, Compression};

use crate::support::cur::{
    Bucket, COMPUTE, EC2_M5, File, Focus, Layout, Plans, Row, Seen, Times, at, message, read, usd,
};
use crate::support::run::{Brimful, fixture};

const M5: &str = "USE2-BoxUsage:m5.large";

fn rows(used: f64) -> Vec<Row> {
    (0..4).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, used)).collect()
}

fn forms() -> [File; 3] {
    [File::legacy(), File::cur2(), File::focus(Focus::OneTwo)]
}

// Folders and manifests

#[test]
fn months_of_an_export_are_found_however_their_folders_are_spelt() {
    for partition in ["BILLING_PERIOD", "billing_period", "Billing_Period"] {
        for layout in [Layout::Export, Layout::ExportCreateNew] {
            for file in [File::cur2(), File::focus(Focus::OneZero)] {
                let bucket = Bucket::with(layout, file).partitioned_by(partition);
                bucket.deliver("2026-10", "1", &[&[]]);
                bucket.deliver("2026-11", "1", &[&rows(0.2), &rows(0.2)]);
                bucket.deliver("2026-11", "2", &[&rows(0.5)]);
                for folder in ["", "billing", "billing/acme"] {
                    let seen = read(&bucket.join(folder)).utilization();
                    assert_eq!(
                        seen.sum(COMPUTE).used,
                        usd(2.0),
                        "{partition} {layout:?} {folder:?}"
                    );
                    assert_eq!(seen.document.source.billing_periods, ["2026-11"]);
                    assert!(seen.warning("no-manifest").is_none());
                }
            }
        }
    }
}

#[test]
fn without_a_manifest_the_newest_execution_counts_and_only_one_spelling_of_a_month() {
    let bucket = Bucket::with(Layout::ExportCreateNew, File::cur2()).partitioned_by("billing_period");
    for version in ["1", "2"] {
        bucket.deliver("2026-11", version, &[&rows(0.5)]);
    }
    fs::remove_dir_all(bucket.join("billing/acme/metadata")).unwrap();
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        (seen.sum(COMPUTE).used, seen.document.source.files),
        (usd(2.0), 1)
    );
    assert!(seen.warning("no-manifest").is_some());

    let upper = Bucket::new(Layout::Export);
    upper.deliver("2026-11", "1", &[&rows(0.5)]);
    let lower = upper.join("billing/acme/data/billing_period=2026-11/acme-00001.snappy.parquet");
    File::cur2().write(&lower, &rows(0.5));
    fs::remove_dir_all(upper.join("billing/acme/metadata")).unwrap();
    let seen = read(upper.path()).utilization();
    assert_eq!(
        (seen.sum(COMPUTE).used, seen.document.source.files),
        (usd(2.0), 1)
    );
}

#[test]
fn folders_of_a_legacy_months_may_be_padded_and_in_any_case() {
    for folder in ["year=2026/month=9", "year=2026/month=09", "YEAR=2026/Month=9"] {
        let bucket = Bucket::new(Layout::Legacy);
        let path = bucket.join(&format!("p/r/r/{folder}/r-00001.snappy.parquet"));
        let september = rows(0.5).into_iter().map(|row| row.later(-61 * 24));
        File::legacy().write(&path, &september.collect::<Vec<_>>());
        let seen = read(bucket.path()).now(at(-40 * 24)).utilization();
        assert_eq!(seen.document.source.billing_periods, ["2026-09"], "{folder}");
        assert_eq!(seen.sum(COMPUTE).used, usd(2.0));
    }
}

#[test]
fn what_focus_exports_have_beside_their_manifest_is_no_manifest_unless_it_names_files() {
    let bucket = Bucket::with(Layout::Export, File::focus(Focus::OneTwo)).partitioned_by("billing_period");
    let keys = bucket.deliver("2026-11", "1", &[&rows(0.5)]);
    bucket.deliver("2026-11", "2", &[&rows(0.5), &rows(0.5)]); // of which only the first will be named
    bucket.write_manifest("2026-11", "1", &keys);
    let schema = "billing/acme/metadata/billing_period=2026-11/acme-Manifest-FOCUS.json";
    bucket.write_bytes(
        schema,
        br#"{"Schema":{"ColumnDefinition":[{"ColumnName":"BilledCost"}]}}"#,
    );
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        (seen.sum(COMPUTE).used, seen.document.source.files),
        (usd(2.0), 1)
    );

    // Alone, it counts if it names the files.
    fs::rename(bucket.join(&bucket.manifest_key("2026-11")), bucket.join(schema)).unwrap();
    let seen = read(bucket.path()).utilization();
    assert_eq!(
        (seen.sum(COMPUTE).used, seen.document.source.files),
        (usd(2.0), 1)
    );
    assert!(seen.warning("no-manifest").is_none());
}

#[test]
fn exports_beside_each_other_are_named_with_what_picks_one() {
    let bucket = Bucket::new(Layout::Export);
    for (name, file, partition) in [
        ("costs", File::cur2(), "BILLING_PERIOD"),
        ("focus", File::focus(Focus::OneTwo), "billing_period"),
    ] {
        let key = format!("pre/{name}/data/{partition}=2026-11/{name}-00001.snappy.parquet");
        file.write(&bucket.join(&key), &rows(0.5));
    }
    let message = message(read(bucket.path()).try_utilization());
    for name in ["costs", "focus"] {
        let cur = format!("--cur {}", bucket.join("pre").join(name).display());
        assert!(message.contains(&cur), "{message}");
        let seen = read(&bucket.join(&format!("pre/{name}"))).utilization();
        assert_eq!(seen.sum(COMPUTE).used, usd(2.0));
    }
}

// Columns and writers

#[test]
fn a_month_before_the_first_plan_holds_none_and_is_no_error() {
    for plans in [Plans::Absent, Plans::Untyped, Plans::Mistyped] {
        let bucket = Bucket::new(Layout::Legacy);
        let october: Vec<Row> = (-48..0).map(|h| Row::on_demand(h, M5).list(0.096)).collect();
        let file = bucket.join(&bucket.key("2026-10", "1", 1));
        File::legacy().plans(plans).write(&file, &october);
        let seen = read(bucket.path()).now(at(0)).utilization();
        assert!(
            seen.warning("no-plans").is_some() && seen.arns().is_empty(),
            "{plans:?}"
        );
        assert!(seen.warning("missing-columns").is_none());

        let bought: Vec<Row> = (0..96).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5)).collect();
        File::legacy().write(&bucket.join(&bucket.key("2026-11", "1", 1)), &bought);
        let seen = read(bucket.path()).now(at(96)).history().unwrap();
        assert_eq!(seen.analysis.doubt, None, "{plans:?}");
        let group = &seen.groups(at(96))[0];
        assert_eq!((group.commitment.dollars(), group.doubt.as_deref()), (1.0, None));
    }
}

// A fixed table: what is missing there was left out of the query.
#[test]
fn an_export_without_the_columns_of_plans_is_still_refused() {
    let bucket = Bucket::written(File::cur2().plans(Plans::Absent), rows(0.5));
    assert!(message(read(bucket.path()).try_utilization()).contains("savings_plan_savings_plan_a_r_n"));
    let bucket = Bucket::written(File::legacy().without("savings_plan_used_commitment"), rows(0.5));
    assert!(message(read(bucket.path()).try_utilization()).contains("savings_plan_used_commitment"));
}

#[test]
fn files_that_spark_wrote_tell_the_same() {
    let tagged = Row::on_demand(3, M5)
        .list(0.096)
        .tag_cluster("prod")
        .tag_node_pool("general");
    let rows: Vec<Row> = rows(0.5).into_iter().chain([tagged]).collect();
    for form in [File::legacy(), File::cur2(), File::focus(Focus::OneTwo)] {
        let expected = read(Bucket::written(form.clone(), rows.clone()).path()).utilization();
        let spark = form.by_spark().times(Times::Int96);
        let seen = read(Bucket::written(spark, rows.clone()).path()).utilization();
        assert_eq!(seen.analysis.ledger, expected.analysis.ledger);
        assert!(
            seen.analysis
                .ledger
                .series
                .iter()
                .any(|series| &*series.node_pool == "general")
        );
    }
}

#[test]
fn a_compression_that_cannot_be_read_is_no_damage() {
    for (compression, name) in [
        (Compression::BROTLI(BrotliLevel::default()), "brotli"),
        (Compression::LZ4, "lz4"),
        (Compression::LZ4_RAW, "lz4"),
    ] {
        let bucket = Bucket::written(File::cur2().claiming(compression), rows(0.5));
        let message = message(read(bucket.path()).try_utilization());
        assert!(
            message.contains("cannot read this compression") && message.contains(name),
            "{message}"
        );
        assert!(!message.contains("truncated"), "{message}");
    }
}

// What is read twice

#[test]
fn rows_that_two_files_repeat_freeze_their_plans_and_no_others() {
    for file in forms() {
        let hours = |arn: &str, amount: f64| -> Vec<Row> {
            (0..96)
                .flat_map(|h| Row::hour_of(arn, h, amount, 0.5 * amount))
                .collect()
        };
        let bucket = Bucket::written(file, [hours(COMPUTE, 1.0), ec2_hours(96)].concat());
        let before = read(bucket.path()).now(at(96)).history().unwrap();
        assert!(before.warning("counted-twice").is_none());
        assert!(
            before.groups(at(96)).iter().all(|group| group.doubt.is_none()),
            "{:?}",
            before.groups(at(96))
        );

        let keys = [bucket.key("2026-11", "1", 1), bucket.key("2026-11", "1", 2)];
        fs::write(bucket.join(&keys[1]), bucket.data(&hours(COMPUTE, 1.0))).unwrap();
        bucket.write_manifest("2026-11", "1", &keys);
        let seen = read(bucket.path()).now(at(96)).history().unwrap();
        let warning = seen.warning("counted-twice").unwrap();
        assert_eq!(warning.plan.as_deref(), Some(COMPUTE));
        for group in seen.groups(at(96)) {
            assert_eq!(
                group.doubt.is_some(),
                group.id.to_string() == "compute",
                "{group:?}"
            );
        }
        assert!(
            seen.document
                .plans
                .iter()
                .find(|plan| plan.arn == COMPUTE)
                .unwrap()
                .hours
                .iter()
                .all(|h| !h.mature)
        );
    }
}

fn ec2_hours(hours: i32) -> Vec<Row> {
    let rows = (0..hours).flat_map(|h| Row::hour_of(EC2_M5, h, 2.0, 1.0));
    rows.map(|row| row.for_m5_in_ohio().region("us-east-2")).collect()
}

// The fee of the hour at hand, written ahead, says how much there is to fill.
#[test]
fn a_fee_of_the_current_day_that_stands_twice_freezes_too() {
    let past = (0..96).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5));
    let ahead = (96..120).flat_map(|h| {
        [
            Row::fee(COMPUTE, h).commitment(1.0),
            Row::fee(COMPUTE, h).commitment(1.0),
        ]
    });
    let bucket = Bucket::of(past.chain(ahead));
    let seen = read(bucket.path()).now(at(96)).history().unwrap();
    let doubt = seen.groups(at(96))[0].doubt.clone().unwrap();
    assert!(doubt.contains("more than once"), "{doubt}");
}

#[test]
fn covered_usage_that_stands_twice_is_told_as_such() {
    let hours = |h: i32| {
        let [fee, covered] = Row::hour_of(COMPUTE, h, 1.0, 0.8);
        [fee, covered.clone(), covered]
    };
    let bucket = Bucket::of((0..48).flat_map(hours));
    let seen = read(bucket.path()).now(at(96)).history().unwrap();
    assert!(seen.warning("counted-twice").is_some());
    assert!(seen.groups(at(96))[0].doubt.is_some());
}

// What plans cover

fn spill(usage: impl Fn(i32) -> Row) -> Money {
    let hours = (0..48).flat_map(|h| {
        let full = Row::hour_of(COMPUTE, h, 1.0, 1.0);
        full.into_iter().chain([usage(h).list(0.5)])
    });
    let seen = read(Bucket::of(hours).path()).now(at(72)).history().unwrap();
    let group = &seen.analysis.utilization.groups[0];
    group.hours.values().next().unwrap().spill
}

#[test]
fn only_usage_that_a_plan_could_cover_is_spill_beside_a_full_one() {
    let lambda = |usage_type: &'static str| {
        move |h| {
            Row::of("Usage", h)
                .product("AWSLambda")
                .usage_type(usage_type)
                .operation("Invoke")
        }
    };
    let fargate = |usage_type: &'static str| {
        move |h| {
            Row::of("Usage", h)
                .product("AmazonECS")
                .usage_type(usage_type)
                .operation("FargateTask")
        }
    };
    for usage_type in [
        "EUC1-Lambda-Edge-Request",
        "Lambda-Edge-GB-Second",
        "USE2-Lambda-Storage-GB-Second",
    ] {
        assert_eq!(spill(lambda(usage_type)), Money::ZERO, "{usage_type}");
    }
    for usage_type in [
        "USE2-Fargate-EphemeralStorage-GB-Hours",
        "EU-SpotUsage-Fargate-GB-Hours",
    ] {
        assert_eq!(spill(fargate(usage_type)), Money::ZERO, "{usage_type}");
    }
    for usage_type in [
        "USE2-Lambda-GB-Second-ARM",
        "EUC1-Request",
        "Lambda-Provisioned-Concurrency",
    ] {
        assert_eq!(Some(spill(lambda(usage_type))), usd(0.5), "{usage_type}");
    }
    assert_eq!(
        Some(spill(fargate("APN1-Fargate-ARM-vCPU-Hours:perCPU"))),
        usd(0.5)
    );
    for usage_type in [
        "USE2-HostUsage:m5",
        "EUC1-DedicatedUsage:c5.large",
        "USE2-UnusedBox:m5.large",
    ] {
        // Instances count at the discount that the plan gives those that it was seen to pay: 1 / 1.6.
        assert_eq!(
            Some(spill(|h| Row::on_demand(h, usage_type))),
            usd(0.5 / 1.6),
            "{usage_type}"
        );
    }
}

// Times

#[test]
fn a_plans_term_takes_every_form_that_usage_times_take() {
    let expected = read(Bucket::of(rows(0.5)).path()).utilization();
    let terms = |start: &str, end: &str| {
        let rows = rows(0.5).into_iter().map(|row| {
            row.text("savings_plan_start_time", start)
                .text("savings_plan_end_time", end)
        });
        read(Bucket::of(rows).path()).utilization()
    };
    for (start, end) in [
        ("2026-01-01 00:00:00.000", "2027-01-01 00:00:00.000"),
        ("2026-01-01 00:00:00 UTC", "2027-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00+01:00", "2026-12-31T19:00:00-05:00"),
    ] {
        let seen = terms(start, end);
        assert_eq!(
            seen.analysis.ledger.plans, expected.analysis.ledger.plans,
            "{start}"
        );
        assert!(seen.warning("plan-unclear").is_none());
    }
    let seen = terms("2026-01-01T00:00:00Z", "next spring");
    assert!(
        seen.warning("plan-unclear")
            .unwrap()
            .message
            .contains("next spring")
    );
    let end = seen.analysis.ledger.plans[0].plan.end;
    assert_eq!(
        end,
        Some("2027-01-01T00:00:00Z".parse().unwrap()),
        "a year from its start"
    );
}

#[test]
fn usage_times_are_read_in_every_form_and_a_report_without_any_is_no_report_without_plans() {
    for form in [
        "%Y-%m-%d %H:%M:%S%.3f",
        "%Y-%m-%d %H:%M:%S UTC",
        "%Y-%m-%dT%H:%M:%S%.3fZ",
        "%Y-%m-%d %H:%M:%S+00:00",
        "%Y-%m-%d %H:%M:%S +0000 UTC",
    ] {
        let bucket = Bucket::written(File::legacy().times(Times::Written(form)), rows(0.5));
        assert_eq!(
            read(bucket.path()).utilization().sum(COMPUTE).used,
            usd(2.0),
            "{form}"
        );
    }
    for file in [File::legacy(), File::cur2()] {
        let bucket = Bucket::written(file.times(Times::Written("%d.%m.%Y")), rows(0.5));
        let message = message(read(bucket.path()).try_utilization());
        assert!(message.contains("line_item_usage_start_date"), "{message}");
    }
}

// What plans are

/// What is seen of a plan for m5 in a place that no table knows, as its rows have it.
fn atlantis(change: impl Fn(Row) -> Row) -> Seen {
    let rows = (0..4).flat_map(|h| Row::hour_of(EC2_M5, h, 1.0, 0.5)).map(|row| {
        let row = row
            .for_m5_in_ohio()
            .text("savings_plan_region", "Asia Pacific (Atlantis)");
        change(row)
    });
    read(Bucket::of(rows).path()).utilization()
}

#[test]
fn a_region_whose_name_is_new_is_learned_from_covered_usage_or_told() {
    let fee = "savings_plan_total_commitment_to_date";
    let seen = atlantis(|row| {
        if row.values.contains_key(fee) {
            row.usage_type("APX9-EC2SP:m5.1yrNoUpfront")
        } else {
            row.usage_type("APX9-BoxUsage:m5.large").region("ap-atlantis-1")
        }
    });
    let plan = seen.plan(EC2_M5);
    assert_eq!(
        (plan.kind, plan.region.as_deref()),
        (PlanKind::Ec2Instance, Some("ap-atlantis-1"))
    );
    assert!(seen.warning("plan-unclear").is_none());

    let seen = atlantis(|row| {
        if row.values.contains_key(fee) {
            row.usage_type("APX9-EC2SP:m5.1yrNoUpfront")
        } else {
            row.usage_type("APX9-BoxUsage:m5.large")
        }
    });
    assert_eq!(seen.plan(EC2_M5).region, None);
    assert!(seen.warning("plan-unclear").unwrap().message.contains("Atlantis"));
}

#[test]
fn a_plan_without_a_kind_is_known_by_what_its_fees_say_of_it_in_all_formats() {
    for (description, column) in [
        ("1 year No Upfront Compute Savings Plan", "compute"),
        (
            "1 year No Upfront m5 EC2 Instance Savings Plan in us-east-2",
            "ec2Instance/m5/us-east-2",
        ),
    ] {
        for file in forms() {
            let rows = rows(0.5).into_iter().map(|row| {
                let row = row
                    .text("savings_plan_offering_type", "Savings Plan")
                    .region("us-east-2");
                if row.values.contains_key("savings_plan_total_commitment_to_date") {
                    row.usage_type("")
                        .product("")
                        .text("line_item_line_item_description", description)
                } else {
                    row
                }
            });
            let seen = read(Bucket::written(file.clone(), rows).path()).utilization();
            let group = seen.analysis.ledger.plans[0].plan.group().unwrap();
            assert_eq!(group.to_string(), column, "{file:?}");
        }
    }
}

#[test]
fn a_plan_whose_fee_was_given_back_has_ended_though_the_refund_names_no_arn() {
    const RETURNED: &str =
        "arn:aws:savingsplans::111122223333:savingsplan/70352035-0000-0000-0000-000000000003";
    let id = RETURNED.rsplit('/').next().unwrap();
    for named in [id, &id[..8]] {
        for file in forms() {
            let hours = (0..96).flat_map(|h| {
                let [first, second] = [COMPUTE, RETURNED].map(|arn| Row::hour_of(arn, h, 1.0, 0.5));
                first.into_iter().chain(second)
            });
            let refund = Row::of("Refund", 90).unblended(-43.8).text(
                "line_item_line_item_description",
                &format!("Refund for one-time fee for Savings Plan ID: {named}"),
            );
            let bucket = Bucket::written(file, hours.chain([refund]));
            let seen = read(bucket.path()).now(at(96)).history().unwrap();
            let returned = seen.warning("plan-returned").unwrap();
            assert_eq!(returned.plan.as_deref(), Some(RETURNED));
            let group = &seen.groups(at(96))[0];
            assert_eq!(group.plans, [COMPUTE], "{named}");
        }
    }
}

#[test]
fn a_refund_of_something_else_ends_no_plan() {
    let refund =
        Row::of("Refund", 2).text("line_item_line_item_description", "Refund for EC2 usage c0000000");
    let seen = read(Bucket::of(rows(0.5).into_iter().chain([refund])).path()).utilization();
    assert!(seen.warning("plan-returned").is_none());
}

// EKS Auto Mode

#[test]
fn auto_modes_tag_names_the_node_pool_too() {
    for file in forms() {
        let tagged = Row::on_demand(0, M5)
            .list(0.1)
            .tag("user_eks_kubernetes_node_pool_name", "general-purpose");
        let seen = read(Bucket::written(file, rows(0.5).into_iter().chain([tagged])).path()).utilization();
        let pools: Vec<&str> = seen
            .analysis
            .ledger
            .series
            .iter()
            .map(|series| &*series.node_pool)
            .collect();
        assert!(pools.contains(&"general-purpose"), "{pools:?}");
    }
}

// Other people's exports

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// The Cloud Intelligence Dashboards replicate `data/` to the account of the dashboards, and leave the manifests behind.
#[test]
fn the_export_of_the_cloud_intelligence_dashboards_gives_the_same_plan() {
    let bucket = tempfile::tempdir().unwrap();
    let theirs = bucket.path().join("cur2/111122223333/cid-cur2");
    copy(&fixture("cur/cur2/exports/acme-cur2/data"), &theirs.join("data"));
    let own = Brimful::plan("fixtures/cur/cur2").json(0);
    for place in [
        theirs.as_path(),
        &bucket.path().join("cur2/111122223333"),
        bucket.path(),
    ] {
        let plan = Brimful::plan(place).json(0);
        for part in ["plans", "groups", "nodePools", "changes"] {
            assert_eq!(plan[part], own[part], "{part} at {}", place.display());
        }
        let warnings = plan["warnings"].as_array().unwrap();
        assert!(
            warnings.iter().any(|warning| warning["code"] == "no-manifest"),
            "{warnings:#?}"
        );
    }
}
