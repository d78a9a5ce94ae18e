//! Waiting has an end: the run's time, and Ctrl-C, whatever is waited for.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::run::{Brimful, Ended, NOW, fixture};

/// A server that takes connections and says nothing.
fn silent() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        let mut held = Vec::new();
        held.extend(listener.incoming());
    });
    address.to_string()
}

fn kubeconfig(server: &str, user: &Value) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "c", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    });
    std::fs::write(file.path(), text.to_string()).expect("a kubeconfig is written");
    file
}

/// `COMMAND` on that cluster; a report is at hand where it takes one.
fn on(command: &str, config: &tempfile::NamedTempFile) -> Brimful {
    let run = Brimful::new(command).arg("--kubeconfig").arg(config.path());
    match command {
        "reset" => run,
        _ => run.arg("--cur").arg(fixture("cur/legacy")).args(["--now", NOW]),
    }
}

/// Sends SIGINT a second after the start; how the run ended, and how long after.
fn interrupted(mut run: Brimful) -> (Ended, Duration) {
    let child: Child = run.spawn();
    thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    let sent = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    (Ended::of(child), began.elapsed())
}

/// A credential plugin that never answers.
fn plugin() -> Value {
    json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["20"],
        "interactiveMode": "Never"}})
}

#[test]
fn a_cluster_that_says_nothing_ends_with_the_runs_time_and_7() {
    let config = kubeconfig(&format!("http://{}", silent()), &json!({}));
    let runs: Vec<_> = ["plan", "apply", "reset", "history"]
        .into_iter()
        .map(|command| {
            let run = on(command, &config).args(["--timeout", "2s"]).spawn();
            (command, Instant::now(), run)
        })
        .collect();
    for (command, began, run) in runs {
        let ended = Ended::of(run);
        assert_eq!(ended.code, Some(7), "{command}: {ended:?}");
        assert!(
            ended.stderr.contains("time was up after 2 s"),
            "{command}: {ended:?}"
        );
        assert!(ended.stderr.contains("--timeout"), "{command}: {ended:?}");
        assert!(began.elapsed() < Duration::from_secs(9), "{command}");
    }
}

#[test]
fn a_bucket_that_says_nothing_ends_with_the_runs_time_and_4() {
    let ended = Brimful::new("utilization")
        .env("AWS_ENDPOINT_URL_S3", format!("http://{}", silent()))
        .args(["--cur", "s3://bucket/prefix", "--timeout", "2s"])
        .ends(4);
    assert!(ended.stderr.contains("while the report was read"), "{ended:?}");
}

#[test]
fn a_credential_plugin_that_hangs_is_left_alone_by_ctrl_c_and_by_the_runs_time() {
    let config = kubeconfig("http://127.0.0.1:1", &plugin());
    for command in ["plan", "apply", "reset"] {
        let (ended, took) = interrupted(on(command, &config));
        assert_eq!(ended.code, Some(130), "{command}: {ended:?}");
        assert!(took < Duration::from_secs(3), "{command}: {took:?}");
    }
    let ended = on("plan", &config).args(["--timeout", "1s"]).ends(7);
    assert!(ended.stderr.contains("time was up"), "{ended:?}");
}

#[test]
fn ctrl_c_ends_every_command_that_waits_for_a_cluster_or_a_bucket() {
    let config = kubeconfig(&format!("http://{}", silent()), &json!({}));
    for command in ["plan", "apply", "reset", "history", "doctor"] {
        let (ended, took) = interrupted(on(command, &config));
        assert_eq!(ended.code, Some(130), "{command}: {ended:?}");
        let changes = ["apply", "reset"].contains(&command);
        let more = if changes { "more " } else { "" };
        let says = format!("interrupted: nothing {more}was changed");
        assert!(ended.stderr.contains(&says), "{command}: {ended:?}");
        assert!(took < Duration::from_secs(3), "{command}: {took:?}");
    }
    let bucket = Brimful::new("utilization")
        .env("AWS_ENDPOINT_URL_S3", format!("http://{}", silent()))
        .args(["--cur", "s3://bucket/prefix"]);
    let (ended, took) = interrupted(bucket);
    assert_eq!(
        (ended.code, took < Duration::from_secs(3)),
        (Some(130), true),
        "{took:?} {ended:?}"
    );
}

#[test]
fn a_pipe_that_nobody_reads_does_not_hold_up_ctrl_c() {
    let mut run = Brimful::new("utilization");
    run = run
        .arg("--cur")
        .arg(fixture("cur/legacy"))
        .args(["--now", NOW, "-o", "json"]);
    let mut child = run.spawn();
    // More than a pipe holds is printed, and not taken.
    thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    let sent = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let status = child.wait().expect("the end of a run");
    assert_eq!(status.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_clock_set_by_hand_does_not_patch_a_cluster() {
    let config = kubeconfig("http://127.0.0.1:1", &json!({}));
    let apply = || on("apply", &config).env("BRIMFUL_ALLOW_NOW", "0");
    let error = apply().fails(3);
    assert!(
        error.contains("--now") && error.contains("BRIMFUL_ALLOW_NOW=1"),
        "{error}"
    );
    let left_over = Brimful::new("apply")
        .env("BRIMFUL_ALLOW_NOW", "")
        .env("BRIMFUL_NOW", NOW)
        .arg("--cur")
        .arg(fixture("cur/legacy"));
    assert!(left_over.fails(3).contains("BRIMFUL_NOW"));
    // Allowed as far as the clock goes: nobody listens there.
    apply().args(["--dry-run", "server"]).fails(7);
    apply().env("BRIMFUL_ALLOW_NOW", "1").fails(7);
}

#[test]
fn a_run_needs_some_time() {
    let error = Brimful::new("utilization").args(["--timeout", "0s"]).fails(3);
    assert!(error.contains("longer than nothing"), "{error}");
}

/// A proxy that refuses everybody, and tells what it was asked.
fn refusing_proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    let address = listener.local_addr().expect("its address");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().expect("a stream"));
            while lines.read_line(&mut head).is_ok_and(|length| length > 2) {}
            let _ = tell.send(head);
            let _ =
                stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.read(&mut [0; 64]);
        }
    });
    (address.to_string(), told)
}

#[test]
fn the_api_server_is_reached_through_the_proxy_unless_it_is_named_and_no_password_is_told() {
    let config = kubeconfig("https://api.cluster.invalid:6443", &json!({}));
    let (proxy, told) = refusing_proxy();
    let run = |no_proxy: &str| {
        on("plan", &config)
            .env("HTTPS_PROXY", format!("http://me:s3cret@{proxy}"))
            .env("NO_PROXY", no_proxy)
            .arg("-vv")
            .fails(7)
    };
    // The proxy itself is named, which says nothing of the server.
    let error = run("127.0.0.1");
    let asked = told
        .recv_timeout(Duration::from_secs(5))
        .expect("the proxy is asked");
    assert!(asked.starts_with("CONNECT api.cluster.invalid:6443"), "{asked}");
    assert!(
        asked.to_ascii_lowercase().contains("proxy-authorization: basic"),
        "{asked}"
    );
    assert!(!error.contains("s3cret"), "{error}");
    while told.try_recv().is_ok() {}
    let error = run(".cluster.invalid");
    assert!(told.try_recv().is_err(), "the proxy is left out");
    assert!(!error.contains("s3cret"), "{error}");
    let wrong = on("plan", &config)
        .env("HTTPS_PROXY", "socks5://me:s3cret@proxy:1080")
        .fails(7);
    assert!(
        wrong.contains("HTTPS_PROXY") && !wrong.contains("s3cret"),
        "{wrong}"
    );
}
