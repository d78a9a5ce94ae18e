//! What a pool's plan says once all weights and limits are known: the values, the reason, what fits.

use std::collections::BTreeMap;

use super::Planner;
use super::limits::show_limits;
use crate::Decision;
use crate::annotations::MANAGED_LABEL;
use crate::eligibility::Eligible;
use crate::groups::GroupNow;
use crate::plan::{Fit, PoolPlan};
use crate::prices::Price;
use crate::weights::{Weights, show};
use brimful_types::money::Money;

impl Planner<'_> {
    /// Sets the proposed weight, and says so in the reason.
    pub(super) fn finalize(&self, name: &str, plan: &mut PoolPlan, moved: &Weights, wished: &Weights) {
        let now = plan.pool.weight;
        if let Some(for_pool) = moved.made_room.get(name) {
            plan.outcome.reason = format!("makes room for {for_pool}");
        }
        if let Some(weight) = moved.proposed.get(name).filter(|_| plan.managed_or_restored()) {
            plan.proposed = *weight;
            plan.outcome.reason = format!(
                "{}; weight {} → {}{}",
                plan.outcome.reason,
                show(now),
                show(*weight),
                self.neighbour(plan)
            );
        }
        if plan.changes_limits() {
            let change = show_limits(&plan.pool.limits, &plan.limits);
            plan.outcome.reason = format!("{}; {change}", plan.outcome.reason);
        }
        if let Some(change) = plan.budgets_change() {
            plan.outcome.reason = format!("{}; {change}", plan.outcome.reason);
        }
        if let Some(weight) = wished.proposed.get(name).filter(|_| !plan.managed_or_restored()) {
            plan.outcome.reason = format!(
                "{}; labelled {MANAGED_LABEL}=true, its weight would go {} → {}",
                plan.outcome.reason,
                show(now),
                show(*weight)
            );
        }
    }

    /// Which pool the new weight is above or below.
    fn neighbour(&self, plan: &PoolPlan) -> String {
        let own = plan.proposed.unwrap_or(0);
        let rivals = || self.pools.rivals(&plan.pool);
        let found = match plan.outcome.decision {
            Decision::Fill | Decision::Hold | Decision::Drain
                if plan.by_limits || plan.outcome.decision == Decision::Fill =>
            {
                rivals()
                    .filter(|r| r.effective_weight() < own)
                    .max_by_key(|r| r.effective_weight())
                    .map(|r| ("above", r))
            }
            Decision::Hold | Decision::Drain => rivals()
                .filter(|r| r.effective_weight() > own)
                .min_by_key(|r| r.effective_weight())
                .map(|r| ("below", r)),
            _ => None,
        };
        found.map_or(String::new(), |(side, rival)| {
            format!(", {side} {} ({})", rival.name, show(rival.weight))
        })
    }

    pub(super) fn fits(&self, eligible: &Eligible<'_>, groups: &[&GroupNow]) -> Vec<Fit> {
        let Some(first) = groups.first() else {
            return Vec::new();
        };
        let place = eligible.placement();
        let room = |group: &GroupNow| Some(group.shared(group.headroom()?).or_zero());
        let rates = groups.iter().filter_map(|group| {
            let seen = self.scale.prices.all_seen(&group.id, place);
            Some((room(group)?, seen.collect::<BTreeMap<&str, Price>>()))
        });
        let rates: Vec<(Money, BTreeMap<&str, Price>)> = rates.collect();
        let count = |name: &str| -> u64 {
            let of_group = rates
                .iter()
                .filter_map(|(room, seen)| Some(room.fits(seen.get(name)?.rate)));
            of_group.sum()
        };
        let priced = eligible.priced(&first.id, self.scale.prices).into_iter();
        priced
            .map(|(name, price)| Fit {
                count: count(name),
                rate: price.rate,
                instance_type: name.to_owned(),
            })
            .collect()
    }
}
