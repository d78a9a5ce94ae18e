//! What programs read: JSON, YAML and CSV.

use serde_json::{Value, json};

use crate::contract::{PLAN, UTILIZATION, check};
use crate::support::run::{Brimful, NOW, entry};

/// `utilization` of a fixture at its clock.
fn utilization(cur: &str) -> Brimful {
    Brimful::new("utilization").args(["--cur", cur, "--now", NOW])
}

const REPORTS: [&str; 2] = ["fixtures/cur/legacy", "fixtures/cur/cur2"];

#[test]
fn documents_have_the_shape_of_the_contract() {
    for cur in REPORTS {
        check(&PLAN, &Brimful::plan(cur).json(0));
        check(&UTILIZATION, &utilization(cur).json(0));
    }
    // Frozen, and without Nodes: what is unknown is null.
    let stale = Brimful::new("plan")
        .args([
            "--cur",
            REPORTS[0],
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--now",
            "2026-12-01T00:00:00Z",
        ])
        .json(5);
    check(&PLAN, &stale);
}

#[test]
fn hours_that_were_not_asked_for_say_nothing_of_a_plan() {
    let month = utilization(REPORTS[0]).args(["--to", "2026-11-15"]).json(0);
    check(&UTILIZATION, &month);
    let stopped = |warning: &Value| warning["code"] == "plan-stopped";
    let warnings = month["warnings"].as_array().expect("warnings");
    assert!(!warnings.iter().any(stopped), "{warnings:#?}");
}

#[test]
fn both_report_formats_tell_the_same() {
    let [legacy, cur2] = REPORTS.map(|cur| Brimful::plan(cur).json(0));
    for section in ["plans", "groups", "nodePools", "changes", "warnings"] {
        assert_eq!(legacy[section], cur2[section], "{section}");
        assert!(
            !legacy[section].as_array().expect(section).is_empty(),
            "{section} has something to compare"
        );
    }
    assert_eq!(
        (&legacy["source"]["format"], &cur2["source"]["format"]),
        (&json!("legacy"), &json!("cur2"))
    );
    let [legacy, cur2] = REPORTS.map(|cur| utilization(cur).json(0));
    assert_eq!(legacy["plans"], cur2["plans"]);
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads_or_the_run() {
    for format in ["json", "yaml", "table"] {
        let runs = ["1", "2", "7", "2"].map(|threads| {
            let plan = Brimful::plan(REPORTS[0])
                .env("BRIMFUL_THREADS", threads)
                .args(["-o", format])
                .ends(0);
            let used = utilization(REPORTS[1])
                .env("BRIMFUL_THREADS", threads)
                .args(["-o", format])
                .ends(0);
            (plan.stdout, plan.stderr, used.stdout, used.stderr)
        });
        assert!(runs.iter().all(|run| *run == runs[0]), "{format}");
    }
}

#[test]
fn yaml_says_the_same_as_json() {
    for run in [|| Brimful::plan(REPORTS[0]), || utilization(REPORTS[0])] {
        let yaml = run().args(["-o", "yaml"]).ends(0).stdout;
        let yaml: Value = serde_saphyr::from_str(&yaml).expect("YAML");
        assert_eq!(yaml, run().json(0));
    }
}

#[test]
fn csv_has_one_line_per_plan_and_hour() {
    let csv = utilization(REPORTS[0]).args(["-o", "csv"]).ends(0).stdout;
    let document = utilization(REPORTS[0]).json(0);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some(
            "arn,kind,region,family,hour,commitment,used,unused,utilization,covered,demand,mature,reconciles"
        )
    );
    let plans = document["plans"].as_array().expect("plans");
    let hours: usize = plans
        .iter()
        .map(|plan| plan["hours"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(lines.clone().count(), hours);
    let first = &plans[0]["hours"][0];
    let expected = format!(
        "{},ec2Instance,us-east-2,m5,2026-11-01T00:00:00Z,{},{},",
        plans[0]["arn"].as_str().expect("an ARN"),
        first["commitment"],
        first["used"]
    );
    let line = lines.next().expect("a line");
    assert!(line.starts_with(&expected), "{line}\n{expected}");
}

#[test]
fn a_window_chooses_its_hours() {
    let hours = |run: Brimful| -> Vec<String> {
        let document = run.json(0);
        let hours = document["plans"][0]["hours"].as_array().expect("hours").clone();
        hours
            .iter()
            .map(|hour| hour["hour"].as_str().expect("a time").to_owned())
            .collect()
    };
    let all = hours(utilization(REPORTS[0]));
    assert_eq!(all.len(), 489, "from the month's first hour to the horizon");
    assert_eq!(all.last().map(String::as_str), Some("2026-11-21T08:00:00Z"));
    let since = hours(utilization(REPORTS[0]).args(["--since", "12h"]));
    assert_eq!(since, all[all.len() - 3..], "no hour begins before 06:00");
    let some = utilization(REPORTS[0]).args(["--from", "2026-11-03", "--to", "2026-11-03T02:00:00Z"]);
    assert_eq!(hours(some), ["2026-11-03T00:00:00Z", "2026-11-03T01:00:00Z"]);
}

#[test]
fn totals_are_sums_and_never_means_of_percentages() {
    let document = utilization(REPORTS[0]).json(0);
    let plans = document["plans"].as_array().expect("plans");
    let r6i = plans
        .iter()
        .find(|plan| plan["family"] == "r6i")
        .expect("the r6i plan");
    for (part, mature) in [("total", true), ("incomplete", false)] {
        let hours = r6i["hours"].as_array().expect("hours").iter();
        let hours: Vec<&Value> = hours.filter(|hour| hour["mature"] == mature).collect();
        let sum = |field: &str| -> f64 { hours.iter().filter_map(|hour| hour[field].as_f64()).sum() };
        let told = |field: &str| r6i[part][field].as_f64().expect("a number");
        assert_eq!(r6i[part]["hours"], hours.len(), "{part}");
        for field in ["commitment", "used", "unused"] {
            assert!((sum(field) - told(field)).abs() < 1e-6, "{part}.{field}");
        }
        assert!((told("used") / told("commitment") - told("utilization")).abs() < 1e-9);
        assert!((told("used") + told("unused") - told("commitment")).abs() < 1e-9);
    }
}

#[test]
fn a_plan_that_was_full_in_all_its_complete_hours_is_full() {
    let document = utilization(REPORTS[0]).json(0);
    let mut plans = document["plans"].as_array().expect("plans").iter();
    let is_compute = |plan: &&Value| plan["arn"].as_str().is_some_and(|arn| arn.contains("/79a3e4a7-"));
    let plan = plans.find(is_compute).expect("the Compute plan");
    assert_eq!(plan["total"]["hours"], 465);
    assert_eq!(plan["total"]["unused"], 0.0, "{}", plan["total"]);
    assert_eq!(plan["total"]["utilization"], 1.0);
    // What the report does not show yet stands apart.
    assert_eq!(plan["incomplete"]["hours"], 24);
    assert!(
        plan["incomplete"]["unused"].as_f64() > Some(13.0),
        "{}",
        plan["incomplete"]
    );
}

#[test]
fn where_no_hour_is_complete_there_is_no_total() {
    let window = || utilization(REPORTS[0]).args(["--since", "12h"]);
    let document = window().json(0);
    check(&UTILIZATION, &document);
    for plan in document["plans"].as_array().expect("plans") {
        let unknown =
            json!({"hours": 0, "commitment": null, "used": null, "unused": null, "utilization": null});
        assert_eq!(plan["total"], unknown, "unknown is null, never 0");
        assert_eq!(plan["incomplete"]["hours"], 3);
    }
    let shown = window().ends(0).stdout;
    assert!(shown.contains("No hour is complete yet"), "{shown}");
}

#[test]
fn every_pool_and_plan_of_the_input_is_in_the_output_in_order() {
    let plan = Brimful::plan(REPORTS[0]).json(0);
    let names = |list: &str, key: &str| -> Vec<String> {
        let list = plan[list].as_array().expect("a list");
        list.iter()
            .map(|one| one[key].as_str().expect("a name").to_owned())
            .collect()
    };
    let pools = names("nodePools", "name");
    assert_eq!(
        pools,
        [
            "arm-spot",
            "batch-committed",
            "default",
            "general-committed",
            "memory-committed",
            "spot",
            "static-ingress",
            "team-gpu"
        ]
    );
    let arns = names("plans", "arn");
    assert_eq!(arns.len(), 8);
    assert!(arns.is_sorted());
    let kept = entry(&plan["nodePools"], "name", "spot");
    assert_eq!(
        kept["weight"],
        json!({"current": 50, "proposed": 50}),
        "proposed is there when nothing changes"
    );
    let absent = entry(&plan["nodePools"], "name", "team-gpu");
    assert_eq!(absent["weight"], json!({"current": null, "proposed": null}));
}
