//! Replays the application order on the report: a measure of how well Brimful knows who pays for what.

use super::{Check, Group};
use crate::analysis::{Analysis, sharing};
use crate::config::Config;
use brimful_savings_plans::replay::{Deviation, Replay, replay};
use brimful_savings_plans::savings_plan::Plan;
use brimful_savings_plans::sharing::Sharing;

/// The check's id.
pub(super) const ID: &str = "application-order";

/// Part of the commitment up to which the order is trusted.
const TRUSTED: f64 = 0.02;

/// Whether AWS's application order, as Brimful knows it, leads to the plans' use that the report states.
pub(super) fn check(analysis: &Analysis, config: &Config) -> Check {
    if analysis
        .ledger
        .plans
        .iter()
        .all(|entry| entry.plan.scope().is_none())
    {
        return Check::skipped(Group::Report, ID, "no plan that nodes can use");
    }
    let sharing = sharing(&analysis.ledger, config);
    let replayed = again(analysis, &sharing);
    let Some(by_group) = replayed.by_group().fraction() else {
        return Check::skipped(
            Group::Report,
            ID,
            "no hour has complete figures of every plan yet",
        );
    };
    if by_group <= TRUSTED {
        return Check::ok(Group::Report, ID, reproduces(&replayed, by_group));
    }
    missed(analysis, &replayed, by_group, &sharing)
}

fn again(analysis: &Analysis, sharing: &Sharing) -> Replay {
    replay(&analysis.ledger, &analysis.utilization, sharing)
}

fn reproduces(replayed: &Replay, by_group: f64) -> String {
    let said = format!(
        "the application order, replayed on {} hours, reproduces the plans' use to within {} of the commitment",
        replayed.hours,
        percent(by_group)
    );
    match replayed.by_plan().fraction() {
        Some(by_plan) if by_plan > TRUSTED => format!(
            "{said}; plan by plan to within {}, for AWS does not say how plans of one group share its usage",
            percent(by_plan)
        ),
        _ => said,
    }
}

fn missed(analysis: &Analysis, replayed: &Replay, by_group: f64, sharing: &Sharing) -> Check {
    let worst = replayed.worst().map_or_else(String::new, |(index, deviation)| {
        let plan = &analysis.ledger.plans[index].plan;
        format!(", most of all that of {}", named(plan, &deviation))
    });
    let message = format!(
        "the application order, replayed on {} hours, misses the plans' use by {} of the commitment{worst}",
        replayed.hours,
        percent(by_group)
    );
    let alone = again(analysis, &Sharing::Off).by_group().fraction();
    if let Some(alone) = alone.filter(|alone| *alone <= TRUSTED && *sharing != Sharing::Off) {
        let off = format!(
            "{message}; with plans that pay for their owners alone it is {}",
            percent(alone)
        );
        return Check::warn(Group::Report, ID, format!("{off}: sharing is off"))
            .cure("# the accounts whose plans reach this cluster:\nsharing:\n  accounts: [\"ACCOUNT\"]");
    }
    let causes = "likely causes: sharing between accounts is off or restricted, usage is missing from the report, private discounts";
    Check::warn(Group::Report, ID, format!("{message}; {causes}")).cure(
        "if sharing is restricted, say which accounts' plans reach this cluster:\nsharing:\n  accounts: [\"ACCOUNT\"]",
    )
}

fn named(plan: &Plan, deviation: &Deviation) -> String {
    let part = deviation.fraction().map_or_else(|| "unknown".to_owned(), percent);
    let group = plan.scope().map(|scope| scope.to_string()).unwrap_or_default();
    format!("plan {} ({group}, by {part})", plan.short_id())
}

/// Rounded up to a tenth, since the message says "within".
fn percent(fraction: f64) -> String {
    format!("{:.1} %", (fraction * 1000.0).ceil() / 10.0)
}
