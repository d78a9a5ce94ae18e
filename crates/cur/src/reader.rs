//! Reads a report into a ledger: snapshot, scan, check, and again from the start while AWS is rewriting it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::columns::{Detail, Format, Own};
use super::ledger_cache::{Kept, LedgerCache, Summary};
use super::location::Location;
use super::object::{Object, ReadError};
use super::period::BillingPeriod;
use super::scan::{Progress, Scan, ScanSummary, two_formats};
use super::snapshot::{Listing, Manifests, Periods, Snapshot};
use super::store::ObjectStore;
use super::symbols::Symbols;
use crate::ledger_builder::LedgerBuilder;
use brimful_savings_plans::ledger::Ledger;
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, Result};

mod cached;

/// Waits between tries while the report is being rewritten. AWS takes minutes; the next run is ten minutes away.
const WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Which report to read, and how, whatever part of it.
#[derive(Clone, Copy)]
pub struct ReadOptions<'a> {
    /// Where the report lies.
    pub location: &'a Location,
    /// What was counted of it before, if it is kept anywhere.
    pub cache: Option<&'a LedgerCache>,
    /// How much is wanted; decisions need it all.
    pub detail: Detail,
    /// Whom decisions are about.
    pub own: Own<'a>,
    /// Worker threads.
    pub threads: usize,
    /// Called with bytes read and bytes to read.
    pub progress: &'a Progress<'a>,
    /// Set from outside to stop reading.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadOptions")
            .field("location", self.location)
            .finish_non_exhaustive()
    }
}

/// What to read of a report.
#[derive(Debug)]
pub struct Request<'a> {
    /// Which report, and how.
    pub options: ReadOptions<'a>,
    /// Which billing periods.
    pub periods: Periods,
    /// Which hours to keep; all when `None`.
    pub window: Option<Range<Hour>>,
    /// True when the window's end is a time of somebody's choice and not `now`: later rows are skipped then where that
    /// is possible, and nothing is kept for the next run.
    pub ends_early: bool,
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
    /// Bytes read of them, in this run or when what is in the cache was counted.
    pub bytes: u64,
    /// What AWS asks for scanning them, by an estimate, where it does.
    pub scan_cost: Option<Money>,
    /// When AWS delivered the newest period, where that is known.
    pub delivered: Option<DateTime<Utc>>,
    /// Columns that decisions need and some file lacks, sorted.
    pub missing: Vec<String>,
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

/// Reads the report once, from one consistent set of its files in `store`.
///
/// # Errors
/// Frozen when AWS keeps rewriting it; otherwise what is wrong with it, or what AWS refused.
pub async fn read(store: &Arc<dyn ObjectStore>, request: &Request<'_>) -> Result<ReportData> {
    let mut last = String::new();
    for wait in WAITS.iter().map(Some).chain([None]) {
        match attempt(store, request).await {
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
        request.options.location
    ))
    .hint("nothing was changed; the next run reads it again"))
}

async fn attempt(store: &Arc<dyn ObjectStore>, request: &Request<'_>) -> Result<ReportData, ReadError> {
    let place = request.options.location.to_string();
    let listing = Listing::of(store.as_ref()).await?;
    let mut manifests = Manifests::default();
    let mut kept = kept(store.as_ref(), request, &listing).await;
    // A directory's manifest is read again: its time and size are all that shows its version.
    if let Some(kept) = kept.as_ref().filter(|_| store.is_remote()) {
        kept.fill(&mut manifests);
    }
    let snapshot = Snapshot::take(store.as_ref(), &place, listing, request.periods, &mut manifests).await?;
    let counted = match &mut kept {
        Some(kept) => cached::count(store, request, &snapshot, kept).await?,
        None => None,
    };
    let (builder, totals) = match counted {
        Some(counted) => counted,
        None => count(store, request, &snapshot).await?,
    };
    let ledger = builder.finish()?;
    check_times(&place, totals.format, &ledger)?;
    let mut warnings = Vec::from_iter(unreadable(&place, &ledger));
    warnings.extend(kept.map(Kept::into_warnings).unwrap_or_default());
    warnings.extend(snapshot.warnings.iter().cloned());
    Ok(ReportData {
        ledger,
        format: totals.format,
        periods: snapshot.periods().collect(),
        files: snapshot.files().count(),
        rows: totals.rows,
        bytes: totals.bytes,
        scan_cost: None,
        delivered: snapshot.delivered,
        missing: totals.missing.into_iter().collect(),
        warnings,
        name: snapshot.name,
    })
}

/// What the cache holds of the report, if there is a cache and one report.
async fn kept<'a>(store: &dyn ObjectStore, request: &Request<'a>, listing: &Listing) -> Option<Kept<'a>> {
    let cache = request.options.cache.filter(|_| !request.ends_early)?;
    let (name, periods) = listing.only(store, request.periods)?;
    let report = (store.root(), name.to_owned());
    Some(
        cache
            .look_up(report, (request.options.detail, request.options.own), &periods)
            .await,
    )
}

/// Counts all files of a snapshot.
async fn count(
    store: &Arc<dyn ObjectStore>,
    request: &Request<'_>,
    snapshot: &Snapshot,
) -> Result<(LedgerBuilder, Totals), ReadError> {
    let files: Vec<Object> = snapshot.files().cloned().collect();
    let scanned = scan(store, request, &files, request.window.clone()).await;
    let (builder, summary) = verified(store.as_ref(), snapshot, &files, scanned).await?;
    let mut totals = Totals::default();
    totals.add(&Summary::from(&summary), "")?;
    Ok((builder, totals))
}

/// Counts some files: those hours of them that are to be kept.
async fn scan(
    store: &Arc<dyn ObjectStore>,
    request: &Request<'_>,
    files: &[Object],
    keep: Option<Range<Hour>>,
) -> Result<(LedgerBuilder, ScanSummary), ReadError> {
    let window = request.window.clone().map(|window| Range {
        // What begins later describes plans, too.
        end: if request.ends_early {
            window.end
        } else {
            Hour::LAST
        },
        ..window
    });
    let symbols = Arc::new(Symbols::default());
    let scan = Scan {
        store,
        files,
        window,
        filter: Some(LedgerBuilder::FILTER),
        wanted: request.options.detail.wanted(),
        threads: request.options.threads,
        symbols: &symbols,
        progress: request.options.progress,
        stop: request.options.stop,
    };
    let new = || {
        LedgerBuilder::new(&symbols, keep.clone(), request.options.detail).for_cluster(request.options.own)
    };
    LedgerBuilder::scan(&scan, new).await
}

/// What was made of some files, if they still are those that were listed. A file overwritten in place while it is
/// read looks damaged, so that is asked first.
async fn verified<T>(
    store: &dyn ObjectStore,
    snapshot: &Snapshot,
    files: &[Object],
    outcome: Result<T, ReadError>,
) -> Result<T, ReadError> {
    match (outcome, snapshot.verify(store, files).await) {
        (Ok(made), verified) => verified.map(|()| made),
        (Err(_), Err(changed @ ReadError::Changed(_))) => Err(changed),
        (Err(error), _) => Err(error),
    }
}

/// What the scans of a report's parts found beside the ledger.
#[derive(Debug, Default)]
struct Totals {
    format: Option<Format>,
    rows: u64,
    bytes: u64,
    missing: BTreeSet<String>,
}

impl Totals {
    /// Adds a part, one of whose files has that name.
    fn add(&mut self, summary: &Summary, name: &str) -> Result<()> {
        if let (Some(one), Some(other)) = (self.format, summary.format)
            && one != other
        {
            return Err(two_formats(name, one, other));
        }
        self.format = self.format.or(summary.format);
        self.rows += summary.rows;
        self.bytes += summary.bytes;
        self.missing.extend(summary.missing.iter().cloned());
        Ok(())
    }
}

impl From<Totals> for Summary {
    fn from(totals: Totals) -> Self {
        Self {
            format: totals.format,
            rows: totals.rows,
            bytes: totals.bytes,
            missing: totals.missing.into_iter().collect(),
        }
    }
}

/// Refuses a report of which no row can be put into an hour: it would look like one without plans.
pub(super) fn check_times(place: &str, format: Option<Format>, ledger: &Ledger) -> Result<()> {
    if !ledger.has_no_times {
        return Ok(());
    }
    let columns = match format {
        Some(Format::Focus) => "ChargePeriodStart and ChargePeriodEnd",
        _ => "line_item_usage_start_date and line_item_usage_end_date",
    };
    Err(Error::report(format!(
        "{place}: none of the times in {columns} can be read ({} rows)",
        ledger.unreadable_rows
    ))
    .hint("write them as AWS does: timestamps, or text such as 2026-11-21T08:00:00Z"))
}

/// That the report holds what cannot be read, if so.
pub(super) fn unreadable(place: &str, ledger: &Ledger) -> Option<Warning> {
    let message = format!(
        "{place}: {} rows hold something that is not a number or time; the hours they belong to are not used",
        ledger.unreadable_rows
    );
    (ledger.unreadable_rows > 0).then(|| Warning::new(WarningCode::UnreadableRows, message))
}
