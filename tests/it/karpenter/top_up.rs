//! Spot nodes given up on a running Karpenter: their pods move to the committed pool, one node after the other, until the
//! plan is full.

use super::closed_loop::{Loop, decided};
use super::{COMMITTED, SPOT, told};
use crate::cluster::top_up::delete_claim;
use crate::cluster::world::{documents, resources};
use crate::support::karpenter::Karpenter;
use crate::support::kind::NODE_CLAIM;
use serde_json::json;

const CONFIG: &str = "{cluster: {name: prod}, share: 1, grips: [weight, disruption, limits], topUp: {nodesPerHour: 6, from: [spot]}}";

#[test]
fn what_runs_on_spot_moves_to_the_plan_that_stands_idle_and_no_pod_is_lost() {
    let bucket = "top-up";
    let mut closed = Loop::new(bucket);
    for object in resources("manifests/top-up")
        .iter()
        .flat_map(|file| documents(file))
    {
        closed.karpenter.server.apply(&object.to_string());
    }
    let account = closed
        .karpenter
        .server
        .service_account_token("brimful", "brimful");
    let client = closed.karpenter.server.client_for_token(&account);
    closed
        .karpenter
        .wait("the admission policy to be in force", 60, |karpenter| {
            let claims = karpenter.server.list(&NODE_CLAIM);
            let name = claims[0]["metadata"]["name"].as_str().unwrap_or_default();
            delete_claim(&client, name, true).is_err().then_some(())
        });
    // Six pods come while Spot is preferred, although the plan has room for six more nodes.
    closed.karpenter.patch_pool(COMMITTED, &json!({"weight": 5}));
    closed.karpenter.scale("web", 10);
    closed.karpenter.patch_pool(COMMITTED, &json!({"weight": 20}));
    closed.karpenter.settle();
    assert_eq!((closed.count(COMMITTED), closed.count(SPOT)), (4, 6));

    let mut runs = 0;
    while closed.count(SPOT) > 0 {
        let spot = closed.count(SPOT);
        let done = closed.step_by(CONFIG, bucket, 10);
        runs += 1;
        assert!(
            runs <= 10,
            "{:#}\n{}",
            done["nodePools"],
            closed.karpenter.state()
        );
        if done["moved"]["result"] == "moved" {
            let again = |karpenter: &Karpenter| {
                let pods = karpenter.pods("web");
                let runs = pods
                    .iter()
                    .filter(|pod| pod["status"]["phase"] == "Running")
                    .count();
                let left = karpenter.nodes().iter().filter(|node| node.pool == SPOT).count();
                (left < spot && runs == 10).then_some(())
            };
            closed
                .karpenter
                .wait("the node to go and its pod to run again", 120, again);
        }
    }
    assert_eq!(closed.count(COMMITTED), 10, "{}", closed.karpenter.state());
    told(&format!("top-up: six Spot nodes moved over in {runs} runs"), 0);

    // The plan is full: nothing moves any more.
    let done = closed.step_by(CONFIG, bucket, 10);
    assert_eq!(decided(&done).0, "hold", "{:#}", done["nodePools"]);
    assert!(done["moved"].is_null());
    closed.karpenter.stays("nothing goes back", 30, |karpenter| {
        karpenter.nodes_of(COMMITTED).len() == 10
    });
}
