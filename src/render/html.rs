//! `brimful report`: a plan as one page that needs nothing but itself: no script, no network, no file beside it.
//!
//! The page is a template; here is what stands in it, as text. Whatever comes from outside is cleaned here of what
//! acts, and escaped by the template.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value as Json;

use self::course::{Course, Sums, courses};
use self::outlook::{Outlook, outlooks};
use super::clean;
use super::consents::ConsentsRow;
use super::headline::{Headline, unused, whole};
use super::history::{Row, in_words};
use super::json::{Change, PlanDocument, PlanNow, PoolReport};
use super::text::{percent, rate, subject};
use crate::analysis::Analysis;
use brimful_policy::Decision;
use brimful_policy::plan::{Proposal, show_limits};
use brimful_policy::weights::show;
use brimful_savings_plans::savings_plan::{GroupId, PlanKind, plan_id};
use brimful_savings_plans::utilization::PlanUse;
use brimful_types::hour::human_duration;
use brimful_types::warning::Warning;
use brimful_types::{Error, Result};

mod chart;
mod course;
mod outlook;

#[derive(Serialize)]
struct Page {
    headline: String,
    changes_text: String,
    now: String,
    source: String,
    reach: String,
    doubt: Option<String>,
    /// True after a run that made the changes, or tried.
    applied: bool,
    changes: Vec<ChangeRow>,
    plans: Vec<PlanRow>,
    outlooks: Vec<Outlook>,
    groups_undrawn: usize,
    courses: Vec<Course>,
    plans_undrawn: usize,
    pools: Vec<PoolRow>,
    past: Vec<PastRow>,
    consents: Vec<ConsentRow>,
    ends: Vec<EndRow>,
    warnings: Vec<WarningRow>,
    codes: Vec<(&'static str, &'static str)>,
}

#[derive(Serialize)]
struct ChangeRow {
    pool: String,
    field: &'static str,
    from: String,
    to: String,
    reason: String,
    /// What the run made of it, if it was one.
    result: Option<String>,
}

#[derive(Serialize)]
struct PlanRow {
    id: String,
    arn: String,
    scope: String,
    commitment: String,
    used: String,
    range: String,
    unused: String,
    utilization: String,
}

#[derive(Serialize)]
struct PoolRow {
    name: String,
    role: &'static str,
    managed: bool,
    decision: Decision,
    weight: String,
    limits: String,
    reason: String,
    changes: bool,
}

/// A change of the past.
#[derive(Serialize)]
struct PastRow {
    time: String,
    pool: String,
    outcome: String,
    change: String,
    effect: String,
    reason: String,
}

/// What further consents would save.
#[derive(Serialize)]
struct ConsentRow {
    names: String,
    worth: String,
}

#[derive(Serialize)]
struct EndRow {
    id: String,
    scope: String,
    commitment: String,
    end: String,
    left: String,
}

#[derive(Serialize)]
struct WarningRow {
    code: &'static str,
    subject: String,
    message: String,
    /// What a message has after its first line: mostly YAML to copy.
    example: Option<String>,
}

/// The page of a plan, complete and self-contained, with what was changed lately, the newest first, and what further
/// consents would save.
///
/// # Errors
/// A chart or the page cannot be drawn, which is a defect.
pub(crate) fn render(
    document: &PlanDocument,
    analysis: &Analysis,
    proposal: &Proposal,
    past: &[Row],
    consents: &[ConsentsRow],
) -> Result<String> {
    let page = page(document, analysis, proposal, past, consents)?;
    let mut templates = Environment::new();
    templates
        .add_template("page.html", include_str!("page.html"))
        .and_then(|()| templates.get_template("page.html")?.render(Serde(page)))
        .map_err(|error| Error::unexpected("cannot write the page").source(error))
}

fn page(
    document: &PlanDocument,
    analysis: &Analysis,
    proposal: &Proposal,
    past: &[Row],
    consents: &[ConsentsRow],
) -> Result<Page> {
    let headline = Headline::of(document, proposal.is_frozen());
    let horizon = analysis.utilization.horizon;
    let (outlooks, groups_undrawn) = outlooks(&proposal.groups, proposal.now)?;
    let (courses, plans_undrawn) = courses(analysis)?;
    Ok(Page {
        headline: headline.sentence(),
        changes_text: headline.changes(),
        now: minute(proposal.now),
        source: clean::name(&document.source.uri).into_owned(),
        reach: horizon.map_or_else(
            || "has no past hours".to_owned(),
            |horizon| {
                format!(
                    "reaches to {}, {} before that",
                    minute(horizon),
                    human_duration(proposal.now - horizon)
                )
            },
        ),
        doubt: proposal.doubt.as_deref().map(text),
        applied: document.applied.is_some(),
        changes: document
            .changes
            .iter()
            .map(|change| change_row(change, document))
            .collect(),
        plans: plan_rows(document, analysis),
        outlooks,
        groups_undrawn,
        courses,
        plans_undrawn,
        pools: pool_rows(document),
        past: past.iter().map(past_row).collect(),
        consents: consents.iter().map(consent_row).collect(),
        ends: ends(document, analysis, proposal.now),
        warnings: document.warnings.iter().map(warning_row).collect(),
        codes: codes(&document.warnings),
    })
}

fn consent_row(row: &ConsentsRow) -> ConsentRow {
    ConsentRow {
        names: row.further(),
        worth: row.worth(),
    }
}

fn change_row(change: &Change, document: &PlanDocument) -> ChangeRow {
    let mut applied = document.applied.iter().flatten();
    let applied = applied.find(|one| one.node_pool == change.node_pool);
    ChangeRow {
        pool: clean::name(&change.node_pool).into_owned(),
        field: change.field,
        from: value(&change.from),
        to: value(&change.to),
        reason: text(&change.reason),
        result: applied
            .and_then(|one| serde_json::to_value(one.result).ok())
            .map(|result| value(&result)),
    }
}

/// A field's value: `60`, `cpu 100, memory 4Gi`, or `none` where it is absent.
fn value(value: &Json) -> String {
    match value {
        Json::Null => "none".to_owned(),
        Json::String(text) => clean::name(text).into_owned(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| {
                let field = field.as_str().map_or_else(|| field.to_string(), str::to_owned);
                format!("{name} {field}")
            });
            clean::name(&fields.collect::<Vec<_>>().join(", ")).into_owned()
        }
        other => clean::name(&other.to_string()).into_owned(),
    }
}

fn past_row(row: &Row) -> PastRow {
    let (outcome, change, effect) = in_words(row);
    PastRow {
        time: clean::name(&row.time).into_owned(),
        pool: clean::name(&row.node_pool).into_owned(),
        outcome,
        change: text(&change),
        effect,
        reason: text(&row.reason),
    }
}

/// All plans, those with the most unused now first, and of equals the larger ones.
fn plan_rows(document: &PlanDocument, analysis: &Analysis) -> Vec<PlanRow> {
    let plans = document.plans.iter().zip(&analysis.utilization.plans);
    let mut plans: Vec<(&PlanNow, &PlanUse)> = plans.collect();
    plans.sort_by_key(|(now, _)| Reverse((unused(now), now.commitment)));
    plans.into_iter().map(|(now, past)| plan_row(now, past)).collect()
}

fn plan_row(now: &PlanNow, past: &PlanUse) -> PlanRow {
    let complete = past.hours.iter().filter(|hour| hour.complete);
    PlanRow {
        id: id(&now.arn),
        arn: clean::name(&now.arn).into_owned(),
        scope: scope(now.group.as_ref(), now.kind),
        commitment: rate(now.commitment),
        used: rate(now.nowcast.map(|nowcast| nowcast.used)),
        range: now.nowcast.map_or_else(
            || "–".to_owned(),
            |nowcast| format!("{} to {}", nowcast.low.per_hour(), nowcast.high.per_hour()),
        ),
        unused: rate(unused(now)),
        utilization: Sums::of(complete).utilization(),
    }
}

/// The group that a plan belongs to, or else its kind: `ec2Instance/m5/us-east-2`.
fn scope(group: Option<&GroupId>, kind: PlanKind) -> String {
    let scope = group.map_or_else(|| kind.as_str().to_owned(), ToString::to_string);
    clean::name(&scope).into_owned()
}

/// All pools, those that change first: of many the page folds the last.
fn pool_rows(document: &PlanDocument) -> Vec<PoolRow> {
    let rows = document.node_pools.iter().map(|pool| pool_row(pool, document));
    let mut rows: Vec<PoolRow> = rows.collect();
    rows.sort_by_key(|row| !row.changes);
    rows
}

fn pool_row(pool: &PoolReport, document: &PlanDocument) -> PoolRow {
    let weight = pool.weight;
    let limits = pool.limits.as_ref().map_or_else(String::new, |limits| {
        let now = limits.current.clone().unwrap_or_default();
        let then = limits.proposed.clone().unwrap_or_default();
        if now == then {
            let held = now.iter().map(|(name, amount)| format!("{name} {amount}"));
            held.collect::<Vec<_>>().join(", ")
        } else {
            show_limits(&now, &then)
        }
    });
    PoolRow {
        name: clean::name(&pool.name).into_owned(),
        role: pool.role,
        managed: pool.managed,
        decision: pool.decision,
        weight: if weight.current == weight.proposed {
            show(weight.current)
        } else {
            format!("{} → {}", show(weight.current), show(weight.proposed))
        },
        limits: clean::name(&limits).into_owned(),
        reason: text(&pool.reason),
        changes: document
            .changes
            .iter()
            .any(|change| change.node_pool == pool.name),
    }
}

/// Ends of the plans in force, the nearest first.
fn ends(document: &PlanDocument, analysis: &Analysis, now: DateTime<Utc>) -> Vec<EndRow> {
    let plans = document.plans.iter().zip(&analysis.utilization.plans);
    let ends = plans.filter_map(|(plan, past)| Some((past.plan.stopped.or(past.plan.end)?, plan)));
    let mut ends: Vec<(DateTime<Utc>, &PlanNow)> = ends.filter(|(end, _)| *end > now).collect();
    ends.sort_by_key(|(end, plan)| (*end, plan.arn.as_str()));
    let row = |(end, plan): (DateTime<Utc>, &PlanNow)| EndRow {
        id: id(&plan.arn),
        scope: scope(plan.group.as_ref(), plan.kind),
        commitment: rate(plan.commitment),
        end: minute(end),
        left: human_duration(end - now),
    };
    ends.into_iter().map(row).collect()
}

fn warning_row(warning: &Warning) -> WarningRow {
    let message = text(&warning.message);
    let (message, example) = match message.split_once('\n') {
        Some((message, example)) => (message.to_owned(), Some(example.to_owned())),
        None => (message, None),
    };
    WarningRow {
        code: warning.code.as_str(),
        subject: clean::name(subject(warning).unwrap_or_default()).into_owned(),
        message,
        example,
    }
}

/// What the codes of these warnings mean.
fn codes(warnings: &[Warning]) -> Vec<(&'static str, &'static str)> {
    let codes: BTreeSet<_> = warnings
        .iter()
        .map(|warning| (warning.code.as_str(), warning.code.meaning()))
        .collect();
    codes.into_iter().collect()
}

/// The last part of an ARN.
fn id(arn: &str) -> String {
    clean::name(plan_id(arn)).into_owned()
}

fn text(text: &str) -> String {
    clean::text(text).into_owned()
}

/// `2026-11-21 18:00 UTC`.
fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}
