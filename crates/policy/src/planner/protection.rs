//! Which pools are protected from consolidation, and which are open to it.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use super::Planner;
use crate::Decision;
use crate::annotations::{DecisionRecord, set_budgets};
use crate::guards::switches_protection;
use crate::limits::{Member, Vcpu, same};
use crate::patch::{own_budgets, reset};
use crate::plan::PoolPlan;
use crate::protection::{
    Protection, always, is_on, is_own, opened, same_entries, was_open_within, with_own, without_own,
};
use brimful_karpenter::NodePool;

/// A full pool is packed again only after so long: each opening is a patch, and makes Karpenter look at the pool anew.
const PACKED_EVERY: Duration = Duration::hours(1);

impl Planner<'_> {
    /// Whether consolidation cannot take what the plans pay for: by the user's own doing, or by Brimful's in the same
    /// patch as a change of weight.
    pub(super) fn is_protected(&self, pool: &NodePool) -> bool {
        let switches = || self.is_managed(pool) && switches_protection(pool, self.inputs.config).0;
        pool.protected_from_consolidation() || switches()
    }

    /// Whether Brimful switches a managed pool's protection; if that is consented to and cannot be, it is told why.
    pub(super) fn shields(&mut self, pool: &NodePool) -> bool {
        let (shields, doubt) = switches_protection(pool, self.inputs.config);
        self.warnings.extend(doubt);
        shields
    }

    /// True while the dwell time asks for patience with another decision than the one that stands.
    pub(super) fn is_lately_changed(&self, pool: &NodePool, decision: Decision) -> bool {
        let record = DecisionRecord::recorded(pool).ok().flatten();
        let dwell = self.inputs.config.policy.dwell.0;
        record.is_some_and(|record| self.inputs.now - record.time < dwell && record.decision != decision)
    }

    /// Protects every pool that lacks nodes, and opens those that are full or have too much.
    pub(super) fn set_protection(
        &self,
        plans: &mut BTreeMap<String, PoolPlan>,
        members: &[Member],
        wanted: &BTreeMap<String, Vcpu>,
    ) {
        let members: BTreeMap<&str, &Member> = members
            .iter()
            .map(|member| (member.pool.as_str(), member))
            .collect();
        for (name, plan) in plans.iter_mut().filter(|(_, plan)| plan.shields) {
            let now = self.inputs.now;
            let current = is_on(plan.pool.budgets.as_deref(), now);
            // Protection never waits; what is open already stays so.
            let may_open = !current || !self.is_lately_changed(&plan.pool, plan.outcome.decision);
            let excess = members
                .get(name.as_str())
                .and_then(|member| Some((*member, excess(plan, member, *wanted.get(name)?)?)))
                .filter(|_| may_open || plan.outcome.overshoots);
            let packs = excess.is_some_and(|(_, nodes)| nodes == 0);
            if packs && was_packed_lately(&plan.pool, now) {
                let proposed = current;
                plan.protection = Some(Protection { current, proposed });
                plan.budgets.clone_from(&plan.pool.budgets);
                continue;
            }
            // Protected first: what is full may be so by doubt alone, and Karpenter is to see the limits before it packs.
            let stands = || has_own_entry(&plan.pool) && same(&plan.limits, &plan.pool.limits);
            let excess = excess.filter(|_| !packs || stands());
            plan.protection = Some(Protection {
                current,
                proposed: excess.is_none(),
            });
            plan.budgets = Some(self.budgets(plan, current, excess));
        }
    }

    /// The pool's budgets with Brimful's entry; what stands already is left as it is, order included.
    fn budgets(&self, plan: &PoolPlan, current: bool, excess: Option<(&Member, i64)>) -> Vec<Value> {
        let standing = plan.pool.budgets.clone().unwrap_or_default();
        let users = own_budgets(&plan.pool);
        let is_kept = || {
            let theirs = without_own(&standing);
            users
                .as_deref()
                .is_some_and(|users| same_entries(Some(users), Some(&theirs)))
                || users.is_none() && theirs.len() + 1 == standing.len()
        };
        let one = standing.iter().filter(|entry| is_own(entry)).count() == 1;
        let proposed = match excess {
            None if current && one && is_kept() => return standing,
            None => with_own(users.as_deref(), &always()),
            Some((member, nodes)) => {
                let all = member.mix.nodes;
                opened(&plan.pool, users.as_deref(), all, nodes, self.inputs.now)
            }
        };
        if same_entries(Some(&proposed), Some(&standing)) {
            return standing;
        }
        proposed
    }
}

/// A pool's budgets where its protection is not switched: as they stand, or the user's own, where Brimful's entry goes.
pub(super) fn unswitched(pool: &NodePool, restore: bool, gives_up: bool) -> Option<Vec<Value>> {
    if restore {
        return reset(pool).budgets;
    }
    if gives_up && set_budgets(pool).is_some() {
        return own_budgets(pool);
    }
    pool.budgets.clone()
}

fn own_entries(pool: &NodePool) -> impl Iterator<Item = &Value> {
    pool.budgets.iter().flatten().filter(|entry| is_own(entry))
}

fn has_own_entry(pool: &NodePool) -> bool {
    own_entries(pool).next().is_some()
}

/// True while its entry lets go, and for an hour after.
fn was_packed_lately(pool: &NodePool, now: DateTime<Utc>) -> bool {
    own_entries(pool).any(|entry| was_open_within(entry, PACKED_EVERY, now))
}

/// How many nodes consolidation may take from a pool, if any; 0 where it may only pack a full one.
///
/// Where limits keep the pool from growing, it is open as soon as no further node fits: its weight stays above Spot, so
/// what consolidation takes is launched here again, and protected without end its nodes would only empty as pods go.
/// Elsewhere new nodes of a full pool go to Spot, and consolidation would follow them: there it is open while it has more
/// than it should and one node. Without live Nodes that excess would not shrink as they go.
fn excess(plan: &PoolPlan, member: &Member, wanted: Vcpu) -> Option<i64> {
    if !matches!(plan.outcome.decision, Decision::Hold | Decision::Drain) {
        return None;
    }
    let node = member.mix.node().max(1);
    if plan.by_limits {
        let beyond = member.running.0 - Vcpu::of(&plan.limits)?.0;
        return (beyond > -node).then_some((beyond / node).max(0));
    }
    let beyond = member.running.0 - wanted.0;
    (beyond > node && (member.live || member.has_ended())).then_some(beyond / node)
}
