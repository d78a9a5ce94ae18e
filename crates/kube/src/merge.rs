//! Merge patches whose outcome is known: an answer that got lost is looked for on the object itself.

use kube::core::Request;
use kube::core::params::{GetParams, Patch, PatchParams};
use serde_json::Value;

use super::{Cluster, code, patience};

/// Why an object is not what a patch says.
#[derive(Debug)]
pub(super) enum MergeError {
    /// It is no longer what the patch was made from (409, or seen when it was read back).
    Conflict(kube::Error),
    /// The server will not have it, whatever is tried again.
    Refused(kube::Error),
    /// Nothing was changed, by what the object shows now; the same patch may be sent again.
    Undone(kube::Error),
    /// The outcome is not known: the object cannot be read either.
    Unknown(kube::Error),
}

impl MergeError {
    pub(super) fn into_error(self) -> kube::Error {
        match self {
            Self::Conflict(error) | Self::Refused(error) | Self::Undone(error) | Self::Unknown(error) => {
                error
            }
        }
    }
}

impl Cluster {
    /// Sends a merge patch, which should carry `metadata.resourceVersion`, once; returns the object as it then is.
    /// When the answer gets lost or says that the server failed, the object is read, and if it is what the patch says
    /// the patch was carried out.
    pub(super) async fn merge(
        &self,
        collection: &str,
        name: &str,
        patch: &Value,
        params: &PatchParams,
    ) -> Result<Value, MergeError> {
        let request = Request::new(collection)
            .patch(name, params, &Patch::Merge(patch))
            .map_err(|error| MergeError::Refused(kube::Error::BuildRequest(error)))?;
        let error = match patience::write(self.answer(request)).await {
            Ok(object) if object.is_object() => return Ok(object),
            Ok(_) => kube::Error::Service("the answer is no object".into()),
            Err(error) => error,
        };
        match code(&error) {
            // Turned away at the door.
            Some(429) => return Err(MergeError::Undone(error)),
            Some(code) if (300..500).contains(&code) && !matches!(code, 408 | 409) => {
                return Err(MergeError::Refused(error));
            }
            Some(409) if params.dry_run => return Err(MergeError::Conflict(error)),
            _ if params.dry_run => return Err(MergeError::Undone(error)),
            _ => {}
        }
        // A conflict, too, may be with this very patch, sent before and thought lost.
        let is_conflict = code(&error) == Some(409);
        let Ok(object) = self.get(collection, name).await else {
            return Err(if is_conflict {
                MergeError::Conflict(error)
            } else {
                MergeError::Unknown(error)
            });
        };
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        if holds(&object, patch) {
            Ok(object)
        } else if !is_conflict && version(&object) == version(patch) {
            Err(MergeError::Undone(error))
        } else {
            Err(MergeError::Conflict(error))
        }
    }

    /// Reads one object.
    pub(super) async fn get(&self, collection: &str, name: &str) -> kube::Result<Value> {
        let request = Request::new(collection)
            .get(name, &GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        patience::read(|| self.answer(request.clone())).await
    }
}

/// True if an object is what a merge patch makes of it, its version aside.
pub(super) fn holds(object: &Value, patch: &Value) -> bool {
    let mut patch = patch.clone();
    if let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    is_within(object, &patch)
}

/// Everything that a merge patch sets is there, and nothing that it removes.
fn is_within(object: &Value, patch: &Value) -> bool {
    match patch {
        Value::Object(fields) => fields
            .iter()
            .all(|(key, wanted)| match (object.get(key), wanted) {
                (None | Some(Value::Null), Value::Null) => true,
                (Some(found), wanted) => is_within(found, wanted),
                // Fields that only remove something need no parent.
                (None, wanted) => wanted.is_object() && is_within(&Value::Null, wanted),
            }),
        wanted => object == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_holds_a_patch_if_everything_set_is_there_and_everything_removed_is_not() {
        let patch = json!({"metadata": {"resourceVersion": "7", "annotations": {"a": "1", "b": null}},
            "spec": {"weight": 60, "limits": null}});
        let object = |weight: i32, annotations: Value| {
            json!({"metadata": {"resourceVersion": "9", "annotations": annotations},
                "spec": {"weight": weight, "template": {}}})
        };
        assert!(holds(&object(60, json!({"a": "1", "c": "3"})), &patch));
        assert!(!holds(&object(50, json!({"a": "1"})), &patch));
        assert!(!holds(&object(60, json!({"a": "1", "b": "2"})), &patch));
        assert!(!holds(&object(60, Value::Null), &patch));
        let removal = json!({"metadata": {"annotations": {"a": null}}, "spec": {"weight": null}});
        assert!(holds(&json!({"metadata": {}, "spec": {}}), &removal));
        assert!(holds(&json!({"metadata": {"annotations": null}}), &removal));
        assert!(!holds(&json!({"spec": {"weight": 1}}), &removal));
    }
}
