//! The cluster, where the program is built with the `cluster` feature: else every connection is refused.

#[cfg(feature = "cluster")]
pub(crate) use brimful_kube::{Cluster, Leadership, StateLease};

#[cfg(not(feature = "cluster"))]
mod absent;

#[cfg(not(feature = "cluster"))]
pub(crate) use absent::{Cluster, StateLease};
