//! A part of a report, counted file by file: what has not changed since the last run is not read again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};

use super::super::{ReadOptions, Request, Totals, scan};
use crate::ledger_builder::LedgerBuilder;
use crate::ledger_builder::partial::Partial;
use crate::ledger_cache::{File, Kept, KeptFiles, Summary};
use crate::object::{Object, ReadError};
use crate::snapshot::Part;
use crate::store::ObjectStore;
use crate::symbols::Symbols;
use brimful_types::Error;
use brimful_types::hour::Hour;

/// What was counted of a part.
pub(super) struct Counted {
    pub(super) summary: Summary,
    pub(super) ledger: Partial,
    /// What was counted of its files, and where to keep it, if anywhere.
    pub(super) files: Option<(KeptFiles, Vec<File>)>,
}

/// Counts a part, all hours from `from` on; puts down which files were `read` for it.
pub(super) async fn count(
    store: &Arc<dyn ObjectStore>,
    request: &Request<'_>,
    part: &Part,
    from: Option<Hour>,
    kept: &mut Kept<'_>,
    read: &mut Vec<Object>,
) -> Result<Counted, ReadError> {
    let keep = from.map(|from| from..Hour::LAST);
    let Some(mut place) = kept.files(part).await else {
        read.extend(part.files.iter().cloned());
        let (builder, summary) = scan(store, request, &part.files, keep).await?;
        return Ok(Counted {
            summary: Summary::from(&summary),
            ledger: builder.into_partial()?,
            files: None,
        });
    };
    let mut builder = LedgerBuilder::new(&Arc::new(Symbols::default()), keep, request.options.detail)
        .for_cluster(request.options.own);
    let (mut totals, mut files) = (Totals::default(), Vec::new());
    for object in &part.files {
        if let Some(file) = place.take(object, from) {
            let damaged = || Error::unexpected("a kept part of the ledger cannot be unpacked");
            let (summary, ledger) = file.read().ok_or_else(damaged)?;
            totals.add(summary, &store.name(&object.key))?;
            builder.absorb(ledger)?;
            files.push(file);
        }
    }
    let is_known = |object: &&Object| !files.iter().any(|file: &File| file.is_of(object, from));
    let new: Vec<&Object> = part.files.iter().filter(is_known).collect();
    read.extend(new.iter().map(|object| (*object).clone()));
    let progress = Mutex::default();
    let mut scans = stream::iter(new.into_iter().enumerate())
        .map(|(number, object)| one(store, request, object, from, (&progress, number)))
        .buffer_unordered(request.options.threads.max(1));
    while let Some((name, summary, ledger, file)) = scans.try_next().await? {
        totals.add(&summary, &name)?;
        builder.absorb(ledger)?;
        files.extend(file);
    }
    drop(scans);
    Ok(Counted {
        summary: totals.into(),
        ledger: builder.into_partial()?,
        files: Some((place, files)),
    })
}

/// Rows done and to do of each file under way.
type Progress = Mutex<BTreeMap<usize, (u64, u64)>>;

/// Counts one file, in one thread: others are counted at the same time.
async fn one(
    store: &Arc<dyn ObjectStore>,
    request: &Request<'_>,
    object: &Object,
    from: Option<Hour>,
    (progress, number): (&Progress, usize),
) -> Result<(String, Summary, Partial, Option<File>), ReadError> {
    let report = |done, rows| {
        let mut files = progress.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(number, (done, rows));
        let sum = |of: fn(&(u64, u64)) -> u64| -> u64 { files.values().map(of).sum() };
        (request.options.progress)(sum(|file| file.0), sum(|file| file.1));
    };
    let request = Request {
        options: ReadOptions {
            threads: 1,
            progress: &report,
            ..request.options
        },
        window: request.window.clone(),
        ..*request
    };
    let keep = from.map(|from| from..Hour::LAST);
    let (builder, summary) = scan(store, &request, std::slice::from_ref(object), keep).await?;
    let (summary, ledger) = (Summary::from(&summary), builder.into_partial()?);
    let file = File::new(object, from, summary.clone(), &ledger);
    Ok((store.name(&object.key), summary, ledger, file))
}
