//! Reads untyped JSON field by field, and says whose field it was when it is not what it should be.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use brimful_types::{Error, Result};

/// A place in an object: whose it is, where, and what is there. `null` counts as absent, as in the Kubernetes API.
pub(super) struct At<'a> {
    owner: &'a str,
    path: String,
    value: Option<&'a Value>,
}

impl<'a> At<'a> {
    /// The object itself; `owner` opens every message (`NodePool "general"`).
    pub(super) fn root(owner: &'a str, value: &'a Value) -> Self {
        Self {
            owner,
            path: String::new(),
            value: Some(value),
        }
    }

    /// A field of the object here; absent if there is no object here.
    pub(super) fn field(&self, key: &str) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        self.child(path, self.value.and_then(|value| value.get(key)))
    }

    fn child(&self, path: String, value: Option<&'a Value>) -> Self {
        Self {
            owner: self.owner,
            path,
            value: value.filter(|value| !value.is_null()),
        }
    }

    /// True if nothing is here.
    pub(super) fn is_absent(&self) -> bool {
        self.value.is_none()
    }

    /// Fails unless an object is here.
    pub(super) fn object(self) -> Result<Self> {
        match self.value {
            Some(Value::Object(_)) => Ok(self),
            _ => Err(self.expected("an object")),
        }
    }

    /// The string here.
    pub(super) fn text(&self) -> Result<Option<&'a str>> {
        match self.value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.expected("a string")),
        }
    }

    /// The string here, which must be there.
    pub(super) fn required(&self) -> Result<&'a str> {
        self.text()?.ok_or_else(|| self.expected("a string"))
    }

    /// The whole number here.
    pub(super) fn integer(&self) -> Result<Option<i64>> {
        match self.value {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| self.expected("a whole number")),
        }
    }

    /// The truth value here; absent = false.
    pub(super) fn flag(&self) -> Result<bool> {
        match self.value {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.expected("true or false")),
        }
    }

    /// The RFC 3339 time here.
    pub(super) fn time(&self) -> Result<Option<DateTime<Utc>>> {
        let Some(text) = self.text()? else { return Ok(None) };
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| self.expected("an RFC 3339 time"))?;
        Ok(Some(time.to_utc()))
    }

    /// The list here; absent = empty.
    pub(super) fn items(&self) -> Result<Vec<Self>> {
        let items = match self.value {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.expected("a list")),
        };
        let item = |(index, item)| self.child(format!("{}[{index}]", self.path), Some(item));
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// The list of strings here; absent = empty.
    pub(super) fn texts(&self) -> Result<Vec<String>> {
        self.items()?
            .iter()
            .map(|item| item.required().map(str::to_owned))
            .collect()
    }

    /// The map of strings here (labels, annotations); absent = empty.
    pub(super) fn text_map(&self) -> Result<BTreeMap<String, String>> {
        self.map(|at| at.required().map(str::to_owned))
    }

    /// The map of quantities here (limits, resources), as text: the API takes numbers as well as strings.
    pub(super) fn quantities(&self) -> Result<BTreeMap<String, String>> {
        self.map(|at| match at.value {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(at.expected("a quantity")),
        })
    }

    fn map<T>(&self, read: impl Fn(&Self) -> Result<T>) -> Result<BTreeMap<String, T>> {
        match self.value {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(map)) => {
                let entry = |key: &String| Ok((key.clone(), read(&self.field(key))?));
                map.keys().map(entry).collect()
            }
            Some(_) => Err(self.expected("a map")),
        }
    }

    /// The status of the condition `kind` in the list of conditions here (`True`, `False`, `Unknown`).
    pub(super) fn condition(&self, kind: &str) -> Result<Option<&'a str>> {
        match self.condition_itself(kind)? {
            Some(condition) => condition.field("status").text(),
            None => Ok(None),
        }
    }

    /// That condition with all of its fields.
    pub(super) fn condition_itself(&self, kind: &str) -> Result<Option<Self>> {
        for condition in self.items()? {
            if condition.field("type").text()? == Some(kind) {
                return Ok(Some(condition));
            }
        }
        Ok(None)
    }

    /// A usage error about this place.
    pub(super) fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}: {}: {what}", self.owner, self.path))
    }

    fn expected(&self, wanted: &str) -> Error {
        let found = match self.value {
            None => return self.error(format_args!("missing, expected {wanted}")),
            Some(Value::Array(_)) => "a list".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
            Some(scalar) => scalar.to_string(),
        };
        let quote = if wanted == "a string" { " (quote it)" } else { "" };
        let quote = if matches!(self.value, Some(Value::Bool(_) | Value::Number(_))) {
            quote
        } else {
            ""
        };
        self.error(format_args!("expected {wanted}, found {found}{quote}"))
    }
}

/// `Kind "name"`, for messages; objects without a name have their kind only.
pub(super) fn owner(kind: &str, object: &Value) -> String {
    match object.pointer("/metadata/name").and_then(Value::as_str) {
        Some(name) => format!("{kind} {name:?}"),
        None => format!("{kind} without a name"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_type_is_reported_with_owner_path_and_finding() {
        let object = json!({"metadata": {"name": "a", "labels": {"x/y": true}}, "spec": {"list": [1]}});
        let owner = owner("NodePool", &object);
        let root = At::root(&owner, &object);
        let error = root.field("metadata").field("labels").text_map().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"NodePool "a": metadata.labels.x/y: expected a string, found true (quote it)"#
        );
        let error = root.field("spec").field("list").texts().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"NodePool "a": spec.list[0]: expected a string, found 1 (quote it)"#
        );
        let error = root.field("status").object().err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some(r#"NodePool "a": status: missing, expected an object"#)
        );
    }

    #[test]
    fn quantities_may_be_numbers_and_null_is_absent() {
        let object = json!({"limits": {"cpu": 1000, "memory": "1Gi"}, "none": null});
        let root = At::root("x", &object);
        let limits = root.field("limits").quantities().unwrap();
        assert_eq!(limits["cpu"], "1000");
        assert_eq!(limits["memory"], "1Gi");
        assert!(root.field("none").is_absent());
    }
}
