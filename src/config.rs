//! The configuration file: one YAML document, unknown keys refused, every default right for a user who sets only
//! `cur.uri`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Datelike, Duration, NaiveTime, Utc, Weekday};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::cur::location::Place;
use crate::hour::parse_duration;
use crate::{Error, Result};

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Brimful configuration")]
pub struct Config {
    /// `apply` patches `NodePools`; `observe` does everything but the patches and records what it would change.
    pub mode: Mode,
    /// Stops all changes.
    pub paused: bool,
    /// The Cost and Usage Report.
    pub cur: CurConfig,
    /// The cluster whose `NodePools` are steered; detected from Nodes and the report when left out.
    pub cluster: ClusterConfig,
    /// When to fill, hold and drain.
    pub policy: PolicyConfig,
    /// Which `NodePools` may be changed, beside those labelled brimful.dev/managed: "true".
    pub node_pools: NodePoolsConfig,
    /// Weights to use instead of computed ones.
    pub weights: WeightsConfig,
    /// `spec.limits`.
    pub limits: LimitsConfig,
    /// The part (0–1] of the plans' headroom that this cluster may take, where several clusters share the plans.
    /// Default: split with the clusters that coordinate; else this cluster's part of the use that carries a cluster tag.
    pub share: Option<Share>,
    /// Whose plans this cluster may use.
    pub sharing: SharingConfig,
    /// Where clusters on the same plans tell each other their live demand.
    pub coordination: CoordinationConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
}

/// Whether `apply` patches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Patch.
    #[default]
    Apply,
    /// Record what would be patched.
    Observe,
}

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
            cache: None,
        }
    }
}

/// The cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// Name of the EKS cluster, as in the tag `aws:eks:cluster-name`.
    pub name: Option<String>,
    /// AWS account id of its nodes.
    pub account: Option<String>,
    /// Region code of its nodes.
    pub region: Option<String>,
}

/// When to fill, hold and drain.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// The two thresholds and the drain band.
    pub thresholds: Thresholds,
    /// The hours ahead in which the plans should have room for what is filled now: a node stays for a while.
    pub lookahead: Span,
    /// The least time between two changes of one `NodePool`; how long demand must exceed the commitment to drain.
    pub dwell: Span,
    /// How long a data freeze may last before `onMaxHold` applies.
    pub max_hold: Span,
    /// After `maxHold`: keep everything as it is, or restore the baseline.
    pub on_max_hold: OnMaxHold,
    /// Older reports freeze everything.
    pub max_data_age: Span,
    /// Filling stops while live on-demand nodes cost more than this ($/h at SP rates) beyond the commitment.
    pub max_extra_on_demand: Option<f64>,
    /// Plans that end within this time give no headroom.
    pub ending_within: Span,
    /// Times in which nothing changes.
    pub blackouts: Vec<Blackout>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            lookahead: Span(Duration::hours(18)),
            dwell: Span(Duration::hours(1)),
            max_hold: Span(Duration::hours(48)),
            on_max_hold: OnMaxHold::Keep,
            max_data_age: Span(Duration::hours(72)),
            max_extra_on_demand: None,
            ending_within: Span(Duration::hours(6)),
            blackouts: Vec::new(),
        }
    }
}

/// Two thresholds with a band between them.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Thresholds {
    /// Start to fill when there is room for this many of the cheapest node the pool can launch.
    pub fill: f64,
    /// Stop filling when there is room for no more than this many.
    pub hold: f64,
    /// Drain when demand exceeds the commitment by more than this part of it (and by more than one node).
    pub drain: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            fill: 1.0,
            hold: 0.5,
            drain: 0.05,
        }
    }
}

/// What to do when a data freeze lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnMaxHold {
    /// Leave everything as it is.
    #[default]
    Keep,
    /// Restore the baseline.
    Baseline,
}

/// A time in which nothing changes, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blackout {
    /// `Mon` … `Sun`; every day when left out.
    #[serde(default)]
    pub days: Vec<Day>,
    /// `HH:MM`, inclusive.
    pub from: ClockTime,
    /// `HH:MM`, exclusive; earlier than `from` means the next day.
    pub to: ClockTime,
}

impl Blackout {
    /// True when `now` lies in it.
    #[must_use]
    pub fn covers(&self, now: DateTime<Utc>) -> bool {
        let on = |day: Weekday| self.days.is_empty() || self.days.iter().any(|d| d.0 == day);
        let (time, today) = (now.time(), now.weekday());
        let (from, to) = (self.from.0, self.to.0);
        if from <= to {
            return on(today) && from <= time && time < to;
        }
        (on(today) && from <= time) || (on(today.pred()) && time < to)
    }
}

/// Which `NodePools` may be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodePoolsConfig {
    /// Labels that a `NodePool` must all have.
    pub selector: BTreeMap<String, String>,
    /// Names.
    pub names: Vec<String>,
}

/// Weights to use instead of computed ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WeightsConfig {
    /// While filling; used only if it lies above every competing pool.
    #[schemars(range(min = 1, max = 100))]
    pub fill: Option<i32>,
    /// While holding or draining; used only if it lies below every competing Spot and mixed pool.
    #[schemars(range(min = 1, max = 100))]
    pub r#yield: Option<i32>,
}

/// `spec.limits`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// True to steer by limits where an overflow pool exists; a pool's annotation brimful.dev/manage-limits overrides it.
    pub manage: bool,
}

/// Whose plans may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SharingConfig {
    /// Accounts whose plans reach this cluster. All when left out (AWS's default: sharing across the organization).
    pub accounts: Option<Vec<String>>,
}

/// Where clusters on the same plans tell each other their live demand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CoordinationConfig {
    /// `s3://bucket[/prefix]` or a directory that all of them can read and write. Needs the cluster's name.
    pub uri: Option<String>,
    /// A cluster that has told nothing for longer is seen as the report shows it.
    pub max_age: Span,
}

impl Default for CoordinationConfig {
    fn default() -> Self {
        Self {
            uri: None,
            max_age: Span(Duration::minutes(30)),
        }
    }
}

/// Logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// How log lines look on standard error.
    pub logs: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// A usage error with line, column and source line.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::usage(format!("cannot read the configuration {}: {e}", path.display())))?;
        Self::parse(&text).map_err(|message| {
            Error::usage(format!("{}: {message}", path.display()))
                .hint("`brimful schema` prints the keys and their types")
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // A file of comments is an empty configuration.
        let is_blank =
            |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---";
        if text.lines().all(is_blank) {
            return Ok(Self::default());
        }
        let config: Self = serde_saphyr::from_str(text)
            .map_err(|e| e.to_string().trim_start_matches("error: ").to_owned())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let thresholds = self.policy.thresholds;
        if !(thresholds.fill > thresholds.hold && thresholds.hold >= 0.0 && thresholds.drain > 0.0) {
            return Err("policy.thresholds: fill must exceed hold, hold must not be negative, and drain must be positive".into());
        }
        if !(Duration::hours(1)..=Duration::hours(24)).contains(&self.policy.lookahead.0) {
            return Err("policy.lookahead: 1h to 24h".into());
        }
        for (key, weight) in [("fill", self.weights.fill), ("yield", self.weights.r#yield)] {
            if weight.is_some_and(|weight| !(1..=100).contains(&weight)) {
                return Err(format!("weights.{key}: a NodePool's weight is 1 to 100"));
            }
        }
        if self
            .policy
            .max_extra_on_demand
            .is_some_and(|dollars| !(0.0..1e9).contains(&dollars))
        {
            return Err("policy.maxExtraOnDemand: must be $/h, zero or more".into());
        }
        if self.cur.uri.is_some() && self.cur.discover.is_some() {
            return Err("cur: give uri or discover, not both".into());
        }
        athena::check(&self.cur)?;
        if let Some(uri) = &self.cur.cache {
            uri.parse::<Place>().map_err(|e| format!("cur.cache: {e}"))?;
        }
        if let Some(uri) = &self.coordination.uri {
            uri.parse::<Place>()
                .map_err(|e| format!("coordination.uri: {e}"))?;
        }
        Ok(())
    }

    /// The configuration's JSON Schema.
    #[must_use]
    pub fn schema() -> Schema {
        schemars::schema_for!(Self)
    }
}

/// A length of time such as `24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+[smhdw]$", "examples": ["24h", "14d"]})
    }
}

/// A part of a whole, more than 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(deserializer)?;
        if part > 0.0 && part <= 1.0 {
            return Ok(Self(part));
        }
        Err(de::Error::custom("share must be more than 0 and at most 1"))
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub Weekday);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let day = text
            .parse()
            .map_err(|_| de::Error::custom(format!("`{text}` is not a day: write Mon, Tue, …")))?;
        Ok(Self(day))
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]})
    }
}

/// A time of day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTime(pub NaiveTime);

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        NaiveTime::parse_from_str(&text, "%H:%M")
            .map(Self)
            .map_err(|_| de::Error::custom(format!("`{text}` is not a time of day: write HH:MM")))
    }
}

impl JsonSchema for ClockTime {
    fn schema_name() -> Cow<'static, str> {
        "ClockTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$", "examples": ["08:30"]})
    }
}

mod athena;

pub use athena::{AthenaConfig, Bytes, Engine};

#[cfg(test)]
mod tests;
