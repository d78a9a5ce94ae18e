//! `cur.inventory` against recorded shapes of `savingsplans:DescribeSavingsPlans`.

use serde_json::{Value, json};

use crate::support::recorded;
use crate::support::run::{Brimful, entry};

/// A plan on the fixtures that asks AWS for the plans.
fn plan(listed: &Value) -> Value {
    let listed = listed.clone();
    let endpoint = recorded::serve(move |head, _| {
        assert!(head.starts_with("POST /DescribeSavingsPlans "), "{head}");
        ("200 OK", json!({ "savingsPlans": listed }))
    });
    plan_at(&endpoint)
}

fn plan_at(endpoint: &str) -> Value {
    Brimful::plan("fixtures/cur/legacy")
        .config("cur:\n  inventory: true\n")
        .env("AWS_ENDPOINT_URL_SAVINGSPLANS", endpoint)
        .json(0)
}

/// A Compute plan as AWS lists it.
fn listed(id: &str, state: &str, commitment: &str, start: &str, end: &str) -> Value {
    json!({
        "savingsPlanId": id, "savingsPlanArn": format!("arn:aws:savingsplans::111122223333:savingsplan/{id}"),
        "state": state, "savingsPlanType": "Compute", "paymentOption": "No Upfront", "productTypes": ["EC2", "Fargate", "Lambda"],
        "currency": "USD", "commitment": commitment, "start": start, "end": end, "termDurationInSeconds": 31_536_000,
    })
}

/// The ARN of the plan of the fixtures whose id begins so.
fn arn(document: &Value, id: &str) -> String {
    let plans = document["plans"].as_array().expect("plans").iter();
    let arns = plans.filter_map(|plan| plan["arn"].as_str());
    let mut found = arns.filter(|arn| arn.contains(&format!("savingsplan/{id}")));
    found.next().expect("the plan").to_owned()
}

fn of(document: &Value, arn: &str, mut plan: Value) -> Value {
    let known = entry(&document["plans"], "arn", arn);
    plan["savingsPlanArn"] = known["arn"].clone();
    plan
}

fn compute(document: &Value) -> f64 {
    entry(&document["groups"], "id", "compute")["commitment"]
        .as_f64()
        .expect("$/h")
}

fn codes(document: &Value) -> Vec<&str> {
    let warnings = document["warnings"].as_array().expect("warnings").iter();
    warnings.filter_map(|warning| warning["code"].as_str()).collect()
}

fn is(amount: f64, wanted: f64) -> bool {
    (amount - wanted).abs() < 1e-9
}

/// Of $2.23/h $0.20/h end in three hours.
#[test]
fn a_queued_plan_takes_the_place_of_one_that_ends_and_a_new_one_counts_at_once() {
    let before = plan(&json!([]));
    assert!(is(compute(&before), 2.03));
    assert!(codes(&before).contains(&"plan-ending"));
    let renewal = listed(
        "r",
        "queued",
        "0.2",
        "2026-11-21T21:00:00.000Z",
        "2027-11-21T21:00:00.000Z",
    );
    let renewed = plan(&json!([renewal]));
    assert!(is(compute(&renewed), 2.23), "{}", compute(&renewed));
    assert!(!codes(&renewed).contains(&"plan-ending"));
    let bought = listed(
        "n",
        "active",
        "1.5",
        "2026-11-21T17:00:00.000Z",
        "2027-11-21T17:00:00.000Z",
    );
    let later = listed(
        "q",
        "queued",
        "9",
        "2026-12-01T00:00:00.000Z",
        "2027-12-01T00:00:00.000Z",
    );
    let filled = plan(&json!([bought, later]));
    assert!(is(compute(&filled), 3.53), "{}", compute(&filled));
    let pool = entry(&filled["nodePools"], "name", "general-committed");
    assert_eq!(pool["decision"], "fill", "{pool:#}");
}

/// $1.73/h were returned today: the report still has their rows to the month's end.
#[test]
fn a_returned_plan_is_neither_filled_nor_waited_for() {
    let before = plan(&json!([]));
    let arn = arn(&before, "79a3e4a7");
    let dates = ("2025-03-02T09:00:00.000Z", "2027-03-02T09:00:00.000Z");
    let state = |state| of(&before, &arn, listed("x", state, "1.73", dates.0, dates.1));
    let returned = plan(&json!([state("returned")]));
    assert!(is(compute(&returned), 0.3), "{}", compute(&returned));
    let leaving = plan(&json!([state("pending-return")]));
    assert!(is(compute(&leaving), 0.3), "{}", compute(&leaving));
    assert!(codes(&leaving).contains(&"plan-unseen"));
    assert!(is(compute(&plan(&json!([state("active")]))), 2.03));
}

#[test]
fn a_refusal_is_told_and_changes_nothing() {
    let before = Brimful::plan("fixtures/cur/legacy").json(0);
    let refused = plan_at(&recorded::serve(|_, _| recorded::denied()));
    assert_eq!(before["changes"], refused["changes"]);
    let warning = entry(&refused["warnings"], "code", "inventory-unknown");
    let text = warning["message"].as_str().expect("a message");
    assert!(text.contains("savingsplans:DescribeSavingsPlans"), "{text}");
}
