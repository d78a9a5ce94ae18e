//! A ledger from what is in the cache, and from a scan of what is not.

use std::sync::Arc;

use super::{Request, Totals, verified};
use crate::ledger_builder::LedgerBuilder;
use crate::ledger_cache::Kept;
use crate::object::{Object, ReadError};
use crate::snapshot::Snapshot;
use crate::store::ObjectStore;
use crate::symbols::Symbols;

/// Counts a snapshot part by part. `None` when the window ends before rates that the parts have learned: only a scan
/// of everything shows those of that time, which is one that the report has left behind.
pub(super) async fn count(
    store: &Arc<dyn ObjectStore>,
    request: &Request<'_>,
    snapshot: &Snapshot,
    kept: &mut Kept<'_>,
) -> Result<Option<(LedgerBuilder, Totals)>, ReadError> {
    let symbols = Arc::new(Symbols::default());
    let mut builder = LedgerBuilder::new(&symbols, request.window.clone(), request.options.detail);
    let mut totals = Totals::default();
    let from = request.window.as_ref().map(|window| window.start);
    let mut in_window = true;
    let mut read: Vec<Object> = Vec::new();
    let mut packed = Vec::new();
    let mut outcome = Ok(());
    for part in &snapshot.parts {
        let name = part
            .files
            .first()
            .map_or_else(String::new, |file| store.name(&file.key));
        if let Some((summary, ledger)) = kept.take(part, from) {
            tracing::debug!("{name}: taken from the cache");
            totals.add(&summary, &name)?;
            in_window &= builder.absorb(ledger)?;
            continue;
        }
        outcome = async {
            let counted = files::count(store, request, part, from, kept, &mut read).await?;
            totals.add(&counted.summary, &name)?;
            let bytes = kept.pack(part, from, counted.summary, &counted.ledger);
            packed.push((part, bytes, counted.files));
            in_window &= builder.absorb(counted.ledger)?;
            Ok(())
        }
        .await;
        if outcome.is_err() {
            break;
        }
    }
    // What lies in the cache was verified when it was counted, and has just been listed as it was then.
    if !read.is_empty() || outcome.is_err() {
        verified(store.as_ref(), snapshot, &read, outcome).await?;
    }
    for (part, bytes, files) in packed {
        if let Some(bytes) = bytes {
            kept.put(part, bytes).await;
        }
        if let Some((place, files)) = files {
            kept.put_files(place, files).await;
        }
    }
    Ok(in_window.then_some((builder, totals)))
}

mod files;
