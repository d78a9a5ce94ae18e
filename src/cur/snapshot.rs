//! One consistent set of files for each billing period, although AWS may be rewriting them.
//!
//! AWS overwrites reports in place and promises nothing across objects, so a snapshot is taken (manifest, then the
//! files it names, each with its version), read with every read pinned to that version, and checked once more at
//! the end. Whatever moved in between means: start again.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::layout::{self, PeriodObjects, Report};
use super::manifest::Manifest;
use super::object::{Object, ReadError};
use super::parquet_file::damaged;
use super::period::BillingPeriod;
use super::store::Store;
use crate::warning::Warning;
use crate::{Error, Result};

/// Objects looked at again at the same time.
const CHECKS: usize = 8;

/// Which billing periods to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Periods {
    /// The newest one that has begun by `now`.
    Newest(DateTime<Utc>),
    /// These, both ends included, as far as they are there.
    Between(BillingPeriod, BillingPeriod),
    /// The same; if none is there, the newest one before, which then proves too old.
    History(BillingPeriod, BillingPeriod),
}

/// The files to read, as they stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The report's folder, or the file; empty at the root of the place.
    pub name: String,
    /// Billing periods found, ascending; empty for files that lie in no period's folder.
    pub periods: Vec<BillingPeriod>,
    /// Files with data, of all periods.
    pub files: Vec<Object>,
    /// Manifests that named them, and status files.
    guards: Vec<Object>,
    /// When AWS last delivered the newest period; `None` where that cannot be told.
    pub delivered: Option<DateTime<Utc>>,
    /// What should be known about how the files were found.
    pub warnings: Vec<Warning>,
}

impl Snapshot {
    /// Lists the report's place and chooses the files of the wanted periods.
    ///
    /// # Errors
    /// [`ReadError::Changed`] while AWS is rewriting the report; a report error when there is no report, more than
    /// one, or a file is missing.
    pub async fn take(store: &Store, place: &str, wanted: Periods) -> Result<Self, ReadError> {
        let objects = store.list().await?;
        if let Store::Local(local) = store
            && local.is_single_file()
        {
            return Ok(Self {
                name: String::new(),
                periods: Vec::new(),
                files: objects,
                guards: Vec::new(),
                delivered: None,
                warnings: Vec::new(),
            });
        }
        let (name, report) = choose(store, place, layout::reports(&objects)).await?;
        let mut snapshot = Self {
            name,
            periods: Vec::new(),
            files: Vec::new(),
            guards: report.status.clone(),
            delivered: None,
            warnings: Vec::new(),
        };
        snapshot.check_status(store).await?;
        if report.periods.is_empty() {
            snapshot.warnings.push(no_manifest(place));
            snapshot.delivered = newest(store, &report.loose);
            snapshot.files = report.loose;
            return Ok(snapshot);
        }
        for (period, found) in periods(&report, wanted) {
            snapshot.add_period(store, place, &objects, period, found).await?;
        }
        if snapshot.periods.is_empty() {
            let have: Vec<String> = report.periods.keys().map(ToString::to_string).collect();
            return Err(Error::report(format!(
                "{place}: the report has no billing period in the wanted time; it has {}",
                have.join(", ")
            ))
            .hint("check the clock (--now) and the window")
            .into());
        }
        Ok(snapshot)
    }

    /// Checks that nothing has moved since [`Snapshot::take`].
    ///
    /// # Errors
    /// [`ReadError::Changed`] if it has.
    pub async fn verify(&self, store: &Store) -> Result<(), ReadError> {
        stream::iter(self.guards.iter().chain(&self.files))
            .map(|object| async move {
                match store.head(&object.key).await? {
                    Some(now) if now.version == object.version => Ok(()),
                    _ => Err(ReadError::Changed(format!(
                        "{} was rewritten",
                        store.name(&object.key)
                    ))),
                }
            })
            .buffer_unordered(CHECKS)
            .try_collect::<()>()
            .await?;
        self.check_status(store).await
    }

    async fn add_period(
        &mut self,
        store: &Store,
        place: &str,
        objects: &[Object],
        period: BillingPeriod,
        found: &PeriodObjects,
    ) -> Result<(), ReadError> {
        self.periods.push(period);
        let Some(manifest) = found.manifest() else {
            let files = found.newest_data();
            if !self.warnings.iter().any(|w| w.code == "no-manifest") {
                self.warnings.push(no_manifest(place));
            }
            self.delivered = newest(store, &files);
            self.files.extend(files);
            return Ok(());
        };
        let name = store.name(&manifest.key);
        let entries = Manifest::parse(&name, &store.read(manifest).await?)?.files;
        for entry in &entries {
            let Some(file) = layout::resolve(entry, objects) else {
                return Err(missing(store, &name, entry).await);
            };
            // Data Exports deliver the manifest last, so a younger file belongs to a refresh still under way.
            if store.is_s3() && found.is_export && file.modified > manifest.modified {
                let file = store.name(&file.key);
                return Err(ReadError::Changed(format!(
                    "{file} is newer than its manifest: AWS is delivering a refresh"
                )));
            }
            // A manifest that names a file twice must not make it count twice.
            if !self.files.contains(file) {
                self.files.push(file.clone());
            }
        }
        self.delivered = store.is_s3().then_some(manifest.modified);
        self.guards.push(manifest.clone());
        Ok(())
    }

    async fn check_status(&self, store: &Store) -> Result<(), ReadError> {
        for object in self.guards.iter().filter(|guard| guard.key.ends_with(".parquet")) {
            let name = store.name(&object.key);
            for status in statuses(&name, store.read(object).await?)? {
                if status != "READY" {
                    return Err(ReadError::Changed(format!(
                        "{name} says {status}: AWS is rewriting the report"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The one report at this place.
async fn choose(
    store: &Store,
    place: &str,
    mut reports: std::collections::BTreeMap<String, Report>,
) -> Result<(String, Report), ReadError> {
    let all = layout::names(&reports);
    let mut unusable = Vec::new();
    for name in reports.keys().cloned().collect::<Vec<_>>() {
        // A report of CSV files is told by its manifest.
        let manifest = reports[&name]
            .periods
            .values()
            .next_back()
            .and_then(PeriodObjects::manifest)
            .cloned();
        if let Some(manifest) = manifest
            && reports.len() > unusable.len()
            && !Manifest::parse(&store.name(&manifest.key), &store.read(&manifest).await?)?.is_parquet()
        {
            reports.remove(&name);
            unusable.push(name);
        }
    }
    if reports.len() > 1 {
        return Err(Error::report(format!(
            "{place}: several reports lie here: {}",
            layout::names(&reports)
        ))
        .hint("they tell the same costs more than once: point --cur at the folder of one of them")
        .into());
    }
    reports.into_iter().next().ok_or_else(|| {
        let message = match all.as_str() {
            "" => format!("{place}: no Cost and Usage Report in parquet form lies here"),
            csv => format!("{place}: the report {csv} is delivered as CSV"),
        };
        Error::report(message)
            .hint("create a CUR 2.0 export (hourly, parquet, with resource IDs) and point --cur at its bucket and prefix")
            .into()
    })
}

fn periods(report: &Report, wanted: Periods) -> Vec<(BillingPeriod, &PeriodObjects)> {
    let newest = |last: BillingPeriod| {
        report
            .periods
            .range(..=last)
            .next_back()
            .map(|(period, found)| (*period, found))
    };
    let between = |first, last| {
        report
            .periods
            .range(first..=last)
            .map(|(period, found)| (*period, found))
            .collect()
    };
    match wanted {
        Periods::Newest(now) => newest(BillingPeriod::of(now)).into_iter().collect(),
        Periods::Between(first, last) => between(first, last),
        Periods::History(first, last) => {
            let found: Vec<_> = between(first, last);
            if found.is_empty() {
                newest(last).into_iter().collect()
            } else {
                found
            }
        }
    }
}

/// A file that the manifest names was not listed: gone for good, or delivered since the listing?
async fn missing(store: &Store, manifest: &str, entry: &str) -> ReadError {
    let key = entry
        .strip_prefix("s3://")
        .and_then(|rest| rest.split_once('/'))
        .map_or(entry, |(_, key)| key);
    if store.is_s3() && matches!(store.head(key).await, Ok(Some(_))) {
        return ReadError::Changed(format!("{} has just been delivered", store.name(key)));
    }
    Error::report(format!("{manifest} names a missing file: {entry}"))
        .hint("a lifecycle rule may have removed it, or a copy is incomplete: copy the period again, or wait for the next delivery")
        .into()
}

fn newest(store: &Store, files: &[Object]) -> Option<DateTime<Utc>> {
    // A directory's times tell when it was copied, not when AWS wrote.
    store
        .is_s3()
        .then(|| files.iter().map(|file| file.modified).max())
        .flatten()
}

fn no_manifest(place: &str) -> Warning {
    Warning::new(
        "no-manifest",
        format!(
            "{place}: no manifest says which files belong together, so every parquet file there is read; copy the report with its manifest"
        ),
    )
}

fn statuses(name: &str, bytes: bytes::Bytes) -> Result<Vec<String>> {
    let unreadable = |e: &dyn std::fmt::Display| damaged(name, e);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| unreadable(&e))?;
    let mut found = Vec::new();
    for batch in reader.build().map_err(|e| unreadable(&e))? {
        let batch = batch.map_err(|e| unreadable(&e))?;
        let column = batch
            .column_by_name("status")
            .ok_or_else(|| unreadable(&"it has no column status"))?;
        let column = cast(column, &DataType::Utf8).map_err(|e| unreadable(&e))?;
        found.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(found)
}
