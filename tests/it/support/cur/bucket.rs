//! The layouts in which AWS delivers reports, in a temporary directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{File, Row};

/// Where the status file lies.
pub(crate) const STATUS: &str = "billing/acme/acme/cost_and_usage_data_status/status.snappy.parquet";

/// Who delivered, and whether a delivery overwrites the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Legacy report for Athena: files overwritten in place.
    Legacy,
    /// Legacy report that keeps every version, each in the folder of its assembly id.
    LegacyCreateNew,
    /// Data Exports, overwritten in place.
    Export,
    /// Data Exports that keep every execution.
    ExportCreateNew,
}

impl Layout {
    pub(crate) const ALL: [Self; 4] = [
        Self::Legacy,
        Self::LegacyCreateNew,
        Self::Export,
        Self::ExportCreateNew,
    ];

    fn is_export(self) -> bool {
        matches!(self, Self::Export | Self::ExportCreateNew)
    }
}

/// A bucket with one report.
#[derive(Debug)]
pub(crate) struct Bucket {
    dir: TempDir,
    layout: Layout,
    file: File,
    /// How the months' folders of an export are spelt.
    partition: &'static str,
}

impl Bucket {
    /// A bucket whose report has the form that goes with the layout.
    pub(crate) fn new(layout: Layout) -> Self {
        let file = if layout.is_export() {
            File::cur2()
        } else {
            File::legacy()
        };
        Self::with(layout, file)
    }

    pub(crate) fn with(layout: Layout, file: File) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            dir,
            layout,
            file,
            partition: "BILLING_PERIOD",
        }
    }

    /// The months of an export in other folders: FOCUS's are `billing_period=`.
    pub(crate) fn partitioned_by(self, partition: &'static str) -> Self {
        Self { partition, ..self }
    }

    /// A legacy report of one file for November 2026.
    pub(crate) fn of(rows: impl IntoIterator<Item = Row>) -> Self {
        Self::written(File::legacy(), rows)
    }

    /// A legacy report of one file for each month.
    pub(crate) fn by_month(rows: impl IntoIterator<Item = Row>) -> Self {
        let bucket = Self::new(Layout::Legacy);
        let mut months: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let month = row.start.format("%Y-%m").to_string();
            months.entry(month).or_default().push(row);
        }
        for (month, rows) in &months {
            bucket.deliver(month, "1", &[rows]);
        }
        bucket
    }

    /// One file of that form for November 2026.
    pub(crate) fn written(file: File, rows: impl IntoIterator<Item = Row>) -> Self {
        let layout = if file.is_export() {
            Layout::Export
        } else {
            Layout::Legacy
        };
        let bucket = Self::with(layout, file);
        bucket.deliver("2026-11", "1", &[&rows.into_iter().collect::<Vec<_>>()]);
        bucket
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn join(&self, key: &str) -> PathBuf {
        self.dir.path().join(key)
    }

    /// Writes a version of a month, one data file for each chunk of rows, then the manifest. Returns the files' keys.
    pub(crate) fn deliver(&self, month: &str, version: &str, chunks: &[&[Row]]) -> Vec<String> {
        let keys: Vec<String> = (1..=chunks.len())
            .map(|chunk| self.key(month, version, chunk))
            .collect();
        for (key, rows) in keys.iter().zip(chunks) {
            self.file.write(&self.join(key), rows);
        }
        self.write_manifest(month, version, &keys);
        keys
    }

    /// Where a data file lies.
    pub(crate) fn key(&self, month: &str, version: &str, chunk: usize) -> String {
        let name = format!("acme-{chunk:05}.snappy.parquet");
        match self.layout {
            Layout::Legacy => {
                let (year, month) = month.split_once('-').unwrap();
                let month = month.trim_start_matches('0');
                format!("billing/acme/acme/year={year}/month={month}/{name}")
            }
            Layout::LegacyCreateNew => format!("billing/acme/{}/{}/{name}", dates(month), assembly(version)),
            Layout::Export => format!("billing/acme/data/{}={month}/{name}", self.partition),
            Layout::ExportCreateNew => format!(
                "billing/acme/data/{}={month}/{}/{name}",
                self.partition,
                execution(version)
            ),
        }
    }

    /// Where the manifest lies that always names the newest version.
    pub(crate) fn manifest_key(&self, month: &str) -> String {
        if self.layout.is_export() {
            return format!(
                "billing/acme/metadata/{}={month}/acme-Manifest.json",
                self.partition
            );
        }
        format!("billing/acme/{}/acme-Manifest.json", dates(month))
    }

    pub(crate) fn write_manifest(&self, month: &str, version: &str, keys: &[String]) {
        let manifest = self.manifest(version, keys);
        for key in self.manifest_keys(month, version) {
            self.write_json(&key, &manifest);
        }
    }

    /// Where a version's manifest lies: in the version's own folder, if it has one, and then where it always is.
    pub(crate) fn manifest_keys(&self, month: &str, version: &str) -> Vec<String> {
        let newest = self.manifest_key(month);
        let own = match self.layout {
            Layout::LegacyCreateNew => Some(assembly(version)),
            Layout::ExportCreateNew => Some(execution(version)),
            _ => None,
        };
        let own = own.map(|folder| newest.replace("acme-Manifest", &format!("{folder}/acme-Manifest")));
        own.into_iter().chain([newest.clone()]).collect()
    }

    /// What a version's manifest says.
    pub(crate) fn manifest(&self, version: &str, keys: &[String]) -> Json {
        if self.layout.is_export() {
            let files: Vec<String> = keys
                .iter()
                .map(|key| format!("s3://acme-billing/{key}"))
                .collect();
            return json!({
                "executionId": execution(version),
                "exportArn": "arn:aws:bcm-data-exports:us-east-1:999988887777:export/acme-0a1b2c3d",
                "columns": [{"name": "line_item_line_item_type", "type": "string"}],
                "dataFiles": files, "additionalOutputFiles": [],
            });
        }
        json!({
            "assemblyId": assembly(version), "account": "999988887777", "contentType": "Parquet", "compression": "Parquet",
            "reportName": "acme", "bucket": "acme-billing", "reportKeys": keys,
        })
    }

    /// The status file of a legacy report for Athena: `READY` or `UPDATING`.
    pub(crate) fn write_status(&self, status: &str) {
        self.write_bytes(STATUS, &Self::status(status));
    }

    /// The bytes of a status file.
    pub(crate) fn status(status: &str) -> Vec<u8> {
        let column: ArrayRef = Arc::new(StringArray::from(vec![status]));
        let batch = RecordBatch::try_from_iter([("status", column)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    /// The bytes of a data file.
    pub(crate) fn data(&self, rows: &[Row]) -> Vec<u8> {
        self.file.bytes(rows)
    }

    pub(crate) fn write_json(&self, key: &str, json: &Json) {
        self.write_bytes(key, json.to_string().as_bytes());
    }

    pub(crate) fn write_bytes(&self, key: &str, bytes: &[u8]) {
        let path = self.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn dates(month: &str) -> String {
    let (year, month) = month.split_once('-').unwrap();
    let (year, month): (i32, i32) = (year.parse().unwrap(), month.parse().unwrap());
    let (next_year, next_month) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    format!("{year}{month:02}01-{next_year}{next_month:02}01")
}

fn assembly(version: &str) -> String {
    format!("a55e4b1e-0000-0000-0000-{version:0>12}")
}

/// Folders of executions begin with their time, so later ones sort later.
fn execution(version: &str) -> String {
    format!("202611{version:0>2}T120000Z-e8ec0000-0000-0000-0000-{version:0>12}")
}
