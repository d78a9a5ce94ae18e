//! What every part of Brimful speaks of: money, amounts, hours, errors and warnings.
//!
//! Money and amounts are whole numbers, so that sums are exact (`docs/design/numbers.md`). Nothing here knows what it
//! is used for.

pub mod by_hour;
pub mod error;
pub mod hour;
pub mod money;
pub mod quantity;
pub mod span;
pub mod warning;

pub use error::{Error, ErrorKind, Result};
