//! `brimful history` for programs and for people.

use std::fmt::Write as _;

use anstyle::Style;
use serde::Serialize;

use super::clean;
use super::text::{BAD, FAINT, GOOD, HEADING, amount, paragraph};
use crate::analysis::Source;
use brimful_policy::Decision;
use brimful_policy::effect::Effect;
use brimful_policy::history::{Action, Change, Entry, Fate};
use brimful_policy::limits::Limits;
use brimful_policy::plan::show_limits;
use brimful_policy::weights::show;
use brimful_types::hour::rfc3339;
use brimful_types::money::Money;
use brimful_types::warning::Warning;
use brimful_types::{Error, Result};

/// `brimful history`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    schema: &'static str,
    /// The clock.
    pub now: String,
    /// Where the effects come from; null when no report is given.
    pub source: Option<Source>,
    /// Changes by time.
    pub entries: Vec<Row>,
    /// What they did together, of those whose effect the report shows.
    pub total: Total,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // as in `policy::history::Entry`
pub(crate) struct Row {
    pub time: String,
    pub node_pool: String,
    pub action: Action,
    pub result: Fate,
    pub decision: Option<Decision>,
    /// Null: it did not change.
    pub weight: Option<Change<Option<i32>>>,
    /// Null: they did not change.
    pub limits: Option<Change<Option<Limits>>>,
    /// Null: it did not change.
    pub protection: Option<Change<bool>>,
    pub reason: String,
    pub message: Option<String>,
    pub tries: u32,
    pub last_tried: Option<String>,
    pub demand: Option<Money>,
    pub commitment: Option<Money>,
    pub headroom: Option<Money>,
    /// Null without a report, and for what changed nothing.
    pub effect: Option<EffectRow>,
}

/// What a change saved and cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // as in `policy::effect::Effect`
pub(crate) struct EffectRow {
    pub until: Option<String>,
    pub hours: usize,
    pub complete: bool,
    pub saved: Option<Money>,
    pub cost: Option<Money>,
    pub why: Option<String>,
}

/// Sums over the changes of which the report shows both figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Total {
    /// Changes that were made.
    pub changes: usize,
    /// Those whose effect the report shows.
    pub told: usize,
    /// $; null when it shows none.
    pub saved: Option<Money>,
    /// $; null when it shows none.
    pub cost: Option<Money>,
}

impl Row {
    /// The row of an entry.
    #[must_use]
    pub(crate) fn new(entry: &Entry, effect: Option<&Effect>) -> Self {
        Self {
            time: rfc3339(entry.time),
            node_pool: entry.node_pool.clone(),
            action: entry.action,
            result: entry.result,
            decision: entry.decision,
            weight: entry.weight.clone(),
            limits: entry.limits.clone(),
            protection: entry.protection.clone(),
            reason: entry.reason.clone(),
            message: entry.message.clone(),
            tries: entry.tries.unwrap_or(1),
            last_tried: entry.last_tried.map(rfc3339),
            demand: entry.demand,
            commitment: entry.commitment,
            headroom: entry.headroom,
            effect: effect.map(|effect| EffectRow {
                until: effect.until.map(rfc3339),
                hours: effect.hours,
                complete: effect.complete,
                saved: effect.saved,
                cost: effect.cost,
                why: effect.why.clone(),
            }),
        }
    }
}

impl Document {
    /// The document of some changes.
    #[must_use]
    pub(crate) fn new(
        now: String,
        source: Option<Source>,
        entries: Vec<Row>,
        warnings: Vec<Warning>,
    ) -> Self {
        let effects = entries.iter().filter_map(|row| row.effect.as_ref());
        let told: Vec<(Money, Money)> = effects
            .filter_map(|effect| effect.saved.zip(effect.cost))
            .collect();
        let sum = |part: fn(&(Money, Money)) -> Money| {
            (!told.is_empty()).then(|| told.iter().map(part).sum::<Money>())
        };
        let total = Total {
            changes: entries.iter().filter(|row| row.result == Fate::Patched).count(),
            told: told.len(),
            saved: sum(|(saved, _)| *saved),
            cost: sum(|(_, cost)| *cost),
        };
        Self {
            schema: "brimful/history-report/v1",
            now,
            source,
            entries,
            total,
            warnings,
        }
    }
}

/// Each change with its reason and what came of it, and the sum.
#[must_use]
pub(crate) fn table(document: &Document, width: Option<usize>) -> String {
    if document.entries.is_empty() {
        return "No change is recorded.\n".to_owned();
    }
    let mut out = String::new();
    for row in &document.entries {
        let (word, style) = outcome(row);
        let _ = writeln!(
            out,
            "{FAINT}{}{FAINT:#}  {style}{word:<8}{style:#}  {HEADING}{}{HEADING:#}  {}",
            row.time,
            clean::name(&row.node_pool),
            clean::name(&change(row))
        );
        out.push_str(&paragraph(&row.reason, 10, width));
        if let Some(message) = &row.message {
            let last = row.last_tried.as_ref();
            let again = last.map(|last| format!(" ({} times until {last})", row.tries));
            out.push_str(&paragraph(
                &format!("{message}{}", again.unwrap_or_default()),
                10,
                width,
            ));
        }
        if let Some(effect) = &row.effect {
            out.push_str(&paragraph(&came_of_it(effect), 10, width));
        }
    }
    let _ = writeln!(out, "\n{}", total(document));
    out
}

/// How a change ended, what it was, and what came of it.
pub(crate) fn in_words(row: &Row) -> (String, String, String) {
    let effect = row.effect.as_ref();
    (
        outcome(row).0,
        change(row),
        effect.map(came_of_it).unwrap_or_default(),
    )
}

/// The decision (`fill`, `hold` …) of a change that was made, else how the try ended.
fn outcome(row: &Row) -> (String, Style) {
    match (row.result, row.action, row.decision) {
        (Fate::Refused, ..) => ("refused".to_owned(), BAD),
        (Fate::Conflict, ..) => ("conflict".to_owned(), BAD),
        (_, Action::Move, _) => ("top-up".to_owned(), FAINT),
        (_, Action::Restore, _) => ("restored".to_owned(), FAINT),
        (_, Action::Reset, _) | (.., None) => ("reset".to_owned(), FAINT),
        (.., Some(decision)) => (decision.to_string(), super::plan_table::style(decision)),
    }
}

/// `weight 10 → 60, limits cpu 100 → 28`.
fn change(row: &Row) -> String {
    if row.action == Action::Move {
        return "a Spot node moved over".to_owned();
    }
    let weight = row.weight.as_ref();
    let weight = weight.map(|change| format!("weight {} → {}", show(change.from), show(change.to)));
    let limits = row.limits.as_ref().map(|change| {
        let of = |limits: &Option<Limits>| limits.clone().unwrap_or_default();
        show_limits(&of(&change.from), &of(&change.to))
    });
    let word = |is_on| if is_on { "on" } else { "off" };
    let protection = row.protection.as_ref();
    let protection =
        protection.map(|change| format!("protection {} → {}", word(change.from), word(change.to)));
    let said: Vec<String> = weight.into_iter().chain(limits).chain(protection).collect();
    if said.is_empty() {
        return "no value".to_owned();
    }
    said.join(", ")
}

fn came_of_it(effect: &EffectRow) -> String {
    let mut said = match (effect.saved, effect.cost) {
        (None, None) => "not told yet".to_owned(),
        (saved, cost) => {
            let or_unknown =
                |money: Option<Money>| money.map_or("an unknown sum".to_owned(), |money| amount(Some(money)));
            format!("saved {}, cost {}", or_unknown(saved), or_unknown(cost))
        }
    };
    if effect.hours > 0 {
        let hours = if effect.hours == 1 { "hour" } else { "hours" };
        let _ = write!(said, " in {} complete {hours}", effect.hours);
    }
    if let Some(until) = &effect.until {
        let _ = write!(said, ", until {until}");
    }
    if !effect.complete && effect.hours > 0 {
        said.push_str(" (so far)");
    }
    if let Some(why) = &effect.why {
        let _ = write!(said, ": {why}");
    }
    said
}

fn total(document: &Document) -> String {
    let total = &document.total;
    let s = if total.changes == 1 { "" } else { "s" };
    let mut said = format!("{HEADING}{} change{s}{HEADING:#}", total.changes);
    match (&document.source, total.saved.zip(total.cost)) {
        (None, _) => said.push_str("; with the report (--cur) it is told what they saved and cost."),
        (Some(_), None) => said.push_str("; the report tells of none yet."),
        (Some(_), Some((saved, cost))) => {
            let _ = write!(
                said,
                "; the report tells of {}: saved {GOOD}{}{GOOD:#}, cost {}.",
                total.told,
                amount(Some(saved)),
                amount(Some(cost))
            );
        }
    }
    said
}

/// One line per change.
///
/// # Errors
/// It cannot be written.
pub(crate) fn csv(document: &Document) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| Error::unexpected("cannot write CSV").source(e);
    let head = [
        "time",
        "nodePool",
        "action",
        "result",
        "decision",
        "weightFrom",
        "weightTo",
        "limitsFrom",
        "limitsTo",
        "demand",
        "commitment",
        "headroom",
        "until",
        "hours",
        "saved",
        "cost",
        "reason",
    ];
    writer.write_record(head).map_err(failed)?;
    for row in &document.entries {
        writer.write_record(record(row)).map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|e| Error::unexpected("cannot write CSV").source(e.into_error()))?;
    String::from_utf8(bytes).map_err(|e| Error::unexpected("cannot write CSV").source(e))
}

/// Unknown and absent are blank.
fn record(row: &Row) -> [String; 17] {
    let money = |value: Option<Money>| value.map(|money| money.dollars().to_string()).unwrap_or_default();
    let weight = |side: fn(&Change<Option<i32>>) -> Option<i32>| {
        let weight = row.weight.as_ref().and_then(side);
        weight.map(|weight| weight.to_string()).unwrap_or_default()
    };
    let limits = |side: fn(&Change<Option<Limits>>) -> Option<&Limits>| {
        let limits = row.limits.as_ref().and_then(side);
        let shown = limits.map(|limits| limits.iter().map(|(name, amount)| format!("{name}={amount}")));
        shown
            .map(|shown| shown.collect::<Vec<_>>().join(" "))
            .unwrap_or_default()
    };
    let effect = row.effect.as_ref();
    [
        row.time.clone(),
        row.node_pool.clone(),
        word(&row.action),
        word(&row.result),
        row.decision
            .map(|decision| decision.to_string())
            .unwrap_or_default(),
        weight(|change| change.from),
        weight(|change| change.to),
        limits(|change| change.from.as_ref()),
        limits(|change| change.to.as_ref()),
        money(row.demand),
        money(row.commitment),
        money(row.headroom),
        effect.and_then(|effect| effect.until.clone()).unwrap_or_default(),
        effect.map(|effect| effect.hours.to_string()).unwrap_or_default(),
        money(effect.and_then(|effect| effect.saved)),
        money(effect.and_then(|effect| effect.cost)),
        row.reason.clone(),
    ]
}

/// A word of the contract.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
