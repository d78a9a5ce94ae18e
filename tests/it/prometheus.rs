//! Alerts and dashboard on Prometheus' own code: promtool.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::world::World;
use crate::support::tools;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether it was content, and what it said.
fn promtool(args: &[&str]) -> (bool, String) {
    let mut promtool = Command::new(tools::path("bin/promtool"));
    let ended = promtool
        .args(args)
        .current_dir(root())
        .output()
        .expect("promtool starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.success(), text(&ended.stdout) + &text(&ended.stderr))
}

#[track_caller]
fn passes(args: &[&str]) {
    let (is_well, said) = promtool(args);
    assert!(is_well, "{said}");
}

#[test]
fn the_rules_are_well_formed_and_each_alert_fires_when_it_should_and_only_then() {
    passes(&[
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        "charts/brimful/files/rules.yaml",
    ]);
    passes(&["test", "rules", "tests/prometheus/alerts.yaml"]);
}

#[test]
fn every_alert_is_tried_both_ways() {
    let yaml = |path: &str| serde_saphyr::from_str::<Value>(&read(path)).expect("YAML");
    let rules = yaml("charts/brimful/files/rules.yaml");
    let tests = yaml("tests/prometheus/alerts.yaml");
    let tests = tests["tests"].as_array().expect("tests").iter();
    let tried: Vec<&Value> = tests
        .flat_map(|test| test["alert_rule_test"].as_array().expect("tries"))
        .collect();
    for rule in rules["groups"][0]["rules"].as_array().expect("rules") {
        for fires in [true, false] {
            let is_tried =
                |one: &&Value| one["alertname"] == rule["alert"] && one["exp_alerts"].is_array() == fires;
            assert!(tried.iter().any(is_tried), "{}: fires {fires}", rule["alert"]);
        }
    }
}

/// Title and query of every panel.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read("charts/brimful/files/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| {
            (
                panel["title"].to_string(),
                target["expr"].as_str().unwrap_or_default().to_owned(),
            )
        })
    });
    targets.collect()
}

/// A test in promtool's words: on these metrics, each for an hour, every query has an answer.
fn has_answers(metrics: &str, queries: &[(String, String)]) -> Value {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let series: Vec<Value> = lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            json!({"series": series, "values": format!("{value}x60")})
        })
        .collect();
    let tries: Vec<Value> = queries
        .iter()
        .map(|(_, query)| {
            let is_there = format!("count({query}) > bool 0");
            json!({"expr": is_there, "eval_time": "1h", "exp_samples": [{"labels": "{}", "value": 1}]})
        })
        .collect();
    json!({"evaluation_interval": "1m", "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tries}]})
}

#[test]
fn every_query_of_the_dashboard_has_an_answer_on_metrics_of_a_run() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("brimful.prom");
    world.run("apply").arg("--metrics-file").arg(&file).ends(0);
    let metrics = fs::read_to_string(&file).expect("the metrics file");
    let mut queries = queries();
    assert!(queries.len() > 8, "{queries:?}");
    let test = folder.path().join("dashboard.json"); // JSON is YAML, too
    let try_out = |queries: &[(String, String)]| {
        fs::write(&test, has_answers(&metrics, queries).to_string()).expect("a test");
        promtool(&["test", "rules", &test.display().to_string()])
    };
    let (is_well, said) = try_out(&queries);
    assert!(is_well, "{said}");
    // What is not there is noticed.
    queries.push(("none".to_owned(), "brimful_no_such_metric".to_owned()));
    let (is_well, said) = try_out(&queries);
    assert!(!is_well && said.contains("brimful_no_such_metric"), "{said}");
}
