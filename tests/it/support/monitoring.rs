//! Prometheus and a Pushgateway as servers on loopback, and metrics in a form in which they can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::supervised::{Supervised, start_with_free_ports, temp_dir};
use super::{command_lines, free_ports};

/// From start to ready it takes less than a second; the rest is for a busy one.
const START: Duration = Duration::from_mins(1);
/// For an answer that is there at once.
const ANSWER: Duration = Duration::from_secs(20);

/// Values by name and labels (`label=value`).
pub(crate) type Series = BTreeMap<(String, BTreeSet<String>), f64>;

/// Status code and body.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    // Of 1.0, so that the answer comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let code = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((code, body.to_owned()))
}

/// What Prometheus' text format says; no value of a label has a comma or a quotation mark in it.
pub(crate) fn of_text(text: &str) -> Series {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels
            .filter(|label| !label.is_empty())
            .map(|label| label.replace('"', ""));
        let value = value.parse().expect("a number");
        ((name.to_owned(), labels.collect()), value)
    });
    parsed.collect()
}

/// Brimful's among them that have all of these labels, without these labels.
pub(crate) fn with_labels(series: &Series, labels: &[&str]) -> Series {
    let brimful = series
        .iter()
        .filter(|((name, _), _)| name.starts_with("brimful_"));
    let found = brimful.filter(|((_, of), _)| labels.iter().all(|label| of.contains(*label)));
    found
        .map(|((name, of), value)| {
            let rest = of.iter().filter(|label| !labels.contains(&label.as_str()));
            ((name.clone(), rest.cloned().collect()), *value)
        })
        .collect()
}

/// A running Prometheus; dropping it ends it.
pub(crate) struct Prometheus {
    address: String,
    _server: Supervised,
}

impl Prometheus {
    /// One that asks these addresses and tries these rules each second, and takes metrics by OTLP.
    pub(crate) fn start(targets: &[&str], rules: &[&Path]) -> Self {
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "brimful", "static_configs": [{"targets": targets}]}],
            "otlp": {"promote_resource_attributes": ["k8s.cluster.name"]},
        });
        let started = start_with_free_ports(|| {
            let dir = temp_dir("prometheus")?;
            // JSON is YAML, too.
            std::fs::write(dir.join("prometheus.yml"), config.to_string())
                .map_err(|error| format!("{}: {error}", dir.display()))?;
            launch("prometheus", &dir, command_lines::prometheus)
        });
        let (address, server) = started.unwrap_or_else(|error| panic!("{error}"));
        Self {
            address,
            _server: server,
        }
    }

    /// Where OTLP's paths begin.
    pub(crate) fn otlp(&self) -> String {
        format!("http://{}/api/v1/otlp", self.address)
    }

    /// What its HTTP API answers.
    #[track_caller]
    pub(crate) fn api(&self, path: &str) -> Value {
        let (code, body) = get(&self.address, &format!("/api/v1/{path}")).expect("an answer");
        assert_eq!(code, 200, "{path}: {body}");
        let mut answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["data"].take()
    }

    /// What a query finds now.
    #[track_caller]
    pub(crate) fn query(&self, query: &str) -> Series {
        let mut path = "query?query=".to_owned();
        for byte in query.bytes() {
            let _ = write!(path, "%{byte:02X}");
        }
        let data = self.api(&path);
        assert_eq!(data["resultType"], "vector", "{query}");
        let found = data["result"].as_array().expect("a result").iter();
        let series = found.map(|one| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let labels = one["metric"].as_object().expect("labels").iter();
            let labels = labels.filter(|(label, _)| *label != "__name__");
            let labels = labels.map(|(label, value)| format!("{label}={}", text(value)));
            let value = text(&one["value"][1]).parse().expect("a number");
            ((text(&one["metric"]["__name__"]), labels.collect()), value)
        });
        series.collect()
    }
}

/// A running Pushgateway; dropping it ends it.
pub(crate) struct Pushgateway {
    address: String,
    _server: Supervised,
}

impl Pushgateway {
    pub(crate) fn start() -> Self {
        let started = start_with_free_ports(|| {
            let dir = temp_dir("pushgateway")?;
            launch("pushgateway", &dir, command_lines::pushgateway)
        });
        let (address, server) = started.unwrap_or_else(|error| panic!("{error}"));
        Self {
            address,
            _server: server,
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What Prometheus would find there.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        let (code, text) = get(&self.address, "/metrics").expect("an answer");
        assert_eq!(code, 200, "{text}");
        text
    }

    #[track_caller]
    pub(crate) fn series(&self) -> Series {
        of_text(&self.text())
    }
}

/// Its address, when it is ready. Both of them say so at the same path.
fn launch(
    name: &'static str,
    dir: &Path,
    command: fn(&str) -> Vec<std::ffi::OsString>,
) -> Result<(String, Supervised), String> {
    let [port] = free_ports();
    let address = format!("127.0.0.1:{port}");
    // A proxy of the machine's must not see what goes to loopback.
    let env = [("NO_PROXY", "127.0.0.1")];
    let server = Supervised::start(dir, &[], &env, vec![(name, command(&address))])?;
    server.wait_for(name, START, || match get(&address, "/-/ready") {
        Some((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    Ok((address, server))
}
