//! What this cluster tells the others of a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::{Demand, GroupDemand};
use crate::Decision;
use crate::groups::GroupNow;
use crate::identity::Identity;
use crate::plan::{Inputs, PoolPlan};
use crate::settings::Mode;
use brimful_savings_plans::nowcast::OwnUse;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::money::Money;

/// A plan, and what it rests on.
pub(crate) struct Publication<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) identity: &'a Identity,
    /// This cluster's use alone; `None` when the report cannot be compared with live Nodes.
    pub(crate) own: Option<&'a OwnUse>,
    /// Live Nodes, compared or not.
    pub(crate) live: &'a BTreeMap<GroupId, Money>,
    pub(crate) groups: &'a [GroupNow],
    pub(crate) pools: &'a [PoolPlan],
    pub(crate) launches: Money,
}

/// The document; `None` while the cluster's name is unknown.
pub(crate) fn publish(publication: &Publication<'_>) -> Option<Demand> {
    let identity = publication.identity;
    let pools = publication.inputs.node_pools.iter();
    let seen: BTreeSet<&GroupId> = publication
        .groups
        .iter()
        .map(|group| &group.id)
        .chain([&GroupId::Compute])
        .collect();
    Some(Demand {
        account: identity.account.clone(),
        region: identity.region.clone(),
        node_pools: pools.map(|pool| (pool.name.clone(), pool.uid.clone())).collect(),
        comparable: publication.own.is_some(),
        share: publication.inputs.config.share.map(|share| share.0),
        groups: seen
            .into_iter()
            .map(|id| (id.to_string(), publication.of_group(id)))
            .collect(),
        ..Demand::new(identity.cluster.clone()?, publication.inputs.now)
    })
}

impl Publication<'_> {
    fn of_group(&self, id: &GroupId) -> GroupDemand {
        let now = self.own.map_or(self.live, |own| &own.now);
        let demand = now.get(id).copied().unwrap_or_default();
        let per_mille = self
            .own
            .and_then(|own| own.compute_per_mille.get(id))
            .copied()
            .unwrap_or(1000);
        let group = self.groups.iter().find(|group| group.id == *id);
        let (wants, claim) = group.map_or((false, Money::ZERO), |group| self.plans_to_add(group));
        GroupDemand {
            demand,
            at_compute: Money::from_picos((demand * per_mille).picos() / 1000),
            wants,
            claim,
            launches: self.launches,
        }
    }

    /// Whether it wants to fill a group, and what it may add to it until the next run.
    fn plans_to_add(&self, group: &GroupNow) -> (bool, Money) {
        // Whoever only observes takes nothing from the others.
        if self.inputs.config.mode == Mode::Observe {
            return (false, Money::ZERO);
        }
        let room = group.room().unwrap_or_default();
        let allowed = group.shared(room).or_zero();
        let has_room = room > self.launches;
        let pools = self
            .pools
            .iter()
            .filter(|pool| pool.managed && pool.groups.contains(&group.id));
        let mut wants = false;
        let mut claim = Money::ZERO;
        for pool in pools {
            let (wanted, claimed) = match pool.outcome.decision {
                // The weight alone stops nothing within an interval.
                Decision::Fill => (true, allowed.max(self.launches)),
                Decision::Hold if pool.by_limits => (has_room, allowed),
                Decision::Hold => (has_room, Money::ZERO),
                // It stands as it is, and may be filling.
                Decision::Freeze => (false, self.launches),
                Decision::Drain | Decision::None => (false, Money::ZERO),
            };
            wants |= wanted;
            claim = claim.max(claimed);
        }
        (wants, claim)
    }
}
