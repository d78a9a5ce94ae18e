//! Brimful itself: what `apply` does in one run, with the clock, the report and the cluster handed in.

use super::{Policy, Scene};
use crate::cluster::Cluster;
use crate::trace::cluster_name;
use brimful_policy::patch::patch;
use brimful_policy::peers::{Note, Peers, Reader, file_name};
use brimful_policy::plan::{Inputs, propose_on};
use brimful_policy::settings::Settings;
use brimful_policy::state::State;
use brimful_policy::top_up::TopUp;
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::stale;
use brimful_types::Result;

/// The real policy code, one configuration and one state per cluster. Several clusters tell each other their demand
/// (`coordination.uri`).
#[derive(Debug, Clone)]
pub struct Brimful {
    clusters: Vec<(Settings, State)>,
    notes: Vec<Note>,
}

impl Brimful {
    /// For so many clusters, that have not been steered yet.
    #[must_use]
    pub fn new(clusters: usize, config: &Settings) -> Self {
        let clusters = (0..clusters).map(|index| {
            let mut config = config.clone();
            config.cluster.name = Some(cluster_name(index));
            (config, State::default())
        });
        Self {
            clusters: clusters.collect(),
            notes: Vec::new(),
        }
    }
}

impl Policy for Brimful {
    fn act(&mut self, scene: Scene<'_>, index: usize, cluster: &mut Cluster) -> Result<()> {
        let Some(report) = scene.report else { return Ok(()) };
        let (config, state) = &mut self.clusters[index];
        let doubt = match report.utilization.horizon {
            Some(horizon) => stale(horizon, scene.now, config.policy.max_data_age.0),
            None => Some("the report holds no usage yet".to_owned()),
        };
        let node_pools = cluster.node_pools();
        let reader = Reader {
            cluster: &cluster.name,
            pools: &node_pools,
        };
        let peers = Peers::judge(reader, &self.notes, scene.now, config.peer_max_age.0);
        // Asked for by nobody else: most of the work of a step in which nothing changes.
        let (node_claims, pods) = if config.top_up.is_on() {
            (cluster.node_claims(), Some(cluster.pods()))
        } else {
            (Vec::new(), None)
        };
        let inputs = Inputs {
            now: scene.now,
            config,
            ledger: &report.ledger,
            utilization: &report.utilization,
            sharing: &Sharing::Open,
            node_pools: &node_pools,
            nodes: Some(cluster.nodes()),
            node_claims: Some(&node_claims),
            pods: pods.as_ref(),
            state,
            peers: &peers,
            doubt: doubt.as_deref(),
        };
        let proposal = propose_on(&inputs, report.groundwork.entry(index).or_default());
        let changing = proposal
            .pools
            .iter()
            .filter(|pool| pool.changes() || pool.restore);
        for pool in changing {
            cluster.patch(&pool.pool.name, &patch(pool, scene.now))?;
        }
        if let Some(demand) = &proposal.demand {
            let name = file_name(&cluster.name);
            self.notes.retain(|note| note.name != name);
            self.notes.push(Note {
                name,
                content: Ok(demand.to_text()),
            });
        }
        *state = proposal.state;
        for pool in &proposal.pools {
            if let Some(TopUp::Moves(one)) = &pool.top_up {
                cluster.delete_claim(&one.claim);
                state.moved.note(&pool.pool.name, scene.now);
            }
        }
        Ok(())
    }
}
