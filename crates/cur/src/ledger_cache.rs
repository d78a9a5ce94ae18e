//! The ledger cache: what was counted of each billing period, kept for the next run, so that an unchanged report is
//! not scanned again, and of a changed one only the files that have. An entry counts only for the very versions of the files that it was read from. The cache may
//! be lost, damaged or out of reach at any time: then the report is read, and a warning says why.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::columns::{Detail, Own};
use super::location::Place;
use super::object::Object;
use super::period::BillingPeriod;
use super::snapshot::{Manifests, Part};
use super::store::{ObjectStore, PutMode, PutResult};
use crate::ledger_builder::partial::Partial;
use brimful_types::hour::Hour;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, ErrorKind, Result};

mod entry;

use entry::{Entry, Kind, Packed, Subject, Unreadable, Version, decode, encode, name};

#[cfg(test)]
pub(crate) use entry::FORM;
pub(crate) use entry::{File, Summary};

/// No run waits longer for the cache at any of its steps.
const PATIENCE: Duration = Duration::from_secs(20);

/// No entry is larger, in bytes.
const MAX_PACKED: u64 = 256 << 20;

/// The cache.
#[derive(Debug)]
pub struct LedgerCache {
    place: Place,
    store: Arc<dyn ObjectStore>,
}

impl LedgerCache {
    /// The cache at that place, by the store that reaches it. Nothing is asked of it yet.
    #[must_use]
    pub fn over(place: Place, store: Arc<dyn ObjectStore>) -> Self {
        Self { place, store }
    }

    /// What it holds of the wanted periods of a report.
    pub(crate) async fn look_up(
        &self,
        report: (String, String),
        (detail, own): (Detail, Own<'_>),
        periods: &[Option<BillingPeriod>],
    ) -> Kept<'_> {
        let mut kept = Kept {
            cache: self,
            report,
            detail,
            own: [own.cluster, own.account].map(|text| text.map(str::to_owned)),
            slots: Vec::new(),
            warnings: Vec::new(),
        };
        let subjects = periods.iter().map(|period| kept.subject(*period));
        let subjects: Vec<Subject> = subjects.collect();
        let found = join_all(subjects.into_iter().map(|subject| self.fetch(subject))).await;
        kept.slots = found.into_iter().map(|found| kept.judge(found)).collect();
        kept
    }

    async fn fetch<T: Kind>(&self, subject: Subject) -> Fetched<T> {
        let name = name::<T>(&subject);
        let found = in_time(self.store.whole(&name, MAX_PACKED)).await;
        // Read here, so that no two are held twice at the same time.
        let found = found.map(|found| found.map(|(version, bytes)| (version, decode(&bytes))));
        Fetched { subject, found }
    }
}

/// What stands in an entry's place, or why that is not known.
struct Fetched<T> {
    subject: Subject,
    found: Result<Option<(String, Result<T, Unreadable>)>>,
}

/// What a cache holds of one report.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    cache: &'a LedgerCache,
    report: (String, String),
    detail: Detail,
    own: [Option<String>; 2],
    slots: Vec<Slot<Entry>>,
    warnings: Vec<Warning>,
}

/// One entry's place.
#[derive(Debug)]
struct Slot<T> {
    subject: Subject,
    /// The version that stands there; `None` where nothing does.
    before: Option<String>,
    entry: Option<T>,
    /// Why it is not known what stands there. Without `s3:ListBucket` S3 refuses to read what is not there.
    refused: Option<Error>,
    /// False when the place is out of reach; nothing is written to it then.
    in_reach: bool,
}

/// What is known of each file of a part, and the place where that is kept.
#[derive(Debug)]
pub(crate) struct KeptFiles(Slot<entry::Files>);

impl KeptFiles {
    /// What was counted of that very version of a file, from `from` on.
    pub(crate) fn take(&mut self, object: &Object, from: Option<Hour>) -> Option<File> {
        let files = &mut self.0.entry.as_mut()?.files;
        let at = files.iter().position(|file| file.is_of(object, from))?;
        Some(files.swap_remove(at))
    }
}

impl Kept<'_> {
    /// What the manifests name of which entries are there.
    pub(crate) fn fill(&self, manifests: &mut Manifests) {
        let versions = self
            .slots
            .iter()
            .filter_map(|slot| slot.entry.as_ref()?.version.manifest.clone());
        for (key, version, files) in versions {
            manifests.insert(key, version, files);
        }
    }

    /// What was counted of the very version of a part, from `from` on. Nothing of it is held here afterwards.
    pub(crate) fn take(&mut self, part: &Part, from: Option<Hour>) -> Option<(Summary, Partial)> {
        let subject = self.subject(part.period);
        let slot = self.slots.iter_mut().find(|slot| slot.subject == subject)?;
        let entry = slot.entry.take()?;
        if entry.version != Version::of(part) || !entry.reaches_back_to(from) {
            return None;
        }
        match entry.ledger.unpack() {
            Ok(ledger) => Some((entry.summary, ledger)),
            Err(unreadable) => {
                self.warn_of::<Entry>(&subject, unreadable);
                None
            }
        }
    }

    /// What is wrong with the cache, each thing once, however many periods it concerns.
    pub(crate) fn into_warnings(mut self) -> Vec<Warning> {
        self.warnings.sort();
        self.warnings
            .dedup_by(|a, b| a.code == b.code && a.code == WarningCode::CacheUnusable);
        self.warnings
    }

    /// What is known of the files of a part that has changed. A single file is the part.
    pub(crate) async fn files(&mut self, part: &Part) -> Option<KeptFiles> {
        let in_reach = self.slot(part).is_some_and(|slot| slot.in_reach);
        if part.files.len() < 2 || !in_reach {
            return None;
        }
        let found = self.cache.fetch(self.subject(part.period)).await;
        Some(KeptFiles(self.judge(found)))
    }

    /// Keeps what was counted of the files of a part.
    pub(crate) async fn put_files(&mut self, place: KeptFiles, files: Vec<File>) {
        let KeptFiles(mut slot) = place;
        slot.entry = None;
        let subject = slot.subject.clone();
        if let Some(bytes) = encode(&entry::Files { subject, files }) {
            self.write(slot, bytes).await;
        }
    }

    /// Keeps what was counted of a part, written down by [`pack`](Self::pack).
    pub(crate) async fn put(&mut self, part: &Part, bytes: Vec<u8>) {
        let subject = self.subject(part.period);
        let at = self.slots.iter().position(|slot| slot.subject == subject);
        if let Some(at) = at {
            let slot = self.slots.swap_remove(at);
            self.write(slot, bytes).await;
        }
    }

    async fn write<T: Kind>(&mut self, slot: Slot<T>, bytes: Vec<u8>) {
        if !slot.in_reach {
            return;
        }
        let name = name::<T>(&slot.subject);
        let mode = PutMode::over(slot.before.as_deref());
        // On S3, of two that write at once one is first; the other's entry is as good, and not needed.
        let store = &self.cache.store;
        let put = store.put(&name, bytes.into(), "application/octet-stream", mode);
        match (in_time(put).await, &slot.refused) {
            (Ok(PutResult::Done(_)), _) | (Ok(PutResult::Conflict), None) => {}
            // It does stand there, then.
            (Ok(PutResult::Conflict), Some(refused)) => self.warnings.push(unusable("read", refused)),
            (Err(error), _) => self.warnings.push(unusable("written", &error)),
        }
    }

    /// Writes down what was counted of a part from `from` on; `None` when it should not be kept.
    pub(crate) fn pack(
        &self,
        part: &Part,
        from: Option<Hour>,
        summary: Summary,
        ledger: &Partial,
    ) -> Option<Vec<u8>> {
        let keep = ledger.can_be_cut() && self.slot(part).is_some_and(|slot| slot.in_reach);
        let ledger = if keep { Packed::of(ledger)? } else { return None };
        encode(&Entry {
            subject: self.subject(part.period),
            version: Version::of(part),
            from: from.map(Hour::index),
            summary,
            ledger,
        })
    }

    fn subject(&self, period: Option<BillingPeriod>) -> Subject {
        let period = period.map(|period| period.to_string());
        Subject {
            report: self.report.clone(),
            detail: self.detail,
            own: self.own.clone(),
            period,
        }
    }

    fn slot(&self, part: &Part) -> Option<&Slot<Entry>> {
        let subject = self.subject(part.period);
        self.slots.iter().find(|slot| slot.subject == subject)
    }

    /// The place with its entry, if that is about what was asked for.
    fn judge<T: Kind>(&mut self, Fetched { subject, found }: Fetched<T>) -> Slot<T> {
        let mut slot = Slot {
            subject,
            before: None,
            entry: None,
            refused: None,
            in_reach: true,
        };
        match found {
            Ok(None) => {}
            Ok(Some((version, decoded))) => {
                slot.before = Some(version);
                slot.entry = self.sound(&slot.subject, decoded);
            }
            Err(error) if error.kind() == ErrorKind::Aws => slot.refused = Some(error),
            Err(error) => {
                slot.in_reach = false;
                self.warnings.push(unusable("read", &error));
            }
        }
        slot
    }

    fn sound<T: Kind>(&mut self, subject: &Subject, decoded: Result<T, Unreadable>) -> Option<T> {
        match decoded {
            Ok(entry) if entry.subject() == subject => return Some(entry),
            // Last year's: its time has passed.
            Ok(entry) if entry.subject().report == subject.report => {}
            Ok(_) => self.warn_of::<T>(subject, Unreadable::OtherReport),
            Err(unreadable) => self.warn_of::<T>(subject, unreadable),
        }
        None
    }

    fn warn_of<T: Kind>(&mut self, subject: &Subject, unreadable: Unreadable) {
        let what = match unreadable {
            Unreadable::OtherReport => "is about another report",
            Unreadable::OtherVersion => "was written by another version of Brimful",
            Unreadable::Damaged => "is damaged",
            Unreadable::TooLarge(bytes) => &format!("would unpack to {bytes} bytes, more than an entry may"),
        };
        let message = format!(
            "{}: {} {what}: the report was read again, and it is replaced",
            self.cache.place,
            name::<T>(subject)
        );
        self.warnings
            .push(Warning::new(WarningCode::CacheRebuilt, message));
    }
}

fn unusable(done: &str, error: &Error) -> Warning {
    let way_out = error
        .next_step()
        .map(|hint| format!(" ({hint})"))
        .unwrap_or_default();
    let message =
        format!("the ledger cache cannot be {done}: {error}{way_out}; the report is read anew until it can");
    Warning::new(WarningCode::CacheUnusable, message)
}

async fn in_time<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::report(format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, step).await.map_err(late)?
}
