//! Brimful fills AWS Savings Plans to the brim, then spills to Spot.

pub mod error;
pub mod karpenter;

pub use error::{Error, ErrorKind, Result};
