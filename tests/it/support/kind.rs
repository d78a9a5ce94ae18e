//! The kinds of object that tests handle.

use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};

/// A kind of object. Names of namespaced ones are written `namespace/name`; without a slash: in `default`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    group: &'static str,
    version: &'static str,
    pub(crate) name: &'static str,
    pub(crate) plural: &'static str,
    namespaced: bool,
}

const KARPENTER: &str = "karpenter.sh";
const ADMISSION: &str = "admissionregistration.k8s.io";

pub(crate) const NODE_POOL: Kind = Kind::new(KARPENTER, "v1", "NodePool", "nodepools");
pub(crate) const NODE_POOL_V1BETA1: Kind = Kind::new(KARPENTER, "v1beta1", "NodePool", "nodepools");
pub(crate) const NODE_OVERLAY: Kind = Kind::new(KARPENTER, "v1alpha1", "NodeOverlay", "nodeoverlays");
pub(crate) const NODE_CLAIM: Kind = Kind::new(KARPENTER, "v1", "NodeClaim", "nodeclaims");
pub(crate) const NODE: Kind = Kind::new("", "v1", "Node", "nodes");
pub(crate) const NAMESPACE: Kind = Kind::new("", "v1", "Namespace", "namespaces");
pub(crate) const POD: Kind = Kind::new("", "v1", "Pod", "pods").namespaced();
pub(crate) const POD_BUDGET: Kind =
    Kind::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets").namespaced();
pub(crate) const CONFIG_MAP: Kind = Kind::new("", "v1", "ConfigMap", "configmaps").namespaced();
pub(crate) const EVENT: Kind = Kind::new("events.k8s.io", "v1", "Event", "events").namespaced();
pub(crate) const CUSTOM_RESOURCE_DEFINITION: Kind = Kind::new(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
);
pub(crate) const ADMISSION_POLICY: Kind = Kind::new(
    ADMISSION,
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
);
pub(crate) const ADMISSION_POLICY_BINDING: Kind = Kind::new(
    ADMISSION,
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
);

pub(crate) const CLUSTER_ROLE: Kind =
    Kind::new("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles");

impl Kind {
    /// A cluster-scoped kind.
    pub(crate) const fn new(
        group: &'static str,
        version: &'static str,
        name: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            name,
            plural,
            namespaced: false,
        }
    }

    /// The same, in namespaces.
    pub(crate) const fn namespaced(self) -> Self {
        Self {
            namespaced: true,
            ..self
        }
    }

    pub(crate) fn resource(&self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group, self.version, self.name);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }

    /// The API of this kind in the namespace that `name` says (see [`Kind`]), for any client.
    pub(crate) fn api(&self, client: &Client, name: &str) -> Api<DynamicObject> {
        match name.split_once('/') {
            Some((namespace, _)) if self.namespaced => {
                Api::namespaced_with(client.clone(), namespace, &self.resource())
            }
            _ if self.namespaced => Api::namespaced_with(client.clone(), "default", &self.resource()),
            _ => Api::all_with(client.clone(), &self.resource()),
        }
    }
}

/// `name` of `namespace/name`.
pub(crate) fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
