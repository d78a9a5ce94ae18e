//! Which cluster this is, in the report's terms: name, account and region.

use std::collections::BTreeSet;

use crate::settings::ClusterConfig;
use brimful_karpenter::{Node, NodePool};
use brimful_savings_plans::ledger::{Ledger, Series};

/// This cluster, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// EKS cluster name, the value of the cluster tag.
    pub cluster: Option<String>,
    /// AWS account of its nodes.
    pub account: Option<String>,
    /// Region of its nodes.
    pub region: Option<String>,
    /// Names of its `NodePools`.
    pub node_pools: BTreeSet<String>,
}

impl Identity {
    /// The cluster's name, as far as it is known without a report: from the configuration, else from Nodes.
    #[must_use]
    pub fn name(config: &ClusterConfig, nodes: Option<&[Node]>) -> Option<String> {
        let configured = config.name.clone();
        configured.or_else(|| from_nodes(nodes, |node| node.cluster_name.as_ref()))
    }

    /// From the configuration, else from Nodes; account and region also from the use of a cluster so known. The
    /// cluster's name is never guessed from the report: mistaken for another cluster, this one would subtract that
    /// one's use, and fill a full plan.
    #[must_use]
    pub fn detect(
        config: &ClusterConfig,
        pools: &[NodePool],
        nodes: Option<&[Node]>,
        ledger: &Ledger,
    ) -> Self {
        let cluster = Self::name(config, nodes);
        let is_own = |series: &&Series| series.is_instance && cluster.as_deref() == Some(&*series.cluster);
        let own = || ledger.series.iter().filter(is_own);
        let account = config
            .account
            .clone()
            .or_else(|| only(own().map(|series| series.account.to_string())));
        let region = config
            .region
            .clone()
            .or_else(|| from_nodes(nodes, |node| node.region.as_ref()))
            .or_else(|| only(own().map(|series| series.region.to_string())))
            .or_else(|| only(ledger.newest_by_region.keys().cloned()));
        Self {
            cluster,
            account,
            region,
            node_pools: pools.iter().map(|pool| pool.name.clone()).collect(),
        }
    }

    /// True for usage of this cluster: by the cluster's tag, else by the `NodePool`'s together with account and
    /// region, since the names of pools repeat between clusters.
    #[must_use]
    pub fn owns(&self, series: &Series) -> bool {
        if !series.cluster.is_empty() {
            return self.cluster.as_deref() == Some(&*series.cluster);
        }
        let same = |known: &Option<String>, value: &str| known.as_deref() == Some(value);
        self.node_pools.contains(&*series.node_pool)
            && same(&self.account, &series.account)
            && same(&self.region, &series.region)
    }
}

fn from_nodes(nodes: Option<&[Node]>, fact: fn(&Node) -> Option<&String>) -> Option<String> {
    only(nodes.into_iter().flatten().filter_map(fact).cloned())
}

/// The one distinct, non-empty value.
fn only(values: impl Iterator<Item = String>) -> Option<String> {
    let mut distinct: BTreeSet<String> = values.filter(|value| !value.is_empty()).collect();
    if distinct.len() == 1 {
        distinct.pop_first()
    } else {
        None
    }
}
