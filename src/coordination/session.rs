//! One run's dealings with the other clusters: it reads what they publish, publishes what it plans, and looks again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::timeout;

use super::{Entry, read, versions, write};
use crate::config::Config;
use crate::source::{self, AwsAccess};
use brimful_cur::location::Place;
use brimful_cur::store::{ObjectStore, PutResult};
use brimful_karpenter::NodePool;
use brimful_policy::identity::Identity;
use brimful_policy::peers::{Note, Peers, Reader, file_name};
use brimful_policy::plan::Proposal;
use brimful_types::warning::WarningCode;
use brimful_types::{Error, Result};

/// No run waits longer for the place at any of its steps.
const PATIENCE: Duration = Duration::from_secs(20);

/// The shared place, as this run has seen it.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    config: &'a Config,
    now: DateTime<Utc>,
    place: Place,
    store: Arc<dyn ObjectStore>,
    cluster: String,
    seen: BTreeMap<String, String>,
}

impl<'a> Session<'a> {
    /// Reads what the other clusters publish, where the configuration names a place. Whatever fails, the run goes on
    /// without them.
    pub(crate) async fn open(
        config: &'a Config,
        identity: Identity,
        node_pools: &[NodePool],
        now: DateTime<Utc>,
    ) -> (Option<Self>, Peers) {
        let uri = config.coordination.uri.as_deref();
        let Some(place) = uri.and_then(|uri| uri.parse::<Place>().ok()) else {
            return (None, Peers::default());
        };
        let Some(cluster) = identity.cluster else {
            let why = "this cluster's name is not known, so it cannot tell the others its demand (coordination.uri): set cluster.name";
            return (None, Peers::nobody(WarningCode::CoordinationUnnamed, why));
        };
        let opened = async {
            let store = source::coordination(&place, &AwsAccess::default()).await?;
            let entries = read(store.as_ref()).await?;
            Ok((store, entries))
        };
        let (store, entries) = match in_time(Box::pin(opened)).await {
            Ok(found) => found,
            Err(error) => return (None, unreachable(&place, "read", &error)),
        };
        let mut session = Self {
            config,
            now,
            place,
            store,
            cluster,
            seen: BTreeMap::new(),
        };
        let peers = session.judge(entries, node_pools);
        (Some(session), peers)
    }

    /// Publishes what this run plans, then looks whether another cluster has published something new meanwhile, and
    /// proposes again if so: of two that look at the same time, one sees the other's claim at least.
    pub(crate) async fn publish(
        mut self,
        node_pools: &[NodePool],
        peers: &mut Peers,
        proposal: Proposal,
        propose: impl Fn(&Peers) -> Proposal,
    ) -> Proposal {
        let published = async {
            let mut proposal = proposal;
            for is_last in [false, true] {
                if peers.conflict || !self.write(&proposal).await? {
                    break;
                }
                if is_last || !self.has_changed().await? {
                    return Ok(Some(proposal));
                }
                let entries = in_time(read(self.store.as_ref())).await?;
                *peers = self.judge(entries, node_pools);
                proposal = propose(peers);
            }
            Ok(None)
        };
        match published.await {
            Ok(Some(proposal)) => return proposal,
            Ok(None) => *peers = Peers::contested(&self.cluster),
            // The others do not know of this cluster's claims: theirs must not count either.
            Err(error) => *peers = unreachable(&self.place, "written", &error),
        }
        propose(peers)
    }

    fn judge(&mut self, entries: Vec<Entry>, pools: &[NodePool]) -> Peers {
        let version = |entry: &Entry| (entry.note.name.clone(), entry.version.clone());
        self.seen = entries.iter().map(version).collect();
        let notes: Vec<Note> = entries.into_iter().map(|entry| entry.note).collect();
        let reader = Reader {
            cluster: &self.cluster,
            pools,
        };
        Peers::judge(reader, &notes, self.now, self.config.coordination.max_age.0)
    }

    /// False when another writer was first.
    async fn write(&mut self, proposal: &Proposal) -> Result<bool> {
        let Some(demand) = &proposal.demand else {
            return Ok(true);
        };
        let name = file_name(&self.cluster);
        let before = self.seen.get(&name).map(String::as_str);
        let written = in_time(write(self.store.as_ref(), &name, &demand.to_text(), before)).await?;
        let PutResult::Done(version) = written else {
            return Ok(false);
        };
        self.seen.insert(name, version);
        Ok(true)
    }

    async fn has_changed(&self) -> Result<bool> {
        Ok(in_time(versions(self.store.as_ref())).await? != self.seen)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| {
        Err(Error::report(format!(
            "no answer within {} s",
            PATIENCE.as_secs()
        )))
    };
    timeout(PATIENCE, work).await.unwrap_or_else(late)
}

fn unreachable(place: &Place, what: &str, error: &Error) -> Peers {
    let why = format!(
        "what the clusters tell at {place} cannot be {what}, so this run goes on without the others: {}",
        error.in_full()
    );
    Peers::nobody(WarningCode::CoordinationUnreachable, why)
}
