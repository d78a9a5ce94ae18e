//! Manifests: which files make up a billing period.

use serde_json::Value;

use brimful_types::{Error, Result};

/// What Brimful takes from a manifest; everything else in it is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Keys of the data files, as the manifest spells them: `s3://bucket/key` or bare keys.
    pub files: Vec<String>,
}

impl Manifest {
    /// Reads a manifest of a legacy report (`reportKeys`) or of Data Exports (`dataFiles`).
    ///
    /// # Errors
    /// It is no JSON, or names no files: that is a manifest of another sort, not a period without data.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let hint = "point --cur at the report's own folder; without a usable manifest, remove it and the files are listed";
        let json: Value = serde_json::from_slice(bytes)
            .map_err(|e| Error::report(format!("{name}: not a manifest: {e}")).hint(hint))?;
        let list = ["dataFiles", "reportKeys"]
            .iter()
            .find_map(|key| json.get(key)?.as_array());
        let Some(list) = list else {
            let message = format!("{name}: unrecognised manifest: it has neither dataFiles nor reportKeys");
            return Err(Error::report(message).hint(hint));
        };
        let files: Option<Vec<String>> = list
            .iter()
            .map(|entry| entry.as_str().map(str::to_owned))
            .collect();
        let files = files.ok_or_else(|| {
            Error::report(format!(
                "{name}: unrecognised manifest: its list of files holds no names"
            ))
            .hint(hint)
        })?;
        Ok(Self { files })
    }

    /// True unless the files are of another sort than parquet.
    #[must_use]
    pub fn is_parquet(&self) -> bool {
        self.files
            .iter()
            .all(|file| file.to_ascii_lowercase().ends_with(".parquet"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sorts_of_manifest_name_their_files() {
        let legacy = br#"{"assemblyId":"d4b1","reportKeys":["p/r/r/year=2026/month=11/r-00001.snappy.parquet"],"extra":1}"#;
        assert_eq!(Manifest::parse("m", legacy).unwrap().files.len(), 1);
        let export = br#"{"executionId":"x","dataFiles":["s3://b/p/e/data/BILLING_PERIOD=2026-11/e-00001.snappy.parquet"]}"#;
        assert!(Manifest::parse("m", export).unwrap().is_parquet());
        let csv = br#"{"contentType":"text/csv","reportKeys":["p/r-1.csv.gz"]}"#;
        assert!(!Manifest::parse("m", csv).unwrap().is_parquet());
    }

    #[test]
    fn a_manifest_without_a_list_is_not_an_empty_month() {
        assert!(
            Manifest::parse("m", b"{}")
                .unwrap_err()
                .to_string()
                .contains("unrecognised manifest")
        );
        assert!(Manifest::parse("m", br#"{"dataFiles":[1]}"#).is_err());
        assert!(
            Manifest::parse("m", b"PAR1")
                .unwrap_err()
                .to_string()
                .contains("not a manifest")
        );
        assert_eq!(
            Manifest::parse("m", br#"{"dataFiles":[]}"#).unwrap().files.len(),
            0
        );
    }
}
