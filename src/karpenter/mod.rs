//! Karpenter and Kubernetes: what the API says, read into plain values, and the patches sent back.
//!
//! Everything here but `cluster` is pure and imports no Kubernetes client: objects come in as JSON, whether
//! from a file or from the API server, and go through one parse path.

pub mod api;
pub mod cluster;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod instance_type;
mod json;
pub mod labels;
pub mod launchable;
pub mod manifest;
pub mod node;
pub mod nodeclaim;
pub mod nodepool;
pub mod requirement;
pub mod rights;
pub mod units;

pub use cluster::{Cluster, NodeClaimsError, Overlays, PatchError, PoolEvent, Served, StateLease, Stored};
pub use instance_type::{Arch, InstanceType, InstanceTypes};
pub use launchable::{Launchable, launchable, os, regions, tells_types};
pub use node::{Node, NodeCapacity};
pub use nodeclaim::NodeClaim;
pub use nodepool::{CapacityType, NodePool, Role};
pub use requirement::{Requirements, ValueSet};
