//! What happens, by name: each scenario is a function from a seed to a trace.

use brimful_simulation::dice::Dice;
use brimful_simulation::trace::{Delivery, Lateness, STEPS_PER_DAY, STEPS_PER_HOUR};

use crate::calendar::{Calendar, Moment, Shape};

use super::SPOT;
use super::bill::Tariff;
use super::cluster::Weather;
use super::pool::Spec;
use super::workload::{Deployment, Workload};

/// Days in which nobody acts.
pub const WARM_UP_DAYS: usize = 21;
/// Days in which a policy does.
pub const MONTH_DAYS: usize = 28;
const DAYS: usize = WARM_UP_DAYS + MONTH_DAYS;
const HOURS: usize = DAYS * 24;
const STEPS: usize = DAYS * STEPS_PER_DAY;
/// The first hour of the month.
const FIRST: i32 = (WARM_UP_DAYS * 24) as i32;

/// A Savings Plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// $/h.
    pub commitment: f64,
    /// True for an EC2 Instance plan of the family.
    pub instance: bool,
    /// First hour, counted from the beginning; negative is before.
    pub from: i32,
    /// The hour in which it is over.
    pub to: i32,
}

impl Term {
    /// True while it is in force.
    #[must_use]
    pub fn covers(&self, hour: usize) -> bool {
        (self.from..self.to).contains(&(hour as i32))
    }
}

/// Everything that a policy does not decide. Equal seeds give equal traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    seed: u64,
    /// Pools, as their owner made them.
    pub pools: Vec<Spec>,
    /// Pods.
    pub work: Workload,
    /// Savings Plans.
    pub plans: Vec<Term>,
    /// Whether the plans reach the other account.
    pub shared: bool,
    /// vCPU of the family that others run, by hour.
    pub others_family: Vec<f64>,
    /// What else others run, $/h at Compute rates, by hour.
    pub others: Vec<f64>,
    /// Whether Spot can be had, by step.
    pub has_spot: Vec<bool>,
    /// Deliveries, by time.
    pub deliveries: Vec<Delivery>,
    /// How hours mature, by hour.
    pub lateness: Vec<Lateness>,
    /// Whether the job can run, by step.
    pub can_run: Vec<bool>,
    rolls_out: usize,
}

impl Trace {
    /// The same with a report that shows each hour as it ends, whole at once: what is left is not lateness.
    #[must_use]
    pub fn complete_at_once(mut self) -> Self {
        let hours = 1..HOURS;
        self.deliveries = hours
            .map(|hour| Delivery {
                step: hour * STEPS_PER_HOUR,
                reaches: hour,
            })
            .collect();
        for late in &mut self.lateness {
            late.lacking = 0.0;
        }
        self
    }

    /// The terms of a step.
    #[must_use]
    pub fn tariff(&self, step: usize) -> Tariff {
        let hour = (step / STEPS_PER_HOUR).min(HOURS - 1);
        let sum = |instance: bool| {
            let plans = self
                .plans
                .iter()
                .filter(|plan| plan.instance == instance && plan.covers(hour));
            plans.map(|plan| plan.commitment).sum()
        };
        let reached = if self.shared { 1.0 } else { 0.0 };
        Tariff {
            compute: sum(false),
            instance: sum(true),
            others_family: self.others_family[hour] * reached,
            others: self.others[hour] * reached,
            spot: SPOT,
        }
    }

    /// What happens to the cluster in a step.
    #[must_use]
    pub fn weather(&self, step: usize) -> Weather<'_> {
        Weather {
            work: &self.work,
            step,
            has_spot: self.has_spot[step],
            interruptions: if self.has_spot[step] { 0.002 } else { 0.1 } / STEPS_PER_HOUR as f64,
            rolls_out: step == self.rolls_out,
            seed: self.seed,
        }
    }
}

const CALENDAR: Calendar = Calendar {
    warm_up_days: WARM_UP_DAYS,
    month_days: MONTH_DAYS,
};

/// What a scenario is made of.
struct Recipe {
    plans: Vec<Term>,
    shared: bool,
    /// $/h at Compute rates.
    others: Shape,
    /// vCPU of the family.
    others_family: Shape,
    /// What the noise of others keeps from hour to hour, and how large it is.
    others_noise: (f64, f64),
    /// vCPU wanted.
    level: Shape,
    /// The part of them that must not run on Spot.
    on_demand: f64,
    /// Batches a day, of so many vCPU for one to three hours.
    bursts: (f64, f64),
    /// The part of the pods that ends in an hour.
    churn: f64,
    teams: usize,
    expire_after: Option<usize>,
    shortages: usize,
    outages: usize,
    rolls_out: usize,
}

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // `about` says it
pub enum Scenario {
    Steady,
    Diurnal,
    Holiday,
    NoisyOthers,
    OthersStep,
    Bursts,
    Shrinking,
    OnDemandPods,
    InstancePlan,
    LimitedSharing,
    Renewal,
    Ended,
    ShortExpiry,
    RollOut,
    TenPools,
    SpotShortage,
    Outages,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Steady,
        Self::Diurnal,
        Self::Holiday,
        Self::NoisyOthers,
        Self::OthersStep,
        Self::Bursts,
        Self::Shrinking,
        Self::OnDemandPods,
        Self::InstancePlan,
        Self::LimitedSharing,
        Self::Renewal,
        Self::Ended,
        Self::ShortExpiry,
        Self::RollOut,
        Self::TenPools,
        Self::SpotShortage,
        Self::Outages,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.about().0
    }

    /// Its name, and what happens.
    #[must_use]
    pub fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::Steady => ("steady", "nothing but noise"),
            Self::Diurnal => (
                "diurnal",
                "the workload varies by ±30 % over the day, others by ±25 %, at the same time",
            ),
            Self::Holiday => (
                "holiday",
                "working days with a peak, quiet weekends, and seven days as quiet as those",
            ),
            Self::NoisyOthers => (
                "noisy-others",
                "others' use has 15 % of noise that lasts five hours",
            ),
            Self::OthersStep => (
                "others-step",
                "others go from $6.5/h to $8.5/h on day 10 and to $5/h on day 18",
            ),
            Self::Bursts => (
                "bursts",
                "a workload of 240 vCPU, and four batches a day of 100 to 300 for one to three hours",
            ),
            Self::Shrinking => ("shrinking", "the workload goes from 440 to 140 vCPU, evenly"),
            Self::OnDemandPods => (
                "on-demand-pods",
                "as diurnal; 35 % of the workload must not run on Spot",
            ),
            Self::InstancePlan => (
                "instance-plan",
                "as diurnal; $5/h of the $14/h are an EC2 Instance plan, others run the family, too",
            ),
            Self::LimitedSharing => (
                "limited-sharing",
                "as diurnal; the plan ($8/h) does not reach the other account",
            ),
            Self::Renewal => (
                "renewal",
                "as diurnal; $6/h of the $14/h end on day 10 and are bought anew that very hour",
            ),
            Self::Ended => (
                "ended",
                "as diurnal; $5/h of the $14/h end on day 10, $4/h are bought on day 18",
            ),
            Self::ShortExpiry => (
                "short-expiry",
                "as diurnal; nodes of the committed pool live for 24 hours",
            ),
            Self::RollOut => (
                "roll-out",
                "as diurnal; on day 9 at noon all nodes of the committed pool drift",
            ),
            Self::TenPools => (
                "ten-pools",
                "as diurnal; five teams, each with a committed and a Spot pool of its own",
            ),
            Self::SpotShortage => (
                "spot-shortage",
                "as diurnal; four times there is no Spot for 3 to 10 hours",
            ),
            Self::Outages => (
                "outages",
                "as diurnal; six times the job cannot run for 2 to 12 hours",
            ),
        }
    }

    /// Its trace of a seed.
    #[must_use]
    pub fn trace(self, seed: u64) -> Trace {
        self.recipe().draw(seed)
    }

    fn recipe(self) -> Recipe {
        let by_day = || Recipe {
            others: |at| 7.0 * (1.0 + 0.25 * at.tide()),
            level: |at| 330.0 * (1.0 + 0.3 * at.tide()),
            ..Recipe::plain()
        };
        match self {
            Self::Steady => Recipe::plain(),
            Self::Diurnal => by_day(),
            Self::Holiday => Recipe {
                others: |at| 5.5 + 3.5 * at.business(is_quiet(at)),
                level: |at| 240.0 + 200.0 * at.business(is_quiet(at)),
                ..Recipe::plain()
            },
            Self::NoisyOthers => Recipe {
                others_noise: (0.8, 0.15),
                ..Recipe::plain()
            },
            Self::OthersStep => Recipe {
                others: |at| match at.day {
                    ..10.4 => 6.5,
                    ..18.6 => 8.5,
                    _ => 5.0,
                },
                ..Recipe::plain()
            },
            Self::Bursts => Recipe {
                level: |_| 240.0,
                bursts: (4.0, 200.0),
                ..Recipe::plain()
            },
            Self::Shrinking => Recipe {
                level: |at| 440.0 - 300.0 * (at.day / MONTH_DAYS as f64).clamp(0.0, 1.0),
                ..Recipe::plain()
            },
            Self::OnDemandPods => Recipe {
                on_demand: 0.35,
                ..by_day()
            },
            Self::InstancePlan => Recipe {
                plans: vec![
                    plan(9.0),
                    Term {
                        instance: true,
                        ..plan(5.0)
                    },
                ],
                others: |at| 4.5 * (1.0 + 0.25 * at.tide()),
                others_family: |at| 80.0 * (1.0 + 0.25 * at.tide()),
                ..by_day()
            },
            Self::LimitedSharing => Recipe {
                plans: vec![plan(8.0)],
                shared: false,
                ..by_day()
            },
            Self::Renewal => Recipe {
                plans: vec![
                    plan(8.0),
                    ending(6.0, 10),
                    Term {
                        from: FIRST + 10 * 24 + 10,
                        ..plan(6.0)
                    },
                ],
                ..by_day()
            },
            Self::Ended => Recipe {
                plans: vec![
                    plan(9.0),
                    ending(5.0, 10),
                    Term {
                        from: FIRST + 18 * 24 + 14,
                        ..plan(4.0)
                    },
                ],
                ..by_day()
            },
            Self::ShortExpiry => Recipe {
                expire_after: Some(24),
                ..by_day()
            },
            Self::RollOut => Recipe {
                rolls_out: (WARM_UP_DAYS + 9) * STEPS_PER_DAY + STEPS_PER_DAY / 2,
                ..by_day()
            },
            Self::TenPools => Recipe { teams: 5, ..by_day() },
            Self::SpotShortage => Recipe {
                shortages: 4,
                ..by_day()
            },
            Self::Outages => Recipe {
                outages: 6,
                ..by_day()
            },
        }
    }
}

fn plan(commitment: f64) -> Term {
    Term {
        commitment,
        instance: false,
        from: i32::MIN,
        to: i32::MAX,
    }
}

/// A plan that ends at ten in the morning of that day.
fn ending(commitment: f64, day: i32) -> Term {
    Term {
        to: FIRST + day * 24 + 10,
        ..plan(commitment)
    }
}

/// Weekends, and a Wednesday to the Tuesday after it.
fn is_quiet(at: Moment) -> bool {
    at.is_weekend() || (9.0..16.0).contains(&at.day)
}

impl Recipe {
    fn plain() -> Self {
        Self {
            plans: vec![plan(14.0)],
            shared: true,
            others: |_| 7.0,
            others_family: |_| 0.0,
            others_noise: (0.9, 0.03),
            level: |_| 330.0,
            on_demand: 0.1,
            bursts: (0.0, 0.0),
            churn: 0.04,
            teams: 0,
            expire_after: None,
            shortages: 0,
            outages: 0,
            rolls_out: usize::MAX,
        }
    }

    /// Draws a trace. Each fact has its own stream of numbers, so that one does not shift another.
    fn draw(&self, seed: u64) -> Trace {
        let dice = |stream: u64| Dice::new(seed, stream);
        let hours = |shape: Shape, noise: Vec<f64>| {
            let hours = noise.into_iter().enumerate();
            let level = |hour: usize| shape(CALENDAR.moment(hour as f64 + 0.5));
            hours
                .map(|(hour, noise)| (level(hour) * (1.0 + noise)).max(0.0))
                .collect()
        };
        let (keep, spread) = self.others_noise;
        Trace {
            seed,
            pools: self.pools(),
            work: Workload::draw(&self.deployments(seed), seed),
            plans: self.plans.clone(),
            shared: self.shared,
            others: hours(self.others, dice(3).wander(HOURS, keep, spread)),
            others_family: hours(self.others_family, dice(7).wander(HOURS, keep, spread)),
            has_spot: CALENDAR.episodes(dice(1), self.shortages, (3.0, 10.0)),
            deliveries: CALENDAR.deliveries(dice(4), (6.0, 14.0), (0.0, 0.0)),
            lateness: lateness(dice(5)),
            can_run: CALENDAR.episodes(dice(6), self.outages, (2.0, 12.0)),
            rolls_out: self.rolls_out,
        }
    }

    fn pools(&self) -> Vec<Spec> {
        let committed = |name: &str, team| Spec {
            team,
            expire_after: self.expire_after,
            ..Spec::new(name, false, Some(5))
        };
        let overflow = Spec::new("overflow", false, None);
        if self.teams == 0 {
            return vec![
                committed("committed", None),
                overflow,
                Spec::new("spot", true, Some(10)),
            ];
        }
        let of = |team: usize| {
            let spot = Spec {
                team: Some(team),
                ..Spec::new(&format!("spot-{team}"), true, Some(10))
            };
            [committed(&format!("committed-{team}"), Some(team)), spot]
        };
        let pools = (0..self.teams).flat_map(of);
        pools.chain([overflow]).collect()
    }

    fn deployments(&self, seed: u64) -> Vec<Deployment> {
        let mut noise = Dice::new(seed, 100);
        let noise = noise.wander(HOURS + 1, 0.95, 0.03);
        let bursts = CALENDAR.bursts(Dice::new(seed, 101), self.bursts);
        let level: Vec<f64> = (0..STEPS)
            .map(|step| {
                let hours = step as f64 / STEPS_PER_HOUR as f64;
                let (hour, part) = (step / STEPS_PER_HOUR, hours.fract());
                let noise = noise[hour] * (1.0 - part) + noise[hour + 1] * part;
                (self.level)(CALENDAR.moment(hours)) * (1.0 + noise)
            })
            .collect();
        let teams = self.teams.max(1);
        let mut deployments = Vec::new();
        for team in 0..teams {
            // Larger and smaller ones.
            let part = 2.0 * (team + 1) as f64 / (teams * (teams + 1)) as f64;
            for (on_demand, share) in [(true, self.on_demand), (false, 1.0 - self.on_demand)] {
                deployments.push(Deployment {
                    level: level.iter().map(|level| level * part * share).collect(),
                    churn: self.churn,
                    on_demand,
                    team,
                });
            }
        }
        if self.bursts.0 > 0.0 {
            deployments.push(Deployment {
                level: bursts,
                churn: 0.0,
                on_demand: false,
                team: 0,
            });
        }
        deployments
    }
}

fn lateness(mut dice: Dice) -> Vec<Lateness> {
    let late = |dice: &mut Dice| Lateness {
        hours: dice.between(12.0, 24.0),
        lacking: dice.between(0.05, 0.3),
        restated: None,
    };
    (0..HOURS).map(|_| late(&mut dice)).collect()
}
