//! The page of `brimful report`.

use std::fs;

use serde_json::Value;

use crate::support::large::{self, Organization};
use crate::support::run::{Brimful, Ended, NOW};

/// Runs `report` on the fixtures' report; what it printed, and the page.
fn report(pools: &str, now: &str, code: i32) -> (Ended, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("plan.html");
    let args = ["--cur", "fixtures/cur/legacy", "--nodepools", pools, "--now", now];
    let ended = Brimful::new("report")
        .args(args)
        .arg("--html")
        .arg(&page)
        .ends(code);
    (ended, fs::read_to_string(page).expect("the page"))
}

/// The text of a page, as it is read: without tags, style and escapes.
fn text(page: &str) -> String {
    let body = page.split_once("<body>").expect("a body").1;
    let parts = body.split('<').filter_map(|part| part.split_once('>'));
    let text = parts.map(|(_, text)| text).collect::<Vec<&str>>().join(" ");
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#x2f;", "/");
    let text = text
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_page_that_cannot_be_written_is_noticed_before_the_report_is_read() {
    let nowhere = [
        "--cur",
        "fixtures/nowhere",
        "--nodepools",
        "fixtures/nodepools.yaml",
    ];
    let page = ["--html", "/nonexistent/page.html"];
    let error = Brimful::new("report").args(nowhere).args(page).fails(3);
    assert!(
        error.contains("cannot write the page to /nonexistent/page.html"),
        "{error}"
    );
}

#[test]
fn a_report_that_is_not_there_leaves_no_empty_page_and_an_older_page_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (new, old) = (folder.path().join("new.html"), folder.path().join("old.html"));
    std::fs::write(&old, "yesterday's").expect("a page");
    for page in [&new, &old] {
        let run = Brimful::new("report").args(["--cur", "fixtures/nowhere", "--html"]);
        run.arg(page)
            .args(["--nodepools", "fixtures/nodepools.yaml"])
            .fails(4);
    }
    assert!(!new.exists());
    assert_eq!(std::fs::read_to_string(&old).expect("a page"), "yesterday's");
}

#[test]
fn the_page_tells_what_the_plan_tells() {
    let pools = "fixtures/nodepools.yaml";
    let args = ["--cur", "fixtures/cur/legacy", "--nodepools", pools, "--now", NOW];
    let plan = Brimful::new("plan").args(args).json(0);
    let (ended, page) = report(pools, NOW, 0);
    let read = text(&page);
    let words = |text: &Value| -> String {
        let words = text.as_str().expect("a text").split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    };
    for of_plan in plan["plans"].as_array().expect("plans") {
        let arn = words(&of_plan["arn"]);
        let id = arn.rsplit('/').next().expect("an id");
        assert!(read.contains(id), "{id}");
    }
    for pool in plan["nodePools"].as_array().expect("pools") {
        let role = words(&pool["role"]);
        let is_left = pool["managed"] == false && pool["decision"] != "none";
        let mark = if is_left { " , not managed" } else { "" };
        let mark = mark.trim_start();
        let begins = format!(
            "{} {role}{mark} {} ",
            words(&pool["name"]),
            words(&pool["decision"])
        );
        assert!(read.contains(&begins), "{begins}\n{read}");
        assert!(read.contains(&words(&pool["reason"])), "{pool}");
    }
    for change in plan["changes"].as_array().expect("changes") {
        let row = format!(
            "{} {} {} → {} ",
            words(&change["nodePool"]),
            words(&change["field"]),
            change["from"],
            change["to"]
        );
        assert!(read.contains(&row), "{row}\n{read}");
    }
    for warning in plan["warnings"].as_array().expect("warnings") {
        let code = words(&warning["code"]);
        assert!(
            page.contains(&format!("href=\"#code-{code}\"")),
            "{code} is a link"
        );
        assert!(
            page.contains(&format!("id=\"code-{code}\"")),
            "that leads somewhere"
        );
        assert!(read.contains(&words(&warning["message"])), "{warning}");
    }
    let headline = ended.stdout.split_once(". The page is").expect("the headline").0;
    assert!(read.contains(headline), "{headline}");
}

/// By the fixtures: c7g commits $0.40/h of which some $0.30 are used, r6i $0.65/h of which $0.32 are; all others are
/// full. A month has 730 hours.
#[test]
fn it_begins_with_what_stands_unused_and_what_that_is_a_month() {
    let plan = Brimful::plan("fixtures/cur/legacy").json(0);
    let groups = plan["groups"].as_array().expect("groups");
    let headroom = groups.iter().filter_map(|group| group["headroom"].as_f64());
    let unused: f64 = headroom.filter(|headroom| *headroom > 0.0).sum();
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("plan.html");
    let run = Brimful::new("report").on_the_fixtures_cluster();
    let run = run
        .args(["--cur", "fixtures/cur/legacy"])
        .arg("--html")
        .arg(&page);
    let ended = run.ends(0);
    let begins = format!(
        "${unused:.3}/h of Savings Plans stands unused now: ${:.0} a month; 2 changes.",
        unused * 730.0
    );
    assert!(ended.stdout.starts_with(&begins), "{begins}\n{ended:?}");
    let page = fs::read_to_string(page).expect("the page");
    let heading = page
        .split_once("<h1>")
        .and_then(|(_, rest)| rest.split_once("</h1>"));
    let heading = heading.expect("a heading").0.replace("&#x2f;", "/");
    assert_eq!(heading, begins);
}

#[test]
fn it_needs_nothing_beside_itself() {
    let (_, page) = report("fixtures/nodepools.yaml", NOW, 0);
    assert!(page.len() < 500_000, "{} bytes", page.len());
    for refused in [
        "http:", "https:", "//", "<script", "<link", "<img", "<iframe", "url(", "@import", "src=",
    ] {
        assert!(!page.contains(refused), "{refused} is in the page");
    }
    let hrefs = page.split("href=\"").skip(1);
    assert!(hrefs.clone().count() > 5);
    for href in hrefs {
        let target = href.strip_prefix('#').and_then(|href| href.split('"').next());
        let target = target.expect("links stay within the page");
        assert!(page.contains(&format!("id=\"{target}\"")), "#{target} is nowhere");
    }
}

/// 60 plans and 500 pools: what matters most is drawn, of long tables the rest is folded.
#[test]
fn a_large_organization_s_page_stays_small_and_shows_what_matters() {
    let organization = Organization::new();
    let page = fs::read_to_string(organization.page()).expect("the page");
    assert!(page.len() < 500_000, "{} bytes", page.len());
    let course = page.split_once("id=\"course\"").expect("the course").1;
    let drawn: Vec<&str> = course.split("<h3>").skip(1).take(8).collect();
    let largest = (52..60).rev().map(large::arn);
    for (plan, arn) in drawn.iter().zip(largest) {
        let id = arn.rsplit('/').next().expect("an id");
        assert!(plan.starts_with(id), "{id} is not here: {}", &plan[..100]);
    }
    let read = text(&page);
    assert!(
        read.contains("Drawn are the 8 plans of which the most went unused"),
        "{read}"
    );
    assert!(read.contains("52 more are not"), "{read}");
    assert!(read.contains("Drawn are the 8 groups of plans"), "{read}");
    assert!(read.contains(" 168 more changes "), "{read}");
    assert!(read.contains(" 480 more NodePools "), "{read}");
}

/// Every table says what it is and heads its columns and rows; every chart has its text.
#[test]
fn it_can_be_read_aloud() {
    let (_, page) = report("fixtures/nodepools.yaml", NOW, 0);
    assert!(page.contains("<html lang=\"en\">"));
    assert_eq!(page.matches("<h1>").count(), 1);
    let tables: Vec<&str> = page.split("<table").skip(1).collect();
    assert!(tables.len() > 5);
    for table in tables {
        let table = table.split("</table>").next().expect("its end");
        assert_eq!(table.matches("<caption>").count(), 1, "{table}");
        let headings = table.matches("<th ").count();
        assert_eq!(
            table.matches(" scope=\"col\"").count() + table.matches(" scope=\"row\"").count(),
            headings
        );
    }
    let charts = page.matches("<svg").count();
    assert!(charts > 5);
    assert_eq!(
        page.matches("role=\"img\" tabindex=\"0\" aria-label=\"Chart: ")
            .count(),
        charts
    );
}

#[test]
fn a_frozen_plan_has_a_page_that_says_so() {
    let (ended, page) = report("fixtures/nodepools.yaml", "2026-12-01T18:00:00Z", 5);
    assert!(
        ended.stdout.starts_with("Frozen; by the figures at hand $"),
        "{ended:?}"
    );
    let read = text(&page);
    assert!(
        read.contains("Nothing is decided: the report reaches only to 2026-11-21"),
        "{read}"
    );
    assert!(read.contains("Nothing to change."), "{read}");
}

#[cfg(unix)]
#[test]
fn hostile_names_are_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = folder
        .path()
        .join("\u{1b}[31m\u{202e}\"><img src=x onerror=alert(1)>");
    let report = std::path::absolute("fixtures/cur/legacy").expect("the fixtures");
    std::os::unix::fs::symlink(report, &hostile).expect("a link");
    let page = folder.path().join("plan.html");
    let run = Brimful::new("report").on_the_fixtures_cluster();
    run.arg("--cur").arg(&hostile).arg("--html").arg(&page).ends(0);
    let page = fs::read_to_string(page).expect("the page");
    assert!(
        page.contains("onerror=alert(1)") && !page.contains("<img"),
        "it is shown as text"
    );
    let acts = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!page.contains(acts), "characters that act are spelled out");
}

#[test]
fn a_page_that_cannot_be_written_is_told_with_the_way_out() {
    let run = Brimful::new("report").on_the_fixtures_cluster();
    let error = run
        .args(["--cur", "fixtures/cur/legacy", "--html", "no/such/folder.html"])
        .fails(3);
    assert!(
        error.contains("no/such/folder.html") && error.contains("--html FILE"),
        "{error}"
    );
}
