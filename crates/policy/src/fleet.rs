//! The cluster's machines: its Nodes, and what its `NodeClaims` tell before the Nodes do. A machine costs from its launch
//! on, which is a minute or more before its Node is there; one whose claim is being deleted will cost nothing soon.

use std::borrow::Cow;
use std::collections::BTreeSet;

use brimful_karpenter::{Node, NodeClaim};

/// Nodes as they will be: those that are starting added, those whose claim is being deleted marked.
#[must_use]
pub fn fleet<'a>(nodes: &'a [Node], claims: &[NodeClaim]) -> Cow<'a, [Node]> {
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let machines: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node.instance_id.as_deref())
        .collect();
    // A Node that has joined, but that Karpenter has not seen yet, is told by its machine only.
    let has_node = |claim: &NodeClaim| {
        let machine = claim
            .machine
            .as_ref()
            .and_then(|machine| machine.instance_id.as_deref());
        claim
            .node_name
            .as_deref()
            .is_some_and(|name| names.contains(name))
            || machine.is_some_and(|id| machines.contains(id))
    };
    let starting: Vec<&Node> = claims
        .iter()
        .filter(|claim| claim.launched && !claim.deleting && !has_node(claim))
        .filter_map(|claim| claim.machine.as_ref())
        .collect();
    let going: BTreeSet<&str> = claims
        .iter()
        .filter(|claim| claim.deleting)
        .filter_map(|claim| claim.node_name.as_deref())
        .collect();
    let goes = |node: &Node| !node.deleting && going.contains(node.name.as_str());
    if starting.is_empty() && !nodes.iter().any(goes) {
        return Cow::Borrowed(nodes);
    }
    let marked = nodes.iter().map(|node| Node {
        deleting: node.deleting || goes(node),
        ..node.clone()
    });
    marked.chain(starting.into_iter().cloned()).collect()
}
