//! One consistent set of files for each billing period, although AWS may be rewriting them.
//!
//! AWS overwrites reports in place and promises nothing across objects, so a snapshot is taken (manifest, then the
//! files it names, each with its version), read with every read pinned to that version, and checked once more at
//! the end. Whatever moved in between means: start again.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_cast::cast;
use arrow_schema::DataType;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::layout::{self, PeriodObjects, Report};
use super::object::{Object, ReadError};
use super::parquet_file::damaged;
use super::period::BillingPeriod;
use super::store::ObjectStore;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, Result};

mod listing;

use listing::periods;

pub use listing::{Listing, Manifests, Periods};

/// Objects looked at again at the same time.
const CHECKS: usize = 32;

/// How long all objects must have been left alone, in seconds, where nothing else shows that AWS is done with them: the
/// time between two writes of one delivery.
const SETTLED: i64 = 5;

/// The files of one billing period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `None` for files that lie in no period's folder.
    pub period: Option<BillingPeriod>,
    /// The manifest and what it names, where there is one.
    pub manifest: Option<(Object, Vec<String>)>,
    /// Its files with data.
    pub files: Vec<Object>,
}

/// The files to read, as they stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The report's folder, or the file; empty at the root of the place.
    pub name: String,
    /// Its parts, ascending by period.
    pub parts: Vec<Part>,
    /// Status files.
    status: Vec<Object>,
    /// When AWS last delivered the newest period; `None` where that is not known.
    pub delivered: Option<DateTime<Utc>>,
    /// What should be known about how the files were found.
    pub warnings: Vec<Warning>,
}

impl Snapshot {
    /// Chooses the files of the wanted periods among what was listed.
    ///
    /// # Errors
    /// [`ReadError::Changed`] while AWS is rewriting the report; a report error when there is no report, more than
    /// one, or a file is missing.
    pub async fn take(
        store: &dyn ObjectStore,
        place: &str,
        listing: Listing,
        wanted: Periods,
        manifests: &mut Manifests,
    ) -> Result<Self, ReadError> {
        let Listing { objects, reports } = listing;
        let mut snapshot = Self {
            name: String::new(),
            parts: Vec::new(),
            status: Vec::new(),
            delivered: None,
            warnings: Vec::new(),
        };
        if store.is_single_file() {
            snapshot.add_loose(objects);
            return Ok(snapshot);
        }
        let (name, report) = choose(store, place, reports, manifests).await?;
        (snapshot.name, snapshot.status) = (name, report.status.clone());
        snapshot.check_status(store).await?;
        if report.periods.is_empty() {
            snapshot.check_settled(store, &report.loose)?;
            snapshot.warnings.push(no_manifest(place));
            snapshot.delivered = newest(store, &report.loose);
            snapshot.add_loose(report.loose);
            return Ok(snapshot);
        }
        for (period, found) in periods(&report, wanted) {
            let part = snapshot.period(store, place, &objects, (period, found), manifests);
            let part = part.await?;
            snapshot.parts.push(part);
        }
        if snapshot.parts.is_empty() {
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

    /// The billing periods found, ascending.
    pub fn periods(&self) -> impl Iterator<Item = BillingPeriod> + '_ {
        self.parts.iter().filter_map(|part| part.period)
    }

    /// All files with data.
    pub fn files(&self) -> impl Iterator<Item = &Object> {
        self.parts.iter().flat_map(|part| &part.files)
    }

    /// Checks that nothing has moved since [`Snapshot::take`], of the files those that were `read`.
    ///
    /// # Errors
    /// [`ReadError::Changed`] if it has.
    pub async fn verify(&self, store: &dyn ObjectStore, read: &[Object]) -> Result<(), ReadError> {
        let manifests = self.parts.iter().filter_map(|part| part.manifest.as_ref());
        let guards = manifests.map(|(object, _)| object).chain(&self.status);
        stream::iter(guards.chain(read))
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

    fn add_loose(&mut self, files: Vec<Object>) {
        self.parts.push(Part {
            period: None,
            manifest: None,
            files,
        });
    }

    async fn period(
        &mut self,
        store: &dyn ObjectStore,
        place: &str,
        objects: &[Object],
        (period, found): (BillingPeriod, &PeriodObjects),
        manifests: &mut Manifests,
    ) -> Result<Part, ReadError> {
        let Some(manifest) = manifest_of(store, found, manifests).await? else {
            let files = found.newest_data();
            self.check_settled(store, &files)?;
            if !self.warnings.iter().any(|w| w.code == WarningCode::NoManifest) {
                self.warnings.push(no_manifest(place));
            }
            self.delivered = newest(store, &files);
            return Ok(Part {
                period: Some(period),
                manifest: None,
                files,
            });
        };
        let entries = manifests.of(store, manifest).await?.files;
        let taken: BTreeSet<&str> = self.files().map(|file| file.key.as_str()).collect();
        let mut files: Vec<Object> = Vec::new();
        for entry in &entries {
            let Some(file) = layout::resolve(entry, objects) else {
                return Err(missing(store, manifest, entry).await);
            };
            // Data Exports deliver the manifest last, so a younger file belongs to a refresh still under way.
            if store.is_remote() && found.is_export {
                let file_name = store.name(&file.key);
                if file.modified > manifest.modified {
                    return Err(ReadError::Changed(format!(
                        "{file_name} is newer than its manifest: AWS is delivering a refresh"
                    )));
                }
                // S3 gives times by the second, in which the file may have been either.
                if file.modified == manifest.modified && found.is_overwritten(file) {
                    settled(&file_name, file)?;
                }
            }
            // A manifest that names a file twice must not make it count twice.
            if !files.contains(file) && !taken.contains(file.key.as_str()) {
                files.push(file.clone());
            }
        }
        if !found.is_export {
            let overwritten = files.iter().filter(|file| found.is_overwritten(file));
            self.check_settled(store, overwritten)?;
        }
        self.delivered = store.is_remote().then_some(manifest.modified);
        Ok(Part {
            period: Some(period),
            manifest: Some((manifest.clone(), entries)),
            files,
        })
    }

    /// Files that are overwritten in place, with no promise about the manifest and no status file that says when AWS is
    /// done: while they have just been written, the others may be yet to come.
    fn check_settled<'a>(
        &self,
        store: &dyn ObjectStore,
        files: impl IntoIterator<Item = &'a Object>,
    ) -> Result<(), ReadError> {
        if !store.is_remote() || !self.status.is_empty() {
            return Ok(());
        }
        let newest = files.into_iter().max_by_key(|file| file.modified);
        newest.map_or(Ok(()), |file| settled(&store.name(&file.key), file))
    }

    async fn check_status(&self, store: &dyn ObjectStore) -> Result<(), ReadError> {
        for object in &self.status {
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

/// The manifest that names the files. A FOCUS export's second one seldom does.
async fn manifest_of<'a>(
    store: &dyn ObjectStore,
    found: &'a PeriodObjects,
    manifests: &mut Manifests,
) -> Result<Option<&'a Object>, ReadError> {
    let Some(other) = found.focus_manifest().filter(|_| found.manifest().is_none()) else {
        return Ok(found.manifest());
    };
    match manifests.of(store, other).await {
        Ok(_) => Ok(Some(other)),
        Err(changed @ ReadError::Changed(_)) => Err(changed),
        Err(ReadError::Failed(_)) => Ok(None),
    }
}

/// The one report at this place.
async fn choose(
    store: &dyn ObjectStore,
    place: &str,
    mut reports: BTreeMap<String, Report>,
    manifests: &mut Manifests,
) -> Result<(String, Report), ReadError> {
    let all = layout::names(&reports);
    let mut unusable = Vec::new();
    for name in reports.keys().cloned().collect::<Vec<_>>() {
        // A report of CSV files is recognised by its manifest.
        let manifest = reports[&name]
            .periods
            .values()
            .next_back()
            .and_then(PeriodObjects::manifest)
            .cloned();
        if let Some(manifest) = manifest
            && reports.len() > unusable.len()
            && !manifests.of(store, &manifest).await?.is_parquet()
        {
            reports.remove(&name);
            unusable.push(name);
        }
    }
    if reports.len() > 1 {
        let each: Vec<String> = reports
            .keys()
            .map(|name| format!("--cur {}", store.name(name)))
            .collect();
        let hint = format!(
            "they tell the same costs more than once: point --cur at one of them: {}",
            each.join(" or ")
        );
        let names = layout::names(&reports);
        return Err(
            Error::report(format!("{place}: several reports lie here: {names}"))
                .hint(hint)
                .into(),
        );
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

/// A file that the manifest names was not listed: gone for good, delivered since the listing, or gone with the version
/// that the listed manifest was of?
async fn missing(store: &dyn ObjectStore, manifest: &Object, entry: &str) -> ReadError {
    let key = entry
        .strip_prefix("s3://")
        .and_then(|rest| rest.split_once('/'))
        .map_or(entry, |(_, key)| key);
    if store.is_remote() && matches!(store.head(key).await, Ok(Some(_))) {
        return ReadError::Changed(format!("{} has just been delivered", store.name(key)));
    }
    let name = store.name(&manifest.key);
    let now = store.head(&manifest.key).await;
    if now.is_ok_and(|now| now.is_none_or(|now| now.version != manifest.version)) {
        return ReadError::Changed(format!("{name} was rewritten"));
    }
    Error::report(format!("{name} names a missing file: {entry}"))
        .hint("a lifecycle rule may have removed it, or a copy is incomplete: copy the period again, or wait for the next delivery")
        .into()
}

/// What S3 dates its objects by, which is never the clock of a replay.
#[allow(clippy::disallowed_methods)]
fn settled(name: &str, object: &Object) -> Result<(), ReadError> {
    let age = (Utc::now() - object.modified).num_seconds();
    if age >= SETTLED {
        return Ok(());
    }
    Err(ReadError::Changed(format!(
        "{name} has just been written, and nothing tells whether AWS is done"
    )))
}

fn newest(store: &dyn ObjectStore, files: &[Object]) -> Option<DateTime<Utc>> {
    // A directory's times show when it was copied, not when AWS wrote.
    store
        .is_remote()
        .then(|| files.iter().map(|file| file.modified).max())
        .flatten()
}

fn no_manifest(place: &str) -> Warning {
    Warning::new(
        WarningCode::NoManifest,
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
