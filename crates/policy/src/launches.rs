//! How much capacity pools launch at a time.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::prices::{Placement, Prices};
use brimful_karpenter::Node;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::money::Money;

/// Launches are counted per interval of so many seconds, which is how often the job runs.
const INTERVAL: i64 = 600;
/// So many of them count: a day.
const INTERVALS: usize = 144;

/// What each pool launched in the last day, as far as living Nodes tell.
#[derive(Debug, Clone, Default)]
pub struct Launches<'a> {
    /// By pool: how many intervals ago, and $/h at SP rates.
    by_pool: BTreeMap<&'a str, Vec<(usize, Money)>>,
}

impl<'a> Launches<'a> {
    /// What Nodes tell.
    #[must_use]
    pub fn of(nodes: &'a [Node], prices: &Prices, region: Option<&str>, now: DateTime<Utc>) -> Self {
        let mut found = Self::default();
        for node in nodes.iter().filter(|node| !node.deleting) {
            let ago = (now - node.created).num_seconds().div_euclid(INTERVAL);
            let slot = usize::try_from(ago).ok().filter(|slot| *slot < INTERVALS);
            let (Some(slot), Some(pool), Some(name)) =
                (slot, node.node_pool.as_deref(), node.instance_type.as_deref())
            else {
                continue;
            };
            let place = Placement {
                region: node.region.as_deref().or(region),
                os: node.os.as_deref().unwrap_or("linux"),
            };
            if let Some(price) = prices.of(&GroupId::Compute, name, place, node.vcpu) {
                found.by_pool.entry(pool).or_default().push((slot, price.rate));
            }
        }
        found
    }

    /// What some pools together launched in each interval of the last day, $/h at SP rates, ascending.
    fn by_interval<'p>(&self, pools: impl Iterator<Item = &'p str>) -> Vec<Money> {
        let mut launched = vec![Money::ZERO; INTERVALS];
        for (slot, rate) in pools.filter_map(|pool| self.by_pool.get(pool)).flatten() {
            launched[*slot] += *rate;
        }
        launched.sort_unstable();
        launched
    }

    /// What some pools together launch in one interval, $/h at SP rates: the 95th percentile of the last day's intervals.
    pub fn joint<'p>(&self, pools: impl Iterator<Item = &'p str>) -> Money {
        self.by_interval(pools)[(INTERVALS * 95).div_ceil(100) - 1]
    }

    /// The least room, $/h, at which what some pools launch in an interval is better launched on demand than on Spot. A
    /// weight moves all of it: what fits saves Spot's price, what does not costs on-demand − Spot. So no more than
    /// Spot ÷ on-demand of it may lie beyond the room.
    pub fn worth_filling_from<'p>(&self, pools: impl Iterator<Item = &'p str>, spot_ratio: f64) -> Money {
        let launched = self.by_interval(pools);
        let sum: Money = launched.iter().copied().sum();
        let most = sum.scale(spot_ratio);
        // From one amount that was launched to the next, what lies beyond falls evenly.
        let (mut room, mut beyond) = (Money::ZERO, sum);
        for (place, amount) in launched.iter().enumerate() {
            let larger = INTERVALS - place;
            let falls = (*amount - room) * i64::try_from(larger).unwrap_or(i64::MAX);
            if beyond - falls <= most {
                let missing = (beyond - most).or_zero().picos();
                return room + Money::from_picos(missing / i128::try_from(larger).unwrap_or(i128::MAX));
            }
            (room, beyond) = (*amount, beyond - falls);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brimful_karpenter::NodeCapacity;
    use brimful_savings_plans::ledger::Ledger;

    fn node(minutes_ago: i64, pool: &str) -> Node {
        Node {
            name: format!("n{minutes_ago}"),
            node_pool: Some(pool.to_owned()),
            instance_type: Some("m5.large".to_owned()),
            capacity: NodeCapacity::OnDemand,
            region: Some("us-east-2".to_owned()),
            zone: None,
            arch: None,
            os: None,
            instance_id: None,
            created: DateTime::UNIX_EPOCH - chrono::Duration::minutes(minutes_ago),
            ready: true,
            deleting: false,
            cluster_name: None,
            vcpu: Some(2),
            memory_mib: None,
            held_by: None,
        }
    }

    fn launches(nodes: &[Node]) -> Money {
        let prices = Prices::new(&Ledger::default(), [&GroupId::Compute].into_iter());
        Launches::of(nodes, &prices, None, DateTime::UNIX_EPOCH).joint(["a"].into_iter())
    }

    #[test]
    fn rare_launches_do_not_raise_the_bar_and_frequent_ones_do() {
        assert_eq!(launches(&[node(1, "a"), node(700, "a")]), Money::ZERO);
        // One assumed m5.large (2 vCPU at $0.07) in every tenth interval of the day.
        let often: Vec<Node> = (0..15).map(|i| node(i * 95, "a")).collect();
        assert_eq!(launches(&often), Money::from_dollars(0.14).unwrap());
        let others: Vec<Node> = (0..15).map(|i| node(i * 95, "b")).collect();
        assert_eq!(launches(&others), Money::ZERO);
    }

    /// Of what is launched no more than Spot ÷ on-demand goes beyond the room.
    #[test]
    fn filling_is_worth_it_from_the_room_that_saves_as_much_as_it_costs() {
        let prices = Prices::new(&Ledger::default(), [&GroupId::Compute].into_iter());
        let from = |nodes: &[Node]| {
            let launches = Launches::of(nodes, &prices, None, DateTime::UNIX_EPOCH);
            launches.worth_filling_from(["a"].into_iter(), 0.4)
        };
        assert_eq!(from(&[]), Money::ZERO);
        // $0.14 in fifteen intervals: $0.84 of $2.10 beyond a room of $0.084.
        let evenly: Vec<Node> = (0..15).map(|i| node(i * 90, "a")).collect();
        assert_eq!(from(&evenly), Money::from_dollars(0.084).unwrap());
        // A burst of ten at once, and two nodes apart: $0.672 of $1.68 beyond $0.728.
        let burst: Vec<Node> = (0..10)
            .map(|_| node(1, "a"))
            .chain([node(300, "a"), node(900, "a")])
            .collect();
        assert_eq!(from(&burst), Money::from_dollars(0.728).unwrap());
    }
}
