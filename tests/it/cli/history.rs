//! `history` from a state file, with and without the report.

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::tables::see;
use crate::contract::{HISTORY, check};
use crate::support::run::{Brimful, NOW, text};

const LEGACY: [&str; 2] = ["--cur", "fixtures/cur/legacy"];

fn change(time: &str, pool: &str, decision: &str, from: Option<i64>, to: i64) -> Value {
    json!({
        "time": time, "nodePool": pool, "action": "set", "result": "patched", "decision": decision,
        "weight": {"from": from, "to": to},
        "reason": format!("a reason to {decision}"),
        "demand": 1.5, "commitment": 2.0, "headroom": 0.5,
    })
}

/// A state file with these entries.
fn state(entries: &[Value]) -> NamedTempFile {
    let state = json!({
        "schema": "brimful/state/v1",
        "nodePools": {"batch-committed": {"decision": "hold", "since": "2026-11-19T13:00:00Z"}},
        "history": {"schema": "brimful/history/v1", "entries": entries},
    });
    file(&state.to_string())
}

fn file(content: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), content).expect("written");
    file
}

/// Two changes of one pool, one of another, and one that was refused.
fn some() -> NamedTempFile {
    let mut refused = change("2026-11-19T14:00:00Z", "batch-committed", "fill", Some(5), 60);
    refused["result"] = json!("refused");
    refused["message"] = json!("the API server refused (403): forbidden");
    refused["tries"] = json!(3);
    refused["lastTried"] = json!("2026-11-19T14:20:00Z");
    state(&[
        change("2026-11-19T09:20:00Z", "batch-committed", "fill", None, 60),
        change("2026-11-19T10:00:00Z", "general-committed", "fill", Some(10), 60),
        change("2026-11-19T13:00:00Z", "batch-committed", "hold", Some(60), 5),
        refused,
    ])
}

fn history(state: &NamedTempFile) -> Brimful {
    Brimful::new("history")
        .arg("--state")
        .arg(state.path())
        .args(["--now", NOW])
}

fn entries(document: &Value) -> &Vec<Value> {
    document["entries"].as_array().expect("entries")
}

#[test]
fn the_history_tells_its_story() {
    let file = some();
    see("history", &history(&file).args(LEGACY).ends(0));
}

#[test]
fn without_a_report_the_changes_are_told_and_their_effects_are_not() {
    let file = some();
    let document = history(&file).json(0);
    check(&HISTORY, &document);
    assert_eq!(document["source"], Value::Null);
    let entries = entries(&document);
    assert_eq!(entries.len(), 4);
    assert!(entries.iter().all(|one| one["effect"].is_null()));
    assert_eq!(
        document["total"],
        json!({"changes": 3, "told": 0, "saved": null, "cost": null})
    );
}

#[test]
fn with_the_report_each_change_is_told_what_it_saved_and_cost() {
    let file = some();
    let document = history(&file).args(LEGACY).json(0);
    check(&HISTORY, &document);
    let [batch, general, hold, refused] = &entries(&document)[..] else {
        panic!("{document:#}")
    };
    // At 10:00 two nodes overlapped for 4 minutes; c6i.xlarge cost $0.067728 as Spot on average in the report.
    let effect = &batch["effect"];
    assert_eq!(
        (&effect["hours"], &effect["complete"], &effect["until"]),
        (&json!(3), &json!(true), &json!("2026-11-19T13:00:00Z"))
    );
    let saved = effect["saved"].as_f64().expect("a number");
    assert!((saved - 0.067_728_107 / 15.0).abs() < 1e-8, "{saved}");
    assert_eq!(effect["cost"], 0.0, "no spill, before or after");
    // Nobody runs m5.xlarge as Spot, so nothing says what that would have cost.
    assert_eq!(general["effect"]["saved"], Value::Null);
    assert!(text(&general["effect"]["why"]).contains("no Spot row of m5.xlarge in us-east-2"));
    assert_eq!(hold["effect"]["complete"], false, "it still stands");
    assert_eq!(refused["effect"], Value::Null, "it changed nothing");
    assert_eq!(document["total"]["told"], 2);
}

#[test]
fn what_is_not_complete_in_the_report_yet_is_not_told() {
    let file = state(&[change(
        "2026-11-21T17:00:00Z",
        "batch-committed",
        "fill",
        Some(5),
        60,
    )]);
    let document = history(&file).args(LEGACY).json(0);
    let effect = &entries(&document)[0]["effect"];
    assert_eq!(
        (&effect["saved"], &effect["cost"], &effect["hours"]),
        (&Value::Null, &Value::Null, &json!(0))
    );
    assert!(text(&effect["why"]).contains("no hour since then"), "{effect:#}");
}

#[test]
fn the_report_is_read_back_to_the_first_change_shown() {
    // Before whatever `--since` shows.
    let old = |since: &str| {
        let file = state(&[change(
            "2026-11-03T09:00:00Z",
            "batch-committed",
            "fill",
            Some(5),
            60,
        )]);
        history(&file).args(LEGACY).args(["--since", since]).json(0)
    };
    let effect = &old("30d")["entries"][0]["effect"];
    assert!(effect["saved"].is_number(), "{effect:#}");
    assert_eq!(old("7d")["entries"], json!([]));
}

#[test]
fn pools_and_times_can_be_chosen() {
    let file = some();
    let names = |run: Brimful| -> Vec<String> {
        let document = run.json(0);
        let names = entries(&document)
            .iter()
            .map(|one| text(&one["nodePool"]).to_owned());
        names.collect()
    };
    assert_eq!(
        names(history(&file).args(["--nodepool", "general-committed"])),
        ["general-committed"]
    );
    // From 2026-11-19T12:00:00Z on.
    assert_eq!(
        names(history(&file).args(["--since", "54h"])),
        ["batch-committed", "batch-committed"]
    );
    let until = history(&file)
        .args(LEGACY)
        .args(["--nodepool", "batch-committed", "--since", "60h"])
        .json(0);
    assert_eq!(
        entries(&until)[0]["effect"]["until"],
        "2026-11-19T13:00:00Z",
        "what is not shown still ends what is"
    );
    let none = history(&file).args(["--nodepool", "nobody"]).ends(0);
    assert_eq!(none.stdout, "No change is recorded.\n");
}

#[test]
fn yaml_says_the_same_as_json_and_csv_has_one_line_per_change() {
    let file = some();
    let document = history(&file).args(LEGACY).json(0);
    let yaml = history(&file).args(LEGACY).args(["-o", "yaml"]).ends(0).stdout;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).expect("YAML"), document);
    let csv = history(&file).args(["-o", "csv"]).ends(0).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("time,nodePool,action,result,decision,weightFrom,weightTo,"));
    assert!(
        lines[1].starts_with("2026-11-19T09:20:00Z,batch-committed,set,patched,fill,,60,"),
        "absent is blank: {}",
        lines[1]
    );
}

#[test]
fn without_any_change_it_says_so() {
    let empty = file(r#"{"schema":"brimful/state/v1"}"#);
    assert_eq!(history(&empty).ends(0).stdout, "No change is recorded.\n");
    // No report is read for nothing.
    history(&empty).args(["--cur", "fixtures/nowhere"]).ends(0);
    let there_is_none = Brimful::new("history").args(["--state", "/nonexistent/state.json"]);
    assert_eq!(there_is_none.ends(0).stdout, "No change is recorded.\n");
}

#[test]
fn a_history_that_cannot_be_read_is_a_warning() {
    for history_text in ["3", r#"{"schema":"brimful/history/v9","entries":[]}"#] {
        let file = file(&format!(
            r#"{{"schema":"brimful/state/v1","history":{history_text}}}"#
        ));
        let document = history(&file).json(0);
        assert_eq!(document["warnings"][0]["code"], "history-lost");
        assert_eq!(document["entries"], json!([]));
        // A plan goes by the state beside it.
        let plan = Brimful::plan("fixtures/cur/legacy")
            .arg("--state")
            .arg(file.path());
        plan.json(0);
    }
}

#[test]
fn mistakes_end_as_with_the_other_commands() {
    let file = some();
    assert!(
        history(&file)
            .args(["--since", "yesterday"])
            .fails(3)
            .contains("yesterday")
    );
    assert!(
        history(&file)
            .args(["--cur", "fixtures/nowhere"])
            .fails(4)
            .contains("fixtures/nowhere")
    );
    Brimful::new("history").fails(7);
}
