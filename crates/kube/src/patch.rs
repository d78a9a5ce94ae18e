//! Patches of `NodePool`s.

use kube::core::Request;
use kube::core::params::{Patch, PatchParams, ValidationDirective};
use serde_json::Value;

use super::call::answer;
use super::{Cluster, MANAGER, NODE_POOLS, parse_one};
use brimful_karpenter::nodepool::NodePool;
use brimful_types::Error;

/// Why a patch did not go through. Nothing was changed in any case but [`PatchError::Other`], where it is unknown.
#[derive(Debug)]
pub enum PatchError {
    /// The pool is not what the patch was made from (409): read it again.
    Conflict(String),
    /// The server will not have it, whatever is tried again: not permitted (401, 403), no such pool (404), not
    /// valid (400, 422).
    Refused {
        /// HTTP code.
        code: u16,
        /// The server's own words.
        message: String,
    },
    /// The server could not be reached, or failed.
    Other(Error),
}

impl Cluster {
    /// Sends a JSON merge patch of one `NodePool` as field manager [`MANAGER`], unknown fields refused. With
    /// `dry_run` the server checks it and stores nothing. Returns the pool as it then is.
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
    ) -> Result<NodePool, PatchError> {
        let params = PatchParams {
            dry_run,
            field_manager: Some(MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let send = async {
            let request = Request::new(NODE_POOLS.path).patch(name, &params, &Patch::Merge(patch));
            self.client
                .request::<Value>(request.map_err(kube::Error::BuildRequest)?)
                .await
        };
        match send.await {
            Ok(object) => parse_one(&object, NodePool::from_json).map_err(PatchError::Other),
            Err(error) => Err(self.patch_failed(name, error)),
        }
    }

    fn patch_failed(&self, name: &str, error: kube::Error) -> PatchError {
        match &error {
            kube::Error::Api(status) if status.code == 409 => PatchError::Conflict(answer(status)),
            kube::Error::Api(status)
                if (400..500).contains(&status.code) && !matches!(status.code, 408 | 429) =>
            {
                PatchError::Refused {
                    code: status.code,
                    message: answer(status),
                }
            }
            _ => PatchError::Other(self.failed(&NODE_POOLS.call("patch").named(name), error)),
        }
    }
}
