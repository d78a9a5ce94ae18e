//! A closed loop in small: Karpenter, a Savings Plan, a report that comes late, and a policy in between.
//!
//! The policy code is the real one; the cluster, the biller and the report are models (`docs/concepts/backtest.md`
//! says what they leave out). Everything follows from a scenario's seed, so that all policies meet the same luck, and an oracle
//! that knows it can say what was to be had.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "counts of nodes, steps and hours are small"
)]

pub mod backtest;
pub mod billing;
pub mod closed_loop;
pub mod cluster;
pub mod dice;
pub mod node_pools;
pub mod oracle;
pub mod parallel;
pub mod policies;
pub mod report;
pub mod trace;
