//! A front of the S3 server that does to some requests what networks, proxies and half-broken servers do, and passes on
//! all others as they are, so that signatures hold.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use super::recorded::header;

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// It is taken, and never answered.
    Silence,
    /// The answer's head comes byte by byte.
    SlowHead,
    /// The answer's body comes at 20 bytes a second.
    Trickle,
    /// The connection ends within the body.
    Cut,
    /// The connection is reset within the body.
    Reset,
    /// Too many requests; try again in a second.
    TooMany,
    /// S3 asks for fewer requests.
    SlowDown,
    /// S3 fails.
    Failure,
    /// To another address, without saying in which region.
    Redirect,
    /// The answer says that the object is another version.
    OtherEtag,
    /// The list says that there is more, and not where.
    BrokenOff,
    /// The list never ends.
    Endless,
}

/// A request as tests tell it apart.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    /// The last byte that is asked for of an object, where only some are.
    pub(crate) last_byte: Option<u64>,
}

type Which = dyn Fn(&Asked<'_>) -> bool + Send + Sync;

struct Plan {
    server: String,
    fault: Fault,
    which: Box<Which>,
    left: AtomicUsize,
    struck: AtomicUsize,
}

/// The front, served until the process ends.
pub(crate) struct FaultyS3 {
    endpoint: String,
    plan: Arc<Plan>,
}

impl FaultyS3 {
    /// A front of the server at `http://127.0.0.1:PORT`: the first `times` requests that are meant meet the fault.
    pub(crate) fn of(
        server: &str,
        fault: Fault,
        times: usize,
        which: impl Fn(&Asked<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let plan = Arc::new(Plan {
            server: server.strip_prefix("http://").expect("plain HTTP").to_owned(),
            fault,
            which: Box::new(which),
            left: AtomicUsize::new(times),
            struck: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&plan);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let plan = Arc::clone(&shared);
                // A client that goes away in the middle is the client's affair.
                thread::spawn(move || drop(plan.serve(&client)));
            }
        });
        Self { endpoint, plan }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many requests met the fault.
    pub(crate) fn struck(&self) -> usize {
        self.plan.struck.load(Ordering::Relaxed)
    }
}

impl Plan {
    /// One request of a connection, which ends with it.
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let (head, body) = request(client)?;
        if head.is_empty() {
            return Ok(());
        }
        if !self.is_struck(&head) {
            client.write_all(&self.answer(&head, &body)?)?;
            return client.shutdown(Shutdown::Write);
        }
        match self.fault {
            Fault::Silence => wait_for_the_end(client),
            Fault::SlowHead => drip(client, b"HTTP/1.1 200 OK\r\n", Duration::from_millis(100)),
            Fault::Trickle => {
                let (head, body) = split(&self.answer(&head, &body)?);
                client.write_all(&head)?;
                drip(client, &body, Duration::from_millis(50))
            }
            Fault::Cut | Fault::Reset => {
                let (head, body) = split(&self.answer(&head, &body)?);
                client.write_all(&head)?;
                client.write_all(&body[..body.len() / 2])?;
                if self.fault == Fault::Reset {
                    return reset(client);
                }
                client.shutdown(Shutdown::Both)
            }
            Fault::TooMany => refuse(client, "429 Too Many Requests", "TooManyRequests"),
            Fault::SlowDown => refuse(client, "503 Slow Down", "SlowDown"),
            Fault::Failure => refuse(client, "500 Internal Server Error", "InternalError"),
            Fault::Redirect => refuse(client, "301 Moved Permanently", "PermanentRedirect"),
            Fault::OtherEtag => {
                let answer = self.answer(&head, &body)?;
                let (head, body) = split(&answer);
                let head = String::from_utf8_lossy(&head).into_owned();
                let lines = head.split("\r\n").map(|line| {
                    if line.to_ascii_lowercase().starts_with("etag:") {
                        "ETag: \"0123456789abcdef0123456789abcdef\""
                    } else {
                        line
                    }
                });
                client.write_all(lines.collect::<Vec<_>>().join("\r\n").as_bytes())?;
                client.write_all(&body)
            }
            Fault::BrokenOff => page(client, None),
            Fault::Endless => page(client, Some(self.struck.load(Ordering::Relaxed))),
        }
    }

    fn is_struck(&self, head: &str) -> bool {
        let mut words = head.split_whitespace();
        let range = header(head, "range");
        let asked = Asked {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            last_byte: range.and_then(|range| range.rsplit_once('-')?.1.parse().ok()),
        };
        if !(self.which)(&asked) {
            return false;
        }
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            self.struck.fetch_add(1, Ordering::Relaxed);
        }
        left.is_ok()
    }

    /// What the server says, to its end.
    fn answer(&self, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(&self.server)?;
        let (first, rest) = head.split_once("\r\n").unwrap_or_default();
        let rest: Vec<&str> = rest
            .split("\r\n")
            .filter(|line| {
                let line = line.to_ascii_lowercase();
                !line.starts_with("connection:") && !line.starts_with("expect:")
            })
            .collect();
        server.write_all(format!("{first}\r\nConnection: close\r\n{}", rest.join("\r\n")).as_bytes())?;
        server.write_all(body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// Head, with the empty line at its end, and body of a request; nothing when the client has gone.
fn request(client: &TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut from = BufReader::new(client);
    let (mut head, mut length, mut waits) = (String::new(), 0, false);
    loop {
        let start = head.len();
        if from.read_line(&mut head)? == 0 {
            return Ok((String::new(), Vec::new()));
        }
        let line = head[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        waits |= line.starts_with("expect:");
        if line == "\r\n" {
            break;
        }
    }
    if waits {
        (&mut &*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((head, body))
}

fn split(answer: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.map_or(answer.len(), |end| end + 4));
    (head.to_vec(), body.to_vec())
}

fn drip(mut client: &TcpStream, bytes: &[u8], pause: Duration) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    for byte in bytes {
        client.write_all(&[*byte])?;
        sleep(pause);
    }
    wait_for_the_end(client)
}

fn wait_for_the_end(mut client: &TcpStream) -> std::io::Result<()> {
    while client.read(&mut [0; 512])? > 0 {}
    Ok(())
}

/// Closed at once and for good, which tells the other side of a reset.
fn reset(client: &TcpStream) -> std::io::Result<()> {
    // Time for what was sent to arrive: a reset takes it away.
    sleep(Duration::from_millis(50));
    socket2::SockRef::from(client).set_linger(Some(Duration::ZERO))
}

fn refuse(mut client: &TcpStream, status: &str, code: &str) -> std::io::Result<()> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>a fault of the test</Message></Error>"
    );
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nRetry-After: 1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// One page of a list that has no end, or does not say where it goes on.
fn page(mut client: &TcpStream, number: Option<usize>) -> std::io::Result<()> {
    let token = number.map(|number| format!("<NextContinuationToken>{number}</NextContinuationToken>"));
    let key = number.unwrap_or_default();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>k{key}</Key>\
         <LastModified>2026-11-21T12:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>{}</ListBucketResult>",
        token.unwrap_or_default()
    );
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
