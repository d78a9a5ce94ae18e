//! Savings Plans, and the groups in which AWS applies them.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::region;
use super::usage::family;
use brimful_types::hour::Hour;

/// What a plan covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PlanKind {
    /// Any EC2 family and region, Fargate and Lambda.
    Compute,
    /// One EC2 family in one region.
    Ec2Instance,
    /// `SageMaker`: nothing that a node can use.
    SageMaker,
    /// Databases: nothing that a node can use.
    Database,
    /// Unknown; never used for decisions.
    Other,
}

impl PlanKind {
    /// From the offering type; where that is absent, from the `RecurringFee` row's usage type, then its product.
    /// AWS's own pages spell the offering in singular and plural.
    #[must_use]
    pub fn of(offering: &str, usage_type: &str, product: &str) -> Self {
        let offering = offering.to_ascii_lowercase().replace(' ', "");
        let starts = |prefix| offering.starts_with(prefix);
        match () {
            () if starts("compute") => Self::Compute,
            () if starts("ec2instance") => Self::Ec2Instance,
            () if starts("sagemaker") || starts("machinelearning") => Self::SageMaker,
            () if starts("database") => Self::Database,
            // "Savings Plan" names no kind.
            () if !offering.is_empty() && !starts("savingsplan") => Self::Other,
            () if usage_type.contains("EC2SP:") => Self::Ec2Instance,
            () if usage_type.contains("ComputeSP:") => Self::Compute,
            () if usage_type.contains("MLSP") || product == "MachineLearningSavingsPlans" => Self::SageMaker,
            () if product.contains("DatabaseSavingsPlans") => Self::Database,
            () => Self::Other,
        }
    }

    /// True for plans that EC2 nodes can use.
    #[must_use]
    pub fn covers_nodes(self) -> bool {
        matches!(self, Self::Compute | Self::Ec2Instance)
    }
}

/// One Savings Plan as the report tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its ARN, in whatever partition (`arn:aws:`, `arn:aws-cn:` …).
    pub arn: String,
    /// What it covers.
    pub kind: PlanKind,
    /// Region code of an EC2 Instance plan.
    pub region: Option<String>,
    /// Family of an EC2 Instance plan.
    pub family: Option<String>,
    /// The account that bought it.
    pub owner: Option<String>,
    /// `No Upfront`, `Partial Upfront` or `All Upfront`.
    pub payment_option: Option<String>,
    /// When it began.
    pub start: Option<DateTime<Utc>>,
    /// When it ends.
    pub end: Option<DateTime<Utc>>,
    /// Currency of its commitment.
    pub currency: Option<String>,
    /// When its rows stop although others' go on: it was returned, or the report does not tell its end.
    pub stopped: Option<DateTime<Utc>>,
    /// False for plans of accounts that do not share with this cluster: they belong to no group.
    pub shared: bool,
}

/// The texts of a row from which a plan is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is named after its column
pub struct PlanTexts {
    pub offering_type: String,
    pub usage_type: String,
    pub product_code: String,
    pub payment_option: String,
    pub region: String,
    pub family: String,
    pub start: String,
    pub end: String,
    pub account: String,
    pub currency: String,
}

impl Plan {
    /// Reads a plan from its rows' texts.
    #[must_use]
    pub fn read(arn: &str, texts: &PlanTexts) -> Self {
        let kind = PlanKind::of(&texts.offering_type, &texts.usage_type, &texts.product_code);
        let is_ec2 = kind == PlanKind::Ec2Instance;
        let purchase = texts.usage_type.split_once("EC2SP:").map(|(_, rest)| rest);
        let from_purchase = purchase
            .and_then(|rest| rest.split_once('.'))
            .map(|(family, _)| family.to_owned());
        let from_column = text(&texts.family).map(|name| family(&name).to_owned());
        let prefix_region = || region::of_usage_type(&texts.usage_type).map(str::to_owned);
        Self {
            arn: arn.to_owned(),
            kind,
            region: is_ec2
                .then(|| region::code_of(&texts.region).or_else(prefix_region))
                .flatten(),
            family: is_ec2.then(|| from_purchase.or(from_column)).flatten(),
            owner: arn
                .split(':')
                .nth(4)
                .and_then(text)
                .or_else(|| text(&texts.account)),
            payment_option: payment_option(&texts.payment_option),
            start: time(&texts.start),
            end: time(&texts.end),
            currency: text(&texts.currency),
            stopped: None,
            shared: true,
        }
    }

    /// The group in which AWS applies this plan; `None` for plans that nodes cannot use, and for EC2 Instance plans
    /// whose family or region is unknown.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        self.scope().filter(|_| self.shared)
    }

    /// The same, whether or not the plan reaches this cluster.
    #[must_use]
    pub fn scope(&self) -> Option<GroupId> {
        match self.kind {
            PlanKind::Compute => Some(GroupId::Compute),
            PlanKind::Ec2Instance => Some(GroupId::Ec2Instance {
                family: self.family.clone()?,
                region: self.region.clone()?,
            }),
            _ => None,
        }
    }

    /// True while the plan is in force.
    #[must_use]
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.start.is_none_or(|start| start <= now) && self.ends().is_none_or(|end| now < end)
    }

    /// True when the plan is in force in a part of that hour.
    #[must_use]
    pub fn touches(&self, hour: Hour) -> bool {
        self.start.is_some_and(|start| start < hour.end()) && self.ends().is_none_or(|end| end > hour.start())
    }

    /// When it ends, or when its rows stopped, whichever is earlier.
    #[must_use]
    pub fn ends(&self) -> Option<DateTime<Utc>> {
        [self.end, self.stopped].into_iter().flatten().min()
    }

    /// The last characters of the plan's id: enough to tell plans apart on a screen.
    #[must_use]
    pub fn short_id(&self) -> &str {
        let id = self.arn.rsplit('/').next().unwrap_or(&self.arn);
        id.get(..8).unwrap_or(id)
    }
}

/// Plans that AWS applies together: the same kind; for EC2 Instance plans also the same family and region.
/// Source: AWS Savings Plans user guide, "Understanding how Savings Plans apply to your usage".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupId {
    /// All EC2 Instance plans of one family in one region. AWS applies these first.
    Ec2Instance {
        /// Instance family.
        family: String,
        /// Region code.
        region: String,
    },
    /// All Compute plans.
    Compute,
}

impl GroupId {
    /// Of these groups the one that pays first for a family in a region: its EC2 Instance group; Compute when there is
    /// none.
    #[must_use]
    pub fn paying_first(groups: &BTreeSet<Self>, family: &str, region: &str) -> Self {
        let instance = Self::Ec2Instance {
            family: family.to_owned(),
            region: region.to_owned(),
        };
        if groups.contains(&instance) {
            instance
        } else {
            Self::Compute
        }
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compute => f.write_str("compute"),
            Self::Ec2Instance { family, region } => write!(f, "ec2Instance/{family}/{region}"),
        }
    }
}

impl Serialize for GroupId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Some tools drop the space of `No Upfront`.
fn payment_option(option: &str) -> Option<String> {
    let known = ["No Upfront", "Partial Upfront", "All Upfront"];
    let squeezed = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    known
        .iter()
        .find(|k| squeezed(k) == squeezed(option))
        .map_or_else(|| text(option), |k| Some((*k).to_owned()))
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws-cn:savingsplans::111122223333:savingsplan/0a1b2c3d-0000-0000-0000-000000000000";

    #[test]
    fn kinds_are_read_from_offering_then_usage_type_then_product() {
        assert_eq!(PlanKind::of("ComputeSavingsPlan", "", ""), PlanKind::Compute);
        assert_eq!(
            PlanKind::of("EC2InstanceSavingsPlans", "ComputeSP:1yr", ""),
            PlanKind::Ec2Instance
        );
        assert_eq!(
            PlanKind::of("", "USE2-EC2SP:t3.1yrPartialUpfront", "ComputeSavingsPlans"),
            PlanKind::Ec2Instance
        );
        assert_eq!(
            PlanKind::of("", "", "MachineLearningSavingsPlans"),
            PlanKind::SageMaker
        );
        assert_eq!(PlanKind::of("QuantumSavingsPlans", "", ""), PlanKind::Other);
    }

    #[test]
    fn an_ec2_instance_plan_has_family_and_region_from_its_purchase() {
        let texts = PlanTexts {
            usage_type: "USE2-EC2SP:c7i-flex.1yrNoUpfront".into(),
            payment_option: "NoUpfront".into(),
            region: "US East (Ohio)".into(),
            start: "2026-11-08T11:15:04.000Z".into(),
            ..PlanTexts::default()
        };
        let plan = Plan::read(ARN, &texts);
        assert_eq!(
            plan.group().unwrap().to_string(),
            "ec2Instance/c7i-flex/us-east-2"
        );
        assert_eq!(plan.owner.as_deref(), Some("111122223333"));
        assert_eq!(plan.payment_option.as_deref(), Some("No Upfront"));
        assert_eq!(plan.short_id(), "0a1b2c3d");
        assert!(!plan.is_active("2026-11-08T11:15:00Z".parse().unwrap()));
        assert!(plan.is_active("2026-11-08T11:15:04Z".parse().unwrap()));
    }

    #[test]
    fn an_ec2_instance_plan_without_a_family_belongs_to_no_group() {
        let texts = PlanTexts {
            offering_type: "EC2InstanceSavingsPlans".into(),
            ..PlanTexts::default()
        };
        assert_eq!(Plan::read(ARN, &texts).group(), None);
    }
}
