//! What reaches a terminal or a log, whatever names from outside hold.

use serde_json::Value;

use crate::support::cur::{Bucket, Row};
use crate::support::run::{Brimful, Ended, NOW, text};

/// Turns bold, turns the reading order, clears the screen, sets a title, rings, goes back to the line's begin.
const HOSTILE: &str = "\u{1b}[1mx\u{202e}\u{1b}[2J\u{1b}]0;title\u{7}\r\u{9b}31m";

/// A report with a plan and a cluster of hostile names.
fn report() -> Bucket {
    let arn = format!("arn:aws:savingsplans::111122223333:savingsplan/{HOSTILE}");
    let cluster = format!("prod{HOSTILE}");
    let hours = (0..60).flat_map(|h| {
        let [fee, covered] = Row::hour_of(&arn, h, 1.0, 0.5);
        let whose = if h % 2 == 0 { cluster.as_str() } else { "staging" };
        [fee, covered.tag_cluster(whose)]
    });
    Bucket::of(hours)
}

/// Everything but line breaks and colours.
fn acting(text: &str) -> Vec<char> {
    let plain: String = anstream::adapter::strip_str(&text.replace('\u{9b}', "!")).to_string();
    let acts = |c: &char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(c);
    plain
        .chars()
        .filter(|c| acts(c) && *c != '\n')
        .chain(text.chars().filter(|c| *c == '\u{9b}'))
        .collect()
}

fn is_harmless(ended: &Ended) {
    for said in [&ended.stdout, &ended.stderr] {
        assert!(acting(said).is_empty(), "{said:?}");
        // Stripping colours takes other sequences along, so those are looked for by themselves.
        for sequence in said.split('\u{1b}').skip(1) {
            let colour = sequence.trim_start_matches(|c: char| matches!(c, '[' | ';') || c.is_ascii_digit());
            assert!(colour.starts_with('m'), "only colours: {said:?}");
        }
    }
}

fn on(bucket: &Bucket, command: &str) -> Brimful {
    let run = Brimful::new(command)
        .env("CLICOLOR_FORCE", "1")
        .args(["--now", "2026-11-03T13:00:00Z", "--cur"])
        .arg(bucket.path());
    if command == "utilization" {
        return run;
    }
    run.args(["--nodepools", "fixtures/nodepools.yaml"])
}

#[test]
fn names_from_a_report_bring_no_control_characters_to_a_terminal() {
    let bucket = report();
    for command in ["utilization", "plan", "doctor"] {
        let ended = on(&bucket, command).ends_any();
        // The name's own colour, too, is spelled out.
        let shown = r"\u{1b}[1mx\u{202e}";
        assert!(
            ended.stdout.contains(shown) || ended.stderr.contains(shown),
            "{ended:?}"
        );
        is_harmless(&ended);
    }
    let explained = on(&bucket, "plan")
        .args(["--explain", "general-committed"])
        .ends_any();
    is_harmless(&explained);
    let csv = on(&bucket, "utilization").args(["-o", "csv"]).ends(0).stdout;
    assert!(!csv.contains('\u{1b}') && acting(&csv).is_empty(), "{csv}");
}

#[test]
fn programs_get_the_names_as_they_are_escaped() {
    let bucket = report();
    let json = on(&bucket, "utilization").args(["-o", "json"]).ends(0);
    assert!(acting(&json.stdout).is_empty(), "{}", json.stdout);
    assert!(text(&json.json()["plans"][0]["arn"]).ends_with(HOSTILE));
    let yaml = on(&bucket, "utilization").args(["-o", "yaml"]).ends(0);
    assert!(acting(&yaml.stdout).is_empty(), "{}", yaml.stdout);
    let yaml: Value = serde_saphyr::from_str(&yaml.stdout).expect("YAML");
    assert!(text(&yaml["plans"][0]["arn"]).ends_with(HOSTILE));
}

fn lines(said: &str) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}\n{line}"));
    said.lines().map(line).collect()
}

#[test]
fn with_json_logs_every_line_on_standard_error_is_json() {
    let config = "telemetry: {logs: json}";
    let plan = || Brimful::plan("fixtures/cur/legacy").config(config);
    let all = lines(&plan().arg("-vv").ends(0).stderr);
    let warnings: Vec<&Value> = all.iter().filter(|line| line["level"] == "WARN").collect();
    let unprotected = warnings
        .iter()
        .find(|line| line["fields"]["code"] == "unprotected");
    let fields = &unprotected.expect("the warning")["fields"];
    assert_eq!(fields["nodePool"], "batch-committed");
    assert!(
        text(&fields["message"]).contains("its plans are full"),
        "{fields}"
    );

    let failed = Brimful::new("utilization")
        .args(["--cur", "/nonexistent/report", "--now", NOW])
        .config(config)
        .fails(4);
    let [line] = lines(&failed).try_into().expect("one line");
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["fields"]["exitCode"], 4);
    assert!(
        text(&line["fields"]["message"]).contains("/nonexistent/report"),
        "{line}"
    );

    // Names in them are as harmless as on a terminal.
    let ended = on(&report(), "plan").config(config).ends_any();
    assert!(acting(&ended.stderr).is_empty(), "{ended:?}");
    assert!(!lines(&ended.stderr).is_empty(), "{ended:?}");
}
