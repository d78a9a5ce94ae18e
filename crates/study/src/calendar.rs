//! The days of a simulated month, and what is drawn for them whatever runs: deliveries, bursts, episodes.

use brimful_simulation::dice::Dice;
use brimful_simulation::trace::{Delivery, STEPS_PER_DAY, STEPS_PER_HOUR};

/// A month, and the days before it in which nobody acts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    pub(crate) warm_up_days: usize,
    pub(crate) month_days: usize,
}

/// A moment of the month.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Days since its first; negative before.
    pub(crate) day: f64,
}

impl Moment {
    /// 1 at the busiest time of the day, −1 at the quietest.
    pub(crate) fn tide(self) -> f64 {
        (std::f64::consts::TAU * (self.day - 15.0 / 24.0)).cos()
    }

    pub(crate) fn is_weekend(self) -> bool {
        self.day.rem_euclid(7.0) >= 5.0
    }

    /// How much of a working day's business there is.
    pub(crate) fn business(self, is_quiet: bool) -> f64 {
        f64::midpoint(1.0, self.tide()) * if is_quiet { 0.25 } else { 1.0 }
    }
}

/// A level over time.
pub(crate) type Shape = fn(Moment) -> f64;

impl Calendar {
    fn days(self) -> usize {
        self.warm_up_days + self.month_days
    }

    fn steps(self) -> usize {
        self.days() * STEPS_PER_DAY
    }

    /// The moment so many hours after the beginning.
    pub(crate) fn moment(self, hours: f64) -> Moment {
        Moment {
            day: hours / 24.0 - self.warm_up_days as f64,
        }
    }

    /// Batches, so many a day, each of half to one and a half times that size for one to three hours: their sum, by step.
    pub(crate) fn bursts(self, mut dice: Dice, (per_day, size): (f64, f64)) -> Vec<f64> {
        let steps = self.steps();
        let mut sums = vec![0.0; steps];
        for step in 0..steps {
            if dice.chance(per_day / STEPS_PER_DAY as f64) {
                let length = (dice.between(1.0, 3.0) * STEPS_PER_HOUR as f64) as usize;
                let size = size * dice.between(0.5, 1.5);
                for burst in &mut sums[step..(step + length).min(steps)] {
                    *burst += size;
                }
            }
        }
        sums
    }

    /// About three deliveries a day, with so many hours from the end of the newest hour in one to its arrival. One in ten
    /// fails to come, and all in the days of silence.
    pub(crate) fn deliveries(self, mut dice: Dice, lag: (f64, f64), silence: (f64, f64)) -> Vec<Delivery> {
        let mut deliveries: Vec<Delivery> = Vec::new();
        for turn in 1..self.days() * 3 {
            let hours = turn as f64 * 8.0 + dice.between(0.0, 3.0);
            let lag = dice.between(lag.0, lag.1);
            let day = self.moment(hours).day;
            let comes = !dice.chance(0.1) && !(silence.0..silence.1).contains(&day);
            let newest = deliveries.last().map_or(0, |delivery| delivery.reaches);
            if comes && hours > lag {
                deliveries.push(Delivery {
                    step: (hours * STEPS_PER_HOUR as f64) as usize,
                    reaches: ((hours - lag) as usize).max(newest),
                });
            }
        }
        deliveries
    }

    /// True outside of so many episodes of the month, each of so many hours, by step.
    pub(crate) fn episodes(self, mut dice: Dice, count: usize, hours: (f64, f64)) -> Vec<bool> {
        let steps = self.steps();
        let mut outside = vec![true; steps];
        for _ in 0..count {
            let first = (self.warm_up_days as f64 + dice.between(1.0, self.month_days as f64 - 2.0)) * 24.0;
            let last = first + dice.between(hours.0, hours.1);
            let step = |hour: f64| ((hour * STEPS_PER_HOUR as f64) as usize).min(steps);
            outside[step(first)..step(last)].fill(false);
        }
        outside
    }
}
