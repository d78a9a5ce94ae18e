//! The cluster's `NodePool` API: whether Brimful can work with it, and which versions of Karpenter its schema fits.

use std::fmt;

use serde_json::Value;

/// The oldest Karpenter that Brimful is tested with: the first that serves `karpenter.sh/v1`.
pub const OLDEST: Version = Version { major: 1, minor: 0 };
/// The newest Karpenter that Brimful is tested with.
pub const NEWEST: Version = Version { major: 1, minor: 15 };

/// A version of Karpenter. Patch releases do not change the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
}

impl Version {
    /// Reads `1.15.0`, `v1.15.0` or `1.8`; `None` for anything else, such as a tag of one's own.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_start_matches('v').split(['.', '-', '+', '@']);
        let mut number = || parts.next()?.parse().ok();
        Some(Self {
            major: number()?,
            minor: number()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Whether a schema of `NodePool`s has a feature.
type Shows = fn(&Value) -> bool;

/// Where in the schema a feature shows, and in which 1.x it came (compared: the CRDs in Karpenter's Go modules).
const FEATURES: [(u32, Shows); 5] = [
    (4, |pool| {
        pool.pointer("/status/properties/nodeClassObservedGeneration")
            .is_some()
    }),
    (8, |pool| pool.pointer("/spec/properties/replicas").is_some()),
    (9, |pool| {
        let operator = "/spec/properties/template/properties/spec/properties/requirements/items/properties/operator/enum";
        lists(pool.pointer(operator), "Gte")
    }),
    (14, |pool| {
        lists(
            pool.pointer("/spec/properties/disruption/properties/consolidationPolicy/enum"),
            "Balanced",
        )
    }),
    (15, |pool| {
        let reasons = "/spec/properties/disruption/properties/budgets/items/properties/reasons/items/enum";
        lists(pool.pointer(reasons), "Unhealthy")
    }),
];

fn lists(values: Option<&Value>, wanted: &str) -> bool {
    values
        .and_then(Value::as_array)
        .is_some_and(|values| values.iter().any(|value| value == wanted))
}

/// The schema of `NodePool`s of `karpenter.sh/v1`, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePoolSchema {
    /// The least version whose features it has.
    pub from: Version,
    /// The last version before the first feature that it lacks.
    pub to: Option<Version>,
    refusal: Option<String>,
}

impl NodePoolSchema {
    /// From the API server's `OpenAPI` v3 document of `karpenter.sh/v1`; `None` when it does not describe `NodePool`s
    /// (yet: the server publishes it a moment after the CRD).
    #[must_use]
    pub fn from_openapi(document: &Value) -> Option<Self> {
        let schemas = document.pointer("/components/schemas")?.as_object()?;
        let is_pool = |schema: &&Value| {
            let kinds = schema
                .get("x-kubernetes-group-version-kind")
                .and_then(Value::as_array);
            kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] == "NodePool"))
        };
        let pool = schemas.values().find(is_pool)?.get("properties")?;
        let has: Vec<(u32, bool)> = FEATURES
            .iter()
            .map(|(minor, shows)| (*minor, shows(pool)))
            .collect();
        let newest = has
            .iter()
            .filter(|(_, shows)| *shows)
            .map(|(minor, _)| *minor)
            .max();
        let from = newest.unwrap_or(0);
        let missing = has.iter().find(|(minor, shows)| !shows && *minor > from);
        let version = |minor| Version { major: 1, minor };
        Some(Self {
            from: version(from),
            to: missing.map(|(minor, _)| version(minor - 1)),
            refusal: refusal(pool),
        })
    }

    /// Why no pool of this API may be patched, if so.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// `1.9 to 1.13`, `1.15 or newer`.
    #[must_use]
    pub fn versions(&self) -> String {
        match self.to {
            Some(to) if to == self.from => to.to_string(),
            Some(to) => format!("{} to {to}", self.from),
            None => format!("{} or newer", self.from),
        }
    }
}

fn refusal(pool: &Value) -> Option<String> {
    let known = "Brimful knows it as a whole number from 1 to 100";
    let Some(weight) = pool.pointer("/spec/properties/weight") else {
        return Some(format!(
            "NodePools of this cluster's API have no spec.weight; {known}"
        ));
    };
    let (least, most) = (weight["minimum"].as_f64(), weight["maximum"].as_f64());
    if weight["type"] == "integer" && (least, most) == (Some(1.0), Some(100.0)) {
        return None;
    }
    let bound = |bound: Option<f64>| bound.map_or_else(|| "unbounded".to_owned(), |bound| bound.to_string());
    Some(format!(
        "spec.weight of this cluster's NodePools is of type {}, from {} to {}; {known}",
        weight["type"].as_str().unwrap_or("unknown"),
        bound(least),
        bound(most)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(spec: &Value, status: &Value) -> Value {
        json!({"components": {"schemas": {
            "sh.karpenter.v1.NodeClaim": {"x-kubernetes-group-version-kind": [{"kind": "NodeClaim"}]},
            "sh.karpenter.v1.NodePool": {
                "x-kubernetes-group-version-kind": [{"group": "karpenter.sh", "kind": "NodePool", "version": "v1"}],
                "properties": {"spec": {"properties": spec}, "status": {"properties": status}},
            },
        }}})
    }

    fn weight() -> Value {
        json!({"type": "integer", "minimum": 1, "maximum": 100})
    }

    #[test]
    fn features_bound_the_version_from_both_sides() {
        let schema =
            |spec: Value, status: Value| NodePoolSchema::from_openapi(&document(&spec, &status)).unwrap();
        let oldest = schema(json!({"weight": weight()}), json!({}));
        assert_eq!(oldest.versions(), "1.0 to 1.3");
        assert_eq!(oldest.refusal(), None);
        let observed = json!({"nodeClassObservedGeneration": {}});
        assert_eq!(
            schema(json!({"weight": weight()}), observed.clone()).versions(),
            "1.4 to 1.7"
        );
        let replicas = json!({"weight": weight(), "replicas": {}});
        assert_eq!(schema(replicas, observed.clone()).versions(), "1.8");
        let disruption = json!({"properties": {
            "consolidationPolicy": {"enum": ["WhenEmpty", "Balanced"]},
            "budgets": {"items": {"properties": {"reasons": {"items": {"enum": ["Unhealthy"]}}}}},
        }});
        let newest = schema(json!({"weight": weight(), "disruption": disruption}), observed);
        assert_eq!(newest.versions(), "1.15 or newer");
    }

    #[test]
    fn a_weight_that_is_not_the_known_one_is_refused() {
        let refusal = |spec: Value| {
            let schema = NodePoolSchema::from_openapi(&document(&spec, &json!({}))).unwrap();
            schema.refusal().map(str::to_owned).unwrap_or_default()
        };
        assert!(refusal(json!({})).contains("no spec.weight"));
        let wide = json!({"weight": {"type": "integer", "minimum": 0, "maximum": 1000}});
        assert!(refusal(wide).contains("from 0 to 1000"));
        assert!(refusal(json!({"weight": {"type": "string"}})).contains("type string"));
        assert_eq!(refusal(json!({"weight": weight()})), "");
    }

    #[test]
    fn a_document_without_pools_tells_nothing() {
        assert_eq!(
            NodePoolSchema::from_openapi(&json!({"components": {"schemas": {}}})),
            None
        );
        assert_eq!(NodePoolSchema::from_openapi(&json!({})), None);
    }

    #[test]
    fn versions_are_read_from_labels_and_tags() {
        let version = |major, minor| Some(Version { major, minor });
        assert_eq!(Version::parse("1.15.0"), version(1, 15));
        assert_eq!(Version::parse("v0.37.1"), version(0, 37));
        assert_eq!(Version::parse("1.8-custom"), version(1, 8));
        assert_eq!(Version::parse("latest"), None);
        assert!(Version::parse("1.9.3") < version(1, 10));
    }
}
