//! A rough world: pods on nodes of several sizes, a Karpenter that packs and consolidates them, plans of two kinds, and a
//! report that comes late.
//!
//! What Karpenter does here follows its source (`pkg/controllers/provisioning/scheduling/scheduler.go`,
//! `pkg/controllers/disruption/consolidation.go` of 1.15) and what `docs/karpenter-behaviour.md` measured.
//! `docs/control.md` says what is left out.

pub mod bill;
pub mod cluster;
mod consolidation;
pub mod pool;
pub mod report;
pub mod run;
pub mod scenario;
pub mod tables;
pub mod workload;

#[cfg(test)]
mod tests;

/// vCPU of the sizes of the one family; memory is four times as many GiB.
pub const SIZES: [(&str, u32); 4] = [
    ("m5.large", 2),
    ("m5.xlarge", 4),
    ("m5.2xlarge", 8),
    ("m5.4xlarge", 16),
];
/// The part of a node that pods can have.
pub const ALLOCATABLE: f64 = 0.92;

/// $/h of a vCPU.
pub const ON_DEMAND: f64 = 0.048;
/// The same, paid by a Compute Savings Plan.
pub const COMPUTE: f64 = 0.035;
/// The same, paid by an EC2 Instance Savings Plan.
pub const INSTANCE: f64 = 0.0302;
/// The same on Spot, in normal times.
pub const SPOT: f64 = 0.0192;

/// Thousandths of a vCPU that pods can have on a node of that size.
#[must_use]
pub fn room(size: usize) -> u32 {
    (f64::from(SIZES[size].1) * 1000.0 * ALLOCATABLE) as u32
}
