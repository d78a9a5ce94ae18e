//! A clock that runs faster than the cluster's: an API server's front that dates Nodes and `NodeClaims` by it.
//!
//! Karpenter's own clocks cannot be hurried, so a step of a few seconds stands for hours. Brimful is told the time by
//! `--now`; when a Node began it reads from the API, which dates objects itself. This front hands everything through
//! as it is, under the token that it was made with, except for those dates in lists; watches tell only that something has
//! changed.

use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Timelike as _, Utc};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{block_on, spawn};

/// Which time of the test's calendar the wall clock shows, step by step.
#[derive(Debug, Default)]
struct Steps(Mutex<Vec<(DateTime<Utc>, DateTime<Utc>)>>);

impl Steps {
    /// The calendar's time at a time of the wall clock.
    fn at(&self, wall: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = steps.iter().rev().find(|(from, _)| *from <= wall);
        begun.or(steps.first()).map(|(_, time)| *time)
    }
}

/// The clock of the API server, which dates objects to the second, and of Karpenter.
#[allow(clippy::disallowed_methods, reason = "their clocks are real")]
pub(crate) fn wall_clock() -> DateTime<Utc> {
    let wall = Utc::now();
    wall.with_nanosecond(0).unwrap_or(wall)
}

/// The front, served until the process ends.
pub(crate) struct Calendar {
    address: SocketAddr,
    steps: Arc<Steps>,
}

impl Calendar {
    /// A front for whom `client` stands for; the calendar begins at `start`.
    pub(crate) fn new(client: Client, start: DateTime<Utc>) -> Self {
        let steps = Arc::new(Steps::default());
        let listener = block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free loopback port");
        let address = listener.local_addr().expect("the address of a listener");
        let served = Arc::clone(&steps);
        spawn(serve(listener, client, served));
        let calendar = Self { address, steps };
        calendar.turn_to(start);
        calendar
    }

    /// From now on it is `time`, until the next turn.
    pub(crate) fn turn_to(&self, time: DateTime<Utc>) {
        let wall = wall_clock();
        let mut steps = self.steps.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push((wall, time));
    }

    /// A kubeconfig in `dir` that leads here.
    pub(crate) fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let path = dir.join("kubeconfig-calendar.yaml");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "tests", "user": {}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": "default"}}],
        });
        fs::write(&path, config.to_string()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

async fn serve(listener: TcpListener, client: Client, steps: Arc<Steps>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (client, steps) = (client.clone(), Arc::clone(&steps));
        let service =
            hyper::service::service_fn(move |request| answer(client.clone(), Arc::clone(&steps), request));
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            // A client that goes away in the middle is the client's affair.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What was read whole, or a watch as it comes.
type Answer = Either<Full<Bytes>, kube::client::Body>;

async fn answer(
    client: Client,
    steps: Arc<Steps>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let answered = pass_on(&client, &steps, request).await;
    Ok(answered.unwrap_or_else(|error| {
        let mut response = Response::new(Either::Left(Full::from(error)));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }))
}

async fn pass_on(
    client: &Client,
    steps: &Steps,
    request: Request<Incoming>,
) -> Result<Response<Answer>, String> {
    let is_watch = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch="));
    let dated = ["/nodes", "/nodeclaims"]
        .iter()
        .any(|kind| request.uri().path().ends_with(kind));
    let (mut head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    for header in [HOST, CONTENT_LENGTH, AUTHORIZATION] {
        head.headers.remove(header);
    }
    let request = Request::from_parts(head, kube::client::Body::from(body));
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    if is_watch {
        return Ok(response.map(Either::Right));
    }
    let (mut head, body) = response.into_parts();
    let mut body = body
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    if dated && head.status.is_success() {
        let list: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        body = Bytes::from(redated(list, steps).to_string());
        head.headers.remove(CONTENT_LENGTH);
    }
    Ok(Response::from_parts(head, Either::Left(Full::from(body))))
}

/// The list, its objects dated by the calendar.
fn redated(mut list: Value, steps: &Steps) -> Value {
    for object in list["items"].as_array_mut().into_iter().flatten() {
        let created = &mut object["metadata"]["creationTimestamp"];
        let wall = created.as_str().and_then(|text| text.parse().ok());
        if let Some(time) = wall.and_then(|wall| steps.at(wall)) {
            *created = json!(brimful_types::hour::rfc3339(time));
        }
    }
    list
}
