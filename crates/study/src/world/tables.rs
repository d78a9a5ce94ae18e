//! The figures of many months as Markdown tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use brimful_simulation::billing::Bill;

use super::run::Policy;
use super::scenario::Scenario;

/// Student's t for 95 % in the middle, by degrees of freedom from 1 on; beyond them it is two.
const T: [f64; 9] = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26];

/// One month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The scenario.
    pub scenario: Scenario,
    /// Who acted.
    pub policy: Policy,
    /// Its seed.
    pub seed: u64,
    /// The month's bill.
    pub bill: Bill,
    /// The bill if pods moved at will.
    pub bound: Bill,
    /// The bill if nobody acts.
    pub alone: Bill,
    /// Patches a day.
    pub patches: f64,
    /// Spot nodes moved a day.
    pub moves: f64,
}

impl Outcome {
    fn part(&self, amount: f64) -> f64 {
        100.0 * amount / self.bill.commitment
    }

    /// Cost beyond the bound, % of the commitment.
    #[must_use]
    pub fn beyond(&self) -> f64 {
        self.part(self.bill.cost - self.bound.cost)
    }

    fn against_alone(&self) -> f64 {
        self.part(self.bill.cost - self.alone.cost)
    }

    fn unused(&self) -> f64 {
        self.part(self.bill.unused - self.bound.unused)
    }

    fn spill(&self) -> f64 {
        self.part(self.bill.spill - self.bound.spill)
    }
}

/// A mean, and how far the true one may lie from it in 19 of 20 cases.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    mean: f64,
    half: f64,
}

impl Estimate {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let t = values
            .len()
            .checked_sub(2)
            .and_then(|place| T.get(place))
            .unwrap_or(&2.0);
        let half = if values.len() < 2 {
            0.0
        } else {
            t * (squares / (count - 1.0) / count).sqrt()
        };
        Self { mean, half }
    }
}

fn chosen(outcomes: &[Outcome], scenario: Scenario, policy: Policy) -> Vec<Outcome> {
    let is = |outcome: &&Outcome| outcome.scenario == scenario && outcome.policy == policy;
    outcomes.iter().filter(is).copied().collect()
}

/// All tables.
#[must_use]
pub fn tables(outcomes: &[Outcome]) -> String {
    let policies: BTreeSet<Policy> = outcomes.iter().map(|outcome| outcome.policy).collect();
    let scenarios: BTreeSet<Scenario> = outcomes.iter().map(|outcome| outcome.scenario).collect();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "#### Cost beyond the bound, % of the commitment: mean ± 95 % interval\n"
    );
    let names: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
    let _ = writeln!(text, "| scenario | {} |", names.join(" | "));
    let _ = writeln!(text, "| --- |{}", " ---: |".repeat(policies.len()));
    let cells = |figure: fn(&Outcome) -> f64, scenario: Scenario| -> Vec<Estimate> {
        let of = |policy: &Policy| {
            let values: Vec<f64> = chosen(outcomes, scenario, *policy).iter().map(figure).collect();
            Estimate::of(&values)
        };
        policies.iter().map(of).collect()
    };
    let mut sums = vec![Vec::new(); policies.len()];
    for scenario in &scenarios {
        let found = cells(Outcome::beyond, *scenario);
        for (sum, estimate) in sums.iter_mut().zip(&found) {
            sum.push(estimate.mean);
        }
        let shown: Vec<String> = found
            .iter()
            .map(|one| format!("{:.1} ± {:.1}", one.mean, one.half))
            .collect();
        let _ = writeln!(text, "| {} | {} |", scenario.name(), shown.join(" | "));
    }
    let means: Vec<String> = sums
        .iter()
        .map(|sum| format!("**{:.1}**", Estimate::of(sum).mean))
        .collect();
    let _ = writeln!(text, "| **all** | {} |", means.join(" | "));
    for policy in &policies {
        let _ = writeln!(
            text,
            "\n#### {}: % of the commitment; patches and moved nodes a day\n",
            policy.name()
        );
        let _ = writeln!(
            text,
            "| scenario | beyond the bound | unused beyond it | spill beyond it | against leaving alone, at most | patches | moved |"
        );
        let _ = writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        for scenario in &scenarios {
            let found = chosen(outcomes, *scenario, *policy);
            let of =
                |figure: fn(&Outcome) -> f64| Estimate::of(&found.iter().map(figure).collect::<Vec<_>>());
            let alone = of(Outcome::against_alone);
            let _ = writeln!(
                text,
                "| {} | {:.1} | {:.1} | {:.1} | {:.1}, {:.1} | {:.1} | {:.1} |",
                scenario.name(),
                of(Outcome::beyond).mean,
                of(Outcome::unused).mean,
                of(Outcome::spill).mean,
                alone.mean,
                alone.mean + alone.half,
                of(|outcome| outcome.patches).mean,
                of(|outcome| outcome.moves).mean
            );
        }
    }
    text
}
