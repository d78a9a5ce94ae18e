//! Exact amounts of usage: instance-hours, GB-seconds and whatever else a usage type counts in.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

use crate::money::Money;

/// Nano-units per unit.
const NANOS: f64 = 1e9;

/// An amount of usage in whole nano-units of its usage type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount nearest to `units`; `None` for NaN and for anything beyond ±9·10⁹ units.
    #[must_use]
    pub fn from_units(units: f64) -> Option<Self> {
        let nanos = units * NANOS;
        #[allow(clippy::cast_possible_truncation)] // in range, checked here
        (nanos.abs() < 9.2e18).then(|| Self(nanos.round_ties_even() as i64))
    }

    /// The amount as a float, for output.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn units(self) -> f64 {
        self.0 as f64 / NANOS
    }

    /// Whole nano-units.
    #[must_use]
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// An amount of whole nano-units.
    #[must_use]
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// What this amount costs at `rate` $/unit, to the picodollar.
    #[must_use]
    pub fn at(self, rate: Money) -> Money {
        const UNIT: i64 = 1_000_000_000;
        let Ok(picos) = i64::try_from(rate.picos()) else {
            return Money::from_picos(rate.picos() * i128::from(self.0) / i128::from(UNIT));
        };
        // Whole units of both are taken out first, which leaves a division that fits 64 bits: millions of cells are multiplied
        // by their rates, and the processor has no fast division beyond those.
        let (whole, rest) = (i128::from(self.0 / UNIT), self.0 % UNIT);
        let cost = whole * i128::from(picos) + i128::from(rest) * i128::from(picos / UNIT);
        Money::from_picos(cost + i128::from(rest * (picos % UNIT) / UNIT))
    }

    /// How much `budget` pays for at `rate` $/unit, to the nano-unit; nothing at a rate of zero or less.
    #[must_use]
    pub fn bought(budget: Money, rate: Money) -> Self {
        if rate <= Money::ZERO {
            return Self::ZERO;
        }
        let nanos = budget.picos().saturating_mul(1_000_000_000) / rate.picos();
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// The sum, unless it is out of range.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Quantity {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cost_is_the_whole_product_cut_to_the_picodollar(nanos in any::<i64>(), picos in any::<i64>(), beyond in 1_i128..1000) {
            for (nanos, rate) in [(nanos, i128::from(picos)), (nanos / 1000, i128::from(picos) * beyond)] {
                let cost = Quantity(nanos).at(Money::from_picos(rate));
                prop_assert_eq!(cost.picos(), rate * i128::from(nanos) / 1_000_000_000);
            }
        }
    }

    #[test]
    fn two_dollars_buy_what_two_dollars_buy() {
        let dollars = |amount| Money::from_dollars(amount).unwrap();
        assert_eq!(
            Quantity::bought(dollars(2.0), dollars(0.7)),
            Quantity(2_857_142_857)
        );
        assert_eq!(Quantity::bought(dollars(2.0), Money::ZERO), Quantity::ZERO);
    }

    #[test]
    fn half_an_hour_at_a_dollar_is_fifty_cents() {
        let half = Quantity::from_units(0.5).unwrap();
        assert_eq!(
            half.at(Money::from_dollars(1.0).unwrap()),
            Money::from_dollars(0.5).unwrap()
        );
        assert_eq!(Quantity::from_units(f64::NAN), None);
        assert_eq!(Quantity::from_units(1e30), None);
    }
}
