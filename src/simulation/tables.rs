//! The figures of many runs as Markdown tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::billing::Bill;
use super::closed_loop::Yardstick;
use super::figures::Figures;
use super::policies::Kind;
use super::scenario::Scenario;

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
    /// Its bill.
    pub run: Bill,
}

/// A part as a percentage.
fn percent(part: f64) -> String {
    format!("{:.2}", part * 100.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The policies that acted, in order.
fn policies<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> BTreeSet<Kind> {
    outcomes.into_iter().map(|outcome| outcome.policy).collect()
}

/// All tables.
#[must_use]
pub fn tables(outcomes: &[Outcome]) -> String {
    let mut text = summary(outcomes);
    for scenario in Scenario::ALL {
        let of: Vec<&Outcome> = outcomes.iter().filter(|o| o.scenario == scenario).collect();
        if !of.is_empty() {
            text += &by_policy(scenario, &of);
        }
    }
    text
}

/// Over all scenarios: the mean of means, and the scenario in which a policy does worst.
fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| policy | regret % | worst scenario | its regret % | worst month % | unused % | spill % | to free % |\n\
         | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for policy in policies(outcomes) {
        let of = |figure: fn(&Figures) -> f64, scenario: Scenario| -> Vec<f64> {
            let chosen = outcomes
                .iter()
                .filter(|o| o.policy == policy && o.scenario == scenario);
            chosen.map(|o| figure(&o.figures)).collect()
        };
        let means = |figure: fn(&Figures) -> f64| -> Vec<(Scenario, f64)> {
            let all = Scenario::ALL.into_iter().map(|scenario| (scenario, of(figure, scenario)));
            all.filter(|(_, values)| !values.is_empty())
                .map(|(scenario, values)| (scenario, mean(&values)))
                .collect()
        };
        let regrets = means(|f| f.regret);
        let Some(least) = regrets.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            continue;
        };
        let over_all = |figure| {
            let values: Vec<f64> = means(figure).into_iter().map(|(_, value)| value).collect();
            percent(mean(&values))
        };
        let months = outcomes.iter().filter(|o| o.policy == policy);
        let months: Vec<f64> = months.map(|o| o.figures.regret).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            policy.name(),
            over_all(|f| f.regret),
            least.0.name(),
            percent(least.1),
            percent(worst(&months)),
            over_all(|f| f.unused),
            over_all(|f| f.spill),
            over_all(|f| f.regret_to_free),
        );
    }
    text
}

fn by_policy(scenario: Scenario, outcomes: &[&Outcome]) -> String {
    let mut text = format!(
        "\n### {}\n\n\
         | policy | regret % | worst % | unused % | worst % | spill % | worst % | to free % | saved % | weights/day | most | reversals/day | most | limits/day |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        scenario.name()
    );
    for policy in policies(outcomes.iter().copied()) {
        let of: Vec<&Figures> = outcomes
            .iter()
            .filter(|o| o.policy == policy)
            .map(|o| &o.figures)
            .collect();
        if of.is_empty() {
            continue;
        }
        let all = |figure: fn(&Figures) -> f64| -> Vec<f64> { of.iter().map(|f| figure(f)).collect() };
        let both = |figure| {
            let values = all(figure);
            format!("{} | {}", percent(mean(&values)), percent(worst(&values)))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.2} | {} | {:.2} | {} | {:.2} |",
            policy.name(),
            both(|f| f.regret),
            both(|f| f.unused),
            both(|f| f.spill),
            percent(mean(&all(|f| f.regret_to_free))),
            percent(-mean(&all(|f| f.against_alone))),
            mean(&all(|f| f.effort.weights)),
            worst(&all(|f| f.effort.most_weights as f64)),
            mean(&all(|f| f.effort.reversals)),
            worst(&all(|f| f.effort.most_reversals as f64)),
            mean(&all(|f| f.effort.limits)),
        );
    }
    text
}
