//! Several clusters on one plan that tell each other their demand.

use super::*;
use crate::peers::{Demand, GroupDemand};
use brimful_savings_plans::ledger::{Cell, Series, UsageClass};
use brimful_types::quantity::Quantity;

/// A plan of $4/h, of which prod and staging have used $1.5/h each, and prod's 25 nodes that still run.
fn scene() -> Scene {
    let mut scene = Scene::compute(4.0, 3.0);
    let series = |cluster: &str| Series {
        class: UsageClass::Covered(0),
        is_instance: true,
        usage_type: "USE2-BoxUsage:m5.large".into(),
        operation: "RunInstances".into(),
        region: "us-east-2".into(),
        account: "111122223333".into(),
        cluster: cluster.into(),
        node_pool: "".into(),
    };
    scene.ledger.series = vec![series("prod"), series("staging")];
    let hours = scene.ledger.plans[0]
        .hours
        .keys()
        .filter(|hour| hour.end() <= at(HORIZON));
    let cell = |hour: &Hour| Cell {
        hour: *hour,
        amount: Quantity::from_units(25.0).unwrap(),
        picos: 1_500_000_000_000,
    };
    scene.ledger.cells = vec![hours.map(cell).collect(); 2];
    scene.nodes = Some((0..25).map(node).collect());
    scene.config.cluster.name = Some("prod".to_owned());
    scene
}

/// Staging, as it tells of itself.
fn staging(demand: f64, wants: bool, claim: f64) -> Demand {
    let told = GroupDemand {
        demand: dollars(demand),
        at_compute: dollars(demand),
        wants,
        claim: dollars(claim),
        launches: Money::ZERO,
    };
    Demand {
        account: Some("111122223333".to_owned()),
        comparable: true,
        groups: BTreeMap::from([("compute".to_owned(), told)]),
        ..Demand::new("staging", at(NOW))
    }
}

fn among(peers: impl IntoIterator<Item = Demand>) -> Scene {
    let mut scene = scene();
    scene.peers.fresh = peers
        .into_iter()
        .map(|peer| (peer.cluster.clone(), peer))
        .collect();
    scene
}

/// Headroom and share of the Compute group.
fn compute(proposal: &Proposal) -> (Money, f64) {
    let group = &proposal.groups[0];
    (group.headroom().unwrap(), group.share)
}

#[test]
fn without_a_word_another_cluster_is_seen_by_the_report() {
    let proposal = scene().run();
    assert_eq!(compute(&proposal), (dollars(1.0), 0.5));
    assert!(codes(&proposal).contains(&"shared-plan"));
}

#[test]
fn what_another_cluster_tells_replaces_its_part_of_the_report() {
    let shrunk = among([staging(0.6, false, 0.0)]).run();
    assert_eq!(compute(&shrunk), (dollars(1.9), 1.0));
    assert_eq!(codes(&shrunk), Vec::<&str>::new());
    assert_eq!(shrunk.peers, ["staging"]);
    let grown = among([staging(2.5, true, 0.0)]).run();
    assert_eq!(compute(&grown).0, Money::ZERO);
    assert_eq!(pool(&grown, "committed").outcome.decision, Decision::Hold);
}

#[test]
fn a_cluster_that_the_report_has_never_seen_counts_from_its_first_word() {
    let mut scene = among([staging(1.5, false, 0.0)]);
    scene.peers.fresh.insert(
        "new".to_owned(),
        Demand {
            cluster: "new".to_owned(),
            ..staging(0.75, true, 0.0)
        },
    );
    assert_eq!(compute(&scene.run()), (dollars(0.25), 0.5));
}

#[test]
fn the_others_claims_are_left_to_them_and_the_reason_says_so() {
    let proposal = among([staging(1.5, true, 1.0)]).run();
    assert_eq!(compute(&proposal), (dollars(1.0), 0.0));
    let outcome = &pool(&proposal, "committed").outcome;
    assert_eq!(outcome.decision, Decision::Hold);
    assert!(
        outcome
            .reason
            .contains("$1.000/h of Compute plans is free, but other clusters"),
        "{}",
        outcome.reason
    );
    // It tells that it could fill, so that the other leaves it a part when it looks again.
    let told = proposal.demand.unwrap().groups["compute"];
    assert_eq!(
        (told.wants, told.claim, told.demand),
        (true, Money::ZERO, dollars(1.5))
    );
}

#[test]
fn two_clusters_that_look_in_turn_fill_half_each() {
    let first = scene().run().demand.unwrap();
    assert_eq!(first.groups["compute"].claim, dollars(0.5));
    let mut other = among([first]);
    other.config.cluster.name = Some("staging".to_owned());
    other.nodes = Some((0..25).map(node).collect());
    let second = other.run();
    assert_eq!(compute(&second), (dollars(1.0), 0.5));
    assert_eq!(second.demand.unwrap().groups["compute"].claim, dollars(0.5));
}

#[test]
fn a_cluster_that_the_tags_do_not_tell_stays_with_the_report_and_its_share() {
    let blind = Demand {
        comparable: false,
        ..staging(0.1, true, 0.0)
    };
    let proposal = among([blind]).run();
    assert_eq!(compute(&proposal), (dollars(1.0), 0.5));
    assert!(codes(&proposal).contains(&"coordination-stale"));
}

#[test]
fn a_silent_cluster_keeps_its_share_while_the_others_split_the_rest() {
    let mut scene = among([Demand {
        cluster: "new".to_owned(),
        ..staging(0.0, true, 0.0)
    }]);
    scene.peers.silent.insert("staging".to_owned());
    assert_eq!(compute(&scene.run()), (dollars(1.0), 0.25));
}

#[test]
fn a_configured_share_stands_whatever_the_others_tell() {
    let mut scene = among([staging(1.5, true, 1.0)]);
    scene.config.share = Some(serde_json::from_str("0.4").unwrap());
    let proposal = scene.run();
    assert_eq!(compute(&proposal), (dollars(1.0), 0.4));
    assert_eq!(proposal.demand.unwrap().share, Some(0.4));
}

#[test]
fn whoever_cannot_tell_its_own_part_believes_no_other() {
    let mut scene = among([staging(0.1, true, 0.0)]);
    scene.nodes = None;
    let proposal = scene.run();
    assert_eq!(compute(&proposal), (dollars(1.0), 0.5));
    assert_eq!((proposal.demand, proposal.peers.len()), (None, 0));
}

#[test]
fn an_observing_cluster_tells_its_demand_and_wants_nothing() {
    let mut scene = scene();
    scene.config.mode = crate::settings::Mode::Observe;
    let told = scene.run().demand.unwrap();
    assert!(told.comparable);
    let compute = told.groups["compute"];
    assert_eq!(
        (compute.demand, compute.wants, compute.claim),
        (dollars(1.5), false, Money::ZERO)
    );
}

#[test]
fn what_an_instance_group_cannot_hold_of_anothers_nodes_falls_to_compute() {
    let m5 = "ec2Instance/m5/us-east-2";
    let mut scene = Scene::new(vec![
        plan("c", PlanKind::Compute, 4.0, 1.0),
        plan("e", PlanKind::Ec2Instance, 2.0, 1.5),
    ]);
    over(&mut scene, 0.0);
    scene.nodes = Some(Vec::new());
    scene.config.cluster.name = Some("prod".to_owned());
    let before = scene.run();
    let mut told = staging(0.0, false, 0.0);
    let nodes = GroupDemand {
        demand: dollars(1.0),
        at_compute: dollars(1.2),
        ..told.groups["compute"]
    };
    told.groups.insert(m5.to_owned(), nodes);
    scene.peers.fresh.insert("staging".to_owned(), told);
    let after = scene.run();
    let demand = |proposal: &Proposal, id: &str| {
        let mut nowcasts = proposal.nowcasts.iter();
        nowcasts
            .find(|(group, _)| group.to_string() == id)
            .unwrap()
            .1
            .demand
    };
    assert_eq!(demand(&after, m5) - demand(&before, m5), dollars(0.5));
    assert_eq!(
        demand(&after, "compute") - demand(&before, "compute"),
        dollars(0.6)
    );
}
