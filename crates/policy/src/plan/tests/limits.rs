//! Pools that are steered by their limits, from run to run.

use super::*;

/// A pool of 25 nodes with limits of Brimful's, unprotected, beside an overflow pool; its cluster is known by tags.
fn limited(used: f64, decision: &str, cpu: u32, time: &str) -> Scene {
    let mut scene = Scene::compute(2.0, used);
    tagged(&mut scene, 1.5);
    scene.config.limits.manage = true;
    scene.nodes = Some((0..25).map(node).collect());
    let record = format!(
        r#"{{"decision":"{decision}","reason":"","time":"{time}","values":{{"weight":60,"limits":{{"cpu":"{cpu}"}}}}}}"#
    );
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .families(&["m5"])
        .managed()
        .weight(60)
        .limit("cpu", &cpu.to_string())
        .annotation(BASELINE, r#"{"weight":7,"limits":null}"#)
        .annotation(DECISION, &record);
    scene.pools.push(NodePool::test("overflow").committed());
    scene
}

fn cpu_limit(proposal: &Proposal) -> Option<&str> {
    pool(proposal, "committed").limits.get("cpu").map(String::as_str)
}

#[test]
fn a_latched_hold_survives_a_freeze() {
    // Full: 33 nodes of $0.06/h. It was latched at 66 vCPU; since then nodes have gone, and a blackout has passed.
    let mut scene = limited(2.0, "hold", 66, "2026-11-20T00:00:00Z");
    scene.nodes = None;
    scene.pools[0] = scene.pools[0].clone().resources(50);
    for decision in [Decision::Hold, Decision::Freeze] {
        scene.state.note(
            "committed",
            decision,
            Memory::default(),
            at("2026-11-21T00:00:00Z"),
        );
        let proposal = scene.run();
        assert_eq!(cpu_limit(&proposal), Some("66"), "{decision}");
    }
}

#[test]
fn what_a_killed_run_has_set_is_not_decided_anew() {
    // The state still tells of a fill, the pool of a drain that came later.
    let mut scene = limited(2.0, "drain", 66, "2026-11-21T12:00:00Z");
    scene.nodes = None;
    scene.state.note(
        "committed",
        Decision::Fill,
        Memory::default(),
        at("2026-11-21T06:00:00Z"),
    );
    over(&mut scene, 0.5);
    scene.pools[0] = scene.pools[0].clone().resources(66);
    let proposal = scene.run();
    assert_eq!(pool(&proposal, "committed").outcome.decision, Decision::Drain);
    assert_eq!(cpu_limit(&proposal), Some("66"));
}

#[test]
fn without_an_overflow_pool_its_own_limits_come_back_at_once() {
    let mut scene = limited(1.5, "fill", 64, "2026-11-20T00:00:00Z");
    scene.pools.pop();
    let proposal = scene.run();
    assert_eq!(cpu_limit(&proposal), None);
    assert!(codes(&proposal).contains(&"no-overflow"));
}

#[test]
fn an_overflow_pool_whose_readiness_is_unknown_is_waited_for() {
    let mut scene = limited(1.5, "fill", 64, "2026-11-20T00:00:00Z");
    let last = scene.pools.len() - 1;
    scene.pools[last].ready = Some(brimful_karpenter::nodepool::Readiness::Unknown);
    let first = scene.run();
    assert_eq!(cpu_limit(&first), Some("64"));
    assert!(codes(&first).contains(&"overflow-lost"));
    scene.state = first.state;
    scene.now = at("2026-11-21T18:30:00Z");
    let second = scene.run();
    assert_eq!(cpu_limit(&second), Some("64"));
    scene.state = second.state;
    scene.now = at("2026-11-21T19:00:00Z");
    let third = scene.run();
    assert_eq!(cpu_limit(&third), None);
    assert!(codes(&third).contains(&"no-overflow"));
}

#[test]
fn a_pool_that_may_launch_spot_now_gets_everything_back() {
    let mut scene = limited(1.5, "fill", 64, "2026-11-20T00:00:00Z");
    scene.pools[0] = NodePool {
        requirements: NodePool::test("mixed").mixed().requirements,
        ..scene.pools[0].clone()
    };
    let proposal = scene.run();
    let found = pool(&proposal, "committed");
    assert!(found.restore);
    assert_eq!((found.proposed, found.limits.get("cpu")), (Some(7), None));
}
