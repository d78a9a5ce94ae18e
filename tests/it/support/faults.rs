//! A front of an API server that breaks chosen requests in chosen ways, and passes all others on.
//!
//! It speaks plain HTTP with one request per connection, so that a fault can be made byte by byte.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hyper::Request;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::block_on;

/// What goes wrong with a request. Those `after` the effect have been carried out by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is taken and never answered.
    Silence,
    /// After the effect, no answer.
    SilenceAfter,
    /// The answer's head comes byte by byte, without end.
    SlowHeaders,
    /// After the effect, the answer comes at twenty bytes a second.
    TrickleAfter,
    /// After the effect, the connection is closed in the middle of the answer.
    CutAfter,
    /// The connection is reset before anything was done.
    Reset,
    /// 429, to be tried again in 565 s.
    TooMany,
    /// 500, nothing done.
    Failed,
    /// 503, nothing done.
    Unavailable,
    /// After the effect, 504.
    TimeoutAfter,
    /// After the effect, half of the answer as if it were all; a list lacks its items.
    TruncatedAfter,
    /// 302 to a page to log in.
    Redirect,
}

impl Fault {
    pub(crate) const ALL: [Self; 12] = [
        Self::Silence,
        Self::SilenceAfter,
        Self::SlowHeaders,
        Self::TrickleAfter,
        Self::CutAfter,
        Self::Reset,
        Self::TooMany,
        Self::Failed,
        Self::Unavailable,
        Self::TimeoutAfter,
        Self::TruncatedAfter,
        Self::Redirect,
    ];

    /// Nothing ends the wait but the one who waits.
    pub(crate) fn is_slow(self) -> bool {
        matches!(
            self,
            Self::Silence | Self::SilenceAfter | Self::SlowHeaders | Self::TrickleAfter
        )
    }

    /// True if the API server carries the request out.
    pub(crate) fn has_effect(self) -> bool {
        matches!(
            self,
            Self::SilenceAfter
                | Self::TrickleAfter
                | Self::CutAfter
                | Self::TimeoutAfter
                | Self::TruncatedAfter
        )
    }
}

/// A request as a rule sees it: `PATCH /apis/…` and the body.
pub(crate) type Which = Box<dyn Fn(&str, &str) -> bool + Send>;

#[derive(Default)]
struct Rule {
    which: Option<(Which, Fault)>,
    /// How many requests met the fault.
    hits: usize,
    seen: Vec<String>,
}

/// The front, served until the process ends.
pub(crate) struct Front {
    address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
}

impl Front {
    /// A front for whom `client` stands for.
    pub(crate) fn new(client: &Client) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("its address");
        let rule = Arc::<Mutex<Rule>>::default();
        let (shared, client) = (Arc::clone(&rule), client.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (client, rule) = (client.clone(), Arc::clone(&shared));
                // A client that goes away in the middle is the client's affair.
                thread::spawn(move || drop(serve(stream, &client, &rule)));
            }
        });
        Self { address, rule }
    }

    /// From now on these requests meet this fault.
    pub(crate) fn break_requests(&self, which: Which, fault: Fault) {
        *lock(&self.rule) = Rule {
            which: Some((which, fault)),
            ..Rule::default()
        };
    }

    /// From now on nothing is wrong.
    pub(crate) fn heal(&self) {
        *lock(&self.rule) = Rule::default();
    }

    /// How many requests met the fault.
    pub(crate) fn hits(&self) -> usize {
        lock(&self.rule).hits
    }

    /// The requests since the fault was set: `GET /path?query`.
    pub(crate) fn seen(&self) -> Vec<String> {
        lock(&self.rule).seen.clone()
    }

    /// Waits until a request met the fault; false if none has after half a minute.
    pub(crate) fn wait_for_hit(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(30);
        while self.hits() == 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        self.hits() > 0
    }

    /// A kubeconfig in `dir` that leads here.
    pub(crate) fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let path = dir.join("kubeconfig-front.yaml");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "tests", "user": {}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        });
        fs::write(&path, config.to_string()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

fn lock(rule: &Mutex<Rule>) -> std::sync::MutexGuard<'_, Rule> {
    rule.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, client: &Client, rule: &Mutex<Rule>) -> std::io::Result<()> {
    let (head, length) = peeked(&stream)?;
    let text = String::from_utf8_lossy(&head[..length]).into_owned();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let line = text.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    let fault = {
        let mut rule = lock(rule);
        rule.seen.push(line.clone());
        let met = rule.which.as_ref().filter(|(which, _)| which(&line, body));
        let met = met.map(|(_, fault)| *fault);
        rule.hits += usize::from(met.is_some());
        met
    };
    if fault == Some(Fault::Reset) {
        // Closing a socket with unread bytes resets the connection.
        return Ok(());
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request)?;
    let pass_on = || pass_on(client, &text).unwrap_or_else(|error| (502, error.into_bytes()));
    match fault {
        None => answer(&mut stream, &pass_on(), usize::MAX),
        Some(Fault::Silence | Fault::Reset) => wait(&mut stream),
        Some(Fault::SilenceAfter) => {
            drop(pass_on());
            wait(&mut stream)
        }
        Some(Fault::SlowHeaders) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(100));
            }
        }
        Some(Fault::TrickleAfter) => {
            let whole = pass_on();
            answer(&mut stream, &whole, 1)?;
            for byte in whole.1.iter().skip(1) {
                thread::sleep(Duration::from_millis(50));
                stream.write_all(&[*byte])?;
            }
            Ok(())
        }
        Some(Fault::CutAfter) => {
            let whole = pass_on();
            answer(&mut stream, &whole, whole.1.len() / 2)
        }
        Some(Fault::TruncatedAfter) => {
            let (status, body) = pass_on();
            answer(&mut stream, &(status, truncated(&body)), usize::MAX)
        }
        Some(Fault::TimeoutAfter) => {
            drop(pass_on());
            refuse(&mut stream, "504 Gateway Timeout", "")
        }
        Some(Fault::TooMany) => refuse(&mut stream, "429 Too Many Requests", "retry-after: 565\r\n"),
        Some(Fault::Failed) => refuse(&mut stream, "500 Internal Server Error", ""),
        Some(Fault::Unavailable) => refuse(&mut stream, "503 Service Unavailable", ""),
        Some(Fault::Redirect) => refuse(
            &mut stream,
            "302 Found",
            "location: https://login.example.com/\r\n",
        ),
    }
}

/// A whole request, left in the socket.
fn peeked(stream: &TcpStream) -> std::io::Result<(Vec<u8>, usize)> {
    let mut bytes = vec![0; 1 << 20];
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let there = stream.peek(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes[..there]);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Ok((bytes, there));
            }
        }
        if there == 0 || Instant::now() > until {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the API server says to a request.
fn pass_on(client: &Client, text: &str) -> Result<(u16, Vec<u8>), String> {
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no head")?;
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut request = Request::builder()
        .method(first.next().unwrap_or_default())
        .uri(first.next().unwrap_or_default());
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if ["content-type", "accept"].contains(&name.to_ascii_lowercase().as_str()) {
            request = request.header(name, value);
        }
    }
    let request = request
        .body(Body::from(body.as_bytes().to_vec()))
        .map_err(|error| error.to_string())?;
    block_on(async {
        let response = client.send(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = response
            .into_body()
            .collect_bytes()
            .await
            .map_err(|error| error.to_string())?;
        Ok((status, body.to_vec()))
    })
}

/// The head, and as much of the body as `bytes`.
fn answer(stream: &mut TcpStream, (status, body): &(u16, Vec<u8>), bytes: usize) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body[..bytes.min(body.len())])
}

fn refuse(stream: &mut TcpStream, status: &str, header: &str) -> std::io::Result<()> {
    let page = "<html>not today</html>";
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n{page}",
        page.len()
    )
}

/// Says nothing until the client is gone.
fn wait(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(drop)
}

fn truncated(body: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut list) if list["items"].is_array() => {
            list.as_object_mut().expect("a list").remove("items");
            list.to_string().into_bytes()
        }
        _ => body[..body.len() / 2].to_vec(),
    }
}
