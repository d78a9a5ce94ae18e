//! The page of `brimful report` in a real browser, as readers have it: by day and by night, on a phone, on paper.
//!
//! `tests/tools/browser/look.js` drives the browser and says what it saw. The pictures stay in `target/page` for
//! whoever changes the page: a rule can be broken without a test that sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::large::Organization;
use crate::support::run::Brimful;
use crate::support::tools;

/// What the browser saw of a page, view by view.
fn look(page: &Path, name: &str) -> Vec<Value> {
    let pictures = pictures(name);
    let ended = Command::new("node")
        .arg(tools::source("browser/look.js"))
        .arg(tools::path("bin/chromium"))
        .args([page, &pictures])
        .env("NODE_PATH", tools::path("browser/node_modules"))
        .output()
        .expect("node starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&ended.stdout)))
}

/// `target/page/NAME`, wherever `target` is.
fn pictures(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target");
    let folder = target.join("page").join(name);
    fs::create_dir_all(&folder).expect("a folder for pictures");
    folder
}

/// Everything that must hold of a page, whatever stands in it.
#[track_caller]
fn is_well(seen: &[Value]) {
    let views: Vec<&Value> = seen.iter().map(|view| &view["view"]).collect();
    assert_eq!(views, ["light", "dark", "phone-light", "phone-dark", "print"]);
    for view in seen {
        let of = |what: &str| format!("{what} of {}: {view:#}", view["view"]);
        assert_eq!(view["said"], json!([]), "{}", of("console"));
        assert_eq!(view["requests"], json!([]), "{}", of("requests"));
        assert_eq!(view["violations"], json!([]), "{}", of("accessibility"));
        assert!(
            view["passed"].as_u64().is_some_and(|rules| rules > 20),
            "{}",
            of("rules")
        );
        assert_eq!(view["width"], view["viewport"], "{}", of("width"));
    }
}

#[test]
fn the_page_is_well_in_a_browser_by_day_by_night_on_a_phone_and_on_paper() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("plan.html");
    let run = Brimful::new("report").on_the_fixtures_cluster();
    run.args(["--cur", "fixtures/cur/legacy", "--html"])
        .arg(&page)
        .ends(0);
    is_well(&look(&page, "fixtures"));
}

#[test]
fn a_frozen_plan_s_page_is_well_in_a_browser() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("plan.html");
    let args = [
        "--cur",
        "fixtures/cur/legacy",
        "--nodepools",
        "fixtures/nodepools.yaml",
    ];
    let run = Brimful::new("report")
        .args(args)
        .args(["--now", "2026-12-01T18:00:00Z", "--html"]);
    run.arg(&page).ends(5);
    is_well(&look(&page, "frozen"));
}

#[test]
fn a_large_organization_s_page_is_well_in_a_browser() {
    let organization = Organization::new();
    is_well(&look(&organization.page(), "large"));
}
