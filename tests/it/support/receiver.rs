//! An HTTP server on loopback that keeps what it is sent, and answers as a test wants.

use std::convert::Infallible;
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{block_on, spawn};

/// How requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With this status, and nothing else.
    Status(u16),
    /// With 302 to another path of the same server.
    Redirect,
    /// Never.
    Silence,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

struct Shared {
    answer: Answer,
    received: Vec<Received>,
}

/// The server, until the test process ends.
pub(crate) struct Receiver {
    endpoint: String,
    shared: Arc<Mutex<Shared>>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// One that answers 200.
    pub(crate) fn start() -> Self {
        Self::answering(Answer::Status(200))
    }

    pub(crate) fn answering(answer: Answer) -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            answer,
            received: Vec::new(),
        }));
        let listener = block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        spawn(accept(listener, Arc::clone(&shared)));
        Self { endpoint, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How requests are answered from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        lock(&self.shared).answer = answer;
    }

    /// What came since the last call.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut lock(&self.shared).received)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Mutex<Shared>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = request.headers().get("content-type");
    let content_type = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let answer = {
        let mut shared = lock(&shared);
        shared.received.push(Received {
            method,
            path,
            content_type,
            body,
        });
        shared.answer
    };
    let response = match answer {
        Answer::Silence => pending().await,
        Answer::Status(status) => Response::builder().status(status),
        Answer::Redirect => Response::builder().status(302).header("location", "/elsewhere"),
    };
    Ok(response.body(Full::default()).expect("an answer"))
}
