//! Simulated months of every policy in every scenario: what `docs/control.md` is made of.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "counts of nodes, steps and hours are small"
)]

mod calendar;
pub mod world;

#[cfg(test)]
mod tests {
    mod backtest;
    mod laws;
    /// Scenarios for the model behind `brimful backtest`, in which a node is a unit of work.
    mod scenario;
}
