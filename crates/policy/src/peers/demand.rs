//! What one cluster tells the others: a small JSON document, written at every run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::identity::Identity;
use brimful_types::money::Money;

/// Name and version of the document's shape.
const SCHEMA: &str = "brimful/demand/v1";
/// No cluster has so much to tell: larger objects are not read.
pub const MAX_BYTES: u64 = 1 << 20;
/// What an amount must stay below, $/h.
const MOST: f64 = 1e9;
const ENDING: &str = ".json";

/// One cluster's live demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demand {
    /// Name and version of the document's shape.
    pub schema: String,
    /// Its name, as in the cluster tag.
    pub cluster: String,
    /// AWS account of its nodes.
    pub account: Option<String>,
    /// Region of its nodes.
    pub region: Option<String>,
    /// When it looked.
    pub time: DateTime<Utc>,
    /// Its `NodePools` and their uids: they tell its untagged use, and two clusters of one name apart.
    pub node_pools: BTreeMap<String, Option<String>>,
    /// True when the report's tags tell all of its use, so that the live demand can take that one's place.
    pub comparable: bool,
    /// Its configured share of the headroom, if it has one.
    #[serde(default, deserialize_with = "share")]
    pub share: Option<f64>,
    /// By group of plans; every group that it sees is in it.
    pub groups: BTreeMap<String, GroupDemand>,
}

/// One cluster's part in a group of plans, $/h at SP rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupDemand {
    /// Its live on-demand nodes in the group's scope.
    #[serde(deserialize_with = "money")]
    pub demand: Money,
    /// The same at the rates of Compute plans, to which falls what an EC2 Instance group cannot hold.
    #[serde(deserialize_with = "money")]
    pub at_compute: Money,
    /// True when it fills, or could begin if the headroom were its own.
    pub wants: bool,
    /// What it may add to its demand until it looks again.
    #[serde(deserialize_with = "money")]
    pub claim: Money,
    /// What its managed pools launch in one interval.
    #[serde(deserialize_with = "money")]
    pub launches: Money,
}

impl Demand {
    /// What a cluster tells at `time`, without any group yet.
    #[must_use]
    pub fn new(cluster: impl Into<String>, time: DateTime<Utc>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            cluster: cluster.into(),
            account: None,
            region: None,
            time,
            node_pools: BTreeMap::new(),
            comparable: false,
            share: None,
            groups: BTreeMap::new(),
        }
    }

    /// Reads what lies under the name of `cluster`.
    ///
    /// # Errors
    /// Why it cannot be believed.
    pub fn parse(text: &str, cluster: &str) -> Result<Self, String> {
        let demand: Self =
            serde_json::from_str(text).map_err(|e| format!("what it has told cannot be read: {e}"))?;
        if demand.schema != SCHEMA {
            return Err(format!(
                "what it has told is of version {}, expected {SCHEMA}",
                demand.schema
            ));
        }
        if demand.cluster != cluster {
            return Err(format!("what lies under its name tells of {}", demand.cluster));
        }
        Ok(demand)
    }

    /// The text to write.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// The cluster, in the report's terms.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            cluster: Some(self.cluster.clone()),
            account: self.account.clone(),
            region: self.region.clone(),
            node_pools: self.node_pools.keys().cloned().collect(),
        }
    }
}

/// The name of a cluster's object: whatever could mean something in a path or a key is spelt in hexadecimal.
#[must_use]
pub fn file_name(cluster: &str) -> String {
    let spelt = cluster.bytes().enumerate().map(|(at, byte)| {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && at > 0);
        if plain {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    spelt.collect::<String>() + ENDING
}

/// The cluster whose object has this name; `None` for what no cluster has written.
#[must_use]
pub fn cluster_of(file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = file.strip_suffix(ENDING)?.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    // There is one way to write a name.
    String::from_utf8(bytes)
        .ok()
        .filter(|cluster| !cluster.is_empty() && file_name(cluster) == file)
}

fn money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    let dollars = f64::deserialize(deserializer)?;
    let amount = Some(dollars)
        .filter(|dollars| (0.0..MOST).contains(dollars))
        .and_then(Money::from_dollars);
    amount.ok_or_else(|| de::Error::custom(format!("{dollars} is no amount in $/h")))
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let share = Option::<f64>::deserialize(deserializer)?;
    if share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        return Err(de::Error::custom("share is more than 0 and at most 1"));
    }
    Ok(share)
}
