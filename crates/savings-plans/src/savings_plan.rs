//! Savings Plans, and the groups in which AWS applies them.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::inventory::Listing;
use super::region;
use super::usage::family;
use brimful_types::hour::{Hour, read_time};

use texts::{Described, only, term};

pub use texts::{Covered, PlanTexts, Unclear};

mod texts;

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
        let says = |word| offering.contains(word);
        match () {
            () if says("compute") => Self::Compute,
            () if says("ec2instance") => Self::Ec2Instance,
            () if says("sagemaker") || says("machinelearning") => Self::SageMaker,
            () if says("database") => Self::Database,
            () if !Self::is_unnamed(&offering) => Self::Other,
            () if usage_type.contains("EC2SP:") => Self::Ec2Instance,
            () if usage_type.contains("ComputeSP:") => Self::Compute,
            () if usage_type.contains("MLSP") || product == "MachineLearningSavingsPlans" => Self::SageMaker,
            () if product.contains("DatabaseSavingsPlans") => Self::Database,
            () => Self::Other,
        }
    }

    /// True for an offering that names no kind: "Savings Plan".
    fn is_unnamed(offering: &str) -> bool {
        let offering = offering.to_ascii_lowercase().replace(' ', "");
        offering.is_empty() || offering.starts_with("savingsplan")
    }

    /// The word of the contract, as it is serialized.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Ec2Instance => "ec2Instance",
            Self::SageMaker => "sageMaker",
            Self::Database => "database",
            Self::Other => "other",
        }
    }

    /// True for plans that EC2 nodes can use.
    #[must_use]
    pub fn covers_nodes(self) -> bool {
        matches!(self, Self::Compute | Self::Ec2Instance)
    }
}

/// One Savings Plan as the report shows it.
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
    /// When its rows stop although others' go on: it was returned, or the report does not state its end.
    pub stopped: Option<DateTime<Utc>>,
    /// When its fee was given back: a plan may be returned within some days.
    pub returned: Option<DateTime<Utc>>,
    /// What its rows leave open.
    pub unclear: Vec<Unclear>,
    /// What AWS's own list of plans says of it, where that was asked for.
    pub listed: Option<Listing>,
    /// False for plans of accounts that do not share with this cluster: they belong to no group.
    pub shared: bool,
}

impl Plan {
    /// Reads a plan from its rows' texts, and what those leave open from the usage that it covered.
    #[must_use]
    pub fn read(arn: &str, texts: &PlanTexts, covered: &Covered) -> Self {
        let described = Described::by(&texts.description);
        let kind = match PlanKind::of(&texts.offering_type, &texts.usage_type, &texts.product_code) {
            PlanKind::Other if PlanKind::is_unnamed(&texts.offering_type) => {
                let by_use = || covered.is_compute().then_some(PlanKind::Compute);
                described.kind.or_else(by_use).unwrap_or(PlanKind::Other)
            }
            kind => kind,
        };
        let purchase = texts.usage_type.split_once("EC2SP:");
        let from_purchase = purchase
            .and_then(|(_, rest)| rest.split_once('.'))
            .map(|(family, _)| family.to_owned());
        let from_column = text(&texts.family).map(|name| family(&name).to_owned());
        let prefix_region = || region::of_prefix(purchase?.0).map(str::to_owned);
        let region = region::code_of(&texts.region)
            .or_else(prefix_region)
            .or(described.region)
            .or_else(|| only(&covered.regions));
        let family = from_purchase
            .or(described.family)
            .or(from_column)
            .or_else(|| only(&covered.families));
        let mut plan = Self::of_kind(arn, kind, region, family, texts);
        plan.unclear = plan.what_is_unclear(texts);
        if plan.end.is_none() && plan.has_unread_end() {
            plan.end = plan
                .start
                .zip(term(&texts.usage_type))
                .map(|(start, term)| start + term);
        }
        plan
    }

    /// True when its end is stated in a form that cannot be read.
    #[must_use]
    pub fn has_unread_end(&self) -> bool {
        self.unclear.iter().any(|what| matches!(what, Unclear::End(_)))
    }

    fn what_is_unclear(&self, texts: &PlanTexts) -> Vec<Unclear> {
        let is_ec2 = self.kind == PlanKind::Ec2Instance;
        let is_unread = |time: Option<_>, text: &str| time.is_none() && !text.trim().is_empty();
        let all = [
            (self.kind == PlanKind::Other).then(|| Unclear::Kind(texts.offering_type.clone())),
            (is_ec2 && self.region.is_none()).then(|| Unclear::Region(texts.region.clone())),
            (is_ec2 && self.family.is_none()).then_some(Unclear::Family),
            is_unread(self.start, &texts.start).then(|| Unclear::Start(texts.start.clone())),
            is_unread(self.end, &texts.end).then(|| Unclear::End(texts.end.clone())),
        ];
        all.into_iter().flatten().collect()
    }

    fn of_kind(
        arn: &str,
        kind: PlanKind,
        region: Option<String>,
        family: Option<String>,
        texts: &PlanTexts,
    ) -> Self {
        let is_ec2 = kind == PlanKind::Ec2Instance;
        Self {
            arn: arn.to_owned(),
            kind,
            region: region.filter(|_| is_ec2),
            family: family.filter(|_| is_ec2),
            owner: arn
                .split(':')
                .nth(4)
                .and_then(text)
                .or_else(|| text(&texts.account)),
            payment_option: payment_option(&texts.payment_option),
            start: read_time(&texts.start),
            end: read_time(&texts.end),
            currency: text(&texts.currency),
            stopped: None,
            returned: None,
            unclear: Vec::new(),
            listed: None,
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
        let id = plan_id(&self.arn);
        id.get(..8).unwrap_or(id)
    }
}

/// The id in a plan's ARN: what stands behind the last slash.
#[must_use]
pub fn plan_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
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
    /// Which of these groups pays first for a family in a region: its EC2 Instance group, or Compute where there is
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
        assert_eq!(
            PlanKind::of("Savings Plan", "ComputeSP:1yrNoUpfront", ""),
            PlanKind::Compute
        );
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
        let plan = Plan::read(ARN, &texts, &Covered::default());
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
        assert_eq!(Plan::read(ARN, &texts, &Covered::default()).group(), None);
    }

    fn covered(usage_types: &[&str], regions: &[&str]) -> Covered {
        let mut covered = Covered::default();
        for usage_type in usage_types {
            covered.add_usage(usage_type, "RunInstances");
        }
        for region in regions {
            covered.add_region(region);
        }
        covered
    }

    #[test]
    fn a_region_that_no_table_has_is_learned_from_what_the_plan_covered() {
        let texts = PlanTexts {
            offering_type: "EC2InstanceSavingsPlans".into(),
            usage_type: "APX9-EC2SP:m5.1yrNoUpfront".into(),
            region: "Asia Pacific (Atlantis)".into(),
            ..PlanTexts::default()
        };
        let plan = Plan::read(
            ARN,
            &texts,
            &covered(&["APX9-BoxUsage:m5.large"], &["ap-atlantis-1"]),
        );
        assert_eq!(plan.group().unwrap().to_string(), "ec2Instance/m5/ap-atlantis-1");
        assert!(plan.unclear.is_empty(), "{:?}", plan.unclear);
        let plan = Plan::read(ARN, &texts, &Covered::default());
        assert_eq!(plan.group(), None);
        assert!(
            plan.unclear[0].to_string().contains("Asia Pacific (Atlantis)"),
            "{:?}",
            plan.unclear
        );
    }

    #[test]
    fn a_plan_that_names_no_kind_is_known_by_its_description_or_by_what_it_covered() {
        let named = |description: &str, covered: &Covered| {
            let texts = PlanTexts {
                offering_type: "Savings Plan".into(),
                description: description.into(),
                ..PlanTexts::default()
            };
            Plan::read(ARN, &texts, covered)
        };
        let none = Covered::default();
        let plan = named(
            "3 year Partial Upfront c7i-flex EC2 Instance Savings Plan in us-east-2",
            &none,
        );
        assert_eq!(
            plan.group().unwrap().to_string(),
            "ec2Instance/c7i-flex/us-east-2"
        );
        assert_eq!(
            named("1 year No Upfront Compute Savings Plan", &none).kind,
            PlanKind::Compute
        );
        let several = [
            covered(&["BoxUsage:m5.large", "BoxUsage:c5.large"], &["us-east-1"]),
            covered(&["BoxUsage:m5.large"], &["us-east-1", "us-east-2"]),
            covered(&["Fargate-GB-Hours"], &["us-east-1"]),
        ];
        for covered in &several {
            assert_eq!(named("", covered).kind, PlanKind::Compute, "{covered:?}");
        }
        let one = named("", &covered(&["BoxUsage:m5.large"], &["us-east-1"]));
        assert_eq!(
            (one.kind, one.unclear.len()),
            (PlanKind::Other, 1),
            "it could be either"
        );
    }

    #[test]
    fn a_term_is_read_in_every_form_and_one_that_cannot_be_is_told_and_ends_all_the_same() {
        let texts = |start: &str, end: &str| PlanTexts {
            usage_type: "ComputeSP:1yrNoUpfront".into(),
            start: start.into(),
            end: end.into(),
            ..PlanTexts::default()
        };
        let read = |start, end| Plan::read(ARN, &texts(start, end), &Covered::default());
        let plan = read("2026-01-01 08:00:00.000", "2027-01-01 08:00:00.000 UTC");
        assert_eq!(plan.end, Some("2027-01-01T08:00:00Z".parse().unwrap()));
        let plan = read("2026-01-01 08:00:00.000", "next year");
        assert_eq!(plan.end, Some("2027-01-01T08:00:00Z".parse().unwrap()));
        assert!(
            plan.unclear[0].to_string().contains("next year"),
            "{:?}",
            plan.unclear
        );
        let plan = read("soon", "");
        assert_eq!((plan.start, plan.end, plan.unclear.len()), (None, None, 1));
    }
}
