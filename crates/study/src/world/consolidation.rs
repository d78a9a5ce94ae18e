//! What Karpenter takes away or replaces: drifted nodes, empty ones, and those whose pods fit elsewhere or on a cheaper
//! one.

use super::cluster::{Cluster, Machine, Weather};

/// Rounds in a step of ten minutes: the check, new nodes and the pods' moving take about three minutes.
const ROUNDS: i64 = 3;

/// How many nodes of each pool may still be disrupted in a round.
struct Budgets(Vec<usize>);

impl Budgets {
    fn of(cluster: &Cluster, reason: &str, weather: &Weather<'_>, round: i64) -> Self {
        let now = Cluster::time(weather.step, round * 10 / ROUNDS);
        let of = |pool: usize| {
            let nodes = cluster.machines.iter().filter(|machine| machine.pool == pool);
            cluster.pools[pool].allows(reason, nodes.count(), now)
        };
        Self((0..cluster.pools.len()).map(of).collect())
    }

    fn take(&mut self, pool: usize) -> bool {
        let left = &mut self.0[pool];
        let has = *left > 0;
        *left = left.saturating_sub(1);
        has
    }
}

impl Cluster {
    /// All rounds of a step.
    pub(super) fn consolidate(&mut self, weather: &Weather<'_>) {
        for round in 0..ROUNDS {
            self.replace_drifted(weather, round);
            self.remove_empty(weather, round);
            self.shrink(weather, round);
        }
    }

    fn replace_drifted(&mut self, weather: &Weather<'_>, round: i64) {
        if !self.machines.iter().any(|machine| machine.drifted) {
            return;
        }
        let mut budgets = Budgets::of(self, "Drifted", weather, round);
        let drifted = self.machines.iter().filter(|machine| machine.drifted);
        let going: Vec<u32> = drifted
            .filter(|machine| budgets.take(machine.pool))
            .map(|machine| machine.serial)
            .collect();
        for serial in going {
            self.evict(serial);
        }
        self.schedule(weather);
    }

    fn remove_empty(&mut self, weather: &Weather<'_>, round: i64) {
        let mut budgets = Budgets::of(self, "Empty", weather, round);
        self.machines
            .retain(|machine| !machine.pods.is_empty() || !budgets.take(machine.pool));
    }

    /// Single nodes, those first whose price is highest beside what moving their pods costs (`SavingsRatio`).
    fn shrink(&mut self, weather: &Weather<'_>, round: i64) {
        let mut budgets = Budgets::of(self, "Underutilized", weather, round);
        let ratio =
            |machine: &Machine| self.price(machine.pool, machine.size) / (1.0 + machine.pods.len() as f64);
        let mut order: Vec<(f64, u32)> = self
            .machines
            .iter()
            .filter(|machine| !self.pools[machine.pool].when_empty && budgets.0[machine.pool] > 0)
            .map(|machine| (ratio(machine), machine.serial))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, serial) in order {
            let Some(place) = self.machines.iter().position(|machine| machine.serial == serial) else {
                continue;
            };
            let pool = self.machines[place].pool;
            if budgets.0[pool] > 0 && self.is_worth_it(place, weather) {
                budgets.take(pool);
                self.evict(serial);
                self.schedule(weather);
            }
        }
    }

    /// Whether a node's pods fit on the others, or what does not on one cheaper node. Running Spot is not replaced by
    /// Spot.
    fn is_worth_it(&self, place: usize, weather: &Weather<'_>) -> bool {
        let machine = &self.machines[place];
        let mut free: Vec<u32> = self.machines.iter().map(|one| one.free).collect();
        let mut pods = machine.pods.clone();
        pods.sort_by_key(|pod| std::cmp::Reverse((weather.work.pods[*pod as usize].cpu, *pod)));
        let left: Vec<u32> = pods
            .into_iter()
            .filter(|pod| {
                let asked = &weather.work.pods[*pod as usize];
                let best = self.roomiest(asked, machine.serial, |other| free[other]);
                if let Some(other) = best {
                    free[other] -= asked.cpu;
                }
                best.is_none()
            })
            .collect();
        if left.is_empty() {
            return true;
        }
        let Some((pool, size)) = self.replacement(&left, machine, weather) else {
            return false;
        };
        let both_spot = self.pools[pool].spec.spot && self.pools[machine.pool].spec.spot;
        let cheaper = self.price(pool, size) < self.price(machine.pool, machine.size) - 1e-9;
        !both_spot && cheaper
    }
}
