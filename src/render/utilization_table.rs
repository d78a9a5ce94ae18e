//! `brimful utilization` for people, and as CSV.

use super::json::{PlanReport, UtilizationReport, total};
use super::sparkline::sparkline;
use super::text::{amount, paragraph, percent, table, titled};
use brimful_savings_plans::savings_plan::{Plan, PlanKind};
use brimful_savings_plans::utilization::{HourUse, PlanUse, Utilization};
use brimful_types::hour::{human_duration, rfc3339};
use brimful_types::{Error, Result};
use chrono::{DateTime, Utc};

/// Blocks in a strip, at most and at least: a shorter one is left out.
const STRIP: (usize, usize) = (28, 8);
/// What a table adds to each column: a blank on either side, and one between columns.
const MARGINS: usize = 3;

/// One line per plan, with its course over the window; below it, apart, what is not complete yet.
#[must_use]
pub(crate) fn render(
    report: &UtilizationReport,
    utilization: &Utilization,
    now: DateTime<Utc>,
    width: Option<usize>,
) -> String {
    let mut out = titled("Savings Plans", &heading(report, utilization, now), width);
    if report.plans.is_empty() {
        return out;
    }
    let lines = utilization.plans.iter().zip(&report.plans);
    let mut rows: Vec<Vec<String>> = lines.map(|(plan, line)| row(plan, line)).collect();
    rows.extend(sum_row(utilization));
    let mut headings = vec![
        "PLAN",
        "KIND",
        ">HOURS",
        ">COMMITTED",
        ">USED",
        ">UNUSED",
        ">UTILIZATION",
    ];
    if let Some(strip) = strip(&headings, &rows, width) {
        headings.push("COURSE");
        let courses = utilization.plans.iter().map(|plan| course(plan, strip));
        for (row, course) in rows.iter_mut().zip(courses.chain([String::new()])) {
            row.push(course);
        }
    }
    out.push_str(&table(&headings, &rows, width));
    if let Some(text) = incomplete(report, utilization) {
        out.push('\n');
        out.push_str(&paragraph(&text, 0, width));
    }
    out
}

fn row(plan: &PlanUse, line: &PlanReport) -> Vec<String> {
    vec![
        plan.plan.short_id().to_owned(),
        kind(&plan.plan),
        line.total.hours.to_string(),
        amount(line.total.commitment),
        amount(line.total.used),
        amount(line.total.unused),
        percent(line.total.utilization),
    ]
}

/// How long the strips can be, beside columns of that width; `None` where too little room is left.
fn strip(headings: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Option<usize> {
    let Some(width) = width else { return Some(STRIP.0) };
    let of_column = |(index, heading): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(heading.trim_start_matches('>').len()) + MARGINS
    };
    let taken: usize = headings.iter().enumerate().map(of_column).sum();
    let room = (width + 1).saturating_sub(taken + MARGINS);
    (room >= STRIP.1).then(|| room.min(STRIP.0))
}

/// The course of the complete hours: what is not complete would look like a plan that empties.
fn course(plan: &PlanUse, strip: usize) -> String {
    let ratio = |hour: &HourUse| hour.utilization().filter(|_| hour.complete);
    let ratios: Vec<Option<f64>> = plan.hours.iter().map(ratio).collect();
    sparkline(&ratios, strip)
}

/// The plans that nodes can use, together: sums, never means of percentages.
fn sum_row(utilization: &Utilization) -> Option<Vec<String>> {
    let of_nodes = |plan: &&PlanUse| plan.plan.kind.covers_nodes();
    let plans: Vec<&PlanUse> = utilization.plans.iter().filter(of_nodes).collect();
    // Without such a plan the others would pass for all.
    let is_unknown = |plan: &&PlanUse| !plan.hours.is_empty() && !is_known(plan);
    let unknown = plans.iter().any(is_unknown);
    let hours = plans.iter().flat_map(|plan| &plan.hours);
    let sum = total(hours.filter(|hour| hour.complete && !unknown), 1);
    (plans.len() > 1).then(|| {
        let cells = [
            "",
            "plans for nodes",
            "",
            &amount(sum.commitment),
            &amount(sum.used),
            &amount(sum.unused),
            &percent(sum.utilization),
        ];
        cells.iter().map(ToString::to_string).collect()
    })
}

/// Whether the report states the commitment of any hour of the plan; of another account's plan it does not.
fn is_known(plan: &PlanUse) -> bool {
    plan.hours.iter().any(|hour| hour.commitment.is_some())
}

/// What is not in the sums: hours of which usage may still be missing.
fn incomplete(report: &UtilizationReport, utilization: &Utilization) -> Option<String> {
    let known = || {
        let plans = utilization.plans.iter().zip(&report.plans);
        plans.filter(|(plan, _)| is_known(plan))
    };
    let hours: Vec<&HourUse> = known().flat_map(|(plan, _)| &plan.hours).collect();
    let open = || hours.iter().copied().filter(|hour| !hour.complete);
    let first = open().map(|hour| hour.hour).min()?;
    let most = known().map(|(_, line)| line.incomplete.hours).max()?;
    let sum = total(open(), 1);
    let amounts = match (sum.commitment, sum.used) {
        (Some(_), Some(_)) => format!(
            " ({} committed, {} used so far)",
            amount(sum.commitment),
            amount(sum.used)
        ),
        _ => String::new(),
    };
    let of = if known().count() == 1 {
        "the plan"
    } else {
        "each plan"
    };
    let up_to = if known().all(|(_, line)| line.incomplete.hours == most) {
        ""
    } else {
        "up to "
    };
    let s = if most == 1 { "" } else { "s" };
    let what = if open().count() == hours.len() {
        format!(
            "No hour is complete yet, so there are no sums: {up_to}{most} hour{s} of {of}, from {first} on{amounts}"
        )
    } else {
        format!(
            "Not in these sums: {up_to}{most} hour{s} of {of}, from {first} on, not complete yet{amounts}"
        )
    };
    Some(format!(
        "{what}. What looks unused in them may still be delivered."
    ))
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
pub(crate) fn kind(plan: &Plan) -> String {
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
pub(crate) fn csv(report: &UtilizationReport) -> Result<String> {
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
