//! Tools that own what Brimful sets: they would set it back.

use super::{Check, warn};
use brimful_karpenter::NodePool;
use brimful_karpenter::nodepool::FieldManager;
use brimful_policy::cures;
use brimful_policy::guards::is_tool;

/// Where `kubectl apply` (and Argo CD, which works like it) keeps what the file said.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who else sets what Brimful sets, limits included where they are managed, and will set it back.
pub(super) fn owners(pool: &NodePool, limits: bool) -> Option<Check> {
    let of_weight = owner(&pool.weight_managers).or_else(|| declared(pool, "weight"));
    let of_limits = limits
        .then(|| owner(&pool.limits_managers).or_else(|| declared(pool, "limits")))
        .flatten();
    let fields: Vec<(&str, &str)> = [("weight", &of_weight), ("limits", &of_limits)]
        .into_iter()
        .filter_map(|(field, who)| Some((field, who.as_deref()?)))
        .collect();
    let (_, who) = *fields.first()?;
    let names: Vec<String> = fields.iter().map(|(field, _)| format!("spec.{field}")).collect();
    let pointers: Vec<String> = fields.iter().map(|(field, _)| format!("/spec/{field}")).collect();
    let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    let what = names.join(" and ");
    let cure = if who.starts_with("argocd") {
        cures::ignore_differences(&pool.name, &pointers)
    } else {
        format!("leave {what} out of its file, chart or template; Brimful takes over what stands")
    };
    let message = format!("{who} sets {what}: it would set it back, and the pool would freeze as contested");
    Some(warn("gitops", message).cure(cure))
}

/// A tool that sets the field again and again, or a file that somebody applies; people with kubectl edit or patch do not.
fn owner(managers: &[FieldManager]) -> Option<String> {
    let is_applied = |manager: &FieldManager| {
        manager.manager == "kubectl-client-side-apply"
            || (manager.manager == "kubectl" && manager.operation == "Apply")
    };
    let mut newest_first = managers.iter().rev();
    let found = newest_first.find(|manager| is_tool(manager) || is_applied(manager))?;
    Some(found.manager.clone())
}

/// A field that the pool's file holds, although somebody else has set it since.
fn declared(pool: &NodePool, field: &str) -> Option<String> {
    let applied: serde_json::Value = serde_json::from_str(pool.annotations.get(LAST_APPLIED)?).ok()?;
    let known = ["argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"];
    let argo = known
        .iter()
        .any(|key| pool.annotations.contains_key(*key) || pool.labels.contains_key(*key));
    applied["spec"].get(field)?;
    Some(if argo { "argocd" } else { "kubectl apply" }.to_owned())
}
