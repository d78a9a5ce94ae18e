//! The edge to the Kubernetes API: reads pools, claims and nodes, sends patches, Events and the control state.
//!
//! Rights it needs: `nodepools` get, list, patch; `nodeclaims` and `nodes` list; `events` (in `default`) create;
//! `configmaps` get, create, patch, delete; for `topUp` also `pods` and `poddisruptionbudgets` list, `nodeclaims` delete.

use std::io;
use std::path::Path;

use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::Request;
use kube::core::params::ListParams;
use kube::{Client, Config};
use serde_json::Value;

use self::call::Call;
use brimful_karpenter::cluster::NodeClaimsError;
use brimful_karpenter::{Node, NodeClaim, NodePool, Pod, PodDisruptionBudget, Pods};
use brimful_types::{Error, Result};

mod call;
mod delete;
mod events;
mod inspect;
mod leader;
mod merge;
mod patch;
mod patience;
mod proxy;
mod state;
#[cfg(test)]
mod tests;
mod watch;

pub use leader::Leadership;
pub use state::StateLease;
pub use watch::Changes;

/// Objects per page of a list: what kubectl asks for.
const PAGE: u32 = 500;

const NODE_POOLS: Resource = Resource::new("karpenter.sh", "nodepools", "/apis/karpenter.sh/v1/nodepools");
const NODE_CLAIMS: Resource = Resource::new("karpenter.sh", "nodeclaims", "/apis/karpenter.sh/v1/nodeclaims");
const NODES: Resource = Resource::new("", "nodes", "/api/v1/nodes");
const PODS: Resource = Resource::new("", "pods", "/api/v1/pods");
const POD_BUDGETS: Resource = Resource::new(
    "policy",
    "poddisruptionbudgets",
    "/apis/policy/v1/poddisruptionbudgets",
);
/// A resource of the API, in the whole cluster.
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

impl Cluster {
    /// The contexts of a kubeconfig, or of the one that kubectl would find; none if it cannot be read.
    #[must_use]
    pub fn contexts(kubeconfig: Option<&Path>) -> Vec<String> {
        let file = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
        let contexts = file.map(|file| file.contexts).unwrap_or_default();
        contexts.into_iter().map(|context| context.name).collect()
    }

    /// Name of the EKS cluster that the context in use stands for, where the kubeconfig calls its entry by the
    /// cluster's ARN, as `aws eks update-kubeconfig` does.
    #[must_use]
    pub fn eks_name(kubeconfig: Option<&Path>, context: Option<&str>) -> Option<String> {
        let file = kubeconfig
            .map_or_else(Kubeconfig::read, Kubeconfig::read_from)
            .ok()?;
        let used = context.or(file.current_context.as_deref())?;
        let named = file.contexts.iter().find(|context| context.name == used)?;
        name_in_arn(&named.context.as_ref()?.cluster).map(str::to_owned)
    }

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
    /// As [`Cluster::connect`]; that the user may not be impersonated is reported by the first read.
    pub async fn connect_as(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        user: Option<&str>,
    ) -> Result<Self> {
        let mut config = load(kubeconfig, context).await?;
        if let Some(user) = user {
            config.auth_info.impersonate = Some(user.to_owned());
        }
        // A credential plugin of the kubeconfig is run here, and waited for.
        tokio::task::spawn_blocking(|| Self::from_config(config))
            .await
            .map_err(|error| Error::unexpected("cannot make a Kubernetes client").source(error))?
    }

    fn from_config(mut config: Config) -> Result<Self> {
        config.connect_timeout = Some(patience::CONNECT);
        config.read_timeout = Some(patience::SILENCE);
        config.write_timeout = Some(patience::SILENCE);
        config.reset_reader_on_write = true;
        // Its 15 tries take as long as the server asks for; ours are in `patience`.
        config.default_retry = false;
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
        let mut pools = match self.list(&NODE_POOLS, NodePool::from_json).await {
            Err(error) if code(&error) == Some(404) => return Err(self.karpenter_missing().await),
            pools => pools.map_err(|error| self.failed(&NODE_POOLS.call("list"), error))??,
        };
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pools)
    }

    /// One `NodePool`.
    ///
    /// # Errors
    /// A Kubernetes error, also if there is no such pool.
    pub async fn node_pool(&self, name: &str) -> Result<NodePool> {
        let call = NODE_POOLS.call("get").named(name);
        let object = self
            .get(NODE_POOLS.path, name)
            .await
            .map_err(|error| self.failed(&call, error))?;
        parse_one(&object, NodePool::from_json)
    }

    /// Every Node, sorted by name.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let nodes = self.list(&NODES, Node::from_json).await;
        let mut nodes = nodes.map_err(|error| self.failed(&NODES.call("list"), error))??;
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// Every `NodeClaim`, sorted by name.
    ///
    /// # Errors
    /// [`NodeClaimsError::Unavailable`] if they may not be read or are not served.
    pub async fn node_claims(&self) -> Result<Vec<NodeClaim>, NodeClaimsError> {
        let claims = self.list(&NODE_CLAIMS, NodeClaim::from_json).await;
        let claims = claims.map_err(|error| {
            let unavailable = matches!(code(&error), Some(403 | 404));
            let error = self.failed(&NODE_CLAIMS.call("list"), error);
            if unavailable {
                NodeClaimsError::Unavailable(error)
            } else {
                NodeClaimsError::Failed(error)
            }
        })?;
        let mut claims = claims.map_err(NodeClaimsError::Failed)?;
        claims.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(claims)
    }

    /// Every pod, and what bounds their disruption.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn pods(&self) -> Result<Pods> {
        let pods = self.pods_where(ListParams::default()).await?;
        let budgets = self.list(&POD_BUDGETS, PodDisruptionBudget::from_json).await;
        Ok(Pods {
            pods,
            budgets: budgets.map_err(|error| self.failed(&POD_BUDGETS.call("list"), error))??,
        })
    }

    /// The pods of one Node.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn pods_on(&self, node: &str) -> Result<Vec<Pod>> {
        let params = ListParams::default().fields(&format!("spec.nodeName={node}"));
        self.pods_where(params).await
    }

    async fn pods_where(&self, params: ListParams) -> Result<Vec<Pod>> {
        let pods = self.list_where(&PODS, params, Pod::from_json).await;
        pods.map_err(|error| self.failed(&PODS.call("list"), error))?
    }

    /// Every object of a resource, page by page; if a page's token expires, once more in one piece. Each is read as it comes:
    /// those of a large cluster would take hundreds of MiB as they are.
    async fn list<T>(
        &self,
        resource: &Resource,
        read: impl Fn(&Value) -> Result<T>,
    ) -> kube::Result<Result<Vec<T>>> {
        self.list_where(resource, ListParams::default(), read).await
    }

    /// The same of some of them.
    async fn list_where<T>(
        &self,
        resource: &Resource,
        params: ListParams,
        read: impl Fn(&Value) -> Result<T>,
    ) -> kube::Result<Result<Vec<T>>> {
        let read = |object: Value| parse_one(&object, &read);
        let paged = ListParams {
            limit: Some(PAGE),
            ..params.clone()
        };
        match self.list_pages(resource, paged, &read).await {
            Err(error) if code(&error) == Some(410) => self.list_pages(resource, params, &read).await,
            items => items,
        }
        .map(|items| items.into_iter().collect())
    }

    async fn list_pages<T>(
        &self,
        resource: &Resource,
        mut params: ListParams,
        read: impl Fn(Value) -> T,
    ) -> kube::Result<Vec<T>> {
        let mut items = Vec::new();
        // What the pages so far say that there is. All pages are of one moment, so it must come.
        let mut promised = 0;
        loop {
            let request = Request::new(resource.path)
                .list(&params)
                .map_err(kube::Error::BuildRequest)?;
            let page = patience::read(|| async { whole(self.answer(request.clone()).await?) });
            let (found, remaining, token) = page.await?;
            items.extend(found.into_iter().map(&read));
            promised = promised.max(items.len() + remaining);
            match token {
                Some(token) => params.continue_token = Some(token),
                None if items.len() < promised => {
                    let cut = format!("the list ends after {} of {promised} objects", items.len());
                    return Err(kube::Error::Service(cut.into()));
                }
                None => return Ok(items),
            }
        }
    }

    /// Sends a request and reads the whole answer; anything but success is an error.
    async fn answer(&self, request: http::Request<Vec<u8>>) -> kube::Result<Value> {
        let response = self.client.send(request.map(Body::from)).await?;
        let (head, body) = response.into_parts();
        let body = body.collect_bytes().await?;
        if head.status.is_success() {
            return serde_json::from_slice(&body).map_err(kube::Error::SerdeError);
        }
        Err(call::refusal(&head, &body))
    }

    /// Why there are no `NodePool`s of v1: an old Karpenter, or none.
    async fn karpenter_missing(&self) -> Error {
        let old = patience::read(|| self.client.list_api_group_resources("karpenter.sh/v1beta1")).await;
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

/// `prod` of `arn:aws:eks:us-east-2:111122223333:cluster/prod`, in every partition.
fn name_in_arn(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "eks", _, _, resource] = parts[..] else {
        return None;
    };
    let name = resource.strip_prefix("cluster/")?;
    (partition.starts_with("aws") && !name.is_empty()).then_some(name)
}

/// The configuration to connect by, as kubectl would find it.
async fn load(path: Option<&Path>, context: Option<&str>) -> Result<Config> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let file = match path {
        Some(path) => Kubeconfig::read_from(path).map_err(call::no_config)?,
        None => match Kubeconfig::read() {
            Ok(file) => file,
            Err(error) if context.is_some() => return Err(call::no_config(error)),
            // A pod reaches its own API server directly.
            Err(error) => {
                let inferred = Config::infer().await;
                return inferred.map_err(|causes| match error {
                    KubeconfigError::FindPath => call::no_kubeconfig(None),
                    KubeconfigError::ReadConfig(why, place) if why.kind() == io::ErrorKind::NotFound => {
                        call::no_kubeconfig(Some(&place))
                    }
                    _ => call::no_config_anywhere(causes),
                });
            }
        },
    };
    let own_proxy = proxy::configured(&file, context);
    match Config::from_custom_kubeconfig(file, &options).await {
        Ok(mut config) => {
            config.proxy_url = proxy::choose(&config.cluster_url, own_proxy)?;
            Ok(config)
        }
        Err(_) if path.is_none() && context.is_none() => {
            Config::infer().await.map_err(call::no_config_anywhere)
        }
        Err(error) => Err(call::no_config(error)),
    }
}

/// What a page of a list holds: its objects, how many are still to come, and the token to ask for them by.
fn whole(mut page: Value) -> kube::Result<(Vec<Value>, usize, Option<String>)> {
    let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) else {
        return Err(kube::Error::Service(
            "the answer is no list: it lacks items".into(),
        ));
    };
    let metadata = &page["metadata"];
    let remaining = metadata["remainingItemCount"].as_u64().unwrap_or_default();
    let token = metadata["continue"].as_str().filter(|token| !token.is_empty());
    let remaining = usize::try_from(remaining).unwrap_or(usize::MAX);
    Ok((found, remaining, token.map(str::to_owned)))
}

/// The HTTP code of an answer that is an error.
fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// What the API server stores is valid, so an object that cannot be read is not the user's mistake.
fn parse_one<T>(object: &Value, read: impl Fn(&Value) -> Result<T>) -> Result<T> {
    read(object)
        .map_err(|error| Error::kubernetes(format!("cannot read what the API server returned: {error}")))
}
