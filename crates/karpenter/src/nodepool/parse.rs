//! `NodePool` from JSON, whether a manifest's or the API server's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    API_VERSION, Budget, ConsolidationPolicy, Disruption, ExpireAfter, FieldManager, NodePool, Readiness,
    Taint,
};
use crate::json::{At, owner};
use crate::requirement::{Requirements, ValueSet};
use crate::units;
use brimful_types::Result;

impl NodePool {
    /// Reads a `NodePool` object of any API version.
    ///
    /// # Errors
    /// A usage error that names the pool and the field, for a missing name or template, a value of a wrong type,
    /// or one that Karpenter's schema refuses.
    pub fn from_json(object: &Value) -> Result<Self> {
        let owner = owner("NodePool", object);
        let root = At::root(&owner, object);
        let (metadata, spec, status) = (
            root.field("metadata"),
            root.field("spec").object()?,
            root.field("status"),
        );
        let template = spec.field("template").object()?;
        let node = template.field("spec").object()?;
        let template_labels = template.field("metadata").field("labels").text_map()?;
        Ok(Self {
            name: metadata.field("name").required()?.to_owned(),
            api_version: root.field("apiVersion").text()?.unwrap_or(API_VERSION).to_owned(),
            uid: metadata.field("uid").text()?.map(str::to_owned),
            resource_version: metadata.field("resourceVersion").text()?.map(str::to_owned),
            generation: metadata.field("generation").integer()?,
            labels: metadata.field("labels").text_map()?,
            annotations: metadata.field("annotations").text_map()?,
            weight: weight(&spec.field("weight"))?,
            limits: spec.field("limits").quantities()?,
            replicas: spec.field("replicas").integer()?,
            node_class_group: node
                .field("nodeClassRef")
                .field("group")
                .text()?
                .map(str::to_owned),
            requirements: requirements(&node.field("requirements"), &template_labels)?,
            template_labels,
            taints: node
                .field("taints")
                .items()?
                .iter()
                .map(taint)
                .collect::<Result<_>>()?,
            disruption: disruption(&spec.field("disruption"))?,
            budgets: object["spec"]["disruption"]["budgets"].as_array().cloned(),
            expire_after: ExpireAfter::read(&node.field("expireAfter"))?,
            resources: status.field("resources").quantities()?,
            ready: status
                .field("conditions")
                .condition("Ready")?
                .map(|status| match status {
                    "True" => Readiness::Ready,
                    "False" => Readiness::NotReady,
                    _ => Readiness::Unknown,
                }),
            deleting: !metadata.field("deletionTimestamp").is_absent(),
            weight_managers: managers(&metadata.field("managedFields"), &["f:weight"])?,
            limits_managers: managers(&metadata.field("managedFields"), &["f:limits"])?,
            budgets_managers: managers(&metadata.field("managedFields"), &["f:disruption", "f:budgets"])?,
        })
    }
}

impl ExpireAfter {
    /// `Never` or a duration; absent = the CRD's default.
    pub(crate) fn read(at: &At<'_>) -> Result<Self> {
        match at.text()? {
            None => Ok(Self::default()),
            Some("Never") => Ok(Self::Never),
            Some(text) => match units::duration(text) {
                Some(duration) => Ok(Self::After(duration)),
                None => Err(at.error(format_args!(
                    "expected Never or a duration such as 720h, found {text:?}"
                ))),
            },
        }
    }
}

/// 1–100, as the API server enforces; 0 is refused there too.
fn weight(at: &At<'_>) -> Result<Option<i32>> {
    let Some(weight) = at.integer()? else {
        return Ok(None);
    };
    let allowed = i32::try_from(weight)
        .ok()
        .filter(|weight| (1..=100).contains(weight));
    let allowed =
        allowed.ok_or_else(|| at.error(format_args!("must be from 1 to 100 or absent, found {weight}")))?;
    Ok(Some(allowed))
}

fn requirements(list: &At<'_>, labels: &BTreeMap<String, String>) -> Result<Requirements> {
    let mut requirements = Requirements::read(list)?;
    for (key, value) in labels {
        requirements.add(key, &ValueSet::one_of([value]));
    }
    Ok(requirements)
}

fn taint(at: &At<'_>) -> Result<Taint> {
    Ok(Taint {
        key: at.field("key").required()?.to_owned(),
        value: at.field("value").text()?.map(str::to_owned),
        effect: at.field("effect").required()?.to_owned(),
    })
}

fn disruption(at: &At<'_>) -> Result<Disruption> {
    let policy = match at.field("consolidationPolicy").text()? {
        None | Some("") => ConsolidationPolicy::default(),
        Some("WhenEmpty") => ConsolidationPolicy::WhenEmpty,
        Some("WhenEmptyOrUnderutilized") => ConsolidationPolicy::WhenEmptyOrUnderutilized,
        Some("Balanced") => ConsolidationPolicy::Balanced,
        Some(other) => ConsolidationPolicy::Other(other.to_owned()),
    };
    Ok(Disruption {
        consolidation_policy: policy,
        consolidate_after: at.field("consolidateAfter").text()?.map(str::to_owned),
        budgets: at
            .field("budgets")
            .items()?
            .iter()
            .map(budget)
            .collect::<Result<_>>()?,
    })
}

fn budget(at: &At<'_>) -> Result<Budget> {
    let reasons = at.field("reasons");
    Ok(Budget {
        nodes: at.field("nodes").text()?.unwrap_or("10%").to_owned(),
        reasons: if reasons.is_absent() {
            None
        } else {
            Some(reasons.texts()?)
        },
        schedule: at.field("schedule").text()?.map(str::to_owned),
        duration: at.field("duration").text()?.map(str::to_owned),
    })
}

/// Who owns a field of the spec.
fn managers(at: &At<'_>, path: &[&str]) -> Result<Vec<FieldManager>> {
    let mut managers = Vec::new();
    for entry in at.items()? {
        let spec = entry.field("fieldsV1").field("f:spec");
        let owned = path.iter().fold(spec, |at, field| at.field(field));
        if owned.is_absent() {
            continue;
        }
        managers.push(FieldManager {
            manager: entry.field("manager").text()?.unwrap_or("unknown").to_owned(),
            operation: entry.field("operation").text()?.unwrap_or_default().to_owned(),
            time: entry.field("time").time()?,
        });
    }
    managers.sort_by_key(|manager| manager.time);
    Ok(managers)
}
