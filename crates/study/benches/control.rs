//! What each way of acting costs, in simulated months: prints the tables of `docs/control.md`.
//!
//! `cargo bench -p brimful-study --bench control [-- --seeds N --scenario NAME,… --policy NAME,… --threads N
//! --first-seed N --days N --lookahead HOURS --report late|at-once]`; with `--show hours` the first seed of each scenario hour by hour as CSV instead:
//! commitment and others' use ($/h at Compute rates), what pods ask for, and what each policy runs (vCPU).

use std::process::ExitCode;
use std::time::Instant;

use brimful_policy::settings::Settings;
use brimful_simulation::parallel::in_parallel;
use brimful_simulation::trace::STEPS_PER_DAY;
use brimful_study::world::run::{Policy, Run, Start, run};
use brimful_study::world::scenario::{MONTH_DAYS, Scenario, Trace, WARM_UP_DAYS};
use brimful_study::world::tables::{Outcome, tables};
use brimful_types::span::Span;

struct Wanted {
    seeds: u64,
    first: u64,
    days: usize,
    scenarios: Vec<Scenario>,
    policies: Vec<Policy>,
    threads: usize,
    show_hours: bool,
    /// Whether the report shows each hour as it ends.
    at_once: bool,
    settings: Settings,
}

impl Wanted {
    fn trace(&self, scenario: Scenario, seed: u64) -> Trace {
        let trace = scenario.trace(seed);
        if self.at_once {
            trace.complete_at_once()
        } else {
            trace
        }
    }
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
        for scenario in &wanted.scenarios {
            show_hours(*scenario, &wanted);
        }
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
        seeds: 1,
        first: 1,
        days: MONTH_DAYS,
        scenarios: Scenario::ALL.to_vec(),
        policies: Policy::ALL.to_vec(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        show_hours: false,
        at_once: false,
        settings: Settings::default(),
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
        let count = || number().map(|number| usize::try_from(number.max(1)).unwrap_or(1));
        match flag.as_str() {
            "--seeds" => wanted.seeds = number()?,
            "--first-seed" => wanted.first = number()?,
            "--threads" => wanted.threads = count()?,
            "--days" => wanted.days = count()?.min(MONTH_DAYS),
            "--lookahead" => {
                let hours = i64::try_from(number()?).unwrap_or(i64::MAX).clamp(1, 24);
                wanted.settings.policy.lookahead = Span(chrono::Duration::hours(hours));
            }
            "--report" if value == "at-once" => {
                (wanted.at_once, wanted.settings.maturity) = (true, Span(chrono::Duration::zero()));
            }
            "--report" if value == "late" => {}
            "--show" if value == "hours" => wanted.show_hours = true,
            "--scenario" => wanted.scenarios = named(&Scenario::ALL, Scenario::name, &value)?,
            "--policy" => wanted.policies = named(&Policy::ALL, Policy::name, &value)?,
            _ => {
                return Err(format!(
                    "{flag} {value}: unknown; --seeds, --first-seed, --scenario, --policy, --threads, --days, --lookahead, --report, --show hours"
                ));
            }
        }
    }
    Ok(wanted)
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
        month(*scenario, *seed, wanted)
    });
    let mut outcomes: Vec<Outcome> = found.into_iter().flatten().collect();
    outcomes.sort_by_key(|outcome| (outcome.scenario, outcome.policy, outcome.seed));
    outcomes
}

fn play(trace: &Trace, start: &Start, policy: Policy, wanted: &Wanted) -> Run {
    run(trace, start, policy, &wanted.settings, wanted.days).expect("the model carries patches out")
}

fn month(scenario: Scenario, seed: u64, wanted: &Wanted) -> Vec<Outcome> {
    let trace = wanted.trace(scenario, seed);
    let start = Start::new(&trace).expect("the model reads its own pools");
    let alone = play(&trace, &start, Policy::LeaveAlone, wanted);
    let (bound, alone) = (alone.bound(&trace), alone.bill);
    let outcome = |policy: &Policy| {
        let run = play(&trace, &start, *policy, wanted);
        Outcome {
            scenario,
            policy: *policy,
            seed,
            bill: run.bill,
            bound,
            alone,
            patches: run.patches,
            moves: run.moves,
        }
    };
    wanted.policies.iter().map(outcome).collect()
}

#[allow(clippy::print_stdout, reason = "the CSV is the output")]
fn show_hours(scenario: Scenario, wanted: &Wanted) {
    let trace = wanted.trace(scenario, wanted.first);
    let start = Start::new(&trace).expect("the model reads its own pools");
    println!("scenario,policy,hour,commitment,others,asked,of it on demand,on demand,spot,waiting,says");
    for policy in &wanted.policies {
        let run = play(&trace, &start, *policy, wanted);
        for (hour, ((on_demand, spot, waiting), reason)) in
            run.steps.iter().skip(5).step_by(6).zip(&run.reasons).enumerate()
        {
            let step = WARM_UP_DAYS * STEPS_PER_DAY + hour * 6;
            let tariff = trace.tariff(step);
            let (asked, fixed) = trace.work.asked[step];
            println!(
                "{},{},{hour},{:.2},{:.2},{},{},{on_demand},{spot},{waiting},{:?}",
                scenario.name(),
                policy.name(),
                tariff.compute + tariff.instance,
                tariff.others,
                asked / 1000,
                fixed / 1000,
                reason
            );
        }
    }
}
