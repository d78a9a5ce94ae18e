//! `brimful utilization` for people, and as CSV.

use std::fmt::Write as _;

use super::json::{UtilizationReport, total};
use super::sparkline::sparkline;
use super::text::{HEADING, amount, percent, table};
use brimful_savings_plans::savings_plan::{Plan, PlanKind};
use brimful_savings_plans::utilization::Utilization;
use brimful_types::hour::{human_duration, rfc3339};
use brimful_types::{Error, Result};
use chrono::{DateTime, Utc};

/// Blocks in a strip.
const STRIP: usize = 28;

/// One line per plan, with its course over the window.
#[must_use]
pub fn render(
    report: &UtilizationReport,
    utilization: &Utilization,
    now: DateTime<Utc>,
    width: Option<usize>,
) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{HEADING}Savings Plans{HEADING:#}  {}",
        heading(report, utilization, now)
    );
    if report.plans.is_empty() {
        return out;
    }
    let rows = utilization.plans.iter().zip(&report.plans).map(|(plan, line)| {
        let ratios: Vec<Option<f64>> = plan
            .hours
            .iter()
            .map(brimful_savings_plans::utilization::HourUse::utilization)
            .collect();
        vec![
            plan.plan.short_id().to_owned(),
            kind(&plan.plan),
            line.total.hours.to_string(),
            amount(line.total.commitment),
            amount(line.total.used),
            amount(line.total.unused),
            percent(line.total.utilization),
            sparkline(&ratios, STRIP),
        ]
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    rows.extend(sum_row(utilization));
    let headings = [
        "PLAN",
        "KIND",
        ">HOURS",
        ">COMMITTED",
        ">USED",
        ">UNUSED",
        ">UTILIZATION",
        "COURSE",
    ];
    out.push_str(&table(&headings, rows, width));
    out
}

/// The plans that nodes can use, together: sums, never means of percentages.
fn sum_row(utilization: &Utilization) -> Option<Vec<String>> {
    let plans = utilization
        .plans
        .iter()
        .filter(|plan| plan.plan.kind.covers_nodes());
    let hours: Vec<_> = plans
        .clone()
        .flat_map(|plan| plan.hours.iter().copied())
        .collect();
    (plans.count() > 1).then(|| {
        let sum = total(&hours, 1);
        let cells = [
            "",
            "plans for nodes",
            "",
            &amount(sum.commitment),
            &amount(sum.used),
            &amount(sum.unused),
            &percent(sum.utilization),
            "",
        ];
        cells.iter().map(ToString::to_string).collect()
    })
}

fn heading(report: &UtilizationReport, utilization: &Utilization, now: DateTime<Utc>) -> String {
    let source = &report.source;
    let first = utilization
        .plans
        .iter()
        .filter_map(|plan| plan.hours.first())
        .map(|hour| hour.hour)
        .min();
    match (first, utilization.horizon) {
        (Some(first), Some(horizon)) => {
            format!(
                "{first} to {}, {} old, from {}{}",
                rfc3339(horizon),
                human_duration(now - horizon),
                source.uri,
                source.scanned()
            )
        }
        _ => format!("no past hours in {}", source.uri),
    }
}

/// A plan's kind with family and region: `EC2 Instance m5 us-east-2`.
#[must_use]
pub fn kind(plan: &Plan) -> String {
    let name = match plan.kind {
        PlanKind::Compute => "Compute",
        PlanKind::Ec2Instance => "EC2 Instance",
        PlanKind::SageMaker => "SageMaker",
        PlanKind::Database => "Database",
        PlanKind::Other => "other",
    };
    let parts = [Some(name), plan.family.as_deref(), plan.region.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// One row per plan and hour.
pub fn csv(report: &UtilizationReport) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| Error::unexpected("cannot write CSV").source(e);
    let head = [
        "arn",
        "kind",
        "region",
        "family",
        "hour",
        "commitment",
        "used",
        "unused",
        "utilization",
        "covered",
        "demand",
        "mature",
        "reconciles",
    ];
    writer.write_record(head).map_err(failed)?;
    for plan in &report.plans {
        let kind = serde_json::to_value(plan.kind)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        for hour in &plan.hours {
            let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
            let money = |value: Option<brimful_types::money::Money>| {
                number(value.map(brimful_types::money::Money::dollars))
            };
            let record = [
                plan.arn.clone(),
                kind.clone(),
                plan.region.clone().unwrap_or_default(),
                plan.family.clone().unwrap_or_default(),
                hour.hour.to_string(),
                money(hour.commitment),
                money(hour.used),
                money(hour.unused),
                number(hour.utilization),
                money(hour.covered),
                money(hour.demand),
                hour.mature.to_string(),
                hour.reconciles.map(|r| r.to_string()).unwrap_or_default(),
            ];
            writer.write_record(&record).map_err(failed)?;
        }
    }
    let bytes = writer
        .into_inner()
        .map_err(|e| Error::unexpected("cannot write CSV").source(e.into_error()))?;
    String::from_utf8(bytes).map_err(|e| Error::unexpected("cannot write CSV").source(e))
}
