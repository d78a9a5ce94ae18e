//! A front of a server on loopback that notes the first line of every request and passes all bytes on as they are, so
//! that signatures hold.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The front, served until the process ends.
pub(crate) struct Proxy {
    endpoint: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A front of the server at `http://127.0.0.1:PORT`.
    pub(crate) fn of(server: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let server = server.strip_prefix("http://").expect("plain HTTP").to_owned();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let notes = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (notes, server) = (Arc::clone(&notes), server.clone());
                // A client that goes away in the middle is the client's affair.
                thread::spawn(move || drop(serve(&client, &server, &notes)));
            }
        });
        Self { endpoint, seen }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The requests since the last call: `GET /bucket/key?…`.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(client: &TcpStream, server: &str, notes: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (mut back_from, mut back_to) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (BufReader::new(client), &server);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if from.read_line(&mut head)? == 0 {
                let _ = to.shutdown(Shutdown::Write);
                let _ = back.join();
                return Ok(());
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        let first = head.lines().next().unwrap_or_default();
        let request = first.strip_suffix(" HTTP/1.1").unwrap_or(first).to_owned();
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        to.write_all(head.as_bytes())?;
        std::io::copy(&mut (&mut from).take(length), &mut to)?;
    }
}
