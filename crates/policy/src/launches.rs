//! How much capacity pools launch at a time.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::prices::{Placement, Prices};
use brimful_karpenter::Node;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::money::Money;

/// Seconds of history that count.
const DAY: i64 = 86_400;
/// Launches are counted per interval of so many seconds, which is how often the job runs.
const INTERVAL: i64 = 600;

/// What some pools together launch in one interval, $/h at SP rates: the 95th percentile of the last day's intervals, as
/// far as living Nodes tell.
#[must_use]
pub fn joint_launches(
    nodes: &[Node],
    pools: &BTreeSet<&str>,
    prices: &Prices,
    region: Option<&str>,
    now: DateTime<Utc>,
) -> Money {
    let intervals = DAY / INTERVAL;
    let mut launched = vec![Money::ZERO; usize::try_from(intervals).unwrap_or(0)];
    for node in nodes.iter().filter(|node| !node.deleting) {
        let is_theirs = node.node_pool.as_deref().is_some_and(|name| pools.contains(name));
        let slot =
            usize::try_from((now - node.created).num_seconds().div_euclid(INTERVAL)).unwrap_or(usize::MAX);
        let (true, Some(slot), Some(name)) =
            (is_theirs, launched.get_mut(slot), node.instance_type.as_deref())
        else {
            continue;
        };
        let place = Placement {
            region: node.region.as_deref().or(region),
            os: node.os.as_deref().unwrap_or("linux"),
        };
        *slot += prices
            .of(&GroupId::Compute, name, place, node.vcpu)
            .map_or(Money::ZERO, |price| price.rate);
    }
    launched.sort_unstable();
    let rank = (launched.len() * 95).div_ceil(100).saturating_sub(1);
    launched.get(rank).copied().unwrap_or_default()
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
        }
    }

    fn launches(nodes: &[Node]) -> Money {
        let prices = Prices::new(&Ledger::default(), [&GroupId::Compute].into_iter());
        joint_launches(nodes, &BTreeSet::from(["a"]), &prices, None, DateTime::UNIX_EPOCH)
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
}
