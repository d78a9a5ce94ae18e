//! The figures of many runs as Markdown tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::scenario::Scenario;
use brimful_simulation::closed_loop::Yardstick;
use brimful_simulation::figures::Figures;
use brimful_simulation::oracle;
use brimful_simulation::policies::Kind;
use brimful_simulation::report::tariff;
use brimful_simulation::trace::{STEPS_PER_HOUR, Trace};

mod targets;

/// One month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The scenario.
    pub scenario: Scenario,
    /// Its seed.
    pub seed: u64,
    /// Who acted.
    pub policy: Kind,
    /// How it went.
    pub figures: Figures,
    /// What it is measured against.
    pub yardstick: Yardstick,
}

/// Figures of one kind of many months.
pub(crate) struct Sample(Vec<(Scenario, f64)>);

impl Sample {
    pub(crate) fn of(outcomes: &[Outcome], policy: Kind, figure: fn(&Figures) -> f64) -> Self {
        let chosen = outcomes.iter().filter(|outcome| outcome.policy == policy);
        Self(
            chosen
                .map(|outcome| (outcome.scenario, figure(&outcome.figures)))
                .collect(),
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mean of each scenario.
    fn means(&self) -> Vec<(Scenario, f64)> {
        let scenarios: BTreeSet<Scenario> = self.0.iter().map(|(scenario, _)| *scenario).collect();
        let mean_of = |wanted: Scenario| {
            let values: Vec<f64> = self
                .0
                .iter()
                .filter(|(scenario, _)| *scenario == wanted)
                .map(|(_, value)| *value)
                .collect();
            (wanted, mean(&values))
        };
        scenarios.into_iter().map(mean_of).collect()
    }

    /// Every scenario counts alike.
    pub(crate) fn mean(&self) -> f64 {
        let means: Vec<f64> = self.means().into_iter().map(|(_, value)| value).collect();
        mean(&means)
    }

    /// The scenario with the highest mean.
    pub(crate) fn worst_scenario(&self) -> Option<(Scenario, f64)> {
        self.means().into_iter().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The highest figure of a month.
    pub(crate) fn worst(&self) -> f64 {
        self.0
            .iter()
            .map(|(_, value)| *value)
            .fold(f64::NEG_INFINITY, f64::max)
    }

    pub(crate) fn only(mut self, scenarios: &[Scenario]) -> Self {
        self.0.retain(|(scenario, _)| scenarios.contains(scenario));
        self
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// A part as a percentage; no minus before a zero.
pub(crate) fn percent(part: f64) -> String {
    let text = format!("{:.2}", part * 100.0);
    if text == "-0.00" { "0.00".to_owned() } else { text }
}

/// The policies that acted, in order.
fn policies(outcomes: &[Outcome]) -> BTreeSet<Kind> {
    outcomes.iter().map(|outcome| outcome.policy).collect()
}

/// All tables.
#[must_use]
pub fn tables(outcomes: &[Outcome]) -> String {
    let parts = [
        targets::table(outcomes),
        by_policy(outcomes),
        by_scenario(outcomes),
        in_detail(outcomes),
    ];
    parts.join("\n")
}

/// A month hour by hour as CSV: terms, the workload, and on-demand nodes as the hour ends.
#[must_use]
pub fn hours(scenario: Scenario, trace: &Trace, columns: &[(&str, Vec<usize>)]) -> String {
    let steps = columns.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
    let (oracle, _) = oracle::path(trace, steps);
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "scenario,hour,commitment,others,workload,oracle,{}\n",
        names.join(",")
    );
    for step in (STEPS_PER_HOUR - 1..steps).step_by(STEPS_PER_HOUR) {
        let tariff = tariff(trace, trace.warm_up + step);
        let workload: usize = trace
            .clusters
            .iter()
            .map(|work| work.nodes[trace.warm_up + step])
            .sum();
        let _ = write!(
            text,
            "{},{},{:.2},{:.2},{workload},{}",
            scenario.name(),
            step / STEPS_PER_HOUR,
            tariff.commitment,
            tariff.others,
            oracle[step]
        );
        for (_, nodes) in columns {
            let _ = write!(text, ",{}", nodes[step]);
        }
        text += "\n";
    }
    text
}

/// Over all scenarios, each counting alike.
fn by_policy(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "#### By policy, all scenarios (% of the commitment)\n\n\
         | policy | regret | worst scenario | its regret | worst month | avoidable unused | avoidable spill | to free migration | saved against leaving alone |\n\
         | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for policy in policies(outcomes) {
        let sample = |figure| Sample::of(outcomes, policy, figure);
        let regret = sample(|f| f.regret);
        let Some((scenario, worst)) = regret.worst_scenario() else {
            continue;
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            policy.name(),
            percent(regret.mean()),
            scenario.name(),
            percent(worst),
            percent(regret.worst()),
            percent(sample(|f| f.unused).mean()),
            percent(sample(|f| f.spill).mean()),
            percent(sample(|f| f.regret_to_free).mean()),
            percent(-sample(|f| f.against_alone).mean()),
        );
    }
    text
}

/// Regret by scenario, a column for each policy.
fn by_scenario(outcomes: &[Outcome]) -> String {
    let policies = policies(outcomes);
    let names: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
    let mut text = format!(
        "#### Regret by scenario: mean (worst month), % of the commitment\n\n\
         | scenario | oracle to free migration | {} |\n| --- | ---: |{}\n",
        names.join(" | "),
        " ---: |".repeat(names.len())
    );
    for scenario in Scenario::ALL {
        let months: Vec<&Outcome> = outcomes.iter().filter(|o| o.scenario == scenario).collect();
        if months.is_empty() {
            continue;
        }
        let bound = |outcome: &&Outcome| {
            let yardstick = &outcome.yardstick;
            (yardstick.oracle.cost - yardstick.free.cost) / yardstick.oracle.commitment
        };
        let bounds: Vec<f64> = months.iter().map(bound).collect();
        let _ = write!(text, "| {} | {} |", scenario.name(), percent(mean(&bounds)));
        for policy in &policies {
            let regret = Sample::of(outcomes, *policy, |f| f.regret).only(&[scenario]);
            if regret.is_empty() {
                text += " |";
            } else {
                let _ = write!(
                    text,
                    " {} ({}) |",
                    percent(regret.mean()),
                    percent(regret.worst())
                );
            }
        }
        text += "\n";
    }
    text
}

/// Everything of Brimful's own runs.
fn in_detail(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let own = policies(outcomes)
        .into_iter()
        .filter(|policy| policy.is_brimful());
    for policy in own {
        let _ = write!(
            text,
            "{}#### {}: mean (worst month) by scenario, % of the commitment; changes per pool and day: mean (worst day)\n\n\
             | scenario | regret | avoidable unused | avoidable spill | to free migration | saved against leaving alone | weight changes | reversals | limit changes |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
            if text.is_empty() { "" } else { "\n" },
            policy.name()
        );
        for scenario in Scenario::ALL {
            text += &detail(outcomes, policy, scenario);
        }
    }
    text
}

fn detail(outcomes: &[Outcome], policy: Kind, scenario: Scenario) -> String {
    let sample = |figure| Sample::of(outcomes, policy, figure).only(&[scenario]);
    if sample(|f| f.regret).is_empty() {
        return String::new();
    }
    let money = |figure| {
        let sample = sample(figure);
        format!("{} ({})", percent(sample.mean()), percent(sample.worst()))
    };
    let changes = |mean: fn(&Figures) -> f64, most: fn(&Figures) -> f64| {
        format!("{:.2} ({})", sample(mean).mean(), sample(most).worst())
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        scenario.name(),
        money(|f| f.regret),
        money(|f| f.unused),
        money(|f| f.spill),
        percent(sample(|f| f.regret_to_free).mean()),
        percent(-sample(|f| f.against_alone).mean()),
        changes(|f| f.effort.weights, |f| f.effort.most_weights as f64),
        changes(|f| f.effort.reversals, |f| f.effort.most_reversals as f64),
        changes(|f| f.effort.limits, |f| f.effort.most_limits as f64),
    )
}
