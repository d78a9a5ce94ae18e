//! Brimful fills AWS Savings Plans to the brim, then spills to Spot.

pub mod cli;
pub mod config;
pub mod coordination;
pub mod cur;
pub mod doctor;
pub mod pipeline;
pub mod report;
pub mod source;
