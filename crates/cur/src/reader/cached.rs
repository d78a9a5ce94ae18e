//! A ledger from what is in the cache, and from a scan of what is not.

use std::sync::Arc;

use super::{Request, Totals, scan, verified};
use crate::ledger_builder::LedgerBuilder;
use crate::ledger_cache::{Kept, Summary};
use crate::object::{Object, ReadError};
use crate::snapshot::{Part, Snapshot};
use crate::store::ObjectStore;
use crate::symbols::Symbols;
use brimful_types::hour::Hour;

/// Counts a snapshot part by part. `None` when the window ends before rates that the parts have learned: only a scan
/// of everything tells those of that time, which is one that the report has left behind.
pub(super) async fn count(
    store: &Arc<dyn ObjectStore>,
    request: &Request<'_>,
    snapshot: &Snapshot,
    kept: &mut Kept<'_>,
) -> Result<Option<(LedgerBuilder, Totals)>, ReadError> {
    let symbols = Arc::new(Symbols::default());
    let mut builder = LedgerBuilder::new(&symbols, request.window.clone(), request.detail);
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
        if let Some((summary, ledger)) = kept.find(part, from) {
            tracing::debug!("{name}: taken from the cache");
            totals.add(summary, &name)?;
            in_window &= builder.absorb(ledger)?;
            continue;
        }
        read.extend(part.files.iter().cloned());
        outcome = async {
            let (summary, ledger) = fresh(store, request, part, from).await?;
            totals.add(&summary, &name)?;
            let (bytes, ledger) = kept.pack(part, from, summary, ledger);
            packed.extend(bytes.map(|bytes| (part, bytes)));
            in_window &= builder.absorb(&ledger)?;
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
    for (part, bytes) in packed {
        kept.put(part, bytes).await;
    }
    Ok(in_window.then_some((builder, totals)))
}

/// Counts a part, all hours from `from` on.
async fn fresh(
    store: &Arc<dyn ObjectStore>,
    request: &Request<'_>,
    part: &Part,
    from: Option<Hour>,
) -> Result<(Summary, crate::ledger_builder::partial::Partial), ReadError> {
    let keep = from.map(|from| from..Hour::LAST);
    let (builder, summary) = scan(store, request, &part.files, keep).await?;
    Ok((Summary::from(&summary), builder.into_partial()?))
}
