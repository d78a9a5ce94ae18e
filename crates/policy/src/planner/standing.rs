//! Where a pool's weight stands among the Spot pools beside it, and when it last went past them.

use super::Planner;
use crate::decision::turns::with_one;
use crate::plan::PoolPlan;
use crate::state::Turns;
use crate::weights::Want;
use brimful_karpenter::NodePool;

impl Planner<'_> {
    /// When its weight went up or down lately, where decisions move it so.
    pub(super) fn turned(&self, pool: &NodePool, managed: bool, by_limits: bool) -> Option<Turns> {
        let steered = managed && !by_limits && self.is_protected(pool);
        let previous = self.inputs.state.node_pools.get(&pool.name);
        steered.then(|| previous.map(|p| p.memory.turned).unwrap_or_default())
    }

    /// The same, the move that is proposed included: one that takes the weight past those of Spot pools.
    pub(super) fn turned_by(&self, plan: &PoolPlan, want: Want) -> Turns {
        let turned = plan.outcome.memory.turned;
        let own = plan.pool.effective_weight();
        let mut rivals = self.pools.rivals(&plan.pool);
        let turns = match want {
            Want::Fill => rivals.any(|rival| rival.effective_weight() >= own),
            Want::Yield => rivals.any(|rival| rival.effective_weight() <= own),
            Want::Keep | Want::Restore(_) => false,
        };
        if turns && !plan.by_limits {
            with_one(turned, self.inputs.now)
        } else {
            turned
        }
    }

    /// Whether its weight is above those of all Spot pools beside it.
    pub(super) fn stands_above(&self, pool: &NodePool) -> bool {
        let own = pool.effective_weight();
        self.pools
            .rivals(pool)
            .all(|rival| rival.effective_weight() < own)
    }
}
