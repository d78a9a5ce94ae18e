//! Brimful fills AWS Savings Plans to the brim, then spills to Spot.

pub mod analysis;
pub mod cli;
mod cluster;
pub mod config;
pub mod coordination;
mod doctor;
mod files;
#[cfg(feature = "cluster")]
mod http;
#[cfg(feature = "cluster")]
mod notify;
pub mod render;
pub mod run;
pub mod source;
#[cfg(feature = "cluster")]
mod telemetry;
