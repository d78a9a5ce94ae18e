//! NodePools, Nodes and NodeClaims as plain values, and what Karpenter would make of them.
//!
//! Objects come in as JSON, whether from a file or from the API server, and go through one parse path. Files of
//! manifests are read here; the API server is `brimful-kube`'s business, and what to patch is `brimful-policy`'s.

pub mod api;
pub mod cluster;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod instance_type;
mod json;
pub mod labels;
pub mod launchable;
pub mod manifest;
pub mod node;
pub mod nodeclaim;
pub mod nodepool;
pub mod pod;
pub mod requirement;
pub mod rights;
pub mod units;

pub use instance_type::{Arch, InstanceType, InstanceTypes};
pub use launchable::{Launchable, launchable, os, regions, tells_types};
pub use node::{Node, NodeCapacity};
pub use nodeclaim::NodeClaim;
pub use nodepool::{CapacityType, NodePool, Role};
pub use pod::{Pod, PodDisruptionBudget, Pods};
pub use requirement::{Requirements, ValueSet};
