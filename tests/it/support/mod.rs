//! Real servers for the tests, all on loopback: a kube-apiserver with Karpenter's CRDs, an S3 server, Prometheus.
//!
//! Everything here blocks, so that a test is a plain `#[test]` around a run of the binary. Code that needs
//! more asks a server for its client and runs futures with [`block_on`]; not from within another runtime.

#![allow(dead_code, reason = "a toolbox: a tool that no test uses today stays")]

pub(crate) mod apiserver;
pub(crate) mod athena;
pub(crate) mod biller;
pub(crate) mod calendar;
mod command_lines;
pub(crate) mod cur;
pub(crate) mod data_exports;
pub(crate) mod faults;
pub(crate) mod faulty_s3;
pub(crate) mod karpenter;
pub(crate) mod kind;
mod kubernetes;
pub(crate) mod large;
mod ministack;
pub(crate) mod monitoring;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod recorded;
pub(crate) mod rewriter;
pub(crate) mod run;
pub(crate) mod s3;
pub(crate) mod sts;
pub(crate) mod supervised;
pub(crate) mod tls;
pub(crate) mod tools;

use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Runs a future to its end. One runtime serves all tests: clients keep their connections in it.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// Runs a future beside the tests.
pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) -> JoinHandle<()> {
    RUNTIME.spawn(future)
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a tokio runtime")
});

/// `N` different loopback ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until all are known: the kernel may hand out a released port again.
    let held: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port"));
    held.map(|listener| listener.local_addr().expect("the port of a listener").port())
}

/// Variables for a run of the binary: no AWS or proxy setting of the developer's machine gets through.
pub(crate) fn hermetic_env() -> Vec<(String, String)> {
    let proxies = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ];
    let files = ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"];
    let mut env: Vec<(String, String)> = proxies
        .iter()
        .map(|name| (name.to_string(), String::new()))
        .collect();
    env.extend(
        files
            .iter()
            .map(|name| (name.to_string(), "/dev/null".to_owned())),
    );
    env.push(("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()));
    env
}
