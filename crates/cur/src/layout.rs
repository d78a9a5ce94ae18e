//! Which report, billing period and execution an object belongs to, by its key alone.
//!
//! Layouts: CUR user guide, "Viewing your Cost and Usage Reports" and "Querying with Athena"; Data Exports user
//! guide, "Understanding export delivery".

use std::collections::{BTreeMap, BTreeSet};

use super::object::Object;
use super::period::BillingPeriod;

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Manifest,
    /// `<export>-Manifest-FOCUS.json`.
    FocusManifest,
    Data,
    /// The status file of a legacy report's Athena form.
    Status,
}

/// One report (or export) found among the objects, by billing period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Its periods.
    pub periods: BTreeMap<BillingPeriod, PeriodObjects>,
    /// Parquet files that lie in no period's folder.
    pub loose: Vec<Object>,
    /// Status files (`READY` or `UPDATING`) of a legacy report.
    pub status: Vec<Object>,
}

impl Report {
    /// True when parquet files lie there.
    #[must_use]
    pub fn has_data(&self) -> bool {
        !self.loose.is_empty() || self.periods.values().any(|period| !period.data.is_empty())
    }
}

/// The objects of one billing period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeriodObjects {
    /// Manifests, each with the execution whose folder it lies in.
    pub manifests: Vec<(Option<String>, Object)>,
    /// What FOCUS exports have beside the manifest, `<export>-Manifest-FOCUS.json`: it describes the columns, and names the
    /// files only where nothing else does.
    pub focus_manifests: Vec<(Option<String>, Object)>,
    /// Parquet files, each with the execution whose folder it lies in.
    pub data: Vec<(Option<String>, Object)>,
    /// True for Data Exports, which promise that the manifest comes last.
    pub is_export: bool,
}

impl PeriodObjects {
    /// The manifest that counts: the one beside the executions' folders, which AWS overwrites; else the newest.
    #[must_use]
    pub fn manifest(&self) -> Option<&Object> {
        newest_manifest(&self.manifests)
    }

    /// The like of what FOCUS exports have beside their manifest.
    #[must_use]
    pub fn focus_manifest(&self) -> Option<&Object> {
        newest_manifest(&self.focus_manifests)
    }

    /// True for a file that the next delivery overwrites: one that lies in no execution's folder.
    #[must_use]
    pub fn is_overwritten(&self, file: &Object) -> bool {
        let mut data = self.data.iter();
        data.any(|(execution, object)| execution.is_none() && object.key == file.key)
    }

    /// The files to take when there is no manifest: those of the newest execution, or those in the period's folder.
    #[must_use]
    pub fn newest_data(&self) -> Vec<Object> {
        let newest = self
            .data
            .iter()
            .map(|(execution, file)| Age::of(execution.as_deref(), file))
            .max();
        let is_newest = |execution: &Option<String>, file: &Object| match (&newest, execution.as_deref()) {
            (Some(Age { folder, .. }), Some(execution)) => execution == *folder,
            (Some(Age { rank, folder, .. }), None) => *rank == 0 && period_folder(&file.key) == *folder,
            (None, _) => false,
        };
        let chosen = self
            .data
            .iter()
            .filter(|(execution, file)| is_newest(execution, file));
        chosen.map(|(_, object)| object.clone()).collect()
    }
}

/// How new a file is, where executions or versions have folders of their own.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age<'a> {
    /// Files in an execution's folder come before those in the period's, and executions that show their time before versions.
    rank: u8,
    /// Executions' folders begin with a time, so that the last by name is the newest.
    time: &'a str,
    /// A legacy version's name says nothing (a UUID); nor does the spelling of a period's folder.
    modified: chrono::DateTime<chrono::Utc>,
    folder: &'a str,
}

impl<'a> Age<'a> {
    fn of(execution: Option<&'a str>, file: &'a Object) -> Self {
        let time = execution.filter(|name| name.len() > 8 && is_time(name));
        Self {
            rank: u8::from(execution.is_some()) + u8::from(time.is_some()),
            time: time.unwrap_or_default(),
            modified: file.modified,
            folder: execution.unwrap_or_else(|| period_folder(&file.key)),
        }
    }
}

/// `2026-06-01T23:48:02.356Z-9b6b…` and `20260601T234802Z-9b6b…`, unlike a UUID.
fn is_time(name: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    name.split_once('T')
        .is_some_and(|(date, _)| date.len() >= 8 && digits(date))
}

/// The period's folder, as it is spelt in the key.
fn period_folder(key: &str) -> &str {
    let slashes = key.match_indices('/').map(|(at, _)| at);
    let mut folders = slashes.map(|at| &key[..at]);
    let is_period = |path: &&str| {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        find_period(&parts).is_some()
    };
    folders.find(is_period).unwrap_or_default()
}

fn newest_manifest(manifests: &[(Option<String>, Object)]) -> Option<&Object> {
    fn age((execution, object): &(Option<String>, Object)) -> impl Ord + '_ {
        let Age {
            rank, time, modified, ..
        } = Age::of(execution.as_deref(), object);
        (rank, time, modified, &object.key)
    }
    let newest = |top: bool| {
        let of_sort = manifests
            .iter()
            .filter(|(execution, _)| execution.is_none() == top);
        of_sort.max_by(|a, b| age(a).cmp(&age(b)))
    };
    newest(true).or_else(|| newest(false)).map(|(_, object)| object)
}

/// Sorts objects into reports, by the path of each report's folder.
#[must_use]
pub fn reports(objects: &[Object]) -> BTreeMap<String, Report> {
    let mut reports: BTreeMap<String, Report> = BTreeMap::new();
    for object in objects {
        let Some(place) = Place::of(&object.key) else {
            continue;
        };
        let report = reports.entry(place.report).or_default();
        match (place.part, place.period) {
            (Part::Status, _) => report.status.push(object.clone()),
            (Part::Data, None) => report.loose.push(object.clone()),
            (Part::Manifest | Part::FocusManifest, None) => {}
            (part, Some(period)) => {
                let objects = report.periods.entry(period).or_default();
                objects.is_export |= place.is_export;
                match part {
                    Part::Manifest => objects.manifests.push((place.execution, object.clone())),
                    Part::FocusManifest => objects.focus_manifests.push((place.execution, object.clone())),
                    _ => objects.data.push((place.execution, object.clone())),
                }
            }
        }
    }
    join_manifests(&mut reports);
    // A status file alone, or files of another sort, are no report.
    reports.retain(|_, report| {
        !report.loose.is_empty()
            || report
                .periods
                .values()
                .any(|p| !p.data.is_empty() || !p.manifests.is_empty())
    });
    // Loose files beside periods are something else's (query results, say).
    if reports.values().any(|report| !report.periods.is_empty()) {
        reports.retain(|_, report| !report.periods.is_empty());
    }
    reports
}

/// A legacy report's manifests lie in `<report>/<dates>`, its data in `<report>/<report>`. Seen from the report's own
/// folder, or below a prefix of the report's name, these look like two reports: the name in the manifest joins them.
fn join_manifests(reports: &mut BTreeMap<String, Report>) {
    let is_bare = |report: &Report| {
        report.periods.values().all(|period| period.data.is_empty()) && report.loose.is_empty()
    };
    let bare: Vec<String> = reports
        .iter()
        .filter(|(_, report)| is_bare(report))
        .map(|(name, _)| name.clone())
        .collect();
    for folder in bare {
        let manifests = reports[&folder]
            .periods
            .values()
            .flat_map(|period| &period.manifests);
        let names =
            manifests.filter_map(|(_, object)| object.key.rsplit('/').next()?.strip_suffix("-Manifest.json"));
        let below = |name: &str| {
            if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            }
        };
        let Some(data) = names
            .map(below)
            .find(|name| *name != folder && reports.contains_key(name))
        else {
            continue;
        };
        let Some(found) = reports.remove(&folder) else {
            continue;
        };
        let Some(report) = reports.get_mut(&data) else {
            continue;
        };
        report.status.extend(found.status);
        for (period, objects) in found.periods {
            report
                .periods
                .entry(period)
                .or_default()
                .manifests
                .extend(objects.manifests);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Place {
    report: String,
    part: Part,
    period: Option<BillingPeriod>,
    execution: Option<String>,
    is_export: bool,
}

impl Place {
    fn of(key: &str) -> Option<Self> {
        // Keys may hold `//` where the prefix was entered with a slash at its end.
        let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
        let (name, folders) = parts.split_last()?;
        let part = part_of(name)?;
        let join = |parts: &[&str]| parts.join("/");
        if let Some(at) = folders.iter().position(|f| *f == "cost_and_usage_data_status") {
            return (part == Part::Data).then(|| Self {
                report: join(report_folder(&folders[..at])),
                part: Part::Status,
                period: None,
                execution: None,
                is_export: false,
            });
        }
        let Some((at, length, period)) = find_period(folders) else {
            let in_metadata = folders
                .iter()
                .any(|folder| folder.eq_ignore_ascii_case("metadata"));
            return (part == Part::Data && !in_metadata).then(|| Self {
                report: join(folders),
                part,
                period: None,
                execution: None,
                is_export: false,
            });
        };
        let (before, after) = (&folders[..at], &folders[at + length..]);
        let is = |kind: &str| {
            before
                .last()
                .is_some_and(|folder| folder.eq_ignore_ascii_case(kind))
        };
        let is_export = value_of(folders[at], "billing_period").is_some();
        if is("metadata") && part == Part::Data {
            return None;
        }
        let report = match () {
            () if is_export && (is("data") || is("metadata")) => &before[..before.len() - 1],
            () if value_of(folders[at], "year").is_some() => report_folder(before),
            () => before,
        };
        Some(Self {
            report: join(report),
            part,
            period: Some(period),
            // A partition below the period (`day=01`) is a part of it, no execution.
            execution: after
                .first()
                .filter(|folder| !folder.contains('='))
                .map(|folder| (*folder).to_owned()),
            is_export,
        })
    }
}

/// The Athena form doubles the report's name: `<prefix>/<report>/<report>/year=…`.
fn report_folder<'a, 'b>(folders: &'a [&'b str]) -> &'a [&'b str] {
    match folders {
        [rest @ .., a, b] if a == b => &folders[..=rest.len()],
        _ => folders,
    }
}

fn part_of(name: &str) -> Option<Part> {
    let lower = name.to_ascii_lowercase();
    if lower.ends_with("manifest.json") {
        return Some(Part::Manifest);
    }
    if lower.ends_with("manifest-focus.json") {
        return Some(Part::FocusManifest);
    }
    let hidden = name.starts_with(['.', '_']);
    (lower.ends_with(".parquet") && !hidden).then_some(Part::Data)
}

/// Where in the path the period stands, over how many folders, and which it is.
fn find_period(folders: &[&str]) -> Option<(usize, usize, BillingPeriod)> {
    folders.iter().enumerate().find_map(|(at, folder)| {
        if let Some(text) = value_of(folder, "billing_period") {
            return Some((at, 1, BillingPeriod::parse(text)?));
        }
        if let Some(year) = value_of(folder, "year") {
            let month = value_of(folders.get(at + 1)?, "month")?;
            return Some((
                at,
                2,
                BillingPeriod::new(year.parse().ok()?, month.parse().ok()?)?,
            ));
        }
        Some((at, 1, BillingPeriod::parse_dates(folder)?))
    })
}

/// What stands behind `name=` in a partition's folder. CUR 2.0 is delivered below `BILLING_PERIOD=`, FOCUS below
/// `billing_period=`, and pipelines write either.
fn value_of<'a>(folder: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = folder.split_once('=')?;
    key.eq_ignore_ascii_case(name).then_some(value)
}

/// The object that an entry of a manifest means: the one whose key ends with the entry's longest suffix, which must
/// reach up to the period's folder (or to the name alone, where the entry lies in no period's folder).
///
/// Buckets are replicated and copied to directories, so the entry's bucket and prefix need not be ours.
#[must_use]
pub fn resolve<'a>(entry: &str, objects: &'a [Object]) -> Option<&'a Object> {
    let path = entry
        .strip_prefix("s3://")
        .map_or(entry, |rest| rest.split_once('/').map_or("", |(_, key)| key));
    let wanted: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let folders = wanted.len().saturating_sub(1);
    let least = find_period(&wanted[..folders]).map_or(1, |(at, ..)| wanted.len() - at);
    longest(&wanted, objects, least, |a, b| a == b).or_else(|| {
        // A copy may spell the partition otherwise than the delivery did.
        longest(&wanted, objects, least, |a, b| {
            a == b || (a.contains('=') && a.eq_ignore_ascii_case(b))
        })
    })
}

/// The one object whose key ends with the longest part of `wanted`, at least that many folders and the name.
fn longest<'a>(
    wanted: &[&str],
    objects: &'a [Object],
    least: usize,
    is_same: impl Fn(&str, &str) -> bool,
) -> Option<&'a Object> {
    let shared = |object: &Object| {
        let parts = object.key.split('/').filter(|part| !part.is_empty());
        let pairs = parts.rev().zip(wanted.iter().rev());
        pairs.take_while(|(a, b)| is_same(a, b)).count()
    };
    let lengths: Vec<usize> = objects.iter().map(shared).collect();
    let longest = lengths.iter().copied().max().filter(|length| *length >= least)?;
    let mut found = lengths
        .iter()
        .zip(objects)
        .filter(|(length, _)| **length == longest)
        .map(|(_, o)| o);
    // Two objects that match equally well are a copy within the place: neither can be trusted to be the one.
    found.next().filter(|_| found.next().is_none())
}

/// Names of reports for an error message.
#[must_use]
pub fn names(reports: &BTreeMap<String, Report>) -> String {
    let names: BTreeSet<&str> = reports
        .keys()
        .map(|name| if name.is_empty() { "." } else { name })
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
