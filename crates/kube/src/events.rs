//! Events on `NodePool`s. They tell people what happened and never stop a run.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::time::timeout;

use super::Cluster;
use brimful_karpenter::cluster::{FIELD_MANAGER, PoolEvent};
use brimful_karpenter::nodepool::NodePool;

/// An Event is not worth waiting for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The API refuses a longer note.
const MAX_NOTE: usize = 1024;

impl Cluster {
    /// Publishes an Event on a pool, in namespace `default` since pools have none. A failure is only logged.
    pub async fn publish(&self, pool: &NodePool, event: PoolEvent) {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: None,
        };
        // A recorder of its own for each: one that remembers would fold a second note into the first.
        let recorder = Recorder::new(self.client.clone(), reporter);
        let regarding = ObjectReference {
            api_version: Some(pool.api_version.clone()),
            kind: Some("NodePool".to_owned()),
            name: Some(pool.name.clone()),
            uid: pool.uid.clone(),
            resource_version: pool.resource_version.clone(),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: if event.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            note: Some(cut(event.note)),
            reason: event.reason,
            action: event.action,
            secondary: None,
        };
        let failure = match timeout(PATIENCE, recorder.publish(&event, &regarding)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(
            pool = pool.name,
            reason = event.reason,
            error = failure,
            "cannot publish an Event"
        );
    }
}

fn cut(mut note: String) -> String {
    if note.len() > MAX_NOTE {
        note.truncate(note.floor_char_boundary(MAX_NOTE));
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = cut("é".repeat(600) + "x");
        assert_eq!(note.len(), 1024);
        assert_eq!(cut("x".repeat(1023) + "é").len(), 1023);
        assert_eq!(cut("short".to_owned()), "short");
    }
}
