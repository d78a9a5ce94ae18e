//! `plan --explain`: one pool's decision on paper.

use serde_json::json;

use super::tables::see;
use crate::support::run::{Brimful, NOW, entry, text};

fn explain(pool: &str) -> Brimful {
    Brimful::plan("fixtures/cur/legacy").args(["--explain", pool])
}

#[test]
fn a_pool_that_fills_is_worked_out_line_by_line() {
    see("explain-fill", &explain("memory-committed").ends(0));
}

#[test]
fn a_pool_that_is_held_by_its_limits_shows_how_they_came_about() {
    see(
        "explain-limits",
        &explain("memory-committed")
            .config("limits: {manage: true}\n")
            .ends(0),
    );
}

#[test]
fn without_nodes_the_report_alone_is_the_demand() {
    let run = Brimful::new("plan").args([
        "--cur",
        "fixtures/cur/legacy",
        "--nodepools",
        "fixtures/nodepools.yaml",
        "--now",
        NOW,
        "--explain",
        "general-committed",
    ]);
    let shown = run.ends(0).stdout;
    for part in [
        "demand now   $2.282/h, the middle of the hours above (the report at this hour of the day)\n",
        "headroom     $2.030/h commitment − $2.282/h demand = -$0.252/h\n",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(
        !shown.contains("live now") && !shown.contains("THIS CLUSTER"),
        "{shown}"
    );
}

#[test]
fn a_frozen_pool_says_why_and_works_nothing_out() {
    let shown = explain("memory-committed")
        .env("BRIMFUL_NOW", "2026-11-21T18:00:00Z")
        .config("policy: {maxDataAge: 1h}\n")
        .ends(5)
        .stdout;
    assert!(
        shown.starts_with("memory-committed  committed, managed: freeze\n"),
        "{shown}"
    );
    assert!(shown.contains("in doubt"), "{shown}");
    assert!(!shown.contains("to start"), "{shown}");
    assert!(shown.ends_with("change       nothing changes\n"), "{shown}");
}

#[test]
fn a_pool_that_no_plan_pays_for_says_so() {
    let shown = explain("spot").ends(0).stdout;
    assert!(
        shown.contains("none         launches Spot, which no Savings Plan covers\n"),
        "{shown}"
    );
    assert!(
        shown.contains("nothing changes: the pool is not managed"),
        "{shown}"
    );
}

#[test]
fn an_unknown_pool_is_bad_usage_and_the_pools_are_listed() {
    let error = explain("memory-comitted").fails(3);
    for part in [
        "no NodePool memory-comitted",
        "general-committed, memory-committed, spot",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn programs_get_the_numbers_that_people_see() {
    let plain = Brimful::plan("fixtures/cur/legacy").json(0);
    let asked = explain("memory-committed").json(0);
    assert_eq!(asked["schema"], "brimful/explain/v1");
    assert_eq!(
        (&asked["now"], &asked["source"]),
        (&plain["now"], &plain["source"])
    );
    let pool = entry(&plain["nodePools"], "name", "memory-committed");
    assert_eq!(&asked["nodePool"], pool);
    let groups = asked["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), pool["groups"].as_array().map_or(0, Vec::len));
    for group in groups {
        let shown = entry(&plain["groups"], "id", text(&group["id"]));
        assert_eq!(group["demand"], shown["demand"]);
        let working = &group["working"];
        assert!(
            working["hours"].as_array().is_some_and(|hours| !hours.is_empty()),
            "{group:#}"
        );
        assert!(working["plans"][0]["id"].is_string(), "{group:#}");
    }
    let sum = &asked["arithmetic"];
    assert_eq!(
        (&sum["rule"], &sum["headroom"]),
        (&json!("starts"), &pool["headroom"])
    );
    assert!(sum["room"].as_f64() >= sum["toStart"].as_f64(), "{sum:#}");
    let order = asked["order"].as_array().expect("pools");
    assert!(
        order.iter().any(|one| one["name"] == "memory-committed"),
        "{order:#?}"
    );
    let warnings = asked["warnings"].as_array().expect("warnings");
    assert!(
        warnings
            .iter()
            .all(|one| one["nodePool"].is_null() || one["nodePool"] == "memory-committed")
    );
    // A pool that no plan pays for has nothing to compare.
    assert_eq!(explain("spot").json(0)["arithmetic"], json!(null));
}

#[test]
fn the_exit_code_still_tells_of_changes() {
    explain("spot").arg("--exit-code").ends(2);
}

#[test]
fn lines_fit_the_numbers_they_are_made_of() {
    // The middle of (used + spill − this cluster then + change of the daily mean), + live = demand, as printed.
    let shown = explain("general-committed").ends(0).stdout;
    let part = "$0.621/h of others (the middle of the hours above) + $1.661/h live = $2.282/h";
    assert!(shown.contains(part), "{shown}");
}
