//! Weights: where a pool must stand so that new nodes come from it, or do not.
//!
//! Karpenter tries pools by weight, highest first, whatever their price (`scheduler.go`); absent counts as 0, equal
//! weights go to the later name (`pkg/utils/nodepool/nodepool.go`), so a tie with a pool that wants the opposite is used
//! only where no other place is left below an overflow pool without a weight. Only 1–100 or absent are valid
//! (`pkg/apis/v1/nodepool.go`).

use std::collections::{BTreeMap, BTreeSet};

use super::eligibility::{launches_reservations, list};
use super::limits::overflows;
use super::pools::{Pool, Pools};
use crate::settings::WeightsConfig;
use brimful_karpenter::{NodePool, Role};
use brimful_types::warning::{Warning, WarningCode};

mod warnings;

/// The highest weight that the API accepts.
const MAX: i32 = 100;
/// Distance to the next pool where there is room, so that people can put others in between.
const STEP: i32 = 10;

/// What should become of a pool's weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightGoal {
    /// Above every competing pool.
    Fill,
    /// Below every competing Spot and mixed pool, and below on-demand pools that nobody steers and that take the same
    /// pods.
    Yield,
    /// As it is.
    Keep,
    /// As it was before Brimful: this weight, or absent.
    Restore(Option<i32>),
}

/// What Brimful may do to one pool, and wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolPosition {
    /// What should become of it.
    pub want: WeightGoal,
    /// True when it is opted in.
    pub managed: bool,
    /// True when it may be moved, if only to make room for another.
    pub movable: bool,
    /// True when a plan still has room for what it launches: no competitor of a pool that fills.
    pub committed: bool,
    /// The weight before Brimful's first change, where one is recorded.
    pub baseline: Option<i32>,
}

/// Proposed weights by pool; pools that stay are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weights {
    /// Pools that move, and where to; `None` is an absent weight.
    pub proposed: BTreeMap<String, Option<i32>>,
    /// Pools moved only to make room, and for which pool.
    pub made_room: BTreeMap<String, String>,
    /// What stood in the way.
    pub warnings: Vec<Warning>,
}

/// Computes the weights of all pools together.
#[must_use]
pub fn weights(pools: &Pools<'_>, stands: &BTreeMap<String, PoolPosition>, config: WeightsConfig) -> Weights {
    let mut work = Work {
        pools,
        stands: pools.iter().map(|pool| stands.get(&pool.name).copied()).collect(),
        weights: pools.iter().map(|pool| pool.effective_weight()).collect(),
        config,
        jumped: BTreeMap::new(),
        found: Weights::default(),
    };
    let wanting = |want: fn(&WeightGoal) -> bool| {
        let stands = stands.iter().filter(move |(_, stand)| want(&stand.want));
        stands.filter_map(|(name, stand)| Some((pools.get(name)?, *stand)))
    };
    for (pool, stand) in wanting(|want| matches!(want, WeightGoal::Restore(_))) {
        if let WeightGoal::Restore(weight) = stand.want {
            work.propose(pool, weight);
        }
    }
    for (pool, stand) in wanting(|want| *want == WeightGoal::Yield) {
        work.lower(pool, stand);
    }
    for (pool, _) in wanting(|want| *want == WeightGoal::Fill) {
        work.raise(pool);
    }
    for (pool, stand) in wanting(|want| *want == WeightGoal::Keep) {
        if stand.movable {
            work.check_tie(pool);
        }
    }
    for pool in pools.iter().filter(|pool| pool.role == Role::Committed) {
        if work
            .stand(pool)
            .is_some_and(|stand| stand.managed && stand.movable)
        {
            work.warn_between(pool);
        }
    }
    work.found
}

struct Work<'a> {
    pools: &'a Pools<'a>,
    /// By the pools' places.
    stands: Vec<Option<PoolPosition>>,
    /// The weights that they will have, as far as decided yet; likewise.
    weights: Vec<i32>,
    config: WeightsConfig,
    /// Third pools that a raise leaves behind, by the raised pool, with their weights.
    jumped: BTreeMap<String, BTreeSet<String>>,
    found: Weights,
}

impl<'a> Work<'a> {
    fn weight(&self, pool: &Pool<'_>) -> i32 {
        self.weights[pool.place]
    }

    fn stand(&self, pool: &Pool<'_>) -> Option<&PoolPosition> {
        self.stands[pool.place].as_ref()
    }

    fn propose(&mut self, pool: &Pool<'_>, weight: Option<i32>) {
        self.weights[pool.place] = weight.unwrap_or(0);
        if weight == pool.weight {
            self.found.proposed.remove(&pool.name);
        } else {
            self.found.proposed.insert(pool.name.clone(), weight);
        }
    }

    fn others(&self, pool: &Pool<'_>) -> impl Iterator<Item = &'a Pool<'a>> {
        self.pools.competitors(pool)
    }

    /// Weights of pools beside it with which a tie would matter: not those that want the same, nor those that plans pay
    /// for in full.
    fn taken(&self, pool: &Pool<'_>) -> BTreeSet<i32> {
        let want = self.stand(pool).map(|stand| stand.want);
        let is_harmless = |other: &Pool<'_>| {
            self.stand(other)
                .is_some_and(|stand| stand.committed || Some(stand.want) == want)
        };
        self.others(pool)
            .filter(|other| !is_harmless(other))
            .map(|other| self.weight(other))
            .collect()
    }

    /// Puts a pool above every competitor: Spot, mixed, and on-demand that no plan has room for.
    fn raise(&mut self, pool: &Pool<'_>) {
        let (reserved, rivals): (Vec<&Pool<'_>>, Vec<&Pool<'_>>) =
            self.others(pool).partition(|other| launches_reservations(other));
        let has_room = |other: &&Pool<'_>| self.stand(other).is_some_and(|stand| stand.committed);
        let rivals: Vec<&Pool<'_>> = rivals.into_iter().filter(|other| !has_room(other)).collect();
        // Without a rival nothing takes the pool's pods, whatever its weight.
        let Some(highest) = rivals.iter().map(|rival| self.weight(rival)).max() else {
            self.warn_no_rival(pool);
            return;
        };
        // Reserved capacity is paid for too: a pool that can launch it is not jumped.
        let now = pool.effective_weight();
        let ceiling = reserved
            .iter()
            .map(|r| self.weight(r))
            .filter(|w| *w > now)
            .min()
            .map_or(MAX, |weight| weight - 1);
        let taken = self.taken(pool);
        let fits = |weight: i32| weight > highest && weight <= ceiling && !taken.contains(&weight);
        let preferred = (highest + STEP).clamp(1, MAX);
        let candidates = std::iter::once(now)
            .chain(self.config.fill)
            .chain((1..=preferred).rev())
            .chain(preferred..=MAX);
        if let Some(weight) = candidates.into_iter().find(|weight| fits(*weight)) {
            self.note_jumped(pool, &rivals, weight);
            self.propose(pool, Some(weight));
            return;
        }
        let blockers: Vec<&Pool<'_>> = rivals
            .iter()
            .copied()
            .filter(|rival| self.weight(rival) >= ceiling)
            .collect();
        if ceiling == MAX && !blockers.is_empty() && blockers.iter().all(|b| self.is_movable(b)) {
            self.make_room_above(pool, &blockers);
            return;
        }
        let (beaten, reached) = self.above_the_most(pool, &rivals, |weight| {
            (1..=ceiling).contains(&weight) && !taken.contains(&weight)
        });
        if let Some(weight) = reached {
            self.propose(pool, Some(weight));
        }
        let (blocker, suggestion) = match reserved
            .iter()
            .find(|r| ceiling < MAX && self.weight(r) == ceiling + 1)
        {
            Some(reserved) => (*reserved, highest + STEP),
            None => (blockers.first().copied().unwrap_or(pool), MAX - STEP),
        };
        let message = format!(
            "no legal weight is left above {} ({}): the pool {}{}. Make room with\n{}",
            blocker.name,
            self.weight(blocker),
            place(pool.weight, reached),
            above(&beaten),
            weight_yaml(&blocker.name, &suggestion.clamp(1, MAX - 1).to_string())
        );
        self.found
            .warnings
            .push(Warning::of_pool(WarningCode::NoRoom, &pool.name, message));
    }

    /// The rivals that some legal weight beats where none beats all, and that weight, if it beats more of them than the
    /// pool's own does.
    fn above_the_most<'r>(
        &self,
        pool: &NodePool,
        rivals: &[&'r Pool<'r>],
        is_legal: impl Fn(i32) -> bool,
    ) -> (Vec<&'r Pool<'r>>, Option<i32>) {
        let below = |weight: i32| -> Vec<&'r Pool<'r>> {
            let beaten = rivals.iter().copied();
            beaten.filter(|rival| self.weight(rival) < weight).collect()
        };
        let own = below(pool.effective_weight());
        // More weight never beats fewer: the least weight that beats as many as the highest one.
        let Some(most) = (1..=MAX).rev().find(|weight| is_legal(*weight)).map(below) else {
            return (own, None);
        };
        if most.len() <= own.len() {
            return (own, None);
        }
        let reached = (1..=MAX).find(|weight| is_legal(*weight) && below(*weight).len() == most.len());
        (most, reached)
    }

    /// Puts a pool below every competing Spot and mixed pool, and below its overflow pools: else pods that must be on
    /// demand would go on opening nodes in a pool that consolidation may not shrink, and other pods would keep them.
    fn lower(&mut self, pool: &Pool<'_>, stand: PoolPosition) {
        let rivals: Vec<&Pool<'_>> = self.pools.rivals(pool).collect();
        let Some(lowest) = rivals.iter().map(|rival| self.weight(rival)).min() else {
            return;
        };
        let bound = self.below_overflow(pool, lowest);
        let taken = self.taken(pool);
        let fits = |weight: i32| (1..bound).contains(&weight) && !taken.contains(&weight);
        let now = pool.effective_weight();
        if now < bound {
            return;
        }
        let preferred = (bound - STEP).max(1);
        let known = [self.config.r#yield, stand.baseline].into_iter().flatten();
        let candidates = known.chain((1..=preferred).rev()).chain(preferred..bound);
        if let Some(weight) = candidates.into_iter().find(|weight| fits(*weight)) {
            self.propose(pool, Some(weight));
            return;
        }
        if lowest > 0 {
            self.propose(pool, None);
            return;
        }
        let (blockers, weighted): (Vec<&Pool<'_>>, Vec<&Pool<'_>>) =
            rivals.into_iter().partition(|rival| self.weight(rival) == 0);
        if blockers.iter().all(|blocker| self.is_movable(blocker)) {
            self.make_room_below(pool, &blockers);
            return;
        }
        // Below those that have a weight, at least.
        let reached = weighted
            .iter()
            .map(|rival| self.weight(rival))
            .min()
            .and_then(|lowest| {
                let legal = |weight: &i32| !taken.contains(weight) && *weight < lowest && *weight < now;
                (1..=(lowest - STEP).max(1)).rev().chain(1..lowest).find(legal)
            });
        if let Some(weight) = reached {
            self.propose(pool, Some(weight));
        }
        let blocker = blockers[0];
        let message = format!(
            "{} has no weight, so nothing lies below it: the pool {}{}. Make room with\n{}",
            blocker.name,
            place(pool.weight, reached),
            if reached.is_some() {
                ", below all others"
            } else {
                ""
            },
            weight_yaml(&blocker.name, &STEP.to_string())
        );
        self.found
            .warnings
            .push(Warning::of_pool(WarningCode::NoRoom, &pool.name, message));
    }

    /// The weight that a yielding pool must stay below: that of the lowest Spot pool, or of the lowest overflow pool where
    /// that is lower. Below one without a weight is only an absent weight (a bound of 1), and only if its name comes later.
    fn below_overflow(&mut self, pool: &Pool<'_>, lowest: i32) -> i32 {
        let is_steered = |other: &Pool<'_>| self.stand(other).is_some_and(|stand| stand.managed);
        let mut overflows = overflows(pool, self.pools, is_steered);
        // Nodes that consolidation may not take there either are no gain.
        overflows.retain(|other| !other.protected_from_consolidation());
        let first_without_weight = overflows
            .iter()
            .copied()
            .find(|other| self.weight(other) == 0 && other.name < pool.name);
        match first_without_weight {
            Some(overflow) if lowest > 0 => self.warn_above_overflow(pool, overflow, lowest),
            _ => {
                let weights = overflows.iter().map(|other| self.weight(other).max(1));
                return weights.chain([lowest]).min().unwrap_or(lowest);
            }
        }
        lowest
    }

    fn is_movable(&self, pool: &Pool<'_>) -> bool {
        self.stand(pool).is_some_and(|stand| stand.movable)
    }

    /// Moves managed pools that stand at the top down, in their order, and the filling pool above them.
    fn make_room_above(&mut self, pool: &Pool<'_>, blockers: &[&Pool<'_>]) {
        let mut taken = self.taken(pool);
        for blocker in blockers {
            let Some(weight) = (1..MAX - 1)
                .rev()
                .skip_while(|w| *w > MAX - STEP)
                .find(|w| !taken.contains(w))
            else {
                return;
            };
            taken.insert(weight);
            self.propose(blocker, Some(weight));
            self.found
                .made_room
                .insert(blocker.name.clone(), pool.name.clone());
        }
        self.propose(pool, Some(MAX));
    }

    /// Gives managed pools without a weight one, so that the yielding pool fits below them.
    fn make_room_below(&mut self, pool: &Pool<'_>, blockers: &[&Pool<'_>]) {
        let mut taken = self.taken(pool);
        for blocker in blockers {
            let Some(weight) = (STEP..MAX).find(|w| !taken.contains(w)) else {
                return;
            };
            taken.insert(weight);
            self.propose(blocker, Some(weight));
            self.found
                .made_room
                .insert(blocker.name.clone(), pool.name.clone());
        }
        self.propose(pool, None);
    }
}

/// A weight for people: `none` when absent.
#[must_use]
pub fn show(weight: Option<i32>) -> String {
    weight.map_or_else(|| "none".to_owned(), |weight| weight.to_string())
}

/// Where a pool goes that cannot go where it should.
fn place(now: Option<i32>, reached: Option<i32>) -> String {
    match reached {
        Some(weight) => format!("goes to {weight}"),
        None => format!("stays at {}", show(now)),
    }
}

/// Which rivals it is above there.
fn above(beaten: &[&Pool<'_>]) -> String {
    if beaten.is_empty() {
        return String::new();
    }
    format!(
        ", above {}",
        list(&beaten.iter().map(|rival| rival.name.clone()).collect())
    )
}

fn weight_yaml(name: &str, weight: &str) -> String {
    format!(
        "  apiVersion: karpenter.sh/v1\n  kind: NodePool\n  metadata: {{name: {name}}}\n  spec: {{weight: {weight}}}"
    )
}

#[cfg(test)]
mod tests;
