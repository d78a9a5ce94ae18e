//! What every part of Brimful speaks of: money, amounts, hours, errors and warnings.

pub mod error;
pub mod hour;
pub mod money;
pub mod quantity;
pub mod span;
pub mod warning;

pub use error::{Error, ErrorKind, Result};
