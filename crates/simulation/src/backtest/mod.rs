//! What each way of acting would have cost on a report's own history.
//!
//! Taken from the report: commitments, what everybody else used, how much ran on Spot and at what price, hour by hour.
//! Simulated (`simulation`): Karpenter, the reports as they would have come in, and each policy's decisions. The
//! result says what was assumed.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "counts of nodes, steps and hours are small"
)]

pub mod history;
pub mod steerable;
pub mod thresholds;
pub mod trace;

use std::sync::atomic::{AtomicU64, Ordering};

use self::history::History;
use self::thresholds::{Verdict, candidates, verdict};
use crate::billing::{Bill, Tariff};
use crate::closed_loop::{Run, run};
use crate::oracle;
use crate::parallel::in_parallel;
use crate::policies::{Consents, Kind};
use crate::trace::{STEPS_PER_DAY, STEPS_PER_HOUR, Trace};
use brimful_policy::settings::Settings;
use brimful_types::{Error, Result};

/// Days that a policy sees before it acts, at most, and the part of the history that they may be: decisions need old
/// hours to forecast from.
const MOST_WARM_UP: usize = 14;
const WARM_UP_PART: f64 = 0.4;
/// Days of history without which nothing can be said.
const LEAST_DAYS: usize = 4;

/// A policy's run.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// The policy.
    pub kind: Kind,
    /// What it came to.
    pub run: Run,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Backtest {
    /// Days before the first in which policies acted.
    pub warm_up_days: usize,
    /// Days in which they acted.
    pub days: usize,
    /// What they met.
    pub trace: Trace,
    /// What the replayed days came to, by the report.
    pub as_it_was: Bill,
    /// Policies as [`Kind::compared`] lists them.
    pub played: Vec<Played>,
    /// The best sequence of the same actions.
    pub foresight: Run,
    /// What is consented to by the configuration.
    pub given: Consents,
    /// Brimful with further consents.
    pub worths: Vec<Worth>,
    /// Brimful with other thresholds.
    pub verdict: Verdict,
}

/// One run to do.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    kind: Kind,
    config: &'a Settings,
}

/// A history laid out for policies to act in.
#[derive(Debug)]
struct Stage {
    warm_up_days: usize,
    days: usize,
    trace: Trace,
}

impl Stage {
    fn new(history: &History) -> Result<Self> {
        let whole = history.hours.len() / 24;
        if whole < LEAST_DAYS {
            let what = format!(
                "the report holds {whole} whole days of complete hours: a backtest needs {LEAST_DAYS}, better 30"
            );
            return Err(
                Error::report(what).hint("look further back with --since, or wait for more of the report")
            );
        }
        let warm_up_days = ((whole as f64 * WARM_UP_PART) as usize).clamp(1, MOST_WARM_UP);
        let days = whole - warm_up_days;
        Ok(Self {
            trace: trace::trace(history, warm_up_days, days),
            warm_up_days,
            days,
        })
    }
}

impl Backtest {
    /// Plays all policies. `done` is told how many of how many runs are over.
    ///
    /// # Errors
    /// The history is too short; the model could not carry a change out.
    pub fn run(
        history: &History,
        config: &Settings,
        threads: usize,
        done: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self> {
        let stage = Stage::new(history)?;
        let given = Consents::of(config);
        let configured = Kind::Brimful(given);
        let candidates = candidates(config);
        let kinds = Kind::compared(config);
        let policies = kinds.iter().map(|kind| Job { kind: *kind, config });
        // The first candidate is the configuration itself, which one of the policies plays.
        let thresholds = candidates.iter().skip(1).map(|candidate| Job {
            kind: configured,
            config: &candidate.config,
        });
        let jobs: Vec<Job<'_>> = policies.chain(thresholds).collect();
        let mut runs = play(&stage, &jobs, threads, done)?;
        let tried = runs.split_off(kinds.len());
        let played: Vec<Played> = kinds
            .into_iter()
            .zip(runs)
            .map(|(kind, run)| Played { kind, run })
            .collect();
        let first = played.iter().filter(|played| played.kind == configured);
        let of_candidates = first.map(|played| &played.run).chain(&tried);
        let verdict = verdict(candidates.iter().cloned().zip(of_candidates).collect());
        Ok(Self {
            warm_up_days: stage.warm_up_days,
            days: stage.days,
            as_it_was: as_it_was(history, &stage),
            foresight: foresight(&stage.trace, stage.days),
            worths: worths(&played, given),
            given,
            verdict,
            trace: stage.trace,
            played,
        })
    }
}

/// What further consents would have saved, against those that are given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// With one consent more, or with all.
    pub consents: Consents,
    /// $ over the replayed days; negative where it would have cost more.
    pub saved: f64,
}

/// Tells it, without the rest of a backtest; the days are those that were replayed.
///
/// # Errors
/// As [`Backtest::run`].
pub fn worth_of_consents(
    history: &History,
    config: &Settings,
    threads: usize,
) -> Result<(usize, Vec<Worth>)> {
    let stage = Stage::new(history)?;
    let given = Consents::of(config);
    let kinds: Vec<Kind> = [given]
        .into_iter()
        .chain(given.further())
        .map(Kind::Brimful)
        .collect();
    let jobs: Vec<Job<'_>> = kinds.iter().map(|kind| Job { kind: *kind, config }).collect();
    let runs = play(&stage, &jobs, threads, &|_, _| ())?;
    let played: Vec<Played> = kinds
        .into_iter()
        .zip(runs)
        .map(|(kind, run)| Played { kind, run })
        .collect();
    Ok((stage.days, worths(&played, given)))
}

fn worths(played: &[Played], given: Consents) -> Vec<Worth> {
    let cost = |consents: Consents| {
        let of = played
            .iter()
            .find(|played| played.kind == Kind::Brimful(consents));
        of.map(|played| played.run.bill.cost)
    };
    let further = given.further().into_iter();
    further
        .filter_map(|consents| {
            Some(Worth {
                consents,
                saved: cost(given)? - cost(consents)?,
            })
        })
        .collect()
}

/// Nothing of it is simulated: what everybody used, and what ran on Spot, hour by hour.
fn as_it_was(history: &History, stage: &Stage) -> Bill {
    let hours = stage.warm_up_days * 24..(stage.warm_up_days + stage.days) * 24;
    let steps = hours.flat_map(|hour| {
        let past = &history.hours[hour];
        let tariff = Tariff {
            prices: stage.trace.prices,
            commitment: stage.trace.commitment(hour),
            others: past.demand,
            spot: past.spot_price,
        };
        std::iter::repeat_n(tariff.bill(0.0, past.spot), STEPS_PER_HOUR)
    });
    let bills: Vec<Bill> = steps.collect();
    bills.iter().sum()
}

fn foresight(trace: &Trace, days: usize) -> Run {
    let (on_demand, bill) = oracle::path(trace, days * STEPS_PER_DAY);
    Run {
        bill,
        on_demand,
        ..Run::default()
    }
}

/// Carries all jobs out; the results are in their order, whatever the number of threads.
fn play(
    stage: &Stage,
    jobs: &[Job<'_>],
    threads: usize,
    done: &(dyn Fn(u64, u64) + Sync),
) -> Result<Vec<Run>> {
    let over = AtomicU64::new(0);
    let runs = in_parallel(jobs, threads, |job| {
        let run = run(&stage.trace, job.kind, &acting(job.config), stage.days);
        done(over.fetch_add(1, Ordering::Relaxed) + 1, jobs.len() as u64);
        run
    });
    runs.into_iter().collect()
}

/// What of the settings holds in the model: how decisions are made, not where.
fn acting(settings: &Settings) -> Settings {
    Settings {
        policy: settings.policy.clone(),
        maturity: settings.maturity,
        lookback: settings.lookback,
        top_up: settings.top_up.clone(),
        ..Settings::default()
    }
}
