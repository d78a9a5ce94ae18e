//! What a line item is to a Savings Plan: its type, and whether a plan could pay for its usage.

/// What a line item is, by `line_item_line_item_type`. The set is open: whatever is not named here is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineItemType {
    /// One row per plan and hour: the commitment, and how much of it was used.
    RecurringFee,
    /// Usage, or the part of it, that a plan paid. Its unblended cost is the on-demand cost, which nobody pays.
    CoveredUsage,
    /// On-demand remainder, Spot, and everything else that is metered.
    Usage,
    /// Usage that a Reserved Instance paid, before any plan.
    DiscountedUsage,
    /// FOCUS: usage that a plan paid, and with it that part of the plan's commitment.
    Used,
    /// FOCUS: the part of a plan's commitment that an hour left unused.
    Unused,
    /// FOCUS: a fee, which describes the plan.
    Purchase,
    /// Money given back: of a plan that was returned, among others. It may name the plan in its description only.
    Refund,
    /// Negation (it cancels `CoveredUsage`), upfront fees, tax, credits and whatever AWS adds next.
    Other,
}

impl LineItemType {
    /// Reads the column's value.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            RECURRING_FEE => Self::RecurringFee,
            COVERED_USAGE => Self::CoveredUsage,
            USAGE => Self::Usage,
            DISCOUNTED_USAGE => Self::DiscountedUsage,
            USED => Self::Used,
            UNUSED => Self::Unused,
            PURCHASE => Self::Purchase,
            REFUND => Self::Refund,
            _ => Self::Other,
        }
    }
}

#[allow(missing_docs)]
pub const RECURRING_FEE: &str = "SavingsPlanRecurringFee";
#[allow(missing_docs)]
pub const COVERED_USAGE: &str = "SavingsPlanCoveredUsage";
#[allow(missing_docs)]
pub const USAGE: &str = "Usage";
#[allow(missing_docs)]
pub const DISCOUNTED_USAGE: &str = "DiscountedUsage";
const USED: &str = "Used";
const UNUSED: &str = "Unused";
const PURCHASE: &str = "Purchase";
#[allow(missing_docs)]
pub const REFUND: &str = "Refund";

/// The line item type of a FOCUS row, by `ChargeCategory`, `CommitmentDiscountStatus` and `CommitmentDiscountId`, which
/// Reserved Instances have, too. Source: FOCUS 1.2, "Commitment Discounts".
#[must_use]
pub fn focus_line_type(category: &str, status: &str, commitment: &str) -> &'static str {
    let is_plan = commitment.starts_with("arn:") && commitment.contains(":savingsplans:");
    match (category, status) {
        ("Usage", "Used") if is_plan => USED,
        ("Usage", "Unused") if is_plan => UNUSED,
        ("Usage", "Used") => "DiscountedUsage",
        ("Usage", "Unused") => "",
        ("Usage", _) => "Usage",
        ("Purchase", _) if is_plan => PURCHASE,
        ("Credit" | "Adjustment" | "Purchase", _) => REFUND,
        _ => "",
    }
}

/// The product code of a FOCUS `ServiceName`, of the services that plans cover; else empty.
#[must_use]
pub fn product_of(service: &str) -> &'static str {
    match service {
        "Amazon Elastic Compute Cloud" => "AmazonEC2",
        "Amazon Elastic Container Service" => "AmazonECS",
        "Amazon Elastic Container Service for Kubernetes" | "Amazon Elastic Kubernetes Service" => {
            "AmazonEKS"
        }
        "AWS Lambda" => "AWSLambda",
        _ => "",
    }
}

/// What was used, by product, usage type and operation, as far as Savings Plans care.
/// Source: AWS "What Savings Plans cover", and the eligibility query of the Cloud Intelligence Dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageKind {
    /// An EC2 instance on demand (dedicated ones and unused On-Demand Capacity Reservations included).
    OnDemandInstance,
    /// An EC2 Spot instance: never covered.
    SpotInstance,
    /// Fargate or Lambda: covered by Compute plans.
    Serverless,
    /// Nothing that a Compute or EC2 Instance plan covers.
    Other,
}

/// Usage of EC2 that Compute plans cover, and EC2 Instance plans in their family and region. AWS lets plans apply "regardless
/// of tenancy" (Savings Plans user guide, "What are Savings Plans?"); the codes are those of the EC2 user guide, "Usage
/// report codes".
const ON_DEMAND: [&str; 9] = [
    // Shared tenancy, bare metal included. A bare `BoxUsage` is an m1.small.
    "BoxUsage",
    // Dedicated Instances.
    "DedicatedUsage",
    // Dedicated Hosts: the host is billed, by family (`HostUsage:m5`), and plans have rates for it (EC2 pricing, "Dedicated
    // Hosts"). One that a host reservation pays is `ReservedHostUsage`, which is no demand.
    HOST,
    // Instances on a host, which cost nothing.
    "HostBoxUsage",
    // On-Demand Capacity Reservations: unused, and used (EC2 user guide, "Capacity Reservation pricing and billing").
    "UnusedBox",
    "UnusedDed",
    "Reservation",
    "DedicatedRes",
    // How older Reserved Instances call a box.
    "HeavyUsage",
];
const HOST: &str = "HostUsage";

/// Usage of EC2 that no plan covers, and that shows what Spot would do.
const SPOT: [&str; 1] = ["SpotUsage"];

/// Fargate's hours of CPUs and memory, for tasks and pods alike: Compute plans cover them (Savings Plans user guide,
/// "Compute Savings Plans"; Fargate pricing). Not its ephemeral storage, not the Windows licence, and not Fargate Spot, whose
/// names begin with `SpotUsage-`.
const FARGATE: [&str; 6] = [
    "Fargate-vCPU-Hours",
    "Fargate-GB-Hours",
    "Fargate-ARM-vCPU-Hours",
    "Fargate-ARM-GB-Hours",
    "Fargate-Windows-vCPU-Hours",
    "Fargate-Windows-GB-Hours",
];

/// What Compute plans cover of Lambda: duration, provisioned concurrency and the duration on it, and requests, these at the
/// on-demand price (Lambda pricing, "Compute Savings Plans"; the scenarios of "Understanding how Savings Plans apply to your
/// usage"). Not Lambda@Edge, not ephemeral storage, not `SnapStart`, not streamed bytes.
const LAMBDA: [&str; 8] = [
    "Lambda-GB-Second",
    "Lambda-GB-Second-ARM",
    "Lambda-Provisioned-Concurrency",
    "Lambda-Provisioned-Concurrency-ARM",
    "Lambda-Provisioned-GB-Second",
    "Lambda-Provisioned-GB-Second-ARM",
    "Request",
    "Request-ARM",
];

/// Products, and whole [`name`]s of usage types: whatever is not [`UsageKind::Other`] is of one of these products and has one
/// of their names. Some of what has is `Other` all the same.
pub const OF_INTEREST: [(&[&str], &[&str]); 4] = [
    (&["AmazonEC2"], &ON_DEMAND),
    (&["AmazonEC2"], &SPOT),
    (&["AmazonECS", "AmazonEKS"], &FARGATE),
    (&["AWSLambda"], &LAMBDA),
];

impl UsageKind {
    /// Classifies a row. Split-cost rows (`EKSPod-EC2`, `ECSTask-EC2`) repeat their instance's cost: they are `Other`.
    #[must_use]
    pub fn of(product: &str, usage_type: &str, operation: &str) -> Self {
        let name = name(usage_type);
        match product {
            "AmazonEC2" if SPOT.contains(&name) => Self::SpotInstance,
            // A host is no instance that somebody ran.
            "AmazonEC2" if name == HOST => Self::OnDemandInstance,
            "AmazonEC2" if ON_DEMAND.contains(&name) && operation.starts_with("RunInstances") => {
                Self::OnDemandInstance
            }
            "AmazonECS" | "AmazonEKS" if FARGATE.contains(&name) && !is_split_cost(operation) => {
                Self::Serverless
            }
            "AWSLambda" if LAMBDA.contains(&name) => Self::Serverless,
            _ => Self::Other,
        }
    }

    /// True for EC2 instances, whose newest hour shows how far the report reaches.
    #[must_use]
    pub fn is_instance(self) -> bool {
        matches!(self, Self::OnDemandInstance | Self::SpotInstance)
    }
}

fn is_split_cost(operation: &str) -> bool {
    matches!(operation, "EKSPod-EC2" | "ECSTask-EC2")
}

/// The usage type without codes of regions and zones, and without what it is of: `USE2-BoxUsage:m5.large` → `BoxUsage`,
/// `Fargate-vCPU-Hours:perCPU` → `Fargate-vCPU-Hours`.
fn name(usage_type: &str) -> &str {
    let mut name = usage_type.split(':').next().unwrap_or_default();
    // A Local Zone has its own code after its region's, or instead of it.
    while let Some((code, rest)) = name.split_once('-') {
        let is_code = code.len() >= 2 && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !is_code {
            break;
        }
        name = rest;
    }
    name
}

/// The instance type in an EC2 usage type: after the colon; a bare `BoxUsage` is the oldest type, m1.small.
#[must_use]
pub fn instance_type(usage_type: &str) -> &str {
    usage_type
        .split_once(':')
        .map_or("m1.small", |(_, instance_type)| instance_type)
}

/// The instance family, which is what stands before the dot: `m5` of `m5.large`, `c7i-flex` of `c7i-flex.xlarge`.
#[must_use]
pub fn family(instance_type: &str) -> &str {
    instance_type.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_known_by_usage_type_not_by_resource() {
        let ec2 = |usage_type, operation| UsageKind::of("AmazonEC2", usage_type, operation);
        assert_eq!(
            ec2("USE2-BoxUsage:m5.large", "RunInstances:0002"),
            UsageKind::OnDemandInstance
        );
        assert_eq!(ec2("BoxUsage", "RunInstances"), UsageKind::OnDemandInstance);
        assert_eq!(
            ec2("EU-UnusedBox:m5.large", "RunInstances"),
            UsageKind::OnDemandInstance
        );
        assert_eq!(
            ec2("EUC1-SpotUsage:c7i-flex.2xlarge", "RunInstances:SV003"),
            UsageKind::SpotInstance
        );
        // Data transfer of an instance carries its id and a RunInstances operation.
        assert_eq!(
            ec2("EUC1-DataTransfer-Regional-Bytes", "RunInstances"),
            UsageKind::Other
        );
        assert_eq!(ec2("EBS:VolumeUsage.gp3", "CreateVolume-Gp3"), UsageKind::Other);
    }

    #[test]
    fn split_cost_rows_and_other_products_are_left_out() {
        let split = UsageKind::of("AmazonEKS", "USE2-EKS-EC2-vCPU-Hours", "EKSPod-EC2");
        assert_eq!(split, UsageKind::Other);
        assert_eq!(
            UsageKind::of("AmazonRDS", "InstanceUsage:db.m5.large", "CreateDBInstance"),
            UsageKind::Other
        );
        assert_eq!(
            UsageKind::of("AmazonEKS", "EUC1-Fargate-vCPU-Hours:perCPU", "FargatePod"),
            UsageKind::Serverless
        );
        assert_eq!(
            UsageKind::of(
                "AmazonECS",
                "USE2-SpotUsage-Fargate-vCPU-Hours:perCPU",
                "FargateTask"
            ),
            UsageKind::Other
        );
        assert_eq!(
            UsageKind::of("AWSLambda", "USE2-Lambda-GB-Second-ARM", "Invoke"),
            UsageKind::Serverless
        );
    }

    #[test]
    fn only_whole_names_are_covered_whatever_the_region() {
        let of = |product: &str, usage_type: &str| UsageKind::of(product, usage_type, "RunInstances");
        for (product, names, kind) in [
            ("AmazonEC2", ON_DEMAND.as_slice(), UsageKind::OnDemandInstance),
            ("AmazonECS", &FARGATE, UsageKind::Serverless),
            ("AmazonEKS", &FARGATE, UsageKind::Serverless),
            ("AWSLambda", &LAMBDA, UsageKind::Serverless),
        ] {
            for name in names {
                for usage_type in [
                    (*name).to_owned(),
                    format!("EU-{name}"),
                    format!("USE2-{name}:x"),
                    format!("USW2-LAX1-{name}:x"),
                ] {
                    assert_eq!(of(product, &usage_type), kind, "{product} {usage_type}");
                    assert_eq!(of("8xk2marketplaceproduct", &usage_type), UsageKind::Other);
                }
                for usage_type in [
                    format!("{name}X"),
                    format!("USE2-Other-{name}"),
                    format!("X{name}:y"),
                ] {
                    assert_eq!(
                        of(product, &usage_type),
                        UsageKind::Other,
                        "{product} {usage_type}"
                    );
                }
            }
        }
    }

    #[test]
    fn neighbours_of_what_is_covered_are_not() {
        for (product, usage_type) in [
            ("AWSLambda", "EUC1-Lambda-Edge-Request"),
            ("AWSLambda", "Lambda-Edge-GB-Second"),
            ("AWSLambda", "USE2-Lambda-Storage-GB-Second"),
            ("AWSLambda", "Lambda-SnapStart-Cached-GB-Second"),
            ("AmazonECS", "USE2-Fargate-EphemeralStorage-GB-Hours"),
            ("AmazonEKS", "Fargate-EphemeralStorage-GB-Hours"),
            ("AmazonECS", "Fargate-Windows-OS-Hours:perCPU"),
            ("AmazonECS", "USE2-SpotUsage-Fargate-GB-Hours"),
            ("AmazonEKS", "USE2-EKS-Auto:m5.large"),
            ("AmazonEC2", "EU-CPUCredits:t3"),
            ("AmazonEC2", "EBSOptimized:m5.large"),
            ("AmazonEC2", "USE2-ReservedHostUsage:m5"),
            ("AmazonEC2", "EBS:VolumeUsage.gp3"),
        ] {
            assert_eq!(
                UsageKind::of(product, usage_type, "RunInstances"),
                UsageKind::Other,
                "{product} {usage_type}"
            );
        }
    }

    #[test]
    fn a_dedicated_host_is_demand_of_its_family() {
        for operation in ["", "RunInstances", "RunInstances:0002", "Hourly"] {
            let kind = UsageKind::of("AmazonEC2", "USE2-HostUsage:m5", operation);
            assert_eq!(kind, UsageKind::OnDemandInstance, "{operation}");
        }
        assert_eq!(family(instance_type("USE2-HostUsage:m5")), "m5");
    }

    #[test]
    fn type_and_family_come_from_the_usage_type() {
        assert_eq!(
            instance_type("USE2-SpotUsage:c7i-flex.2xlarge"),
            "c7i-flex.2xlarge"
        );
        assert_eq!(instance_type("BoxUsage"), "m1.small");
        assert_eq!(family("c7i-flex.2xlarge"), "c7i-flex");
    }
}
