//! Brimful fills AWS Savings Plans to the brim, then spills to Spot.

pub mod backtest;
pub mod cli;
pub mod commitment;
pub mod config;
pub mod coordination;
pub mod cur;
pub mod doctor;
pub mod error;
pub mod hour;
pub mod karpenter;
pub mod money;
pub mod pipeline;
pub mod policy;
pub mod quantity;
pub mod report;
pub mod simulation;
pub mod warning;

pub use error::{Error, ErrorKind, Result};
