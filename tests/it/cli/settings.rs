//! Flags, environment and configuration: which one wins, and how mistakes are told.

use std::path::Path;

use serde_json::Value;

use crate::support::run::{Brimful, NOW, entry, text};

/// A plan on the fixtures' cluster whose report is still to be named.
fn plan() -> Brimful {
    Brimful::new("plan").on_the_fixtures_cluster()
}

fn source(run: Brimful) -> String {
    run.json(0)["source"]["uri"].as_str().expect("a uri").to_owned()
}

#[test]
fn a_flag_beats_the_environment_and_that_beats_the_configuration() {
    let (legacy, cur2) = ("fixtures/cur/legacy", "fixtures/cur/cur2");
    let config = format!("cur:\n  uri: {cur2}\n");
    assert_eq!(source(plan().config(&config)), cur2);
    assert_eq!(source(plan().config(&config).env("BRIMFUL_CUR", legacy)), legacy);
    assert_eq!(
        source(plan().env("BRIMFUL_CUR", cur2).args(["--cur", legacy])),
        legacy
    );
}

#[test]
fn every_setting_can_come_from_the_environment() {
    let ended = Brimful::new("plan")
        .env("BRIMFUL_CUR", "fixtures/cur/legacy")
        .env("BRIMFUL_NODEPOOLS", "fixtures/nodepools.yaml")
        .env("BRIMFUL_NODES", "fixtures/nodes.yaml")
        .env("BRIMFUL_NOW", NOW)
        .env("BRIMFUL_OUTPUT", "json")
        .env("BRIMFUL_EXIT_CODE", "true")
        .ends(2);
    assert_eq!(
        ended.stdout,
        plan()
            .args(["--cur", "fixtures/cur/legacy", "-o", "json"])
            .ends(0)
            .stdout
    );
}

#[test]
fn a_cache_of_files_and_an_engine_that_reads_none_do_not_go_together() {
    let athena = "cur:\n  engine: athena\n  athena:\n    database: acme\n    table: cur\n";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ended = plan().config(athena).arg("--cache").arg(folder.path()).ends(3);
    assert_eq!(
        ended.stderr,
        "error: --cache: keeps what was counted of files; engine athena reads none\n  → \
         leave out --cache and BRIMFUL_CACHE, or read the files with --cur\n"
    );
}

#[test]
fn exit_code_tells_changes_only_when_asked() {
    let legacy = ["--cur", "fixtures/cur/legacy"];
    plan().args(legacy).ends(0);
    plan().args(legacy).arg("--exit-code").ends(2);
    // Nothing is managed, so nothing changes.
    let unmanaged = tempfile::NamedTempFile::new().expect("a temporary file");
    let pools = std::fs::read_to_string("fixtures/nodepools.yaml").expect("the fixture");
    std::fs::write(
        unmanaged.path(),
        pools.replace("brimful.dev/managed", "example.com/x"),
    )
    .expect("written");
    Brimful::new("plan")
        .args(["--nodes", "fixtures/nodes.yaml", "--now", NOW, "--exit-code"])
        .args(legacy)
        .arg("--nodepools")
        .arg(unmanaged.path())
        .ends(0);
}

#[test]
fn bad_usage_ends_with_3_and_says_what_is_wrong() {
    let legacy = ["--cur", "fixtures/cur/legacy"];
    for (run, part) in [
        (plan().arg("--nope"), "--nope"),
        (plan().args(legacy).args(["-o", "xml"]), "xml"),
        (plan().args(legacy).args(["--threads", "0"]), "--threads"),
        (plan(), "no report is given"),
        (plan().args(["--cur", "gs://bucket"]), "gs://"),
        (plan().args(["--cur", "s3://"]), "names no bucket"),
        (plan().args(["--cur", ""]), "empty"),
        (
            Brimful::new("plan").args(legacy).args(["--now", "yesterday"]),
            "`yesterday` is not a time",
        ),
        (
            Brimful::new("plan")
                .args(legacy)
                .args(["--nodes", "fixtures/nodes.yaml"]),
            "--nodepools",
        ),
        (
            Brimful::new("plan")
                .args(legacy)
                .args(["--nodepools", "/nonexistent.yaml"]),
            "/nonexistent.yaml",
        ),
        (
            Brimful::new("utilization").args(legacy).args(["--since", "7"]),
            "7",
        ),
        (
            Brimful::new("utilization")
                .args(legacy)
                .args(["--from", "2026-11-03", "--to", "2026-11-02"]),
            "the window is empty",
        ),
        (Brimful::new("weigh"), "weigh"),
    ] {
        let error = run.fails(3);
        assert!(
            error.starts_with("error") && error.contains(part),
            "{part}: {error}"
        );
    }
}

#[test]
fn mistakes_in_the_configuration_are_told_with_their_place() {
    let plan = || plan().args(["--cur", "fixtures/cur/legacy"]);
    for (yaml, parts) in [
        ("cur:\n  uri: s3://b\n  maturty: 24h\n", ["maturty", "line 3"]),
        (
            "share: 1.5\n",
            ["share must be more than 0 and at most 1", "line 1"],
        ),
        ("\nmode: watch\n", ["watch", "line 2"]),
        ("cur: {maturity: soon}\n", ["soon", "line 1"]),
        ("weights: {fill: 101}\n", ["weights.fill", "1 to 100"]),
        (
            "policy: {thresholds: {fill: 0}}\n",
            ["policy.thresholds", "fill must exceed hold"],
        ),
        ("cur: [\n", ["line", "brimful schema"]),
    ] {
        let error = plan().config(yaml).fails(3);
        for part in parts {
            assert!(error.contains(part), "{part} of\n{yaml}in\n{error}");
        }
    }
    let missing = plan().args(["--config", "/nonexistent.yaml"]).fails(3);
    assert!(missing.contains("/nonexistent.yaml"), "{missing}");
}

#[test]
fn the_schema_accepts_the_shipped_configuration_and_refuses_what_the_program_refuses() {
    let schema: Value = serde_json::from_str(&Brimful::new("schema").ends(0).stdout).expect("JSON");
    jsonschema::meta::validate(&schema).expect("a JSON Schema");
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/base/configmap.yaml");
    let manifest: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(manifest).expect("the manifest")).expect("YAML");
    let shipped = manifest["data"]["config.yaml"]
        .as_str()
        .expect("the configuration");
    // As it stands, and with every line that is commented out, which shows the defaults or an example.
    let all: String = shipped.lines().map(|line| uncommented(line) + "\n").collect();
    for text in [shipped, &all] {
        let config: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(
            validator.is_valid(&config),
            "{:#?}",
            validator.iter_errors(&config).collect::<Vec<_>>()
        );
    }
    // It loads, too, but for the place of the report, which each user names.
    let loads = all.replace("uri: \"\"", "").replace("discover: hourly", "");
    plan()
        .args(["--cur", "fixtures/cur/legacy"])
        .config(&loads)
        .ends(0);
    for yaml in [
        "cur: {maturty: 24h}",
        "share: 1.5",
        "mode: watch",
        "weights: {fill: 101}",
    ] {
        let config: Value = serde_saphyr::from_str(yaml).expect("YAML");
        assert!(!validator.is_valid(&config), "{yaml}");
    }
}

/// A key that was commented out; prose stays a comment.
fn uncommented(line: &str) -> String {
    let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
    let Some(text) = rest.strip_prefix("# ") else {
        return line.to_owned();
    };
    let words = text.trim_start().trim_start_matches("- ");
    let key: String = words.chars().take_while(char::is_ascii_alphanumeric).collect();
    let is_key = key.starts_with(|c: char| c.is_ascii_lowercase());
    match words[key.len()..].strip_prefix(':') {
        Some(value) if is_key && (value.is_empty() || value.starts_with(' ')) => format!("{indent}{text}"),
        _ => line.to_owned(),
    }
}

#[test]
fn the_manual_can_be_printed_and_has_a_page_for_each_command() {
    let manual = Brimful::new("man").ends(0).stdout;
    assert!(manual.contains(".TH") && manual.contains("brimful"), "{manual}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let pages = dir.path().join("man1");
    Brimful::new("man").arg("--dir").arg(&pages).ends(0);
    for name in [
        "brimful",
        "brimful-plan",
        "brimful-apply",
        "brimful-run",
        "brimful-history",
    ] {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).expect("a page");
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
    }
    let told = Brimful::new("man").args(["--dir", "/proc/none"]).fails(3);
    assert!(told.contains("/proc/none") && told.contains("--dir"), "{told}");
    assert!(Brimful::new("--version").ends(0).stdout.starts_with("brimful "));
}

#[test]
fn the_state_file_carries_decisions_from_run_to_run_and_plan_never_writes_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("state.json");
    let run = || {
        plan()
            .args(["--cur", "fixtures/cur/legacy"])
            .arg("--state")
            .arg(&file)
    };
    run().ends(0);
    assert!(!file.exists(), "a plan writes nothing");
    // Filling since yesterday: the pool goes on although the room is less than it takes to start.
    let state = r#"{"schema":"brimful/state/v1","nodePools":{"memory-committed":{"decision":"fill","since":"2026-11-20T00:00:00Z"}}}"#;
    std::fs::write(&file, state).expect("written");
    let thresholds = "policy: {thresholds: {fill: 5}}\n";
    let decision = |run: Brimful| {
        entry(
            &run.config(thresholds).json(0)["nodePools"],
            "name",
            "memory-committed",
        )["decision"]
            .clone()
    };
    assert_eq!(decision(plan().args(["--cur", "fixtures/cur/legacy"])), "hold");
    assert_eq!(decision(run()), "fill");
    assert_eq!(std::fs::read_to_string(&file).expect("the state"), state);
    std::fs::write(&file, "{").expect("written");
    let frozen = run().json(5);
    let reason = text(&entry(&frozen["nodePools"], "name", "memory-committed")["reason"]).to_owned();
    assert!(
        reason.contains("state.json") && reason.contains("cannot be read"),
        "{reason}"
    );
}
