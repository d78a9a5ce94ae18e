//! Whether the Spot pools whose nodes may be given up (`topUp.from`) are there, and lie beside a pool that they could
//! move to.

use super::{Check, Group, is_steered};
use crate::config::Config;
use brimful_karpenter::{InstanceTypes, Role};
use brimful_policy::plan::Proposal;
use brimful_policy::pools::Pools;

/// One check of each name; none where nothing may move.
pub(super) fn top_up(proposal: &Proposal, config: &Config) -> Vec<Check> {
    const ID: &str = "top-up";
    let all = proposal.pools.iter().map(|plan| &plan.pool);
    let pools = Pools::new(all, InstanceTypes::bundled());
    let judge = |name: &String| {
        let warn = |message: String| Check::warn(Group::NodePools, ID, message);
        let Some(pool) = pools.get(name) else {
            return warn("topUp.from names it, and there is no such NodePool".to_owned())
                .cure("name a Spot NodePool of this cluster in topUp.from, or take the name out");
        };
        if pool.role != Role::Spot {
            return warn(format!(
                "topUp.from names it, but its role is {}: only its nodes on Spot could move",
                pool.role.as_str()
            ));
        }
        let mut steered = proposal.pools.iter().filter(|plan| is_steered(plan));
        let beside = steered.find(|plan| pools.rivals(&plan.pool).any(|rival| rival.name == *name));
        match beside {
            Some(plan) => Check::ok(
                Group::NodePools,
                ID,
                format!("its nodes may be given up for {}", plan.pool.name),
            ),
            None => warn(
                "topUp.from names it, but no managed NodePool takes its pods, so nothing moves".to_owned(),
            ),
        }
    };
    let from = config.top_up.from.iter();
    from.map(|name| judge(name).about(name)).collect()
}
