//! The weekly summary: what was changed, and what that saved as far as the report shows.

use chrono::{DateTime, Duration, Utc};

use super::notices::{Facts, Notice, Week};
use crate::render::headline::Headline;
use crate::render::json::PlanDocument;
use brimful_policy::effect::Told;
use brimful_policy::history::Fate;
use brimful_types::hour::rfc3339;
use brimful_types::money::Money;

/// The report shows what a change did about so much later: a week is summed up then, each change in one week.
const LATE: Duration = Duration::days(2);

/// The week since the last summary.
pub(super) fn of_week(facts: &Facts<'_>, last: DateTime<Utc>) -> Notice {
    let (from, to) = (last - LATE, facts.now - LATE);
    let analysis = facts.analysis;
    let effects = Told::new(&analysis.ledger, &analysis.utilization, facts.cluster).effects(facts.history);
    let entries = facts.history.entries().iter().zip(effects);
    let made: Vec<_> = entries
        .filter(|(entry, _)| entry.result == Fate::Patched && entry.time > from && entry.time <= to)
        .collect();
    let known: Vec<(Money, Money)> = made
        .iter()
        .filter_map(|(_, effect)| effect.as_ref())
        .filter_map(|effect| effect.saved.zip(effect.cost))
        .collect();
    let sum = |part: fn(&(Money, Money)) -> Money| (!known.is_empty()).then(|| known.iter().map(part).sum());
    let document = PlanDocument::new(analysis, facts.proposal, &[]);
    let headline = Headline::of(&document, facts.proposal.is_frozen());
    Notice::Summary(Week {
        from: rfc3339(from),
        to: rfc3339(to),
        changes: made.len(),
        told: known.len(),
        saved: sum(|(saved, _)| *saved),
        cost: sum(|(_, cost)| *cost),
        utilization: utilization(facts, from, to),
        unused: headline.unused,
        headline: headline.sentence(),
    })
}

/// Σ used ÷ Σ commitment of the complete hours, over the plans that nodes can use.
fn utilization(facts: &Facts<'_>, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<f64> {
    let plans = facts.analysis.utilization.plans.iter();
    let hours = plans
        .filter(|plan| plan.plan.kind.covers_nodes())
        .flat_map(|plan| &plan.hours)
        .filter(|hour| hour.mature && hour.hour.start() >= from && hour.hour.start() < to);
    let (used, commitment) = hours
        .filter_map(|hour| hour.used.zip(hour.commitment))
        .fold((Money::ZERO, Money::ZERO), |sum, hour| {
            (sum.0 + hour.0, sum.1 + hour.1)
        });
    used.fraction_of(commitment)
}
