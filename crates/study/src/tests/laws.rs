//! Laws of the model, on short runs.

use super::scenario::Scenario;
use brimful_policy::limits::Vcpu;
use brimful_policy::settings::Settings;
use brimful_simulation::billing::Tariff;
use brimful_simulation::closed_loop::{Run, run};
use brimful_simulation::cluster::Cluster;
use brimful_simulation::node_pools::{HIGH, Pool};
use brimful_simulation::oracle;
use brimful_simulation::policies::{Consents, Kind};
use brimful_simulation::report::{History, Report, tariff};
use brimful_simulation::trace::{Prices, STEPS_PER_DAY, STEPS_PER_HOUR, Trace, WARM_UP};
use serde_json::json;

fn played(trace: &Trace, kind: Kind, days: usize) -> Run {
    run(trace, kind, &Settings::default(), days).unwrap()
}

fn every_consent() -> impl Iterator<Item = Consents> {
    [Consents::NONE].into_iter().chain(Consents::NONE.further())
}

/// All clusters of several share one oracle, with other luck.
fn with_one_cluster() -> impl Iterator<Item = Scenario> {
    Scenario::ALL
        .into_iter()
        .filter(|scenario| *scenario != Scenario::SeveralClusters)
}

#[test]
fn no_policy_beats_the_oracle_and_the_oracle_never_beats_free_migration() {
    let simple = [Kind::LeaveAlone, Kind::Naive, Kind::Live, Kind::Static];
    for scenario in with_one_cluster() {
        let trace = scenario.trace(1);
        let steps = 3 * STEPS_PER_DAY;
        let best = oracle::oracle(&trace, steps).cost;
        assert!(
            best >= oracle::free_migration(&trace, steps).cost - 1e-9,
            "{scenario:?}"
        );
        for kind in simple {
            let found = played(&trace, kind, 3);
            assert!(found.bill.cost >= best - 1e-9, "{scenario:?} {kind:?}");
        }
    }
    let trace = Scenario::Diurnal.trace(2);
    let best = oracle::oracle(&trace, 3 * 144).cost;
    for consents in every_consent() {
        let found = played(&trace, Kind::Brimful(consents), 3);
        assert!(found.bill.cost >= best - 1e-9, "{consents:?}");
    }
}

#[test]
fn equal_seeds_give_equal_figures_and_others_do_not() {
    let trace = |seed| Scenario::Bursts.trace(seed);
    assert_eq!(trace(3), trace(3));
    let run = |seed| played(&trace(seed), Kind::Brimful(Consents::ALL), 1);
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).on_demand, run(4).on_demand);
}

#[test]
fn whatever_is_consented_to_beats_leaving_alone_and_stays_close_to_the_oracle() {
    let trace = Scenario::Steady.trace(1);
    let alone = played(&trace, Kind::LeaveAlone, 5).bill.cost;
    let best = oracle::oracle(&trace, 5 * STEPS_PER_DAY).cost;
    for consents in every_consent() {
        let found = played(&trace, Kind::Brimful(consents), 5);
        let part = |cost: f64| (found.bill.cost - cost) / found.bill.commitment;
        assert!(part(alone) < -0.15, "{consents:?} {found:?}");
        assert!(part(best) < 0.05, "{consents:?} {found:?}");
        // Limits keep what is full from going beyond; weights must be changed whenever a node comes or goes.
        assert!(
            found.effort.weights <= if consents.limits { 5 } else { 100 },
            "{consents:?} {found:?}"
        );
        assert_eq!(
            found.effort.moves > 0,
            consents.top_up,
            "{consents:?} {:?}",
            found.effort
        );
    }
}

#[test]
fn a_bill_accounts_for_the_whole_commitment_and_all_of_the_demand() {
    let tariff = |others| Tariff {
        prices: Prices {
            on_demand: 0.192,
            savings_plan: 0.14,
        },
        commitment: 7.0,
        others,
        spot: 0.076,
    };
    for (others, on_demand) in [(0.0, 0.0), (3.0, 20.0), (3.0, 40.0), (9.0, 5.0)] {
        let bill = tariff(others).bill(on_demand, 10.0);
        let demand = (others + on_demand * 0.14) / 6.0;
        let used = bill.commitment - bill.unused;
        assert!((used + bill.spill - demand).abs() < 1e-12);
        assert!(bill.unused == 0.0 || bill.spill == 0.0);
        let spilled = bill.spill / 0.14 * 0.192;
        assert!((bill.cost - spilled - 10.0 * 0.076 / 6.0).abs() < 1e-12);
    }
}

/// A trace in which no node ends and the workload is what `nodes` says, from the first step on.
fn calm(nodes: fn(usize) -> usize) -> Trace {
    let mut trace = Scenario::Steady.trace(1);
    let work = &mut trace.clusters[0];
    work.nodes = (0..trace.steps).map(nodes).collect();
    work.on_demand_ends.iter_mut().for_each(Vec::clear);
    work.spot_ends.iter_mut().for_each(Vec::clear);
    trace
}

fn counts(cluster: &Cluster) -> [usize; 3] {
    Pool::ALL.map(|pool| cluster.count(pool))
}

/// Twenty nodes that are needed all the time, on Spot at first; the committed pool gets this spec.
fn after(steps: usize, spec: &serde_json::Value, nodes: fn(usize) -> usize, protected: bool) -> Cluster {
    let trace = calm(nodes);
    let mut cluster = Cluster::new("c", protected, 20).unwrap();
    let high = json!({ "spec": { "weight": HIGH } });
    cluster.patch("committed", &high).unwrap();
    for step in 0..6 {
        cluster.step(&trace.clusters[0], step, true);
    }
    cluster.patch("committed", &json!({ "spec": spec })).unwrap();
    for step in 6..6 + steps {
        cluster.step(&trace.clusters[0], step, true);
    }
    cluster
}

/// Twenty nodes; twelve more from the second step on, which the committed pool launches.
fn grown(step: usize) -> usize {
    if step == 0 { 20 } else { 32 }
}

#[test]
fn running_spot_never_moves_and_new_nodes_go_to_the_heavier_pool() {
    assert_eq!(counts(&after(20, &json!({}), grown, false)), [12, 0, 20]);
}

#[test]
fn a_lower_limit_moves_the_excess_to_spot_and_stops_there() {
    let limited = json!({ "limits": { "cpu": "32" } });
    assert_eq!(counts(&after(1, &limited, grown, false)), [8, 0, 24]);
    assert_eq!(counts(&after(20, &limited, grown, false)), [8, 0, 24]);
    assert_eq!(
        counts(&after(20, &limited, grown, true)),
        [12, 0, 20],
        "protected"
    );
}

#[test]
fn a_lower_weight_drains_an_unprotected_pool_only() {
    let low = json!({ "weight": 5 });
    assert_eq!(counts(&after(1, &low, grown, false)), [8, 0, 24]);
    assert_eq!(counts(&after(20, &low, grown, false)), [0, 0, 32]);
    assert_eq!(counts(&after(20, &low, grown, true)), [12, 0, 20]);
}

#[test]
fn a_workload_that_shrinks_takes_the_dearest_nodes_first_unless_they_are_protected() {
    let nodes = |step| if step < 6 { grown(step) } else { 16 };
    assert_eq!(counts(&after(1, &json!({}), nodes, false)), [0, 0, 16]);
    assert_eq!(counts(&after(1, &json!({}), nodes, true)), [12, 0, 4]);
    let few = |step| if step < 6 { grown(step) } else { 10 };
    assert_eq!(counts(&after(1, &json!({}), few, true)), [10, 0, 0]);
}

#[test]
fn without_spot_a_full_pools_pods_go_to_the_overflow_pool_and_come_back_later() {
    let trace = calm(grown);
    let mut cluster = Cluster::new("c", false, 20).unwrap();
    let full = json!({ "spec": { "weight": HIGH, "limits": { "cpu": "16", "memory": "68813Mi" } } });
    cluster.patch("committed", &full).unwrap();
    for step in 0..3 {
        cluster.step(&trace.clusters[0], step, false);
    }
    assert_eq!(counts(&cluster), [4, 8, 20]);
    for step in 3..20 {
        cluster.step(&trace.clusters[0], step, true);
    }
    assert_eq!(counts(&cluster), [4, 0, 28]);
}

#[test]
fn nodes_and_their_objects_never_part_in_a_month() {
    let trace = Scenario::Spot.trace(1);
    let mut cluster = Cluster::new("c", false, trace.clusters[0].nodes[0]).unwrap();
    let full = json!({ "spec": { "weight": HIGH, "limits": { "cpu": "120" } } });
    cluster.patch("committed", &full).unwrap();
    for step in 0..trace.steps {
        cluster.step(&trace.clusters[0], step, trace.has_spot[step]);
        assert_eq!(cluster.nodes().len(), trace.clusters[0].nodes[step]);
        assert!(cluster.count(Pool::Committed) <= 30);
    }
    for pool in Pool::ALL {
        let of = |node: &&brimful_karpenter::Node| node.node_pool.as_deref() == Some(pool.name());
        assert_eq!(cluster.nodes().iter().filter(of).count(), cluster.count(pool));
    }
    cluster.refresh();
    let seen = &cluster.node_pools()[Pool::Committed as usize];
    let cpu = Vcpu::of(&seen.resources).unwrap().0;
    assert_eq!(cpu, cluster.count(Pool::Committed) as i64 * 4000);
}

#[test]
fn a_report_tells_the_plans_use_in_its_mature_hours() {
    let trace = Scenario::PlanExpiry.trace(1);
    let mut cluster = Cluster::new("cluster-0", false, trace.clusters[0].nodes[0]).unwrap();
    cluster
        .patch(
            "committed",
            &json!({ "spec": { "weight": HIGH, "limits": { "cpu": "80" } } }),
        )
        .unwrap();
    let mut history = History::default();
    for step in 0..WARM_UP {
        cluster.step(&trace.clusters[0], step, true);
        history.note(step, std::slice::from_ref(&cluster));
    }
    let delivery = *trace.deliveries.iter().rfind(|d| d.step < WARM_UP).unwrap();
    let report = Report::new(&trace, &history, delivery, &Settings::default());
    let group = &report.utilization.groups[0];
    let (hour, use_) = group.hours.iter().rev().find(|(_, hour)| hour.mature).unwrap();
    let index = (hour.index() - brimful_types::hour::Hour::of(brimful_simulation::trace::time_of(0)).index())
        as usize;
    let age = delivery.step / STEPS_PER_HOUR - index;
    assert!((30..50).contains(&age), "{age} hours old");
    let run = history.0[index].0[0];
    let demand = (run[0] + run[1]) * 0.14 + trace.others[index];
    assert!((use_.commitment.dollars() - 14.0).abs() < 1e-9);
    assert!((use_.used.dollars() - demand.min(14.0)).abs() < 1e-6);
    assert!(!group.hours.values().any(|hour| hour.contradictory));
    let known = report.ledger.plans.len();
    assert_eq!(known, 2, "the plan of day 20 is not bought yet");
    let terms = tariff(&trace, WARM_UP);
    assert!((terms.commitment - 14.0).abs() < 1e-9);
}
