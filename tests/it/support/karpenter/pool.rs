//! `NodePool`s of the tests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A `NodePool`, to be changed by its fields.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) weight: Option<i32>,
    pub(crate) limits: Option<Value>,
    capacity_types: Vec<&'static str>,
    instance_types: Vec<&'static str>,
    disruption: Value,
    expire_after: &'static str,
    labels: BTreeMap<&'static str, String>,
    /// Taint and node label that keep other tests' pods away.
    only_for: Option<String>,
    template_annotation: Option<&'static str>,
}

impl Pool {
    /// A pool of one capacity type or two, whose nodes may be replaced at once and all together.
    pub(crate) fn new(name: &str, capacity_types: &[&'static str], instance_types: &[&'static str]) -> Self {
        Self {
            name: name.to_owned(),
            weight: None,
            limits: None,
            capacity_types: capacity_types.to_vec(),
            instance_types: instance_types.to_vec(),
            disruption: json!({"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s",
                "budgets": [{"nodes": "100%"}]}),
            expire_after: "Never",
            labels: BTreeMap::new(),
            only_for: None,
            template_annotation: None,
        }
    }

    pub(crate) fn weight(mut self, weight: i32) -> Self {
        self.weight = Some(weight);
        self
    }

    pub(crate) fn limits(mut self, limits: Value) -> Self {
        self.limits = Some(limits);
        self
    }

    pub(crate) fn label(mut self, key: &'static str, value: &str) -> Self {
        self.labels.insert(key, value.to_owned());
        self
    }

    /// Only pods that ask for it run here: those of [`super::Workload`]s with this selector and toleration.
    pub(crate) fn only_for(mut self, who: &str) -> Self {
        self.only_for = Some(who.to_owned());
        self
    }

    pub(crate) fn disruption(mut self, disruption: Value) -> Self {
        self.disruption = disruption;
        self
    }

    pub(crate) fn expire_after(mut self, span: &'static str) -> Self {
        self.expire_after = span;
        self
    }

    /// Another template, from which nodes of the one before have drifted.
    pub(crate) fn template(mut self, annotation: &'static str) -> Self {
        self.template_annotation = Some(annotation);
        self
    }

    pub(super) fn manifest(&self) -> Value {
        let is = |key: &str, values: &[&str]| json!({"key": key, "operator": "In", "values": values});
        let mut template = json!({"metadata": {}, "spec": {
            "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
            "expireAfter": self.expire_after,
            "requirements": [
                is("karpenter.sh/capacity-type", &self.capacity_types),
                is("node.kubernetes.io/instance-type", &self.instance_types),
            ],
        }});
        if let Some(who) = &self.only_for {
            template["metadata"]["labels"] = json!({ "only-for": who });
            template["spec"]["taints"] = json!([{"key": who, "effect": "NoSchedule"}]);
        }
        if let Some(version) = self.template_annotation {
            template["metadata"]["annotations"] = json!({ "example.com/version": version });
        }
        let mut spec = json!({"template": template, "disruption": self.disruption});
        if let Some(weight) = self.weight {
            spec["weight"] = json!(weight);
        }
        if let Some(limits) = &self.limits {
            spec["limits"] = limits.clone();
        }
        json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": {"name": self.name, "labels": self.labels}, "spec": spec})
    }
}
