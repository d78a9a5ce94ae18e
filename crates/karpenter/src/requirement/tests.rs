use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(list: &serde_json::Value) -> Result<Requirements> {
    let object = json!({ "requirements": list });
    Requirements::read(&At::root("NodePool \"a\"", &object).field("requirements"))
}

fn set(operator: &str, values: &[&str]) -> ValueSet {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    ValueSet::from_operator(operator, &values).unwrap()
}

fn any_set() -> impl Strategy<Value = ValueSet> {
    let value = prop_oneof![
        (-3i64..12).prop_map(|n| n.to_string()),
        prop_oneof![Just("spot"), Just("on-demand"), Just("05")].prop_map(str::to_owned),
    ];
    let values = prop::collection::vec(value, 0..5);
    let bound = (
        prop_oneof![Just("Gt"), Just("Lt"), Just("Gte"), Just("Lte")],
        -3i64..12,
    );
    let leaf = prop_oneof![
        values.clone().prop_map(ValueSet::one_of),
        values.prop_map(ValueSet::none_of),
        bound.prop_map(|(operator, n)| ValueSet::from_operator(operator, &[n.to_string()]).unwrap()),
        Just(ValueSet::ANY),
        Just(ValueSet::NONE),
    ];
    prop::collection::vec(leaf, 1..4)
        .prop_map(|sets| sets.iter().fold(ValueSet::ANY, |all, set| all.intersection(set)))
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        (-5i64..15).prop_map(|n| n.to_string()),
        "[a-z0-9-]{0,3}",
        Just("spot".to_owned())
    ]
}

proptest! {
    #[test]
    fn intersection_is_commutative_and_associative(a in any_set(), b in any_set(), c in any_set()) {
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.intersection(&b).intersection(&c), a.intersection(&b.intersection(&c)));
    }

    #[test]
    fn an_intersection_allows_what_both_allow(a in any_set(), b in any_set(), value in any_value()) {
        prop_assert_eq!(a.intersection(&b).allows(&value), a.allows(&value) && b.allows(&value));
    }

    #[test]
    fn an_empty_set_allows_nothing(a in any_set(), value in any_value()) {
        prop_assert!(!(a.is_empty() && a.allows(&value)));
    }

    #[test]
    fn what_is_listed_is_allowed(a in any_set()) {
        for value in a.finite().into_iter().flatten() {
            prop_assert!(a.allows(value));
        }
    }
}

#[test]
fn operators_mean_what_karpenter_means() {
    assert!(set("In", &["a", "b"]).allows("a"));
    assert!(!set("NotIn", &["a"]).allows("a"));
    assert!(set("NotIn", &["a"]).allows("c"));
    assert!(set("Exists", &[]).allows("x"));
    assert!(!set("DoesNotExist", &[]).allows("x"));
    assert!(set("Gt", &["4"]).allows("5") && !set("Gt", &["4"]).allows("4"));
    assert!(set("Lt", &["4"]).allows("3") && !set("Lt", &["4"]).allows("4"));
    assert!(set("Gte", &["4"]).allows("4") && set("Lte", &["4"]).allows("4"));
    assert!(
        !set("Gt", &["4"]).allows("metal"),
        "a bound allows whole numbers only"
    );
    assert!(set("Gt", &["9223372036854775807"]).is_empty());
}

#[test]
fn several_requirements_on_one_key_intersect_whatever_alias_they_use() {
    let requirements = read(&json!([
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
        {"key": "beta.kubernetes.io/arch", "operator": "NotIn", "values": ["arm64"]}
    ]))
    .unwrap();
    let arch = requirements.get("kubernetes.io/arch");
    assert_eq!(
        arch.finite().map(|set| set.iter().map(String::as_str).collect()),
        Some(vec!["amd64"])
    );
    assert_eq!(requirements.get("other"), &ValueSet::ANY);
    assert!(!requirements.contains("other"));
}

#[test]
fn an_unknown_operator_is_an_error_that_names_pool_key_and_operator() {
    let list = json!([{"key": "team", "operator": "Near", "values": ["a"]}]);
    let error = read(&list).unwrap_err().to_string();
    assert!(
        error.contains("NodePool \"a\"") && error.contains("team") && error.contains("\"Near\""),
        "{error}"
    );
    let list = json!([{"key": "cpu", "operator": "Gt", "values": ["many"]}]);
    let error = read(&list).unwrap_err().to_string();
    assert!(
        error.contains("cpu") && error.contains("operator Gt needs exactly one whole number"),
        "{error}"
    );
}
