//! AWS as it rewrites a report: one delivery after the other, object by object, each version told by every row of it.

use super::cur::{Bucket, COMPUTE, Layout, Row, STATUS};
use super::s3::S3;

/// Hours of the report.
pub(crate) const HOURS: i32 = 30;
const MONTH: &str = "2026-11";
const COMMITMENT: f64 = 10.0;
/// What a version's number is worth as used commitment, in $/h.
const STEP: f64 = 1e-4;

/// How a report is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) layout: Layout,
    /// With the status file of a legacy report for Athena.
    status: bool,
    manifest_first: bool,
}

impl Way {
    const fn new(name: &'static str, layout: Layout) -> Self {
        Self {
            name,
            layout,
            status: false,
            manifest_first: false,
        }
    }

    /// Both services, in place and version by version.
    pub(crate) const ALL: [Self; 6] = [
        Self {
            status: true,
            manifest_first: true,
            ..Self::new("legacy-manifest-first", Layout::Legacy)
        },
        Self {
            status: true,
            ..Self::new("legacy-manifest-last", Layout::Legacy)
        },
        Self::new("legacy-without-status", Layout::Legacy),
        Self::new("legacy-versions", Layout::LegacyCreateNew),
        Self::new("export", Layout::Export),
        Self::new("export-versions", Layout::ExportCreateNew),
    ];

    /// False where nothing tells a rewrite that has come to rest half-way from one that is done.
    pub(crate) fn tells_when_it_is_done(self) -> bool {
        self.layout != Layout::Legacy || self.status
    }

    /// True where the end of a delivery may be known by nothing but that it rests.
    pub(crate) fn needs_rest(self) -> bool {
        !self.tells_when_it_is_done() || self.layout == Layout::Export
    }
}

/// One write.
#[derive(Debug)]
pub(crate) enum Write {
    Put(String, Vec<u8>),
    Delete(String),
}

/// The report, rewritten in one way.
pub(crate) struct Rewriter {
    pub(crate) way: Way,
    pub(crate) bucket: String,
    forms: Bucket,
}

impl Rewriter {
    /// A report that does not exist yet, in a bucket of its own.
    pub(crate) fn new(way: Way, bucket: &str) -> Self {
        S3::shared().create_bucket(bucket);
        Self {
            way,
            bucket: bucket.to_owned(),
            forms: Bucket::new(way.layout),
        }
    }

    /// How many files a version has.
    fn chunks(version: u64) -> usize {
        [2, 4, 1, 3][usize::try_from(version % 4).expect("small")]
    }

    /// The rows of one of so many files. An hour's fee and its covered usage lie in different ones, if there are two.
    fn rows(version: u64, chunk: usize, chunks: usize) -> Vec<Row> {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let used = version as f64 * STEP;
        let lies_here = |hour: i32| usize::try_from(hour).is_ok_and(|hour| hour % chunks == chunk - 1);
        (0..HOURS)
            .flat_map(|hour| {
                let [fee, covered] = Row::hour_of(COMPUTE, hour, COMMITMENT, used);
                [
                    lies_here(hour).then_some(fee),
                    lies_here(hour + 1).then_some(covered),
                ]
            })
            .flatten()
            .collect()
    }

    /// All writes of a delivery, in their order.
    pub(crate) fn delivery(&self, version: u64) -> Vec<Write> {
        let (forms, name) = (&self.forms, version.to_string());
        let chunks = Self::chunks(version);
        let mut keys: Vec<String> = (1..=chunks).map(|chunk| forms.key(MONTH, &name, chunk)).collect();
        let mut data: Vec<Write> = keys
            .iter()
            .zip(1..)
            .map(|(key, chunk)| Write::Put(key.clone(), forms.data(&Self::rows(version, chunk, chunks))))
            .collect();
        let in_place = matches!(self.way.layout, Layout::Legacy | Layout::Export);
        if in_place && version > 1 {
            // The last delivery's surplus files are emptied (legacy: or left as they are); some manifests name them.
            let surplus: Vec<String> = (chunks + 1..=Self::chunks(version - 1))
                .map(|chunk| forms.key(MONTH, &name, chunk))
                .collect();
            let emptied = self.way.layout == Layout::Export || !version.is_multiple_of(3);
            if emptied {
                data.extend(surplus.iter().map(|key| Write::Put(key.clone(), forms.data(&[]))));
                if version.is_multiple_of(2) {
                    keys.extend(surplus);
                }
            }
        }
        let manifest = forms.manifest(&name, &keys).to_string().into_bytes();
        let manifests = forms.manifest_keys(MONTH, &name).into_iter();
        let manifests: Vec<Write> = manifests.map(|key| Write::Put(key, manifest.clone())).collect();
        let status = |text| {
            let status = self.way.status.then(|| Bucket::status(text));
            status.map(|bytes| Write::Put(STATUS.to_owned(), bytes))
        };
        let (first, last) = if self.way.manifest_first {
            (manifests, data)
        } else {
            (data, manifests)
        };
        let mut writes: Vec<Write> = status("UPDATING").into_iter().collect();
        writes.extend(first.into_iter().chain(last).chain(status("READY")));
        if !in_place && version > 2 {
            // A lifecycle rule that keeps two versions.
            let old = (version - 2).to_string();
            let files = (1..=Self::chunks(version - 2)).map(|chunk| forms.key(MONTH, &old, chunk));
            writes.extend(files.map(Write::Delete));
        }
        writes
    }

    pub(crate) fn write(&self, write: Write) {
        match write {
            Write::Put(key, bytes) => drop(S3::shared().put(&self.bucket, &key, bytes)),
            Write::Delete(key) => S3::shared().delete(&self.bucket, &key),
        }
    }

    /// The version that every figure of these tells.
    ///
    /// # Panics
    /// Figures of two versions, or of a part of one.
    #[track_caller]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small numbers"
    )]
    pub(crate) fn version_of(figures: &[f64]) -> u64 {
        let mut versions: Vec<u64> = figures
            .iter()
            .map(|dollars| (dollars / STEP).round() as u64)
            .collect();
        versions.dedup();
        assert_eq!(versions.len(), 1, "a mix of versions: {versions:?}");
        versions[0]
    }
}
