use chrono::DateTime;
use serde_json::json;

use super::owners::LAST_APPLIED;
use super::*;
use crate::doctor::Status;
use crate::run::{ClusterView, Run};
use brimful_karpenter::NodePool;
use brimful_karpenter::nodepool::FieldManager;
use brimful_policy::peers::Peers;
use brimful_policy::state::State;

/// The checks of these pools beside a Spot pool of weight 50, with a report that could not be read.
fn checks_with(config: &Config, mut pools: Vec<NodePool>) -> Vec<Check> {
    pools.push(NodePool::test("spot").spot().weight(50));
    let view = ClusterView {
        node_pools: pools,
        ..ClusterView::default()
    };
    checks_of_view(config, view)
}

fn checks_of_view(config: &Config, view: ClusterView) -> Vec<Check> {
    let state = State::default();
    let run = Run::unread(config, &state, DateTime::UNIX_EPOCH, view, Peers::default());
    checks(config, DateTime::UNIX_EPOCH, |config| run.propose_with(config))
}

fn checks_of(pools: Vec<NodePool>) -> Vec<Check> {
    checks_with(&Config::default(), pools)
}

fn committed() -> NodePool {
    NodePool::test("a").committed().managed().weight(10).protected()
}

/// The ids of what is not well.
fn hazards(pool: NodePool) -> Vec<&'static str> {
    let checks = checks_of(vec![pool]);
    checks
        .iter()
        .filter(|check| check.status == Status::Warn)
        .map(|check| check.id)
        .collect()
}

fn only(pool: NodePool, id: &str) -> Check {
    let checks = checks_of(vec![pool]);
    let mut found = checks.iter().filter(|check| check.id == id);
    let one = found
        .next()
        .unwrap_or_else(|| panic!("no {id} in {checks:#?}"))
        .clone();
    assert_eq!(found.next(), None);
    one
}

#[test]
fn a_committed_pool_that_lacks_nothing_is_well_without_any_report() {
    assert_eq!(hazards(committed()), Vec::<&str>::new());
    let line = only(committed(), "managed");
    assert!(line.message.starts_with("1 of 2"), "{line:?}");
}

#[test]
fn what_may_be_drained_gets_the_budget_that_protects_it() {
    let check = only(
        NodePool::test("a").committed().managed().weight(10),
        "unprotected",
    );
    assert!(check.message.contains("Spot of spot"), "{check:?}");
    assert!(check.cure.unwrap().contains("reasons: [Underutilized]"));
    // Nothing takes the nodes of a pool that shares no pod with Spot.
    assert!(
        !apart_from(NodePool::test("spot").spot().weight(50).taint("other", "y")).contains(&"unprotected")
    );
    assert!(apart_from(NodePool::test("spot").spot().weight(50)).contains(&"unprotected"));
}

fn apart_from(spot: NodePool) -> Vec<&'static str> {
    let pool = NodePool::test("a")
        .committed()
        .managed()
        .weight(10)
        .taint("dedicated", "x");
    let view = ClusterView {
        node_pools: vec![pool, spot],
        ..ClusterView::default()
    };
    let found = checks_of_view(&Config::default(), view);
    found.iter().map(|check| check.id).collect()
}

#[test]
fn the_pools_whose_nodes_may_be_given_up_are_looked_at() {
    let mut config = Config::default();
    config.top_up.nodes_per_hour = 6;
    config.top_up.from = vec!["spot".to_owned(), "gone".to_owned(), "a".to_owned()];
    let found = checks_with(&config, vec![committed()]);
    let found: Vec<(Status, &str)> = found
        .iter()
        .filter(|check| check.id == "top-up")
        .map(|check| (check.status, check.message.as_str()))
        .collect();
    let words = ["given up for a", "no such NodePool", "its role is committed"];
    for ((status, message), (wanted, word)) in found
        .iter()
        .zip([Status::Ok, Status::Warn, Status::Warn].into_iter().zip(words))
    {
        assert!(*status == wanted && message.contains(word), "{message}");
    }
    assert_eq!(found.len(), 3);
    // A pool that is apart from it has nothing to give.
    config.top_up.from.truncate(1);
    let apart = checks_with(&config, vec![NodePool::test("a").committed().weight(10)]);
    assert!(
        apart
            .iter()
            .any(|check| check.message.contains("no managed NodePool takes its pods"))
    );
}

#[test]
fn pools_that_cannot_be_steered_are_told_with_the_way_out() {
    let mixed = only(NodePool::test("a").mixed().managed(), "mixed");
    assert!(mixed.cure.unwrap().contains("values: [on-demand]"));
    let fixed = only(NodePool::test("a").committed().managed().replicas(3), "static");
    assert_eq!(
        fixed.cure.as_deref(),
        Some("kubectl label nodepool a brimful.dev/managed-")
    );
    assert_eq!(hazards(NodePool::test("a").committed().replicas(3)), ["managed"]);
}

#[test]
fn weights_without_room_are_seen_before_a_decision_meets_them() {
    let at_the_top = NodePool::test("b").spot().weight(100);
    let checks = checks_of(vec![committed(), at_the_top]);
    let check = checks.iter().find(|check| check.id == "no-room").unwrap();
    assert!(
        check.message.contains("b (100)") && check.cure.as_ref().unwrap().contains("weight: 90"),
        "{check:?}"
    );
    let bottomless = NodePool::test("b").spot();
    let checks = checks_of(vec![committed(), bottomless]);
    assert!(
        checks
            .iter()
            .any(|check| check.id == "no-room" && check.message.contains("nothing lies below")),
        "{checks:#?}"
    );
    assert_eq!(only(committed().weight(50), "tie").status, Status::Warn);
    let between = NodePool::test("b").mixed().weight(30);
    let checks = checks_of(vec![committed(), between]);
    assert!(
        checks
            .iter()
            .any(|check| check.id == "in-between" && check.message.contains("b (30)")),
        "{checks:#?}"
    );
}

#[test]
fn nobody_managed_names_whom_to_label() {
    let checks = checks_of(vec![
        NodePool::test("a").committed(),
        NodePool::test("b").committed(),
    ]);
    assert_eq!(checks[0].id, "managed");
    assert_eq!(
        checks[0].cure.as_deref(),
        Some("kubectl label nodepool a b brimful.dev/managed=true")
    );
    let none = checks_of(vec![]);
    assert!(
        none[0].cure.as_ref().unwrap().contains("values: [on-demand]"),
        "{none:#?}"
    );
}

#[test]
fn pools_that_could_be_labelled_are_judged_as_if_they_were() {
    let mut own = set_by("argocd-controller", "Update");
    own.labels.remove("brimful.dev/managed");
    own.disruption = NodePool::test("a").disruption;
    let between = NodePool::test("z").spot();
    let found = checks_of(vec![own.clone(), between.clone()]);
    let warned = |found: &[Check]| -> Vec<(&str, bool)> {
        let warned = found.iter().filter(|check| check.subject.as_deref() == Some("a"));
        warned
            .map(|check| (check.id, check.message.starts_with("once labelled: ")))
            .collect()
    };
    // (Which of its own would be reported, were it labelled now.)
    let labelled = checks_of(vec![own.clone().managed(), between]);
    let ids = |found: &[(&'static str, bool)]| found.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let (before, after) = (warned(&found), warned(&labelled));
    assert_eq!(ids(&before), ids(&after));
    assert!(before.iter().all(|(_, once)| *once) && after.iter().all(|(_, once)| !once));
    for id in ["unprotected", "gitops"] {
        assert!(ids(&before).contains(&id), "{id}: {before:?}");
    }
    assert_eq!(
        found[0].cure.as_deref(),
        Some("kubectl label nodepool a brimful.dev/managed=true")
    );
    // Where another is steered already, nobody asks.
    let beside = checks_of(vec![
        own,
        NodePool::test("b").committed().managed().protected().weight(60),
    ]);
    assert_eq!(ids(&warned(&beside)), ["nodepool"]);
}

#[test]
fn limits_that_are_used_up_and_pools_that_are_not_ready_are_told() {
    let mut full = committed().resources(64);
    full.limits.insert("cpu".into(), "64".into());
    assert!(only(full.clone(), "at-limit").message.contains("cpu 64 of 64"));
    full.limits.insert("cpu".into(), "65".into());
    assert_eq!(hazards(full.clone()), Vec::<&str>::new());
    // What Brimful itself has lowered is no hazard as long as the user's own limit has room.
    full.limits.insert("cpu".into(), "64".into());
    let lowered = full
        .annotation("brimful.dev/baseline", r#"{"weight":10,"limits":{"cpu":"100"}}"#)
        .annotation(
            "brimful.dev/decision",
            r#"{"decision":"hold","reason":"","time":"2026-11-21T00:00:00Z","values":{"weight":10,"limits":{"cpu":"64"}}}"#,
        );
    assert_eq!(hazards(lowered.clone()), Vec::<&str>::new());
    // Where that is used up, too, an edit would be a contest.
    let used_up = only(lowered.resources(100), "at-limit");
    assert!(used_up.message.contains("cpu 100 of 100"), "{used_up:?}");
    assert!(used_up.cure.unwrap().contains("brimful reset --nodepool a\n"));
    // A baseline is what was there; what somebody has raised since, while Brimful sets no limits, counts.
    let mut raised = committed()
        .resources(64)
        .annotation("brimful.dev/baseline", r#"{"weight":10,"limits":{"cpu":"64"}}"#)
        .annotation(
            "brimful.dev/decision",
            r#"{"decision":"hold","reason":"","time":"2026-11-21T00:00:00Z","values":{"weight":10}}"#,
        );
    raised.limits.insert("cpu".into(), "128".into());
    assert_eq!(hazards(raised), Vec::<&str>::new());
    // Less than a node is no room.
    let mut scarce = committed().instance_types(&["m5.xlarge"]).resources(62);
    scarce.limits.insert("cpu".into(), "65".into());
    assert!(only(scarce.clone(), "at-limit").message.contains("cpu 62 of 65"));
    scarce.limits.insert("cpu".into(), "66".into());
    assert_eq!(hazards(scarce), Vec::<&str>::new());
    let mut unready = committed();
    unready.ready = Some(brimful_karpenter::nodepool::Readiness::NotReady);
    assert_eq!(hazards(unready), ["not-ready"]);
}

/// On demand, unmanaged, below Spot: takes what a full pool cannot.
fn overflow() -> NodePool {
    NodePool::test("overflow").committed().weight(1)
}

fn ids(config: &Config, pools: Vec<NodePool>) -> Vec<&'static str> {
    let checks = checks_with(config, pools);
    checks
        .iter()
        .filter(|check| check.status == Status::Warn)
        .map(|check| check.id)
        .collect()
}

#[test]
fn a_pool_held_by_its_limits_needs_an_overflow_pool_and_no_protection() {
    let unprotected = || NodePool::test("a").committed().managed().weight(10);
    let by_limits = || unprotected().annotation("brimful.dev/manage-limits", "true");
    let config = Config::default();
    assert_eq!(ids(&config, vec![by_limits(), overflow()]), Vec::<&str>::new());
    assert_eq!(ids(&config, vec![by_limits()]), ["no-overflow"]);
    assert_eq!(
        ids(&config, vec![by_limits().protected(), overflow()]),
        ["undrainable"]
    );
    let unclear = unprotected()
        .protected()
        .annotation("brimful.dev/manage-limits", "yes");
    assert_eq!(ids(&config, vec![unclear, overflow()]), ["manage-limits"]);
    let mut all = Config::default();
    all.limits.manage = true;
    assert_eq!(ids(&all, vec![unprotected()]), ["no-overflow"]);
    let but_one = unprotected()
        .protected()
        .annotation("brimful.dev/manage-limits", "false");
    assert_eq!(ids(&all, vec![but_one]), Vec::<&str>::new());
}

#[test]
fn limits_are_offered_where_an_overflow_pool_is_at_hand() {
    let unprotected = || NodePool::test("a").committed().managed().weight(10);
    let cure = |pools: Vec<NodePool>| {
        let checks = checks_of(pools);
        let check = checks.into_iter().find(|check| check.id == "unprotected");
        check.and_then(|check| check.cure).unwrap()
    };
    let offer = "kubectl annotate nodepool a brimful.dev/manage-limits=true";
    assert!(cure(vec![unprotected(), overflow()]).contains(offer));
    assert!(!cure(vec![unprotected()]).contains(offer));
    // What limits keep out would go there at list price, not to Spot.
    let above_spot = NodePool::test("default-od").committed().weight(60);
    assert!(!cure(vec![unprotected(), overflow(), above_spot]).contains(offer));
}

fn set_by(manager: &str, operation: &str) -> NodePool {
    let mut pool = committed();
    pool.weight_managers = vec![FieldManager {
        manager: manager.into(),
        operation: operation.into(),
        time: None,
    }];
    pool
}

#[test]
fn tools_that_set_the_weight_are_told_and_people_are_not() {
    let argo = only(set_by("argocd-controller", "Apply"), "gitops").cure.unwrap();
    assert!(
        argo.contains("ignoreDifferences") && argo.contains("[/spec/weight]"),
        "{argo}"
    );
    for (manager, operation) in [
        ("kustomize-controller", "Apply"),
        ("helm", "Update"),
        ("kubectl-client-side-apply", "Update"),
        ("kubectl", "Apply"),
        ("Terraform", "Apply"),
    ] {
        assert!(
            only(set_by(manager, operation), "gitops")
                .message
                .starts_with(manager)
        );
    }
    for manager in ["kubectl-edit", "kubectl-patch", "brimful"] {
        assert_eq!(
            hazards(set_by(manager, "Update")),
            Vec::<&str>::new(),
            "{manager}"
        );
    }
}

#[test]
fn a_weight_in_the_applied_file_is_told_even_after_somebody_else_has_set_it() {
    let file =
        |spec: &serde_json::Value| committed().annotation(LAST_APPLIED, &json!({ "spec": spec }).to_string());
    assert!(
        only(file(&json!({"weight": 5})), "gitops")
            .message
            .contains("kubectl apply sets spec.weight")
    );
    assert_eq!(hazards(file(&json!({"limits": {"cpu": 1}}))), Vec::<&str>::new());
    let mut config = Config::default();
    config.limits.manage = true;
    let argo =
        file(&json!({"weight": 5, "limits": {"cpu": 1}})).annotation("argocd.argoproj.io/tracking-id", "x");
    let checks = checks_with(&config, vec![argo]);
    let check = checks.iter().find(|check| check.id == "gitops").unwrap();
    assert!(
        check
            .cure
            .as_ref()
            .unwrap()
            .contains("[/spec/weight, /spec/limits]"),
        "{check:?}"
    );
}

#[test]
fn built_in_pools_of_auto_mode_are_left_alone() {
    let mut pool = NodePool::test("general-purpose").committed();
    pool.labels
        .insert("app.kubernetes.io/managed-by".into(), "eks".into());
    let unmanaged = checks_of(vec![pool.clone()]);
    let line = unmanaged
        .iter()
        .find(|check| check.subject.as_deref() == Some("general-purpose"))
        .unwrap();
    assert!(
        line.status == Status::Ok && line.message.contains("built-in pool of EKS Auto Mode"),
        "{line:?}"
    );
    assert!(
        !unmanaged[0].cure.as_ref().unwrap().contains("general-purpose"),
        "{:?}",
        unmanaged[0]
    );
    let mut config = Config::default();
    config.node_pools.names = vec!["general-purpose".into()];
    let checks = checks_with(&config, vec![pool]);
    let check = checks.iter().find(|check| check.id == "built-in").unwrap();
    assert!(
        check.cure.as_ref().unwrap().contains("group: eks.amazonaws.com"),
        "{check:?}"
    );
}

#[test]
fn a_doubted_report_hides_no_reason_of_a_pools_own() {
    // The report could not be read, which its own checks say.
    let frozen = |pool| hazards(pool).contains(&"frozen");
    assert!(!frozen(committed()));
    let paused = only(committed().annotation("brimful.dev/paused", "true"), "frozen");
    assert!(paused.message.contains("paused"), "{paused:?}");
}
