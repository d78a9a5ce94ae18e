//! AWS Data Exports as recorded shapes: nothing emulates it. Answers `ListExports` and `GetExport` on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

/// The region and account of every export here.
const ARN: &str = "arn:aws:bcm-data-exports:us-east-1:111122223333:export";

/// An export, as `GetExport` shows it.
pub(crate) fn export(name: &str, table: &str, granularity: &str, query: &str) -> Value {
    json!({
        "Name": name,
        "ExportArn": format!("{ARN}/{name}"),
        "DataQuery": {
            "QueryStatement": format!("SELECT {query} FROM {table}"),
            "TableConfigurations": {table: {"TIME_GRANULARITY": granularity, "INCLUDE_RESOURCES": "TRUE"}},
        },
        "DestinationConfigurations": {"S3Destination": {
            "S3Bucket": "acme-billing", "S3Prefix": "exports", "S3Region": "us-east-1",
            "S3OutputConfigurations": {
                "OutputType": "CUSTOM", "Format": "PARQUET", "Compression": "PARQUET", "Overwrite": "OVERWRITE_REPORT",
            },
        }},
        "RefreshCadence": {"Frequency": "SYNCHRONOUS"},
    })
}

/// Starts to answer, for as long as the process runs; the endpoint. `None` refuses everybody.
pub(crate) fn serve(exports: Option<Vec<Value>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let exports = Arc::new(exports);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let exports = Arc::clone(&exports);
            thread::spawn(move || answer(stream, exports.as_deref()));
        }
    });
    endpoint
}

fn answer(mut stream: TcpStream, exports: Option<&[Value]>) {
    let Some((head, body)) = request(&mut stream) else {
        return;
    };
    let target = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("x-amz-target:")
            .map(str::to_owned)
    });
    let target = target.unwrap_or_default();
    let (status, answer) = match exports {
        None => (
            "403 Forbidden",
            json!({"__type": "AccessDeniedException", "message": "not authorized to perform this"}),
        ),
        Some(exports) if target.trim().ends_with(".listexports") => {
            let healthy = json!({"StatusCode": "HEALTHY"});
            let exports = exports.iter().map(|one| {
                json!({
                    "ExportArn": one["ExportArn"], "ExportName": one["Name"], "ExportStatus": healthy,
                })
            });
            ("200 OK", json!({"Exports": exports.collect::<Vec<_>>()}))
        }
        Some(exports) => {
            let asked: Value = serde_json::from_str(&body).unwrap_or_default();
            let found = exports.iter().find(|one| one["ExportArn"] == asked["ExportArn"]);
            (
                "200 OK",
                json!({"Export": found, "ExportStatus": {"StatusCode": "HEALTHY"}}),
            )
        }
    };
    let text = answer.to_string();
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
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        });
        if body.len() >= length.unwrap_or(0) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}
