//! What is told of weights: pools that stand in between, ties, and pools that nothing competes with.

use std::collections::{BTreeMap, BTreeSet};

use super::{STEP, Work, weight_yaml};
use crate::eligibility::{before_spot, list};
use crate::pools::Pool;
use brimful_karpenter::{NodePool, Role};
use brimful_types::warning::{Warning, WarningCode};

impl Work<'_> {
    /// A filling pool without any rival, beside pools that launch Spot, deserves a word.
    pub(super) fn warn_no_rival(&mut self, pool: &NodePool) {
        let spot = self
            .pools
            .iter()
            .filter(|other| matches!(other.role, Role::Spot | Role::Mixed));
        let names: BTreeSet<String> = spot
            .filter(|other| other.name != pool.name)
            .map(|other| other.name.clone())
            .collect();
        if !names.is_empty() {
            let names = list(&names);
            let message = format!(
                "nothing takes its pods from it: {names} ask for a toleration that they lack, run another operating system, or \
                 launch nothing (not Ready, or a limit of 0), so its weight is left as it is"
            );
            self.found
                .warnings
                .push(Warning::of_pool(WarningCode::NoRival, &pool.name, message));
        }
    }

    /// Which third pools a raise leaves behind: their pods now go to the committed pool first.
    pub(super) fn note_jumped(&mut self, pool: &NodePool, rivals: &[&Pool<'_>], weight: i32) {
        let now = pool.effective_weight();
        let jumped =
            |rival: &&&Pool<'_>| rival.role != Role::Spot && (now..weight).contains(&self.weight(rival));
        let names: BTreeSet<String> = rivals.iter().filter(jumped).map(|r| self.named(r)).collect();
        if !names.is_empty() && weight != now {
            self.jumped.insert(pool.name.clone(), names);
        }
    }

    fn named(&self, pool: &Pool<'_>) -> String {
        format!("{} ({})", pool.name, self.weight(pool))
    }

    /// Says what stands between a committed pool and Spot: pools that a raise jumps, and on-demand pools that take at
    /// list price, whatever Brimful does, what the plans cannot.
    pub(super) fn warn_between(&mut self, pool: &Pool<'_>) {
        let is_steered = |other: &Pool<'_>| self.stand(other).is_some_and(|stand| stand.managed);
        let before = before_spot(pool, self.pools, |pool| self.weight(pool), is_steered);
        let jumped = self.jumped.remove(&pool.name).map(|names| {
            format!(
                "{} stands in between and is jumped: left there, it would take the pods meant for this pool",
                list(&names)
            )
        });
        let message = if before.is_empty() {
            jumped.map(|jumped| {
                format!(
                    "{jumped}. There is nothing to do, unless it should come first: then keep the pods of both apart, by a taint or a label"
                )
            })
        } else {
            let names = list(&before.iter().map(|found| self.named(found.pool)).collect());
            let passed: BTreeMap<&str, &Pool<'_>> = before
                .iter()
                .flat_map(|found| &found.spot)
                .map(|spot| (spot.name.as_str(), *spot))
                .collect();
            let spot = list(&passed.values().map(|spot| self.named(spot)).collect());
            // Without a weight the on-demand pools come last, once every Spot pool has one.
            let lifted = passed.values().filter(|spot| self.weight(spot) == 0);
            let lifted = lifted.map(|spot| weight_yaml(&spot.name, &STEP.to_string()));
            let lowered = before.iter().filter(|found| self.weight(found.pool) > 0);
            let lowered = lowered.map(|found| weight_yaml(&found.pool.name, "null"));
            let yaml: Vec<String> = lifted.chain(lowered).collect();
            let jumped = jumped.map(|jumped| format!("; {jumped}")).unwrap_or_default();
            Some(format!(
                "what its plans cannot take goes to {names} at list price, before {spot}{jumped}. Put Spot first with\n{}",
                yaml.join("\n  ---\n")
            ))
        };
        if let Some(message) = message {
            self.found
                .warnings
                .push(Warning::of_pool(WarningCode::InBetween, &pool.name, message));
        }
    }

    /// A full pool that no weight puts below its overflow pool: what makes room for it there.
    pub(super) fn warn_above_overflow(&mut self, pool: &Pool<'_>, overflow: &NodePool, lowest: i32) {
        // Between the overflow pool and Spot there must be a weight left.
        let spot = self
            .pools
            .rivals(pool)
            .filter(|other| self.weight(other) <= 1)
            .map(|spot| weight_yaml(&spot.name, &STEP.to_string()));
        let weight = if lowest > 1 { STEP.min(lowest - 1) } else { 1 };
        let cure: Vec<String> = std::iter::once(weight_yaml(&overflow.name, &weight.to_string()))
            .chain(spot)
            .collect();
        let message = format!(
            "{} has no weight and the earlier name, so nothing lies below it: pods that must be on demand still open nodes in this full \
             pool first, where consolidation may not take them again. Put it between Spot and this pool with\n{}",
            overflow.name,
            cure.join("\n  ---\n")
        );
        self.found
            .warnings
            .push(Warning::of_pool(WarningCode::AboveOverflow, &pool.name, message));
    }

    pub(super) fn check_tie(&mut self, pool: &Pool<'_>) {
        let own = self.weight(pool);
        let tied = self
            .others(pool)
            .find(|other| self.weight(other) == own && other.role != Role::Committed);
        if let Some(other) = tied.filter(|_| pool.role == Role::Committed) {
            let message = format!(
                "{} has the same weight ({own}): Karpenter then takes the later name first; give them different weights",
                other.name
            );
            self.found
                .warnings
                .push(Warning::of_pool(WarningCode::Tie, &pool.name, message));
        }
    }
}
