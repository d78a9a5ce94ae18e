//! Savings Plans and what a report says of them: accounting, from values to values.
//!
//! The way of an hour: [`usage`] says what a line item is to a plan, [`ledger`] has the sums, [`utilization`] judges
//! them, [`nowcast`] carries them to the present hour. [`application`] is AWS's own order of paying, and [`replay`]
//! shows on the report's hours how well it is known. Nothing here knows a cluster or a file.

pub mod application;
pub mod forecast;
pub mod inventory;
pub mod ledger;
pub mod nowcast;
pub mod rates;
pub mod reach;
pub mod region;
pub mod replay;
pub mod savings_plan;
pub mod sharing;
pub mod usage;
pub mod utilization;
