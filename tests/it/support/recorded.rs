//! A server of recorded answers on loopback, for APIs of AWS that nothing emulates.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

/// What a request of that head and body is answered with: status line and document.
type Answer = dyn Fn(&str, &str) -> (&'static str, Value) + Send + Sync;

/// Starts to answer, for as long as the process runs; the endpoint.
pub(crate) fn serve(answer: impl Fn(&str, &str) -> (&'static str, Value) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let answer: Arc<Answer> = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || respond(stream, &*answer));
        }
    });
    endpoint
}

/// What AWS answers to whoever may not ask.
pub(crate) fn denied() -> (&'static str, Value) {
    let why = json!({"__type": "AccessDeniedException", "message": "not authorized to perform this"});
    ("403 Forbidden", why)
}

/// A header's value.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    let values = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = values.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}

fn respond(mut stream: TcpStream, answer: &Answer) {
    let Some((head, body)) = request(&mut stream) else {
        return;
    };
    let (status, document) = answer(&head, &body);
    let text = document.to_string();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
}

/// Head and body of a request.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = header(head, "content-length").and_then(|length| length.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}
