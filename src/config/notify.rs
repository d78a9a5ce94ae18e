//! Where people and programs are told what Brimful does.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// More webhooks than that are a mistake: each is one request of a run.
const MAX_WEBHOOKS: usize = 10;

/// Where it is told what Brimful does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// Each is sent what is new in one POST per run.
    #[schemars(length(max = 10))]
    pub webhooks: Vec<Webhook>,
}

/// One address, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// The address, where it is no secret.
    #[serde(default)]
    pub url: Option<Secret>,
    /// The file that has the address, such as one of a mounted Secret; read by each run.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// What is sent.
    #[serde(default)]
    pub format: NotifyFormat,
    /// What is told; everything when left out.
    #[serde(default)]
    pub events: Option<Vec<NotifyEvent>>,
}

/// What a webhook is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotifyFormat {
    /// The contract's JSON (`brimful/notification/v1`).
    #[default]
    Json,
    /// `{"text": "…"}`, as Slack, Mattermost, Rocket.Chat and Google Chat take it.
    Slack,
}

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotifyEvent {
    /// A `NodePool` was changed.
    Change,
    /// A Spot node was given up, so that its pods move to a pool that lacks nodes.
    Move,
    /// Nothing is decided for managed `NodePools` any more.
    Freeze,
    /// Somebody else sets back what Brimful sets.
    Contest,
    /// A plan ends within 14 days.
    PlanEnding,
    /// Once a week: what was changed, and what that saved.
    Summary,
}

/// A text that no log and no message shows.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Webhook {
    /// Whether it is to be told this.
    #[must_use]
    pub fn wants(&self, event: NotifyEvent) -> bool {
        self.events.as_ref().is_none_or(|events| events.contains(&event))
    }
}

impl NotifyConfig {
    /// What is wrong with it, by key. The address itself is not repeated.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.webhooks.len() > MAX_WEBHOOKS {
            return Err(format!("notify.webhooks: at most {MAX_WEBHOOKS}"));
        }
        for (index, webhook) in self.webhooks.iter().enumerate() {
            let key = format!("notify.webhooks[{index}]");
            match (&webhook.url, &webhook.url_file) {
                (Some(_), Some(_)) | (None, None) => {
                    return Err(format!("{key}: set one of url and urlFile"));
                }
                (Some(url), None) if !is_web_address(url.reveal()) => {
                    return Err(format!("{key}.url: must begin with https:// or http://"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether it begins like an address that can be sent to.
pub(crate) fn is_web_address(url: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}
