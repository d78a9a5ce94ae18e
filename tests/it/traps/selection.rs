//! What the scan leaves unread counts for nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use brimful_cur::columns::Detail;
use brimful_cur::ledger_builder::LedgerBuilder;
use brimful_cur::object::Object;
use brimful_cur::scan::Scan;
use brimful_cur::store::{LocalStore, ObjectStore};
use brimful_cur::symbols::Symbols;
use brimful_savings_plans::ledger::{Ledger, Series};
use brimful_types::hour::Hour;
use brimful_types::money::Money;

use crate::support::block_on;

/// The ledger of all data files of a report, one delivery or many.
fn ledger(folder: &str, detail: Detail, is_filtered: bool) -> Ledger {
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::new(Path::new(folder)).unwrap());
    block_on(async {
        let files = store.list().await.unwrap().into_iter();
        let is_data = |file: &Object| file.key.ends_with(".parquet") && !file.key.contains("status");
        let files: Vec<Object> = files.filter(is_data).collect();
        let symbols = Arc::new(Symbols::default());
        let scan = Scan {
            store: &store,
            files: &files,
            window: None,
            filter: is_filtered.then_some(LedgerBuilder::FILTER),
            wanted: detail.wanted(),
            threads: 2,
            symbols: &symbols,
            progress: &|_, _| {},
            stop: &AtomicBool::new(false),
        };
        let new = || LedgerBuilder::new(&symbols, None, detail);
        let (builder, _) = LedgerBuilder::scan(&scan, new).await.unwrap();
        builder.finish().unwrap()
    })
}

#[test]
fn rows_that_are_not_read_would_have_made_no_difference() {
    for folder in ["fixtures/cur/legacy", "fixtures/cur/cur2"] {
        for detail in [Detail::Plans, Detail::Usage, Detail::Accounts] {
            let filtered = ledger(folder, detail, true);
            assert!(!filtered.cells.is_empty() && !filtered.plans.is_empty());
            assert_eq!(filtered, ledger(folder, detail, false), "{folder} {detail:?}");
        }
    }
}

#[test]
fn usage_without_tags_is_added_up_over_accounts_and_loses_nothing() {
    type Sums = BTreeMap<(Series, Hour), (i64, Money)>;
    for folder in ["fixtures/cur/legacy", "fixtures/cur/cur2"] {
        let sums = |detail| {
            let ledger = ledger(folder, detail, true);
            let mut sums = Sums::new();
            let cells = ledger
                .usage()
                .flat_map(|(series, cells)| cells.iter().map(move |cell| (series, cell)));
            for (series, cell) in cells {
                let mut series = series.clone();
                if series.cluster.is_empty() && series.node_pool.is_empty() {
                    series.account = "".into();
                }
                let (amount, cost) = sums.entry((series, cell.hour)).or_default();
                *amount += cell.amount.nanos();
                *cost += cell.cost();
            }
            (sums, ledger)
        };
        let ((usage, ledger), (accounts, _)) = (sums(Detail::Usage), sums(Detail::Accounts));
        assert_eq!(usage, accounts, "{folder}");
        assert_eq!(usage.len(), ledger.cells.concat().len(), "each is one cell");
        let tagged = ledger.series.iter().filter(|series| !series.cluster.is_empty());
        assert!(tagged.clone().count() > 0 && tagged.clone().all(|series| !series.account.is_empty()));
    }
}
