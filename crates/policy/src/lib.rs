//! From where the plans stand to what each `NodePool` should do: pure, from values to values.

pub mod annotations;
pub mod arithmetic;
pub mod attribution;
pub mod coverage;
pub mod critical_ratio;
pub mod cures;
pub mod decision;
pub mod effect;
pub mod eligibility;
pub mod fleet;
pub mod groundwork;
pub mod groups;
pub mod guards;
pub mod history;
pub mod identity;
pub mod launches;
pub mod limits;
pub mod names;
pub mod patch;
pub mod peers;
pub mod plan;
mod planner;
pub mod pools;
pub mod prices;
pub mod protection;
pub mod settings;
pub mod state;
pub mod top_up;
pub mod unpriced;
pub mod usage_record;
pub mod weights;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a committed `NodePool` should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Its plans have room: new nodes should come from it.
    Fill,
    /// Its plans are full: nothing more should land on it, and what they pay for should stay.
    Hold,
    /// Its plans have been over-full for a while: it should shrink.
    Drain,
    /// In doubt: nothing is changed.
    Freeze,
    /// Not a committed pool, or no plan pays for it.
    None,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fill => "fill",
            Self::Hold => "hold",
            Self::Drain => "drain",
            Self::Freeze => "freeze",
            Self::None => "none",
        })
    }
}
