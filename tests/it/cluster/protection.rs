//! Protection from consolidation, switched on a real API server with the shipped rights.

use serde_json::{Value, json};

use super::world::World;
use crate::contract::{APPLIED, check};
use crate::support::kind::NODE_POOL;
use crate::support::run::entry;

fn budgets(world: &World, pool: &str) -> Value {
    world.pools()[pool]["spec"]["disruption"]["budgets"].clone()
}

#[test]
fn a_full_pool_yields_and_is_protected_in_one_patch_and_reset_restores_its_budgets_word_for_word() {
    let world = World::new();
    let pool = "batch-committed";
    let consent = json!({"metadata": {"annotations": {"brimful.dev/grips": "weight,disruption"}}});
    world.server.patch(&NODE_POOL, pool, &consent);
    let pools = world.pools();
    let before = budgets(&world, pool);
    let done = world.run("apply").json(0);
    check(&APPLIED, &done);
    let planned = entry(&done["nodePools"], "name", pool);
    assert_eq!(planned["protection"], json!({"current": false, "proposed": true}));
    assert!(planned["weight"]["proposed"].as_i64() < planned["weight"]["current"].as_i64());
    let set = budgets(&world, pool);
    let own =
        json!({"nodes": "0", "reasons": ["Underutilized"], "schedule": "0 0 * * *", "duration": "8736h"});
    let mut expected = before.as_array().expect("Karpenter's default is written").clone();
    expected.push(own);
    assert_eq!(set, Value::Array(expected));
    // Nothing is due any more.
    let again = world.run_at("apply", "2026-11-21T18:10:00Z").json(0);
    let planned = entry(&again["nodePools"], "name", pool);
    assert_eq!(planned["protection"], json!({"current": true, "proposed": true}));
    assert_eq!(budgets(&world, pool), set);
    world.reset().ends(0);
    for (name, pool) in world.pools() {
        assert_eq!(pool["spec"], pools[&name]["spec"], "{name}");
    }
}
