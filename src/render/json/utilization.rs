//! `brimful utilization`: each plan's use, hour by hour.

use serde::Serialize;

use super::round;
use crate::analysis::{Analysis, Source};
use brimful_savings_plans::ledger::Granularity;
use brimful_savings_plans::savings_plan::PlanKind;
use brimful_savings_plans::utilization::{HourUse, PlanUse};
use brimful_types::hour::{Hour, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::Warning;

/// `brimful utilization`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UtilizationReport {
    schema: &'static str,
    /// Where the figures come from.
    pub source: Source,
    /// Plans by ARN.
    pub plans: Vec<PlanReport>,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

/// One plan's use.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the contract names them
pub struct PlanReport {
    pub arn: String,
    pub kind: PlanKind,
    pub region: Option<String>,
    pub family: Option<String>,
    pub owner: Option<String>,
    pub payment_option: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    pub hours: Vec<HourReport>,
    /// The complete hours.
    pub total: Total,
    /// The others. What looks unused in them may still be delivered.
    pub incomplete: Total,
}

/// One hour of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct HourReport {
    pub hour: Hour,
    pub commitment: Option<Money>,
    pub used: Option<Money>,
    pub unused: Option<Money>,
    pub utilization: Option<f64>,
    pub covered: Option<Money>,
    pub demand: Option<Money>,
    pub mature: bool,
    pub reconciles: Option<bool>,
}

/// The sum of some of a plan's hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Total {
    pub hours: usize,
    pub commitment: Option<Money>,
    pub used: Option<Money>,
    pub unused: Option<Money>,
    pub utilization: Option<f64>,
}

impl UtilizationReport {
    /// The report of what was found. A daily report's entries count 24 hours each.
    #[must_use]
    pub fn new(analysis: &Analysis) -> Self {
        let is_daily = analysis.ledger.granularity == Some(Granularity::Daily);
        let hours_per_entry = if is_daily { 24 } else { 1 };
        let plans = analysis.utilization.plans.iter();
        Self {
            schema: "brimful/utilization/v1",
            source: analysis.source.clone(),
            plans: plans.map(|plan| plan_report(plan, hours_per_entry)).collect(),
            warnings: analysis.warnings.clone(),
        }
    }
}

fn plan_report(plan: &PlanUse, hours_per_entry: usize) -> PlanReport {
    let facts = &plan.plan;
    let (complete, incomplete): (Vec<&HourUse>, Vec<&HourUse>) = plan.hours.iter().partition(|h| h.complete);
    PlanReport {
        arn: facts.arn.clone(),
        kind: facts.kind,
        region: facts.region.clone(),
        family: facts.family.clone(),
        owner: facts.owner.clone(),
        payment_option: facts.payment_option.clone(),
        start: facts.start.map(rfc3339),
        end: facts.end.map(rfc3339),
        hours: plan.hours.iter().map(hour_report).collect(),
        total: total(complete, hours_per_entry),
        incomplete: total(incomplete, hours_per_entry),
    }
}

fn hour_report(hour: &HourUse) -> HourReport {
    HourReport {
        hour: hour.hour,
        commitment: hour.commitment,
        used: hour.used,
        unused: hour.unused(),
        utilization: hour.utilization().map(round),
        covered: hour.covered,
        demand: hour.demand,
        mature: hour.mature,
        reconciles: hour.reconciles,
    }
}

/// Sums; null as soon as one hour is unknown, and of no hours.
#[must_use]
pub fn total<'a>(hours: impl IntoIterator<Item = &'a HourUse>, hours_per_entry: usize) -> Total {
    let hours: Vec<&HourUse> = hours.into_iter().collect();
    let sum = |value: fn(&HourUse) -> Option<Money>| {
        let sum: Option<Money> = hours.iter().map(|hour| value(hour)).sum();
        sum.filter(|_| !hours.is_empty())
    };
    let (commitment, used) = (sum(|h| h.commitment), sum(|h| h.used));
    Total {
        hours: hours.len() * hours_per_entry,
        commitment,
        used,
        unused: sum(HourUse::unused),
        utilization: used
            .zip(commitment)
            .and_then(|(used, whole)| used.fraction_of(whole))
            .map(round),
    }
}
