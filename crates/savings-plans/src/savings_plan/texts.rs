//! What is known of a plan from its own rows or from the usage that it covered, and what these leave open.

use std::collections::BTreeSet;
use std::fmt;

use chrono::Duration;

use super::PlanKind;
use crate::region;
use crate::usage::{UsageKind, family, instance_type};

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
    pub description: String,
}

impl From<[String; 11]> for PlanTexts {
    fn from(texts: [String; 11]) -> Self {
        let [
            offering_type,
            usage_type,
            product_code,
            payment_option,
            region,
            family,
            start,
            end,
            account,
            currency,
            description,
        ] = texts;
        Self {
            offering_type,
            usage_type,
            product_code,
            payment_option,
            region,
            family,
            start,
            end,
            account,
            currency,
            description,
        }
    }
}

impl PlanTexts {
    /// Takes from another row what this one leaves empty.
    pub fn fill(&mut self, mut other: Self) {
        // What its own row says of its kind goes before what others do.
        if PlanKind::of(&self.offering_type, &self.usage_type, &self.product_code) != PlanKind::Other {
            other.offering_type.clear();
        }
        for (known, more) in [
            (&mut self.offering_type, other.offering_type),
            (&mut self.usage_type, other.usage_type),
            (&mut self.product_code, other.product_code),
            (&mut self.payment_option, other.payment_option),
            (&mut self.region, other.region),
            (&mut self.family, other.family),
            (&mut self.start, other.start),
            (&mut self.end, other.end),
            (&mut self.account, other.account),
            (&mut self.currency, other.currency),
            (&mut self.description, other.description),
        ] {
            if known.is_empty() {
                *known = more;
            }
        }
    }
}

/// What a plan covered, as far as that shows what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    pub(super) families: BTreeSet<String>,
    pub(super) regions: BTreeSet<String>,
    is_serverless: bool,
}

impl Covered {
    /// Adds usage that the plan paid.
    pub fn add_usage(&mut self, usage_type: &str, operation: &str) {
        let is = |product| UsageKind::of(product, usage_type, operation);
        if is("AmazonEC2") == UsageKind::OnDemandInstance {
            self.families.insert(family(instance_type(usage_type)).to_owned());
        }
        self.is_serverless |= ["AmazonECS", "AWSLambda"]
            .map(is)
            .contains(&UsageKind::Serverless);
    }

    /// Adds the region of such usage.
    pub fn add_region(&mut self, region: &str) {
        if !region.is_empty() {
            self.regions.insert(region.to_owned());
        }
    }

    /// Only Compute plans cover more than a family in a region.
    pub(super) fn is_compute(&self) -> bool {
        self.is_serverless || self.families.len() > 1 || self.regions.len() > 1
    }
}

/// The only one there is.
pub(super) fn only(names: &BTreeSet<String>) -> Option<String> {
    names.first().filter(|_| names.len() == 1).cloned()
}

/// What the description of a fee says: "1 year Partial Upfront t3 EC2 Instance Savings Plan in us-east-2".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) kind: Option<PlanKind>,
    pub(super) family: Option<String>,
    pub(super) region: Option<String>,
}

impl Described {
    pub(super) fn by(description: &str) -> Self {
        const EC2: &str = "EC2 Instance Savings Plan";
        let kinds = [
            (EC2, PlanKind::Ec2Instance),
            ("Compute Savings Plan", PlanKind::Compute),
            ("SageMaker", PlanKind::SageMaker),
            ("Machine Learning Savings Plan", PlanKind::SageMaker),
            ("Database Savings Plan", PlanKind::Database),
        ];
        let kind = kinds
            .iter()
            .find(|(words, _)| description.contains(words))
            .map(|(_, kind)| *kind);
        let (before, after) = description.split_once(EC2).unwrap_or_default();
        let family = before
            .split_whitespace()
            .next_back()
            .filter(|word| is_family(word));
        let region = after
            .split_once(" in ")
            .map(|(_, region)| region.trim().trim_end_matches('.'));
        Self {
            kind,
            family: family.map(str::to_owned),
            region: region.and_then(region::code_of),
        }
    }
}

/// `m5`, `c7i-flex`, `u-6tb1`; not "Upfront".
fn is_family(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    word.chars().all(is_part) && word.contains(|c: char| c.is_ascii_digit())
}

/// The seconds of a term, by what a fee's usage type says of it: 365 days a year (`SavingsPlan.termDurationInSeconds`).
pub(super) fn term(usage_type: &str) -> Option<Duration> {
    let (_, purchase) = usage_type.split_once("SP:")?;
    let years = [("1yr", 1), ("3yr", 3)];
    let years = years
        .iter()
        .find(|(text, _)| purchase.contains(text))
        .map(|(_, years)| *years)?;
    Some(Duration::days(365 * years))
}

/// What the rows of a plan leave open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unclear {
    /// The offering that no kind is known for.
    Kind(String),
    /// The name of a region that has no code.
    Region(String),
    /// The family of an EC2 Instance plan.
    Family,
    /// A start that is no time.
    Start(String),
    /// An end that is no time.
    End(String),
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aside = "nor do its other rows tell it: it takes no part in decisions";
        match self {
            Self::Kind(offering) => write!(f, "its kind ({offering:?}) is not known, {aside}"),
            Self::Region(name) => write!(f, "its region ({name:?}) is not known, {aside}"),
            Self::Family => write!(f, "its instance family is not told, {aside}"),
            Self::Start(text) => write!(f, "its start ({text:?}) cannot be read as a time"),
            Self::End(text) => write!(
                f,
                "its end ({text:?}) cannot be read as a time: its term, or else its last fee, tells how long it goes on"
            ),
        }
    }
}
