//! Spot nodes that move over to a pool with room.

use super::*;
use crate::top_up::{Move, TopUp};
use brimful_karpenter::{Pod, PodDisruptionBudget, Pods};
use serde_json::{Value, json};

/// A Spot node of so many vCPU, with its claim.
fn on_spot(name: &str, vcpu: u32) -> (Node, NodeClaim) {
    let node = Node {
        name: name.to_owned(),
        node_pool: Some("spot".to_owned()),
        capacity: NodeCapacity::Spot,
        vcpu: Some(vcpu),
        ..node(0)
    };
    let claim = NodeClaim {
        name: format!("claim-{name}"),
        uid: Some(format!("uid-{name}")),
        ..NodeClaim::of(&node)
    };
    (node, claim)
}

/// A pod, with these fields changed by merge patch.
fn pod(name: &str, on: &str, patch: &Value) -> Pod {
    let mut object = json!({
        "metadata": {
            "name": name, "namespace": "shop", "labels": {"app": name},
            "ownerReferences": [{"kind": "ReplicaSet", "controller": true}],
        },
        "spec": {"nodeName": on},
        "status": {"phase": "Running"},
    });
    json_patch::merge(&mut object, patch);
    Pod::from_json(&object).unwrap()
}

fn budget(allowed: i64) -> PodDisruptionBudget {
    let object = json!({
        "metadata": {"name": "b", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": allowed},
    });
    PodDisruptionBudget::from_json(&object).unwrap()
}

/// A pool above Spot with 20 of the 33 nodes that the plan pays for, and two Spot nodes: 4 vCPU with three pods, and 2
/// vCPU with one.
fn scene() -> Scene {
    let mut scene = Scene::compute(2.0, 1.2);
    tagged(&mut scene, 1.2);
    scene.pools[0] = committed().weight(60);
    scene.config.top_up.nodes_per_hour = 6;
    scene.config.top_up.from = vec!["spot".to_owned()];
    let (large, of_large) = on_spot("large", 4);
    let (small, of_small) = on_spot("small", 2);
    let mut nodes: Vec<Node> = (0..20).map(node).collect();
    nodes.extend([large, small]);
    scene.nodes = Some(nodes);
    scene.claims = Some(vec![of_large, of_small]);
    let nothing = json!({});
    scene.pods = Some(Pods {
        pods: vec![
            pod("web", "large", &nothing),
            pod("web", "large", &nothing),
            pod("api", "large", &nothing),
            pod("job", "small", &nothing),
        ],
        budgets: Vec::new(),
    });
    scene
}

fn top_up(scene: &Scene) -> Option<TopUp> {
    let proposal = scene.run();
    assert_eq!(pool(&proposal, "committed").outcome.decision, Decision::Fill);
    pool(&proposal, "committed").top_up.clone()
}

fn waits(scene: &Scene) -> String {
    match top_up(scene) {
        Some(TopUp::Waits(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn moved(scene: &Scene) -> Move {
    match top_up(scene) {
        Some(TopUp::Moves(one)) => one,
        other => panic!("{other:?}"),
    }
}

/// The one pod of `small` frees 2 vCPU, each of the three of `large` 1.3.
#[test]
fn the_node_that_frees_most_for_each_pod_moves_and_is_named_with_its_claim() {
    let one = moved(&scene());
    assert_eq!(
        (
            one.claim.as_str(),
            one.uid.as_deref(),
            one.from.as_str(),
            one.vcpu,
            one.pods.len()
        ),
        ("claim-small", Some("uid-small"), "spot", 2, 1)
    );
    assert!(
        scene().run().pools[0]
            .outcome
            .reason
            .contains("claim-small of spot moves over")
    );
}

#[test]
fn nothing_moves_without_consent_nor_without_knowing_the_pods() {
    let mut unasked = scene();
    unasked.config.top_up.nodes_per_hour = 0;
    assert_eq!(top_up(&unasked), None);
    let mut elsewhere = scene();
    elsewhere.config.top_up.from = vec!["other".to_owned()];
    assert!(waits(&elsewhere).contains("topUp.from"));
    let mut blind = scene();
    blind.pods = None;
    assert!(waits(&blind).contains("the right to list pods"));
    let mut held = scene();
    held.config.paused = true;
    let proposal = held.run();
    assert!(!matches!(
        pool(&proposal, "committed").top_up,
        Some(TopUp::Moves(_))
    ));
}

#[test]
fn nothing_moves_to_a_pool_that_is_full_or_below_spot() {
    let mut full = Scene {
        nodes: Some((0..33).map(node).collect()),
        ..scene()
    };
    let (spot, claim) = on_spot("small", 2);
    full.nodes.as_mut().unwrap().push(spot);
    full.claims = Some(vec![claim]);
    let proposal = full.run();
    assert_eq!(pool(&proposal, "committed").top_up, None);
    let mut below = scene();
    below.pools[0] = committed().weight(10);
    assert_eq!(waits(&below), "its weight comes first");
}

/// The next one waits until the one before is gone and its pods run, and there are no more than so many in an hour.
#[test]
fn one_moves_at_a_time_and_so_many_in_an_hour() {
    let mut going = scene();
    going.claims.as_mut().unwrap()[0].deleting = true;
    assert!(waits(&going).contains("claim-large comes or goes"));
    let mut waiting = scene();
    let unscheduled = json!({"metadata": {"creationTimestamp": "2026-11-21T17:50:00Z"}, "spec": {"nodeName": null},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}});
    waiting
        .pods
        .as_mut()
        .unwrap()
        .pods
        .push(pod("late", "", &unscheduled));
    assert!(waits(&waiting).contains("shop/late waits"));
    let mut busy = scene();
    busy.state.moved.to = "committed".to_owned();
    busy.state.moved.times = (1..=6)
        .map(|ten| at(NOW) - Duration::minutes(ten * 9))
        .rev()
        .collect();
    assert_eq!(waits(&busy), "6 moved within an hour");
    busy.state.moved.times[0] = at(NOW) - Duration::minutes(61);
    assert_eq!(moved(&busy).claim, "claim-small");
    assert_eq!(busy.run().state.moved.times.len(), 5, "an hour is remembered");
}

/// Spot launched for the pods of the node that moved, and the pool did not: the same may happen again.
#[test]
fn pods_that_went_elsewhere_stop_it_for_a_while() {
    let mut scene = scene();
    scene
        .state
        .moved
        .note("committed", at(NOW) - Duration::minutes(20));
    scene.claims.as_mut().unwrap()[0].created = at(NOW) - Duration::minutes(15);
    assert_eq!(
        waits(&scene),
        "pods of the last node went elsewhere (1 in a row): it is tried again in 40 min"
    );
    // The pool launched, too: Spot had other reasons.
    let mut claim = scene.claims.as_ref().unwrap()[0].clone();
    claim.node_pool = Some("committed".to_owned());
    scene.claims.as_mut().unwrap().push(claim);
    assert_eq!(moved(&scene).claim, "claim-small");
}

/// Karpenter launches from the heaviest pool that takes the pods, whether it has anything to do with plans or not.
#[test]
fn nothing_moves_while_another_pool_would_take_the_pods() {
    let mut scene = scene();
    scene
        .pools
        .push(NodePool::test("other").committed().families(&["m5"]).weight(70));
    assert_eq!(waits(&scene), "other comes before it, and would take the pods");
    let mut protected = self::scene();
    protected.pools[1] = spot().protected();
    assert!(waits(&protected).contains("protected from consolidation"));
}

/// Each of these keeps `small`, so that `large` moves; and both, where it is said of both.
#[test]
fn what_would_rather_stay_stays() {
    type Change = fn(&mut Scene);
    let holds: [(&str, Change); 12] = [
        ("node", |scene| {
            scene.nodes.as_mut().unwrap()[21].held_by = Some("cordon");
        }),
        ("not ready", |scene| {
            scene.nodes.as_mut().unwrap()[21].ready = false;
            scene.pools[1].budgets = Some(vec![json!({"nodes": "2"})]);
        }),
        ("drifted", |scene| {
            scene.claims.as_mut().unwrap()[1].drifted = true;
        }),
        ("grace", |scene| {
            scene.claims.as_mut().unwrap()[1].held_by = Some("terminationGracePeriod");
        }),
        ("empty", |scene| scene.pods.as_mut().unwrap().pods.truncate(3)),
        ("bare", |scene| {
            let bare = json!({"metadata": {"ownerReferences": null}});
            scene.pods.as_mut().unwrap().pods[3] = pod("bare", "small", &bare);
        }),
        ("job", |scene| {
            let job = json!({"metadata": {"ownerReferences": [{"kind": "Job", "controller": true}]}});
            scene.pods.as_mut().unwrap().pods[3] = pod("job", "small", &job);
        }),
        ("asked", |scene| {
            let asked = json!({"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}});
            scene.pods.as_mut().unwrap().pods[3] = pod("job", "small", &asked);
        }),
        ("too large", |scene| {
            let large = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "200"}}}]}});
            scene.pods.as_mut().unwrap().pods[3] = pod("job", "small", &large);
        }),
        ("arm", |scene| {
            scene.pools[1] = NodePool::test("spot").spot().families(&["m7g"]).weight(50);
            scene.nodes.as_mut().unwrap()[21].arch = Some(brimful_karpenter::Arch::Arm64);
        }),
        ("spot only", |scene| {
            let only = json!({"spec": {"nodeSelector": {"karpenter.sh/capacity-type": "spot"}}});
            scene.pods.as_mut().unwrap().pods[3] = pod("job", "small", &only);
        }),
        ("on demand", |scene| {
            scene.nodes.as_mut().unwrap()[21].capacity = NodeCapacity::OnDemand;
        }),
    ];
    for (what, hold) in holds {
        let mut scene = scene();
        hold(&mut scene);
        if what == "on demand" {
            assert!(!matches!(top_up(&scene), Some(TopUp::Moves(one)) if one.node == "small"));
        } else {
            assert_eq!(moved(&scene).claim, "claim-large", "{what}");
        }
    }
}

/// A `PodDisruptionBudget` must let all of a node's pods go at once, and the `NodePool`'s budgets one node more.
#[test]
fn budgets_of_pods_and_of_the_pool_are_kept() {
    let mut scene = scene();
    scene.pods.as_mut().unwrap().pods[3] = pod("web", "small", &json!({}));
    for (allowed, claim) in [(1, Some("claim-small")), (0, None)] {
        scene.pods.as_mut().unwrap().budgets = vec![budget(allowed)];
        match (top_up(&scene).unwrap(), claim) {
            (TopUp::Moves(one), Some(claim)) => assert_eq!(one.claim, claim),
            (TopUp::Waits(why), None) => {
                assert_eq!(
                    why,
                    "no Spot node can move: 2 × with pods that a PodDisruptionBudget keeps"
                );
            }
            (other, _) => panic!("{allowed}: {other:?}"),
        }
    }
    // Two budgets on one pod: it cannot be evicted at all.
    scene.pods.as_mut().unwrap().budgets = vec![budget(5), budget(5)];
    assert!(matches!(top_up(&scene), Some(TopUp::Waits(_))));
    scene.pods.as_mut().unwrap().budgets.clear();
    scene.pools[1].budgets = Some(vec![
        json!({"nodes": "0", "schedule": "0 9 * * 1-5", "duration": "8h"}),
    ]);
    assert!(waits(&scene).contains("the budgets of its NodePool allow no more"));
    scene.pools[1].budgets = Some(vec![json!({"nodes": "1"})]);
    assert_eq!(moved(&scene).claim, "claim-small");
    scene.nodes.as_mut().unwrap()[20].ready = false;
    assert!(waits(&scene).contains("the budgets of its NodePool allow no more"));
}

/// No more moves than the pool lacks: 33 of $0.06 fit into $2, and 32 run.
#[test]
fn a_node_larger_than_what_is_missing_stays() {
    let mut scene = scene();
    scene.nodes.as_mut().unwrap().truncate(20);
    let more = (20..32).map(|index| Node {
        created: at("2026-11-01T00:00:00Z"),
        ..node(index)
    });
    scene.nodes.as_mut().unwrap().extend(more);
    let (large, claim) = on_spot("large", 4);
    scene.nodes.as_mut().unwrap().push(large);
    scene.claims = Some(vec![claim]);
    scene.pools[0] = steered(60, "fill", "2026-11-21T17:55:00Z");
    assert_eq!(
        waits(&scene),
        "no Spot node can move: 1 × larger than what is missing"
    );
}
