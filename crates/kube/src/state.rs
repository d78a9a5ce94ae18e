//! The control state: one `ConfigMap` that Brimful creates itself and that one run at a time holds.
//!
//! The holder stands in annotations and renews them while it works. Nobody compares clocks: a run that finds the state
//! held watches it, and takes it over only when it has seen no renewal for as long as the lease says. A holder that
//! cannot renew stops changing anything well before that. Every write carries the resourceVersion it was made from, so
//! that of two runs at the same moment one is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use kube::core::Request;
use kube::core::params::{DeleteParams, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, sleep};

use super::call::Call;
use super::merge::MergeError;
use super::{Cluster, code, patience};
use brimful_karpenter::cluster::FIELD_MANAGER;
use brimful_types::{Error, Result};

/// The key of the state in the `ConfigMap`.
const KEY: &str = "state.json";
/// The key of the history, which is written together with it.
const HISTORY_KEY: &str = "history.json";
/// Annotation: who holds the state.
const HOLDER: &str = "brimful.dev/holder";
/// Annotation: until when, by the holder's clock (RFC 3339). What counts is that it changes.
const HELD_UNTIL: &str = "brimful.dev/held-until";
/// Annotation: for how many seconds without a renewal the holder is taken to be alive. Holders of before there were
/// renewals do not have it; of them the time is believed.
const LEASE_SECONDS: &str = "brimful.dev/lease-seconds";

/// How long a holder that does not renew is believed to be alive.
pub(super) const LEASE: Duration = Duration::from_secs(45);
/// How often a holder renews.
const RENEW: Duration = Duration::from_secs(10);
/// A holder that has not renewed for so long changes nothing more: a write that it sends just before is over (see
/// `patience::WRITE`) before anybody may take the state.
const SURE: Duration = Duration::from_secs(30);
/// How often a run looks at the holder that it found.
const LOOK: Duration = Duration::from_secs(2);
/// A lease that is said to be longer is not waited for.
const LONGEST: u64 = 600;
/// Tries of one write to the `ConfigMap`.
const TRIES: usize = 4;

/// The state, held and renewed by this run. Give it back with [`StateLease::release`]; if that never happens, it is free
/// again when nobody has renewed it for a while.
#[derive(Debug)]
pub struct StateLease {
    hold: Arc<Hold>,
    renewal: JoinHandle<()>,
    state: Option<String>,
    history: Option<String>,
}

impl Drop for StateLease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl StateLease {
    fn new(hold: Hold, map: &Value) -> Self {
        let text = |key: &str| map["data"][key].as_str().map(str::to_owned);
        let hold = Arc::new(hold);
        Self {
            renewal: tokio::spawn(renew(Arc::clone(&hold))),
            hold,
            state: text(KEY),
            history: text(HISTORY_KEY),
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

    /// Whether this run is sure to hold the state, and may change something.
    ///
    /// # Errors
    /// A Kubernetes error that says since when it is not.
    pub fn check(&self) -> Result<()> {
        let seen = self.hold.seen();
        if let Some(why) = &seen.lost {
            return Err(Error::kubernetes(why.clone()).hint(LOST));
        }
        let age = seen.renewed.elapsed();
        if age < SURE {
            return Ok(());
        }
        let message = format!(
            "this run could not renew its hold on the state for {} s, so another may have taken over",
            age.as_secs()
        );
        Err(Error::kubernetes(message).hint(LOST))
    }

    /// Gives the state back, in one write with new content of state and history where these say so. Content that did
    /// not change is not written.
    ///
    /// # Errors
    /// A Kubernetes error; if another run has taken over, or somebody has edited the content meanwhile, no content is
    /// written.
    pub async fn release(self, state_json: Option<&str>, history_json: Option<&str>) -> Result<()> {
        self.renewal.abort();
        let mut data = json!({});
        if let Some(state) = state_json.filter(|state| self.state() != Some(state)) {
            data[KEY] = json!(state);
        }
        if let Some(history) = history_json.filter(|history| self.history() != Some(history)) {
            data[HISTORY_KEY] = json!(history);
        }
        let mut patch = json!({"metadata": {"annotations": free()}});
        if data != json!({}) {
            patch["data"] = data;
        }
        let before = [(KEY, self.state()), (HISTORY_KEY, self.history())];
        self.hold.write(patch, &before).await
    }
}

/// What to do about a lost lease.
const LOST: &str = "nothing more was changed; look at the run that holds the state now";

/// The hold on a `ConfigMap`, shared with the task that renews it.
struct Hold {
    cluster: Cluster,
    namespace: String,
    name: String,
    holder: String,
    /// The time, and when it was taken.
    now: DateTime<Utc>,
    began: Instant,
    seen: Mutex<Seen>,
}

/// The `ConfigMap` as this run last wrote it.
struct Seen {
    version: Value,
    /// When the last renewal that came through was sent.
    renewed: Instant,
    /// Why the state is no longer this run's.
    lost: Option<String>,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

/// Renews a hold until it is lost, or the task is ended.
async fn renew(hold: Arc<Hold>) {
    loop {
        sleep(RENEW).await;
        let sent = Instant::now();
        let patch = json!({"metadata": {"annotations": hold.annotations()}});
        match hold.write(patch, &[]).await {
            Ok(()) => hold.seen().renewed = sent,
            Err(error) => tracing::debug!(%error, "cannot renew the hold on the state"),
        }
        if hold.seen().lost.is_some() {
            return;
        }
    }
}

impl Hold {
    fn new(cluster: Cluster, namespace: &str, name: &str, holder: &str, now: DateTime<Utc>) -> Self {
        let seen = Seen {
            version: Value::Null,
            renewed: Instant::now(),
            lost: None,
        };
        Self {
            cluster,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            holder: holder.to_owned(),
            now,
            began: Instant::now(),
            seen: Mutex::new(seen),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn annotations(&self) -> Value {
        let until = self.now + self.began.elapsed() + LEASE;
        json!({
            HOLDER: self.holder,
            HELD_UNTIL: until.to_rfc3339_opts(SecondsFormat::Secs, true),
            LEASE_SECONDS: LEASE.as_secs().to_string(),
        })
    }

    /// Changes the `ConfigMap`, as long as it is this run's. Data is written only where it still is what `before` says.
    async fn write(&self, mut patch: Value, before: &[(&str, Option<&str>)]) -> Result<()> {
        let place = (self.namespace.as_str(), self.name.as_str());
        let mut edited = false;
        for tried in 0..TRIES {
            patch["metadata"]["resourceVersion"] = self.seen().version.clone();
            let error = match self.cluster.patch_map(place, &patch).await {
                Ok(map) => {
                    self.seen().version = map["metadata"]["resourceVersion"].clone();
                    let message = "was edited while this run held it; the new state was not written";
                    return if edited { Err(self.error(message)) } else { Ok(()) };
                }
                Err(MergeError::Undone(error)) if tried + 1 < TRIES => {
                    sleep(patience::pause(&error, tried)).await;
                    continue;
                }
                Err(MergeError::Conflict(error)) => error,
                Err(error) => {
                    return Err(self.cluster.map_failed("patch", place, error.into_error()));
                }
            };
            // Somebody else has written: another run, or a person who edits something.
            let Some(map) = self.cluster.get_map(place).await? else {
                return Err(self.lost("was deleted"));
            };
            match annotation(&map, HOLDER) {
                Some(holder) if holder == self.holder => {}
                Some(other) => return Err(self.lost(&format!("was taken over by another run ({other})"))),
                None => return Err(self.lost("was taken from this run")),
            }
            if before
                .iter()
                .any(|(key, text)| map["data"][*key].as_str() != *text)
            {
                edited |= patch
                    .as_object_mut()
                    .is_some_and(|patch| patch.remove("data").is_some());
            }
            self.seen().version = map["metadata"]["resourceVersion"].clone();
            if tried + 1 == TRIES {
                return Err(self.cluster.map_failed("patch", place, error));
            }
        }
        Err(self.error("kept changing while this run wrote to it"))
    }

    fn lost(&self, what: &str) -> Error {
        let why = format!(
            "ConfigMap {}/{} {what} while this run held it",
            self.namespace, self.name
        );
        self.seen().lost = Some(why.clone());
        Error::kubernetes(format!("{why}; its new state was not written")).hint(LOST)
    }

    fn error(&self, what: &str) -> Error {
        Error::kubernetes(format!("ConfigMap {}/{} {what}", self.namespace, self.name))
            .hint("the next run makes up for it")
    }
}

/// Who was found to hold the state.
struct Found {
    holder: String,
    until: String,
    since: Instant,
}

impl Cluster {
    /// Reads the state's JSON without holding it; None if there is none yet.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn read_state(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        self.read_key((namespace, name), KEY).await
    }

    /// Reads the history's JSON; None if there is none yet.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn read_history(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        self.read_key((namespace, name), HISTORY_KEY).await
    }

    async fn read_key(&self, place: (&str, &str), key: &str) -> Result<Option<String>> {
        let map = self.get_map(place).await?;
        Ok(map.and_then(|map| map["data"][key].as_str().map(str::to_owned)))
    }

    /// Takes the state for this run, and makes the `ConfigMap` if it is not there. `holder` must tell runs apart; `now`
    /// is only shown to people. Where another run holds the state, it is watched until it has renewed its hold, or has
    /// not for as long as it said: then it is dead, and the state is taken over.
    ///
    /// # Errors
    /// A Kubernetes error, also if another run holds the state or takes it at the same moment.
    pub async fn take_state(
        &self,
        namespace: &str,
        name: &str,
        holder: &str,
        now: DateTime<Utc>,
    ) -> Result<StateLease> {
        let place = (namespace, name);
        let mut found: Option<Found> = None;
        let mut tried = 0;
        loop {
            let map = self.get_map(place).await?;
            if let Some(map) = &map
                && self.is_held(map, holder, now, &mut found)?
            {
                sleep(LOOK).await;
                continue;
            }
            let hold = Hold::new(self.clone(), namespace, name, holder, now);
            let written = match &map {
                Some(map) => {
                    let metadata = json!({
                        "resourceVersion": map["metadata"]["resourceVersion"], "annotations": hold.annotations()
                    });
                    self.patch_map(place, &json!({ "metadata": metadata })).await
                }
                None => self.create_map(place, &hold).await,
            };
            let verb = if map.is_some() { "patch" } else { "create" };
            match written {
                Ok(map) => {
                    hold.seen().version = map["metadata"]["resourceVersion"].clone();
                    return Ok(StateLease::new(hold, &map));
                }
                Err(MergeError::Conflict(_)) => {
                    return Err(busy("another run took the state at the same moment"));
                }
                Err(MergeError::Undone(error)) if tried + 1 < TRIES => {
                    sleep(patience::pause(&error, tried)).await;
                    tried += 1;
                }
                Err(error) => return Err(self.map_failed(verb, place, error.into_error())),
            }
        }
    }

    /// True while somebody else holds the state who may be dead and must be watched on.
    fn is_held(
        &self,
        map: &Value,
        holder: &str,
        now: DateTime<Utc>,
        found: &mut Option<Found>,
    ) -> Result<bool> {
        let (Some(other), Some(until)) = (annotation(map, HOLDER), annotation(map, HELD_UNTIL)) else {
            return Ok(false);
        };
        if other == holder {
            return Ok(false);
        }
        let Some(lease) = annotation(map, LEASE_SECONDS).and_then(|seconds| seconds.parse().ok()) else {
            // It does not renew: all there is to go by is its time.
            let held = DateTime::parse_from_rfc3339(until).is_ok_and(|until| until > now);
            return if held {
                Err(busy(&format!(
                    "another run ({other}) holds the state until {until}"
                )))
            } else {
                Ok(false)
            };
        };
        let lease = Duration::from_secs(u64::min(lease, LONGEST));
        match found {
            Some(seen) if seen.holder == other && seen.until == until => {
                if seen.since.elapsed() < lease {
                    return Ok(true);
                }
                tracing::warn!("the run that holds the state ({other}) is dead: taking over");
                Ok(false)
            }
            Some(_) => Err(busy(&format!(
                "another run ({other}) holds the state, and is at work"
            ))),
            None => {
                tracing::info!(
                    "another run ({other}) holds the state of {}: looking for up to {} s whether it is alive",
                    self.url,
                    lease.as_secs()
                );
                *found = Some(Found {
                    holder: other.to_owned(),
                    until: until.to_owned(),
                    since: Instant::now(),
                });
                Ok(true)
            }
        }
    }

    /// Frees a state that `holder` may have taken without knowing it, because it was cut off. Anybody else's is left.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn free_state(&self, namespace: &str, name: &str, holder: &str) -> Result<()> {
        let place = (namespace, name);
        let Some(map) = self.get_map(place).await? else {
            return Ok(());
        };
        if annotation(&map, HOLDER) != Some(holder) {
            return Ok(());
        }
        let metadata = json!({"resourceVersion": map["metadata"]["resourceVersion"], "annotations": free()});
        let freed = self.patch_map(place, &json!({ "metadata": metadata })).await;
        freed
            .map(drop)
            .map_err(|error| self.map_failed("patch", place, error.into_error()))
    }

    /// Deletes the state; that there is none is fine.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn delete_state(&self, namespace: &str, name: &str) -> Result<()> {
        let place = (namespace, name);
        let request = Request::new(collection(namespace)).delete(name, &DeleteParams::default());
        let request =
            request.map_err(|error| self.map_failed("delete", place, kube::Error::BuildRequest(error)))?;
        // That it is gone already is what a second try finds.
        match patience::read(|| self.answer(request.clone())).await {
            Err(error) if code(&error) != Some(404) => Err(self.map_failed("delete", place, error)),
            _ => Ok(()),
        }
    }

    async fn get_map(&self, place: (&str, &str)) -> Result<Option<Value>> {
        match self.get(&collection(place.0), place.1).await {
            Ok(map) if map.is_object() => Ok(Some(map)),
            Ok(_) => Err(self.map_failed(
                "get",
                place,
                kube::Error::Service("the answer is no object".into()),
            )),
            Err(error) if code(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.map_failed("get", place, error)),
        }
    }

    /// Makes the `ConfigMap`. If the answer gets lost, the next look at it shows.
    async fn create_map(&self, place: (&str, &str), hold: &Hold) -> Result<Value, MergeError> {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": place.1, "annotations": hold.annotations(), "labels": {"app.kubernetes.io/managed-by": FIELD_MANAGER}
            },
        });
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let request = Request::new(collection(place.0))
            .create(&params, map.to_string().into_bytes())
            .map_err(|error| MergeError::Refused(kube::Error::BuildRequest(error)))?;
        patience::write(self.answer(request))
            .await
            .map_err(|error| match code(&error) {
                Some(409) => MergeError::Conflict(error),
                Some(code) if (300..500).contains(&code) && !matches!(code, 408 | 429) => {
                    MergeError::Refused(error)
                }
                _ => MergeError::Undone(error),
            })
    }

    async fn patch_map(&self, place: (&str, &str), patch: &Value) -> Result<Value, MergeError> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.merge(&collection(place.0), place.1, patch, &params).await
    }

    fn map_failed(&self, verb: &'static str, place: (&str, &str), error: kube::Error) -> Error {
        self.failed(
            &Call::new(verb, "", "configmaps").within(place.0).named(place.1),
            error,
        )
    }
}

fn collection(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

/// The annotations of a state that nobody holds.
fn free() -> Value {
    json!({HOLDER: null, HELD_UNTIL: null, LEASE_SECONDS: null})
}

fn annotation<'a>(map: &'a Value, key: &str) -> Option<&'a str> {
    map["metadata"]["annotations"][key].as_str()
}

fn busy(message: &str) -> Error {
    Error::kubernetes(message)
        .hint("wait for it to end; if it is dead, a run takes over when its time is over")
}
