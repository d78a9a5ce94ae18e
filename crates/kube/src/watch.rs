//! Notices when something changes that a plan rests on: pools, claims and Nodes.
//!
//! Only metadata is watched. Of a pool its generation, labels and annotations count, of claims and Nodes that they are
//! there and whether they are being deleted: Nodes report their health all the time, and a status is no reason to plan.

use std::collections::BTreeMap;

use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Cluster;

/// What is watched: group, kind and plural.
const WATCHED: [(&str, &str, &str); 3] = [
    ("karpenter.sh", "NodePool", "nodepools"),
    ("karpenter.sh", "NodeClaim", "nodeclaims"),
    ("", "Node", "nodes"),
];

/// An object of which the API server sends the metadata alone.
type Meta = PartialObjectMeta<DynamicObject>;

/// Watches that go on until this is dropped.
#[derive(Debug)]
pub struct Changes {
    seen: watch::Receiver<()>,
    _watches: JoinSet<()>,
}

impl Changes {
    /// Waits until something has changed since the last call. A watch that is refused or breaks off is made again, ever
    /// more slowly; whoever waits must have another reason to wake up.
    pub async fn next(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Cluster {
    /// Watches the cluster from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let (sender, seen) = watch::channel(());
        let mut watches = JoinSet::new();
        for (group, kind, plural) in WATCHED {
            let version = GroupVersionKind::gvk(group, "v1", kind);
            let resource = ApiResource::from_gvk_with_plural(&version, plural);
            let api = Api::<Meta>::all_with(self.client.clone(), &resource);
            watches.spawn(follow(api, plural, sender.clone()));
        }
        Changes {
            seen,
            _watches: watches,
        }
    }
}

/// What of an object counts.
#[derive(Debug, PartialEq)]
struct Fingerprint {
    deleting: bool,
    /// Of a pool alone.
    terms: Option<Terms>,
}

#[derive(Debug, PartialEq)]
struct Terms {
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Fingerprint {
    fn of(meta: &ObjectMeta, is_pool: bool) -> Self {
        Self {
            deleting: meta.deletion_timestamp.is_some(),
            terms: is_pool.then(|| Terms {
                generation: meta.generation,
                labels: meta.labels.clone(),
                annotations: meta.annotations.clone(),
            }),
        }
    }
}

/// The objects of one kind, by name and UID.
#[derive(Default)]
struct Known {
    objects: BTreeMap<(String, String), Fingerprint>,
    /// Those of a list that has begun.
    listed: BTreeMap<(String, String), Fingerprint>,
    is_pool: bool,
}

impl Known {
    /// Takes an event; true if it says something new.
    fn take(&mut self, event: Event<Meta>) -> bool {
        match event {
            Event::Init => {
                self.listed.clear();
                false
            }
            Event::InitApply(object) => {
                let (key, print) = self.read(&object.metadata);
                self.listed.insert(key, print);
                false
            }
            Event::InitDone => {
                let before = std::mem::replace(&mut self.objects, std::mem::take(&mut self.listed));
                before != self.objects
            }
            Event::Apply(object) => {
                let (key, print) = self.read(&object.metadata);
                let is_new = self.objects.get(&key) != Some(&print);
                self.objects.insert(key, print);
                is_new
            }
            Event::Delete(object) => {
                let (key, _) = self.read(&object.metadata);
                self.objects.remove(&key).is_some()
            }
        }
    }

    fn read(&self, meta: &ObjectMeta) -> ((String, String), Fingerprint) {
        let name = meta.name.clone().unwrap_or_default();
        let uid = meta.uid.clone().unwrap_or_default();
        ((name, uid), Fingerprint::of(meta, self.is_pool))
    }
}

async fn follow(api: Api<Meta>, plural: &str, changed: watch::Sender<()>) {
    let mut known = Known {
        is_pool: plural == "nodepools",
        ..Known::default()
    };
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut is_reported = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                is_reported = false;
                if known.take(event) {
                    changed.send_replace(());
                }
            }
            Err(error) if !is_reported => {
                is_reported = true;
                tracing::warn!(
                    "{plural} are not watched for now, so a change is seen at the next interval: {error}"
                );
            }
            Err(error) => tracing::debug!("{plural} are not watched: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(uid: &str, generation: i64, annotation: &str) -> Meta {
        let meta =
            json!({"name": "a", "uid": uid, "generation": generation, "annotations": {"x": annotation}});
        serde_json::from_value(
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": meta}),
        )
        .unwrap()
    }

    fn known(is_pool: bool) -> Known {
        let mut known = Known {
            is_pool,
            ..Known::default()
        };
        known.take(Event::Init);
        known.take(Event::InitApply(object("1", 1, "y")));
        assert!(known.take(Event::InitDone));
        known
    }

    #[test]
    fn a_list_that_is_read_again_after_a_break_says_only_what_it_missed() {
        let mut known = known(false);
        known.take(Event::Init);
        known.take(Event::InitApply(object("1", 1, "y")));
        assert!(!known.take(Event::InitDone));
        known.take(Event::Init);
        assert!(known.take(Event::InitDone), "it is gone");
    }

    #[test]
    fn what_a_node_reports_of_itself_is_no_change_and_a_pools_spec_is() {
        let mut nodes = known(false);
        assert!(!nodes.take(Event::Apply(object("1", 1, "z"))));
        assert!(
            nodes.take(Event::Apply(object("2", 1, "z"))),
            "another of the same name"
        );
        assert!(nodes.take(Event::Delete(object("2", 1, "z"))));
        let mut pools = known(true);
        assert!(!pools.take(Event::Apply(object("1", 1, "y"))));
        assert!(pools.take(Event::Apply(object("1", 2, "y"))));
        assert!(pools.take(Event::Apply(object("1", 2, "paused"))));
    }
}
