//! Laws of the rough world.

use std::collections::BTreeMap;

use brimful_policy::settings::Settings;
use brimful_simulation::trace::{STEPS_PER_DAY, time_of};
use serde_json::json;

use super::bill::Tariff;
use super::cluster::{Cluster, Weather};
use super::pool::{Pool, Spec};
use super::run::{Policy, Start, run};
use super::scenario::Scenario;
use super::workload::{Deployment, Workload};
use super::{COMPUTE, INSTANCE, ON_DEMAND, SPOT, room};

fn spec(name: &str, spot: bool, weight: i32) -> Spec {
    Spec::new(name, spot, Some(weight))
}

fn weather(work: &Workload, step: usize) -> Weather<'_> {
    Weather {
        work,
        step,
        has_spot: true,
        interruptions: 0.0,
        rolls_out: false,
        seed: 1,
    }
}

/// Pods that ask for `before` vCPU, and for `after` from the sixth hour on.
fn work(before: f64, after: f64) -> Workload {
    let level = (0..STEPS_PER_DAY).map(|step| if step < 36 { before } else { after });
    let deployment = Deployment {
        level: level.collect(),
        churn: 0.02,
        on_demand: false,
        team: 0,
    };
    Workload::draw(&[deployment], 7)
}

/// On a heavy committed pool first; from the sixth hour on it gets this spec. Its vCPU and those of the Spot pool.
fn after(before: f64, later: f64, change: &serde_json::Value) -> (u32, u32) {
    let work = work(before, later);
    let pools = [spec("committed", false, 50), spec("spot", true, 10)];
    let mut cluster = Cluster::new(&pools, &work).unwrap();
    for step in 0..STEPS_PER_DAY {
        if step == 36 {
            cluster.patch("committed", &json!({ "spec": change })).unwrap();
        }
        cluster.step(&weather(&work, step));
        assert_pods_run_once(&cluster, &work);
    }
    (cluster.vcpu(0), cluster.vcpu(1))
}

fn assert_pods_run_once(cluster: &Cluster, work: &Workload) {
    let mut seen = BTreeMap::new();
    for machine in &cluster.machines {
        let asked: u32 = machine.pods.iter().map(|pod| work.pods[*pod as usize].cpu).sum();
        assert_eq!(machine.free, room(machine.size) - asked);
        for pod in &machine.pods {
            assert_eq!(seen.insert(*pod, machine.serial), None);
            assert_eq!(cluster.home[*pod as usize], machine.serial);
        }
    }
    assert!(cluster.pending.iter().all(|pod| !seen.contains_key(pod)));
}

#[test]
fn running_spot_stays_and_new_nodes_come_from_the_heavier_pool() {
    let (committed, spot) = after(60.0, 120.0, &json!({ "weight": 5 }));
    assert_eq!(committed, 0, "unprotected and below Spot it goes to Spot");
    assert!(spot > 120);
    let (committed, spot) = after(60.0, 120.0, &json!({}));
    assert!(committed > 120);
    assert_eq!(spot, 0);
}

#[test]
fn a_pool_whose_budget_is_nothing_keeps_its_nodes_and_one_in_use_is_no_empty_one() {
    let closed =
        json!({ "weight": 5, "disruption": { "budgets": [{ "nodes": "0", "reasons": ["Underutilized"] }] } });
    let (committed, _) = after(60.0, 120.0, &closed);
    assert!(committed >= 56, "{committed}");
    let when_empty = json!({ "weight": 5, "disruption": { "consolidationPolicy": "WhenEmpty" } });
    let (committed, _) = after(60.0, 120.0, &when_empty);
    assert!(committed >= 56, "{committed}");
}

#[test]
fn a_limit_below_what_runs_moves_the_rest_to_spot() {
    let (committed, spot) = after(60.0, 60.0, &json!({ "limits": { "cpu": "32" } }));
    assert!((16..=32).contains(&committed), "{committed}");
    assert!(spot >= 32, "{spot}");
}

#[test]
fn a_workload_that_shrinks_takes_on_demand_nodes_before_spot() {
    let work = work(200.0, 100.0);
    let pools = [spec("committed", false, 50), spec("spot", true, 10)];
    let mut cluster = Cluster::new(&pools, &work).unwrap();
    cluster
        .patch("committed", &json!({ "spec": { "limits": { "cpu": "96" } } }))
        .unwrap();
    let mut before = (0, 0);
    for step in 0..48 {
        if step == 36 {
            before = cluster.by_capacity();
        }
        cluster.step(&weather(&work, step));
    }
    let (on_demand, spot) = cluster.by_capacity();
    assert!(before.0 >= 80, "{before:?}");
    assert!(
        before.0 - on_demand > (before.1 - spot) / 2,
        "{before:?} became {on_demand}, {spot}"
    );
}

#[test]
fn an_entry_that_is_due_once_a_year_holds_from_its_minute_on() {
    let mut pool = Pool::new(spec("committed", false, 50)).unwrap();
    let entry = |schedule: &str| {
        json!({ "spec": { "disruption": { "budgets": [
            { "nodes": "10%" },
            { "nodes": "0", "reasons": ["Underutilized"], "schedule": schedule, "duration": "8736h" },
        ] } } })
    };
    let now = time_of(0) + chrono::Duration::minutes(90); // 2026-05-04 01:30
    pool.patch(&entry("31 1 4 5 *")).unwrap();
    assert_eq!(pool.allows("Underutilized", 20, now), 2);
    assert_eq!(pool.allows("Empty", 20, now), 2);
    pool.patch(&entry("30 1 4 5 *")).unwrap();
    assert_eq!(pool.allows("Underutilized", 20, now), 0);
    assert_eq!(pool.allows("Empty", 20, now), 2);
    pool.patch(&entry("0 0 * * *")).unwrap();
    assert_eq!(pool.allows("Underutilized", 20, now), 0);
}

#[test]
fn a_bill_accounts_for_the_whole_commitment_and_all_of_the_demand() {
    for own in [0.0, 50.0, 150.0, 400.0] {
        for others_family in [0.0, 90.0] {
            let tariff = Tariff {
                compute: 9.0,
                instance: 5.0,
                others_family,
                others: 3.0,
                spot: SPOT,
            };
            let paid = tariff.paid(own);
            let by_instance = paid.instance_used / INSTANCE;
            let at_compute = paid.compute_used + paid.spill;
            let family = own + others_family;
            assert!((by_instance + (at_compute - 3.0) / COMPUTE - family).abs() < 1e-9);
            let bill = tariff.bill(own, 10.0);
            let used = paid.instance_used + paid.compute_used;
            assert!((bill.unused + used / 6.0 - bill.commitment).abs() < 1e-9);
            assert!((bill.cost * 6.0 - paid.spill / COMPUTE * ON_DEMAND - 10.0 * SPOT).abs() < 1e-9);
            assert!(bill.unused < 1e-9 || bill.spill < 1e-9 || paid.instance_used < 5.0);
        }
    }
}

#[test]
fn no_number_of_nodes_on_demand_costs_less_than_the_bound() {
    for (others, others_family) in [(0.0, 0.0), (7.0, 90.0), (20.0, 0.0), (3.0, 300.0)] {
        let tariff = Tariff {
            compute: 9.0,
            instance: 5.0,
            others_family,
            others,
            spot: SPOT,
        };
        let bound = tariff.bound(400.0, 40.0).cost;
        let costs = (40..=400).map(|on_demand| {
            tariff
                .bill(f64::from(on_demand), 400.0 - f64::from(on_demand))
                .cost
        });
        let least = costs.fold(f64::INFINITY, f64::min);
        assert!(bound <= least + 1e-9 && least - bound < 0.01, "{bound} {least}");
    }
}

#[test]
fn equal_seeds_give_equal_months_and_every_grip_beats_leaving_alone() {
    let trace = Scenario::Steady.trace(3);
    assert_eq!(trace, Scenario::Steady.trace(3));
    let start = Start::new(&trace).unwrap();
    let play = |policy| run(&trace, &start, policy, &Settings::default(), 3).unwrap();
    let alone = play(Policy::LeaveAlone);
    assert!(alone.bound(&trace).cost <= alone.bill.cost);
    for policy in [Policy::Weight, Policy::Protection, Policy::All] {
        let found = play(policy);
        assert!(found.bill.cost < alone.bill.cost, "{policy:?}");
        assert_eq!(found, play(policy));
    }
}
