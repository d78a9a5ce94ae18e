//! The YAML and the commands that cure what stands in the way: said by warnings of the plan and by `doctor`.

use std::fmt::Write as _;

use super::annotations::{MANAGE_LIMITS, MANAGED_LABEL};
use brimful_karpenter::NodePool;
use brimful_karpenter::nodepool::{Budget, ConsolidationPolicy};

/// `spec.disruption` of the pool with what protects its nodes from being replaced while they are in use. Budgets that
/// are there stay; where there are none, writing one would drop Karpenter's own 10 %, so that is written too.
#[must_use]
pub fn protection(pool: &NodePool) -> String {
    let disruption = &pool.disruption;
    let mut yaml = "spec:\n  disruption:\n".to_owned();
    let policy = match &disruption.consolidation_policy {
        ConsolidationPolicy::WhenEmpty => "WhenEmpty",
        ConsolidationPolicy::WhenEmptyOrUnderutilized => "WhenEmptyOrUnderutilized",
        ConsolidationPolicy::Balanced => "Balanced",
        ConsolidationPolicy::Other(other) => other,
    };
    let _ = writeln!(yaml, "    consolidationPolicy: {policy}");
    if let Some(after) = &disruption.consolidate_after {
        let _ = writeln!(yaml, "    consolidateAfter: {after}");
    }
    yaml.push_str("    budgets:\n    - nodes: \"0\"\n      reasons: [Underutilized]\n");
    for budget in &disruption.budgets {
        yaml.push_str(&budget_yaml(budget));
    }
    if disruption.budgets.is_empty() {
        yaml.push_str("    - nodes: \"10%\"\n");
    }
    yaml.truncate(yaml.trim_end().len());
    yaml
}

fn budget_yaml(budget: &Budget) -> String {
    let mut yaml = format!("    - nodes: \"{}\"\n", budget.nodes);
    if let Some(reasons) = &budget.reasons {
        let _ = writeln!(yaml, "      reasons: [{}]", reasons.join(", "));
    }
    if let Some(schedule) = &budget.schedule {
        let _ = writeln!(yaml, "      schedule: \"{schedule}\"");
    }
    if let Some(duration) = &budget.duration {
        let _ = writeln!(yaml, "      duration: {duration}");
    }
    yaml
}

/// The other way to keep a full pool full, where a pool can take what it cannot at its limits.
#[must_use]
pub fn or_limits(protection: &str, name: &str, overflow: &str) -> String {
    format!(
        "{protection}\n# or by its limits, if no pod names this pool ({overflow} takes what needs on-demand then):\n\
         # kubectl annotate nodepool {name} {MANAGE_LIMITS}=true"
    )
}

/// Every line set in by two blanks, as YAML within a message is.
#[must_use]
pub fn indented(yaml: &str) -> String {
    let lines: Vec<String> = yaml.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

/// The command that opts pools in.
#[must_use]
pub fn opt_in(names: &[&str]) -> String {
    format!("kubectl label nodepool {} {MANAGED_LABEL}=true", names.join(" "))
}

/// The two requirements that make one mixed pool two that weights can steer.
#[must_use]
pub fn split(name: &str) -> String {
    format!(
        "# {name}, for Spot only:\n- key: karpenter.sh/capacity-type\n  operator: In\n  values: [spot]\n\
         # a copy of it named {name}-committed, labelled {MANAGED_LABEL}: \"true\", for what the plans pay for:\n\
         - key: karpenter.sh/capacity-type\n  operator: In\n  values: [on-demand]"
    )
}

/// A committed pool of one's own in EKS Auto Mode, in place of a built-in one.
#[must_use]
pub fn own_auto_mode_pool() -> String {
    format!(
        "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata:\n  name: committed\n  labels:\n    {MANAGED_LABEL}: \"true\"\nspec:\n  \
         disruption:\n    consolidationPolicy: WhenEmpty\n    consolidateAfter: 5m\n  template:\n    spec:\n      nodeClassRef:\n        \
         group: eks.amazonaws.com\n        kind: NodeClass\n        name: default\n      requirements:\n      \
         - key: karpenter.sh/capacity-type\n        operator: In\n        values: [on-demand]\n      \
         - key: eks.amazonaws.com/instance-category\n        operator: In\n        values: [c, m, r]"
    )
}

/// What makes Argo CD leave fields of a pool alone.
#[must_use]
pub fn ignore_differences(name: &str, pointers: &[&str]) -> String {
    format!(
        "# in the Application:\nspec:\n  ignoreDifferences:\n  - group: karpenter.sh\n    kind: NodePool\n    name: {name}\n    \
         jsonPointers: [{}]\n  syncPolicy:\n    syncOptions: [RespectIgnoreDifferences=true]",
        pointers.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use brimful_karpenter::nodepool::Disruption;

    fn parsed(yaml: &str) -> Value {
        serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
    }

    /// The pool with its disruption replaced by what the cure says.
    fn cured(pool: &NodePool) -> NodePool {
        let object = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": pool.name},
            "spec": {"disruption": parsed(&protection(pool))["spec"]["disruption"], "template": {"spec": {}}},
        });
        NodePool::from_json(&object).unwrap()
    }

    #[test]
    fn the_protection_protects_and_keeps_what_was_there() {
        let mut pool = NodePool::test("a").committed();
        assert!(!pool.protected_from_consolidation());
        assert!(cured(&pool).protected_from_consolidation());
        assert_eq!(cured(&pool).disruption.budgets[1].nodes, "10%");
        let nights = Budget {
            nodes: "5".into(),
            reasons: Some(vec!["Empty".into(), "Drifted".into()]),
            schedule: Some("0 22 * * *".into()),
            duration: Some("8h".into()),
        };
        pool.disruption = Disruption {
            consolidation_policy: ConsolidationPolicy::Balanced,
            consolidate_after: Some("5m".into()),
            budgets: vec![nights.clone()],
        };
        let after = cured(&pool);
        assert!(after.protected_from_consolidation());
        assert_eq!(
            after.disruption.consolidation_policy,
            ConsolidationPolicy::Balanced
        );
        assert_eq!(after.disruption.consolidate_after.as_deref(), Some("5m"));
        assert_eq!(after.disruption.budgets[1..], [nights]);
    }

    #[test]
    fn the_auto_mode_pool_is_a_committed_and_protected_one() {
        let pool = NodePool::from_json(&parsed(&own_auto_mode_pool())).unwrap();
        assert_eq!(pool.role(), brimful_karpenter::Role::Committed);
        assert!(pool.protected_from_consolidation() && !pool.is_built_in());
        assert_eq!(pool.labels[MANAGED_LABEL], "true");
    }

    #[test]
    fn the_other_cures_are_yaml_too() {
        let argo = parsed(&ignore_differences("a", &["/spec/weight", "/spec/limits"]));
        assert_eq!(
            argo["spec"]["ignoreDifferences"][0]["jsonPointers"],
            json!(["/spec/weight", "/spec/limits"])
        );
        assert_eq!(parsed(&split("a"))[1]["values"], json!(["on-demand"]));
    }
}
