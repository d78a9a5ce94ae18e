//! Brimful fills AWS Savings Plans to the brim, then spills to Spot.

pub mod cli;
mod cluster;
pub mod config;
pub mod coordination;
pub mod doctor;
pub mod pipeline;
pub mod report;
pub mod source;
