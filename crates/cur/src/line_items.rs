//! The facts of line items as the ledger's builder takes them: row by row of a file, or added up by a query.

use super::columns::{Number, Text, Time};
use super::symbols::Symbol;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

/// Rows, each of one line item or of several that agree in every text, in both times, and in which of their numbers can
/// be read.
pub trait LineItems {
    /// How many rows there are.
    fn rows(&self) -> usize;

    /// True when it is not said which service was used (a FOCUS export without AWS columns).
    fn lacks_services(&self) -> bool;

    /// A text fact; null and absent are the empty string.
    fn text(&self, fact: Text, row: usize) -> Symbol;

    /// A time in milliseconds since the epoch; `None` when null or unreadable.
    fn millis(&self, fact: Time, row: usize) -> Option<i64>;

    /// How many line items a row stands for.
    fn line_items(&self, row: usize) -> u64;

    /// Dollars, those of each line item to the picodollar, added up; `None` when they cannot be read.
    fn dollars(&self, fact: Number, row: usize) -> Option<Money>;

    /// The amount of usage, likewise to the nano-unit.
    fn amount(&self, row: usize) -> Option<Quantity>;

    /// The highest SP rate, $/unit.
    fn plan_rate(&self, row: usize) -> Option<Money>;

    /// The highest on-demand price, $/unit: at the list price, or by what was billed where no list price is stated.
    fn price(&self, row: usize) -> Option<Money>;

    /// The highest list price of those that exceed what was billed, $/unit: what a Spot row knows of its type. One that
    /// is what was billed is the Spot price again, and far too low.
    fn price_beyond_billed(&self, row: usize) -> Option<Money>;
}
