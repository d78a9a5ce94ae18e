//! `doctor` on files: what a person sees, what a program reads, and the exit codes.

use serde_json::Value;

use super::tables::see;
use crate::contract::{DOCTOR, check};
use crate::support::cur::{Bucket, COMPUTE, Row};
use crate::support::free_ports;
use crate::support::run::{Brimful, Derived, NOW, entry, text};

fn doctor(cur: &str) -> Brimful {
    Brimful::new("doctor").args([
        "--cur",
        cur,
        "--nodepools",
        "fixtures/nodepools.yaml",
        "--now",
        NOW,
    ])
}

fn with_nodes() -> Brimful {
    doctor("fixtures/cur/legacy").args(["--nodes", "fixtures/nodes.yaml"])
}

fn status<'a>(diagnosis: &'a Value, id: &str) -> &'a str {
    text(&entry(&diagnosis["checks"], "id", id)["status"])
}

fn failed(diagnosis: &Value) -> Vec<&str> {
    let checks = diagnosis["checks"].as_array().expect("checks").iter();
    checks
        .filter(|check| check["status"] == "fail")
        .map(|check| text(&check["id"]))
        .collect()
}

#[test]
fn the_diagnosis_tells_its_story() {
    see("doctor", &with_nodes().ends(0));
}

#[test]
fn the_document_is_what_the_contract_says_and_always_the_same() {
    let run = || with_nodes().args(["-o", "json"]).ends(0);
    let (first, second) = (run(), run());
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(first.stderr, "");
    let diagnosis = first.json();
    check(&DOCTOR, &diagnosis);
    assert_eq!(diagnosis["worst"], "warn");
    let yaml = with_nodes().args(["-o", "yaml"]).ends(0).stdout;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).expect("YAML"), diagnosis);
}

#[test]
fn a_report_that_is_not_there_ends_with_4_and_hides_no_pool() {
    let diagnosis = doctor("fixtures/nowhere").json(4);
    assert_eq!(failed(&diagnosis), ["report-found"]);
    assert_eq!(status(&diagnosis, "report-hourly"), "skipped");
    for id in ["mixed", "unprotected"] {
        assert_eq!(status(&diagnosis, id), "warn", "{id}");
    }
}

#[test]
fn a_daily_report_ends_with_4_and_says_what_is_needed() {
    let daily = Derived::report("daily");
    let diagnosis = doctor(daily.path().to_str().expect("UTF-8")).json(4);
    assert_eq!(failed(&diagnosis), ["report-hourly"], "{diagnosis:#}");
    assert!(text(&entry(&diagnosis["checks"], "id", "report-hourly")["cure"]).contains("HOURLY"));
}

#[test]
fn an_old_report_ends_with_4() {
    let diagnosis = Brimful::new("doctor")
        .args([
            "--cur",
            "fixtures/cur/legacy",
            "--nodepools",
            "fixtures/nodepools.yaml",
        ])
        .args(["--now", "2026-12-01T00:00:00Z"])
        .json(4);
    assert_eq!(failed(&diagnosis), ["report-fresh"], "{diagnosis:#}");
}

#[test]
fn no_report_and_a_bad_configuration_end_with_3_and_the_rest_is_checked() {
    let pools = || Brimful::new("doctor").args(["--nodepools", "fixtures/nodepools.yaml", "--now", NOW]);
    let none = pools().json(3);
    assert_eq!(failed(&none), ["report-found"]);
    assert_eq!(status(&none, "mixed"), "warn");
    let bad = doctor("fixtures/cur/legacy")
        .config("cur:\n  maturty: 24h\n")
        .json(3);
    assert_eq!(failed(&bad), ["config"]);
    let config = entry(&bad["checks"], "id", "config");
    assert!(text(&config["message"]).contains("maturty"), "{config:#}");
    assert_eq!(status(&bad, "report-hourly"), "ok");
    let missing = doctor("fixtures/cur/legacy")
        .args(["--config", "/nonexistent.yaml"])
        .json(3);
    assert_eq!(failed(&missing), ["config"]);
}

#[test]
fn pools_that_cannot_be_read_end_with_3_and_the_report_is_checked() {
    let diagnosis = Brimful::new("doctor")
        .args([
            "--cur",
            "fixtures/cur/legacy",
            "--nodepools",
            "fixtures/nowhere.yaml",
            "--now",
            NOW,
        ])
        .json(3);
    assert_eq!(failed(&diagnosis), ["nodepools"]);
    assert_eq!(status(&diagnosis, "report-hourly"), "ok");
}

#[test]
fn no_cluster_at_all_ends_with_7_and_the_report_is_checked() {
    let diagnosis = Brimful::new("doctor")
        .args(["--cur", "fixtures/cur/legacy", "--now", NOW])
        .json(7);
    assert_eq!(failed(&diagnosis), ["cluster"]);
    for id in ["karpenter-api", "right", "nodepools"] {
        assert_eq!(status(&diagnosis, id), "skipped", "{id}");
    }
    assert_eq!(status(&diagnosis, "report-hourly"), "ok");
    let checks = diagnosis["checks"].as_array().expect("checks");
    let advice = checks.iter().find(|check| check["id"] == "plan-without-pool");
    assert!(advice.is_none(), "of no pool anything is known: {advice:?}");
}

#[test]
fn without_a_kubeconfig_each_command_says_what_it_could_use_instead() {
    for (command, instead) in [("history", "--state"), ("plan", "--nodepools")] {
        let cur = ["--cur", "fixtures/cur/legacy", "--now", NOW];
        let error = Brimful::new(command).args(cur).fails(7);
        assert!(error.contains("there is no kubeconfig"), "{error}");
        for way in ["--state", "--nodepools"] {
            assert_eq!(error.contains(way), way == instead, "{error}");
        }
    }
    let cur = ["--cur", "fixtures/cur/legacy", "--now", NOW];
    let misspelt = Brimful::new("plan")
        .args(cur)
        .env("KUBECONFIG", "/nonexistent/config");
    let error = misspelt.fails(7);
    assert!(
        error.contains("there is no kubeconfig at /nonexistent/config"),
        "{error}"
    );
}

#[test]
fn a_cluster_that_does_not_answer_is_told_once() {
    let [port] = free_ports();
    let mut kubeconfig = tempfile::NamedTempFile::new().expect("a temporary file");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: a, user: {{}}}}]\n"
    );
    std::io::Write::write_all(&mut kubeconfig, text.as_bytes()).expect("written");
    let error = Brimful::new("plan")
        .args(["--cur", "fixtures/cur/legacy", "--now", NOW, "--kubeconfig"])
        .arg(kubeconfig.path())
        .fails(7);
    assert!(
        error.starts_with("error: cannot") && error.contains("does not answer"),
        "{error}"
    );
    assert!(!error.contains("ERROR"), "{error}");
}

#[test]
fn names_that_nothing_has_are_told_with_those_that_there_are() {
    let config =
        "cluster: {name: prdo}\nnodePools: {names: [nosuch]}\ntopUp: {nodesPerHour: 1, from: [spto]}";
    let diagnosis = with_nodes().config(config).json(0);
    let message = |id: &str| text(&entry(&diagnosis["checks"], "id", id)["message"]);
    let unknown = "no usage is tagged prdo; the report has prod, staging";
    assert!(message("report-tags").contains(unknown), "{diagnosis:#}");
    assert!(
        message("no-such-nodepool").contains("nodePools.names names it"),
        "{diagnosis:#}"
    );
    assert!(
        message("top-up").contains("there is no such NodePool"),
        "{diagnosis:#}"
    );

    let plan = Brimful::plan("fixtures/cur/legacy").config(config).json(0);
    let warnings = plan["warnings"].as_array().expect("warnings");
    let names = warnings
        .iter()
        .filter(|warning| warning["code"] == "no-such-nodepool");
    let names: Vec<&str> = names.map(|warning| text(&warning["nodePool"])).collect();
    assert_eq!(names, ["nosuch", "spto"]);
    let untagged = text(&entry(&plan["warnings"], "code", "untagged")["message"]);
    assert!(
        untagged.contains(unknown) && !untagged.contains("activate"),
        "{untagged}"
    );
}

#[test]
fn a_report_that_lacks_a_column_ends_with_4_and_names_it() {
    let lacking = Derived::report("without:savings_plan_savings_plan_effective_cost");
    let diagnosis = doctor(lacking.path().to_str().expect("UTF-8")).json(4);
    let columns = entry(&diagnosis["checks"], "id", "report-columns");
    assert!(
        text(&columns["message"]).contains("savings_plan_savings_plan_effective_cost"),
        "{columns:#}"
    );
}

/// A report in which a plan stays half idle beside another account that pays on demand.
fn sharing_off() -> Bucket {
    const M5: &str = "USE2-BoxUsage:m5.large";
    Bucket::of((0..48).flat_map(|hour| {
        [
            Row::fee(COMPUTE, hour).commitment(1.0).used(0.5),
            Row::covered(COMPUTE, hour, M5)
                .amount(10.0)
                .rate(0.05)
                .cost(0.5)
                .list(1.0),
            Row::on_demand(hour, M5)
                .account("444455556666")
                .amount(20.0)
                .list(2.0),
        ]
    }))
}

#[test]
fn plans_that_are_used_against_the_application_order_are_a_warning_with_its_cause() {
    let report = sharing_off();
    let run = || {
        Brimful::new("doctor").args([
            "--cur",
            report.path().to_str().expect("UTF-8"),
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--now",
            "2026-11-03T00:00:00Z",
        ])
    };
    let diagnosis = run().json(0);
    let found = entry(&diagnosis["checks"], "id", "application-order");
    assert_eq!(found["status"], "warn", "{diagnosis:#}");
    let message = text(&found["message"]);
    assert!(
        message
            .contains("misses the plans' use by 50.0 % of the commitment, most of all that of plan c0000000"),
        "{message}"
    );
    assert!(message.contains("sharing is off"), "{message}");
    assert!(
        text(&found["cure"]).contains("sharing:\n  accounts:"),
        "{found:#}"
    );
    // Told so, it knows what the plan can pay for.
    let told = run()
        .config("cluster:\n  account: \"111122223333\"\nsharing:\n  accounts: [\"111122223333\"]\n")
        .json(0);
    assert_eq!(status(&told, "application-order"), "ok");
}

#[test]
fn colours_follow_no_color() {
    let coloured = |run: Brimful| run.env("CLICOLOR_FORCE", "1").ends(0).stdout.contains('\u{1b}');
    assert!(coloured(with_nodes()));
    assert!(!coloured(with_nodes().env("NO_COLOR", "1")));
}

#[test]
fn a_state_file_that_cannot_be_read_is_a_failed_check_and_hides_no_pool() {
    // A folder where a file should be.
    let unreadable = with_nodes().args(["--state", "fixtures"]).json(3);
    assert_eq!(failed(&unreadable), ["state"], "{unreadable:#}");
    let state = entry(&unreadable["checks"], "id", "state");
    assert!(
        text(&state["message"]).contains("cannot read the state fixtures"),
        "{state:#}"
    );
    assert_eq!(status(&unreadable, "mixed"), "warn");
    let damaged = with_nodes().args(["--state", "fixtures/nodes.yaml"]).json(7);
    assert_eq!(failed(&damaged), ["state"], "{damaged:#}");
}

#[test]
fn a_report_that_cannot_be_looked_up_hides_neither_who_asks_nor_any_pool() {
    let [port] = free_ports();
    let diagnosis = Brimful::new("doctor")
        .args(["--nodepools", "fixtures/nodepools.yaml", "--now", NOW])
        .config("cur:\n  discover: hourly\n")
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .json(6);
    assert_eq!(failed(&diagnosis), ["report-found"], "{diagnosis:#}");
    let found = entry(&diagnosis["checks"], "id", "report-found");
    assert!(
        text(&found["message"]).contains("cannot look up the report hourly"),
        "{found:#}"
    );
    // Nothing listens there; on AWS it would say whose credentials these are.
    assert_eq!(status(&diagnosis, "aws-identity"), "warn");
    for id in ["report-hourly", "s3-list"] {
        let check = entry(&diagnosis["checks"], "id", id);
        assert_eq!(check["message"], "the report could not be looked up");
    }
    assert_eq!(status(&diagnosis, "mixed"), "warn");
}

#[test]
fn a_webhook_s_address_is_looked_at_without_being_told_or_shown() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "https://hooks.example.com/services/T0/B0/hush\n").expect("the address");
    let (there, nowhere) = (secret.path().display(), "/nonexistent/url");
    let config = format!("notify:\n  webhooks:\n    - urlFile: {there}\n    - urlFile: {nowhere}\n");
    let ended = with_nodes().config(&config).args(["-o", "json"]).ends(0);
    assert!(!ended.stdout.contains("hush"), "{ended:?}");
    let diagnosis = ended.json();
    let checks = diagnosis["checks"].as_array().expect("checks").iter();
    let webhooks: Vec<(&str, &str)> = checks
        .filter(|check| check["id"] == "webhook")
        .map(|check| (text(&check["status"]), text(&check["message"])))
        .collect();
    let [(good, goes), (bad, why)] = webhooks[..] else {
        panic!("{diagnosis:#}");
    };
    assert_eq!((good, bad), ("ok", "warn"));
    assert_eq!(
        goes,
        "notify.webhooks[0] goes to hooks.example.com; nothing was sent"
    );
    assert!(why.contains("cannot read urlFile /nonexistent/url"), "{why}");
}
