//! The edge to the Kubernetes API: reads pools, claims and nodes, sends patches, Events and the control state.
//!
//! Rights it needs: `nodepools` get, list, patch; `nodeclaims` and `nodes` list; `events` (in `default`) create;
//! `configmaps` get, create, patch, delete.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::core::params::{GetParams, ListParams};
use kube::{Client, Config};
use serde_json::Value;

use self::call::Call;
use brimful_karpenter::{Node, NodeClaim, NodePool};
use brimful_types::{Error, Result};

mod call;
mod events;
mod inspect;
mod patch;
mod state;
#[cfg(test)]
mod tests;

pub use events::PoolEvent;
pub use inspect::{Overlays, Served};
pub use patch::PatchError;
pub use state::StateLease;

/// Field manager of every write, and reporter of every Event.
pub const MANAGER: &str = "brimful";

/// A dead API server must say so in seconds, not minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A list of thousands of Nodes takes a while.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects per page of a list: what kubectl asks for.
const PAGE: u32 = 500;

const NODE_POOLS: Resource = Resource::new("karpenter.sh", "nodepools", "/apis/karpenter.sh/v1/nodepools");
const NODE_CLAIMS: Resource = Resource::new("karpenter.sh", "nodeclaims", "/apis/karpenter.sh/v1/nodeclaims");
const NODES: Resource = Resource::new("", "nodes", "/api/v1/nodes");

/// A cluster-scoped resource of the API.
struct Resource {
    group: &'static str,
    plural: &'static str,
    path: &'static str,
}

impl Resource {
    const fn new(group: &'static str, plural: &'static str, path: &'static str) -> Self {
        Self { group, plural, path }
    }

    fn call<'a>(&self, verb: &'static str) -> Call<'a> {
        Call::new(verb, self.group, self.plural)
    }
}

/// A connection to one cluster. Cloning shares it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    url: String,
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

impl Cluster {
    /// Connects as kubectl would: `kubeconfig`, else `$KUBECONFIG` or `~/.kube/config`, with `context` or the
    /// current one; inside a cluster without any of these, the pod's service account.
    ///
    /// # Errors
    /// A Kubernetes error if no usable configuration is found. The server itself is asked by the first read.
    pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self> {
        Self::connect_as(kubeconfig, context, None).await
    }

    /// The same in the name of another user, as kubectl's `--as`; a service account is
    /// `system:serviceaccount:NAMESPACE:NAME`.
    ///
    /// # Errors
    /// As [`Cluster::connect`]; that the user may not be impersonated is told by the first read.
    pub async fn connect_as(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        user: Option<&str>,
    ) -> Result<Self> {
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config = match (kubeconfig, context) {
            (Some(path), _) => match Kubeconfig::read_from(path) {
                Ok(file) => Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(call::no_config),
                Err(error) => Err(call::no_config(error)),
            },
            (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(call::no_config),
            (None, None) => Config::infer().await.map_err(call::no_config_anywhere),
        };
        let mut config = config?;
        if let Some(user) = user {
            config.auth_info.impersonate = Some(user.to_owned());
        }
        Self::from_config(config)
    }

    fn from_config(mut config: Config) -> Result<Self> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(call::no_config)?;
        Ok(Self { client, url })
    }

    /// The namespace of the kubeconfig's context or of the pod; `default` if there is none.
    #[must_use]
    pub fn default_namespace(&self) -> String {
        self.client.default_namespace().to_owned()
    }

    /// Every `NodePool`, sorted by name.
    ///
    /// # Errors
    /// A Kubernetes error; a cluster without Karpenter and one with `karpenter.sh/v1beta1` only get their own.
    pub async fn node_pools(&self) -> Result<Vec<NodePool>> {
        let items = match self.list(&NODE_POOLS).await {
            Err(error) if code(&error) == Some(404) => return Err(self.karpenter_missing().await),
            items => items.map_err(|error| self.failed(&NODE_POOLS.call("list"), error))?,
        };
        let mut pools = parse(&items, NodePool::from_json)?;
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pools)
    }

    /// One `NodePool`.
    ///
    /// # Errors
    /// A Kubernetes error, also if there is no such pool.
    pub async fn node_pool(&self, name: &str) -> Result<NodePool> {
        let call = NODE_POOLS.call("get").named(name);
        let get = async {
            let request = Request::new(NODE_POOLS.path).get(name, &GetParams::default());
            self.client
                .request::<Value>(request.map_err(kube::Error::BuildRequest)?)
                .await
        };
        let object = get.await.map_err(|error| self.failed(&call, error))?;
        parse_one(&object, NodePool::from_json)
    }

    /// Every Node, sorted by name.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let items = self
            .list(&NODES)
            .await
            .map_err(|error| self.failed(&NODES.call("list"), error))?;
        let mut nodes = parse(&items, Node::from_json)?;
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// Every `NodeClaim`, sorted by name.
    ///
    /// # Errors
    /// [`NodeClaimsError::Unavailable`] if they may not be read or are not served.
    pub async fn node_claims(&self) -> Result<Vec<NodeClaim>, NodeClaimsError> {
        let items = self.list(&NODE_CLAIMS).await.map_err(|error| {
            let unavailable = matches!(code(&error), Some(403 | 404));
            let error = self.failed(&NODE_CLAIMS.call("list"), error);
            if unavailable {
                NodeClaimsError::Unavailable(error)
            } else {
                NodeClaimsError::Failed(error)
            }
        })?;
        let mut claims = parse(&items, NodeClaim::from_json).map_err(NodeClaimsError::Failed)?;
        claims.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(claims)
    }

    /// Every object of a resource, page by page; if a page's token expires, once more in one piece.
    async fn list(&self, resource: &Resource) -> kube::Result<Vec<Value>> {
        match self.list_pages(resource, Some(PAGE)).await {
            Err(error) if code(&error) == Some(410) => self.list_pages(resource, None).await,
            items => items,
        }
    }

    async fn list_pages(&self, resource: &Resource, limit: Option<u32>) -> kube::Result<Vec<Value>> {
        let mut params = ListParams {
            limit,
            ..ListParams::default()
        };
        let mut items = Vec::new();
        loop {
            let request = Request::new(resource.path)
                .list(&params)
                .map_err(kube::Error::BuildRequest)?;
            let mut page: Value = self.client.request(request).await?;
            if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                None | Some("") => return Ok(items),
                Some(token) => params.continue_token = Some(token.to_owned()),
            }
        }
    }

    /// Why there are no `NodePool`s of v1: an old Karpenter, or none.
    async fn karpenter_missing(&self) -> Error {
        let old = self.client.list_api_group_resources("karpenter.sh/v1beta1").await;
        if old.is_ok_and(|list| {
            list.resources
                .iter()
                .any(|resource| resource.name == NODE_POOLS.plural)
        }) {
            return Error::kubernetes(
                "the cluster serves NodePools of karpenter.sh/v1beta1 only; Brimful needs v1",
            )
            .hint("upgrade Karpenter to 1.0 or later");
        }
        Error::kubernetes(format!(
            "no Karpenter: {} does not serve nodepools.karpenter.sh/v1 (404)",
            self.url
        ))
        .hint("is Karpenter installed in this cluster, and is this the cluster you mean (--context)?")
    }

    fn failed(&self, call: &Call<'_>, error: kube::Error) -> Error {
        call.failed(&self.url, error)
    }
}

/// The HTTP code of an answer that is an error.
fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn parse<T>(objects: &[Value], read: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
    objects.iter().map(|object| parse_one(object, &read)).collect()
}

/// What the API server stores is valid, so an object that cannot be read is not the user's mistake.
fn parse_one<T>(object: &Value, read: impl Fn(&Value) -> Result<T>) -> Result<T> {
    read(object)
        .map_err(|error| Error::kubernetes(format!("cannot read what the API server returned: {error}")))
}
