//! The two entries of a billing period, and how they are written down: what was counted of all of it, which serves while
//! nothing has changed; and what was counted of each of its files, which spares those that have not.
//!
//! A line that names form and version, the SHA-256 of the rest, and the rest: postcard. What was counted is compressed
//! within it with zstd, so that an entry of another version of the files costs no unpacking. Only what this very version of
//! Brimful has written is read: another one may count otherwise.

use std::fmt;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::columns::{Detail, Format};
use crate::ledger_builder::partial::Partial;
use crate::object::Object;
use crate::scan::ScanSummary;
use crate::snapshot::Part;
use brimful_types::hour::Hour;

/// Raised with every change of an entry's form, or of what is counted, between two versions of the crate.
pub(crate) const FORM: u32 = 7;
/// No part is larger once it is unpacked, in bytes; a million cells take 30 MiB.
const MAX_RAW: usize = 512 << 20;
/// Nor this many times larger than it is packed, unless it is small all the same: what somebody else has put there must
/// not take the memory of the run.
const MAX_RATIO: usize = 512;
const SMALL: usize = 16 << 20;
const DIGEST: usize = 32;
/// Of zstd: a refresh compresses millions of sums, and the next run reads them once.
const LEVEL: i32 = 1;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) subject: Subject,
    pub(super) version: Version,
    /// Rows that begin before this hour ([`Hour::index`]) were not counted.
    pub(super) from: Option<i32>,
    pub(super) summary: Summary,
    pub(super) ledger: Packed,
}

/// What was counted of each file of a billing period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    pub(super) subject: Subject,
    pub(super) files: Vec<File>,
}

/// What was counted of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    key: String,
    version: String,
    /// As of an [`Entry`].
    from: Option<i32>,
    summary: Summary,
    /// A run holds one of them unpacked at a time.
    ledger: Packed,
}

/// A [`Partial`], written down and compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed(Vec<u8>);

/// What an entry is about, whatever its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// The place of the report, and the report's name there.
    pub(super) report: (String, String),
    pub(super) detail: Detail,
    /// The cluster whose pools were kept apart, where not all were, and the account whose usage was.
    pub(super) own: [Option<String>; 2],
    pub(super) period: Option<String>,
}

/// Which version of the files it was: equal keys and versions are equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Key and version of the manifest, and the names in it.
    pub(super) manifest: Option<(String, String, Vec<String>)>,
    /// Key and version of each file.
    pub(super) files: Vec<(String, String)>,
}

/// What the scan found beside the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) format: Option<Format>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) missing: Vec<String>,
}

/// Why an entry cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Another version of Brimful wrote it.
    OtherVersion,
    /// Whoever wrote it meant another report.
    OtherReport,
    /// It would unpack to that many bytes, more than an entry may.
    TooLarge(u64),
    Damaged,
}

impl Subject {
    /// Where the entry stands. A month has the place of the same month of the year before, which nobody reads any
    /// more, so there are never more than twelve per report and sort.
    fn name(&self, extension: &str) -> String {
        let mut hash = Sha256::new();
        let own = self
            .own
            .each_ref()
            .map(|text| text.as_deref().unwrap_or_default());
        for text in [&*self.report.0, &*self.report.1].into_iter().chain(own) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let hash = hash.finalize();
        let report: u64 = hash
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let sort = match self.detail {
            Detail::Plans => "plans",
            Detail::Usage => "usage",
            Detail::Accounts => "accounts",
        };
        let month = self.period.as_deref().and_then(|period| period.split_once('-'));
        let month = month.map_or("all", |(_, month)| month);
        format!("{report:016x}-{sort}-{month}.{extension}")
    }
}

impl Version {
    pub(super) fn of(part: &Part) -> Self {
        let manifest = part.manifest.as_ref();
        Self {
            manifest: manifest
                .map(|(object, names)| (object.key.clone(), object.version.clone(), names.clone())),
            files: part
                .files
                .iter()
                .map(|file| (file.key.clone(), file.version.clone()))
                .collect(),
        }
    }
}

impl From<&ScanSummary> for Summary {
    fn from(summary: &ScanSummary) -> Self {
        Self {
            format: summary.format,
            rows: summary.rows,
            bytes: summary.bytes,
            missing: summary.missing.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Entry {
    /// True when it holds all that a ledger from that hour on needs.
    pub(super) fn reaches_back_to(&self, from: Option<Hour>) -> bool {
        reaches_back(self.from, from)
    }
}

/// True when what was counted from `own` on is all that a ledger from `wanted` on needs.
fn reaches_back(own: Option<i32>, wanted: Option<Hour>) -> bool {
    match (own, wanted) {
        (None, _) => true,
        (Some(own), Some(wanted)) => own <= wanted.index(),
        (Some(_), None) => false,
    }
}

impl File {
    /// What was counted of a file from an hour on; `None` where it should not be kept.
    pub(crate) fn new(
        object: &Object,
        from: Option<Hour>,
        summary: Summary,
        ledger: &Partial,
    ) -> Option<Self> {
        ledger.can_be_cut().then_some(())?;
        Some(Self {
            key: object.key.clone(),
            version: object.version.clone(),
            from: from.map(Hour::index),
            summary,
            ledger: Packed::of(ledger)?,
        })
    }

    /// True when it is about that very version of a file, and reaches back to that hour.
    pub(crate) fn is_of(&self, object: &Object, from: Option<Hour>) -> bool {
        self.key == object.key && self.version == object.version && reaches_back(self.from, from)
    }

    /// What was counted; `None` if it is damaged.
    pub(crate) fn read(&self) -> Option<(&Summary, Partial)> {
        Some((&self.summary, self.ledger.unpack().ok()?))
    }
}

/// What is kept under a name of its own.
pub(super) trait Kind: Serialize + DeserializeOwned {
    /// How its name ends.
    const EXTENSION: &'static str;

    fn subject(&self) -> &Subject;
}

impl Kind for Entry {
    const EXTENSION: &'static str = "ledger";

    fn subject(&self) -> &Subject {
        &self.subject
    }
}

impl Kind for Files {
    const EXTENSION: &'static str = "files";

    fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// The name of an entry about that.
pub(super) fn name<T: Kind>(subject: &Subject) -> String {
    subject.name(T::EXTENSION)
}

/// Writes an entry down; `None` where that fails.
pub(super) fn encode(entry: &impl Kind) -> Option<Vec<u8>> {
    let mut bytes = header().into_bytes();
    let body = bytes.len() + DIGEST;
    bytes.resize(body, 0);
    let mut bytes = postcard::to_extend(entry, bytes).ok()?;
    let digest = Sha256::digest(&bytes[body..]);
    bytes[body - DIGEST..body].copy_from_slice(&digest);
    Some(bytes)
}

/// Reads an entry.
pub(super) fn decode<T: Kind>(bytes: &[u8]) -> Result<T, Unreadable> {
    let header = header();
    let Some(rest) = bytes.strip_prefix(header.as_bytes()) else {
        let is_ours = bytes.starts_with(NAME.as_bytes());
        return Err(if is_ours {
            Unreadable::OtherVersion
        } else {
            Unreadable::Damaged
        });
    };
    body_of(rest).and_then(whole).ok_or(Unreadable::Damaged)
}

impl Packed {
    /// `None` where it is too large.
    pub(super) fn of(ledger: &Partial) -> Option<Self> {
        let raw = postcard::to_allocvec(ledger).ok()?;
        let packed = zstd::bulk::compress(&raw, LEVEL).ok()?;
        if raw.len() > most_raw(packed.len()) {
            return None;
        }
        let mut bytes = (raw.len() as u64).to_le_bytes().to_vec();
        bytes.extend(packed);
        Some(Self(bytes))
    }

    pub(super) fn unpack(&self) -> Result<Partial, Unreadable> {
        let parts = self.0.split_first_chunk::<8>();
        let (length, packed) = parts.ok_or(Unreadable::Damaged)?;
        let length = u64::from_le_bytes(*length);
        let fits = |length: &usize| *length <= most_raw(packed.len());
        let length = usize::try_from(length)
            .ok()
            .filter(fits)
            .ok_or(Unreadable::TooLarge(length))?;
        let raw = zstd::bulk::decompress(packed, length).ok();
        raw.and_then(|raw| whole(&raw)).ok_or(Unreadable::Damaged)
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// In one go: byte by byte, as a `Vec<u8>` is read, takes longer than unpacking.
impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Packed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Packed, E> {
                Ok(Packed(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A value that takes up all of these bytes.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

/// What follows the header, if its digest is right.
fn body_of(rest: &[u8]) -> Option<&[u8]> {
    let (digest, body) = rest.split_at_checked(DIGEST)?;
    (digest == Sha256::digest(body).as_slice()).then_some(body)
}

/// How large a part of so many packed bytes may be.
fn most_raw(packed: usize) -> usize {
    packed.saturating_mul(MAX_RATIO).clamp(SMALL, MAX_RAW)
}

const NAME: &str = "brimful-ledger ";

fn header() -> String {
    format!("{NAME}{FORM} {}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(report: (String, String), detail: Detail, period: Option<String>) -> Subject {
        Subject {
            report,
            detail,
            own: [None, None],
            period,
        }
    }

    fn entry() -> Entry {
        Entry {
            subject: subject(
                ("s3://b/p".into(), "r".into()),
                Detail::Usage,
                Some("2026-11".into()),
            ),
            version: Version {
                manifest: Some(("m".into(), "etag".into(), vec!["f".into()])),
                files: vec![("f".into(), "etag".into())],
            },
            from: Some(7),
            summary: Summary {
                format: Some(Format::Legacy),
                rows: 3,
                bytes: 4,
                missing: vec!["column".into()],
            },
            ledger: Packed::of(&Partial::default()).unwrap(),
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        assert_eq!(decode(&encode(&entry()).unwrap()), Ok(entry()));
    }

    #[test]
    fn an_entry_with_any_bit_flipped_or_any_end_missing_is_not_read() {
        let bytes = encode(&entry()).unwrap();
        for at in 0..bytes.len() {
            assert!(decode::<Entry>(&bytes[..at]).is_err(), "{at} bytes");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(decode::<Entry>(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(decode::<Entry>(&longer), Err(Unreadable::Damaged));
    }

    #[test]
    fn an_entry_that_would_take_all_memory_is_refused_before_it_is_unpacked() {
        let bomb = |said: u64| {
            let mut body = said.to_le_bytes().to_vec();
            body.extend(zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap());
            Packed(body)
        };
        let honest = bomb(64 << 20);
        assert!(honest.0.len() < 40_000, "{}", honest.0.len());
        assert_eq!(honest.unpack(), Err(Unreadable::TooLarge(64 << 20)));
        assert_eq!(bomb(u64::MAX).unpack(), Err(Unreadable::TooLarge(u64::MAX)));
        // It unpacks to no more than it says.
        assert_eq!(bomb(1 << 20).unpack(), Err(Unreadable::Damaged));
    }

    #[test]
    fn an_entry_of_another_version_is_known_as_such() {
        let bytes = encode(&entry()).unwrap();
        let body = &bytes[header().len()..];
        let other = [b"brimful-ledger 0 0.0.1\n", body].concat();
        assert_eq!(decode::<Entry>(&other), Err(Unreadable::OtherVersion));
    }

    #[test]
    fn a_month_takes_the_place_of_the_same_month_a_year_ago_and_of_nothing_else() {
        let name = |report: &str, detail, period: Option<&str>| {
            let report = ("s3://b".to_owned(), report.to_owned());
            subject(report, detail, period.map(str::to_owned)).name("ledger")
        };
        let november = name("r", Detail::Usage, Some("2026-11"));
        assert_eq!(november, name("r", Detail::Usage, Some("2025-11")));
        for other in [
            name("r", Detail::Usage, Some("2026-12")),
            name("r", Detail::Plans, Some("2026-11")),
            name("r", Detail::Accounts, Some("2026-11")),
            name("r", Detail::Usage, None),
            name("s", Detail::Usage, Some("2026-11")),
        ] {
            assert_ne!(november, other);
        }
    }
}
