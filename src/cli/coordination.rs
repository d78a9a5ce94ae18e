//! This run among the other clusters: reads what they tell, tells what it plans, and looks again.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::config::Config;
use crate::coordination::{Board, Entry, Place, Written};
use crate::karpenter::NodePool;
use crate::pipeline::{ClusterView, Judged, plan};
use crate::policy::identity::Identity;
use crate::policy::peers::{Note, Peers, Reader, file_name};
use crate::policy::plan::Proposal;
use crate::policy::state::State;
use crate::{Error, Result};

/// No run waits longer for the place at any of its steps.
const PATIENCE: Duration = Duration::from_secs(20);

/// The place, as this run has seen it.
#[derive(Debug)]
pub(crate) struct Meeting<'a> {
    config: &'a Config,
    now: DateTime<Utc>,
    place: Place,
    board: Board,
    cluster: String,
    seen: BTreeMap<String, String>,
}

/// Reads what the other clusters tell. Whatever fails, the run goes on without them.
pub(crate) async fn meet<'a>(
    config: &'a Config,
    judged: &Judged,
    view: &ClusterView,
    now: DateTime<Utc>,
) -> (Option<Meeting<'a>>, Peers) {
    let Some(place) = config
        .coordination
        .uri
        .as_deref()
        .and_then(|uri| uri.parse::<Place>().ok())
    else {
        return (None, Peers::default());
    };
    let identity = Identity::detect(
        &config.cluster,
        &view.node_pools,
        view.nodes.as_deref(),
        &judged.ledger,
    );
    let Some(cluster) = identity.cluster else {
        let why = "this cluster's name is not known, so it cannot tell the others its demand (coordination.uri): set cluster.name";
        return (None, Peers::nobody("coordination-unnamed", why));
    };
    let opened = async {
        let board = Board::open(&place).await?;
        let entries = board.read().await?;
        Ok((board, entries))
    };
    let (board, entries) = match in_time(Box::pin(opened)).await {
        Ok(found) => found,
        Err(error) => return (None, unreachable(&place, "read", &error)),
    };
    let mut meeting = Meeting {
        config,
        now,
        place,
        board,
        cluster,
        seen: BTreeMap::new(),
    };
    let peers = meeting.judge(entries, &view.node_pools);
    (Some(meeting), peers)
}

impl Meeting<'_> {
    /// Tells the others what this run plans, then looks whether one of them has told something new meanwhile, and
    /// plans again if so: of two that look at the same time, one sees the other's claim at least.
    pub(crate) async fn tell(
        mut self,
        judged: &Judged,
        view: &mut ClusterView,
        state: &State,
        proposal: Proposal,
    ) -> Proposal {
        let (config, now) = (self.config, self.now);
        let again = |view: &ClusterView| plan(judged, config, view, state, now);
        let told = async {
            let mut proposal = proposal;
            for is_last in [false, true] {
                if view.peers.conflict || !self.write(&proposal).await? {
                    break;
                }
                if is_last || !self.has_changed().await? {
                    return Ok(Some(proposal));
                }
                let entries = in_time(self.board.read()).await?;
                view.peers = self.judge(entries, &view.node_pools);
                proposal = again(view);
            }
            Ok(None)
        };
        match told.await {
            Ok(Some(proposal)) => return proposal,
            Ok(None) => view.peers = Peers::contested(&self.cluster),
            // The others do not know of this cluster's claims: theirs must not count either.
            Err(error) => view.peers = unreachable(&self.place, "written", &error),
        }
        again(view)
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
        let written = in_time(self.board.write(&name, &demand.to_text(), before)).await?;
        let Written::Done(version) = written else {
            return Ok(false);
        };
        self.seen.insert(name, version);
        Ok(true)
    }

    async fn has_changed(&self) -> Result<bool> {
        Ok(in_time(self.board.versions()).await? != self.seen)
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
    let hint = error
        .next_step()
        .map(|hint| format!(": {hint}"))
        .unwrap_or_default();
    let why = format!(
        "what the clusters tell at {place} cannot be {what}, so this run goes on without the others: {error:#}{hint}"
    );
    Peers::nobody("coordination-unreachable", why)
}
