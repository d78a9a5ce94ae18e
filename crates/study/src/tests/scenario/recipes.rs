//! The scenarios by name, and what each is made of.

use super::{Noise, Recipe};
use crate::calendar::Moment;
use brimful_simulation::trace::{STEPS_PER_HOUR, Term, Trace, WARM_UP};

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tests) enum Scenario {
    /// Nothing but noise.
    Steady,
    /// Day and night.
    Diurnal,
    /// The same, and quiet weekends.
    Weekly,
    /// Batches that come at any time and stay for an hour or three.
    Bursts,
    /// Others take more on day 10, and much less on day 20.
    OthersStep,
    /// The cluster grows from 40 to 100 nodes within an hour.
    OwnStep,
    /// Five working days as quiet as a weekend.
    Holiday,
    /// The cluster shrinks from 110 to 35 nodes in the month.
    Shrinking,
    /// Spot costs twice as much at times, and at other times is not to be had.
    Spot,
    /// Others' use varies by 15 % from hour to hour.
    NoisyOthers,
    /// The report is two days behind, some of its rows later still, and one hour in ten is restated.
    LongLag,
    /// One of two plans ends on day 12, a new one begins on day 20.
    PlanExpiry,
    /// Three clusters on one plan, each with its own Brimful and the default share.
    SeveralClusters,
    /// The API server or the bucket cannot be reached for hours, six times.
    Outages,
    /// No delivery for five days.
    Silence,
}

/// The first hour of the month.
const FIRST: i32 = (WARM_UP / STEPS_PER_HOUR) as i32;

impl Scenario {
    /// All of them.
    pub(in crate::tests) const ALL: [Self; 15] = [
        Self::Steady,
        Self::Diurnal,
        Self::Weekly,
        Self::Bursts,
        Self::OthersStep,
        Self::OwnStep,
        Self::Holiday,
        Self::Shrinking,
        Self::Spot,
        Self::NoisyOthers,
        Self::LongLag,
        Self::PlanExpiry,
        Self::SeveralClusters,
        Self::Outages,
        Self::Silence,
    ];

    /// Its trace of a seed.
    #[must_use]
    pub(in crate::tests) fn trace(self, seed: u64) -> Trace {
        self.recipe().draw(seed)
    }

    fn recipe(self) -> Recipe {
        let by_day = || Recipe {
            others: |at| 7.0 * (1.0 + 0.25 * at.tide()),
            workloads: vec![|at| 90.0 * (1.0 + 0.3 * at.tide())],
            ..Recipe::default()
        };
        match self {
            Self::Steady => Recipe::default(),
            Self::Diurnal => by_day(),
            Self::Weekly => Recipe {
                others: |at| others_of(at, at.is_weekend()),
                workloads: vec![|at| nodes_of(at, at.is_weekend())],
                ..Recipe::default()
            },
            Self::Holiday => Recipe {
                others: |at| others_of(at, at.is_weekend() || is_holiday(at)),
                workloads: vec![|at| nodes_of(at, at.is_weekend() || is_holiday(at))],
                ..Recipe::default()
            },
            Self::Bursts => Recipe {
                workloads: vec![|_| 60.0],
                bursts: (4.0, 50.0),
                ..Recipe::default()
            },
            Self::OthersStep => Recipe {
                others: |at| match at.day {
                    ..10.4 => 6.5,
                    ..20.6 => 8.5,
                    _ => 5.0,
                },
                ..Recipe::default()
            },
            Self::OwnStep => Recipe {
                workloads: vec![|at| if at.day < 12.4 { 40.0 } else { 100.0 }],
                ..Recipe::default()
            },
            Self::Shrinking => Recipe {
                workloads: vec![|at| 110.0 - 75.0 * (at.day / 30.0).clamp(0.0, 1.0)],
                ..Recipe::default()
            },
            Self::Spot => Recipe {
                spikes: 3,
                shortages: 4,
                ..by_day()
            },
            Self::NoisyOthers => Recipe {
                others_noise: Noise {
                    keep: 0.8,
                    spread: 0.15,
                },
                ..Recipe::default()
            },
            Self::LongLag => Recipe {
                lag: (20.0, 26.0),
                late_hours: 0.005,
                restated: 0.1,
                ..by_day()
            },
            Self::PlanExpiry => Recipe {
                plans: expiring_plans(),
                ..by_day()
            },
            Self::SeveralClusters => Recipe {
                workloads: vec![|at| 50.0 * (1.0 + 0.3 * at.tide()), |_| 40.0, |at| {
                    30.0 * (1.0 - 0.3 * at.tide())
                }],
                ..by_day()
            },
            Self::Outages => Recipe {
                outages: 6,
                ..by_day()
            },
            Self::Silence => Recipe {
                silence: (10.0, 15.0),
                ..by_day()
            },
        }
    }
}

fn expiring_plans() -> Vec<Term> {
    let plan = |commitment, from, to| Term { commitment, from, to };
    vec![
        plan(9.0, i32::MIN, i32::MAX),
        plan(5.0, i32::MIN, FIRST + 12 * 24 + 10),
        plan(4.0, FIRST + 20 * 24 + 14, i32::MAX),
    ]
}

fn others_of(at: Moment, is_quiet: bool) -> f64 {
    5.5 + 3.5 * at.business(is_quiet)
}

fn nodes_of(at: Moment, is_quiet: bool) -> f64 {
    65.0 + 55.0 * at.business(is_quiet)
}

/// A Wednesday to the Tuesday after it.
fn is_holiday(at: Moment) -> bool {
    (9.0..16.0).contains(&at.day)
}
