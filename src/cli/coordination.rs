//! This run among the other clusters: reads what they tell, tells what it plans, and looks again.

use brimful_types::warning::WarningCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::config::Config;
use crate::coordination::{Entry, read, versions, write};
use crate::pipeline::{ClusterView, Judged, plan};
use crate::source::AwsAccess;
use brimful_cur::location::Place;
use brimful_cur::store::{ObjectStore, Put};
use brimful_karpenter::NodePool;
use brimful_policy::identity::Identity;
use brimful_policy::peers::{Note, Peers, Reader, file_name};
use brimful_policy::plan::Proposal;
use brimful_policy::state::State;
use brimful_types::{Error, Result};

/// No run waits longer for the place at any of its steps.
const PATIENCE: Duration = Duration::from_secs(20);

/// The place, as this run has seen it.
#[derive(Debug)]
pub(crate) struct Meeting<'a> {
    config: &'a Config,
    now: DateTime<Utc>,
    place: Place,
    store: Arc<dyn ObjectStore>,
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
        return (None, Peers::nobody(WarningCode::CoordinationUnnamed, why));
    };
    let opened = async {
        let store = crate::source::coordination(&place, &AwsAccess::default()).await?;
        let entries = read(store.as_ref()).await?;
        Ok((store, entries))
    };
    let (store, entries) = match in_time(Box::pin(opened)).await {
        Ok(found) => found,
        Err(error) => return (None, unreachable(&place, "read", &error)),
    };
    let mut meeting = Meeting {
        config,
        now,
        place,
        store,
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
                let entries = in_time(read(self.store.as_ref())).await?;
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
        let written = in_time(write(self.store.as_ref(), &name, &demand.to_text(), before)).await?;
        let Put::Done(version) = written else {
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
    let hint = error
        .next_step()
        .map(|hint| format!(": {hint}"))
        .unwrap_or_default();
    let why = format!(
        "what the clusters tell at {place} cannot be {what}, so this run goes on without the others: {error:#}{hint}"
    );
    Peers::nobody(WarningCode::CoordinationUnreachable, why)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use brimful_cur::location::Location;
    use brimful_policy::peers::Demand;
    use brimful_types::ErrorKind;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    /// A run of prod that has met the others in a directory, after which `meanwhile` happens there.
    fn run(dir: &Path, meanwhile: impl FnOnce(&Path)) -> (Peers, Proposal) {
        let mut config = Config::default();
        config.cluster.name = Some("prod".to_owned());
        config.coordination.uri = Some(dir.display().to_string());
        let error = Error::new(ErrorKind::Report, "no report");
        let judged = crate::pipeline::unread(&Location::Path("x".into()), &error);
        let mut view = ClusterView {
            nodes: Some(Vec::new()),
            ..ClusterView::default()
        };
        let state = State::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let proposal = runtime.block_on(async {
            let (meeting, peers) = meet(&config, &judged, &view, NOW).await;
            view.peers = peers;
            let proposal = plan(&judged, &config, &view, &state, NOW);
            meanwhile(dir);
            meeting.unwrap().tell(&judged, &mut view, &state, proposal).await
        });
        (view.peers, proposal)
    }

    fn put(dir: &Path, cluster: &str) {
        let told = Demand::new(cluster, NOW).to_text();
        std::fs::write(dir.join(file_name(cluster)), told).unwrap();
    }

    fn codes(proposal: &Proposal) -> Vec<&'static str> {
        let codes = proposal.warnings.iter().map(|warning| warning.code.as_str());
        codes.filter(|code| code.starts_with("coordination")).collect()
    }

    #[test]
    fn a_run_tells_its_demand_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (peers, proposal) = run(dir.path(), |_| {});
            assert_eq!((codes(&proposal), peers.conflict), (Vec::new(), false));
        }
        let told = std::fs::read_to_string(dir.path().join("prod.json")).unwrap();
        assert!(Demand::parse(&told, "prod").unwrap().comparable);
    }

    #[test]
    fn what_another_tells_between_reading_and_writing_is_planned_with() {
        let dir = tempfile::tempdir().unwrap();
        let (peers, _) = run(dir.path(), |dir| put(dir, "staging"));
        assert!(peers.fresh.contains_key("staging"), "{peers:?}");
    }

    #[test]
    fn whoever_loses_the_race_for_its_own_name_goes_on_without_the_others() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "staging");
        let (peers, proposal) = run(dir.path(), |dir| put(dir, "prod"));
        assert_eq!(codes(&proposal), ["coordination-conflict"]);
        assert!(peers.fresh.is_empty() && peers.conflict, "{peers:?}");
        let told = std::fs::read_to_string(dir.path().join("prod.json")).unwrap();
        assert!(
            !Demand::parse(&told, "prod").unwrap().comparable,
            "the other's stands"
        );
    }

    #[test]
    fn what_cannot_be_written_is_not_acted_on() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "staging");
        let (peers, proposal) = run(dir.path(), |dir| std::fs::remove_dir_all(dir).unwrap());
        assert_eq!(codes(&proposal), ["coordination-unreachable"]);
        assert!(peers.fresh.is_empty(), "{peers:?}");
    }
}
