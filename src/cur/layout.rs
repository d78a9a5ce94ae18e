//! Which report, billing period and execution an object belongs to, told by its key alone.
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
    /// Parquet files, each with the execution whose folder it lies in.
    pub data: Vec<(Option<String>, Object)>,
    /// True for Data Exports, which promise that the manifest comes last.
    pub is_export: bool,
}

impl PeriodObjects {
    /// The manifest that counts: the one beside the executions' folders, which AWS overwrites; else the newest.
    #[must_use]
    pub fn manifest(&self) -> Option<&Object> {
        let newest = |top: bool| {
            self.manifests
                .iter()
                .filter(|(execution, _)| execution.is_none() == top)
                .map(|(_, object)| object)
                .max_by(|a, b| (a.modified, &a.key).cmp(&(b.modified, &b.key)))
        };
        newest(true).or_else(|| newest(false))
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
        // Executions' folders begin with a timestamp, so the last by name is the newest.
        let newest = self
            .data
            .iter()
            .map(|(execution, _)| execution)
            .max()
            .cloned()
            .flatten();
        let chosen = self.data.iter().filter(|(execution, _)| *execution == newest);
        chosen.map(|(_, object)| object.clone()).collect()
    }
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
            (Part::Manifest, None) => {}
            (part, Some(period)) => {
                let objects = report.periods.entry(period).or_default();
                objects.is_export |= place.is_export;
                match part {
                    Part::Manifest => objects.manifests.push((place.execution, object.clone())),
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
            let in_metadata = folders.contains(&"metadata");
            return (part == Part::Data && !in_metadata).then(|| Self {
                report: join(folders),
                part,
                period: None,
                execution: None,
                is_export: false,
            });
        };
        let (before, after) = (&folders[..at], &folders[at + length..]);
        let kind = before.last().copied();
        let is_export = folders[at].starts_with("BILLING_PERIOD=");
        if kind == Some("metadata") && part == Part::Data {
            return None;
        }
        let report = match kind {
            Some("data" | "metadata") if is_export => &before[..before.len() - 1],
            _ if folders[at].starts_with("year=") => report_folder(before),
            _ => before,
        };
        Some(Self {
            report: join(report),
            part,
            period: Some(period),
            execution: after.first().map(|folder| (*folder).to_owned()),
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
    let hidden = name.starts_with(['.', '_']);
    (lower.ends_with(".parquet") && !hidden).then_some(Part::Data)
}

/// Where in the path the period stands, over how many folders, and which it is.
fn find_period(folders: &[&str]) -> Option<(usize, usize, BillingPeriod)> {
    folders.iter().enumerate().find_map(|(at, folder)| {
        if let Some(text) = folder.strip_prefix("BILLING_PERIOD=") {
            return Some((at, 1, BillingPeriod::parse(text)?));
        }
        if let Some(year) = folder.strip_prefix("year=") {
            let month = folders.get(at + 1)?.strip_prefix("month=")?;
            return Some((
                at,
                2,
                BillingPeriod::new(year.parse().ok()?, month.parse().ok()?)?,
            ));
        }
        Some((at, 1, BillingPeriod::parse_dates(folder)?))
    })
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
    let shared = |object: &Object| {
        let parts = object.key.split('/').filter(|part| !part.is_empty());
        parts
            .rev()
            .zip(wanted.iter().rev())
            .take_while(|(a, b)| a == *b)
            .count()
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
