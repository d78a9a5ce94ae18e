//! Scenarios: each is a function from a seed to a trace.

use crate::calendar::{Calendar, Shape};
use brimful_simulation::dice::Dice;
use brimful_simulation::trace::{
    Lateness, Prices, STEPS_PER_DAY, STEPS_PER_HOUR, Term, Trace, WARM_UP, WARM_UP_DAYS, Workload,
};

mod recipes;

pub(super) use recipes::Scenario;

/// Days in a simulated month.
pub(super) const MONTH_DAYS: usize = 30;
const DAYS: usize = WARM_UP_DAYS + MONTH_DAYS;
const HOURS: usize = DAYS * 24;
const STEPS: usize = DAYS * STEPS_PER_DAY;

const CALENDAR: Calendar = Calendar {
    warm_up_days: WARM_UP_DAYS,
    month_days: MONTH_DAYS,
};

/// Irregularity: what a level keeps of its deviation from hour to hour, and how large that is, as parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    pub(super) keep: f64,
    pub(super) spread: f64,
}

/// What a scenario is made of.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) plans: Vec<Term>,
    /// $/h at SP rates.
    pub(super) others: Shape,
    pub(super) others_noise: Noise,
    /// Nodes, by cluster.
    pub(super) workloads: Vec<Shape>,
    pub(super) workload_noise: Noise,
    /// Batches a day, each of so many nodes for one to three hours.
    pub(super) bursts: (f64, f64),
    /// Part of the nodes that ends in an hour because pods finish or nodes expire.
    pub(super) churn: f64,
    /// Part of the Spot nodes that is interrupted in an hour.
    pub(super) interruptions: f64,
    pub(super) spot_price: f64,
    /// Episodes in the month in which Spot costs twice as much.
    pub(super) spikes: usize,
    /// Episodes in the month in which there is no Spot, and a tenth of it is interrupted every hour.
    pub(super) shortages: usize,
    /// From the end of the newest hour in a delivery to its arrival, hours.
    pub(super) lag: (f64, f64),
    /// One in so many hours has rows that come up to 60 hours late; 0 is none.
    pub(super) late_hours: f64,
    /// One in so many hours is restated a day or more later.
    pub(super) restated: f64,
    /// Outages in the month of the API server or the report's bucket.
    pub(super) outages: usize,
    /// Days in which no delivery comes, from and to.
    pub(super) silence: (f64, f64),
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            plans: vec![Term {
                commitment: 14.0,
                from: i32::MIN,
                to: i32::MAX,
            }],
            others: |_| 7.0,
            others_noise: Noise {
                keep: 0.9,
                spread: 0.03,
            },
            workloads: vec![|_| 90.0],
            workload_noise: Noise {
                keep: 0.95,
                spread: 0.03,
            },
            bursts: (0.0, 0.0),
            churn: 0.03,
            interruptions: 0.002,
            spot_price: 0.076,
            spikes: 0,
            shortages: 0,
            lag: (6.0, 14.0),
            late_hours: 0.0,
            restated: 0.0,
            outages: 0,
            silence: (0.0, 0.0),
        }
    }
}

impl Recipe {
    /// Draws a trace. Each fact has its own stream of numbers, so that one does not shift another.
    pub(super) fn draw(&self, seed: u64) -> Trace {
        let dice = |stream: u64| Dice::new(seed, stream);
        let has_spot = CALENDAR.episodes(dice(1), self.shortages, (3.0, 10.0));
        let spikes = CALENDAR.episodes(dice(2), self.spikes, (12.0, 36.0));
        let price = |hour: usize| {
            let normal = spikes[hour * STEPS_PER_HOUR];
            self.spot_price * if normal { 1.0 } else { 2.0 }
        };
        let clusters = self.workloads.iter().enumerate();
        Trace {
            steps: STEPS,
            warm_up: WARM_UP,
            prices: Prices {
                on_demand: 0.192,
                savings_plan: 0.140,
            },
            plans: self.plans.clone(),
            others: self.others(dice(3)),
            spot_price: (0..HOURS).map(price).collect(),
            clusters: clusters
                .map(|(index, shape)| self.workload(seed, 100 + 10 * index as u64, *shape, &has_spot))
                .collect(),
            deliveries: CALENDAR.deliveries(dice(4), self.lag, self.silence),
            lateness: self.lateness(dice(5)),
            can_run: CALENDAR.episodes(dice(6), self.outages, (2.0, 12.0)),
            has_spot,
        }
    }

    fn others(&self, mut dice: Dice) -> Vec<f64> {
        let noise = dice.wander(HOURS, self.others_noise.keep, self.others_noise.spread);
        let hours = noise.into_iter().enumerate();
        hours
            .map(|(hour, noise)| ((self.others)(CALENDAR.moment(hour as f64 + 0.5)) * (1.0 + noise)).max(0.0))
            .collect()
    }

    fn workload(&self, seed: u64, stream: u64, shape: Shape, has_spot: &[bool]) -> Workload {
        let mut dice = Dice::new(seed, stream);
        let noise = dice.wander(HOURS + 1, self.workload_noise.keep, self.workload_noise.spread);
        let bursts = CALENDAR.bursts(Dice::new(seed, stream + 1), self.bursts);
        let nodes: Vec<usize> = (0..STEPS)
            .map(|step| {
                let hours = step as f64 / STEPS_PER_HOUR as f64;
                let (hour, part) = (step / STEPS_PER_HOUR, hours.fract());
                let noise = noise[hour] * (1.0 - part) + noise[hour + 1] * part;
                let level = shape(CALENDAR.moment(hours)) * (1.0 + noise) + bursts[step];
                level.round().max(0.0) as usize
            })
            .collect();
        let slots = nodes.iter().copied().max().unwrap_or(0);
        let mut on_demand = Dice::new(seed, stream + 3);
        let mut spot = Dice::new(seed, stream + 4);
        let per_step = |hourly: f64| hourly / STEPS_PER_HOUR as f64;
        let interruptions = |step: usize| if has_spot[step] { self.interruptions } else { 0.1 };
        Workload {
            on_demand_ends: (0..STEPS)
                .map(|_| on_demand.ends(slots, per_step(self.churn)))
                .collect(),
            spot_ends: (0..STEPS)
                .map(|step| spot.ends(slots, per_step(self.churn + interruptions(step))))
                .collect(),
            nodes,
        }
    }

    fn lateness(&self, mut dice: Dice) -> Vec<Lateness> {
        let late = |dice: &mut Dice| {
            let very = dice.chance(self.late_hours);
            let hours = if very {
                dice.between(36.0, 60.0)
            } else {
                dice.between(12.0, 24.0)
            };
            let lacking = dice.between(0.05, 0.3);
            let restated = (dice.between(0.0, 0.03), dice.between(36.0, 200.0));
            Lateness {
                hours,
                lacking,
                restated: dice.chance(self.restated).then_some(restated),
            }
        };
        (0..HOURS).map(|_| late(&mut dice)).collect()
    }
}
