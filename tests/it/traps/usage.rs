//! Usage: what a plan paid for, what it might have, and what it never could.

use brimful_savings_plans::ledger::UsageClass;
use brimful_savings_plans::usage::instance_type;
use brimful_types::quantity::Quantity;

use crate::support::cur::{Bucket, COMPUTE, COMPUTE_2, EC2_M5, File, Row, Seen, read, usd};

const M5: &str = "USE2-BoxUsage:m5.large";
const R5: &str = "USE2-BoxUsage:r5.large";

fn fee(arn: &str, commitment: f64, used: f64) -> Row {
    Row::fee(arn, 0).commitment(commitment).used(used)
}

fn covered(arn: &str, usage_type: &str, rate: f64, amount: f64) -> Row {
    Row::covered(arn, 0, usage_type)
        .amount(amount)
        .rate(rate)
        .cost(rate * amount)
}

fn on_demand(usage_type: &str, amount: f64) -> Row {
    Row::on_demand(0, usage_type).amount(amount).list(amount)
}

fn seen(rows: impl IntoIterator<Item = Row>) -> Seen {
    read(Bucket::of(rows).path()).utilization()
}

#[test]
fn a_plans_demand_is_its_use_and_the_uncovered_usage_at_its_rate() {
    let rows = [
        fee(COMPUTE, 0.6, 0.6),
        covered(COMPUTE, M5, 0.06, 10.0),
        on_demand(M5, 3.0),
    ];
    let hour = seen(rows).hour(COMPUTE, 0);
    // Three more at $0.06, not at the list price of $1.
    assert_eq!((hour.used, hour.demand), (usd(0.6), usd(0.78)));
}

#[test]
fn spill_goes_to_the_ec2_instance_group_first_and_is_counted_once() {
    let rows = [
        fee(COMPUTE, 1.0, 1.0),
        covered(COMPUTE, R5, 0.5, 2.0),
        covered(COMPUTE, M5, 0.07, 0.0),
        fee(EC2_M5, 0.6, 0.6).for_m5_in_ohio(),
        covered(EC2_M5, M5, 0.06, 10.0).for_m5_in_ohio(),
        on_demand(M5, 2.0),
        on_demand(R5, 1.0),
        on_demand("BoxUsage:m5.large", 4.0),
    ];
    let seen = seen(rows);
    // Both m5 in Ohio at the Instance plan's $0.06.
    assert_eq!(seen.hour(EC2_M5, 0).demand, usd(0.72));
    // r5 at the Compute plan's $0.50; m5 in Virginia, of which no plan has shown a rate, at half its list price of $1, as
    // the plan pays half for r5.
    assert_eq!(seen.hour(COMPUTE, 0).demand, usd(1.0 + 0.5 + 2.0));
    let spilled: f64 = seen
        .analysis
        .utilization
        .groups
        .iter()
        .flat_map(|g| g.hours.values())
        .map(|h| h.spill.dollars())
        .sum();
    assert!((spilled - (0.12 + 2.5)).abs() < 1e-9, "{spilled}");
}

#[test]
fn plans_of_a_group_share_its_spill_by_commitment() {
    let rows = [
        fee(COMPUTE, 3.0, 3.0),
        fee(COMPUTE_2, 1.0, 1.0),
        covered(COMPUTE, M5, 0.1, 30.0),
        covered(COMPUTE_2, M5, 0.1, 10.0),
        on_demand(M5, 4.0),
    ];
    let seen = seen(rows);
    assert_eq!(seen.hour(COMPUTE, 0).demand, usd(3.3));
    assert_eq!(seen.hour(COMPUTE_2, 0).demand, usd(1.1));
}

// Trap 22: a full plan doesn't mean that our nodes are covered; Lambda, Fargate and other accounts drink from it too.
#[test]
fn lambda_fargate_and_other_clusters_use_a_compute_plan_too() {
    let lambda = covered(COMPUTE, "USE2-Lambda-GB-Second", 0.4, 1.0)
        .product("AWSLambda")
        .operation("Invoke");
    let fargate = covered(COMPUTE, "USE2-Fargate-vCPU-Hours:perCPU", 0.3, 1.0)
        .product("AmazonEKS")
        .operation("FargatePod");
    let theirs = covered(COMPUTE, M5, 0.2, 1.0)
        .account("222233334444")
        .tag_cluster("theirs");
    let ours = covered(COMPUTE, M5, 0.1, 1.0)
        .tag_cluster("ours")
        .tag_node_pool("general");
    let seen = seen([
        fee(COMPUTE, 1.0, 1.0),
        lambda,
        fargate,
        theirs,
        ours,
        on_demand(M5, 2.0).tag_cluster("ours"),
    ]);
    let hour = seen.hour(COMPUTE, 0);
    assert_eq!(
        (hour.utilization, hour.covered, hour.reconciles),
        (Some(1.0), usd(1.0), Some(true))
    );
    let cells = seen.cells(UsageClass::Covered(0));
    let of = |cluster: &str| {
        cells
            .iter()
            .find(|(series, _)| &*series.cluster == cluster)
            .map(|(_, cell)| cell.cost())
    };
    assert_eq!((of("ours"), of("theirs")), (usd(0.1), usd(0.2)));
    let uncovered = seen.cells(UsageClass::OnDemand);
    assert_eq!(
        (&*uncovered[0].0.cluster, uncovered[0].1.amount.units()),
        ("ours", 2.0)
    );
}

// Trap 25
#[test]
fn an_instance_hour_may_be_split_between_a_plan_and_on_demand() {
    let rows = [
        fee(COMPUTE, 0.04, 0.04),
        covered(COMPUTE, M5, 0.1, 0.4),
        on_demand(M5, 0.6),
    ];
    let seen = seen(rows);
    assert_eq!(seen.hour(COMPUTE, 0).covered, usd(0.04));
    assert_eq!(seen.hour(COMPUTE, 0).demand, usd(0.1), "one whole instance-hour");
    let rest = seen.cells(UsageClass::OnDemand)[0].1.amount;
    assert_eq!(Some(rest), Quantity::from_units(0.6));
}

// Trap 25
#[test]
fn an_instance_hour_may_be_split_between_two_plans() {
    let rows = [
        fee(COMPUTE, 1.0, 0.03),
        fee(COMPUTE_2, 1.0, 0.07),
        covered(COMPUTE, M5, 0.1, 0.3),
        covered(COMPUTE_2, M5, 0.1, 0.7),
    ];
    let seen = seen(rows);
    let found = [COMPUTE, COMPUTE_2].map(|arn| (seen.hour(arn, 0).covered, seen.hour(arn, 0).reconciles));
    assert_eq!(found, [(usd(0.03), Some(true)), (usd(0.07), Some(true))]);
}

// Trap 26: Reserved Instances take usage before any plan, so it is neither covered nor demand.
#[test]
fn usage_that_a_reserved_instance_paid_is_no_demand_on_a_plan() {
    let rows = [fee(COMPUTE, 1.0, 0.1), covered(COMPUTE, M5, 0.1, 1.0)];
    let reserved = Row::reserved(5, M5)
        .amount(8.0)
        .number("reservation_effective_cost", 0.4)
        .list(0.8);
    let seen = seen(rows.into_iter().chain([reserved]));
    assert_eq!(seen.hour(COMPUTE, 0).demand, usd(0.1));
    assert!(seen.cells(UsageClass::OnDemand).is_empty() && seen.cells(UsageClass::Spot).is_empty());
    // It is real usage all the same, and tells how far the report reaches.
    assert_eq!(
        seen.document.source.horizon.as_deref(),
        Some("2026-11-01T06:00:00Z")
    );
}

// Trap 27
#[test]
fn split_costs_tax_support_and_marketplace_are_left_out() {
    let pod = |product, operation, usage_type| {
        Row::of("Usage", 0)
            .product(product)
            .operation(operation)
            .usage_type(usage_type)
            .list(9.0)
    };
    let odd = [
        pod("AmazonEKS", "EKSPod-EC2", "USE2-EKS-EC2-vCPU-Hours")
            .text("split_line_item_parent_resource_id", "i-0aa"),
        pod("AmazonECS", "ECSTask-EC2", "USE2-ECS-EC2-GB-Hours")
            .text("split_line_item_parent_resource_id", "i-0aa"),
        pod("AmazonEC2", "RunInstances", "USE2-DataTransfer-Regional-Bytes"),
        pod("AmazonEC2", "CreateVolume-Gp3", "USE2-EBS:VolumeUsage.gp3").tag_cluster("ours"),
        pod("AmazonRDS", "CreateDBInstance", "USE2-InstanceUsage:db.m5.large"),
        pod("AWSSupportBusiness", "", "Dollar").lasting(720),
        pod("8n3zwtpyvpapgkqwdj9zcpsbw", "Hourly", M5),
        Row::of("Tax", 0)
            .product("AmazonEC2")
            .operation("RunInstances")
            .usage_type(M5)
            .lasting(720)
            .list(9.0),
        Row::of("BundledDiscount", 0)
            .product("AmazonEC2")
            .operation("RunInstances")
            .usage_type(M5)
            .list(-9.0),
        Row::of("SomethingNew", 0)
            .product("AmazonEC2")
            .operation("RunInstances")
            .usage_type(M5)
            .list(9.0),
    ];
    let seen = seen(
        [fee(COMPUTE, 1.0, 0.1), covered(COMPUTE, M5, 0.1, 1.0)]
            .into_iter()
            .chain(odd),
    );
    assert_eq!(seen.cells(UsageClass::Covered(0)).len(), 1);
    assert_eq!(seen.analysis.ledger.cells.concat().len(), 1);
    assert_eq!(seen.hour(COMPUTE, 0).demand, usd(0.1));
    assert_eq!(
        seen.document.source.horizon.as_deref(),
        Some("2026-11-01T01:00:00Z")
    );
}

// Trap 28; a Spot row has neither instance type nor region of its own.
#[test]
fn a_spot_row_is_known_by_its_usage_type_and_is_never_demand() {
    let spot = |cost| {
        Row::spot(0, "EUC1-SpotUsage:c7i-flex.2xlarge")
            .unblended(cost)
            .tag_node_pool("spot")
    };
    let rows = [
        fee(COMPUTE, 1.0, 0.1),
        covered(COMPUTE, M5, 0.1, 1.0),
        spot(0.1912),
        spot(0.1882),
    ];
    let seen = seen(rows);
    let cells = seen.cells(UsageClass::Spot);
    let [(series, cell)] = cells[..] else {
        panic!("{cells:?}")
    };
    assert_eq!(instance_type(&series.usage_type), "c7i-flex.2xlarge");
    assert_eq!(
        (&*series.region, &*series.node_pool, series.is_instance),
        ("eu-central-1", "spot", true)
    );
    // Prices differ from instance to instance: they add up, a count says nothing.
    assert_eq!((cell.amount.units(), Some(cell.cost())), (2.0, usd(0.3794)));
    assert_eq!(seen.hour(COMPUTE, 0).demand, usd(0.1));
}

// Trap 29
#[test]
fn usage_types_without_a_prefix_are_virginias_and_eu_is_ireland() {
    let types = [
        "BoxUsage:m5.large",
        "EU-BoxUsage:m5.large",
        "USW2-BoxUsage:m5.large",
        "Fargate-GB-Hours",
    ];
    let rows = types.map(|usage_type| match usage_type {
        "Fargate-GB-Hours" => on_demand(usage_type, 1.0)
            .product("AmazonECS")
            .operation("FargateTask"),
        usage_type => on_demand(usage_type, 1.0),
    });
    let seen = seen(rows.into_iter().chain([fee(COMPUTE, 1.0, 0.0)]));
    let mut found: Vec<(String, String)> = seen
        .cells(UsageClass::OnDemand)
        .iter()
        .map(|(s, _)| (s.usage_type.to_string(), s.region.to_string()))
        .collect();
    found.sort();
    let expected = [
        ("BoxUsage:m5.large", "us-east-1"),
        ("EU-BoxUsage:m5.large", "eu-west-1"),
        ("Fargate-GB-Hours", "us-east-1"),
        ("USW2-BoxUsage:m5.large", "us-west-2"),
    ];
    assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

// Trap 29: where the report does say the region, that counts, in whichever column the format has it.
#[test]
fn a_region_column_counts_before_the_usage_type() {
    for file in [File::legacy(), File::cur2(), File::cur2().region_in_product_map()] {
        let rows = [
            fee(COMPUTE, 1.0, 0.0),
            on_demand("BoxUsage:m5.large", 1.0).region("us-gov-west-1"),
        ];
        let bucket = Bucket::written(file.clone(), rows);
        let seen = read(bucket.path()).utilization();
        assert_eq!(
            &*seen.cells(UsageClass::OnDemand)[0].0.region,
            "us-gov-west-1",
            "{file:?}"
        );
    }
}
