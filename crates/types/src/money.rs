//! Exact dollars: fixed point, so that sums depend neither on order nor on thread count.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Picodollars in a dollar. The report's smallest rates (Lambda requests) are 2e-7 $ and its sums reach 1e9 $.
const PICOS: f64 = 1e12;

/// An amount of money, or a rate in $/h, in whole picodollars (10⁻¹² $) of the report's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount nearest to `dollars`; `None` for NaN, infinities and anything beyond ±10¹² $.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let picos = dollars * PICOS;
        if picos.abs() < 9.2e18 {
            #[allow(clippy::cast_possible_truncation)] // in range, checked above
            return Some(Self(i128::from(picos.round_ties_even() as i64)));
        }
        #[allow(clippy::cast_possible_truncation)] // in range, checked here
        (picos.abs() < 1e24).then(|| Self(picos.round_ties_even() as i128))
    }

    /// The amount as a float, for output and for ratios: the one nearest to the decimal value, as far as a float
    /// holds its digits (to the picodollar below $1126, to the nanodollar below $1.1 million).
    #[must_use]
    pub fn dollars(self) -> f64 {
        // Three bits short of a float's 53, which the way in from a float may have blurred.
        const SHARP: i128 = 1 << 50;
        let (mut units, mut per_dollar) = (self.0, PICOS);
        while units.abs() > SHARP {
            units = (units + 500 * units.signum()) / 1000;
            per_dollar /= 1000.0;
        }
        #[allow(clippy::cast_precision_loss)] // whole numbers below 2⁵⁰ are exact
        let units = units as f64;
        units / per_dollar
    }

    /// Whole picodollars.
    #[must_use]
    pub fn picos(self) -> i128 {
        self.0
    }

    /// An amount of whole picodollars.
    #[must_use]
    pub const fn from_picos(picos: i128) -> Self {
        Self(picos)
    }

    /// `self / whole` as a fraction, or `None` when `whole` is not positive.
    #[must_use]
    pub fn fraction_of(self, whole: Self) -> Option<f64> {
        (whole.0 > 0).then(|| self.dollars() / whole.dollars())
    }

    /// This amount times `part / whole`, rounded to the nearest picodollar; zero when `whole` is zero.
    #[must_use]
    pub fn share(self, part: Self, whole: Self) -> Self {
        if whole.0 == 0 {
            return Self::ZERO;
        }
        match self.0.checked_mul(part.0) {
            Some(product) => Self(product / whole.0),
            None => {
                Self::from_dollars(self.dollars() * (part.dollars() / whole.dollars())).unwrap_or(Self::ZERO)
            }
        }
    }

    /// How often `unit` fits wholly into this amount; 0 for negative amounts and for a `unit` of zero or less.
    #[must_use]
    pub fn fits(self, unit: Self) -> u64 {
        if unit.0 <= 0 || self.0 <= 0 {
            return 0;
        }
        u64::try_from(self.0 / unit.0).unwrap_or(u64::MAX)
    }

    /// As a rate for people, with three decimals below ten dollars: `$0.159/h`.
    #[must_use]
    pub fn per_hour(self) -> String {
        let size = self.dollars().abs();
        let decimals = if size < 10.0 { 3 } else { 2 };
        let amount = format!("${size:.decimals$}/h");
        // What rounds to nothing has no sign.
        if self < Self::ZERO && amount.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
            return format!("-{amount}");
        }
        amount
    }

    /// The larger of this and zero.
    #[must_use]
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// The distance from zero.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// This amount times a factor, rounded to the nearest picodollar; a factor that is no number counts as zero.
    #[must_use]
    pub fn scale(self, factor: f64) -> Self {
        Self::from_dollars(self.dollars() * factor).unwrap_or(Self::ZERO)
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Mul<i64> for Money {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self(self.0 * i128::from(times))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// Dollars with two decimals, or four below ten cents: `$1.50`, `-$0.0312`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.dollars();
        let sign = if dollars < 0.0 { "-" } else { "" };
        let size = dollars.abs();
        if size >= 0.1 || self.0 == 0 {
            write!(f, "{sign}${size:.2}")
        } else {
            write!(f, "{sign}${size:.4}")
        }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        let beyond = || serde::de::Error::custom(format!("{dollars} is no amount of money"));
        Self::from_dollars(dollars).ok_or_else(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(dollars: f64) -> Money {
        Money::from_dollars(dollars).unwrap()
    }

    #[test]
    fn what_is_not_a_number_is_not_money() {
        assert_eq!(Money::from_dollars(f64::NAN), None);
        assert_eq!(Money::from_dollars(f64::INFINITY), None);
        assert_eq!(Money::from_dollars(1e300), None);
    }

    #[test]
    fn large_and_tiny_amounts_keep_their_digits() {
        assert_eq!(money(3.159_32e-5).picos(), 31_593_200);
        assert_eq!(money(123_456_789.5).dollars().to_string(), "123456789.5");
    }

    #[test]
    fn three_nodes_at_six_cents_fit_into_twenty() {
        assert_eq!(money(0.20).fits(money(0.062)), 3);
        assert_eq!(money(-1.0).fits(money(0.062)), 0);
        assert_eq!(money(1.0).fits(Money::ZERO), 0);
    }

    proptest! {
        #[test]
        fn sums_do_not_depend_on_order(amounts in prop::collection::vec(-1e6..1e6f64, 0..60)) {
            let forward: Money = amounts.iter().filter_map(|a| Money::from_dollars(*a)).sum();
            let backward: Money = amounts.iter().rev().filter_map(|a| Money::from_dollars(*a)).sum();
            prop_assert_eq!(forward, backward);
        }

        #[test]
        fn cents_survive_the_way_through_json(cents in -1_000_000_000i64..1_000_000_000) {
            #[allow(clippy::cast_precision_loss)]
            let dollars = cents as f64 / 100.0;
            prop_assert_eq!(money(dollars).dollars().to_string(), dollars.to_string());
        }
    }
}
