//! How long one plan takes, at the sizes of small and of very large clusters, with every grip on every pool.
//!
//! `cargo bench -p brimful-policy --bench plan`: of a few runs the quickest, in milliseconds. The report is that of an
//! organization of 300 accounts with 60 plans and 35 days of usage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::{DateTime, Duration, Utc};

use brimful_karpenter::{InstanceType, InstanceTypes, Node, NodeCapacity, NodeClaim, NodePool};
use brimful_policy::peers::Peers;
use brimful_policy::plan::{Inputs, propose};
use brimful_policy::settings::{Grips, Settings};
use brimful_policy::state::State;
use brimful_savings_plans::ledger::{
    Cell, Granularity, Ledger, PlanHour, PlanLedger, Series, UsageClass, UsageKey,
};
use brimful_savings_plans::savings_plan::{Plan, PlanKind};
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms, Utilization};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

const REGION: &str = "us-east-2";
const NODE_POOLS: [usize; 2] = [50, 500];
const NODES: [usize; 2] = [500, 5000];
const PLANS: usize = 60;
const ACCOUNTS: usize = 300;
/// Types that others run in any one hour.
const OTHER_SERIES: usize = 600;
const HOURS: i32 = 35 * 24;
const RUNS: usize = 3;

fn main() {
    let now: DateTime<Utc> = "2026-11-21T18:00:00Z".parse().unwrap_or_default();
    let types = InstanceTypes::bundled();
    let kinds: Vec<&InstanceType> = types.iter().collect();
    for pools in NODE_POOLS {
        for nodes in NODES {
            let cluster = Cluster::new(&kinds, pools, nodes, now);
            let ledger = ledger(&kinds, pools, now);
            let milliseconds = quickest(&cluster, &ledger, now);
            #[allow(clippy::print_stdout, reason = "the figures are the output")]
            {
                println!(
                    "{pools:>4} NodePools, {nodes:>5} Nodes, {} types, {PLANS} plans: {milliseconds:>7.0} ms",
                    kinds.len()
                );
            }
        }
    }
}

/// The quickest of a few plans, in milliseconds.
fn quickest(cluster: &Cluster, ledger: &Ledger, now: DateTime<Utc>) -> f64 {
    let config = Settings {
        grips: Grips::parse("weight,disruption,limits").unwrap_or_default(),
        ..Settings::default()
    };
    let terms = Terms {
        sharing: &Sharing::Open,
        horizon: ledger.horizon(now),
        maturity: config.maturity.0,
        check: Check::Reconciling,
    };
    let utilization = Utilization::of(ledger, &terms);
    let (peers, state) = (Peers::default(), State::default());
    let inputs = Inputs {
        now,
        config: &config,
        ledger,
        utilization: &utilization,
        sharing: &Sharing::Open,
        node_pools: &cluster.pools,
        nodes: Some(&cluster.nodes),
        node_claims: Some(&cluster.claims),
        pods: None,
        peers: &peers,
        state: &state,
        doubt: None,
    };
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let began = Instant::now();
        std::hint::black_box(propose(&inputs));
        best = best.min(began.elapsed().as_secs_f64() * 1000.0);
    }
    best
}

struct Cluster {
    pools: Vec<NodePool>,
    nodes: Vec<Node>,
    claims: Vec<NodeClaim>,
}

impl Cluster {
    /// Half of the pools committed, one in fifty for overflow, the rest Spot; some tainted, some of one family.
    fn new(kinds: &[&InstanceType], pools: usize, nodes: usize, now: DateTime<Utc>) -> Self {
        let pools: Vec<NodePool> = (0..pools).map(pool).collect();
        let nodes: Vec<Node> = (0..nodes).map(|index| node(kinds, &pools, index, now)).collect();
        let claims = nodes.iter().map(|node| claim(node, now)).collect();
        Self { pools, nodes, claims }
    }
}

fn pool(index: usize) -> NodePool {
    let name = format!("pool-{index:03}");
    let of_family = |pool: NodePool| match index % 10 {
        2 => pool.families(&[FAMILIES[index / 10 % FAMILIES.len()]]),
        4 => pool.families(&["m5", "m6i", "c5", "r5"]),
        _ => pool,
    };
    let pool = match index % 50 {
        49 => return NodePool::test(&name).committed(),
        odd if odd % 2 == 1 => NodePool::test(&name).spot().weight(50),
        _ => of_family(NodePool::test(&name).committed().weight(10).managed()),
    };
    if index % 25 < 2 {
        return pool.taint("team", &format!("t{}", index / 50));
    }
    pool
}

const FAMILIES: [&str; 6] = ["m5", "r6i", "c5", "m6i", "c6i", "r5"];

fn node(kinds: &[&InstanceType], pools: &[NodePool], index: usize, now: DateTime<Utc>) -> Node {
    let pool = &pools[index % pools.len()];
    let kind = kinds[index * 31 % kinds.len()];
    let spot = index % pools.len() % 2 == 1 && index % pools.len() % 50 != 49;
    Node {
        name: format!("node-{index}"),
        node_pool: Some(pool.name.clone()),
        instance_type: Some(kind.name.clone()),
        capacity: if spot {
            NodeCapacity::Spot
        } else {
            NodeCapacity::OnDemand
        },
        region: Some(REGION.to_owned()),
        zone: None,
        arch: None,
        os: None,
        instance_id: Some(format!("i-{index}")),
        created: now - Duration::minutes(7 * (1 + i64::try_from(index).unwrap_or_default() % 400)),
        ready: true,
        deleting: false,
        cluster_name: None,
        vcpu: Some(kind.vcpu),
        memory_mib: None,
        held_by: None,
    }
}

fn claim(node: &Node, now: DateTime<Utc>) -> NodeClaim {
    NodeClaim {
        created: now - Duration::hours(3),
        ..NodeClaim::of(node)
    }
}

fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap_or_default()
}

fn plan(index: usize, first: Hour, horizon: Hour) -> PlanLedger {
    let instance = index < FAMILIES.len();
    let account = format!("{:012}", index % ACCOUNTS);
    let hours = (0..HOURS + 96).map(|hour| first.plus(hour)).map(|hour| {
        let used = if hour < horizon { 18.0 } else { 0.0 };
        let amounts = PlanHour {
            commitment: Some(dollars(20.0)),
            used: dollars(used),
            covered: dollars(used),
            suspect: false,
            fee_rows: 1,
        };
        (hour, amounts)
    });
    PlanLedger {
        plan: Plan {
            arn: format!("arn:aws:savingsplans::{account}:savingsplan/{index}"),
            kind: if instance {
                PlanKind::Ec2Instance
            } else {
                PlanKind::Compute
            },
            region: instance.then(|| REGION.to_owned()),
            family: instance.then(|| FAMILIES[index].to_owned()),
            owner: Some(account),
            payment_option: None,
            start: Some(first.start()),
            end: Some(first.start() + Duration::days(365)),
            currency: Some("USD".to_owned()),
            stopped: None,
            returned: None,
            unclear: Vec::new(),
            listed: None,
            shared: true,
        },
        hours: hours.collect(),
    }
}

fn key(name: &str) -> UsageKey {
    UsageKey {
        usage_type: format!("USE2-BoxUsage:{name}").into(),
        operation: "RunInstances".into(),
    }
}

fn series(name: &str, class: UsageClass, account: usize, pool: &str) -> Series {
    let key = key(name);
    Series {
        class,
        is_instance: true,
        usage_type: key.usage_type,
        operation: key.operation,
        region: REGION.into(),
        account: format!("{account:012}").into(),
        cluster: if pool.is_empty() { "" } else { "big" }.into(),
        node_pool: pool.into(),
    }
}

/// Usage of every pool and of other accounts, and plans that are nearly full.
fn ledger(kinds: &[&InstanceType], pools: usize, now: DateTime<Utc>) -> Ledger {
    let first = Hour::of(now).plus(-HOURS);
    let horizon = Hour::of(now).plus(-9);
    let class = |index: usize| match index % 3 {
        0 => UsageClass::OnDemand,
        _ => UsageClass::Covered(FAMILIES.len() + index % (PLANS - FAMILIES.len())),
    };
    let own = (0..pools).step_by(2).map(|index| {
        let kind = kinds[index * 31 % kinds.len()];
        series(&kind.name, class(index), 0, &format!("pool-{index:03}"))
    });
    let others = (0..OTHER_SERIES).map(|index| {
        let kind = kinds[index * 17 % kinds.len()];
        series(&kind.name, class(index), 1 + index % (ACCOUNTS - 1), "")
    });
    let series: Vec<Series> = own.chain(others).collect::<BTreeSet<_>>().into_iter().collect();
    let hours = (0..HOURS).map(|hour| first.plus(hour));
    let cell = |hour| Cell {
        hour,
        amount: Quantity::from_units(1.5).unwrap_or_default(),
        picos: 150_000_000_000,
    };
    let cells: Vec<Cell> = hours.take_while(|hour| *hour < horizon).map(cell).collect();
    let price = |kind: &InstanceType| dollars(f64::from(kind.vcpu) * 0.05);
    let sampled = |plan: usize| kinds.iter().skip(plan % 7).step_by(7);
    Ledger {
        plans: (0..PLANS).map(|index| plan(index, first, horizon)).collect(),
        rates: (FAMILIES.len()..PLANS)
            .flat_map(|plan| sampled(plan).map(move |kind| ((plan, key(&kind.name)), price(kind).scale(0.7))))
            .collect(),
        on_demand_prices: kinds.iter().map(|kind| (key(&kind.name), price(kind))).collect(),
        cells: vec![cells; series.len()],
        newest_by_region: BTreeMap::from([(REGION.to_owned(), horizon.start())]),
        newest_usage: Some(horizon.start()),
        granularity: Some(Granularity::Hourly),
        regions: kinds
            .iter()
            .map(|kind| (key(&kind.name).usage_type, REGION.into()))
            .collect(),
        currencies: BTreeSet::from(["USD".to_owned()]),
        series,
        ..Ledger::default()
    }
}
