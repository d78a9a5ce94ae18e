//! Who pays for what runs: decisions where several accounts, plans and reservations meet. What is right is reckoned from
//! the bill: uncovered on-demand usage and Spot, $/h.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cur::{Bucket, COMPUTE, EC2_M5, Row, at};
use crate::support::run::{Brimful, entry, text};

const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";
/// A plan of the other account.
const THEIRS: &str = "arn:aws:savingsplans::444455556666:savingsplan/c0000000-0000-0000-0000-000000000009";
const M5: &str = "m5.large";
/// $/h of an m5.large on demand, by a plan, and on Spot.
const LIST: f64 = 0.10;
const RATE: f64 = 0.06;
const SPOT: f64 = 0.04;
/// Nineteen days, of which the last is not mature.
const HOURS: i32 = 19 * 24;
const NEWEST_MATURE: i32 = HOURS - 25;

/// A cluster `prod` with one committed and one Spot pool, limits and protection consented to.
struct World {
    folder: TempDir,
    families: Value,
    nodes: Vec<Value>,
    config: &'static str,
}

impl World {
    /// So many nodes of a type that have run since before the report began.
    fn new(nodes: usize, kind: &str) -> Self {
        let node = |index: usize| {
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": format!("node-{index}"), "creationTimestamp": "2026-10-01T00:00:00Z",
                "labels": {"karpenter.sh/nodepool": "committed", "karpenter.sh/capacity-type": "on-demand",
                    "node.kubernetes.io/instance-type": kind, "topology.kubernetes.io/region": "us-east-2",
                    "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
                "status": {"capacity": {"cpu": "2"}, "conditions": [{"type": "Ready", "status": "True"}]}})
        };
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            families: json!([]),
            nodes: (0..nodes).map(node).collect(),
            config: "{cluster: {name: prod}, share: 1, grips: [weight, disruption, limits]}",
        }
    }

    fn pools(&self) -> Value {
        let is = |key: &str, values: Value| json!({"key": key, "operator": "In", "values": values});
        let pool = |name: &str, capacity: &str, weight: Option<i32>, more: Option<Value>| {
            let mut requirements = vec![is("karpenter.sh/capacity-type", json!([capacity]))];
            requirements.extend(more);
            let mut pool = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
                "metadata": {"name": name, "labels": {}},
                "spec": {"template": {"spec": {"requirements": requirements, "expireAfter": "Never"}}}});
            if let Some(weight) = weight {
                pool["spec"]["weight"] = json!(weight);
            }
            pool
        };
        let any = self.families == json!([]);
        let families = (!any).then(|| is("karpenter.k8s.aws/instance-family", self.families.clone()));
        let mut committed = pool("committed", "on-demand", Some(60), families);
        committed["metadata"]["labels"] = json!({"brimful.dev/managed": "true"});
        committed["status"] = json!({"resources": {"cpu": (2 * self.nodes.len()).to_string()}});
        let overflow = pool("overflow", "on-demand", None, None);
        json!({"apiVersion": "v1", "kind": "List", "items": [committed, pool("spot", "spot", Some(50), None), overflow]})
    }

    /// The plan for a report whose hours are made of these rows.
    fn plan(&self, hour: impl Fn(i32) -> Vec<Row>) -> Value {
        let ahead = |hour_ahead: i32| {
            let fees = hour(HOURS - 1).into_iter().filter(Row::is_fee);
            fees.map(move |fee| fee.later(i64::from(hour_ahead - HOURS + 1)).used(0.0))
                .collect::<Vec<_>>()
        };
        let rows = (0..HOURS)
            .flat_map(&hour)
            .chain((HOURS..HOURS + 48).flat_map(ahead));
        let report = Bucket::of(rows);
        let write = |name: &str, value: &Value| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, value.to_string()).expect("a file");
            path
        };
        let nodes = json!({"apiVersion": "v1", "kind": "List", "items": self.nodes});
        Brimful::new("plan")
            .arg("--cur")
            .arg(report.path())
            .arg("--nodepools")
            .arg(write("pools.json", &self.pools()))
            .arg("--nodes")
            .arg(write("nodes.json", &nodes))
            .args(["--now", &brimful_types::hour::rfc3339(at(HOURS + 6))])
            .config(self.config)
            .json(0)
    }
}

fn usage_type(kind: &str) -> String {
    format!("USE2-BoxUsage:{kind}")
}

fn own(row: Row) -> Row {
    row.account(OWN)
        .region("us-east-2")
        .tag_cluster("prod")
        .tag_node_pool("committed")
}

fn others(row: Row) -> Row {
    row.account(OTHER).region("us-east-2")
}

fn covered(plan: &str, hour: i32, kind: &str, amount: f64) -> Row {
    let row = Row::covered(plan, hour, &usage_type(kind))
        .amount(amount)
        .rate(RATE);
    row.cost(RATE * amount).list(LIST * amount)
}

fn on_demand(hour: i32, kind: &str, amount: f64) -> Row {
    Row::on_demand(hour, &usage_type(kind))
        .amount(amount)
        .list(LIST * amount)
}

/// What the cluster pays for Spot, so that its price is known.
fn spot(hour: i32, price: f64) -> Row {
    own(Row::spot(hour, "USE2-SpotUsage:m5.large")
        .amount(1.0)
        .unblended(price))
}

fn fee(plan: &str, hour: i32, nodes: f64, used: f64) -> Row {
    Row::fee(plan, hour).commitment(RATE * nodes).used(RATE * used)
}

fn decided(plan: &Value) -> (&str, Option<&str>) {
    let pool = entry(&plan["nodePools"], "name", "committed");
    (
        text(&pool["decision"]),
        pool["limits"]["proposed"]["cpu"].as_str(),
    )
}

/// The plan for fourteen nodes of ours, which a Compute plan for 24 pays, and so many of others' in each hour.
fn beside(theirs: impl Fn(i32) -> f64) -> Value {
    World::new(14, M5).plan(|hour| {
        let theirs = theirs(hour);
        let paid = f64::min(theirs, 10.0);
        let mut rows = vec![
            fee(COMPUTE, hour, 24.0, 14.0 + paid),
            own(covered(COMPUTE, hour, M5, 14.0)),
            others(covered(COMPUTE, hour, M5, paid)),
            spot(hour, SPOT),
        ];
        rows.extend((theirs > paid).then(|| others(on_demand(hour, M5, theirs - paid))));
        rows
    })
}

#[test]
fn a_plan_that_stands_idle_beside_our_own_uncovered_nodes_does_not_reach_us() {
    let plan = World::new(10, M5).plan(|hour| {
        vec![
            fee(COMPUTE, hour, 7.0, 7.0),
            own(covered(COMPUTE, hour, M5, 7.0)),
            own(on_demand(hour, M5, 3.0)),
            fee(THEIRS, hour, 30.0, 10.0),
            others(covered(THEIRS, hour, M5, 10.0)),
            spot(hour, SPOT),
        ]
    });
    // Three nodes of ten are paid by nobody: less is right, more never.
    assert_eq!(decided(&plan), ("drain", Some("14")), "{:#}", plan["nodePools"]);
    let warning = entry(&plan["warnings"], "code", "plan-out-of-reach");
    assert!(
        text(&warning["message"]).contains("sharing.accounts"),
        "{warning}"
    );
}

#[test]
fn nor_does_one_that_stands_idle_beside_untagged_instances_of_our_account() {
    let world = |account: &str| {
        World {
        config: "{cluster: {name: prod, account: '111122223333'}, share: 1, grips: [weight, disruption, limits]}",
        ..World::new(0, M5)
    }
    .plan(|hour| {
        let untagged = on_demand(hour, M5, 10.0).region("us-east-2").account(account);
        vec![
            fee(THEIRS, hour, 30.0, 10.0),
            others(covered(THEIRS, hour, M5, 10.0)),
            untagged,
            spot(hour, SPOT),
        ]
    })
    };
    let plan = world(OWN);
    assert_ne!(decided(&plan).0, "fill", "{:#}", plan["nodePools"]);
    entry(&plan["warnings"], "code", "plan-out-of-reach");
    // Those of a third account prove nothing about ours.
    let plan = world("777788889999");
    assert_eq!(decided(&plan).0, "fill", "{:#}", plan["nodePools"]);
}

#[test]
fn a_dip_that_only_incomplete_hours_show_to_be_over_is_no_room() {
    // Others' ten nodes stood still for a day, and nine of them run again in the hours whose rows are still coming in: that
    // leaves room for one of ours.
    let plan = beside(|hour| match hour {
        hour if hour > NEWEST_MATURE + 6 => 9.0,
        hour if hour > NEWEST_MATURE - 24 => 0.0,
        _ => 10.0,
    });
    assert_eq!(decided(&plan), ("fill", Some("30")), "{:#}", plan["nodePools"]);
}

#[test]
fn nothing_is_given_back_for_a_burst_that_only_incomplete_hours_show() {
    // Others' ten nodes were sixty in the newest hours of the report; by now that may be over.
    let plan = beside(|hour| if hour >= HOURS - 8 { 60.0 } else { 10.0 });
    assert_eq!(decided(&plan), ("hold", Some("28")), "{:#}", plan["nodePools"]);
}

#[test]
fn others_overrun_of_compute_takes_nothing_from_nodes_that_an_instance_plan_pays() {
    // The pool may launch anything, so the m5 plan promises it nothing; it pays for what runs all the same.
    let plan = World::new(10, M5).plan(|hour| {
        vec![
            fee(EC2_M5, hour, 10.0, 10.0).for_m5_in_ohio(),
            own(covered(EC2_M5, hour, M5, 10.0)).for_m5_in_ohio(),
            fee(COMPUTE, hour, 5.0, 5.0),
            others(covered(COMPUTE, hour, "c5.large", 5.0)),
            others(on_demand(hour, "c5.large", 40.0)),
            spot(hour, SPOT),
        ]
    });
    assert_eq!(decided(&plan).0, "hold", "{:#}", plan["nodePools"]);
}

#[test]
fn nor_from_nodes_that_reservations_pay() {
    let plan = World::new(10, M5).plan(|hour| {
        vec![
            own(Row::reserved(hour, &usage_type(M5))
                .amount(10.0)
                .list(LIST * 10.0)),
            fee(COMPUTE, hour, 5.0, 5.0),
            others(covered(COMPUTE, hour, M5, 5.0)),
            others(on_demand(hour, M5, 40.0)),
            spot(hour, SPOT),
        ]
    });
    assert_eq!(decided(&plan).0, "hold", "{:#}", plan["nodePools"]);
}

#[test]
fn what_an_instance_plan_cannot_hold_is_given_back_once() {
    // 10 of 30 nodes are on the m5 plan; the Compute plan is the other account's and overrun by it.
    let mut world = World::new(30, M5);
    world.families = json!(["m5"]);
    let plan = world.plan(|hour| {
        vec![
            fee(EC2_M5, hour, 10.0, 10.0).for_m5_in_ohio(),
            own(covered(EC2_M5, hour, M5, 10.0)).for_m5_in_ohio(),
            own(on_demand(hour, M5, 20.0)),
            fee(THEIRS, hour, 5.0, 5.0),
            others(covered(THEIRS, hour, "c5.large", 5.0)),
            others(on_demand(hour, "c5.large", 10.0)),
            spot(hour, SPOT),
        ]
    });
    assert_eq!(decided(&plan), ("drain", Some("20")), "{:#}", plan["nodePools"]);
}

#[test]
fn a_reservation_that_has_ended_leaves_no_room() {
    let end = NEWEST_MATURE - 4;
    let plan = World::new(10, M5).plan(|hour| {
        let reserved = if hour < end { 8.0 } else { 0.0 };
        let paid = 18.0 - reserved;
        let mut rows = vec![
            fee(COMPUTE, hour, 18.0, paid),
            own(covered(COMPUTE, hour, M5, 10.0)),
            spot(hour, SPOT),
        ];
        rows.extend((reserved > 0.0).then(|| others(Row::reserved(hour, &usage_type(M5)).amount(reserved))));
        rows.extend((reserved == 0.0).then(|| others(covered(COMPUTE, hour, M5, 8.0))));
        rows
    });
    assert_eq!(decided(&plan).0, "hold", "{:#}", plan["nodePools"]);
}

#[test]
fn a_burst_that_is_over_is_not_told_as_present() {
    // Others' ten nodes were sixty for ten hours, which ended some hours before the newest mature one.
    let burst = NEWEST_MATURE - 13..NEWEST_MATURE - 3;
    let plan = beside(|hour| if burst.contains(&hour) { 60.0 } else { 10.0 });
    let (decision, cpu) = decided(&plan);
    assert_eq!((decision, cpu), ("hold", Some("28")), "{:#}", plan["nodePools"]);
}

#[test]
fn usage_that_no_plan_was_seen_to_pay_counts_at_the_usual_discount() {
    // Our forty m5 fill our plan; forty c5 of others, never covered, stand beside it. Each of our nodes that goes lets the
    // plan pay for one of theirs.
    let plan = World::new(60, M5).plan(|hour| {
        vec![
            fee(COMPUTE, hour, 60.0, 60.0),
            own(covered(COMPUTE, hour, M5, 60.0)),
            others(on_demand(hour, "c5.large", 40.0)),
            spot(hour, SPOT),
        ]
    });
    assert_eq!(decided(&plan), ("drain", Some("40")), "{:#}", plan["nodePools"]);
}

#[test]
fn nothing_is_given_back_to_spot_that_costs_as_much() {
    let plan = World::new(10, M5).plan(|hour| {
        vec![
            fee(COMPUTE, hour, 5.0, 5.0),
            own(covered(COMPUTE, hour, M5, 5.0)),
            own(on_demand(hour, M5, 5.0)),
            spot(hour, LIST * 1.1),
        ]
    });
    assert_eq!(decided(&plan).0, "hold", "{:#}", plan["nodePools"]);
}

#[test]
fn without_nodes_the_report_says_what_the_cluster_runs() {
    // Room for not quite ten m5.large; the smallest type of the report is another cluster's.
    let plan = World::new(0, M5).plan(|hour| {
        let nano = Row::covered(COMPUTE, hour, &usage_type("t3.nano"))
            .amount(1.0)
            .rate(0.003);
        vec![
            fee(COMPUTE, hour, 20.0, 10.05),
            others(covered(COMPUTE, hour, M5, 10.0)),
            others(nano.cost(0.003).list(0.0052)),
            spot(hour, SPOT),
        ]
    });
    assert_eq!(decided(&plan), ("fill", Some("19")), "{:#}", plan["nodePools"]);
}

#[test]
fn a_pool_that_no_plan_in_the_report_pays_for_gets_its_own_back() {
    let mut world = World::new(10, "r5.large");
    world.families = json!(["r5"]);
    let plan = world.plan(|hour| {
        vec![
            fee(EC2_M5, hour, 10.0, 10.0).for_m5_in_ohio(),
            others(covered(EC2_M5, hour, M5, 10.0)).for_m5_in_ohio(),
            own(on_demand(hour, "r5.large", 10.0)),
            spot(hour, SPOT),
        ]
    });
    assert_eq!(decided(&plan).0, "none", "{:#}", plan["nodePools"]);
}
