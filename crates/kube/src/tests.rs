//! Against a scripted HTTP server, for what a real API server cannot be made to show at will: pages, races, death.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use chrono::{TimeZone, Utc};
use serde_json::json;

use super::*;
use brimful_karpenter::cluster::{PatchError, PoolEvent};
use brimful_types::Result;

/// `METHOD path?query` and the body, if it is JSON.
type Seen = (String, Value);

/// A server that answers each request with what `answer` says, and remembers them all.
fn server(
    answer: impl Fn(&str, &Value) -> (u16, Value) + Send + 'static,
) -> (Cluster, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let log = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(&stream.unwrap(), &answer, &log);
        }
    });
    let cluster = Cluster::from_config(Config::new(url.parse().unwrap())).unwrap();
    (cluster, seen)
}

fn serve(
    stream: &TcpStream,
    answer: &impl Fn(&str, &Value) -> (u16, Value),
    log: &Mutex<Vec<Seen>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (code, reply) = answer(&line, &body);
    // Before the answer goes out: the test may look at once.
    log.lock().unwrap().push((line, body));
    let reply = reply.to_string();
    let head = format!("HTTP/1.1 {code} X\r\ncontent-type: application/json\r\nconnection: close\r\n");
    write!(
        &mut &*stream,
        "{head}content-length: {}\r\n\r\n{reply}",
        reply.len()
    )
    .ok()
}

fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

fn pool(name: &str) -> Value {
    json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name},
        "spec": {"template": {"spec": {"requirements": []}}}})
}

fn lines(seen: &Mutex<Vec<Seen>>) -> Vec<String> {
    seen.lock()
        .unwrap()
        .iter()
        .map(|(line, _)| line.clone())
        .collect()
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_sorted() {
    let (cluster, seen) = server(|line, _| {
        let second = line.contains("continue=token");
        let (name, token) = if second { ("a", "") } else { ("b", "token") };
        (
            200,
            json!({"kind": "NodePoolList", "metadata": {"continue": token}, "items": [pool(name)]}),
        )
    });
    let names: Vec<_> = cluster
        .node_pools()
        .await
        .unwrap()
        .into_iter()
        .map(|pool| pool.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(lines(&seen)[0], "GET /apis/karpenter.sh/v1/nodepools?&limit=500");
    assert_eq!(lines(&seen).len(), 2);
}

#[tokio::test]
async fn an_expired_page_starts_the_list_over_in_one_piece() {
    let (cluster, _) = server(|line, _| {
        if line.contains("continue=") {
            status(410, "Expired", "The provided continue parameter is too old")
        } else if line.contains("limit=") {
            (
                200,
                json!({"metadata": {"continue": "token"}, "items": [pool("a")]}),
            )
        } else {
            (200, json!({"metadata": {}, "items": [pool("a"), pool("b")]}))
        }
    });
    assert_eq!(cluster.node_pools().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_cluster_without_karpenter_or_with_an_old_one_says_so() {
    let (cluster, _) = server(|_, _| {
        status(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    });
    let error = cluster.node_pools().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not serve nodepools.karpenter.sh/v1"),
        "{error}"
    );
    assert!(
        error
            .next_step()
            .is_some_and(|hint| hint.contains("is Karpenter installed"))
    );

    let (cluster, _) = server(|line, _| {
        let group = json!({"kind": "APIResourceList", "groupVersion": "karpenter.sh/v1beta1",
            "resources": [{"name": "nodepools", "singularName": "nodepool", "namespaced": false, "kind": "NodePool", "verbs": ["list"]}]});
        if line.contains("v1beta1") {
            (200, group)
        } else {
            status(404, "NotFound", "")
        }
    });
    let error = cluster.node_pools().await.unwrap_err();
    assert!(error.to_string().contains("v1beta1 only"), "{error}");
}

#[tokio::test]
async fn forbidden_node_claims_are_told_apart_from_a_failure() {
    let (cluster, _) = server(|_, _| status(403, "Forbidden", "nodeclaims is forbidden"));
    assert!(matches!(
        cluster.node_claims().await,
        Err(NodeClaimsError::Unavailable(_))
    ));
    let (cluster, _) = server(|_, _| status(500, "InternalError", "boom"));
    let error: Result<_> = cluster.node_claims().await.map_err(Error::from);
    assert!(error.unwrap_err().to_string().contains("500 InternalError: boom"));
}

#[tokio::test]
async fn a_dead_server_is_reported_at_once() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = Config::new(format!("http://{address}").parse().unwrap());
    let error = Cluster::from_config(config).unwrap().nodes().await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!(
            "cannot list nodes: the Kubernetes API at http://{address}/"
        )),
        "{error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_patch_is_a_strict_merge_patch_of_ours_and_its_refusals_are_sorted() {
    let (cluster, seen) = server(|line, _| {
        if line.contains("dryRun") {
            (200, pool("a"))
        } else {
            status(409, "Conflict", "modified")
        }
    });
    let patch = json!({"metadata": {"resourceVersion": "7"}, "spec": {"weight": null}});
    assert_eq!(
        cluster
            .patch_node_pool("a", &patch, true)
            .await
            .unwrap()
            .pool
            .name,
        "a"
    );
    let (line, body) = seen.lock().unwrap()[0].clone();
    assert_eq!(
        line,
        "PATCH /apis/karpenter.sh/v1/nodepools/a?&dryRun=All&fieldManager=brimful&fieldValidation=Strict"
    );
    assert_eq!(body, patch);
    let error = cluster.patch_node_pool("a", &patch, false).await.unwrap_err();
    assert!(matches!(error, PatchError::Conflict(message) if message == "409 Conflict: modified"));

    let (cluster, _) = server(|_, _| status(422, "Invalid", "spec.weight"));
    let error = cluster.patch_node_pool("a", &patch, false).await.unwrap_err();
    assert!(
        matches!(error, PatchError::Refused { code: 422, message } if message == "422 Invalid: spec.weight")
    );
    let (cluster, _) = server(|_, _| status(500, "InternalError", ""));
    assert!(matches!(
        cluster.patch_node_pool("a", &patch, false).await,
        Err(PatchError::Unknown(_))
    ));
}

/// A pool as the server has it after a patch.
fn weighted(version: &str, weight: i32) -> Value {
    let mut pool = pool("a");
    pool["metadata"]["resourceVersion"] = json!(version);
    pool["spec"]["weight"] = json!(weight);
    pool
}

#[tokio::test]
async fn a_patch_whose_answer_is_lost_is_read_back() {
    let patch = json!({"metadata": {"resourceVersion": "7"}, "spec": {"weight": 60}});
    let outcome = |code: u16, found: Value| {
        let (cluster, _) = server(move |line, _| match line.split(' ').next() {
            Some("PATCH") => status(code, "", ""),
            _ => (200, found.clone()),
        });
        let patch = patch.clone();
        async move { cluster.patch_node_pool("a", &patch, false).await }
    };
    for code in [500, 502, 503, 504, 409] {
        let stored = outcome(code, weighted("8", 60)).await.unwrap();
        assert!(
            stored.as_sent && stored.pool.weight == Some(60),
            "{code}: it stands"
        );
    }
    let undone = outcome(504, weighted("7", 10)).await;
    assert!(matches!(undone, Err(PatchError::Undone(_))), "{undone:?}");
    let moved = outcome(504, weighted("9", 40)).await;
    assert!(matches!(moved, Err(PatchError::Conflict(_))), "{moved:?}");
    let busy = outcome(429, weighted("7", 10)).await;
    assert!(matches!(busy, Err(PatchError::Undone(_))), "{busy:?}");
}

#[tokio::test]
async fn a_webhook_that_stores_something_else_is_noticed() {
    let (cluster, _) = server(|_, _| (200, weighted("8", 40)));
    let patch = json!({"metadata": {"resourceVersion": "7"}, "spec": {"weight": 60}});
    let stored = cluster.patch_node_pool("a", &patch, false).await.unwrap();
    assert!(!stored.as_sent);
    assert_eq!(stored.pool.weight, Some(40));
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_an_error_and_not_an_empty_one() {
    let answers = [
        (json!({"metadata": {}}), "lacks items"),
        (json!({"metadata": {}, "items": null}), "lacks items"),
        (json!({}), "lacks items"),
        (
            json!({"metadata": {"remainingItemCount": 7}, "items": [pool("a")]}),
            "ends after 1 of 8",
        ),
    ];
    for (answer, wanted) in answers {
        let (cluster, _) = server(move |_, _| (200, answer.clone()));
        let error = cluster.node_pools().await.unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(error.kind().exit_code(), 7);
    }
    let (cluster, _) = server(|line, _| {
        let second = line.contains("continue=");
        let (token, remaining) = if second { ("", 0) } else { ("token", 2) };
        let metadata = json!({"continue": token, "remainingItemCount": remaining});
        (
            200,
            json!({"metadata": metadata, "items": [pool(if second { "b" } else { "a" })]}),
        )
    });
    let error = cluster.node_pools().await.unwrap_err();
    assert!(error.to_string().contains("ends after 2 of 3"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_no_answer() {
    let (cluster, _) = server(|_, _| (302, json!("log in")));
    let error = cluster.nodes().await.unwrap_err();
    assert!(error.to_string().contains("302 Found"), "{error}");
    assert!(error.next_step().is_some_and(|hint| hint.contains("redirects")));
}

#[tokio::test]
async fn an_event_goes_to_namespace_default_and_its_failure_is_no_error() {
    let (cluster, seen) = server(|_, _| status(403, "Forbidden", "no"));
    let event = PoolEvent {
        warning: true,
        reason: "Contested".into(),
        action: "Freeze".into(),
        note: "x".repeat(2000),
    };
    cluster.publish(&NodePool::test("general"), event).await;
    let (line, body) = seen.lock().unwrap()[0].clone();
    assert!(
        line.starts_with("POST /apis/events.k8s.io/v1/namespaces/default/events"),
        "{line}"
    );
    assert_eq!(body["note"].as_str().map(str::len), Some(1024));
    assert_eq!(
        (&body["regarding"]["kind"], &body["type"]),
        (&json!("NodePool"), &json!("Warning"))
    );
}

fn config_map(annotations: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "resourceVersion": "5", "annotations": annotations},
        "data": {"state.json": "{}"}})
}

async fn take(cluster: &Cluster) -> Result<StateLease> {
    let now = Utc.with_ymd_and_hms(2026, 11, 21, 12, 0, 0).unwrap();
    cluster.take_state("ns", "s", "me", now).await
}

fn verb(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

#[tokio::test]
async fn a_free_state_is_taken_and_released_with_preconditions() {
    let stale = json!({"brimful.dev/holder": "dead", "brimful.dev/held-until": "2026-11-21T11:59:00Z"});
    let (cluster, seen) = server(move |_, _| (200, config_map(&stale)));
    let lease = take(&cluster).await.unwrap();
    assert_eq!(lease.state(), Some("{}"));
    assert!(lease.check().is_ok());
    lease.release(Some("{}"), None).await.unwrap();
    let new = Some("{\"a\":1}");
    take(&cluster).await.unwrap().release(new, None).await.unwrap();
    take(&cluster)
        .await
        .unwrap()
        .release(new, Some("{}"))
        .await
        .unwrap();
    let log = seen.lock().unwrap().clone();
    let bodies: Vec<_> = log
        .iter()
        .filter(|(line, _)| verb(line) == "PATCH")
        .map(|(_, body)| body)
        .collect();
    let held = json!({"brimful.dev/holder": "me", "brimful.dev/held-until": "2026-11-21T12:00:45Z",
        "brimful.dev/lease-seconds": "45"});
    assert_eq!(
        bodies[0],
        &json!({"metadata": {"resourceVersion": "5", "annotations": held}})
    );
    let free = json!({"annotations": {"brimful.dev/holder": null, "brimful.dev/held-until": null,
        "brimful.dev/lease-seconds": null}, "resourceVersion": "5"});
    assert_eq!(
        bodies[1],
        &json!({ "metadata": free }),
        "content that did not change is not written"
    );
    assert_eq!(
        bodies[3],
        &json!({"metadata": free, "data": {"state.json": "{\"a\":1}"}})
    );
    assert_eq!(
        bodies[5]["data"],
        json!({"state.json": "{\"a\":1}", "history.json": "{}"}),
        "both in one write"
    );
}

#[tokio::test]
async fn a_hold_of_before_renewals_is_refused_but_its_own_holder_may_take_it_again() {
    let by = |holder: &str| json!({"brimful.dev/holder": holder, "brimful.dev/held-until": "2026-11-21T12:05:00Z"});
    let (held, own) = (by("other"), by("me"));
    let (cluster, seen) = server(move |_, _| (200, config_map(&held)));
    let error = take(&cluster).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "another run (other) holds the state until 2026-11-21T12:05:00Z"
    );
    assert_eq!(
        (error.kind().exit_code(), lines(&seen).len()),
        (7, 1),
        "nothing was written"
    );
    let (cluster, _) = server(move |_, _| (200, config_map(&own)));
    assert!(take(&cluster).await.is_ok());
}

/// A hold that ended an hour ago by this run's clock, and of which the nth look shows the nth time.
fn watched(until: impl Fn(usize) -> &'static str + Send + 'static) -> (Cluster, Arc<Mutex<Vec<Seen>>>) {
    let looks = std::sync::atomic::AtomicUsize::new(0);
    server(move |line, _| {
        if verb(line) == "PATCH" {
            return (200, config_map(&json!({})));
        }
        let nth = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let held = json!({"brimful.dev/holder": "other", "brimful.dev/held-until": until(nth),
            "brimful.dev/lease-seconds": "3"});
        (200, config_map(&held))
    })
}

#[tokio::test]
async fn a_clock_that_runs_ahead_does_not_steal_a_hold_that_is_renewed() {
    let (cluster, seen) = watched(|nth| ["2026-11-21T11:00:00Z", "2026-11-21T11:00:10Z"][nth.min(1)]);
    let error = take(&cluster).await.unwrap_err();
    assert!(
        error.to_string().contains("another run (other) holds the state"),
        "{error}"
    );
    assert!(
        lines(&seen).iter().all(|line| verb(line) == "GET"),
        "nothing was written"
    );
}

#[tokio::test]
async fn a_hold_that_nobody_renews_is_taken_over_after_its_time_and_not_before() {
    let began = std::time::Instant::now();
    let (cluster, _) = watched(|_| "2026-11-21T13:00:00Z");
    take(&cluster).await.unwrap();
    assert!(began.elapsed() >= std::time::Duration::from_secs(3));
}

#[tokio::test]
async fn of_two_runs_that_start_together_one_is_refused() {
    let (cluster, _) = server(|line, _| match verb(line) {
        "GET" => (200, config_map(&json!({}))),
        _ => status(409, "Conflict", "the object has been modified"),
    });
    let error = take(&cluster).await.unwrap_err();
    assert!(error.to_string().contains("at the same moment"), "{error}");
    let (cluster, _) = server(|line, _| match verb(line) {
        "GET" => status(404, "NotFound", ""),
        _ => status(409, "AlreadyExists", ""),
    });
    assert!(
        take(&cluster)
            .await
            .unwrap_err()
            .to_string()
            .contains("at the same moment")
    );
}

#[tokio::test]
async fn a_missing_state_is_created_held_and_its_deletion_is_idempotent() {
    let (cluster, seen) = server(|line, body| match verb(line) {
        "POST" => (201, body.clone()),
        _ => status(404, "NotFound", ""),
    });
    assert_eq!(cluster.read_state("ns", "s").await.unwrap(), None);
    assert_eq!(take(&cluster).await.unwrap().state(), None);
    let (line, body) = seen.lock().unwrap()[2].clone();
    assert!(
        line.starts_with("POST /api/v1/namespaces/ns/configmaps?"),
        "{line}"
    );
    assert_eq!(body["metadata"]["annotations"]["brimful.dev/holder"], "me");
    cluster.delete_state("ns", "s").await.unwrap();
}

/// A `ConfigMap` that is kept as a real server would: its version moves with each write.
fn kept(state: Arc<Mutex<Value>>) -> Cluster {
    let (cluster, _) = server(move |line, body| {
        let mut map = state.lock().unwrap();
        if verb(line) == "GET" {
            return (200, map.clone());
        }
        if body["metadata"]["resourceVersion"] != map["metadata"]["resourceVersion"] {
            return status(409, "Conflict", "the object has been modified");
        }
        json_patch::merge(&mut map, body);
        touch(&mut map);
        (200, map.clone())
    });
    cluster
}

/// Somebody writes.
fn touch(map: &mut Value) {
    let version: u32 = map["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    map["metadata"]["resourceVersion"] = json!((version + 1).to_string());
}

#[tokio::test]
async fn a_label_that_somebody_sets_meanwhile_does_not_keep_the_state_from_being_written() {
    let state = Arc::new(Mutex::new(config_map(&json!({}))));
    let lease = take(&kept(Arc::clone(&state))).await.unwrap();
    touch(&mut state.lock().unwrap());
    lease.release(Some("new"), None).await.unwrap();
    let map = state.lock().unwrap();
    assert_eq!(
        (&map["data"]["state.json"], &map["metadata"]["annotations"]),
        (&json!("new"), &json!({}))
    );
}

#[tokio::test]
async fn content_that_somebody_edits_meanwhile_stays_and_the_state_is_given_back() {
    let state = Arc::new(Mutex::new(config_map(&json!({}))));
    let lease = take(&kept(Arc::clone(&state))).await.unwrap();
    {
        let mut map = state.lock().unwrap();
        map["data"]["state.json"] = json!("edited");
        touch(&mut map);
    }
    let error = lease.release(Some("new"), None).await.unwrap_err();
    assert!(error.to_string().contains("was edited"), "{error}");
    let map = state.lock().unwrap();
    assert_eq!(
        (&map["data"]["state.json"], &map["metadata"]["annotations"]),
        (&json!("edited"), &json!({}))
    );
}

#[tokio::test]
async fn a_state_that_another_run_has_taken_over_is_left_to_it() {
    let state = Arc::new(Mutex::new(config_map(&json!({}))));
    let lease = take(&kept(Arc::clone(&state))).await.unwrap();
    {
        let mut map = state.lock().unwrap();
        map["metadata"]["annotations"]["brimful.dev/holder"] = json!("other");
        touch(&mut map);
    }
    let error = lease.release(Some("new"), None).await.unwrap_err();
    assert!(
        error.to_string().contains("taken over by another run (other)"),
        "{error}"
    );
    let map = state.lock().unwrap();
    assert_eq!(map["metadata"]["annotations"]["brimful.dev/holder"], "other");
    assert_eq!(map["data"]["state.json"], "{}");
}

#[tokio::test]
async fn a_hold_that_was_taken_by_a_lost_answer_is_freed_and_nobody_elses() {
    let by = |holder: &str| json!({"brimful.dev/holder": holder, "brimful.dev/lease-seconds": "45"});
    for (holder, is_freed) in [("me", true), ("other", false)] {
        let state = Arc::new(Mutex::new(config_map(&by(holder))));
        kept(Arc::clone(&state))
            .free_state("ns", "s", "me")
            .await
            .unwrap();
        let map = state.lock().unwrap();
        assert_eq!(map["metadata"]["annotations"] == json!({}), is_freed, "{holder}");
    }
}

#[tokio::test]
async fn an_unusable_kubeconfig_is_named_with_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let error = Cluster::connect(Some(&file), None)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("cannot use the kubeconfig: ") && error.contains("config"),
        "{error}"
    );
    std::fs::write(&file, "apiVersion: v1\nkind: Config\ncontexts: []\n").unwrap();
    let error = Cluster::connect(Some(&file), Some("staging"))
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("staging"), "{error}");
    assert!(error.next_step().is_some_and(|hint| hint.contains("--context")));
}

#[tokio::test]
async fn auto_mode_is_told_by_its_node_class_and_not_by_its_group() {
    let is_auto_mode = |resource: &'static str| async move {
        let (cluster, _) = server(move |line, _| {
            let version = json!({"groupVersion": "eks.amazonaws.com/v1", "version": "v1"});
            let body = match line {
                "GET /apis" => json!({"kind": "APIGroupList", "groups": [
                    {"name": "eks.amazonaws.com", "versions": [version], "preferredVersion": version}]}),
                "GET /apis/eks.amazonaws.com/v1" => json!({"kind": "APIResourceList",
                    "groupVersion": "eks.amazonaws.com/v1", "resources": [
                        {"name": resource, "singularName": "", "namespaced": false, "kind": "K", "verbs": ["list"]}]}),
                _ => return status(404, "NotFound", line),
            };
            (200, body)
        });
        cluster.served().await.unwrap().auto_mode
    };
    assert!(is_auto_mode("nodeclasses").await);
    assert!(!is_auto_mode("nodediagnostics").await);
}

/// A kubeconfig of three contexts, of which `used` is the current one.
fn kubeconfig(used: &str) -> tempfile::NamedTempFile {
    let context =
        |name: &str, cluster: &str| json!({"name": name, "context": {"cluster": cluster, "user": "me"}});
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": used,
        "contexts": [
            context("prod", "arn:aws:eks:us-east-2:111122223333:cluster/prod-eks"),
            context("china", "arn:aws-cn:eks:cn-north-1:111122223333:cluster/staging"),
            context("kind", "kind-kind"),
        ],
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    file
}

#[test]
fn the_context_in_use_names_its_cluster_where_its_entry_is_an_eks_arn() {
    let file = kubeconfig("prod");
    let name = |context| Cluster::eks_name(Some(file.path()), context);
    assert_eq!(name(None).as_deref(), Some("prod-eks"));
    assert_eq!(name(Some("china")).as_deref(), Some("staging"));
    assert_eq!(name(Some("kind")), None);
    assert_eq!(name(Some("nowhere")), None);
    assert_eq!(Cluster::eks_name(Some(Path::new("/nonexistent")), None), None);
}

#[test]
fn only_an_eks_cluster_s_arn_names_a_cluster() {
    assert_eq!(
        name_in_arn("arn:aws:eks:us-east-2:111122223333:cluster/prod"),
        Some("prod")
    );
    for other in [
        "",
        "prod",
        "arn:aws:eks:us-east-2:111122223333:cluster/",
        "arn:aws:eks:us-east-2:111122223333:nodegroup/prod",
        "arn:aws:ecs:us-east-2:111122223333:cluster/prod",
    ] {
        assert_eq!(name_in_arn(other), None, "{other}");
    }
}
