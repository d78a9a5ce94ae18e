//! The scenarios by name, and what each is made of.

use super::{Moment, Recipe};
use crate::simulation::trace::Trace;

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Nothing but noise.
    Steady,
    /// Day and night.
    Diurnal,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Steady, Self::Diurnal];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Diurnal => "diurnal",
        }
    }

    /// Its trace of a seed.
    #[must_use]
    pub fn trace(self, seed: u64) -> Trace {
        self.recipe().draw(seed)
    }

    fn recipe(self) -> Recipe {
        match self {
            Self::Steady => Recipe::default(),
            Self::Diurnal => Recipe {
                others: others_by_day,
                workloads: vec![nodes_by_day],
                ..Recipe::default()
            },
        }
    }
}

fn others_by_day(at: Moment) -> f64 {
    7.0 * (1.0 + 0.25 * at.tide())
}

fn nodes_by_day(at: Moment) -> f64 {
    90.0 * (1.0 + 0.3 * at.tide())
}
