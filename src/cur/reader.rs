//! Reads a report into a ledger: snapshot, scan, check, and again from the start while AWS is rewriting it.

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::columns::{Detail, Format};
use super::location::Location;
use super::object::ReadError;
use super::period::BillingPeriod;
use super::s3::{AwsAccess, S3Store};
use super::scan::{Progress, Scan, ScanSummary};
use super::snapshot::{Periods, Snapshot};
use super::store::{LocalStore, Store};
use super::symbols::Symbols;
use crate::commitment::ledger::Ledger;
use crate::commitment::ledger_builder::LedgerBuilder;
use crate::hour::Hour;
use crate::warning::Warning;
use crate::{Error, Result};

/// Waits between tries while the report is being rewritten. AWS takes minutes; the next run is ten minutes away.
const WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// What to read.
pub struct Request<'a> {
    /// Where the report lies.
    pub location: &'a Location,
    /// How to reach AWS.
    pub access: &'a AwsAccess,
    /// Which billing periods.
    pub periods: Periods,
    /// Which hours to keep; all when `None`.
    pub window: Option<Range<Hour>>,
    /// How much is wanted.
    pub detail: Detail,
    /// Worker threads.
    pub threads: usize,
    /// Told about progress.
    pub progress: &'a Progress<'a>,
    /// Set from outside to stop reading.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("location", self.location)
            .finish_non_exhaustive()
    }
}

/// A report, read.
#[derive(Debug, Clone)]
pub struct ReportData {
    /// The report's folder; empty for a single file, and for a place that is the folder.
    pub name: String,
    /// What it says, added up.
    pub ledger: Ledger,
    /// Its format; `None` when it holds no rows.
    pub format: Option<Format>,
    /// The billing periods read, ascending.
    pub periods: Vec<BillingPeriod>,
    /// Files read.
    pub files: usize,
    /// Their rows, skipped or not.
    pub rows: u64,
    /// Bytes read of them.
    pub bytes: u64,
    /// When AWS delivered the newest period, where that can be told.
    pub delivered: Option<DateTime<Utc>>,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

impl ReportData {
    /// How far the report can be trusted to reach: the newest real usage, at most `now` and the time of delivery.
    #[must_use]
    pub fn horizon(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.ledger
            .horizon(self.delivered.map_or(now, |delivered| delivered.min(now)))
    }
}

/// Reads the report once, from one consistent set of files.
///
/// # Errors
/// Frozen when AWS keeps rewriting it; otherwise what is wrong with it, or what AWS refused.
pub async fn read(request: &Request<'_>) -> Result<ReportData> {
    let store = Arc::new(open(request.location, request.access).await?);
    let mut last = String::new();
    for wait in WAITS.iter().map(Some).chain([None]) {
        match attempt(&store, request).await {
            Ok(data) => return Ok(data),
            Err(ReadError::Failed(error)) => return Err(error),
            Err(ReadError::Changed(what)) => {
                tracing::info!("{what}; reading the report again");
                last = what;
            }
        }
        if let Some(wait) = wait {
            tokio::time::sleep(*wait).await;
        }
    }
    Err(Error::frozen(format!(
        "{}: the report keeps changing while it is read: {last}",
        request.location
    ))
    .hint("nothing was changed; the next run reads it again"))
}

/// The place of a report.
///
/// # Errors
/// It cannot be reached, or AWS refused to list it.
pub(crate) async fn open(location: &Location, access: &AwsAccess) -> Result<Store> {
    Ok(match location {
        Location::Path(path) => Store::Local(LocalStore::new(path)?),
        Location::S3 { bucket, prefix } => Store::S3(S3Store::connect(access, bucket, prefix).await?),
    })
}

async fn attempt(store: &Arc<Store>, request: &Request<'_>) -> Result<ReportData, ReadError> {
    let place = request.location.to_string();
    let snapshot = Snapshot::take(store, &place, request.periods).await?;
    let symbols = Symbols::default();
    let builder = Mutex::new(LedgerBuilder::new(
        &symbols,
        request.window.clone(),
        request.detail,
    ));
    let scan = Scan {
        store,
        files: &snapshot.files,
        window: request.window.clone(),
        detail: request.detail,
        threads: request.threads,
        symbols: &symbols,
        progress: request.progress,
        stop: request.stop,
    };
    let scanned = scan
        .run(&|items| builder.lock().unwrap_or_else(PoisonError::into_inner).add(items))
        .await;
    // A file overwritten in place while it is read looks damaged: first ask whether it still is the listed one.
    let summary = match (scanned, snapshot.verify(store).await) {
        (Ok(summary), verified) => verified.map(|()| summary)?,
        (Err(_), Err(changed @ ReadError::Changed(_))) => return Err(changed),
        (Err(error), _) => return Err(error),
    };
    let ledger = builder
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .finish();
    let mut warnings = snapshot.warnings;
    warnings.extend(warnings_of(&place, &summary, &ledger));
    Ok(ReportData {
        name: snapshot.name,
        ledger,
        format: summary.format,
        periods: snapshot.periods,
        files: snapshot.files.len(),
        rows: summary.rows,
        bytes: summary.bytes,
        delivered: snapshot.delivered,
        warnings,
    })
}

fn warnings_of(place: &str, summary: &ScanSummary, ledger: &Ledger) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if !summary.missing.is_empty() {
        let columns = summary.missing.join(", ");
        let message = format!(
            "{place}: the report lacks {columns}: use is shown, but cannot be checked or acted upon; add them to the export"
        );
        warnings.push(Warning::new("missing-columns", message));
    }
    if ledger.unreadable_rows > 0 {
        let message = format!(
            "{place}: {} rows hold something that is not a number or time; the hours they belong to are not used",
            ledger.unreadable_rows
        );
        warnings.push(Warning::new("unreadable-rows", message));
    }
    warnings
}
