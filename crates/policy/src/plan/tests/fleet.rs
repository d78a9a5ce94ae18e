//! Which machines count for what, and plans that come and go.

use super::*;
use brimful_karpenter::nodepool::ExpireAfter;

/// 25 live nodes of this cluster are all of the plan's use, then and now: $1.50/h of $2.
fn scene() -> Scene {
    let mut scene = Scene::compute(2.0, 1.5);
    tagged(&mut scene, 1.5);
    scene.nodes = Some((0..25).map(node).collect());
    scene
}

fn demand(scene: &Scene) -> Money {
    scene.run().nowcasts[&GroupId::Compute].demand
}

/// The claim of a machine that was launched and has no Node yet.
fn starting(index: usize) -> NodeClaim {
    NodeClaim {
        name: format!("claim-{index}"),
        uid: None,
        resource_version: None,
        held_by: None,
        node_pool: Some("committed".to_owned()),
        node_name: None,
        instance_type: Some("m5.large".to_owned()),
        machine: Some(Node {
            name: format!("claim-{index}"),
            instance_id: Some(format!("i-{index}")),
            ..node(index)
        }),
        drifted: false,
        launched: true,
        registered: false,
        deleting: false,
        created: at(NOW),
        expire_after: ExpireAfter::Never,
    }
}

#[test]
fn reservations_count_as_on_demand_and_spot_capacity_blocks_and_nodes_that_go_do_not() {
    let with = |change: fn(&mut Node)| {
        let mut scene = scene();
        scene.nodes.iter_mut().flatten().take(5).for_each(change);
        demand(&scene)
    };
    assert_eq!(with(|_| ()), dollars(1.5));
    assert_eq!(with(|node| node.capacity = NodeCapacity::Reserved), dollars(1.5));
    for gone in [
        with(|node| node.capacity = NodeCapacity::Spot),
        with(|node| node.capacity = NodeCapacity::CapacityBlock),
        with(|node| node.capacity = NodeCapacity::NotEc2),
        with(|node| node.deleting = true),
    ] {
        assert_eq!(gone, dollars(1.2));
    }
}

#[test]
fn machines_cost_from_their_launch_on_and_are_counted_once() {
    let mut scene = scene();
    scene.claims = Some((30..35).map(starting).collect());
    assert_eq!(demand(&scene), dollars(1.8));
    let change = |scene: &mut Scene, change: fn(&mut NodeClaim)| {
        scene.claims.iter_mut().flatten().take(1).for_each(change);
    };
    // Its Node has joined, and Karpenter has not told so yet.
    let joined = Node {
        instance_id: Some("i-30".to_owned()),
        ..node(30)
    };
    scene.nodes.as_mut().unwrap().push(joined);
    assert_eq!(demand(&scene), dollars(1.8));
    change(&mut scene, |claim| claim.node_name = Some("n30".to_owned()));
    assert_eq!(demand(&scene), dollars(1.8));
    // Karpenter deletes the claim before the Node.
    change(&mut scene, |claim| claim.deleting = true);
    assert_eq!(demand(&scene), dollars(1.74));
    scene.claims = Some(
        (30..35)
            .map(|index| NodeClaim {
                launched: false,
                ..starting(index)
            })
            .collect(),
    );
    assert_eq!(demand(&scene), dollars(1.56), "not launched yet: it may never be");
}

#[test]
fn starting_spot_machines_are_no_demand() {
    let mut scene = scene();
    let mut claim = starting(30);
    claim.machine.as_mut().unwrap().capacity = NodeCapacity::Spot;
    scene.claims = Some(vec![claim]);
    assert_eq!(demand(&scene), dollars(1.5));
}

/// Beside a plan of $2/h, of which $1 is used, another of $3/h whose rows begin at its start.
fn beside(start: &str, end: &str) -> Scene {
    let mut other = plan("d", PlanKind::Compute, 3.0, 0.0);
    (other.plan.start, other.plan.end) = (Some(at(start)), Some(at(end)));
    other
        .hours
        .retain(|hour, _| hour.start() >= at(start) && hour.end() <= at(end));
    Scene::new(vec![plan("c", PlanKind::Compute, 2.0, 1.0), other])
}

fn group(scene: &Scene) -> (Money, Money, Option<Money>) {
    let group = &scene.run().groups[0];
    (group.commitment, group.in_force, group.headroom())
}

#[test]
fn a_new_plan_gives_its_commitment_from_its_start_on() {
    // The report's horizon is at 09:00: nothing but fee rows that were written ahead tells of it.
    let begun = beside("2026-11-21T17:00:00Z", "2026-12-01T00:00:00Z");
    assert_eq!(group(&begun), (dollars(5.0), dollars(5.0), Some(dollars(4.0))));
    let queued = beside("2026-11-21T19:00:00Z", "2026-12-01T00:00:00Z");
    assert_eq!(group(&queued), (dollars(2.0), dollars(2.0), Some(dollars(1.0))));
}

#[test]
fn a_plan_that_ends_in_the_next_hours_gives_no_headroom_and_an_ended_one_is_let_go_when_a_report_shows_what_follows()
 {
    let ending = beside("2026-11-01T00:00:00Z", "2026-11-21T20:00:00Z");
    assert_eq!(group(&ending), (dollars(2.0), dollars(5.0), Some(dollars(1.0))));
    // The report's horizon is at 09:00: a renewal since then could not be seen.
    let ended = beside("2026-11-01T00:00:00Z", "2026-11-21T12:00:00Z");
    assert_eq!(group(&ended), (dollars(2.0), dollars(5.0), Some(dollars(1.0))));
    let seen = beside("2026-11-01T00:00:00Z", "2026-11-21T08:00:00Z");
    assert_eq!(group(&seen), (dollars(2.0), dollars(2.0), Some(dollars(1.0))));
}

#[test]
fn a_plan_whose_rows_are_not_written_ahead_any_more_gives_no_headroom_and_is_not_drained_for() {
    let mut returned = beside("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
    let rows = &mut returned.ledger.plans[1].hours;
    rows.retain(|hour, _| hour.end() <= at("2026-11-21T09:00:00Z"));
    assert_eq!(group(&returned), (dollars(2.0), dollars(5.0), Some(dollars(1.0))));
    assert!(codes(&returned.run()).contains(&"plan-unseen"));
}
