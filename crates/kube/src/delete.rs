//! Deletion of a `NodeClaim`, which is how a Spot node is given up.

use kube::core::Request;
use kube::core::params::{DeleteParams, Preconditions};

use super::call::answer;
use super::{Cluster, NODE_CLAIMS, patience};
use brimful_karpenter::cluster::DeleteError;

impl Cluster {
    /// Asks, once, that a claim be deleted: this one by its uid and as it is by its version, not another of its name. With `dry_run` the server checks it and
    /// deletes nothing.
    ///
    /// # Errors
    /// See [`DeleteError`].
    pub async fn delete_node_claim(
        &self,
        name: &str,
        (uid, resource_version): (Option<&str>, Option<&str>),
        dry_run: bool,
    ) -> Result<(), DeleteError> {
        let call = || NODE_CLAIMS.call("delete").named(name);
        let params = DeleteParams {
            dry_run,
            preconditions: Some(Preconditions {
                uid: uid.map(str::to_owned),
                resource_version: resource_version.map(str::to_owned),
            }),
            ..DeleteParams::default()
        };
        let request = Request::new(NODE_CLAIMS.path)
            .delete(name, &params)
            .map_err(|error| DeleteError::Unknown(self.failed(&call(), kube::Error::BuildRequest(error))))?;
        match patience::write(self.answer(request)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Err(DeleteError::Gone(answer(&status)))
            }
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 408 => {
                Err(DeleteError::Refused {
                    code: status.code,
                    message: answer(&status),
                })
            }
            Err(error) => Err(DeleteError::Unknown(self.failed(&call(), error))),
        }
    }
}
