//! Where `make test-tools` put what the tests run (`tests/tools/setup.sh`).

use std::path::{Path, PathBuf};

/// `.tools` at the repository's root.
pub(crate) fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools")
}

/// A file or folder of `.tools`, such as `crds` or `venv/bin/weed`.
///
/// # Panics
/// When it isn't there; the message says how to get it.
pub(crate) fn path(relative: &str) -> PathBuf {
    existing(dir().join(relative))
}

/// The Python with duckdb, pyarrow, numpy and ministack.
pub(crate) fn python() -> PathBuf {
    path("venv/bin/python")
}

/// Kubernetes' servers that must be of one version when they work together.
pub(crate) type Set = &'static [&'static str];

/// What an API server alone needs.
pub(crate) const API: Set = &["etcd", "kube-apiserver"];

/// With a scheduler: on an older API server, one of a newer version waits for resources that are not served.
pub(crate) const WITH_SCHEDULER: Set = &["etcd", "kube-apiserver", "kube-scheduler"];

/// A Kubernetes server binary: from `KUBEBUILDER_ASSETS` if that folder has the whole set, else our own build.
pub(crate) fn kubernetes_binary(name: &str, set: Set) -> PathBuf {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    match assets.filter(|dir| set.iter().all(|name| dir.join(name).is_file())) {
        Some(dir) => existing(dir.join(name)),
        None => path(&format!("bin/{name}")),
    }
}

/// A file under `tests/tools`.
pub(crate) fn source(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tools")
        .join(relative)
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `make test-tools`",
        path.display()
    );
    path
}
