//! What hostile bytes meet. Each target takes any bytes and panics only where Brimful is wrong: by a panic of its own, by
//! an error that does not name the file, or by what does not come back as it was written.
//!
//! The fuzzer (`cargo fuzz run report`) and `tests/it/hostile.rs`, on stable, share them.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use brimful::config::Config;
use brimful_cur::columns::Detail;
use brimful_cur::ledger_builder::LedgerBuilder;
use brimful_cur::manifest::Manifest;
use brimful_cur::object::ReadError;
use brimful_cur::scan::Scan;
use brimful_cur::store::{LocalStore, ObjectStore};
use brimful_cur::symbols::Symbols;
use brimful_policy::peers::Demand;
use brimful_policy::state::State;
use brimful_savings_plans::ledger::Ledger;
use tokio::runtime::{Builder, Runtime};

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("report", report),
    ("manifest", manifest),
    ("node_pools", node_pools),
    ("config", config),
    ("state", state),
    ("demand", demand),
];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime")
});

/// A parquet file of a report, page by page and decoded whole: a ledger, or an error that names it. (The property that
/// sound files give the same both ways is in `src/cur/pages/tests.rs`.)
pub fn report(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("a.snappy.parquet"), bytes).expect("a file");
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::new(dir.path()).expect("a directory"));
    let [paged, plain] = [true, false].map(|paged| scan(&store, paged));
    for error in [&paged, &plain]
        .into_iter()
        .filter_map(|outcome| outcome.as_ref().err())
    {
        assert!(
            error.contains("a.snappy.parquet"),
            "an error without the file: {error}"
        );
    }
    assert!(
        paged.is_ok() || plain.is_err(),
        "only the page scan fails: {paged:?}"
    );
}

fn scan(store: &Arc<dyn ObjectStore>, paged: bool) -> Result<Ledger, String> {
    let symbols = Arc::new(Symbols::default());
    let outcome = RUNTIME.block_on(async {
        let object = store.head("a.snappy.parquet").await.ok().flatten();
        let scan = Scan {
            store,
            files: &[object.expect("it was just written")],
            window: None,
            filter: paged.then_some(LedgerBuilder::FILTER),
            wanted: Detail::Usage.wanted(),
            threads: 1,
            symbols: &symbols,
            progress: &|_, _| {},
            stop: &AtomicBool::new(false),
        };
        let (builder, _) =
            LedgerBuilder::scan(&scan, || LedgerBuilder::new(&symbols, None, Detail::Usage)).await?;
        Ok(builder.finish()?)
    });
    outcome.map_err(|error: ReadError| format!("{error:?}"))
}

/// A manifest of either sort.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse("manifest.json", bytes) {
        let _ = manifest.is_parquet();
    }
}

/// A file of `--nodepools`, and of `--nodes`.
pub fn node_pools(bytes: &[u8]) {
    in_file(bytes, "pools.yaml", |path| {
        let _ = brimful_karpenter::manifest::node_pools(path);
        let _ = brimful_karpenter::manifest::nodes(path);
    });
}

/// A configuration file.
pub fn config(bytes: &[u8]) {
    in_file(bytes, "config.yaml", |path| {
        let _ = Config::load(path);
    });
}

fn in_file(bytes: &[u8], name: &str, read: impl FnOnce(&std::path::Path)) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("a file");
    read(&path);
}

/// What an earlier run has kept in the cluster, which others may have edited.
pub fn state(bytes: &[u8]) {
    if let Ok(state) = State::parse("state", &String::from_utf8_lossy(bytes)) {
        let again = State::parse("state", &state.to_text()).expect("what was written is read");
        assert_eq!(again, state);
    }
}

/// What other clusters have put below `coordination.uri`.
pub fn demand(bytes: &[u8]) {
    if let Ok(demand) = Demand::parse(&String::from_utf8_lossy(bytes), "a") {
        assert!(
            Demand::parse(&demand.to_text(), "a").is_ok(),
            "what was written is read"
        );
    }
}
