//! Alerts on promtool, which has a clock of its own; the dashboard on a Prometheus that scrapes a running operator.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::operator::{Operator, grant, wait};
use crate::cluster::world::World;
use crate::support::monitoring::{Prometheus, of_text, with_labels};
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

#[test]
fn the_metrics_file_has_types_and_help_and_names_as_they_should_be() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("brimful.prom");
    world.run("apply").arg("--metrics-file").arg(&file).ends(0);
    let checked = Command::new(tools::path("bin/promtool"))
        .args(["check", "metrics"])
        .stdin(File::open(&file).expect("the file"))
        .output()
        .expect("promtool starts");
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_scrape_of_the_operator_answers_every_query_of_the_dashboard_and_of_the_rules() {
    let world = World::new();
    grant(&world.server);
    let operator = Operator::start(world.run("run"));
    operator.runs_once();
    let rules = root().join("charts/brimful/files/rules.yaml");
    let prometheus = Prometheus::start(&[operator.address()], &[&rules]);
    let target = || prometheus.api("targets?state=active")["activeTargets"][0].clone();
    wait("a scrape", || target()["lastScrapeDuration"].as_f64() > Some(0.0));
    let target = target();
    assert_eq!(target["health"], "up", "{target:#}");

    let queries = queries();
    assert!(queries.len() > 8, "{queries:?}");
    // At once, but for what has grown, which two scrapes tell.
    for (title, query) in &queries {
        wait(title, || !prometheus.query(query).is_empty());
    }
    assert!(prometheus.query("brimful_no_such_metric").is_empty());

    let here = format!("instance={}", operator.address());
    // What it has patched is a change in the cluster, after which it may run again.
    wait("every metric as it is served", || {
        let scraped = prometheus.query("{__name__=~'brimful_.+'}");
        let (_, text) = operator.get("/metrics").expect("metrics");
        with_labels(&scraped, &["job=brimful", &here]) == of_text(&text)
    });

    let read: Value = serde_saphyr::from_str(&read("charts/brimful/files/rules.yaml")).expect("YAML");
    let rules = || prometheus.api("rules")["groups"][0]["rules"].clone();
    let each = |rules: &Value, key: &str| -> Vec<Value> {
        let rules = rules.as_array().into_iter().flatten();
        rules.map(|rule| rule[key].clone()).collect()
    };
    wait("every rule is tried", || {
        !each(&rules(), "health").contains(&json!("unknown"))
    });
    let rules = rules();
    assert_eq!(each(&rules, "name"), each(&read["groups"][0]["rules"], "alert"));
    assert!(
        each(&rules, "health").iter().all(|health| health == "ok"),
        "{rules:#}"
    );
    let ended = operator.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
