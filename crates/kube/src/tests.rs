//! Against a scripted HTTP server, for what a real API server cannot be made to show at will: pages, races, death.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use chrono::{Duration, TimeZone, Utc};
use serde_json::json;

use super::*;
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
        cluster.patch_node_pool("a", &patch, true).await.unwrap().name,
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
        Err(PatchError::Other(_))
    ));
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
    cluster
        .take_state("ns", "s", "me", now, Duration::minutes(10))
        .await
}

#[tokio::test]
async fn a_free_state_is_taken_and_released_with_preconditions() {
    let stale = json!({"brimful.dev/holder": "dead", "brimful.dev/held-until": "2026-11-21T11:59:00Z"});
    let (cluster, seen) = server(move |_, _| (200, config_map(&stale)));
    let lease = take(&cluster).await.unwrap();
    assert_eq!(lease.state(), Some("{}"));
    cluster
        .release_state(lease.clone(), Some("{}"), None)
        .await
        .unwrap();
    let new = Some("{\"a\":1}");
    cluster.release_state(lease.clone(), new, None).await.unwrap();
    cluster.release_state(lease, new, Some("{}")).await.unwrap();
    let bodies: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| body.clone())
        .collect();
    let held = json!({"brimful.dev/holder": "me", "brimful.dev/held-until": "2026-11-21T12:10:00Z"});
    assert_eq!(
        bodies[1],
        json!({"metadata": {"resourceVersion": "5", "annotations": held}})
    );
    let free = json!({"resourceVersion": "5", "annotations": {"brimful.dev/holder": null, "brimful.dev/held-until": null}});
    assert_eq!(
        bodies[2],
        json!({ "metadata": free }),
        "content that did not change is not written"
    );
    assert_eq!(
        bodies[3],
        json!({"metadata": free, "data": {"state.json": "{\"a\":1}"}})
    );
    assert_eq!(
        bodies[4]["data"],
        json!({"state.json": "{\"a\":1}", "history.json": "{}"}),
        "both in one write"
    );
}

#[tokio::test]
async fn a_held_state_is_refused_but_its_own_holder_may_take_it_again() {
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

#[tokio::test]
async fn of_two_runs_that_start_together_one_is_refused() {
    let (cluster, _) = server(|line, _| match line.split(' ').next() {
        Some("GET") => (200, config_map(&json!({}))),
        _ => status(409, "Conflict", "the object has been modified"),
    });
    let error = take(&cluster).await.unwrap_err();
    assert!(error.to_string().contains("at the same moment"), "{error}");
    let (cluster, _) = server(|line, _| match line.split(' ').next() {
        Some("GET") => status(404, "NotFound", ""),
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
    let (cluster, seen) = server(|line, body| match line.split(' ').next() {
        Some("POST") => (201, body.clone()),
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
