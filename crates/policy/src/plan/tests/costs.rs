//! Who pays for a pool's nodes, and what standing above Spot or below costs.

use super::*;
use brimful_savings_plans::ledger::{Cell, Series, UsageClass};
use brimful_types::quantity::Quantity;
use brimful_types::warning::WarningCode;

fn unprotected(weight: i32) -> NodePool {
    NodePool::test("committed")
        .committed()
        .families(&["m5"])
        .weight(weight)
        .managed()
}

/// On-demand usage of m5.large in a region, in the hours of the report that `runs` names.
fn usage(
    region: &str,
    prefix: &str,
    dollars_an_hour: f64,
    runs: impl Fn(Hour) -> bool,
) -> (Series, Vec<Cell>) {
    let series = Series {
        class: UsageClass::OnDemand,
        is_instance: true,
        usage_type: format!("{prefix}-BoxUsage:m5.large").into(),
        operation: "RunInstances".into(),
        region: region.into(),
        account: "".into(),
        cluster: "".into(),
        node_pool: "".into(),
    };
    let first = Hour::of(at("2026-11-01T00:00:00Z"));
    let hours = (0..720)
        .map(|i| first.plus(i))
        .filter(|hour| hour.end() <= at(HORIZON) && runs(*hour));
    let cell = |hour| Cell {
        hour,
        amount: Quantity::from_units(dollars_an_hour / 0.06).unwrap(),
        picos: 0,
    };
    (series, hours.map(cell).collect())
}

#[test]
fn a_pool_whose_own_plan_is_not_over_full_is_paid_whatever_others_overrun() {
    let instance = plan("e", PlanKind::Ec2Instance, 2.0, 2.0);
    let mut scene = Scene::new(vec![plan("c", PlanKind::Compute, 1.0, 1.0), instance]);
    scene.config.cluster.region = Some("us-east-2".to_owned());
    let (mut series, cells) = usage("us-east-2", "USE2", 5.0, |_| true);
    series.usage_type = "USE2-BoxUsage:c5.large".into();
    scene
        .ledger
        .rates
        .insert((0, key("USE2-BoxUsage:c5.large")), dollars(0.06));
    (scene.ledger.series, scene.ledger.cells) = (vec![series], vec![cells]);
    scene.pools[0] = committed().weight(60);
    assert_eq!(decided(&scene).0, Decision::Hold);
    // A pool of any family is Compute's alone, and over its plans.
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .managed()
        .protected()
        .weight(60);
    assert_eq!(decided(&scene).0, Decision::Drain);
}

#[test]
fn an_unprotected_pool_yields_once_what_nobody_pays_for_costs_more_than_what_consolidation_takes() {
    // Of 34 nodes for $2.04 an hour the plan pays $2; the report has no Spot: its usual price is 0.4 of on-demand.
    let stands = |spill: f64, nodes: usize| {
        let mut scene = Scene::compute(2.0, 2.0);
        scene.pools[0] = unprotected(60);
        over(&mut scene, spill);
        scene.nodes = Some((0..nodes).map(node).collect());
        decided(&scene).1
    };
    assert_eq!(stands(0.1, 34), Some(60), "0.6 × $0.1 against 0.4 × $1.94");
    assert_eq!(stands(18.0, 333), Some(40), "0.6 × $18 against 0.4 × $1.98");
}

#[test]
fn room_for_a_node_is_not_worth_all_that_spot_launches() {
    let start = |spot_nodes: i64| {
        let mut scene = Scene::compute(2.0, 1.92);
        let launched = (0..spot_nodes).map(|i| Node {
            node_pool: Some("spot".to_owned()),
            capacity: NodeCapacity::Spot,
            created: at(NOW) - Duration::minutes(i * 5),
            name: format!("spot-{i}"),
            ..node(0)
        });
        scene.nodes = Some(launched.collect());
        decided(&scene).0
    };
    assert_eq!(start(3), Decision::Fill);
    // Two nodes ($0.12) in every ten minutes of the day: with 0.6 of that as room both choices cost the same.
    assert_eq!(start(288), Decision::Fill, "room for $0.08 is more than $0.072");
    let mut scene = Scene::compute(2.0, 1.94);
    scene.nodes = Some(
        (0..288)
            .map(|i| Node {
                node_pool: Some("spot".to_owned()),
                capacity: NodeCapacity::Spot,
                created: at(NOW) - Duration::minutes(i * 5),
                name: format!("spot-{i}"),
                ..node(0)
            })
            .collect(),
    );
    assert_eq!(decided(&scene).0, Decision::Hold);
}

#[test]
fn the_next_node_is_what_the_pods_run_on_now_and_not_what_the_report_holds() {
    let mut scene = Scene::compute(2.0, 1.5);
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .managed()
        .protected()
        .weight(10);
    for (name, rate) in [("t3.nano", 0.004), ("m5.xlarge", 0.12)] {
        scene
            .ledger
            .rates
            .insert((0, key(&format!("USE2-BoxUsage:{name}"))), dollars(rate));
    }
    scene.nodes = Some(vec![Node {
        node_pool: Some("spot".to_owned()),
        capacity: NodeCapacity::Spot,
        instance_type: Some("m5.xlarge".to_owned()),
        vcpu: Some(4),
        ..node(0)
    }]);
    let proposal = scene.run();
    let arithmetic = pool(&proposal, "committed").outcome.arithmetic.as_ref().unwrap();
    assert_eq!(
        (arithmetic.node.as_str(), arithmetic.price.rate),
        ("m5.xlarge", dollars(0.12))
    );
}

#[test]
fn hours_without_use_that_come_every_night_are_no_missing_rows() {
    let mut scene = Scene::compute(2.0, 1.5);
    let by_night = |scene: &mut Scene, since: &str| {
        for (hour, amounts) in &mut scene.ledger.plans[0].hours {
            if hour.start() >= at(since) && !(10..20).contains(&hour.of_day()) {
                (amounts.used, amounts.covered) = (Money::ZERO, Money::ZERO);
            }
        }
    };
    by_night(&mut scene, "2026-11-01T00:00:00Z");
    assert_eq!(decided(&scene).0, Decision::Fill);
    // The first such night may as well be one whose rows are late.
    let mut scene = Scene::compute(2.0, 1.5);
    by_night(&mut scene, "2026-11-20T00:00:00Z");
    assert_eq!(decided(&scene).0, Decision::Freeze);
}

#[test]
fn an_instance_for_an_hour_in_another_region_holds_nothing_up() {
    let silent_since = |hours: i32| {
        let newest = at("2026-11-19T20:00:00Z");
        let mut scene = Scene::compute(2.0, 1.5);
        let (series, cells) = usage("eu-west-1", "EU", 0.06, |hour| {
            hour.end() <= newest && hour.end() > newest - Duration::hours(hours.into())
        });
        (scene.ledger.series, scene.ledger.cells) = (vec![series], vec![cells]);
        scene.ledger.covered_regions.insert((0, "eu-west-1".to_owned()));
        scene
            .ledger
            .newest_by_region
            .insert("eu-west-1".to_owned(), newest);
        let terms = Terms {
            sharing: &Sharing::Open,
            horizon: scene.ledger.horizon(scene.now),
            maturity: Duration::hours(24),
            check: Check::Reconciling,
        };
        Utilization::of(&scene.ledger, &terms).groups[0].horizon
    };
    // What runs all day and is then silent is late: no newer hour of its plans is complete.
    assert_eq!(silent_since(24), at("2026-11-19T20:00:00Z"));
    assert_eq!(silent_since(1), at(HORIZON));
}

#[test]
fn a_plan_that_no_pool_can_use_is_named_with_the_cure() {
    let mut scene = Scene::new(vec![plan("e", PlanKind::Ec2Instance, 2.0, 1.0)]);
    scene.config.cluster.region = Some("us-east-2".to_owned());
    scene.pools = vec![NodePool::test("any").committed().managed(), spot()];
    let idle = |scene: &Scene| {
        let warnings = scene.run().warnings;
        let idle = warnings
            .into_iter()
            .find(|warning| warning.code == WarningCode::PlanWithoutPool);
        idle.map(|warning| warning.message)
    };
    let message = idle(&scene).unwrap();
    assert!(
        message.contains("$1.000/h of group ec2Instance/m5/us-east-2") && message.contains("values: [m5]"),
        "{message}"
    );
    // Another region's plans are other clusters', and this one's region is not known.
    let (region, elsewhere) = (scene.config.cluster.region.take(), "eu-west-1".to_owned());
    scene
        .ledger
        .newest_by_region
        .insert(elsewhere.clone(), at(HORIZON));
    assert_eq!(idle(&scene), None);
    scene.ledger.newest_by_region.remove(&elsewhere);
    scene.config.cluster.region = region;
    let pools = std::mem::take(&mut scene.pools);
    assert_eq!(idle(&scene), None, "no pool was read");
    scene.pools = pools;
    scene.pools.push(committed());
    assert_eq!(idle(&scene), None);
}

#[test]
fn what_an_instance_plan_bought_yesterday_pays_now_is_room_for_compute_plans() {
    let since = at("2026-11-20T12:00:00Z");
    let mut bought = plan("e", PlanKind::Ec2Instance, 1.5, 1.2);
    bought.plan.start = Some(since);
    bought.hours.retain(|hour, _| hour.start() >= since);
    let mut compute = plan("c", PlanKind::Compute, 4.0, 4.0);
    let left = plan("c", PlanKind::Compute, 4.0, 2.8).hours;
    compute
        .hours
        .extend(left.range(Hour::of(since)..).map(|(hour, use_)| (*hour, *use_)));
    let mut scene = Scene::new(vec![compute, bought]);
    scene.config.cluster.region = Some("us-east-2".to_owned());
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .managed()
        .protected()
        .weight(10);
    // Of the $4 that the Compute plan paid in the report's hours, $1.20 were m5: the new plan pays them now.
    let (mut series, mut cells) = usage("us-east-2", "USE2", 1.2, |_| true);
    series.class = UsageClass::Covered(0);
    for cell in &mut cells {
        cell.picos = 1_200_000_000_000;
    }
    (scene.ledger.series, scene.ledger.cells) = (vec![series], vec![cells]);
    let proposal = scene.run();
    let compute = proposal
        .groups
        .iter()
        .find(|group| group.id == GroupId::Compute)
        .unwrap();
    assert_eq!(compute.headroom(), Some(dollars(1.2)));
}

#[test]
fn what_untagged_nodes_cost_beyond_their_instance_plan_is_compute_demand() {
    let instance = plan("e", PlanKind::Ec2Instance, 0.6, 0.6);
    let mut scene = Scene::new(vec![plan("c", PlanKind::Compute, 2.0, 1.0), instance]);
    scene.config.cluster.region = Some("us-east-2".to_owned());
    // 60 m5.large cost $3.60: the m5 plan pays $0.60 of them, and $3 are more than the Compute plan has.
    scene.nodes = Some((0..60).map(node).collect());
    let proposal = scene.run();
    let compute = proposal
        .groups
        .iter()
        .find(|group| group.id == GroupId::Compute)
        .unwrap();
    assert_eq!(compute.headroom(), Some(dollars(-1.0)));
    assert_ne!(pool(&proposal, "committed").outcome.decision, Decision::Fill);
}

#[test]
fn what_a_gpu_costs_is_never_guessed() {
    let mut scene = Scene::compute(20.0, 1.0);
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .managed()
        .protected()
        .families(&["g5"])
        .weight(10);
    let (decision, weight) = decided(&scene);
    assert_eq!((decision, weight), (Decision::Freeze, Some(10)));
    scene
        .ledger
        .on_demand_prices
        .insert(key("USE2-BoxUsage:g5.xlarge"), dollars(1.006));
    scene
        .ledger
        .rates
        .insert((0, key("USE2-BoxUsage:g5.xlarge")), dollars(0.7));
    assert_eq!(decided(&scene).0, Decision::Fill);
}
