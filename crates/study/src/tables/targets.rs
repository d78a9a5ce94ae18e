//! What Brimful is to reach, beside what it does.

use std::fmt::Write;

use super::{Outcome, Sample, percent};
use crate::scenario::Scenario;
use brimful_simulation::figures::Figures;
use brimful_simulation::policies::Kind;

/// Parts of the commitment.
struct Share {
    what: &'static str,
    policy: Kind,
    figure: Figure,
    at_most: f64,
}

const SHARES: [Share; 4] = [
    Share {
        what: "limits: regret",
        policy: Kind::Limits,
        figure: |f| f.regret,
        at_most: 0.02,
    },
    Share {
        what: "limits: avoidable unused",
        policy: Kind::Limits,
        figure: |f| f.unused,
        at_most: 0.015,
    },
    Share {
        what: "limits: avoidable spill",
        policy: Kind::Limits,
        figure: |f| f.spill,
        at_most: 0.015,
    },
    Share {
        what: "weights only: regret",
        policy: Kind::WeightOnly,
        figure: |f| f.regret,
        at_most: 0.08,
    },
];

/// What a run is judged by.
type Figure = fn(&Figures) -> f64;

/// Changes of one pool in one day.
const CHANGES: [(&str, Figure, f64); 2] = [
    (
        "weight changes per pool and day",
        |f| f.effort.most_weights as f64,
        6.0,
    ),
    ("of these, reversals", |f| f.effort.most_reversals as f64, 2.0),
];

/// Scenarios in which runs fail or data is old.
const BLIND: [Scenario; 3] = [Scenario::Outages, Scenario::Silence, Scenario::LongLag];

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**missed**" }
}

/// The targets of which there are runs.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "#### Targets\n\n\
         | target | at most | all scenarios | worst scenario | worst month | |\n\
         | --- | ---: | ---: | --- | ---: | --- |\n",
    );
    for share in &SHARES {
        let sample = Sample::of(outcomes, share.policy, share.figure);
        if let Some((scenario, worst)) = sample.worst_scenario() {
            let _ = writeln!(
                text,
                "| {} | {} % | {} % | {} {} % | {} % | {} |",
                share.what,
                share.at_most * 100.0,
                percent(sample.mean()),
                scenario.name(),
                percent(worst),
                percent(sample.worst()),
                verdict(sample.mean() <= share.at_most)
            );
        }
    }
    for policy in [Kind::Limits, Kind::WeightOnly] {
        for (what, figure, at_most) in CHANGES {
            let sample = Sample::of(outcomes, policy, figure);
            if let Some((scenario, worst)) = sample.worst_scenario() {
                let _ = writeln!(
                    text,
                    "| {}: {what}, on the busiest day | {at_most} | {:.1} | {} {worst:.1} | {} | {} |",
                    policy.name(),
                    sample.mean(),
                    scenario.name(),
                    sample.worst(),
                    verdict(sample.worst() <= at_most)
                );
            }
        }
        let blind = Sample::of(outcomes, policy, |f| f.against_alone).only(&BLIND);
        if let Some((scenario, worst)) = blind.worst_scenario() {
            let _ = writeln!(
                text,
                "| {}: cost against leaving alone, runs failing or data old | 1 % | {} % | {} {} % | {} % | {} |",
                policy.name(),
                percent(blind.mean()),
                scenario.name(),
                percent(worst),
                percent(blind.worst()),
                verdict(worst <= 0.01)
            );
        }
    }
    text
}
