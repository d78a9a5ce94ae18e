//! The JSON shapes of the contract. Unknown is null, never 0.

mod plan;
mod utilization;

pub use plan::{
    Applied, ApplyResult, Change, GroupReport, MoveResult, Moved, PlanDocument, PlanNow, PoolReport,
    age_hours,
};
pub use utilization::{HourReport, PlanReport, Total, UtilizationReport, total};

/// Ten digits are more than any ratio of the report's figures deserves, and hide float noise.
fn round(ratio: f64) -> f64 {
    (ratio * 1e10).round() / 1e10
}
