//! The control state: one `ConfigMap` that Brimful creates itself and that one run at a time holds.
//!
//! The holder stands in two annotations and ends by itself, so that a run that died holds nobody up for long.
//! Every write carries the resourceVersion it was made from: of two runs that start together one is refused.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::call::Call;
use super::{Cluster, MANAGER, code};
use brimful_types::{Error, Result};

/// The key of the state in the `ConfigMap`.
const KEY: &str = "state.json";
/// The key of the history, which is written together with it.
const HISTORY_KEY: &str = "history.json";
/// Annotation: who holds the state.
const HOLDER: &str = "brimful.dev/holder";
/// Annotation: until when (RFC 3339).
const HELD_UNTIL: &str = "brimful.dev/held-until";

/// The state, held by this run. Give it back with [`Cluster::release_state`]; if that never happens, it is free
/// again once the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLease {
    namespace: String,
    name: String,
    resource_version: Option<String>,
    state: Option<String>,
    history: Option<String>,
}

impl StateLease {
    fn new(namespace: &str, name: &str, map: ConfigMap) -> Self {
        let mut data = map.data.unwrap_or_default();
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            resource_version: map.metadata.resource_version,
            state: data.remove(KEY),
            history: data.remove(HISTORY_KEY),
        }
    }

    /// The state's JSON as it was when the lease was taken; None if there was none yet.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The history's JSON, likewise.
    #[must_use]
    pub fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }
}

impl Cluster {
    /// Reads the state's JSON without holding it; None if there is none yet.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn read_state(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        self.read_key(namespace, name, KEY).await
    }

    /// Reads the history's JSON; None if there is none yet.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn read_history(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        self.read_key(namespace, name, HISTORY_KEY).await
    }

    async fn read_key(&self, namespace: &str, name: &str, key: &str) -> Result<Option<String>> {
        let map = self.get_state(namespace, name).await?;
        Ok(map.and_then(|map| map.data).and_then(|mut data| data.remove(key)))
    }

    /// Takes the state for this run until `now + lease`, and makes the `ConfigMap` if it is not there. `holder`
    /// must tell runs apart; the same holder may take it again.
    ///
    /// # Errors
    /// A Kubernetes error, also if another run holds the state or takes it at the same moment.
    pub async fn take_state(
        &self,
        namespace: &str,
        name: &str,
        holder: &str,
        now: DateTime<Utc>,
        lease: Duration,
    ) -> Result<StateLease> {
        let until = (now + lease).to_rfc3339_opts(SecondsFormat::Secs, true);
        let annotations = json!({ HOLDER: holder, HELD_UNTIL: until });
        let Some(map) = self.get_state(namespace, name).await? else {
            return self.create_state(namespace, name, &annotations).await;
        };
        if let Some((other, until)) = held(&map, holder, now) {
            return Err(busy(&format!(
                "another run ({other}) holds the state until {until}"
            )));
        }
        let metadata = json!({"resourceVersion": map.metadata.resource_version, "annotations": annotations});
        let map = match self
            .patch_state(namespace, name, &json!({ "metadata": metadata }))
            .await
        {
            Err(error) if code(&error) == Some(409) => return Err(taken_just_now()),
            result => result.map_err(|error| self.failed(&call("patch", namespace).named(name), error))?,
        };
        Ok(StateLease::new(namespace, name, map))
    }

    /// Gives the state back, in one write with new content of state and history where these say so. Content that did
    /// not change is not written.
    ///
    /// # Errors
    /// A Kubernetes error; if the `ConfigMap` was changed meanwhile, nothing is written.
    pub async fn release_state(
        &self,
        lease: StateLease,
        state_json: Option<&str>,
        history_json: Option<&str>,
    ) -> Result<()> {
        let annotations = json!({HOLDER: null, HELD_UNTIL: null});
        let mut patch = json!({
            "metadata": {"resourceVersion": lease.resource_version, "annotations": annotations}
        });
        if let Some(state) = state_json.filter(|state| lease.state() != Some(state)) {
            patch["data"][KEY] = json!(state);
        }
        if let Some(history) = history_json.filter(|history| lease.history() != Some(history)) {
            patch["data"][HISTORY_KEY] = json!(history);
        }
        match self.patch_state(&lease.namespace, &lease.name, &patch).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(409) => Err(Error::kubernetes(format!(
                "ConfigMap {}/{} was changed while this run held it; the new state was not written",
                lease.namespace, lease.name
            ))
            .hint("another run took over because this one outlasted its lease, or someone edited it")),
            Err(error) => Err(self.failed(&call("patch", &lease.namespace).named(&lease.name), error)),
        }
    }

    /// Deletes the state; that there is none is fine.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn delete_state(&self, namespace: &str, name: &str) -> Result<()> {
        match self
            .config_maps(namespace)
            .delete(name, &DeleteParams::default())
            .await
        {
            Err(error) if code(&error) != Some(404) => {
                Err(self.failed(&call("delete", namespace).named(name), error))
            }
            _ => Ok(()),
        }
    }

    async fn get_state(&self, namespace: &str, name: &str) -> Result<Option<ConfigMap>> {
        let found = self.config_maps(namespace).get_opt(name).await;
        found.map_err(|error| self.failed(&call("get", namespace).named(name), error))
    }

    async fn create_state(
        &self,
        namespace: &str,
        name: &str,
        annotations: &serde_json::Value,
    ) -> Result<StateLease> {
        let metadata = json!({
            "name": name, "annotations": annotations, "labels": {"app.kubernetes.io/managed-by": MANAGER}
        });
        let map = serde_json::from_value(json!({ "metadata": metadata }))
            .map_err(|error| Error::unexpected("cannot build the state's ConfigMap").source(error))?;
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        match self.config_maps(namespace).create(&params, &map).await {
            Ok(map) => Ok(StateLease::new(namespace, name, map)),
            Err(error) if code(&error) == Some(409) => Err(taken_just_now()),
            Err(error) => Err(self.failed(&call("create", namespace).named(name), error)),
        }
    }

    async fn patch_state(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> kube::Result<ConfigMap> {
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.config_maps(namespace)
            .patch(name, &params, &Patch::Merge(patch))
            .await
    }

    fn config_maps(&self, namespace: &str) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn call<'a>(verb: &'static str, namespace: &'a str) -> Call<'a> {
    Call::new(verb, "", "configmaps").within(namespace)
}

/// Who else holds the state now, and until when. A time that cannot be read holds nobody up.
fn held(map: &ConfigMap, holder: &str, now: DateTime<Utc>) -> Option<(String, String)> {
    let annotations = map.metadata.annotations.as_ref()?;
    let (other, until) = (annotations.get(HOLDER)?, annotations.get(HELD_UNTIL)?);
    let held = DateTime::parse_from_rfc3339(until).is_ok_and(|until| until > now);
    (held && other != holder).then(|| (other.clone(), until.clone()))
}

fn taken_just_now() -> Error {
    busy("another run took the state at the same moment")
}

fn busy(message: &str) -> Error {
    Error::kubernetes(message)
        .hint("wait for it to end; if it is dead, the state is free again when its time is over")
}
