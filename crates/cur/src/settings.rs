//! The report's part of the configuration: which report, and what reads it.

use std::borrow::Cow;

use chrono::Duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::athena::AthenaTable;
use crate::location::{Location, Place};
use brimful_types::span::Span;

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CurConfig {
    /// What reads the report: Brimful its files, or Athena a table over them.
    pub engine: Engine,
    /// The table, with `engine: athena`.
    pub athena: AthenaConfig,
    /// `s3://bucket[/prefix]`, a directory laid out like the bucket, or one parquet file. With `engine: athena` the place of
    /// the table's files, whose manifest is then looked at before and after a query.
    pub uri: Option<String>,
    /// Name of a report or export to look up instead of giving its place; `auto`: the only one that can be read.
    pub discover: Option<String>,
    /// A role to assume for reading: the payer's bucket is usually in another account.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// How long before the report's end an hour must have ended to count as complete.
    pub maturity: Span,
    /// How much history decisions look at.
    pub lookback: Span,
    /// Ask AWS for the SP rates of instance types that the report has not seen (`savingsplans:DescribeSavingsPlanRates`).
    pub describe_rates: bool,
    /// Ask AWS which plans there are now (`savingsplans:DescribeSavingsPlans`): those bought an hour ago, queued, returned.
    pub inventory: bool,
    /// Where what was counted of the report is kept for the next run: `s3://bucket[/prefix]` or a directory.
    pub cache: Option<String>,
}

impl Default for CurConfig {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            athena: AthenaConfig::default(),
            uri: None,
            discover: None,
            role_arn: None,
            external_id: None,
            maturity: Span(Duration::hours(24)),
            lookback: Span(Duration::days(35)),
            describe_rates: false,
            inventory: false,
            cache: None,
        }
    }
}

/// What reads the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Engine {
    /// Brimful, file by file.
    #[default]
    Local,
    /// Athena, by a query over a table of the report.
    Athena,
}

/// The table that Athena is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AthenaConfig {
    /// Data catalog.
    pub catalog: String,
    /// Database, such as `athenacurcfn_report`.
    pub database: Option<String>,
    /// Table of a legacy CUR or a CUR 2.0 export.
    pub table: Option<String>,
    /// Region of the table, if Brimful runs in another.
    pub region: Option<String>,
    /// Workgroup.
    pub workgroup: String,
    /// `s3://bucket/prefix` for results, unless the workgroup has a place of its own.
    pub output: Option<String>,
    /// A run whose queries scan more is stopped, and nothing changes.
    pub max_bytes_scanned: Bytes,
}

/// About a dollar a run: ten times what makes the engine worth while, and far less than years of a report.
const MOST: u64 = 200_000_000_000;

impl Default for AthenaConfig {
    fn default() -> Self {
        Self {
            catalog: "AwsDataCatalog".to_owned(),
            database: None,
            table: None,
            region: None,
            workgroup: "primary".to_owned(),
            output: None,
            max_bytes_scanned: Bytes(MOST),
        }
    }
}

impl CurConfig {
    /// True where it says which report to read.
    #[must_use]
    pub fn names_a_report(&self) -> bool {
        self.table().is_some() || self.uri.is_some() || self.discover.is_some()
    }

    /// The table to ask, if it is what reads the report.
    #[must_use]
    pub fn table(&self) -> Option<AthenaTable> {
        let AthenaConfig {
            catalog,
            database,
            table,
            region,
            workgroup,
            output,
            max_bytes_scanned,
        } = &self.athena;
        let files = self
            .uri
            .as_deref()
            .filter(|uri| !uri.is_empty())
            .and_then(|uri| uri.parse::<Location>().ok());
        Some(AthenaTable {
            catalog: catalog.clone(),
            database: database.clone().filter(|_| self.engine == Engine::Athena)?,
            table: table.clone()?,
            region: region.clone(),
            workgroup: workgroup.clone(),
            output: output.clone(),
            most_bytes: max_bytes_scanned.0,
            files: files.map(Box::new),
        })
    }
}

impl CurConfig {
    /// What the settings must fulfil together.
    ///
    /// # Errors
    /// Which do not, for people.
    pub fn check(&self) -> Result<(), String> {
        if self.uri.is_some() && self.discover.is_some() {
            return Err("cur: give uri or discover, not both".into());
        }
        check_engine(self)?;
        if let Some(uri) = &self.cache {
            uri.parse::<Place>().map_err(|e| format!("cur.cache: {e}"))?;
        }
        Ok(())
    }
}

fn check_engine(cur: &CurConfig) -> Result<(), String> {
    if cur.engine == Engine::Local {
        return Ok(());
    }
    if cur.athena.database.is_none() || cur.athena.table.is_none() {
        return Err("cur.athena: engine athena needs database and table".into());
    }
    if cur.discover.is_some() {
        return Err(
            "cur.discover: finds files; engine athena asks the table of cur.athena, and uri may say where its files lie"
                .into(),
        );
    }
    if cur.cache.is_some() {
        return Err("cur.cache: keeps what was counted of files; engine athena reads none".into());
    }
    if let Some(uri) = cur.uri.as_ref().filter(|uri| !uri.is_empty()) {
        uri.parse::<Location>().map_err(|e| format!("cur.uri: {e}"))?;
    }
    if cur
        .athena
        .output
        .as_ref()
        .is_some_and(|output| !output.starts_with("s3://"))
    {
        return Err("cur.athena.output: must be s3://bucket/prefix".into());
    }
    Ok(())
}

/// An amount of bytes such as `200GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no amount of bytes: write a whole number and MB, GB or TB, such as 200GB")
        };
        let units = [
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000_u64),
        ];
        let (count, unit) = units
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), unit)))
            .ok_or_else(wrong)?;
        let count: u64 = count.parse().map_err(|_| wrong())?;
        count
            .checked_mul(*unit)
            .filter(|bytes| *bytes > 0)
            .map(Self)
            .ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+ *[MGT]B$", "examples": ["200GB", "1TB"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_need_a_unit() {
        assert_eq!("200GB".parse(), Ok(Bytes(200_000_000_000)));
        assert_eq!("1 TB".parse(), Ok(Bytes(1_000_000_000_000)));
        for wrong in ["200", "GB", "0GB", "-1GB", "1.5TB", "99999999999999TB"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_table_is_asked_only_when_it_is_the_engine() {
        let mut cur = CurConfig {
            athena: AthenaConfig {
                database: Some("billing".into()),
                table: Some("cur".into()),
                ..AthenaConfig::default()
            },
            uri: Some("s3://acme/cur".into()),
            ..CurConfig::default()
        };
        assert_eq!(cur.table(), None);
        cur.engine = Engine::Athena;
        assert_eq!(cur.check(), Ok(()));
        let table = cur.table().unwrap();
        assert_eq!(table.to_string(), "athena:billing.cur");
        assert_eq!(
            table.files.as_deref(),
            Some(&"s3://acme/cur".parse::<Location>().unwrap())
        );
        cur.athena.output = Some("results".into());
        assert!(cur.check().unwrap_err().contains("cur.athena.output"));
        cur.athena.table = None;
        assert!(cur.check().unwrap_err().contains("database and table"));
    }
}
