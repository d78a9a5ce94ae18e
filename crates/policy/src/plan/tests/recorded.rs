//! The cluster's own record in place of tags.

use super::*;
use brimful_savings_plans::nowcast::Method;
use brimful_types::warning::WarningCode;

/// The report shows 25 nodes' use without tags; each hour from `first` on was recorded with so many nodes of this cluster.
fn recorded(first: &str, nodes: usize) -> Scene {
    let mut scene = Scene::compute(2.0, 1.5);
    over(&mut scene, 1.5);
    scene.ledger.series[0].class = brimful_savings_plans::ledger::UsageClass::Covered(0);
    scene.nodes = Some((0..nodes).map(node).collect());
    let mut time = at(first);
    while time < at(NOW) {
        scene.state = Scene {
            now: time,
            state: scene.state,
            ledger: scene.ledger.clone(),
            nodes: scene.nodes.clone(),
            claims: None,
            pods: None,
            peers: Peers::default(),
            pools: scene.pools.clone(),
            config: scene.config.clone(),
        }
        .run()
        .state;
        time += Duration::minutes(20);
    }
    scene
}

fn untagged(proposal: &Proposal) -> &str {
    let mut all = proposal.warnings.iter();
    &all.find(|warning| warning.code == WarningCode::Untagged)
        .unwrap()
        .message
}

#[test]
fn without_tags_live_nodes_replace_what_runs_recorded_then() {
    let mut scene = recorded("2026-11-17T00:00:00Z", 20);
    assert_eq!(decided(&scene).0, Decision::Fill);
    let same = scene.run();
    assert_eq!(same.nowcasts[&GroupId::Compute].demand, dollars(1.5));
    assert_eq!(same.nowcasts[&GroupId::Compute].method, Method::Live);
    // 20 of the 25 nodes are this cluster's; nine more fill the plan.
    scene.nodes = Some((0..29).map(node).collect());
    let more = scene.run();
    assert_eq!(more.nowcasts[&GroupId::Compute].demand, dollars(2.04));
    assert_eq!(decided(&scene).0, Decision::Hold);
    let said = untagged(&more);
    assert!(
        said.contains("has recorded of its nodes in 81 complete hours"),
        "{said}"
    );
}

#[test]
fn hours_without_a_record_are_unknown_and_count_for_nothing() {
    let mut scene = recorded("2026-11-17T00:00:00Z", 20);
    // Before the record began, nobody ran anything: taken for known, that would be this cluster's zero.
    for (hour, amounts) in &mut scene.ledger.plans[0].hours {
        if hour.start() < at("2026-11-17T00:00:00Z") {
            (amounts.used, amounts.covered) = (Money::ZERO, Money::ZERO);
        }
    }
    scene.ledger.cells[0].retain(|cell| cell.hour.start() >= at("2026-11-17T00:00:00Z"));
    let nowcast = &scene.run().nowcasts[&GroupId::Compute];
    assert_eq!((nowcast.low, nowcast.high), (dollars(1.5), dollars(1.5)));
}

#[test]
fn a_record_of_less_than_a_day_corrects_nothing_yet() {
    let scene = recorded("2026-11-19T12:00:00Z", 20);
    let proposal = scene.run();
    assert_ne!(proposal.nowcasts[&GroupId::Compute].method, Method::Live);
    let said = untagged(&proposal);
    assert!(
        said.contains("21 complete hours of compute so far that fit the report, 24 are needed"),
        "{said}"
    );
}

#[test]
fn more_than_the_report_holds_is_not_taken_out_of_it() {
    // 30 nodes cost 1.8 $/h, and the report shows 1.5 of everybody's.
    let proposal = recorded("2026-11-17T00:00:00Z", 30).run();
    assert_ne!(proposal.nowcasts[&GroupId::Compute].method, Method::Live);
    assert!(untagged(&proposal).contains("recorded 0 complete hours"));
}

#[test]
fn tags_come_before_the_record() {
    let mut scene = recorded("2026-11-17T00:00:00Z", 20);
    tagged(&mut scene, 1.5);
    scene.nodes = Some((0..25).map(node).collect());
    let proposal = scene.run();
    assert_eq!(
        proposal.nowcasts[&GroupId::Compute].demand,
        dollars(1.5),
        "25 nodes then, not 20"
    );
    assert!(!codes(&proposal).contains(&"untagged"));
}

#[test]
fn a_node_without_an_sp_rate_leaves_a_gap_in_the_record() {
    let mut scene = Scene::compute(2.0, 1.5);
    let mut strange = node(0);
    strange.instance_type = Some("z99.large".to_owned());
    scene.nodes = Some(vec![node(1), strange]);
    assert!(scene.run().state.burn.is_empty());
    scene.nodes = Some(vec![node(1)]);
    assert!(!scene.run().state.burn.is_empty());
}

#[test]
fn what_others_cannot_tell_by_tags_is_not_offered_for_subtraction() {
    let scene = recorded("2026-11-17T00:00:00Z", 20);
    let told = scene.run().demand.unwrap();
    assert!(!told.comparable);
}

#[test]
fn what_an_instance_plan_could_not_hold_then_is_told_by_the_report_whoevers_it_was() {
    use brimful_savings_plans::ledger::{Cell, UsageClass};
    use brimful_types::quantity::Quantity;
    // 25 untagged m5.large at $0.06: an EC2 Instance plan is full with $1.00, Compute plans pay the other $0.50.
    let mut scene = Scene::new(vec![
        plan("e", PlanKind::Ec2Instance, 1.0, 1.0),
        plan("c", PlanKind::Compute, 2.0, 0.5),
    ]);
    over(&mut scene, 1.0);
    let mut rest = scene.ledger.series[0].clone();
    scene.ledger.series[0].class = UsageClass::Covered(0);
    rest.class = UsageClass::Covered(1);
    scene.ledger.series.push(rest);
    let overflow = scene.ledger.cells[0].iter().map(|cell| Cell {
        amount: Quantity::from_units(0.5 / 0.06).unwrap(),
        ..*cell
    });
    let overflow = overflow.collect();
    scene.ledger.cells.push(overflow);
    let groups = BTreeSet::from([m5(), GroupId::Compute]);
    let live = BTreeMap::from([(m5(), dollars(1.2))]);
    for hour in 0..114 {
        let time = at("2026-11-17T00:00:00Z") + Duration::hours(hour);
        scene.state.burn.note(&groups, &live, time);
    }
    let demand = |scene: &Scene| {
        let nowcasts = scene.run().nowcasts;
        (nowcasts[&m5()].demand, nowcasts[&GroupId::Compute].demand)
    };
    scene.nodes = Some((0..20).map(node).collect());
    assert_eq!(
        demand(&scene),
        (dollars(1.0), dollars(0.5)),
        "nothing has changed"
    );
    scene.nodes = Some((0..25).map(node).collect());
    assert_eq!(
        demand(&scene),
        (dollars(1.0), dollars(0.8)),
        "five more go to Compute"
    );
}

fn m5() -> GroupId {
    GroupId::Ec2Instance {
        family: "m5".to_owned(),
        region: "us-east-2".to_owned(),
    }
}
