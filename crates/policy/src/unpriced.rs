//! Instance types that managed pools may launch or that run, and whose SP rate no covered row has shown yet.

use std::collections::BTreeSet;

use super::groups::active_groups;
use super::guards::is_managed;
use super::identity::Identity;
use super::prices::{Placement, Prices, Source};
use crate::settings::Settings;
use brimful_karpenter::{InstanceTypes, Node, NodePool, Role, launchable};
use brimful_savings_plans::ledger::Ledger;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::usage::family;
use chrono::{DateTime, Utc};

/// More plans are not asked for: each is a request or two.
const MOST_PLANS: usize = 10;

/// What to ask AWS for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Region code.
    pub region: String,
    /// Plans, as indices into [`Ledger::plans`].
    pub plans: Vec<usize>,
}

/// What lacks, if anything does: rates in the cluster's region, of the plans in whose groups a type has none.
#[must_use]
pub fn unpriced(
    config: &Settings,
    ledger: &Ledger,
    node_pools: &[NodePool],
    nodes: Option<&[Node]>,
    now: DateTime<Utc>,
) -> Option<Question> {
    let identity = Identity::detect(&config.cluster, node_pools, nodes, ledger);
    let region = identity.region?;
    let managed = node_pools
        .iter()
        .filter(|pool| pool.role() == Role::Committed && is_managed(pool, &config.node_pools));
    let types = InstanceTypes::bundled();
    let mut names: BTreeSet<&str> = nodes
        .into_iter()
        .flatten()
        .filter_map(|node| node.instance_type.as_deref())
        .collect();
    let found: Vec<_> = managed.map(|pool| launchable(pool, types)).collect();
    names.extend(
        found
            .iter()
            .flat_map(|found| found.types.iter().map(|kind| kind.name.as_str())),
    );
    let groups = active_groups(ledger, now);
    let prices = Prices::new(ledger, groups.iter());
    let place = Placement {
        region: Some(&region),
        os: "linux",
    };
    let is_known = |group: &GroupId, name: &str| {
        let price = prices.seen(group, name, place);
        price.is_some_and(|price| price.source == Source::Learned)
    };
    let lacks = |group: &GroupId| {
        let mut in_scope = names.iter().filter(|name| match group {
            GroupId::Compute => true,
            GroupId::Ec2Instance {
                family: of,
                region: at,
            } => family(name) == of && *at == region,
        });
        in_scope.any(|name| !is_known(group, name))
    };
    let lacking: BTreeSet<&GroupId> = groups.iter().filter(|group| lacks(group)).collect();
    let plans = ledger.plans.iter().enumerate();
    let plans: Vec<usize> = plans
        .filter(|(_, entry)| entry.plan.is_active(now))
        .filter(|(_, entry)| entry.plan.group().is_some_and(|group| lacking.contains(&group)))
        .map(|(index, _)| index)
        .take(MOST_PLANS)
        .collect();
    (!plans.is_empty()).then_some(Question { region, plans })
}
