//! The configuration file: one YAML document, unknown keys refused, every default right for a user who sets only
//! `cur.uri`.

use std::path::Path;

use chrono::Duration;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use brimful_cur::location::Place;
use brimful_policy::settings::{
    ClusterConfig, Grips, LimitsConfig, Mode, NodePoolsConfig, PolicyConfig, Settings, Share, TopUpConfig,
    WeightsConfig,
};
use brimful_types::span::Span;
use brimful_types::{Error, Result};

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
    /// By what pools are steered: `weight`, always; `disruption` (protection from consolidation, as long as the plans pay
    /// for the nodes) and `limits` by consent. A pool's annotation brimful.dev/grips overrides it.
    pub grips: Grips,
    /// `spec.limits`.
    pub limits: LimitsConfig,
    /// Spot nodes that are given up, so that their pods move to a pool that lacks nodes: Brimful deletes their `NodeClaims`.
    pub top_up: TopUpConfig,
    /// Whether pods are listed, which takes a right of its own. Default: where `topUp` moves nodes.
    pub pods: Option<bool>,
    /// The part (0–1] of the plans' headroom that this cluster may take, where several clusters share the plans.
    /// Default: split with the clusters that coordinate; else this cluster's part of the use that carries a cluster tag.
    pub share: Option<Share>,
    /// Whose plans this cluster may use.
    pub sharing: SharingConfig,
    /// Where clusters on the same plans tell each other their live demand.
    pub coordination: CoordinationConfig,
    /// Whom to tell what is done.
    pub notify: NotifyConfig,
    /// Logs, metrics and traces.
    pub telemetry: TelemetryConfig,
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

/// Logs, metrics and traces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// How log lines look on standard error.
    pub logs: LogFormat,
    /// The Pushgateway that each run's metrics are sent to: its address, or that with /metrics/job/….
    pub pushgateway: Option<Secret>,
    /// The OTLP receiver (http/protobuf) for metrics and traces, such as `http://collector:4318`.
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` goes before it.
    pub otlp: Option<Secret>,
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
    /// Whether pods are listed.
    #[must_use]
    pub fn lists_pods(&self) -> bool {
        self.pods.unwrap_or(self.top_up.is_on())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// A usage error with line, column and source line.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::usage(format!("cannot read the configuration {}: {e}", path.display())))?;
        Self::parse(&text).map_err(|message| {
            Error::usage(format!("{}: {}", path.display(), without_addresses(&message)))
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
        let top_up = &self.top_up;
        if top_up.nodes_per_hour > 60 {
            return Err("topUp.nodesPerHour: 60 at most".into());
        }
        if !top_up.is_on() && !top_up.from.is_empty() {
            return Err(
                "topUp.from: say with topUp.nodesPerHour how many Spot nodes may be given up in an hour"
                    .into(),
            );
        }
        if top_up.is_on() && self.pods == Some(false) {
            return Err(
                "topUp: no Spot node is given up before its pods are seen: leave pods: false out".into(),
            );
        }
        self.cur.check()?;
        if let Some(uri) = &self.coordination.uri {
            uri.parse::<Place>()
                .map_err(|e| format!("coordination.uri: {e}"))?;
        }
        let telemetry = &self.telemetry;
        for (key, url) in [("pushgateway", &telemetry.pushgateway), ("otlp", &telemetry.otlp)] {
            if url.as_ref().is_some_and(|url| !is_web_address(url.reveal())) {
                return Err(format!("telemetry.{key}: must begin with https:// or http://"));
            }
        }
        self.notify.check()
    }

    /// What of it decisions depend on.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            mode: self.mode,
            paused: self.paused,
            maturity: self.cur.maturity,
            lookback: self.cur.lookback,
            cluster: self.cluster.clone(),
            policy: self.policy.clone(),
            node_pools: self.node_pools.clone(),
            weights: self.weights,
            grips: self.grips.clone(),
            limits: self.limits,
            top_up: self.top_up.clone(),
            share: self.share,
            peer_max_age: self.coordination.max_age,
        }
    }

    /// The configuration's JSON Schema.
    #[must_use]
    pub fn schema() -> Schema {
        schemars::schema_for!(Self)
    }
}

pub(crate) use self::notify::is_web_address;
pub use self::notify::{NotifyConfig, NotifyEvent, NotifyFormat, Secret, Webhook};
/// A message shows the lines around a mistake, and an address there may be a secret.
fn without_addresses(message: &str) -> String {
    let mut shown = String::new();
    let mut rest = message;
    while let Some(start) = rest.find("://") {
        let (before, address) = rest.split_at(start + 3);
        let is_web = before.ends_with("http://") || before.ends_with("https://");
        let end = address.find(|c: char| c.is_whitespace() || "\"',}]".contains(c));
        let end = if is_web { end.unwrap_or(address.len()) } else { 0 };
        shown.push_str(before);
        shown.push_str(if is_web && end > 0 { "…" } else { "" });
        rest = &address[end..];
    }
    shown + rest
}

pub use brimful_cur::settings::{AthenaConfig, Bytes, CurConfig, Engine};

mod notify;

#[cfg(test)]
mod tests;
