//! When a weight counts as turned: at the move past Spot's weight, not at the decision for it.

use super::*;

/// The turns that the next run will be reminded of.
fn turned(proposal: &Proposal) -> Vec<DateTime<Utc>> {
    let turned = proposal.state.node_pools["committed"].memory.turned;
    turned.into_iter().flatten().collect()
}

#[test]
fn a_weight_turns_when_it_goes_past_spot_and_not_while_it_stands_there() {
    let mut scene = Scene::compute(2.0, 1.5);
    let first = scene.run();
    assert_eq!(turned(&first), [at(NOW)]);
    // The weight was set; the decision stays.
    scene.state = first.state;
    scene.pools[0] = committed().weight(60);
    scene.now = at(NOW) + Duration::minutes(10);
    assert_eq!(turned(&scene.run()), [at(NOW)]);
}

#[test]
fn a_weight_that_could_not_be_set_turns_when_it_is() {
    let mut scene = Scene::compute(2.0, 1.5);
    scene.state = scene.run().state;
    scene.now = at(NOW) + Duration::minutes(10);
    assert_eq!(turned(&scene.run()).first(), Some(&scene.now));
}

#[test]
fn the_end_of_the_last_plan_forgets_no_turns() {
    let mut scene = Scene::compute(2.0, 1.5);
    scene.state = scene.run().state;
    scene.now = at(NOW) + Duration::hours(4);
    scene.pools[0] = steered(60, "fill", NOW);
    scene.ledger.plans[0].plan.end = Some(at(NOW) + Duration::hours(2));
    let ended = scene.run();
    assert_eq!(pool(&ended, "committed").outcome.decision, Decision::Hold);
    assert_eq!(turned(&ended), [scene.now, at(NOW)]);
}
