//! Line items by what a Savings Plan makes of them.

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
    /// FOCUS: a fee, which tells what the plan is.
    Purchase,
    /// Negation (it cancels `CoveredUsage`), upfront fees, tax, credits, refunds and whatever AWS adds next.
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

/// Usage-type heads of EC2 instances billed on demand. `HeavyUsage` is how older RIs call a box.
const ON_DEMAND: [&str; 8] = [
    "BoxUsage",
    "DedicatedUsage",
    "HostBoxUsage",
    "UnusedBox",
    "UnusedDed",
    "Reservation",
    "DedicatedRes",
    "HeavyUsage",
];

/// What Lambda's usage types hold of those that Compute plans cover.
const LAMBDA: [&str; 3] = ["Lambda-GB-Second", "Lambda-Provisioned", "Request"];
/// What Fargate's usage types hold.
const FARGATE: &str = "Fargate-";

/// Products, and parts of usage types: whatever is not [`UsageKind::Other`] is of one of these products and has one of
/// their parts. Some of what has is `Other` all the same.
pub const OF_INTEREST: [(&[&str], &[&str]); 4] = [
    (&["AmazonEC2"], &ON_DEMAND),
    (&["AmazonEC2"], &["SpotUsage"]),
    (&["AmazonECS", "AmazonEKS"], &[FARGATE]),
    (&["AWSLambda"], &LAMBDA),
];

impl UsageKind {
    /// Classifies a row. Split-cost rows (`EKSPod-EC2`, `ECSTask-EC2`) repeat their instance's cost: they are `Other`.
    #[must_use]
    pub fn of(product: &str, usage_type: &str, operation: &str) -> Self {
        match product {
            "AmazonEC2" => match head(usage_type) {
                "SpotUsage" => Self::SpotInstance,
                kind if ON_DEMAND.contains(&kind) && operation.starts_with("RunInstances") => {
                    Self::OnDemandInstance
                }
                _ => Self::Other,
            },
            // Fargate Spot is Spot.
            _ if usage_type.contains("SpotUsage") => Self::Other,
            "AmazonECS" | "AmazonEKS" if usage_type.contains(FARGATE) && !is_split_cost(operation) => {
                Self::Serverless
            }
            "AWSLambda" => {
                if LAMBDA.iter().any(|part| usage_type.contains(part)) {
                    Self::Serverless
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        }
    }

    /// True for EC2 instances, whose newest hour tells how far the report reaches.
    #[must_use]
    pub fn is_instance(self) -> bool {
        matches!(self, Self::OnDemandInstance | Self::SpotInstance)
    }
}

fn is_split_cost(operation: &str) -> bool {
    matches!(operation, "EKSPod-EC2" | "ECSTask-EC2")
}

/// The usage type without region prefix and instance type: `USE2-BoxUsage:m5.large` → `BoxUsage`.
fn head(usage_type: &str) -> &str {
    let head = usage_type.split(':').next().unwrap_or_default();
    head.rsplit('-').next().unwrap_or_default()
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
    fn type_and_family_come_from_the_usage_type() {
        assert_eq!(
            instance_type("USE2-SpotUsage:c7i-flex.2xlarge"),
            "c7i-flex.2xlarge"
        );
        assert_eq!(instance_type("BoxUsage"), "m1.small");
        assert_eq!(family("c7i-flex.2xlarge"), "c7i-flex");
    }
}
