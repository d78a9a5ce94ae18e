//! What people read.

use insta::{Settings, assert_snapshot};

use crate::support::run::{Brimful, Ended, NOW};

/// Checks what a person sees against the file of that name.
pub(super) fn see(name: &str, ended: &Ended) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let seen = format!("{}\n--- standard error ---\n{}", ended.stdout, ended.stderr);
    settings.bind(|| assert_snapshot!(name, seen));
}

fn plan() -> Brimful {
    Brimful::plan("fixtures/cur/legacy")
}

fn utilization() -> Brimful {
    Brimful::new("utilization").args(["--cur", "fixtures/cur/legacy", "--now", NOW])
}

#[test]
fn the_plan_tells_its_story() {
    see("plan", &plan().ends(0));
}

#[test]
fn a_plan_without_nodes_says_what_it_rests_on() {
    let pools = [
        "--cur",
        "fixtures/cur/legacy",
        "--nodepools",
        "fixtures/nodepools.yaml",
        "--now",
        NOW,
    ];
    see("plan-without-nodes", &Brimful::new("plan").args(pools).ends(0));
}

#[test]
fn the_utilization_tells_its_story() {
    see("utilization", &utilization().ends(0));
}

#[test]
fn a_frozen_plan_says_why() {
    let stale = Brimful::new("plan")
        .args([
            "--cur",
            "fixtures/cur/legacy",
            "--nodepools",
            "fixtures/nodepools.yaml",
        ])
        .args(["--now", "2026-12-01T00:00:00Z"]);
    see("plan-of-an-old-report", &stale.ends(5));
}

#[test]
fn help_is_what_the_contract_says() {
    let help = Brimful::new("plan").arg("--help").ends(0).stdout;
    for flag in [
        "--cur",
        "--config",
        "--nodepools",
        "--nodes",
        "--state",
        "--now",
        "--output",
        "--exit-code",
        "--kubeconfig",
        "--context",
    ] {
        assert!(help.contains(flag), "{flag} is not in\n{help}");
    }
    let all = Brimful::new("--help").ends(0).stdout;
    for command in [
        "plan",
        "apply",
        "utilization",
        "doctor",
        "reset",
        "schema",
        "completions",
    ] {
        assert!(
            all.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is not in\n{all}"
        );
    }
}

#[test]
fn help_is_a_command_too_and_lists_manual_and_completions() {
    let all = Brimful::new("help").ends(0).stdout;
    assert_eq!(all, Brimful::new("--help").ends(0).stdout);
    for command in ["man", "completions", "help"] {
        assert!(all.contains(&format!("\n  {command} ")), "{command}: {all}");
    }
    let of_plan = Brimful::new("help").arg("plan").ends(0).stdout;
    assert_eq!(of_plan, Brimful::new("plan").arg("--help").ends(0).stdout);
    Brimful::new("help").arg("plane").fails(3);
}

#[test]
fn markdown_tells_of_warnings_and_plans_as_well() {
    let markdown = plan().args(["-o", "markdown"]).ends(0).stdout;
    let places = [
        "| NodePool | field |",
        "| plan-ending | b21c13de-",
        "| compute | ",
    ];
    let found: Vec<Option<usize>> = places.iter().map(|line| markdown.find(line)).collect();
    assert!(
        found.iter().all(Option::is_some) && found.is_sorted(),
        "{markdown}"
    );
}

#[test]
fn a_pipe_gets_no_colours() {
    for run in [
        plan(),
        utilization(),
        plan().env("NO_COLOR", "1"),
        plan().env("TERM", "xterm-256color"),
    ] {
        let ended = run.ends(0);
        assert!(
            !ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'),
            "{ended:?}"
        );
    }
}

#[test]
fn colours_are_shown_where_asked_for_and_never_with_no_color() {
    let forced = plan().env("CLICOLOR_FORCE", "1").ends(0).stdout;
    assert!(forced.contains('\u{1b}'), "{forced}");
    let both = plan()
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .ends(0)
        .stdout;
    assert!(!both.contains('\u{1b}'), "{both}");
}

#[test]
fn quiet_leaves_the_data_and_takes_the_rest() {
    let (loud, quiet) = (plan().ends(0), plan().arg("--quiet").ends(0));
    assert_eq!(quiet.stdout, loud.stdout);
    assert_eq!(quiet.stderr, "");
    assert!(loud.stderr.contains("warning"), "{loud:?}");
    assert_eq!(utilization().arg("-q").ends(0).stderr, "");
}

#[test]
fn json_keeps_standard_error_clean_since_the_warnings_are_in_the_document() {
    assert_eq!(plan().args(["-o", "json"]).ends(0).stderr, "");
}
