//! `NodePool`s for tests, built as a chain: `NodePool::test("general").spot().weight(10)`.

#![allow(clippy::must_use_candidate, clippy::return_self_not_must_use, clippy::missing_panics_doc)]

use std::collections::BTreeMap;

use super::labels;
use super::nodepool::{
    API_VERSION, CapacityType, ConsolidationPolicy, Disruption, ExpireAfter, NodePool, Readiness, Taint,
};
use super::requirement::{Requirements, ValueSet};

impl NodePool {
    /// A Ready pool without requirements, as an API server would return it.
    pub fn test(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            api_version: API_VERSION.to_owned(),
            uid: Some(format!("uid-{name}")),
            resource_version: Some("1".to_owned()),
            generation: Some(1),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            weight: None,
            limits: BTreeMap::new(),
            replicas: None,
            node_class_group: None,
            requirements: Requirements::default(),
            template_labels: BTreeMap::new(),
            taints: Vec::new(),
            disruption: Disruption::default(),
            expire_after: ExpireAfter::default(),
            resources: BTreeMap::new(),
            ready: Some(Readiness::Ready),
            deleting: false,
            weight_managers: Vec::new(),
            limits_managers: Vec::new(),
        }
    }

    /// On-demand only.
    #[must_use]
    pub fn committed(self) -> Self {
        self.capacity(&[CapacityType::OnDemand])
    }

    /// Spot only.
    #[must_use]
    pub fn spot(self) -> Self {
        self.capacity(&[CapacityType::Spot])
    }

    /// On-demand and Spot.
    #[must_use]
    pub fn mixed(self) -> Self {
        self.capacity(&[CapacityType::OnDemand, CapacityType::Spot])
    }

    fn capacity(self, types: &[CapacityType]) -> Self {
        let types: Vec<_> = types.iter().map(|kind| kind.label()).collect();
        self.requirement(labels::CAPACITY_TYPE, "In", &types)
    }

    /// With `spec.weight`.
    #[must_use]
    pub fn weight(mut self, weight: i32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Opted in by its label.
    #[must_use]
    pub fn managed(mut self) -> Self {
        self.labels.insert("brimful.dev/managed".into(), "true".into());
        self
    }

    /// Of these instance families only.
    #[must_use]
    pub fn families(self, families: &[&str]) -> Self {
        self.requirement(labels::FAMILY[0], "In", families)
    }

    /// Of these instance types only.
    #[must_use]
    pub fn instance_types(self, types: &[&str]) -> Self {
        self.requirement(labels::INSTANCE_TYPE, "In", types)
    }

    /// In these zones only.
    #[must_use]
    pub fn zones(self, zones: &[&str]) -> Self {
        self.requirement(labels::ZONE, "In", zones)
    }

    /// With one more requirement.
    #[must_use]
    pub fn requirement(mut self, key: &str, operator: &str, values: &[&str]) -> Self {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let values = ValueSet::from_operator(operator, &values).expect("a valid requirement in a test");
        self.requirements.add(key, &values);
        self
    }

    /// Consolidated only when empty.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.disruption.consolidation_policy = ConsolidationPolicy::WhenEmpty;
        self
    }

    /// With a `NoSchedule` taint.
    #[must_use]
    pub fn taint(mut self, key: &str, value: &str) -> Self {
        self.taints.push(Taint {
            key: key.into(),
            value: Some(value.into()),
            effect: "NoSchedule".into(),
        });
        self
    }

    /// A label of the template, hence of the pool's nodes.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.template_labels.insert(key.into(), value.into());
        self.requirement(key, "In", &[value])
    }

    /// With an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Static, with so many nodes.
    #[must_use]
    pub fn replicas(mut self, replicas: i64) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// With a limit on a resource.
    #[must_use]
    pub fn limit(mut self, resource: &str, quantity: &str) -> Self {
        self.limits.insert(resource.into(), quantity.into());
        self
    }

    /// vCPU that the pool's nodes have now, as `status.resources` says.
    pub fn resources(mut self, cpu: u32) -> Self {
        self.resources.insert("cpu".into(), cpu.to_string());
        self
    }
}

#[test]
fn a_test_pool_is_what_its_chain_says() {
    let pool = NodePool::test("general")
        .committed()
        .weight(10)
        .managed()
        .annotation("a", "b");
    let pool = pool.instance_types(&["m5.large"]).resources(16);
    assert_eq!(
        (pool.weight, pool.labels["brimful.dev/managed"].as_str()),
        (Some(10), "true")
    );
    assert_eq!(
        (pool.annotations["a"].as_str(), pool.resources["cpu"].as_str()),
        ("b", "16")
    );
    assert!(!pool.requirements.get(labels::INSTANCE_TYPE).allows("c5.large"));
}
