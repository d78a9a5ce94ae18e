//! Savings Plans and what a report says of them: pure accounting, from values to values.

pub mod application;
pub mod forecast;
pub mod ledger;
pub mod nowcast;
pub mod rates;
pub mod region;
pub mod replay;
pub mod savings_plan;
pub mod sharing;
pub mod usage;
pub mod utilization;
