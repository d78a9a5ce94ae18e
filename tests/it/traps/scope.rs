//! What a plan is: its kind, scope, owner and partition; and what this program never asks for.

use brimful_savings_plans::savings_plan::PlanKind;

use crate::support::cur::{Bucket, COMPUTE, EC2_M5, Row, at, read, usd};

// Trap 24
#[test]
fn an_ec2_instance_plan_has_its_region_from_a_human_name_and_its_family_from_the_usage_type() {
    let bucket = Bucket::of(Row::hour_of(EC2_M5, 0, 1.0, 0.5).map(Row::for_m5_in_ohio));
    let seen = read(bucket.path()).utilization();
    let plan = seen.plan(EC2_M5);
    assert_eq!(
        (plan.kind, plan.region.as_deref(), plan.family.as_deref()),
        (PlanKind::Ec2Instance, Some("us-east-2"), Some("m5"))
    );
}

// Trap 24
#[test]
fn the_forms_in_which_reports_name_an_ec2_instance_plan_mean_the_same() {
    for (offering, usage_type, name, region, family) in [
        (
            "EC2InstanceSavingsPlan",
            "EC2SP:c7i-flex.1yrNoUpfront",
            "US East (N. Virginia)",
            "us-east-1",
            "c7i-flex",
        ),
        ("", "EU-EC2SP:r5.3yrAllUpfront", "EU (Ireland)", "eu-west-1", "r5"),
        (
            "EC2InstanceSavingsPlans",
            "EU-EC2SP:r5.3yrAllUpfront",
            "Europe (Ireland)",
            "eu-west-1",
            "r5",
        ),
        (
            "EC2InstanceSavingsPlans",
            "APN1-EC2SP:t3.1yrPartialUpfront",
            "ap-northeast-1",
            "ap-northeast-1",
            "t3",
        ),
        (
            "EC2 Instance Savings Plans",
            "USW2-EC2SP:m6i.1yrNoUpfront",
            "",
            "us-west-2",
            "m6i",
        ),
    ] {
        let [fee, covered] = Row::hour_of(EC2_M5, 0, 1.0, 0.5);
        let fee = fee
            .text("savings_plan_offering_type", offering)
            .usage_type(usage_type)
            .text("savings_plan_region", name);
        let bucket = Bucket::of([fee, covered]);
        let seen = read(bucket.path()).utilization();
        let group = seen.analysis.utilization.plans[0]
            .plan
            .group()
            .map(|group| group.to_string());
        assert_eq!(
            group,
            Some(format!("ec2Instance/{family}/{region}")),
            "{usage_type}"
        );
    }
}

// Trap 24: covered usage also knows the family.
#[test]
fn an_ec2_instance_plans_family_may_be_known_from_its_covered_usage_alone() {
    let [fee, covered] = Row::hour_of(EC2_M5, 0, 1.0, 0.5).map(Row::for_m5_in_ohio);
    let bucket = Bucket::of([fee.usage_type(""), covered]);
    let seen = read(bucket.path()).utilization();
    assert_eq!(seen.plan(EC2_M5).family.as_deref(), Some("m5"));
}

#[test]
fn plans_that_nodes_cannot_use_are_shown_and_form_no_group() {
    let kinds = [
        ("SageMakerSavingsPlans", PlanKind::SageMaker),
        ("DatabaseSavingsPlans", PlanKind::Database),
        ("QuantumSavingsPlans", PlanKind::Other),
    ];
    for (offering, kind) in kinds {
        let rows =
            Row::hour_of(COMPUTE, 0, 1.0, 0.5).map(|row| row.text("savings_plan_offering_type", offering));
        let seen = read(Bucket::of(rows).path()).utilization();
        assert_eq!(seen.plan(COMPUTE).kind, kind);
        assert_eq!(seen.sum(COMPUTE).used, usd(0.5));
        assert!(seen.analysis.utilization.groups.is_empty(), "{offering}");
    }
}

// Trap 37: the plan's owner stands in its ARN, whoever's account used it or receives the bill.
#[test]
fn the_owner_of_a_plan_is_the_account_in_its_arn() {
    let rows = Row::hour_of(COMPUTE, 0, 1.0, 0.5).map(|row| row.account("999988887777"));
    let seen = read(Bucket::of(rows).path()).utilization();
    assert_eq!(seen.plan(COMPUTE).owner.as_deref(), Some("111122223333"));
}

// Traps 36 and 37: use is told by the report alone. Only rates may be asked for, and only where the configuration says so.
#[test]
fn cost_explorer_is_never_asked_and_the_savings_plans_api_for_rates_on_request_only() {
    let manifest = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    assert!(manifest.contains("aws-sdk-s3") && !manifest.contains("aws-sdk-costexplorer"));
    let edge = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crates/aws/src/plan_rates.rs"
    ));
    assert_eq!(edge.matches(".describe_savings_plan_rates(").count(), 1);
    assert_eq!(edge.matches(".send()").count(), 1, "nothing else is asked");
    assert!(!brimful::config::Config::default().cur.describe_rates);
}

// Trap 38
#[test]
fn plans_of_other_partitions_are_plans() {
    for partition in ["aws-cn", "aws-us-gov"] {
        let arn = COMPUTE.replace("arn:aws:", &format!("arn:{partition}:"));
        let bucket = Bucket::of((0..48).flat_map(|h| Row::hour_of(&arn, h, 1.0, 0.5)));
        let seen = read(bucket.path()).now(at(49)).history().unwrap();
        assert_eq!(seen.plan(&arn).owner.as_deref(), Some("111122223333"));
        assert_eq!(seen.groups(at(49))[0].plans, [arn]);
    }
}
