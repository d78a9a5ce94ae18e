//! Of several replicas one acts: a Lease of `coordination.k8s.io`, kept by the `kube-lease-manager` crate. It only spares
//! work: that no two runs patch at a time is the control state's business, whoever leads.

use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};

use super::Cluster;
use brimful_karpenter::cluster::FIELD_MANAGER;
use brimful_types::{Error, Result};

/// Seconds without a renewal after which another replica takes over.
const LEASE_SECONDS: u64 = 15;
/// Seconds before that at which the leader renews.
const GRACE_SECONDS: u64 = 5;
/// Giving the Lease back is not worth waiting for longer: it expires by itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// This replica's part in the election, which goes on until it is given up.
#[derive(Debug)]
pub struct Leadership {
    leads: watch::Receiver<bool>,
    election: JoinHandle<kube_lease_manager::Result<LeaseManager>>,
}

impl Leadership {
    /// Whether this replica leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        *self.leads.borrow() && !self.election.is_finished()
    }

    /// Waits until that changes.
    pub async fn changed(&mut self) {
        if self.leads.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Gives the Lease back, if this replica has it.
    pub async fn give_up(self) {
        drop(self.leads);
        if timeout(PATIENCE, self.election).await.is_err() {
            tracing::debug!("the Lease could not be given back in time: it expires by itself");
        }
    }
}

impl Cluster {
    /// Stands for election for the Lease `name`, which is made if it is not there.
    ///
    /// # Errors
    /// A Kubernetes error if the Lease may not be read or made.
    pub async fn stand_for_election(
        &self,
        namespace: &str,
        name: &str,
        identity: &str,
    ) -> Result<Leadership> {
        let manager = LeaseManagerBuilder::new(self.client.clone(), name)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(LEASE_SECONDS)
            .with_grace(GRACE_SECONDS)
            .with_field_manager(FIELD_MANAGER)
            .build();
        let manager = manager.await.map_err(|error| {
            Error::kubernetes(format!("cannot stand for election by the Lease {namespace}/{name}"))
                .source(error)
                .hint("allow get, create and patch on leases.coordination.k8s.io in this namespace, as the chart does with `operator.enabled`")
        })?;
        let (leads, election) = manager.watch().await;
        Ok(Leadership { leads, election })
    }
}
