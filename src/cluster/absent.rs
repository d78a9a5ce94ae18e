//! A cluster that nobody can connect to, in the words of `brimful_kube`: the commands that need one end with a sentence.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_async,
    unreachable_pub,
    dead_code,
    reason = "in the words of `brimful_kube`, of which nothing can be done"
)]

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::Value;

use brimful_karpenter::api::NodePoolSchema;
use brimful_karpenter::cluster::{
    DeleteError, NodeClaimsError, Overlays, PatchError, PoolEvent, Served, Stored,
};
use brimful_karpenter::rights::Right;
use brimful_karpenter::{Node, NodeClaim, NodePool, Pod, Pods};
use brimful_types::{Error, Result};

/// A connection, of which there is none.
#[derive(Debug, Clone, Copy)]
pub enum Cluster {}

/// A hold on the state, of which there is none.
#[derive(Debug, Clone, Copy)]
pub enum StateLease {}

impl Cluster {
    /// None.
    pub fn contexts(_: Option<&Path>) -> Vec<String> {
        Vec::new()
    }

    /// None.
    pub fn eks_name(_: Option<&Path>, _: Option<&str>) -> Option<String> {
        None
    }

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self> {
        Self::connect_as(kubeconfig, context, None).await
    }

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn connect_as(_: Option<&Path>, _: Option<&str>, _: Option<&str>) -> Result<Self> {
        let what = "this build has no Kubernetes support: it reads NodePools from files only";
        Err(Error::usage(what).hint("build with the feature `cluster`, which is a default one"))
    }
}

/// What a cluster could be asked for.
macro_rules! never {
    ($(fn $name:ident($($argument:ty),*) -> $answer:ty;)*) => {$(
        #[allow(missing_docs, clippy::missing_const_for_fn, clippy::must_use_candidate, clippy::trivially_copy_pass_by_ref)]
        pub async fn $name(&self $(, _: $argument)*) -> $answer {
            match *self {}
        }
    )*};
}

impl Cluster {
    never! {
        fn node_pools() -> Result<Vec<NodePool>>;
        fn node_pool(&str) -> Result<NodePool>;
        fn nodes() -> Result<Vec<Node>>;
        fn node_claims() -> Result<Vec<NodeClaim>, NodeClaimsError>;
        fn pods() -> Result<Pods>;
        fn pods_on(&str) -> Result<Vec<Pod>>;
        fn delete_node_claim(&str, (Option<&str>, Option<&str>), bool) -> Result<(), DeleteError>;
        fn patch_node_pool(&str, &Value, bool) -> Result<Stored, PatchError>;
        fn publish(&NodePool, PoolEvent) -> ();
        fn user() -> Result<String>;
        fn may(&Right, &str, Option<&str>) -> Result<bool>;
        fn served() -> Result<Served>;
        fn schema() -> Option<NodePoolSchema>;
        fn check_schema() -> Result<()>;
        fn karpenter_version() -> Option<String>;
        fn price_overlays() -> Result<Overlays>;
        fn read_state(&str, &str) -> Result<Option<String>>;
        fn read_history(&str, &str) -> Result<Option<String>>;
        fn take_state(&str, &str, &str, DateTime<Utc>) -> Result<StateLease>;
        fn free_state(&str, &str, &str) -> Result<()>;
        fn delete_state(&str, &str) -> Result<()>;
    }

    /// Nowhere.
    #[must_use]
    pub fn url(&self) -> &str {
        match *self {}
    }
}

impl StateLease {
    never! {
        fn release(Option<&str>, Option<&str>) -> Result<()>;
    }

    /// Never.
    ///
    /// # Errors
    /// Never.
    pub fn check(&self) -> Result<()> {
        match *self {}
    }

    /// Never.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        match *self {}
    }

    /// Never.
    #[must_use]
    pub fn history(&self) -> Option<&str> {
        match *self {}
    }
}
