//! What a step costs, and what of the plans it uses.
//!
//! AWS measures plans by the hour. Figures here are measured by the step, which never shows less loss than the hour
//! does; the report is written by the hour.

use std::iter::Sum;

use super::trace::{Prices, STEPS_PER_HOUR};

/// Money of one step or of many, $.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bill {
    /// Commitments.
    pub commitment: f64,
    /// What of them nobody used.
    pub unused: f64,
    /// Eligible usage beyond them, at SP rates.
    pub spill: f64,
    /// On demand and Spot, beyond the commitments.
    pub cost: f64,
}

impl Bill {
    /// Adds another bill.
    pub fn add(&mut self, other: &Self) {
        self.commitment += other.commitment;
        self.unused += other.unused;
        self.spill += other.spill;
        self.cost += other.cost;
    }
}

impl<'a> Sum<&'a Self> for Bill {
    fn sum<I: Iterator<Item = &'a Self>>(bills: I) -> Self {
        bills.fold(Self::default(), |mut sum, bill| {
            sum.add(bill);
            sum
        })
    }
}

/// One step's terms, alike for all policies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tariff {
    /// Prices of a node.
    pub prices: Prices,
    /// Σ commitments, $/h.
    pub commitment: f64,
    /// Others' usage, $/h at SP rates.
    pub others: f64,
    /// Spot price, $/h.
    pub spot: f64,
}

impl Tariff {
    /// Bills a step with so many nodes; a fraction of a node stands for one of a part of the step.
    #[must_use]
    pub fn bill(&self, on_demand: f64, spot: f64) -> Bill {
        let hours = 1.0 / STEPS_PER_HOUR as f64;
        let demand = on_demand * self.prices.savings_plan + self.others;
        let spill = (demand - self.commitment).max(0.0);
        let beyond = spill / self.prices.savings_plan * self.prices.on_demand;
        Bill {
            commitment: self.commitment * hours,
            unused: (self.commitment - demand).max(0.0) * hours,
            spill: spill * hours,
            cost: (beyond + spot * self.spot) * hours,
        }
    }
}
