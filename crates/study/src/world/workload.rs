//! Pods: when they come, how long they stay, how much they ask for. The same for all policies.

use brimful_simulation::dice::Dice;
use brimful_simulation::trace::STEPS_PER_HOUR;

/// What pods ask for, thousandths of a vCPU, and how many of a hundred ask for it.
const REQUESTS: [(u32, f64); 5] = [(250, 0.30), (500, 0.30), (1000, 0.20), (2000, 0.15), (4000, 0.05)];

/// A pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pod {
    /// Its request, thousandths of a vCPU.
    pub cpu: u32,
    /// True if it must not run on Spot.
    pub on_demand: bool,
    /// The team whose pools' taints it tolerates.
    pub team: usize,
    /// The step in which it comes.
    pub from: usize,
}

/// All pods of a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// Pods, in the order in which they come.
    pub pods: Vec<Pod>,
    /// Pods that end, by step.
    pub ends: Vec<Vec<u32>>,
    /// Thousandths of a vCPU asked for, and of these by pods that must not run on Spot, by step.
    pub asked: Vec<(u64, u64)>,
}

/// Pods of one kind.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// vCPU wanted, by step.
    pub level: Vec<f64>,
    /// The part of them that ends in an hour and is replaced.
    pub churn: f64,
    /// True if they must not run on Spot.
    pub on_demand: bool,
    /// Their team.
    pub team: usize,
}

impl Workload {
    /// Draws the pods of all deployments.
    #[must_use]
    pub fn draw(deployments: &[Deployment], seed: u64) -> Self {
        let steps = deployments.iter().map(|one| one.level.len()).max().unwrap_or(0);
        let mut all: Vec<(Pod, usize)> = Vec::new();
        let mut asked = vec![(0, 0); steps];
        for (index, deployment) in deployments.iter().enumerate() {
            deployment.draw(Dice::new(seed, 500 + index as u64), &mut all, &mut asked);
        }
        all.sort_by_key(|(pod, _)| pod.from);
        let mut ends = vec![Vec::new(); steps + 1];
        for (index, (_, end)) in all.iter().enumerate() {
            ends[(*end).min(steps)].push(index as u32);
        }
        Self {
            pods: all.into_iter().map(|(pod, _)| pod).collect(),
            ends,
            asked,
        }
    }
}

impl Deployment {
    fn draw(&self, mut dice: Dice, all: &mut Vec<(Pod, usize)>, asked: &mut [(u64, u64)]) {
        let mut alive: Vec<Pod> = Vec::new();
        let mut sum = 0;
        for (step, level) in self.level.iter().enumerate() {
            let wanted = (level * 1000.0) as u64;
            let mut place = 0;
            while place < alive.len() {
                if dice.chance(self.churn / STEPS_PER_HOUR as f64) {
                    let pod = alive.swap_remove(place);
                    sum -= u64::from(pod.cpu);
                    all.push((pod, step));
                } else {
                    place += 1;
                }
            }
            while sum > wanted && !alive.is_empty() {
                let place = (dice.unit() * alive.len() as f64) as usize;
                let pod = alive.swap_remove(place);
                sum -= u64::from(pod.cpu);
                all.push((pod, step));
            }
            while sum + 250 <= wanted {
                let cpu = request(&mut dice);
                alive.push(Pod {
                    cpu,
                    on_demand: self.on_demand,
                    team: self.team,
                    from: step,
                });
                sum += u64::from(cpu);
            }
            asked[step].0 += sum;
            asked[step].1 += if self.on_demand { sum } else { 0 };
        }
        let steps = self.level.len();
        all.extend(alive.into_iter().map(|pod| (pod, steps)));
    }
}

fn request(dice: &mut Dice) -> u32 {
    let mut left = dice.unit();
    for (cpu, part) in REQUESTS {
        if left < part {
            return cpu;
        }
        left -= part;
    }
    REQUESTS[0].0
}
