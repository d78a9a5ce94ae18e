//! Tags in maps: under which keys they are looked for.

use super::literal;
use crate::columns::Tag;

/// Keys of tag maps, as CUR 2.0's `resource_tags` and `tags` write them, and as pipelines keep them.
const TAG_PREFIXES: [&str; 6] = [
    "user_",
    "user:",
    "resourceTags/user:",
    "resourceTags/user_",
    "resourceTags/",
    "",
];
const NODE_POOL_KEYS: [&str; 4] = [
    "karpenter_sh_nodepool",
    "karpenter.sh/nodepool",
    "eks_kubernetes_node_pool_name",
    "eks:kubernetes-node-pool-name",
];
const CLUSTER_KEYS: [&str; 6] = [
    "eks_cluster_name",
    "eks:cluster-name",
    "eks_eks_cluster_name",
    "eks:eks-cluster-name",
    "alpha_eksctl_io_cluster_name",
    "alpha.eksctl.io/cluster-name",
];
const AWS_KEYS: [&str; 4] = [
    "aws_eks_cluster_name",
    "aws:eks:cluster-name",
    "resourceTags/aws:eks:cluster-name",
    "resourceTags/aws_eks_cluster_name",
];

/// The entry of a map; null where there is none.
pub(super) fn entry(map: &str, key: &str) -> String {
    let key = literal(key);
    format!("CASE WHEN contains(map_keys({map}), {key}) THEN {map}[{key}] END")
}

/// The keys under which maps hold a tag, likeliest first.
pub(super) fn keys_of(tag: Tag) -> Vec<String> {
    let (first, names): (&[&str], &[&str]) = match tag {
        Tag::NodePool => (&[], &NODE_POOL_KEYS),
        Tag::Cluster => (&AWS_KEYS, &CLUSTER_KEYS),
    };
    let prefixed = TAG_PREFIXES
        .iter()
        .flat_map(|prefix| names.iter().map(move |name| format!("{prefix}{name}")));
    first
        .iter()
        .map(|key| (*key).to_owned())
        .chain(prefixed)
        .collect()
}
