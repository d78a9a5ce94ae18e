//! Pools whose protection from consolidation is switched, from run to run.

use serde_json::{Value, json};

use super::*;
use crate::annotations::{DecisionRecord, GRIPS};
use crate::patch::{patch, reset};
use crate::protection::{always, is_on, open_until, with_own};
use brimful_karpenter::nodepool::{Budget, FieldManager};

/// An unprotected pool at 60, above Spot, that may be protected; its cluster is known by tags.
fn switched(used: f64, nodes: usize) -> Scene {
    let mut scene = Scene::compute(2.0, used);
    tagged(&mut scene, used);
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .families(&["m5"])
        .managed()
        .weight(60)
        .annotation(GRIPS, "weight, disruption");
    scene.nodes = Some((0..nodes).map(node).collect());
    scene
}

/// A pool of 60 nodes over a plan that pays for 33, for longer than the dwell time.
fn over_full() -> Scene {
    let mut scene = switched(2.0, 60);
    let memory = Memory {
        over_since: Some(at("2026-11-21T12:00:00Z")),
        ..Memory::default()
    };
    scene
        .state
        .note("committed", Decision::Drain, memory, at("2026-11-21T17:00:00Z"));
    scene
}

fn planned(scene: &Scene) -> PoolPlan {
    pool(&scene.run(), "committed").clone()
}

/// The pool after a plan has been carried out.
fn carried_out(scene: &mut Scene) -> Value {
    let plan = planned(scene);
    let sent = patch(&plan, scene.now);
    let pool = &mut scene.pools[0];
    for (key, text) in sent["metadata"]["annotations"].as_object().unwrap() {
        pool.annotations
            .insert(key.clone(), text.as_str().unwrap().to_owned());
    }
    pool.weight = plan.proposed;
    pool.limits = plan.limits;
    pool.budgets = plan.budgets;
    sent
}

#[test]
fn a_full_pool_yields_and_is_protected_in_one_patch_and_gets_everything_back() {
    let mut scene = switched(2.0, 33);
    let sent = carried_out(&mut scene);
    assert_eq!(sent["spec"]["weight"], 40);
    let budgets = &sent["spec"]["disruption"]["budgets"];
    assert_eq!(budgets[0], json!({"nodes": "10%"}));
    assert!(is_on(budgets.as_array().map(Vec::as_slice), scene.now));
    assert_eq!(
        sent["metadata"]["annotations"][BASELINE],
        r#"{"weight":60,"limits":null,"budgets":null}"#
    );
    let again = planned(&scene);
    assert!(!again.changes(), "{:?}", again.outcome.reason);
    let back = reset(&scene.pools[0]);
    assert_eq!((back.weight, back.budgets, back.kept), (Some(60), None, vec![]));
}

#[test]
fn a_pool_with_more_than_it_should_have_is_open_until_it_has_given_it_back() {
    let mut scene = over_full();
    let opened = planned(&scene);
    assert_eq!(opened.outcome.decision, Decision::Drain);
    let protection = opened.protection.unwrap();
    assert_eq!((protection.current, protection.proposed), (false, false));
    carried_out(&mut scene);
    let set = scene.pools[0].budgets.clone().unwrap();
    let until = open_until(&set[1], scene.now).unwrap();
    assert!(
        until > scene.now && until <= scene.now + Duration::minutes(20),
        "{until}"
    );
    // A run that never comes: it is protected again by itself.
    assert!(!is_on(Some(&set), scene.now) && is_on(Some(&set), until));
    // What was given back is not followed by more.
    scene.now = at("2026-11-21T18:10:00Z");
    scene.nodes = Some((0..33).map(node).collect());
    let closed = planned(&scene);
    assert!(closed.protection.unwrap().proposed, "{}", closed.outcome.reason);
    assert!(is_on(closed.budgets.as_deref(), scene.now));
}

#[test]
fn a_full_pool_is_packed_where_limits_bound_it_and_protected_where_only_its_weight_does() {
    let is_protected = |grips: &str, nodes: usize| {
        let mut scene = switched(1.5, nodes);
        scene.pools[0] = scene.pools[0].clone().annotation(GRIPS, grips);
        let overflow = NodePool::test("overflow").committed().families(&["m5"]);
        scene.pools.push(overflow);
        assert!(planned(&scene).protection.unwrap().proposed, "protected first");
        carried_out(&mut scene);
        planned(&scene).protection.unwrap().proposed
    };
    // $2.0/h pay for 33 m5.large.
    for (nodes, by_limits) in [(30, true), (33, false)] {
        assert_eq!(
            is_protected("weight,disruption,limits", nodes),
            by_limits,
            "{nodes} nodes"
        );
        assert!(is_protected("weight,disruption", nodes), "{nodes} nodes");
    }
}

#[test]
fn a_full_pool_is_packed_for_two_minutes_in_an_hour() {
    let mut scene = switched(1.5, 33);
    scene
        .pools
        .push(NodePool::test("overflow").committed().families(&["m5"]));
    scene.pools[0] = scene.pools[0]
        .clone()
        .annotation(GRIPS, "weight,disruption,limits");
    let mut patched = Vec::new();
    for minutes in (0..90).step_by(10) {
        scene.now = at("2026-11-21T18:00:00Z") + Duration::minutes(minutes);
        let plan = planned(&scene);
        if plan.changes_budgets() {
            let until = open_until(&plan.budgets.as_ref().unwrap()[1], scene.now);
            patched.push((minutes, until.map(|until| (until - scene.now).num_minutes())));
        }
        carried_out(&mut scene);
    }
    assert_eq!(patched, [(0, None), (10, Some(2)), (80, Some(2))]);
}

#[test]
fn being_open_is_renewed_without_a_word_and_without_moving_the_dwell_time() {
    let mut scene = over_full();
    carried_out(&mut scene);
    let first = DecisionRecord::recorded(&scene.pools[0]).unwrap().unwrap();
    scene.now = at("2026-11-21T18:10:00Z");
    let renewed = planned(&scene);
    assert!(
        renewed.is_routine() && renewed.changes(),
        "{}",
        renewed.outcome.reason
    );
    carried_out(&mut scene);
    let second = DecisionRecord::recorded(&scene.pools[0]).unwrap().unwrap();
    assert_eq!(first.time, second.time);
    assert_ne!(first.values.budgets, second.values.budgets);
}

#[test]
fn a_freeze_and_a_pause_leave_the_entry_to_its_own_end() {
    let mut scene = over_full();
    carried_out(&mut scene);
    scene.config.paused = true;
    assert!(!planned(&scene).changes());
    scene.config.paused = false;
    scene.now = at("2026-11-30T18:00:00Z");
    let frozen = planned(&scene);
    assert_eq!(frozen.outcome.decision, Decision::Freeze);
    assert!(!frozen.changes());
    assert!(is_on(scene.pools[0].budgets.as_deref(), scene.now));
}

#[test]
fn somebodys_edit_of_the_budgets_is_a_contest_and_another_order_is_none() {
    let mut scene = switched(2.0, 33);
    scene.pools[0].budgets = Some(vec![
        json!({"nodes": "5"}),
        json!({"nodes": "20%", "reasons": ["Drifted"]}),
    ]);
    carried_out(&mut scene);
    let set = scene.pools[0].budgets.clone().unwrap();
    scene.pools[0].budgets = Some(set.iter().rev().cloned().collect());
    let plan = planned(&scene);
    assert!(!plan.changes() && plan.outcome.decision == Decision::Hold);
    scene.pools[0].budgets = Some(vec![json!({"nodes": "7"}), set[2].clone()]);
    scene.pools[0].budgets_managers = vec![FieldManager {
        manager: "argocd-controller".to_owned(),
        operation: "Update".to_owned(),
        time: None,
    }];
    let plan = planned(&scene);
    assert_eq!(plan.outcome.decision, Decision::Freeze);
    assert!(
        plan.outcome.reason.contains("[/spec/disruption/budgets]"),
        "{}",
        plan.outcome.reason
    );
    // Then reset takes Brimful's entry away, and nothing else.
    let back = reset(&scene.pools[0]);
    assert_eq!(
        (back.budgets, back.kept),
        (Some(vec![json!({"nodes": "7"})]), vec!["budgets"])
    );
}

#[test]
fn a_consent_that_is_taken_back_gives_the_budgets_back() {
    let mut scene = switched(2.0, 33);
    let own = vec![json!({"nodes": "5"})];
    scene.pools[0].budgets = Some(own.clone());
    carried_out(&mut scene);
    scene.pools[0].annotations.remove(GRIPS);
    let plan = planned(&scene);
    assert_eq!((plan.budgets, plan.protection), (Some(own), None));
}

#[test]
fn what_the_user_protects_always_is_not_switched_and_it_is_told() {
    let mut scene = switched(2.0, 33);
    let always_on = json!({"nodes": "0", "reasons": ["Underutilized"]});
    scene.pools[0].budgets = Some(vec![always_on]);
    scene.pools[0].disruption.budgets = vec![Budget {
        nodes: "0".to_owned(),
        reasons: Some(vec!["Underutilized".to_owned()]),
        schedule: None,
        duration: None,
    }];
    let proposal = scene.run();
    assert!(codes(&proposal).contains(&"always-protected"));
    let plan = pool(&proposal, "committed");
    assert!(!plan.changes_budgets() && plan.protection.is_none());
    assert_eq!(plan.proposed, Some(40));
}

#[test]
fn budgets_that_a_tool_declares_are_left_to_it_unless_the_pool_says_otherwise() {
    let mut scene = switched(2.0, 33);
    scene.pools[0].budgets_managers = vec![FieldManager {
        manager: "argocd-controller".to_owned(),
        operation: "Apply".to_owned(),
        time: None,
    }];
    assert!(planned(&scene).changes_budgets());
    scene.pools[0].annotations.remove(GRIPS);
    scene.config.grips = crate::settings::Grips::parse("weight,disruption").unwrap();
    let proposal = scene.run();
    assert!(codes(&proposal).contains(&"budgets-declared"));
    assert!(!pool(&proposal, "committed").changes_budgets());
}

#[test]
fn a_pool_that_fills_is_protected_and_one_without_consent_is_not() {
    let mut scene = switched(1.0, 16);
    let plan = planned(&scene);
    assert_eq!(plan.outcome.decision, Decision::Fill);
    assert_eq!(plan.budgets, Some(with_own(None, &always())));
    scene.pools[0]
        .annotations
        .insert(GRIPS.to_owned(), "weight".to_owned());
    assert!(!planned(&scene).changes_budgets());
    scene.pools[0]
        .annotations
        .insert(GRIPS.to_owned(), "disruption".to_owned());
    assert!(codes(&scene.run()).contains(&"grips"));
}
