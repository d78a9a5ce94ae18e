//! What a cluster answers, as values: the shapes that the API client and whoever calls it share.

use brimful_types::Error;

use crate::NodePool;

/// Field manager of every write, and reporter of every Event.
pub const FIELD_MANAGER: &str = "brimful";
/// The `ConfigMap` of the control state, in the namespace of `--namespace`.
pub const STATE_CONFIG_MAP: &str = "brimful-state";
/// The duration, in hours, of Brimful's own entry in `spec.disruption.budgets`, by which it is known: 364 days.
pub const OWN_BUDGET_HOURS: i64 = 8736;
/// The Lease by which one of the operator's replicas acts, in the same namespace.
pub const LEADER_LEASE: &str = "brimful-leader";

/// A pool as it stands after a patch.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The pool.
    pub pool: NodePool,
    /// False where something in the cluster (a mutating webhook) stored other values than were sent.
    pub as_sent: bool,
}

/// Why a patch did not go through.
#[derive(Debug)]
pub enum PatchError {
    /// The pool is not what the patch was made from (409): read it again. Nothing was changed.
    Conflict(String),
    /// The server will not have it, whatever is tried again: not permitted (401, 403), no such pool (404), not
    /// valid (400, 422). Nothing was changed.
    Refused {
        /// HTTP code.
        code: u16,
        /// The server's own words.
        message: String,
    },
    /// The server failed or was too busy, and the pool shows that nothing was changed: it may be tried again.
    Undone(Error),
    /// The server failed or could not be reached, and whether the pool was changed cannot be seen.
    Unknown(Error),
}

/// Why a `NodeClaim` was not deleted.
#[derive(Debug)]
pub enum DeleteError {
    /// It is gone already, or not what it was. Nothing was deleted.
    Gone(String),
    /// The server will not have it. Nothing was deleted.
    Refused {
        /// HTTP code.
        code: u16,
        /// The server's own words.
        message: String,
    },
    /// The server failed or could not be reached, and whether the claim is being deleted is not known.
    Unknown(Error),
}

/// Why the `NodeClaim`s could not be read.
#[derive(Debug)]
pub enum NodeClaimsError {
    /// Not permitted, or not served: a caller may do without them.
    Unavailable(Error),
    /// Anything else.
    Failed(Error),
}

impl From<NodeClaimsError> for Error {
    fn from(error: NodeClaimsError) -> Self {
        match error {
            NodeClaimsError::Unavailable(error) | NodeClaimsError::Failed(error) => error,
        }
    }
}

/// An Event on a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolEvent {
    /// True for a Warning, false for a Normal event.
    pub warning: bool,
    /// Why, as one `CamelCase` word.
    pub reason: String,
    /// What was done, as one `CamelCase` word.
    pub action: String,
    /// The sentence for people; cut at 1024 bytes.
    pub note: String,
}

/// Which APIs the cluster serves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Served {
    /// Versions of `karpenter.sh`, preferred first.
    pub karpenter: Vec<String>,
    /// True where EKS Auto Mode runs: its `NodeClass` is served.
    pub auto_mode: bool,
}

/// `NodeOverlay`s, as far as the caller may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlays {
    /// Names of those that change a price.
    Pricing(Vec<String>),
    /// Karpenter is too old for them.
    NotServed,
    /// The caller may not list them.
    Forbidden,
}
