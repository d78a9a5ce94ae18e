use serde_json::json;

use super::*;

fn pool(spec: &serde_json::Value) -> brimful_types::Result<NodePool> {
    let object = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "general"}, "spec": spec});
    NodePool::from_json(&object)
}

fn full() -> serde_json::Value {
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {
            "name": "general", "uid": "u-1", "resourceVersion": "42", "generation": 3,
            "labels": {"brimful.dev/managed": "true"}, "annotations": {"a": "b"},
            "managedFields": [
                {"manager": "brimful", "operation": "Update", "time": "2026-11-20T10:00:00Z", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:spec": {"f:weight": {}}}},
                {"manager": "kubectl", "operation": "Apply", "time": "2026-11-19T10:00:00Z",
                 "fieldsV1": {"f:spec": {"f:weight": {}, "f:limits": {}}}},
                {"manager": "karpenter", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}}
            ]
        },
        "spec": {
            "weight": 10, "limits": {"cpu": 100, "memory": "400Gi"},
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "30s",
                "budgets": [{"nodes": "10%"}, {"nodes": "0", "reasons": ["Drifted"], "schedule": "0 9 * * 1-5", "duration": "8h"}]},
            "template": {
                "metadata": {"labels": {"team": "a"}},
                "spec": {
                    "expireAfter": "48h",
                    "taints": [{"key": "dedicated", "value": "a", "effect": "NoSchedule"}],
                    "requirements": [
                        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                        {"key": "team", "operator": "In", "values": ["a", "b"]}
                    ]
                }
            }
        },
        "status": {"resources": {"cpu": "16", "nodes": "4"}, "conditions": [{"type": "Ready", "status": "True"}]}
    })
}

#[test]
fn a_full_node_pool_is_read_whole() {
    let pool = NodePool::from_json(&full()).unwrap();
    assert_eq!(
        (pool.name.as_str(), pool.weight, pool.generation),
        ("general", Some(10), Some(3))
    );
    assert_eq!(
        (pool.uid.as_deref(), pool.resource_version.as_deref()),
        (Some("u-1"), Some("42"))
    );
    assert_eq!(pool.limits["cpu"], "100");
    assert_eq!(pool.resources["nodes"], "4");
    assert_eq!(pool.role(), Role::Committed);
    assert_eq!(pool.expire_after, ExpireAfter::After(Duration::hours(48)));
    assert_eq!(
        pool.requirements.get("team").finite().map(BTreeSet::len),
        Some(1),
        "narrowed by the template's label"
    );
    assert_eq!(pool.taints[0].value.as_deref(), Some("a"));
    assert_eq!(
        pool.disruption.budgets[1].reasons.as_deref(),
        Some(&["Drifted".to_owned()][..])
    );
    assert_eq!((pool.ready, pool.deleting), (Some(Readiness::Ready), false));
    let managers: Vec<_> = pool.weight_managers.iter().map(|m| m.manager.as_str()).collect();
    assert_eq!(
        managers,
        ["kubectl", "brimful"],
        "newest last, and only owners of the weight"
    );
}

#[test]
fn what_is_absent_gets_karpenters_defaults() {
    let pool = pool(&json!({"template": {"spec": {}}})).unwrap();
    assert_eq!((pool.weight, pool.effective_weight()), (None, 0));
    assert_eq!(pool.disruption, Disruption::default());
    assert_eq!(
        pool.disruption.consolidation_policy,
        ConsolidationPolicy::WhenEmptyOrUnderutilized
    );
    assert_eq!(pool.expire_after, ExpireAfter::After(Duration::hours(720)));
    assert_eq!((pool.ready, pool.role()), (None, Role::Mixed));
    assert!(!pool.protected_from_consolidation());
}

#[test]
fn errors_name_the_pool_and_the_field() {
    let cases = [
        (
            json!({"weight": 0, "template": {"spec": {}}}),
            "spec.weight: must be from 1 to 100 or absent, found 0",
        ),
        (
            json!({"weight": "7", "template": {"spec": {}}}),
            "spec.weight: expected a whole number, found \"7\"",
        ),
        (json!({}), "spec.template: missing, expected an object"),
        (
            json!({"template": {"spec": {"expireAfter": "30d"}}}),
            "spec.template.spec.expireAfter: expected Never or",
        ),
        (
            json!({"template": {"spec": {"taints": [{"key": "a"}]}}}),
            "spec.template.spec.taints[0].effect: missing",
        ),
    ];
    for (spec, wanted) in cases {
        let error = pool(&spec).unwrap_err();
        assert_eq!(error.kind(), brimful_types::ErrorKind::Usage);
        assert!(
            error
                .to_string()
                .starts_with(&format!("NodePool \"general\": {wanted}")),
            "{error}"
        );
    }
}

#[test]
fn the_role_follows_the_capacity_that_the_pool_can_launch() {
    let general = || NodePool::test("general");
    assert_eq!(general().role(), Role::Mixed);
    assert_eq!(general().committed().role(), Role::Committed);
    assert_eq!(general().spot().role(), Role::Spot);
    assert_eq!(general().mixed().role(), Role::Mixed);
    let capacity = |op, values: &[&str]| general().requirement(labels::CAPACITY_TYPE, op, values).role();
    assert_eq!(capacity("In", &["reserved", "on-demand"]), Role::Committed);
    assert_eq!(capacity("In", &["reserved", "spot"]), Role::Mixed);
    assert_eq!(capacity("NotIn", &["spot"]), Role::Committed);
    assert_eq!(capacity("DoesNotExist", &[]), Role::None);
    assert_eq!(general().committed().replicas(3).role(), Role::None);
    let beta = NodePool {
        api_version: "karpenter.sh/v1beta1".into(),
        ..general().committed()
    };
    assert_eq!(beta.role(), Role::None);
}

#[test]
fn a_pool_whose_node_class_is_another_providers_is_no_role_of_ours() {
    let role = |group: &str| {
        let reference = serde_json::json!({"group": group, "kind": "X", "name": "default"});
        let requirements =
            serde_json::json!([{"key": labels::CAPACITY_TYPE, "operator": "In", "values": ["on-demand"]}]);
        let spec = serde_json::json!({"nodeClassRef": reference, "requirements": requirements});
        let pool = serde_json::json!({"metadata": {"name": "a"}, "spec": {"template": {"spec": spec}}});
        NodePool::from_json(&pool).unwrap().role()
    };
    assert_eq!(role("karpenter.azure.com"), Role::None);
    assert_eq!(role("karpenter.k8s.gcp"), Role::None);
    assert_eq!(role("karpenter.k8s.aws"), Role::Committed);
    assert_eq!(role("eks.amazonaws.com"), Role::Committed);
}

#[test]
fn only_standing_protection_counts() {
    let budget = |nodes: &str, reasons: Option<&[&str]>, schedule: Option<&str>| {
        let mut pool = NodePool::test("general");
        pool.disruption.budgets.push(Budget {
            nodes: nodes.into(),
            reasons: reasons.map(|reasons| reasons.iter().map(ToString::to_string).collect()),
            schedule: schedule.map(str::to_owned),
            duration: schedule.map(|_| "8h".to_owned()),
        });
        pool.protected_from_consolidation()
    };
    assert!(
        NodePool::test("general")
            .protected()
            .protected_from_consolidation()
    );
    assert!(budget("0", None, None) && budget("0%", Some(&["Empty", "Underutilized"]), None));
    assert!(!budget("0", Some(&["Drifted"]), None), "another reason");
    assert!(
        !budget("0", Some(&[]), None),
        "an empty list of reasons concerns none"
    );
    assert!(!budget("0", None, Some("@daily")), "only at times");
    assert!(!budget("10%", None, None), "not zero");
    let mut never = NodePool::test("general");
    never.disruption.consolidate_after = Some("Never".into());
    assert!(never.protected_from_consolidation());
}

#[test]
fn labels_never_part_two_pools_because_a_pod_may_name_none() {
    let a = NodePool::test("a")
        .committed()
        .families(&["m5"])
        .zones(&["us-east-2a"])
        .label("lifecycle", "on-demand");
    let b = NodePool::test("b")
        .spot()
        .families(&["c7g"])
        .requirement("kubernetes.io/arch", "In", &["arm64"])
        .label("lifecycle", "spot");
    assert!(a.is_open_to_pods_of(&b) && b.is_open_to_pods_of(&a));
}

#[test]
fn a_pool_takes_no_pods_that_need_not_tolerate_its_taints() {
    let plain = || NodePool::test("plain");
    let a = plain().taint("team", "a");
    let b = plain().taint("team", "b");
    let both = plain().taint("team", "a").taint("gpu", "yes");
    assert!(!a.is_open_to_pods_of(&plain()), "plain pods tolerate nothing");
    assert!(
        plain().is_open_to_pods_of(&a),
        "who tolerates a taint need not seek it"
    );
    assert!(a.is_open_to_pods_of(&both) && !both.is_open_to_pods_of(&a));
    assert!(!a.is_open_to_pods_of(&b) && !b.is_open_to_pods_of(&a));
    let mut soft = a.clone();
    soft.taints[0].effect = "PreferNoSchedule".into();
    assert!(soft.is_open_to_pods_of(&b));
}

#[test]
fn pods_of_one_operating_system_do_not_run_on_another() {
    let os = |name: &str| NodePool::test(name).requirement("kubernetes.io/os", "In", &[name]);
    assert!(!os("windows").is_open_to_pods_of(&os("linux")));
    assert!(os("linux").is_open_to_pods_of(&NodePool::test("any")));
}

#[test]
fn a_pool_that_is_not_ready_or_has_a_limit_of_zero_launches_nothing() {
    let pool = || NodePool::test("spot").spot();
    assert!(pool().is_switched_on() && pool().limit("cpu", "100").is_switched_on());
    for limits in [("cpu", "0"), ("nodes", "0"), ("memory", "0Gi")] {
        assert!(!pool().limit(limits.0, limits.1).is_switched_on(), "{limits:?}");
    }
    let not_ready = NodePool {
        ready: Some(Readiness::NotReady),
        ..pool()
    };
    assert!(!not_ready.is_switched_on());
    let unknown = NodePool {
        ready: Some(Readiness::Unknown),
        ..pool()
    };
    assert!(
        unknown.is_switched_on(),
        "a condition that is being worked out says nothing"
    );
}

#[test]
fn a_budget_that_is_due_again_before_it_is_over_is_always_active() {
    let is = |schedule: &str, length: &str| Budget::is_always_active(Some(schedule), Some(length));
    assert!(Budget::is_always_active(None, None));
    for (schedule, length) in [
        ("0 0 * * *", "24h"),
        ("30 6 * * *", "1440m"),
        ("@daily", "36h"),
        ("15 * * * *", "1h"),
        ("*/30 * * * *", "30m"),
        ("0 0 * * 0", "168h"),
        ("* * * * *", "1m"),
    ] {
        assert!(is(schedule, length), "{schedule} {length}");
    }
    for (schedule, length) in [
        ("0 0 * * *", "23h"),
        ("0 9 * * 1-5", "24h"),
        ("0 0 1 * *", "700h"),
        ("@monthly", "24h"),
        ("*/30 * * * *", "20m"),
        ("0 0 * * *", "day"),
    ] {
        assert!(!is(schedule, length), "{schedule} {length}");
    }
}
