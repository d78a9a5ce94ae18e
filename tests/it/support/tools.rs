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

/// A Kubernetes server binary: from `KUBEBUILDER_ASSETS` if that folder has the whole set and this one, else our own
/// build.
pub(crate) fn kubernetes_binary(name: &str) -> PathBuf {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let has = |dir: &PathBuf, name: &str| dir.join(name).is_file();
    match assets.filter(|dir| ["etcd", "kube-apiserver", name].iter().all(|name| has(dir, name))) {
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
