//! Patches of `NodePool`s.

use kube::core::params::{PatchParams, ValidationDirective};
use serde_json::Value;

use super::call::answer;
use super::merge::{MergeError, holds};
use super::{Cluster, NODE_POOLS, parse_one};
use brimful_karpenter::cluster::{FIELD_MANAGER, PatchError, Stored};
use brimful_karpenter::nodepool::NodePool;

impl Cluster {
    /// Sends a JSON merge patch of one `NodePool` as field manager [`FIELD_MANAGER`], unknown fields refused. With
    /// `dry_run` the server checks it and stores nothing. Returns the pool as it then is; an answer that got lost is
    /// looked for on the pool.
    ///
    /// `metadata.resourceVersion` in the patch makes it conditional.
    ///
    /// # Errors
    /// See [`PatchError`].
    pub async fn patch_node_pool(
        &self,
        name: &str,
        patch: &Value,
        dry_run: bool,
    ) -> Result<Stored, PatchError> {
        let params = PatchParams {
            dry_run,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        match self.merge(NODE_POOLS.path, name, patch, &params).await {
            Ok(object) => Ok(Stored {
                pool: parse_one(&object, NodePool::from_json).map_err(PatchError::Unknown)?,
                as_sent: holds(&object, patch),
            }),
            Err(error) => Err(self.patch_failed(name, error)),
        }
    }

    fn patch_failed(&self, name: &str, error: MergeError) -> PatchError {
        let failed = |error| self.failed(&NODE_POOLS.call("patch").named(name), error);
        match error {
            MergeError::Conflict(kube::Error::Api(status)) => PatchError::Conflict(answer(&status)),
            MergeError::Conflict(error) => PatchError::Conflict(failed(error).to_string()),
            MergeError::Refused(kube::Error::Api(status)) => PatchError::Refused {
                code: status.code,
                message: answer(&status),
            },
            MergeError::Refused(error) | MergeError::Undone(error) => PatchError::Undone(failed(error)),
            MergeError::Unknown(error) => PatchError::Unknown(failed(error)),
        }
    }
}
