//! What each way of acting costs, in simulated months: prints the tables of `docs/control.md`.
//!
//! `cargo bench -p brimful-study --bench control [-- --seeds N --scenario NAME,… --policy NAME,… --threads N --first-seed N --lookahead HOURS]`; with
//! `--show hours` the first seed of each scenario hour by hour as CSV instead: commitment and others' use ($/h at SP
//! rates), the workload, and the on-demand nodes of the oracle and of each policy.

use std::process::ExitCode;
use std::time::Instant;

use brimful_policy::settings::Settings;
use brimful_simulation::closed_loop::{Yardstick, run_configured};
use brimful_simulation::parallel::in_parallel;
use brimful_simulation::policies::Kind;
use brimful_study::scenario::{MONTH_DAYS, Scenario};
use brimful_study::tables::{Outcome, hours, tables};
use brimful_types::span::Span;

struct Wanted {
    seeds: u64,
    first: u64,
    scenarios: Vec<Scenario>,
    policies: Vec<Kind>,
    threads: usize,
    show_hours: bool,
    config: Settings,
}

fn main() -> ExitCode {
    let wanted = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(3);
        }
    };
    if wanted.show_hours {
        show_hours(&wanted);
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let outcomes = outcomes(&wanted);
    #[allow(clippy::print_stdout, reason = "the tables are the output")]
    {
        print!("{}", tables(&outcomes));
    }
    eprintln!(
        "{} months in {:.1} s of wall-clock time",
        outcomes.len(),
        began.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn wanted(arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        seeds: 20,
        first: 1,
        scenarios: Scenario::ALL.to_vec(),
        policies: Kind::ALL.to_vec(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        show_hours: false,
        config: Settings::default(),
    };
    // `cargo bench` adds this.
    let mut arguments = arguments.filter(|argument| argument != "--bench");
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(format!("{flag}: a value is missing"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{flag}: {value} is not a number"))
        };
        match flag.as_str() {
            "--seeds" => wanted.seeds = number()?,
            "--first-seed" => wanted.first = number()?,
            "--threads" => wanted.threads = usize::try_from(number()?.max(1)).unwrap_or(1),
            "--lookahead" => {
                let hours = i64::try_from(number()?).unwrap_or(i64::MAX).clamp(1, 24);
                wanted.config.policy.lookahead = Span(chrono::Duration::hours(hours));
            }
            "--show" if value == "hours" => wanted.show_hours = true,
            "--scenario" => wanted.scenarios = named(&Scenario::ALL, Scenario::name, &value)?,
            "--policy" => wanted.policies = named(&all_policies(), Kind::name, &value)?,
            _ => {
                return Err(format!(
                    "{flag} {value}: unknown; --seeds, --first-seed, --scenario, --policy, --threads, --lookahead, --show hours"
                ));
            }
        }
    }
    Ok(wanted)
}

fn all_policies() -> Vec<Kind> {
    [Kind::ALL.as_slice(), &Kind::DIAGNOSES].concat()
}

/// Those of the names in a list with commas.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, list: &str) -> Result<Vec<T>, String> {
    let one = |wanted: &str| {
        let found = all.iter().copied().find(|one| name(*one) == wanted);
        found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
            format!("{wanted}: unknown; one of {}", names.join(", "))
        })
    };
    list.split(',').map(one).collect()
}

/// Every scenario with every seed and policy, in that order, whatever the number of threads.
fn outcomes(wanted: &Wanted) -> Vec<Outcome> {
    let jobs: Vec<(Scenario, u64)> = wanted
        .scenarios
        .iter()
        .flat_map(|scenario| (wanted.first..wanted.first + wanted.seeds).map(|seed| (*scenario, seed)))
        .collect();
    let found = in_parallel(&jobs, wanted.threads, |(scenario, seed)| {
        month(*scenario, *seed, &wanted.policies, &wanted.config)
    });
    let mut outcomes: Vec<Outcome> = found.into_iter().flatten().collect();
    outcomes.sort_by_key(|outcome| (outcome.scenario, outcome.policy, outcome.seed));
    outcomes
}

#[allow(clippy::print_stdout, reason = "the CSV is the output")]
fn show_hours(wanted: &Wanted) {
    let config = &wanted.config;
    for scenario in &wanted.scenarios {
        let trace = scenario.trace(wanted.first);
        let policies = wanted.policies.iter();
        let columns = policies.map(|policy| {
            let run =
                run_configured(&trace, *policy, config, MONTH_DAYS).expect("the model carries patches out");
            (policy.name(), run.on_demand)
        });
        print!("{}", hours(*scenario, &trace, &columns.collect::<Vec<_>>()));
    }
}

fn month(scenario: Scenario, seed: u64, policies: &[Kind], config: &Settings) -> Vec<Outcome> {
    let trace = scenario.trace(seed);
    let yardstick = Yardstick::new(&trace, MONTH_DAYS).expect("the model carries patches out");
    let outcome = |policy: &Kind| {
        let run = run_configured(&trace, *policy, config, MONTH_DAYS).expect("the model carries patches out");
        Outcome {
            scenario,
            seed,
            policy: *policy,
            figures: yardstick.measure(&run),
            yardstick,
        }
    };
    policies.iter().map(outcome).collect()
}
