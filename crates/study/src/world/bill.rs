//! What a step costs, and what it would cost if nodes moved at will.

use brimful_simulation::billing::Bill;
use brimful_simulation::trace::STEPS_PER_HOUR;

use super::{COMPUTE, INSTANCE, ON_DEMAND};

/// One step's terms, alike for all policies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tariff {
    /// Σ commitments of Compute plans, $/h.
    pub compute: f64,
    /// Σ commitments of EC2 Instance plans for the family, $/h.
    pub instance: f64,
    /// vCPU of the family that other accounts run and the plans reach.
    pub others_family: f64,
    /// What else of theirs Compute plans pay for, $/h at their rates.
    pub others: f64,
    /// Spot price of a vCPU, $/h.
    pub spot: f64,
}

/// How the plans pay in one hour, in parts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Paid {
    /// The part of the family's usage that EC2 Instance plans pay for.
    pub by_instance: f64,
    /// The part of everything else that Compute plans pay for.
    pub by_compute: f64,
    /// What of the commitments is used, $/h.
    pub instance_used: f64,
    /// Likewise.
    pub compute_used: f64,
    /// What nobody pays for, $/h at Compute rates.
    pub spill: f64,
}

impl Tariff {
    /// EC2 Instance plans pay first; what they leave is paid for by Compute plans, in proportion.
    #[must_use]
    pub fn paid(&self, own_vcpu: f64) -> Paid {
        let family = own_vcpu + self.others_family;
        let by_instance = (self.instance / INSTANCE).min(family);
        let demand = (family - by_instance) * COMPUTE + self.others;
        let compute_used = demand.min(self.compute);
        let part = |amount: f64, of: f64| if of > 0.0 { amount / of } else { 0.0 };
        Paid {
            by_instance: part(by_instance, family),
            by_compute: part(compute_used, demand),
            instance_used: by_instance * INSTANCE,
            compute_used,
            spill: demand - compute_used,
        }
    }

    /// Bills a step with so many vCPU on demand and on Spot.
    #[must_use]
    pub fn bill(&self, on_demand: f64, spot: f64) -> Bill {
        let hours = 1.0 / STEPS_PER_HOUR as f64;
        let paid = self.paid(on_demand);
        let commitment = self.compute + self.instance;
        Bill {
            commitment: commitment * hours,
            unused: (commitment - paid.instance_used - paid.compute_used) * hours,
            spill: paid.spill * hours,
            cost: (paid.spill / COMPUTE * ON_DEMAND + spot * self.spot) * hours,
        }
    }

    /// The least that so many vCPU could cost if nodes moved between on demand and Spot at will, of which `on_demand` must
    /// not be on Spot.
    #[must_use]
    pub fn bound(&self, all: f64, on_demand: f64) -> Bill {
        // The cost bends where a plan is full, and nowhere else.
        let by_instance = self.instance / INSTANCE - self.others_family;
        let by_all = by_instance.max(0.0)
            + (self.compute - self.others - (-by_instance).max(0.0) * COMPUTE).max(0.0) / COMPUTE;
        let bends = [on_demand, by_instance, by_all, all];
        let bills = bends.map(|vcpu| {
            let on_demand = vcpu.clamp(on_demand, all);
            self.bill(on_demand, all - on_demand)
        });
        let best = bills.into_iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
        best.unwrap_or_default()
    }
}
