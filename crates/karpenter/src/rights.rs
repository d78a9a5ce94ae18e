//! The rights that Brimful needs in the cluster: those that `manifests/base/rbac.yaml` grants, no more.

use crate::cluster::STATE_CONFIG_MAP;

/// The namespace in which Events on objects without one belong.
const EVENTS: &str = "default";

/// Where a right must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In the whole cluster.
    Cluster,
    /// In this namespace.
    Namespace(&'static str),
    /// In the namespace of the control state.
    Home,
}

/// One verb on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// `get`, `list`, …
    pub verb: &'static str,
    /// API group; empty for the core.
    pub group: &'static str,
    /// Plural name.
    pub resource: &'static str,
    /// Where.
    pub scope: Scope,
    /// The one object that it is for, if so.
    pub name: Option<&'static str>,
    /// What is lost without it, if `apply` goes on all the same.
    pub without: Option<&'static str>,
    /// The folder of manifests that grants it.
    pub manifests: &'static str,
}

const fn right(verb: &'static str, group: &'static str, resource: &'static str, scope: Scope) -> Right {
    Right {
        verb,
        group,
        resource,
        scope,
        name: None,
        without: None,
        manifests: "manifests/base",
    }
}

const fn of_state(verb: &'static str) -> Right {
    Right {
        name: Some(STATE_CONFIG_MAP),
        ..right(verb, "", "configmaps", Scope::Home)
    }
}

const fn but(right: Right, without: &'static str) -> Right {
    Right {
        without: Some(without),
        ..right
    }
}

/// All of them.
pub const RIGHTS: [Right; 10] = [
    right("get", "karpenter.sh", "nodepools", Scope::Cluster),
    right("list", "karpenter.sh", "nodepools", Scope::Cluster),
    right("patch", "karpenter.sh", "nodepools", Scope::Cluster),
    but(
        right("list", "karpenter.sh", "nodeclaims", Scope::Cluster),
        "drift and expiry are not seen, so no full pool's weight is lowered",
    ),
    right("list", "", "nodes", Scope::Cluster),
    but(
        right("create", "events.k8s.io", "events", Scope::Namespace(EVENTS)),
        "changes are logged, but leave no Event on the NodePool",
    ),
    right("create", "", "configmaps", Scope::Home),
    of_state("get"),
    of_state("patch"),
    but(
        of_state("delete"),
        "`brimful reset` cannot remove the control state",
    ),
];

const fn to_move(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right {
        manifests: "manifests/top-up",
        ..but(
            right(verb, group, resource, Scope::Cluster),
            "no Spot node is moved over (topUp)",
        )
    }
}

/// Those beside them where Spot nodes may be moved (`topUp`).
pub const TOP_UP_RIGHTS: [Right; 3] = [
    to_move("list", "", "pods"),
    to_move("list", "policy", "poddisruptionbudgets"),
    to_move("delete", "karpenter.sh", "nodeclaims"),
];

impl Right {
    /// `patch nodepools.karpenter.sh`, with the namespace where there is one.
    #[must_use]
    pub fn describe(&self, home: &str) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        let name = self.name.map(|name| format!(" {name}")).unwrap_or_default();
        let place = self.namespace(home).map(|namespace| format!(" in {namespace}"));
        format!(
            "{} {}{dot}{}{name}{}",
            self.verb,
            self.resource,
            self.group,
            place.unwrap_or_default()
        )
    }

    /// The namespace; `home` is that of the control state.
    #[must_use]
    pub fn namespace<'a>(&self, home: &'a str) -> Option<&'a str> {
        match self.scope {
            Scope::Cluster => None,
            Scope::Namespace(namespace) => Some(namespace),
            Scope::Home => Some(home),
        }
    }

    /// The rule that grants it, and where it belongs.
    #[must_use]
    pub fn rule(&self, home: &str) -> String {
        let role = match self.namespace(home) {
            None => "a ClusterRole".to_owned(),
            Some(namespace) => format!("a Role in namespace {namespace}"),
        };
        let name = self
            .name
            .map(|name| format!("\n  resourceNames: [{name}]"))
            .unwrap_or_default();
        format!(
            "# kubectl apply -k {}, or in {role}:\n- apiGroups: [\"{}\"]\n  resources: [{}]{name}\n  verbs: [{}]",
            self.manifests, self.group, self.resource, self.verb
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    type Flat = (Option<String>, String, String, Option<String>, String);

    /// Every verb that the shipped roles grant: namespace, group, resource, name, verb.
    fn shipped(manifest: &str) -> BTreeSet<Flat> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().cloned().unwrap_or_default();
            list.iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let mut found = BTreeSet::new();
        for role in documents
            .iter()
            .filter(|document| document.get("rules").is_some())
        {
            let namespace = role["metadata"]
                .get("namespace")
                .map(|name| name.as_str().unwrap().to_owned());
            for rule in role["rules"].as_array().unwrap() {
                let names = texts(rule.get("resourceNames").unwrap_or(&Value::Null));
                let names = if names.is_empty() {
                    vec![None]
                } else {
                    names.into_iter().map(Some).collect()
                };
                for (group, resource) in texts(&rule["apiGroups"])
                    .into_iter()
                    .zip(texts(&rule["resources"]))
                {
                    for verb in texts(&rule["verbs"]) {
                        for name in &names {
                            found.insert((
                                namespace.clone(),
                                group.clone(),
                                resource.clone(),
                                name.clone(),
                                verb.clone(),
                            ));
                        }
                    }
                }
            }
        }
        found
    }

    #[test]
    fn they_are_what_the_manifests_grant_no_more_and_no_less() {
        assert_eq!(
            flat(&RIGHTS),
            shipped(include_str!("../../../manifests/base/rbac.yaml"))
        );
        assert_eq!(
            flat(&TOP_UP_RIGHTS),
            shipped(include_str!("../../../manifests/top-up/rbac.yaml"))
        );
    }

    fn flat(rights: &[Right]) -> BTreeSet<Flat> {
        let known = rights.iter().map(|right| {
            let owned = |text: &str| text.to_owned();
            (
                right.namespace("brimful").map(owned),
                owned(right.group),
                owned(right.resource),
                right.name.map(owned),
                owned(right.verb),
            )
        });
        known.collect()
    }

    #[test]
    fn a_missing_one_is_described_with_the_rule_that_grants_it() {
        let delete = RIGHTS[9];
        assert_eq!(delete.describe("x"), "delete configmaps brimful-state in x");
        let rule: Value = serde_saphyr::from_str(&delete.rule("x")).unwrap();
        assert_eq!(rule[0]["resourceNames"][0], "brimful-state");
        assert!(delete.rule("x").contains("a Role in namespace x"));
        assert!(RIGHTS[2].rule("x").contains("a ClusterRole:"));
    }
}
