//! Tells webhooks what a run has done and found. It never fails a run, and holds it up for ten seconds at most.
//!
//! What lasts (a freeze, a contest, a plan that ends) is said once, when it begins: the control state keeps what was
//! said. A webhook that fails is told again by the next run, so nothing that lasts is lost, and something may come twice.

mod message;
mod notices;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use futures::future::join_all;
use reqwest::Client;

use self::message::body;
pub(crate) use self::notices::Facts;
use self::notices::{Notice, changes, conditions};
use crate::config::{NotifyConfig, Webhook, is_web_address};
use crate::http::{self, Request};
use brimful_types::warning::{Warning, WarningCode};

/// What was said, by what it is about, and when.
type Said = BTreeMap<String, DateTime<Utc>>;

/// More is not remembered, and what could not be remembered is not said.
const MAX_SAID: usize = 300;
/// What ends and begins again is not said again before that.
const QUIET: Duration = Duration::hours(6);
/// By what the weekly summary is remembered.
const SUMMARY: &str = "summary";
const WEEK: Duration = Duration::days(7);
/// No address is longer.
const MAX_URL: u64 = 8 << 10;

/// Something new to say.
struct Item {
    /// By what it is remembered; nothing for what has happened and is over.
    keys: Vec<String>,
    notice: Notice,
}

/// Tells every webhook what it wants to know of the run. Returns what has been said by now, and what failed.
pub(crate) async fn tell(config: &NotifyConfig, facts: &Facts<'_>, said: &Said) -> (Said, Vec<Warning>) {
    if config.webhooks.is_empty() {
        return (said.clone(), Vec::new());
    }
    let standing = conditions(facts);
    let mut items = new_of(facts, &standing, said);
    let is_week_ago = |last: &&DateTime<Utc>| facts.now - **last >= WEEK;
    if let Some(last) = said.get(SUMMARY).filter(is_week_ago) {
        items.push(Item {
            keys: vec![SUMMARY.to_owned()],
            notice: summary::of_week(facts, *last),
        });
    }
    let (delivered, warnings) = deliver(config, facts, &items).await;
    let taken = items.into_iter().zip(delivered).filter(|(_, is)| *is);
    let keys = taken.flat_map(|(item, _)| item.keys);
    (remembered(facts, &standing, said, keys), warnings)
}

/// What has been said by now: what is over is forgotten, after a while.
fn remembered(
    facts: &Facts<'_>,
    standing: &[(String, Notice)],
    said: &Said,
    new: impl Iterator<Item = String>,
) -> Said {
    let mut said = said.clone();
    let stands: BTreeSet<&String> = standing.iter().map(|(key, _)| key).collect();
    said.retain(|key, at| key == SUMMARY || stands.contains(key) || facts.now - *at < QUIET);
    // The first week begins now.
    said.entry(SUMMARY.to_owned()).or_insert(facts.now);
    said.extend(new.map(|key| (key, facts.now)));
    said
}

/// Changes of this run, and what has begun since the last. What begins for the same reason is said together.
fn new_of(facts: &Facts<'_>, standing: &[(String, Notice)], said: &Said) -> Vec<Item> {
    let mut items: Vec<Item> = changes(facts)
        .map(|notice| Item {
            keys: Vec::new(),
            notice,
        })
        .collect();
    let room = MAX_SAID.saturating_sub(said.len());
    let begun = standing.iter().filter(|(key, _)| !said.contains_key(key));
    for (key, notice) in begun.take(room) {
        match items.iter_mut().find(|item| item.notice.goes_with(notice)) {
            Some(item) => {
                item.keys.push(key.clone());
                item.notice.take_in(notice);
            }
            None => items.push(Item {
                keys: vec![key.clone()],
                notice: notice.clone(),
            }),
        }
    }
    items
}

/// Sends to all webhooks at a time. Returns which of the items somebody has taken.
async fn deliver(config: &NotifyConfig, facts: &Facts<'_>, items: &[Item]) -> (Vec<bool>, Vec<Warning>) {
    let mut delivered = vec![false; items.len()];
    let wanted = |webhook: &Webhook| -> Vec<usize> {
        let all = items.iter().enumerate();
        all.filter(|(_, item)| webhook.wants(item.notice.event()))
            .map(|(index, _)| index)
            .collect()
    };
    let parcels: Vec<(usize, Vec<usize>)> = config.webhooks.iter().map(wanted).enumerate().collect();
    let parcels = parcels.into_iter().filter(|(_, wanted)| !wanted.is_empty());
    let sent = parcels.map(|(index, wanted)| async move {
        let webhook = &config.webhooks[index];
        let notices: Vec<&Notice> = wanted.iter().map(|index| &items[*index].notice).collect();
        let posted = post(webhook, body(webhook.format, facts, &notices));
        let outcome = match tokio::time::timeout(http::BOUND, posted).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", http::BOUND.as_secs())),
        };
        (index, wanted, outcome)
    });
    let mut warnings = Vec::new();
    for (index, wanted, outcome) in join_all(sent).await {
        match outcome {
            Ok(()) => wanted.into_iter().for_each(|item| delivered[item] = true),
            Err(why) => warnings.push(Warning::new(
                WarningCode::NotifyFailed,
                format!("notify.webhooks[{index}] was not told: {why}"),
            )),
        }
    }
    (delivered, warnings)
}

/// To which host each webhook would be sent, or why it would not. Nothing is sent, and of the address no more is shown:
/// its path is often the secret.
pub(crate) async fn hosts(config: &NotifyConfig) -> Vec<Result<String, String>> {
    join_all(config.webhooks.iter().map(async |webhook| {
        let url = reqwest::Url::parse(&address(webhook).await?);
        let host = url.ok().and_then(|url| url.host_str().map(str::to_owned));
        host.ok_or_else(|| "its address names no host".to_owned())
    }))
    .await
}

async fn post(webhook: &Webhook, body: String) -> Result<(), String> {
    let url = address(webhook).await?;
    let client: Client = http::client()?;
    let request = Request {
        method: reqwest::Method::POST,
        content_type: "application/json",
        body,
    };
    http::send(&client, &url, &request).await
}

/// Where to send. A file is read anew each time: Secrets are rotated.
async fn address(webhook: &Webhook) -> Result<String, String> {
    let Some(path) = webhook.url_file.clone() else {
        let url = webhook.url.as_ref().map(|url| url.reveal().to_owned());
        return url.ok_or_else(|| "it has no address".to_owned());
    };
    let shown = path.display().to_string();
    // A file that never answers (a pipe) must not hold up the run.
    let read = tokio::task::spawn_blocking(move || read(&path));
    let read = tokio::time::timeout(std::time::Duration::from_secs(2), read).await;
    let text = match read {
        Ok(Ok(Ok(text))) => text,
        Ok(Ok(Err(error))) => return Err(format!("cannot read urlFile {shown}: {error}")),
        Ok(Err(_)) | Err(_) => return Err(format!("cannot read urlFile {shown}: no answer")),
    };
    let url = text.trim();
    if !is_web_address(url) {
        return Err(format!(
            "urlFile {shown} holds no address: it must begin with https:// or http://"
        ));
    }
    Ok(url.to_owned())
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_URL).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
