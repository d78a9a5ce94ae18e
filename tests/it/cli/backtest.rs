//! `backtest` on the bundled report: a replay of some days.

use serde_json::Value;

use super::tables::see;
use crate::contract::{BACKTEST, check};
use crate::support::run::{Brimful, NOW};

/// Five whole days of complete hours.
fn backtest() -> Brimful {
    Brimful::new("backtest").args(["--cur", "fixtures/cur/legacy", "--now", NOW, "--since", "7d"])
}

#[test]
fn the_backtest_tells_its_story() {
    let cluster = "cluster: {name: prod}";
    see("backtest", &backtest().config(cluster).ends(0));
}

#[test]
fn a_backtest_for_programs_says_the_same_and_its_picture_shows_the_plans() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let picture = folder.path().join("use.svg");
    let document = backtest()
        .args(["--nodepools", "fixtures/nodepools.yaml", "--picture"])
        .arg(&picture)
        .json(0);
    check(&BACKTEST, &document);
    assert_eq!(document["model"]["own"], "all-spot", "no cluster name is given");
    let policies = document["policies"].as_array().expect("policies");
    let names: Vec<&Value> = policies.iter().map(|row| &row["policy"]).collect();
    let all = [
        "leave-alone",
        "naive",
        "live",
        "static",
        "brimful-weight",
        "brimful-weight-disruption",
        "brimful-weight-limits",
        "brimful-weight-topUp",
        "brimful-weight-disruption-limits-topUp",
        "foresight",
    ];
    assert_eq!(names, all);
    let number = |row: &Value, field: &str| row[field].as_f64().expect("a number");
    for row in policies {
        assert!(number(row, "regret") >= 0.0, "{row}");
        let part = number(row, "commitment") + number(row, "cost");
        let month = number(row, "totalPerMonth") / 730.0;
        let days = document["replayed"]["days"].as_f64().expect("days");
        assert!((part / (days * 24.0) - month).abs() < 1e-3, "{row}");
    }
    assert!(number(&policies[9], "regret").abs() < f64::EPSILON);
    // What a further consent is worth is the difference to what is configured, which is the weight.
    for further in document["consents"].as_array().expect("consents") {
        let names: Vec<&str> = further["consents"]
            .as_array()
            .expect("names")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let policy = format!("brimful-{}", names.join("-"));
        let row = policies
            .iter()
            .find(|row| row["policy"] == policy.as_str())
            .expect("its row");
        let worth = number(row, "savedPerMonth") - number(&policies[4], "savedPerMonth");
        assert!(
            (worth - number(further, "savedPerMonth")).abs() < 1e-3,
            "{further}"
        );
    }
    assert_eq!(document["consents"].as_array().map(Vec::len), Some(4));
    assert_eq!(document["trust"]["applicationOrderError"], 0.0);
    let svg = std::fs::read_to_string(&picture).expect("the picture");
    for label in [
        "<svg",
        "commitment",
        "foresight",
        "\nBrimful\n",
        "as it was",
        "everybody else",
    ] {
        assert!(svg.contains(label), "{label}");
    }
}

#[test]
fn whose_usage_is_replayed_is_said_before_the_figures_and_nodes_say_it_too() {
    let untold = backtest().ends(0).stdout;
    let told = |text: &str| untold.lines().take(4).any(|line| line.contains(text));
    assert!(told("set cluster.name") && told("prod, staging"), "{untold}");
    let document = backtest()
        .args([
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--nodes",
            "fixtures/nodes.yaml",
        ])
        .json(0);
    assert_eq!(document["model"]["own"], "tags");
    assert_eq!(document["model"]["cluster"], "prod");
    // Leaving alone puts on Spot what committed pools ran on demand. It was not there.
    let (was, alone) = (&document["asItWas"], &document["policies"][0]);
    assert_eq!(was["commitment"], alone["commitment"]);
    assert!(was["unused"].as_f64() < alone["unused"].as_f64(), "{was} {alone}");
}

#[test]
fn what_cannot_be_replayed_is_refused_before_any_work() {
    let few = Brimful::new("backtest")
        .args(["--cur", "fixtures/cur/legacy", "--now", NOW, "--since", "4d"])
        .fails(4);
    assert!(
        few.contains("whole days of complete hours") && few.contains("--since"),
        "{few}"
    );
    let nowhere = backtest().args(["--picture", "/nonexistent/use.svg"]).fails(3);
    assert!(nowhere.contains("/nonexistent/use.svg"), "{nowhere}");
}
