//! Other clusters on the same plans, as `plan` and `doctor` see them in a directory.

use std::path::Path;

use serde_json::{Value, json};

use crate::contract::{PLAN, check};
use crate::support::run::{Brimful, NOW, entry, text};

const REPORT: &str = "fixtures/cur/legacy";
const R6I: &str = "ec2Instance/r6i/us-east-2";

/// What staging tells: its demand on Compute plans, and whether it wants the r6i plans and has claimed of them.
fn staging(time: &str, compute: f64, r6i: (bool, f64)) -> Value {
    let group = |demand: f64, (wants, claim): (bool, f64)| json!({"demand": demand, "atCompute": demand, "wants": wants, "claim": claim, "launches": 0});
    json!({"schema": "brimful/demand/v1", "cluster": "staging", "account": null, "region": "us-east-2", "time": time,
        "nodePools": {}, "comparable": true, "share": null, "groups": {
            "compute": group(compute, (false, 0.0)),
            "ec2Instance/c7g/eu-west-1": group(0.0, (false, 0.0)),
            "ec2Instance/m5/us-east-2": group(0.0, (false, 0.0)),
            R6I: group(0.0, r6i)}})
}

fn place(objects: &[(&str, String)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in objects {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    dir
}

fn config(dir: &Path) -> String {
    format!("coordination: {{uri: {}}}\n", dir.display())
}

fn plan(dir: &Path) -> Value {
    Brimful::plan(REPORT).config(&config(dir)).json(0)
}

fn told(demand: &Value) -> tempfile::TempDir {
    place(&[("staging.json", demand.to_string())])
}

fn group<'a>(plan: &'a Value, id: &str) -> &'a Value {
    entry(&plan["groups"], "id", id)
}

fn warnings<'a>(plan: &'a Value, code: &str) -> Vec<&'a str> {
    let all = plan["warnings"].as_array().expect("warnings").iter();
    all.filter(|warning| warning["code"] == code)
        .map(|warning| text(&warning["message"]))
        .collect()
}

/// Two plans that differ in nothing but the warnings about coordination.
fn assert_same_but_for(code: &str, plan: &Value, other: &Value) {
    for section in ["plans", "groups", "nodePools", "changes"] {
        assert_eq!(plan[section], other[section], "{section}");
    }
    assert_eq!(warnings(plan, code).len(), 1, "{plan:#}");
}

#[test]
fn what_another_cluster_tells_replaces_its_part_of_the_report() {
    let alone = Brimful::plan(REPORT).json(0);
    let idle = plan(told(&staging(NOW, 0.0, (false, 0.0))).path());
    let busy = plan(told(&staging(NOW, 5.0, (false, 0.0))).path());
    for document in [&idle, &busy] {
        check(&PLAN, document);
        assert_eq!(warnings(document, "shared-plan"), [""; 0]);
    }
    let demand = |plan: &Value| group(plan, "compute")["demand"].as_f64().expect("a demand");
    assert!(
        demand(&idle) < demand(&alone),
        "{} {}",
        demand(&idle),
        demand(&alone)
    );
    let more = demand(&busy) - demand(&idle);
    assert!((more - 5.0).abs() < 1e-9, "{more}");
    assert_eq!(group(&idle, R6I), group(&alone, R6I));
}

#[test]
fn headroom_is_split_with_whoever_wants_it_and_claims_are_kept() {
    let share = |r6i| group(&plan(told(&staging(NOW, 0.0, r6i)).path()), R6I)["share"].clone();
    assert_eq!(share((false, 0.0)), 1.0);
    assert_eq!(share((true, 0.0)), 0.5);
    let claimed = plan(told(&staging(NOW, 0.0, (true, 10.0))).path());
    assert_eq!(group(&claimed, R6I)["share"], 0.0);
    let pool = entry(&claimed["nodePools"], "name", "memory-committed");
    assert_eq!(pool["decision"], "hold");
    assert!(text(&pool["reason"]).contains("other clusters"), "{pool:#}");
}

#[test]
fn a_cluster_that_fell_silent_is_named_and_seen_by_the_report_again() {
    let alone = Brimful::plan(REPORT).json(0);
    for (time, says) in [
        ("2026-11-21T17:29:00Z", "31 min"),
        ("2026-11-21T19:00:00Z", "ahead"),
    ] {
        let silent = plan(told(&staging(time, 0.0, (true, 1.0))).path());
        assert_same_but_for("coordination-stale", &silent, &alone);
        let message = warnings(&silent, "coordination-stale")[0].to_owned();
        assert!(message.contains("staging") && message.contains(says), "{message}");
    }
    let patient = format!("{}  \n", config(Path::new("DIR")).replace('}', ", maxAge: 2h}"));
    let dir = told(&staging("2026-11-21T17:29:00Z", 0.0, (true, 1.0)));
    let heard = Brimful::plan(REPORT)
        .config(&patient.replace("DIR", &dir.path().display().to_string()))
        .json(0);
    assert_eq!(warnings(&heard, "coordination-stale"), [""; 0]);
}

#[test]
fn garbage_and_a_place_out_of_reach_leave_the_plan_as_without_coordination() {
    let alone = Brimful::plan(REPORT).json(0);
    let whole = staging(NOW, 0.0, (true, 1.0)).to_string();
    for garbage in ["", "\u{0}\u{1}", &whole[..whole.len() / 2]] {
        let dir = place(&[
            ("staging.json", garbage.to_owned()),
            ("notes.txt", "hello".to_owned()),
        ]);
        assert_same_but_for("coordination-stale", &plan(dir.path()), &alone);
    }
    let away = plan(Path::new("/nonexistent/coordination"));
    assert_same_but_for("coordination-unreachable", &away, &alone);
    assert!(warnings(&away, "coordination-unreachable")[0].contains("/nonexistent/coordination"));
}

#[test]
fn without_the_clusters_name_nobody_is_believed() {
    let dir = told(&staging(NOW, 0.0, (true, 1.0)));
    let nameless = Brimful::new("plan")
        .args([
            "--cur",
            REPORT,
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--now",
            NOW,
        ])
        .config(&config(dir.path()))
        .json(0);
    assert!(warnings(&nameless, "coordination-unnamed")[0].contains("cluster.name"));
}

#[test]
fn a_plan_writes_nothing() {
    let dir = told(&staging(NOW, 0.0, (true, 1.0)));
    plan(dir.path());
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .expect("the folder")
        .map(|file| file.expect("a file").file_name())
        .collect();
    assert_eq!(names, ["staging.json"]);
}

#[test]
fn another_cluster_of_the_same_name_is_a_conflict() {
    let mut namesake = staging(NOW, 0.0, (true, 1.0));
    namesake["cluster"] = json!("prod");
    namesake["nodePools"] = json!({"general-committed": "00000000-0000-4000-8000-000000000000"});
    let dir = place(&[("prod.json", namesake.to_string())]);
    let conflict = plan(dir.path());
    assert_same_but_for("coordination-conflict", &conflict, &Brimful::plan(REPORT).json(0));
}

#[test]
fn a_place_that_cannot_be_one_is_refused_with_its_key() {
    for uri in ["gs://bucket/x", "''", "s3://"] {
        let yaml = format!("coordination: {{uri: {uri}}}\n");
        let error = Brimful::plan(REPORT).config(&yaml).fails(3);
        assert!(error.contains("coordination.uri"), "{error}");
    }
}

#[test]
fn doctor_shows_who_tells_what() {
    let doctor = |dir: &Path| {
        let run = Brimful::new("doctor").args(["--cur", REPORT, "--now", NOW]);
        let run = run.args([
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--nodes",
            "fixtures/nodes.yaml",
        ]);
        run.config(&config(dir)).json(0)
    };
    let found = doctor(told(&staging("2026-11-21T17:50:00Z", 0.0, (true, 0.0))).path());
    let check = entry(&found["checks"], "id", "coordination");
    assert_eq!(check["status"], "ok");
    assert!(
        text(&check["message"]).contains("staging 10 min ago"),
        "{check:#}"
    );
    let share = entry(&found["checks"], "id", "report-share");
    assert!(
        share["status"] == "ok" && text(&share["message"]).contains("staging"),
        "{share:#}"
    );
    let away = doctor(Path::new("/nonexistent/coordination"));
    let check = entry(&away["checks"], "id", "coordination");
    assert!(check["status"] == "warn" && check["cure"].is_null(), "{check:#}");
}
