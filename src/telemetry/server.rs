//! The operator's HTTP server: the page of the newest plan, metrics for Prometheus, and whether the process lives and
//! works.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::{Page, Runs};
use crate::render::json::PlanDocument;

/// Prometheus' newer text format, with an end mark.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the server shows, shared with the loop that runs.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    seen: Arc<Mutex<Seen>>,
    /// Without a sign of life for so long the process is taken to be stuck.
    patience: Duration,
}

#[derive(Debug)]
struct Seen {
    beat: Instant,
    is_ready: bool,
    runs: Runs,
    document: Option<PlanDocument>,
    /// The same as HTML.
    page: Option<String>,
}

impl Health {
    /// A process that has just begun, and gives a sign of life at least every `patience`.
    pub(crate) fn new(patience: Duration) -> Self {
        let seen = Seen {
            beat: Instant::now(),
            is_ready: false,
            runs: Runs::default(),
            document: None,
            page: None,
        };
        Self {
            seen: Arc::new(Mutex::new(seen)),
            patience,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sign of life.
    pub(crate) fn beat(&self) {
        self.seen().beat = Instant::now();
    }

    /// Whether this replica leads. One that does not has nothing to wait for.
    pub(crate) fn leads(&self, leads: bool) {
        let mut seen = self.seen();
        seen.runs.leads = Some(leads);
        seen.is_ready |= !leads;
        if !leads {
            seen.document = None;
            seen.page = None;
        }
    }

    /// What became of a run. Its plan is shown until there is a newer one.
    pub(crate) fn ran(
        &self,
        document: Option<PlanDocument>,
        page: Option<String>,
        note: impl FnOnce(&mut Runs, Option<&PlanDocument>),
    ) {
        let mut seen = self.seen();
        note(&mut seen.runs, document.as_ref());
        seen.is_ready = true;
        if document.is_some() {
            seen.document = document;
            seen.page = page;
        }
    }

    /// The metrics as they are now.
    pub(crate) fn metrics(&self) -> Page {
        let seen = self.seen();
        Page::of(&seen.runs, seen.document.as_ref())
    }

    fn is_alive(&self) -> bool {
        self.seen().beat.elapsed() < self.patience
    }
}

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener, health: Health) {
    let pages = Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health);
    if let Err(error) = axum::serve(listener, pages).await {
        tracing::error!("metrics are no longer served: {error}");
    }
}

async fn page(State(health): State<Health>) -> Response {
    match &health.seen().page {
        Some(page) => ([(header::CACHE_CONTROL, "no-store")], Html(page.clone())).into_response(),
        None => (StatusCode::NOT_FOUND, "this replica has made no plan yet\n").into_response(),
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.metrics().open_metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn healthz(State(health): State<Health>) -> Response {
    if health.is_alive() {
        return "ok\n".into_response();
    }
    let stuck = format!("no sign of life for {} s\n", health.patience.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, stuck).into_response()
}

async fn readyz(State(health): State<Health>) -> Response {
    if health.seen().is_ready {
        return "ok\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "the first run has not ended yet\n",
    )
        .into_response()
}
