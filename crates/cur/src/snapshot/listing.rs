//! What lies at the report's place, which of its periods are wanted, and what their manifests name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::layout::{self, PeriodObjects, Report};
use crate::manifest::Manifest;
use crate::object::{Object, ReadError};
use crate::period::BillingPeriod;
use crate::store::ObjectStore;
use brimful_types::Result;

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

/// What lies at the report's place.
#[derive(Debug)]
pub struct Listing {
    pub(super) objects: Vec<Object>,
    pub(super) reports: BTreeMap<String, Report>,
}

impl Listing {
    /// Lists it.
    pub async fn of(store: &dyn ObjectStore) -> Result<Self> {
        let objects = store.list().await?;
        let reports = layout::reports(&objects);
        Ok(Self { objects, reports })
    }

    /// The report's name and the wanted periods, if there is one report in parquet form only; `None` among the
    /// periods stands for files that lie in no period's folder.
    #[must_use]
    pub fn only(
        &self,
        store: &dyn ObjectStore,
        wanted: Periods,
    ) -> Option<(&str, Vec<Option<BillingPeriod>>)> {
        if store.is_single_file() {
            return Some(("", vec![None]));
        }
        let mut reports = self.reports.iter().filter(|(_, report)| report.has_data());
        let (name, report) = reports.next().filter(|_| reports.next().is_none())?;
        let chosen = periods(report, wanted)
            .into_iter()
            .map(|(period, _)| Some(period));
        let chosen = if report.periods.is_empty() {
            vec![None]
        } else {
            chosen.collect()
        };
        Some((name, chosen))
    }
}

/// The names of files in manifests, each manifest by key and version, so that none is read twice.
#[derive(Debug, Default)]
pub struct Manifests(BTreeMap<(String, String), Vec<String>>);

impl Manifests {
    /// Remembers what a version of a manifest names.
    pub fn insert(&mut self, key: String, version: String, files: Vec<String>) {
        self.0.insert((key, version), files);
    }

    pub(super) async fn of(
        &mut self,
        store: &dyn ObjectStore,
        object: &Object,
    ) -> Result<Manifest, ReadError> {
        let key = (object.key.clone(), object.version.clone());
        if let Some(files) = self.0.get(&key) {
            return Ok(Manifest { files: files.clone() });
        }
        let manifest = Manifest::parse(&store.name(&object.key), &store.read(object).await?)?;
        self.0.insert(key, manifest.files.clone());
        Ok(manifest)
    }
}

impl Periods {
    /// Those among which the wanted ones are, unless there are none of these; `None` when they are too many to name.
    pub(crate) fn likely(self) -> Option<Vec<BillingPeriod>> {
        const MANY: usize = 60;
        let (first, last) = match self {
            Self::Newest(now) => {
                let this = BillingPeriod::of(now);
                (BillingPeriod::of(this.first_hour().plus(-1).start()), this)
            }
            Self::Between(first, last) | Self::History(first, last) => (first, last),
        };
        let all = std::iter::successors(Some(first), |period| Some(period.next()));
        let all: Vec<BillingPeriod> = all.take_while(|period| *period <= last).take(MANY + 1).collect();
        (all.len() <= MANY).then_some(all)
    }

    /// Those that are wanted of what is there, ascending.
    pub(crate) fn among<T>(self, there: &BTreeMap<BillingPeriod, T>) -> Vec<(BillingPeriod, &T)> {
        let newest = |last: BillingPeriod| {
            there
                .range(..=last)
                .next_back()
                .map(|(period, found)| (*period, found))
        };
        let between = |first, last| {
            there
                .range(first..=last)
                .map(|(period, found)| (*period, found))
                .collect()
        };
        match self {
            Self::Newest(now) => newest(BillingPeriod::of(now)).into_iter().collect(),
            Self::Between(first, last) => between(first, last),
            Self::History(first, last) => {
                let found: Vec<_> = between(first, last);
                if found.is_empty() {
                    newest(last).into_iter().collect()
                } else {
                    found
                }
            }
        }
    }
}

/// The wanted periods of a report, ascending.
pub(super) fn periods(report: &Report, wanted: Periods) -> Vec<(BillingPeriod, &PeriodObjects)> {
    wanted.among(&report.periods)
}
