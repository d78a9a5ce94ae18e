//! What a user can set of how decisions are made.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use brimful_types::span::Span;
use chrono::{DateTime, Datelike, Duration, NaiveTime, Utc, Weekday};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// Everything that decisions depend on beside the report and the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether `apply` patches.
    pub mode: Mode,
    /// Stops all changes.
    pub paused: bool,
    /// How long before the report's end an hour must have ended to count as complete.
    pub maturity: Span,
    /// How much history decisions look at.
    pub lookback: Span,
    /// The cluster whose `NodePool`s are steered.
    pub cluster: ClusterConfig,
    /// When to fill, hold and drain.
    pub policy: PolicyConfig,
    /// Which `NodePool`s may be changed, beside those labelled.
    pub node_pools: NodePoolsConfig,
    /// Weights to use instead of computed ones.
    pub weights: WeightsConfig,
    /// By what pools are steered.
    pub grips: Grips,
    /// `spec.limits`.
    pub limits: LimitsConfig,
    /// Which Spot nodes may move over.
    pub top_up: TopUpConfig,
    /// The part (0–1] of the plans' headroom that this cluster may take.
    pub share: Option<Share>,
    /// A cluster that has told nothing for longer is seen as the report shows it.
    pub peer_max_age: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            paused: false,
            maturity: Span(Duration::hours(24)),
            lookback: Span(Duration::days(35)),
            cluster: ClusterConfig::default(),
            policy: PolicyConfig::default(),
            node_pools: NodePoolsConfig::default(),
            weights: WeightsConfig::default(),
            grips: Grips::default(),
            limits: LimitsConfig::default(),
            top_up: TopUpConfig::default(),
            share: None,
            peer_max_age: Span(Duration::minutes(30)),
        }
    }
}

impl Settings {
    /// By what pools are steered that do not say otherwise: `limits.manage` is another word for one of them.
    #[must_use]
    pub fn chosen_grips(&self) -> Grips {
        let mut grips = self.grips.clone();
        if self.limits.manage {
            grips.0.insert(Grip::Limits);
        }
        grips
    }
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
    /// Its name by the kubeconfig's context in use; no setting.
    #[serde(skip)]
    pub in_kubeconfig: Option<String>,
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

/// What of a `NodePool` is set. Each needs the user's consent of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Grip {
    /// `spec.weight`: where new nodes come from.
    Weight,
    /// An entry in `spec.disruption.budgets`: whether consolidation may take nodes that are in use.
    Disruption,
    /// `spec.limits`: how much there may be.
    Limits,
}

/// By what pools are steered: the weight always, the others by consent.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Grips(BTreeSet<Grip>);

impl Grips {
    /// True when this one may be used.
    #[must_use]
    pub fn allow(&self, grip: Grip) -> bool {
        self.0.contains(&grip)
    }

    /// Those of a pool's annotation, parted by commas.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = text.split(',').map(|word| match word.trim() {
            "weight" => Ok(Grip::Weight),
            "disruption" => Ok(Grip::Disruption),
            "limits" => Ok(Grip::Limits),
            other => Err(format!("{other:?} is none of weight, disruption and limits")),
        });
        Self::of(named.collect::<Result<_, _>>()?)
    }

    /// A pool whose weight must not move cannot be steered at all.
    fn of(grips: BTreeSet<Grip>) -> Result<Self, String> {
        if grips.contains(&Grip::Weight) {
            return Ok(Self(grips));
        }
        Err("weight must be among them: the others rest on it (to stop all changes, use paused)".to_owned())
    }
}

impl Default for Grips {
    fn default() -> Self {
        Self(BTreeSet::from([Grip::Weight]))
    }
}

impl<'de> Deserialize<'de> for Grips {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let grips = BTreeSet::deserialize(deserializer)?;
        Self::of(grips).map_err(|why| de::Error::custom(format!("grips: {why}")))
    }
}

/// `spec.limits`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// True to steer by limits where an overflow pool exists: another word for `limits` among the grips. A pool's
    /// annotation brimful.dev/manage-limits overrides both.
    pub manage: bool,
}

/// Spot nodes that are given up, so that their pods move to a pool that lacks nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TopUpConfig {
    /// So many in an hour at most, one at a time. None by default.
    #[schemars(range(max = 60))]
    pub nodes_per_hour: u32,
    /// The Spot `NodePools` whose nodes may go. Default: all whose pods the pool takes that lacks nodes. Helm's chart needs
    /// them named, since its admission policy names them.
    pub from: Vec<String>,
}

impl TopUpConfig {
    /// True where nodes may move at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.nodes_per_hour > 0
    }
}

/// A part of a whole, more than 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WHAT: &str = "share: a number from 0 to 1, such as 0.5";
        struct Part;
        impl de::Visitor<'_> for Part {
            type Value = f64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WHAT)
            }

            fn visit_f64<E: de::Error>(self, part: f64) -> Result<f64, E> {
                Ok(part)
            }

            fn visit_u64<E: de::Error>(self, part: u64) -> Result<f64, E> {
                u32::try_from(part).map(f64::from).map_err(|_| E::custom(WHAT))
            }

            fn visit_i64<E: de::Error>(self, part: i64) -> Result<f64, E> {
                i32::try_from(part).map(f64::from).map_err(|_| E::custom(WHAT))
            }
        }
        let part = deserializer.deserialize_any(Part)?;
        if part > 0.0 && part <= 1.0 {
            return Ok(Self(part));
        }
        Err(de::Error::custom(
            "share must be more than 0 and at most 1, such as 0.5",
        ))
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
