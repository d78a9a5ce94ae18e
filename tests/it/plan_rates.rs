//! `cur.describeRates` against recorded shapes of `savingsplans:DescribeSavingsPlanRates`.

use serde_json::{Value, json};

use crate::support::recorded;
use crate::support::run::Brimful;

/// A plan on the fixtures that may ask.
fn plan(endpoint: &str) -> Value {
    Brimful::plan("fixtures/cur/legacy")
        .config("cur:\n  describeRates: true\n")
        .env("AWS_ENDPOINT_URL_SAVINGSPLANS", endpoint)
        .json(0)
}

fn fits(plan: &Value, pool: &str) -> Vec<(String, f64)> {
    let pools = plan["nodePools"].as_array().expect("pools");
    let pool = pools.iter().find(|one| one["name"] == pool).expect("the pool");
    let fits = pool["fits"].as_array().expect("fits").iter();
    fits.map(|fit| {
        (
            fit["instanceType"].as_str().unwrap().to_owned(),
            fit["rate"].as_f64().unwrap(),
        )
    })
    .collect()
}

/// Two pages; the second holds what the report has not seen.
fn answer(body: &str) -> (&'static str, Value) {
    let asked: Value = serde_json::from_str(body).expect("a request");
    let is_asked = |name: &str, value: &str| {
        let filters = asked["filters"].as_array().expect("filters").iter();
        filters.filter(|filter| filter["name"] == name).any(|filter| {
            filter["values"]
                .as_array()
                .is_some_and(|all| all.contains(&json!(value)))
        })
    };
    assert!(
        is_asked("region", "us-east-2") && is_asked("tenancy", "shared") && is_asked("productType", "EC2")
    );
    let rate = |name: &str, rate: &str| {
        json!({"rate": rate, "currency": "USD", "unit": "Hrs", "productType": "EC2", "serviceCode": "AmazonEC2",
            "usageType": format!("USE2-BoxUsage:{name}"), "operation": "RunInstances",
            "properties": [{"name": "region", "value": "us-east-2"}]})
    };
    let page = match asked["nextToken"].as_str() {
        // The report's own rate counts, whatever AWS says now.
        None => {
            json!({"searchResults": [rate("r6i.xlarge", "0.01"), rate("r6i.broken", "n/a")], "nextToken": "2"})
        }
        Some(_) => json!({"searchResults": [rate("r6i.large", "0.0777")]}),
    };
    ("200 OK", page)
}

#[test]
fn rates_that_the_report_has_not_seen_are_asked_for_and_a_learned_one_stands() {
    let before = Brimful::plan("fixtures/cur/legacy").json(0);
    let endpoint = recorded::serve(|_, body| answer(body));
    let after = plan(&endpoint);
    let rate = |plan: &Value, name: &str| {
        let fits = fits(plan, "memory-committed");
        fits.into_iter()
            .find(|(kind, _)| kind == name)
            .map(|(_, rate)| rate)
    };
    assert_eq!(rate(&before, "r6i.xlarge"), rate(&after, "r6i.xlarge"));
    assert_ne!(rate(&before, "r6i.large"), Some(0.0777));
    assert_eq!(
        rate(&after, "r6i.large"),
        Some(0.0777),
        "{:?}",
        fits(&after, "memory-committed")
    );
    let codes = after["warnings"].as_array().expect("warnings").iter();
    assert!(codes.clone().all(|warning| warning["code"] != "rates-unknown"));
}

#[test]
fn a_refusal_is_told_and_changes_nothing() {
    let endpoint = recorded::serve(|_, _| recorded::denied());
    let (before, refused) = (Brimful::plan("fixtures/cur/legacy").json(0), plan(&endpoint));
    assert_eq!(before["changes"], refused["changes"]);
    let warnings = refused["warnings"].as_array().expect("warnings").iter();
    let told: Vec<&Value> = warnings
        .filter(|warning| warning["code"] == "rates-unknown")
        .collect();
    assert!(!told.is_empty());
    let text = told[0]["message"].as_str().expect("a message");
    assert!(text.contains("savingsplans:DescribeSavingsPlanRates"), "{text}");
}
