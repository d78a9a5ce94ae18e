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
    /// The cluster's name, as far as it is known without a report: from the configuration, else from Nodes, else from
    /// the kubeconfig.
    #[must_use]
    pub fn name(config: &ClusterConfig, nodes: Option<&[Node]>) -> Option<String> {
        let configured = config.name.clone();
        configured
            .or_else(|| from_nodes(nodes, |node| node.cluster_name.as_ref()))
            .or_else(|| Self::name_in_kubeconfig(config, nodes).map(str::to_owned))
    }

    /// The name by the kubeconfig, where it counts: where neither the configuration nor any Node says one. Nodes that
    /// contradict each other leave the name open.
    #[must_use]
    pub fn name_in_kubeconfig<'a>(config: &'a ClusterConfig, nodes: Option<&[Node]>) -> Option<&'a str> {
        let says = |node: &Node| node.cluster_name.as_ref().is_some_and(|name| !name.is_empty());
        let is_said = config.name.is_some() || nodes.into_iter().flatten().any(says);
        config.in_kubeconfig.as_deref().filter(|_| !is_said)
    }

    /// As [`Identity::name`] says; account and region also from the use of a cluster so known. The
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

    /// True where a report tells of instances of this cluster.
    #[must_use]
    pub fn runs_in(&self, ledger: &Ledger) -> bool {
        let mut instances = ledger.series.iter().filter(|series| series.is_instance);
        instances.any(|series| self.owns(series))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node_of(cluster: Option<&str>) -> Node {
        let mut node = json!({"metadata": {"name": "a", "creationTimestamp": "2026-11-01T00:00:00Z"}});
        if let Some(cluster) = cluster {
            node["metadata"]["labels"] = json!({"alpha.eksctl.io/cluster-name": cluster});
        }
        Node::from_json(&node).unwrap()
    }

    fn config(name: Option<&str>) -> ClusterConfig {
        ClusterConfig {
            name: name.map(str::to_owned),
            in_kubeconfig: Some("by-kubeconfig".to_owned()),
            ..ClusterConfig::default()
        }
    }

    #[test]
    fn the_kubeconfig_names_a_cluster_that_nothing_else_names() {
        let name = |configured, nodes: &[Node]| Identity::name(&config(configured), Some(nodes));
        let (silent, labelled) = (node_of(None), node_of(Some("by-nodes")));
        assert_eq!(
            name(None, std::slice::from_ref(&silent)).as_deref(),
            Some("by-kubeconfig")
        );
        assert_eq!(
            Identity::name(&config(None), None).as_deref(),
            Some("by-kubeconfig")
        );
        assert_eq!(name(None, &[silent, labelled]).as_deref(), Some("by-nodes"));
        assert_eq!(name(Some("configured"), &[]).as_deref(), Some("configured"));
    }

    #[test]
    fn nodes_that_contradict_each_other_leave_the_name_open() {
        let nodes = [node_of(Some("prod")), node_of(Some("staging"))];
        assert_eq!(Identity::name(&config(None), Some(&nodes)), None);
    }
}
