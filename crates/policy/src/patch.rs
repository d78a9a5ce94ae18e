//! The merge patch of one change: weight, baseline and decision travel together, so that a killed run leaves a pool
//! either old or new, and never looks like somebody else's edit.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::annotations::{
    BASELINE, Baseline, Budgets, DECISION, DecisionRecord, Numbers, Values, set_budgets,
};
use super::limits::{Limits, same_amount};
use super::plan::PoolPlan;
use super::protection::{same_entries, without_own};
use brimful_karpenter::NodePool;

/// The patch that carries out a pool's plan.
#[must_use]
pub fn patch(plan: &PoolPlan, now: DateTime<Utc>) -> Value {
    let pool = &plan.pool;
    if plan.restore {
        return restore(pool, plan.proposed, &plan.limits, plan.budgets.as_deref());
    }
    // The dwell time is one between changes of weight or limits: protection may go on and off in it.
    let stands = DecisionRecord::recorded(pool).ok().flatten();
    let stands =
        stands.filter(|record| record.decision == plan.outcome.decision && plan.changes_budgets_only());
    let record = DecisionRecord {
        decision: plan.outcome.decision,
        reason: plan.outcome.reason.clone(),
        time: stands.map_or(now, |record| record.time),
        values: Values {
            weight: plan.proposed,
            limits: plan.by_limits.then(|| plan.limits.clone()),
            budgets: plan.budgets.clone().filter(|_| plan.protection.is_some()),
        },
        numbers: Numbers::of(&plan.outcome),
    };
    let mut annotations = json!({ DECISION: text(&record) });
    let known = Baseline::recorded(pool).ok().flatten();
    let baseline = Baseline {
        weight: known.as_ref().map_or(pool.weight, |known| known.weight),
        limits: own_limits(pool),
        budgets: plan.protection.map(|_| Budgets(own_budgets(pool))),
    };
    if known.as_ref() != Some(&baseline) {
        annotations[BASELINE] = text(&baseline);
    }
    json!({
        "metadata": { "resourceVersion": pool.resource_version, "annotations": annotations },
        "spec": spec(pool, plan.proposed, &plan.limits, plan.budgets.as_deref()),
    })
}

/// The user's own budgets: those from before Brimful's entry, or those that stand where it has none.
#[must_use]
pub fn own_budgets(pool: &NodePool) -> Option<Vec<Value>> {
    let known = Baseline::recorded(pool)
        .ok()
        .flatten()
        .and_then(|known| known.budgets);
    let is_readable = matches!(DecisionRecord::recorded(pool), Ok(Some(_)));
    match known {
        Some(known) if set_budgets(pool).is_some() || !is_readable => known.0,
        _ => pool.budgets.as_deref().map(without_own),
    }
}

/// The user's own limits: those from before Brimful, or those that stand where Brimful has set none.
#[must_use]
pub fn own_limits(pool: &NodePool) -> Option<Limits> {
    let known = Baseline::recorded(pool).ok().flatten();
    match DecisionRecord::recorded(pool) {
        Ok(Some(record)) if record.values.limits.is_some() => known.and_then(|known| known.limits),
        // Without a readable record nobody knows whose the limits are that stand.
        Ok(None) | Err(_) if known.is_some() => known.and_then(|known| known.limits),
        _ => (!pool.limits.is_empty()).then(|| pool.limits.clone()),
    }
}

/// The fields of the spec that change.
fn spec(pool: &NodePool, weight: Option<i32>, limits: &Limits, budgets: Option<&[Value]>) -> Value {
    let mut spec = json!({});
    if weight != pool.weight {
        spec["weight"] = json!(weight);
    }
    if *limits != pool.limits {
        spec["limits"] = if limits.is_empty() {
            Value::Null
        } else {
            let gone = pool.limits.keys().filter(|name| !limits.contains_key(*name));
            let gone = gone.map(|name| (name.clone(), Value::Null));
            let kept = limits.iter().map(|(name, amount)| (name.clone(), json!(amount)));
            gone.chain(kept).collect()
        };
    }
    if budgets != pool.budgets.as_deref() {
        spec["disruption"] = json!({ "budgets": budgets });
    }
    spec
}

/// What a pool gets back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// `spec.weight`.
    pub weight: Option<i32>,
    /// `spec.limits`; empty is absent.
    pub limits: Limits,
    /// `spec.disruption.budgets`.
    pub budgets: Option<Vec<Value>>,
    /// Fields that somebody else has set since, and that stay so.
    pub kept: Vec<&'static str>,
}

/// The patch that sets weight, limits and budgets and removes what Brimful wrote.
#[must_use]
pub fn restore(pool: &NodePool, weight: Option<i32>, limits: &Limits, budgets: Option<&[Value]>) -> Value {
    let mut patch = json!({
        "metadata": { "resourceVersion": pool.resource_version, "annotations": { BASELINE: null, DECISION: null } },
    });
    let spec = spec(pool, weight, limits, budgets);
    if spec != json!({}) {
        patch["spec"] = spec;
    }
    patch
}

/// What `reset` does to a pool: the baseline comes back, but what somebody else has set since stays, resource by
/// resource. Where the record of what Brimful set is gone, all of the baseline comes back.
#[must_use]
pub fn reset(pool: &NodePool) -> Restored {
    let values = DecisionRecord::recorded(pool)
        .ok()
        .flatten()
        .map(|record| record.values);
    let mut back = Restored {
        weight: pool.weight,
        limits: pool.limits.clone(),
        budgets: pool.budgets.clone(),
        kept: Vec::new(),
    };
    give_budgets_back(&mut back, pool, values.as_ref());
    let set = values.as_ref().and_then(|values| values.limits.as_ref());
    let Some(baseline) = Baseline::recorded(pool).ok().flatten() else {
        back.kept
            .splice(0..0, std::iter::once("weight").chain(set.map(|_| "limits")));
        return back;
    };
    let own = baseline.limits.unwrap_or_default();
    match &values {
        Some(values) if values.weight != pool.weight => back.kept.push("weight"),
        _ => back.weight = baseline.weight,
    }
    match (&values, set) {
        (None, _) => back.limits = own,
        (Some(_), None) => {}
        (Some(_), Some(set)) => {
            if !give_back(&mut back.limits, set, &own) {
                back.kept.push("limits");
            }
        }
    }
    back
}

/// Puts the user's own budgets back where those stand that Brimful has set. Where somebody has changed them since, only
/// Brimful's own entry goes.
fn give_budgets_back(back: &mut Restored, pool: &NodePool, values: Option<&Values>) {
    let set = values.and_then(|values| values.budgets.as_deref());
    let is_lost = values.is_none();
    if is_lost || set.is_some_and(|set| same_entries(Some(set), pool.budgets.as_deref())) {
        back.budgets = own_budgets(pool);
    } else if set.is_some() {
        back.budgets = pool.budgets.as_deref().map(without_own);
        back.kept.push("budgets");
    }
}

/// Puts the user's own limits where those stand that Brimful has set; false if some do not.
fn give_back(limits: &mut Limits, set: &Limits, own: &Limits) -> bool {
    let standing = limits.clone();
    let mut all = true;
    for name in set.keys().chain(standing.keys()) {
        if !same_amount(set.get(name), standing.get(name)) {
            all = false;
        } else if let Some(amount) = own.get(name) {
            limits.insert(name.clone(), amount.clone());
        } else {
            limits.remove(name);
        }
    }
    all
}

fn text(record: &impl serde::Serialize) -> Value {
    serde_json::to_string(record).map_or(Value::Null, Value::String)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decision;
    use crate::arithmetic::{Arithmetic, Rule};
    use crate::decision::outcome;
    use crate::prices::{Price, Source};
    use brimful_types::money::Money;

    fn plan(pool: NodePool, proposed: Option<i32>) -> PoolPlan {
        PoolPlan {
            pool,
            managed: true,
            groups: Vec::new(),
            outcome: outcome(Decision::Fill, "room".into()),
            fits: Vec::new(),
            proposed,
            by_limits: false,
            limits: Limits::new(),
            shields: false,
            budgets: None,
            protection: None,
            restore: false,
            paused: false,
            left_out: Vec::new(),
            limit_sum: None,
            top_up: None,
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

    fn limits(list: &[(&str, &str)]) -> Limits {
        let list = list.iter();
        list.map(|(name, amount)| ((*name).to_owned(), (*amount).to_owned()))
            .collect()
    }

    /// A pool whose limits Brimful has changed from 100 vCPU and 4 GPU to 28 vCPU, 4 GPU and 118 GiB; `now` is what stands.
    fn limited(now: &[(&str, &str)]) -> NodePool {
        let mut pool = NodePool::test("a")
            .weight(60)
            .annotation(
                BASELINE,
                r#"{"weight":7,"limits":{"cpu":"100","nvidia.com/gpu":"4"}}"#,
            )
            .annotation(
                DECISION,
                r#"{"decision":"hold","reason":"","time":"2026-11-21T00:00:00Z",
                    "values":{"weight":60,"limits":{"cpu":"28","memory":"118Gi","nvidia.com/gpu":"4"}}}"#,
            );
        pool.limits = limits(now);
        pool
    }

    const SET: [(&str, &str); 3] = [("cpu", "28"), ("memory", "118Gi"), ("nvidia.com/gpu", "4")];

    #[test]
    fn limits_travel_with_weight_and_records_and_the_users_own_are_remembered() {
        let mut first = plan(NodePool::test("a").weight(7).limit("cpu", "100"), Some(60));
        first.by_limits = true;
        first.limits = limits(&[("cpu", "28"), ("memory", "118Gi")]);
        let sent = patch(&first, NOW);
        assert_eq!(
            sent["spec"],
            json!({"weight": 60, "limits": {"cpu": "28", "memory": "118Gi"}})
        );
        let annotations = &sent["metadata"]["annotations"];
        assert_eq!(annotations[BASELINE], r#"{"weight":7,"limits":{"cpu":"100"}}"#);
        assert!(
            annotations[DECISION]
                .as_str()
                .unwrap()
                .contains(r#""values":{"weight":60,"limits":{"cpu":"28","memory":"118Gi"}}"#)
        );
        // Given up again: what was added goes, and the record no longer claims the limits.
        let mut back = plan(limited(&SET), Some(60));
        back.limits = own_limits(&back.pool).unwrap();
        let sent = patch(&back, NOW);
        assert_eq!(
            sent["spec"],
            json!({"limits": {"memory": null, "cpu": "100", "nvidia.com/gpu": "4"}})
        );
        assert!(
            !sent["metadata"]["annotations"][DECISION]
                .as_str()
                .unwrap()
                .contains("limits")
        );
    }

    #[test]
    fn reset_gives_limits_back_unless_somebody_else_has_set_them_since() {
        let own = limits(&[("cpu", "100"), ("nvidia.com/gpu", "4")]);
        assert_eq!(reset(&limited(&SET)).limits, own);
        // What somebody set stays, what Brimful added beside it goes, and what they removed does not come back.
        let edited = reset(&limited(&[("cpu", "64"), ("memory", "118Gi")]));
        assert_eq!(
            (edited.limits, edited.kept, edited.weight),
            (limits(&[("cpu", "64")]), vec!["limits"], Some(7))
        );
    }

    #[test]
    fn without_a_readable_record_the_baseline_is_what_the_user_wants() {
        let own = limits(&[("cpu", "100"), ("nvidia.com/gpu", "4")]);
        for damage in [None, Some("{")] {
            let mut pool = limited(&SET);
            pool.annotations.remove(DECISION);
            if let Some(damage) = damage {
                pool = pool.annotation(DECISION, damage);
            }
            let back = reset(&pool);
            assert_eq!(
                (back.weight, back.limits, back.kept),
                (Some(7), own.clone(), vec![])
            );
            assert_eq!(own_limits(&pool), Some(own.clone()));
        }
    }

    #[test]
    fn the_decision_carries_its_numbers_and_reads_back_with_or_without_them() {
        let money = |amount| Money::from_dollars(amount).unwrap();
        let mut first = plan(NodePool::test("a"), Some(60));
        first.outcome.arithmetic = Some(Box::new(Arithmetic {
            groups: Vec::new(),
            commitment: money(2.0),
            demand: money(1.5),
            low: money(1.4),
            high: money(1.6),
            planned: money(1.6),
            headroom: money(0.5),
            room: money(0.4),
            excess: money(-0.6),
            node: "m5.large".to_owned(),
            price: Price {
                rate: money(0.06),
                source: Source::Learned,
            },
            lookahead: 18,
            worth_filling_from: Money::ZERO,
            to_start: money(0.06),
            to_go_on: money(0.01),
            to_drain: money(0.1),
            over_since: None,
            spent: None,
            last: None,
            rule: Rule::Starts,
        }));
        let sent = patch(&first, NOW);
        let text = sent["metadata"]["annotations"][DECISION].as_str().unwrap();
        let written: Value = serde_json::from_str(text).unwrap();
        for (field, value) in [
            ("demand", 1.5),
            ("low", 1.4),
            ("high", 1.6),
            ("commitment", 2.0),
            ("headroom", 0.5),
            ("threshold", 0.06),
        ] {
            assert_eq!(written[field], value, "{field}");
        }
        let read = |text: &str| {
            let pool = NodePool::test("a").annotation(DECISION, text);
            DecisionRecord::recorded(&pool).unwrap().unwrap()
        };
        assert_eq!(read(text).numbers.unwrap().demand, money(1.5));
        let old =
            r#"{"decision":"fill","reason":"room","time":"1970-01-01T00:00:00Z","values":{"weight":60}}"#;
        assert_eq!(read(old).numbers, None);
        assert_eq!(serde_json::to_string(&read(old)).unwrap(), old);
    }

    #[test]
    fn limits_that_a_user_changes_while_brimful_sets_none_are_the_new_baseline() {
        let pool = NodePool::test("a")
            .weight(60)
            .limit("cpu", "96")
            .annotation(BASELINE, r#"{"weight":7,"limits":{"cpu":"64"}}"#)
            .annotation(
                DECISION,
                r#"{"decision":"fill","reason":"","time":"2026-11-21T00:00:00Z","values":{"weight":60}}"#,
            );
        let mut next = plan(pool, Some(5));
        next.limits = limits(&[("cpu", "96")]);
        let sent = patch(&next, NOW);
        assert_eq!(sent["spec"], json!({"weight": 5}));
        assert_eq!(
            sent["metadata"]["annotations"][BASELINE],
            r#"{"weight":7,"limits":{"cpu":"96"}}"#
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
        let back = |weight| {
            let back = reset(&pool(weight));
            (back.weight, back.kept)
        };
        assert_eq!(back(60), (Some(7), vec![]));
        assert_eq!(back(33), (Some(33), vec!["weight"]));
        assert_eq!(
            restore(&pool(33), Some(33), &Limits::new(), None).get("spec"),
            None
        );
    }
}
