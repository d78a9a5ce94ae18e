//! The operator beside a running Karpenter: nobody starts a run, it sees for itself what pools launch and lose.

use std::time::Duration;

use serde_json::json;

use super::closed_loop::Loop;
use super::{COMMITTED, SPOT, committed, told};
use crate::cluster::operator::{Operator, grant, wait};
use crate::support::kind::NODE_POOL;

/// The clock of the runs stands still, so nothing would wait its time out.
const CONFIG: &str = "{cluster: {name: prod}, share: 1, grips: [weight, disruption], policy: {dwell: 0s}}";

/// Waits until the operator has decided so for the committed pool, which takes seconds.
#[track_caller]
fn decides(operator: &Operator, decision: &str) {
    let line = format!("brimful_nodepool_decision{{nodepool=\"{COMMITTED}\",decision=\"{decision}\"}} 1.0");
    let took = wait(decision, || operator.has(&line));
    told(
        &format!("operator: {decision}, once the pods run"),
        took.as_secs(),
    );
    assert!(took < Duration::from_secs(30), "{decision}: {took:?}");
}

fn counts(closed: &Loop) -> (usize, usize) {
    (closed.count(COMMITTED), closed.count(SPOT))
}

/// The committed pool is at this weight, and protected from consolidation.
#[track_caller]
fn stands_at(closed: &Loop, weight: Option<i64>) {
    let pool = closed
        .karpenter
        .server
        .get(&NODE_POOL, COMMITTED)
        .expect("the pool");
    assert_eq!(pool["spec"]["weight"].as_i64(), weight);
    let budgets = pool["spec"]["disruption"]["budgets"].as_array();
    let protects =
        |budget: &serde_json::Value| budget["nodes"] == "0" && budget["reasons"] == json!(["Underutilized"]);
    assert!(
        budgets.is_some_and(|budgets| budgets.iter().any(protects)),
        "{pool:#}"
    );
}

#[test]
fn an_operator_follows_the_workload_within_seconds() {
    let bucket = "operator-loop";
    // Budgets that a manifest declares are its author's.
    let open = json!({"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"});
    let closed = Loop::with(&committed().disruption(open), bucket);
    grant(&closed.karpenter.server);
    closed.deliver(bucket);
    let run = closed.run("run", bucket).arg("--allow-now").config(CONFIG);
    let operator = Operator::start(run);
    decides(&operator, "fill");

    // Six more nodes fill the plan; then new pods go to Spot, and what is covered is protected.
    closed.karpenter.scale("web", 10);
    decides(&operator, "hold");
    assert_eq!(counts(&closed), (10, 0));
    closed
        .karpenter
        .wait("the weight to yield to Spot", 10, |karpenter| {
            let pool = karpenter.server.get(&NODE_POOL, COMMITTED)?;
            pool["spec"]["weight"].is_null().then_some(())
        });
    stands_at(&closed, None);
    let covered = closed.karpenter.nodes_of(COMMITTED);
    closed.karpenter.scale("web", 14);
    assert_eq!(counts(&closed), (10, 4), "{}", closed.karpenter.state());
    closed.karpenter.stays("the covered nodes stay", 50, |karpenter| {
        karpenter.nodes_of(COMMITTED) == covered
    });

    // The workload shrinks, and what becomes free in the plan comes before Spot again.
    closed.karpenter.scale("web", 8);
    // Karpenter takes its own time to take empty nodes away: before, there is nothing to follow.
    closed.karpenter.wait("the empty nodes to go", 120, |_| {
        let (committed, spot) = counts(&closed);
        (committed + spot == 8).then_some(())
    });
    closed.karpenter.settle();
    decides(&operator, "fill");
    let (_, spot) = counts(&closed);
    closed.karpenter.scale("web", 10);
    assert_eq!(counts(&closed), (10 - spot, spot), "{}", closed.karpenter.state());
    let ended = operator.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
