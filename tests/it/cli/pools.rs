//! `NodePool`s that cannot be steered, or only with help: each has its own message.

use std::io::Write;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::run::{Brimful, NOW, entry, fixture, text};

/// A manifest file.
fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".yaml").expect("a temporary file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

/// The fixtures' pools after an edit.
fn edited(mut edit: impl FnMut(&str, &mut Value)) -> NamedTempFile {
    let yaml = std::fs::read_to_string(fixture("nodepools.yaml")).expect("the fixture");
    let mut pools: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("YAML");
    for pool in &mut pools {
        let name = pool["metadata"]["name"].as_str().expect("a name").to_owned();
        edit(&name, pool);
    }
    file(&json!({"apiVersion": "v1", "kind": "List", "items": pools}).to_string())
}

/// The fixtures' pools with other weights; `None` is absent.
fn weighted(weights: &[(&str, Option<i64>)]) -> NamedTempFile {
    edited(|name, pool| {
        if let Some((_, weight)) = weights.iter().find(|(wanted, _)| *wanted == name) {
            let spec = pool["spec"].as_object_mut().expect("a spec");
            spec.remove("weight");
            spec.extend(weight.map(|weight| ("weight".to_owned(), json!(weight))));
        }
    })
}

fn plan(pools: &NamedTempFile) -> Brimful {
    Brimful::new("plan")
        .args([
            "--cur",
            "fixtures/cur/legacy",
            "--nodes",
            "fixtures/nodes.yaml",
            "--now",
            NOW,
        ])
        .arg("--nodepools")
        .arg(pools.path())
}

/// The warning of that code on that pool.
#[track_caller]
fn warning<'a>(plan: &'a Value, code: &str, pool: &str) -> &'a str {
    let warnings = plan["warnings"].as_array().expect("warnings");
    let found = warnings
        .iter()
        .find(|warning| warning["code"] == code && warning["nodePool"] == pool);
    text(&found.unwrap_or_else(|| panic!("no {code} of {pool} in {warnings:#?}"))["message"])
}

#[test]
fn a_pool_without_a_weight_gets_one() {
    let plan = plan(&weighted(&[("memory-committed", None)])).json(0);
    let pool = entry(&plan["nodePools"], "name", "memory-committed");
    assert_eq!(pool["weight"], json!({"current": null, "proposed": 60}));
    assert!(
        text(&pool["reason"]).ends_with("weight none → 60, above spot (50)"),
        "{pool:#}"
    );
}

#[test]
fn a_static_pool_is_left_alone_even_when_it_is_managed() {
    let pools = edited(|name, pool| {
        if name == "static-ingress" {
            pool["metadata"]["labels"] = json!({"brimful.dev/managed": "true"});
        }
    });
    let plan = plan(&pools).json(0);
    let pool = entry(&plan["nodePools"], "name", "static-ingress");
    assert_eq!(
        (&pool["role"], &pool["decision"]),
        (&json!("none"), &json!("none"))
    );
    assert!(
        text(&pool["reason"]).contains("static (spec.replicas)"),
        "{pool:#}"
    );
    assert_eq!(pool["weight"], json!({"current": null, "proposed": null}));
}

#[test]
fn a_cluster_of_mixed_pools_only_is_told_how_to_split_one() {
    let mixed = json!(["spot", "on-demand"]);
    let pools = edited(|name, pool| {
        let requirements = pool["spec"]["template"]["spec"]["requirements"]
            .as_array_mut()
            .expect("requirements");
        match name {
            // No requirement at all means both, too.
            "general-committed" => requirements.retain(|r| r["key"] != "karpenter.sh/capacity-type"),
            _ => requirements[0]["values"] = mixed.clone(),
        }
    });
    let plan = plan(&pools).arg("--exit-code").json(0);
    assert_eq!(plan["changes"], json!([]));
    for name in ["general-committed", "memory-committed", "spot"] {
        let pool = entry(&plan["nodePools"], "name", name);
        assert_eq!(
            (&pool["role"], &pool["decision"]),
            (&json!("mixed"), &json!("none")),
            "{name}"
        );
        assert!(
            text(&pool["reason"]).contains("Split it into one pool"),
            "{pool:#}"
        );
    }
}

#[test]
fn equal_weights_are_told_and_never_proposed() {
    // An unprotected pool that is full stays where it is: at the weight of a Spot pool.
    let tied = plan(&weighted(&[("batch-committed", Some(50))])).json(0);
    assert!(warning(&tied, "tie", "batch-committed").contains("spot has the same weight (50)"));
    for pool in tied["nodePools"].as_array().expect("pools") {
        let weights = &pool["weight"];
        let same = tied["nodePools"]
            .as_array()
            .expect("pools")
            .iter()
            .filter(|other| {
                other["weight"]["proposed"] == weights["proposed"] && !weights["proposed"].is_null()
            });
        assert!(
            weights["current"] == weights["proposed"] || same.count() == 1,
            "{pool:#}"
        );
    }
}

#[test]
fn a_pool_in_between_is_jumped_and_named() {
    let plan = Brimful::plan("fixtures/cur/legacy").json(0);
    assert!(warning(&plan, "in-between", "memory-committed").contains("batch-committed (40)"));
}

#[test]
fn without_room_above_all_the_pool_goes_above_the_others_and_the_cure_is_shown() {
    let plan = plan(&weighted(&[("spot", Some(100))])).json(0);
    let told = warning(&plan, "no-room", "memory-committed");
    for part in [
        "no legal weight is left above spot (100)",
        "metadata: {name: spot}",
        "spec: {weight: 90}",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let pool = entry(&plan["nodePools"], "name", "memory-committed");
    // batch-committed (40) is the next one down.
    assert_eq!(pool["weight"], json!({"current": 10, "proposed": 41}));
}

#[test]
fn without_room_below_all_the_pool_goes_below_the_others_and_the_cure_is_shown() {
    let plan = plan(&weighted(&[("default", None)])).json(0);
    let told = warning(&plan, "no-room", "general-committed");
    for part in [
        "default has no weight",
        "metadata: {name: default}",
        "spec: {weight: 10}",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    // arm-spot (20) is the lowest that has a weight.
    let pool = entry(&plan["nodePools"], "name", "general-committed");
    assert_eq!(pool["weight"], json!({"current": 60, "proposed": 10}));
}

#[test]
fn below_a_weight_of_one_the_weight_is_removed() {
    let plan = plan(&weighted(&[("default", Some(1))])).json(0);
    let change = entry(&plan["changes"], "nodePool", "general-committed");
    assert_eq!((&change["from"], &change["to"]), (&json!(60), &Value::Null));
}

#[test]
fn a_managed_pool_that_stands_in_the_way_is_moved() {
    let pools = edited(|name, pool| {
        if name == "spot" {
            pool["spec"]["weight"] = json!(100);
            pool["metadata"]["labels"] = json!({"brimful.dev/managed": "true"});
        }
    });
    let plan = plan(&pools).json(0);
    let weight = |name: &str| entry(&plan["nodePools"], "name", name)["weight"]["proposed"].clone();
    assert_eq!(
        (weight("memory-committed"), weight("spot")),
        (json!(100), json!(90))
    );
    let change = entry(&plan["changes"], "nodePool", "spot");
    assert!(
        text(&change["reason"]).contains("makes room for memory-committed"),
        "{change}"
    );
}

#[test]
fn a_plan_of_one_family_does_not_count_for_a_pool_of_several() {
    let plan = Brimful::plan("fixtures/cur/legacy").json(0);
    let told = warning(&plan, "family-mismatch", "general-committed");
    assert!(
        told.contains("can launch m5, m6i, m7i") && told.contains("values: [m5]"),
        "{told}"
    );
    assert_eq!(
        entry(&plan["nodePools"], "name", "general-committed")["groups"],
        json!(["compute"])
    );
}

#[test]
fn a_full_pool_that_consolidation_would_drain_keeps_its_weight() {
    let plan = Brimful::plan("fixtures/cur/legacy").json(0);
    assert!(warning(&plan, "unprotected", "batch-committed").contains("reasons: [Underutilized]"));
    let pool = entry(&plan["nodePools"], "name", "batch-committed");
    assert_eq!(
        (&pool["decision"], &pool["weight"]["proposed"]),
        (&json!("hold"), &json!(40))
    );
}

#[test]
fn manifests_that_cannot_be_used_end_with_3_and_name_document_and_line() {
    let good = std::fs::read_to_string(fixture("nodepools.yaml")).expect("the fixture");
    let first = good.split("\n---\n").nth(1).expect("a document");
    for (yaml, parts) in [
        (
            good.replacen("operator: Gt", "operator: Above", 1),
            vec!["Above", "batch-committed"],
        ),
        (
            good.replacen("weight: 60", "weight: sixty", 1),
            vec!["general-committed", "weight"],
        ),
        (
            good.replacen("weight: 60", "weight: 101", 1),
            vec!["general-committed", "weight"],
        ),
        (
            good.replace("karpenter.sh/v1", "karpenter.sh/v1beta1"),
            vec!["karpenter.sh/v1beta1", "1.0"],
        ),
        (
            format!("{first}\n---\n{first}"),
            vec!["given twice", "document 2"],
        ),
        (
            "kind: Deployment\napiVersion: apps/v1\n".to_owned(),
            vec!["no NodePool", "Deployment"],
        ),
        ("a: [\n".to_owned(), vec!["line"]),
        (String::new(), vec!["no NodePool", "empty"]),
        ("- 1\n- 2\n".to_owned(), vec!["not a Kubernetes object"]),
    ] {
        let pools = file(&yaml);
        let error = plan(&pools).fails(3);
        for part in parts.into_iter().chain([pools.path().to_str().expect("a path")]) {
            assert!(error.contains(part), "{part} is not in\n{error}");
        }
    }
}

#[test]
fn nodes_can_be_left_out_and_the_plan_says_what_it_rests_on() {
    let plan = Brimful::new("plan")
        .args([
            "--cur",
            "fixtures/cur/legacy",
            "--nodepools",
            "fixtures/nodepools.yaml",
            "--now",
            NOW,
        ])
        .json(0);
    let methods: Vec<&Value> = plan["plans"]
        .as_array()
        .expect("plans")
        .iter()
        .map(|p| &p["nowcast"]["method"])
        .collect();
    assert!(methods.iter().any(|method| **method == "profile"), "{methods:?}");
    assert!(!methods.iter().any(|method| **method == "live"), "{methods:?}");
    let pool = entry(&plan["nodePools"], "name", "memory-committed");
    assert!(
        text(&pool["reason"]).contains("by the report at this hour of the day"),
        "{pool:#}"
    );
}

/// The fixtures' plan from manifests at other places.
fn from(pools: &str, nodes: &str) -> Brimful {
    Brimful::new("plan")
        .args(["--cur", "fixtures/cur/legacy", "--now", NOW])
        .args(["--nodepools", pools, "--nodes", nodes])
}

#[test]
fn manifests_come_from_a_file_a_folder_or_standard_input() {
    let (pools, nodes) = (fixture("nodepools.yaml"), fixture("nodes.yaml"));
    let expected = from("fixtures/nodepools.yaml", "fixtures/nodes.yaml")
        .ends(0)
        .stdout;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let one = |text: &std::path::Path| std::fs::read_to_string(text).expect("a fixture");
    std::fs::write(folder.path().join("pools.yaml"), one(&pools)).expect("written");
    std::fs::write(folder.path().join("nodes.yml"), one(&nodes)).expect("written");
    let place = folder.path().display().to_string();
    assert_eq!(from(&place, &place).ends(0).stdout, expected, "a folder of both");
    assert_eq!(
        from("-", "fixtures/nodes.yaml").reads(&pools).ends(0).stdout,
        expected
    );
    let both = file(&format!("{}\n---\n{}", one(&pools), one(&nodes)));
    assert_eq!(
        from("-", "-").reads(both.path()).ends(0).stdout,
        expected,
        "as from kubectl get nodepools,nodes"
    );
}

#[test]
fn a_pool_of_another_provider_is_left_alone_and_it_is_said() {
    let pools = edited(|name, pool| {
        if name == "memory-committed" {
            pool["spec"]["template"]["spec"]["nodeClassRef"]["group"] = json!("karpenter.azure.com");
        }
    });
    let plan = plan(&pools).json(0);
    let pool = entry(&plan["nodePools"], "name", "memory-committed");
    assert_eq!(
        (&pool["role"], &pool["decision"]),
        (&json!("none"), &json!("none"))
    );
    assert!(text(&pool["reason"]).contains("another provider"), "{pool:#}");
    assert_eq!(pool["weight"]["current"], pool["weight"]["proposed"]);
}
