//! What is sent: the contract's JSON, or a text as chats take it.

use serde::Serialize;
use serde_json::json;

use super::notices::{Facts, Notice};
use crate::config::NotifyFormat;
use brimful_types::hour::rfc3339;

/// A chat takes some thousand characters; nobody reads more lines.
const MAX_NOTICES: usize = 20;
/// Reasons may carry a list of rows: the beginning says what it is about.
const MAX_CHARS: usize = 500;

/// One message, with all that a run has to say.
#[derive(Debug, Serialize)]
struct Message<'a> {
    schema: &'static str,
    time: String,
    cluster: Option<&'a str>,
    events: Vec<Event<'a>>,
    /// Events that are left out.
    more: usize,
}

#[derive(Debug, Serialize)]
struct Event<'a> {
    #[serde(flatten)]
    notice: &'a Notice,
    text: String,
}

pub(super) fn body(format: NotifyFormat, facts: &Facts<'_>, notices: &[&Notice]) -> String {
    let more = notices.len().saturating_sub(MAX_NOTICES);
    let shown = &notices[..notices.len() - more];
    match format {
        NotifyFormat::Json => json(facts, shown, more),
        NotifyFormat::Slack => slack(facts.name(), shown, more),
    }
}

fn json(facts: &Facts<'_>, shown: &[&Notice], more: usize) -> String {
    let events = shown.iter().map(|notice| Event {
        notice,
        text: cut(&notice.text()),
    });
    let message = Message {
        schema: "brimful/notification/v1",
        time: rfc3339(facts.now),
        cluster: facts.name(),
        events: events.collect(),
        more,
    };
    serde_json::to_string(&message).unwrap_or_default()
}

fn slack(cluster: Option<&str>, shown: &[&Notice], more: usize) -> String {
    let who = cluster.map_or("Brimful".to_owned(), |name| format!("Brimful, {name}"));
    let mut lines = vec![format!("*{}*", escaped(&who))];
    lines.extend(
        shown
            .iter()
            .map(|notice| format!("• {}", escaped(&cut(&notice.text())))),
    );
    if more > 0 {
        lines.push(format!(
            "… and {more} more: `brimful history` and `brimful plan` show all"
        ));
    }
    json!({ "text": lines.join("\n") }).to_string()
}

/// What Slack would take for mentions and links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
