//! What a test would do with kubectl, as the administrator: blocking, on plain JSON.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Error;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::{Value, json};

use super::apiserver::ApiServer;
use super::block_on;
use super::kind::{
    ADMISSION_POLICY, ADMISSION_POLICY_BINDING, CLUSTER_ROLE, CONFIG_MAP, EVENT, Kind, NODE, NODE_CLAIM,
    NODE_OVERLAY, NODE_POOL, POD, POD_BUDGET, last,
};

/// The objects of a document: those of a List, none of an empty one.
fn items(document: Value) -> Vec<Value> {
    match document.get("items") {
        Some(Value::Array(items)) => items.clone(),
        _ if document.is_null() => Vec::new(),
        _ => vec![document],
    }
}

fn value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).expect("an object came as JSON")
}

impl ApiServer {
    /// Applies every document of `yaml` by server-side apply as field manager `tests`, and gives what is stored.
    pub(crate) fn apply(&self, yaml: &str) -> Vec<Value> {
        self.apply_as("tests", yaml)
    }

    /// As [`ApiServer::apply`], by another field manager (`argocd-controller`, say), by force.
    ///
    /// # Panics
    /// When a document is refused; [`ApiServer::try_apply_as`] gives the error instead.
    pub(crate) fn apply_as(&self, manager: &str, yaml: &str) -> Vec<Value> {
        self.try_apply_as(manager, yaml)
            .unwrap_or_else(|error| panic!("apply: {error}\n{yaml}"))
    }

    /// Applies documents (also Lists) of any kind that the server knows.
    pub(crate) fn try_apply_as(&self, manager: &str, yaml: &str) -> Result<Vec<Value>, Error> {
        // As kubectl reads it: `y` and `n` are strings.
        let options = serde_saphyr::options! { strict_booleans: true };
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(yaml, options)
            .unwrap_or_else(|error| panic!("not YAML: {error}\n{yaml}"));
        let client = self.client();
        let params = PatchParams::apply(manager).force();
        block_on(async {
            let mut stored = Vec::new();
            for object in documents.into_iter().flat_map(items) {
                let object: DynamicObject = serde_json::from_value(object).map_err(Error::SerdeError)?;
                let types = object.types.clone().unwrap_or_default();
                let gvk =
                    GroupVersionKind::try_from(&types).unwrap_or_else(|error| panic!("{types:?}: {error}"));
                let (resource, capabilities) = pinned_kind(&client, &gvk).await?;
                let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
                let api = match capabilities.scope {
                    Scope::Cluster => Api::all_with(client.clone(), &resource),
                    Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
                };
                let name = object.metadata.name.clone().unwrap_or_default();
                stored.push(value(&api.patch(&name, &params, &Patch::Apply(&object)).await?));
            }
            Ok(stored)
        })
    }

    /// The object, if there is one.
    pub(crate) fn get(&self, kind: &Kind, name: &str) -> Option<Value> {
        let found = block_on(kind.api(&self.client(), name).get_opt(last(name)));
        found
            .unwrap_or_else(|error| panic!("get {} {name}: {error}", kind.name))
            .as_ref()
            .map(value)
    }

    /// Creates many objects of a kind, some at a time.
    pub(crate) fn create_all(&self, kind: &Kind, objects: impl Iterator<Item = Value>) {
        let api: Api<DynamicObject> = Api::all_with(self.client(), &kind.resource());
        let create = |object: Value| {
            let api = api.clone();
            async move {
                let object: DynamicObject = serde_json::from_value(object).expect("an object");
                api.create(&PostParams::default(), &object).await
            }
        };
        let created = futures::stream::iter(objects.map(create)).buffer_unordered(16);
        block_on(created.try_collect::<Vec<_>>())
            .unwrap_or_else(|error| panic!("create {}: {error}", kind.plural));
    }

    /// All objects of a kind, in all namespaces.
    pub(crate) fn list(&self, kind: &Kind) -> Vec<Value> {
        let api: Api<DynamicObject> = Api::all_with(self.client(), &kind.resource());
        let list = block_on(api.list(&ListParams::default()));
        list.unwrap_or_else(|error| panic!("list {}: {error}", kind.plural))
            .items
            .iter()
            .map(value)
            .collect()
    }

    /// The events (events.k8s.io) in namespace `default`, where those of cluster-scoped objects belong.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.list(&EVENT)
            .into_iter()
            .filter(|event| event["metadata"]["namespace"] == "default")
            .collect()
    }

    /// A merge patch, as field manager `manager`.
    pub(crate) fn try_patch_as(
        &self,
        manager: &str,
        kind: &Kind,
        name: &str,
        patch: &Value,
    ) -> Result<Value, Error> {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..Default::default()
        };
        let api = kind.api(&self.client(), name);
        Ok(value(&block_on(api.patch(
            last(name),
            &params,
            &Patch::Merge(patch),
        ))?))
    }

    /// A merge patch that must succeed, by a person with kubectl.
    pub(crate) fn patch(&self, kind: &Kind, name: &str, patch: &Value) -> Value {
        self.try_patch_as("kubectl-edit", kind, name, patch)
            .unwrap_or_else(|error| panic!("patch {} {name}: {error}", kind.name))
    }

    /// A merge patch of the status, which Karpenter or a kubelet would write.
    pub(crate) fn patch_status(&self, kind: &Kind, name: &str, status: &Value) -> Value {
        let api = kind.api(&self.client(), name);
        let patch = Patch::Merge(json!({ "status": status }));
        let stored = block_on(api.patch_status(last(name), &PatchParams::default(), &patch));
        value(&stored.unwrap_or_else(|error| panic!("patch status of {} {name}: {error}", kind.name)))
    }

    /// Deletes an object at once: finalizers, which no controller here would remove, are dropped.
    pub(crate) fn delete(&self, kind: &Kind, name: &str) {
        let api = kind.api(&self.client(), name);
        let unheld = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let deleted = block_on(async {
            let deleted = api
                .delete(last(name), &DeleteParams::default().grace_period(0))
                .await?;
            match deleted.left().and_then(|object| object.metadata.finalizers) {
                Some(held) if !held.is_empty() => api
                    .patch(last(name), &PatchParams::default(), &unheld)
                    .await
                    .map(drop),
                _ => Ok(()),
            }
        });
        match deleted {
            Err(Error::Api(status)) if status.code == 404 => {}
            other => other.unwrap_or_else(|error| panic!("delete {} {name}: {error}", kind.name)),
        }
    }

    /// Deletes what tests leave behind: all objects of the kinds that Brimful reads or writes.
    pub(crate) fn wipe(&self) {
        // Policies first: they may forbid the rest.
        let kinds = [
            ADMISSION_POLICY_BINDING,
            ADMISSION_POLICY,
            POD,
            POD_BUDGET,
            NODE_POOL,
            NODE_CLAIM,
            NODE_OVERLAY,
            NODE,
            CONFIG_MAP,
            EVENT,
        ];
        // What a test has granted beyond the base; a binding without its role grants nothing.
        let roles = self.list(&CLUSTER_ROLE).into_iter();
        let granted = roles.filter(|role| role["metadata"]["name"] == "brimful-top-up");
        for role in granted {
            self.delete(
                &CLUSTER_ROLE,
                role["metadata"]["name"].as_str().unwrap_or_default(),
            );
        }
        for kind in kinds {
            for object in self.list(&kind) {
                let metadata = &object["metadata"];
                let namespace = metadata["namespace"].as_str().unwrap_or("-");
                if !namespace.starts_with("kube-") {
                    self.delete(
                        &kind,
                        &format!("{namespace}/{}", metadata["name"].as_str().unwrap_or_default()),
                    );
                }
            }
        }
    }

    /// A token of the `ServiceAccount`, which is made if it isn't there; its rights are whatever RBAC gives it.
    pub(crate) fn service_account_token(&self, namespace: &str, name: &str) -> String {
        let yaml = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"namespace": namespace, "name": name},
        });
        self.apply(&yaml.to_string());
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = json!({"spec": {"audiences": [], "expirationSeconds": 3600}});
        let params = PostParams::default();
        let answer: Result<TokenRequest, Error> =
            block_on(accounts.create_subresource("token", name, &params, &request));
        let status = answer
            .unwrap_or_else(|error| panic!("token of {namespace}/{name}: {error}"))
            .status;
        status.expect("a token request is answered with a token").token
    }
}
