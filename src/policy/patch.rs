//! The merge patch of one change: weight, baseline and decision travel together, so that a killed run leaves a pool
//! either old or new, and never looks like somebody else's edit.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::plan::PoolPlan;
use super::records::{BASELINE, Baseline, DECISION, DecisionRecord, Values};
use crate::karpenter::NodePool;

/// The patch that carries out a pool's plan.
#[must_use]
pub fn patch(plan: &PoolPlan, now: DateTime<Utc>) -> Value {
    if plan.restore {
        return restore(&plan.pool, plan.proposed);
    }
    let record = DecisionRecord {
        decision: plan.outcome.decision,
        reason: plan.outcome.reason.clone(),
        time: now,
        values: Values {
            weight: plan.proposed,
        },
    };
    let mut annotations = json!({ DECISION: text(&record) });
    if !plan.pool.annotations.contains_key(BASELINE) {
        annotations[BASELINE] = text(&Baseline::of(&plan.pool));
    }
    json!({
        "metadata": { "resourceVersion": plan.pool.resource_version, "annotations": annotations },
        "spec": { "weight": plan.proposed },
    })
}

/// The patch that sets a weight and removes what Brimful wrote.
#[must_use]
pub fn restore(pool: &NodePool, weight: Option<i32>) -> Value {
    let mut patch = json!({
        "metadata": { "resourceVersion": pool.resource_version, "annotations": { BASELINE: null, DECISION: null } },
    });
    if weight != pool.weight {
        patch["spec"] = json!({ "weight": weight });
    }
    patch
}

/// What `reset` does to a pool: the baseline's weight, unless somebody else has set the weight since, who keeps it.
#[must_use]
pub fn reset(pool: &NodePool) -> (Option<i32>, bool) {
    let baseline = Baseline::recorded(pool).ok().flatten();
    let record = DecisionRecord::recorded(pool).ok().flatten();
    let untouched = record.is_some_and(|record| record.values.weight == pool.weight);
    match baseline {
        Some(baseline) if untouched => (baseline.weight, true),
        _ => (pool.weight, false),
    }
}

fn text(record: &impl serde::Serialize) -> Value {
    serde_json::to_string(record).map_or(Value::Null, Value::String)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Decision;
    use crate::policy::decision::outcome;

    fn plan(pool: NodePool, proposed: Option<i32>) -> PoolPlan {
        PoolPlan {
            pool,
            managed: true,
            groups: Vec::new(),
            outcome: outcome(Decision::Fill, "room".into()),
            fits: Vec::new(),
            proposed,
            restore: false,
            paused: false,
        }
    }

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn the_first_patch_records_the_baseline_and_later_ones_leave_it() {
        let first = patch(&plan(NodePool::test("a"), Some(60)), NOW);
        assert_eq!(first["spec"]["weight"], 60);
        assert_eq!(first["metadata"]["resourceVersion"], "1");
        assert_eq!(
            first["metadata"]["annotations"][BASELINE],
            r#"{"weight":null,"limits":null}"#
        );
        let changed = NodePool::test("a")
            .weight(60)
            .annotation(BASELINE, r#"{"weight":null,"limits":null}"#);
        let second = patch(&plan(changed, None), NOW);
        assert_eq!(second["metadata"]["annotations"].get(BASELINE), None);
        assert_eq!(second["spec"]["weight"], Value::Null);
        assert!(
            second["metadata"]["annotations"][DECISION]
                .as_str()
                .unwrap()
                .contains(r#""values":{"weight":null}"#)
        );
    }

    #[test]
    fn reset_gives_back_what_was_there_unless_somebody_else_has_set_it_since() {
        let pool = |weight| {
            NodePool::test("a")
                .weight(weight)
                .annotation(BASELINE, r#"{"weight":7,"limits":null}"#)
                .annotation(
                    DECISION,
                    r#"{"decision":"fill","reason":"","time":"2026-11-21T00:00:00Z","values":{"weight":60}}"#,
                )
        };
        assert_eq!(reset(&pool(60)), (Some(7), true));
        assert_eq!(reset(&pool(33)), (Some(33), false));
        assert_eq!(restore(&pool(33), Some(33)).get("spec"), None);
    }
}
