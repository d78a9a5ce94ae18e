//! Randomness by seed: streams of numbers that stay the same on every machine.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// A seed's stream of that number.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// A number in [from, to).
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// True with that probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number of mean 0 and standard deviation 1: the sum of twelve even ones, which needs no logarithm and so is the
    /// same everywhere.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// A series that wanders about 0 with that standard deviation and keeps `keep` of its value from one to the next.
    pub fn wander(&mut self, length: usize, keep: f64, spread: f64) -> Vec<f64> {
        let fresh = spread * (1.0 - keep * keep).sqrt();
        let mut value = spread * self.normal();
        (0..length)
            .map(|_| {
                value = keep * value + fresh * self.normal();
                value
            })
            .collect()
    }

    /// Which of `slots` end in one step, each with that probability, ascending.
    pub fn ends(&mut self, slots: usize, probability: f64) -> Vec<usize> {
        (0..slots).filter(|_| self.chance(probability)).collect()
    }
}
