//! What Brimful writes on a `NodePool` beside the weight: the baseline and its last decision.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Decision;
use super::decision::Outcome;
use super::limits::Limits;
use brimful_karpenter::NodePool;
use brimful_types::money::Money;

/// Opts a `NodePool` in.
pub const MANAGED_LABEL: &str = "brimful.dev/managed";
/// Stops changes to one `NodePool`.
pub const PAUSED: &str = "brimful.dev/paused";
/// What the `NodePool` was before Brimful's first change.
pub const BASELINE: &str = "brimful.dev/baseline";
/// `true` or `false`: whether one `NodePool` is steered by its limits, too, whatever the configuration says.
pub const MANAGE_LIMITS: &str = "brimful.dev/manage-limits";
/// By what one `NodePool` is steered, whatever the configuration says: words of `grips`, parted by commas.
pub const GRIPS: &str = "brimful.dev/grips";
/// Brimful's last change and its reason.
pub const DECISION: &str = "brimful.dev/decision";

/// What a `NodePool` was before the first change. Absent is a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// `spec.weight`.
    pub weight: Option<i32>,
    /// `spec.limits`.
    pub limits: Option<Limits>,
    /// `spec.disruption.budgets`, from when Brimful first set an entry there.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub budgets: Option<Budgets>,
}

/// `spec.disruption.budgets` word for word; absent is a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Budgets(pub Option<Vec<Value>>);

/// A field that is there, if only as null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Budgets>, D::Error> {
    Budgets::deserialize(deserializer).map(Some)
}

impl Baseline {
    /// The state of a pool that Brimful has not changed yet.
    #[must_use]
    pub fn of(pool: &NodePool) -> Self {
        Self {
            weight: pool.weight,
            limits: (!pool.limits.is_empty()).then(|| pool.limits.clone()),
            budgets: None,
        }
    }

    /// The baseline recorded on a pool; `Err` when the annotation is there and cannot be read.
    pub fn recorded(pool: &NodePool) -> Result<Option<Self>, String> {
        annotation(pool, BASELINE)
    }
}

/// Values that a decision set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// `spec.weight`; null means that the field was removed.
    pub weight: Option<i32>,
    /// `spec.limits`, where Brimful set them; else they are the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// `spec.disruption.budgets`, where Brimful has an entry of its own there; else they are the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budgets: Option<Vec<Value>>,
}

/// Brimful's last change of a `NodePool`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The decision.
    pub decision: Decision,
    /// Why, with the numbers.
    pub reason: String,
    /// When.
    pub time: DateTime<Utc>,
    /// What was set; a later difference is somebody else's doing.
    pub values: Values,
    /// The numbers it was decided by; older records, and decisions without any, have none.
    #[serde(default, flatten)]
    pub numbers: Option<Numbers>,
}

/// The numbers of a decision, $/h, summed over the groups that pay for the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// Demand now, the best guess.
    pub demand: Money,
    /// Its least.
    pub low: Money,
    /// Its largest.
    pub high: Money,
    /// What may be filled.
    pub commitment: Money,
    /// What this cluster may still use; negative is spill.
    pub headroom: Money,
    /// Demand to plan for in the hours ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Money>,
    /// What of the headroom is worth filling, by that demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Money>,
    /// What the rule that spoke compared with.
    pub threshold: Money,
}

impl Numbers {
    /// The numbers of a decision that rests on any.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Option<Self> {
        let arithmetic = outcome.arithmetic.as_ref()?;
        Some(Self {
            demand: arithmetic.demand,
            low: arithmetic.low,
            high: arithmetic.high,
            commitment: arithmetic.commitment,
            headroom: arithmetic.headroom,
            planned: Some(arithmetic.planned),
            room: Some(arithmetic.room),
            threshold: arithmetic.threshold(),
        })
    }
}

impl DecisionRecord {
    /// The decision recorded on a pool; `Err` when the annotation is there and cannot be read.
    pub fn recorded(pool: &NodePool) -> Result<Option<Self>, String> {
        annotation(pool, DECISION)
    }
}

/// True while the limits that stand on the pool are Brimful's.
#[must_use]
pub fn has_set_limits(pool: &NodePool) -> bool {
    let record = DecisionRecord::recorded(pool).ok().flatten();
    record.is_some_and(|record| record.values.limits.is_some())
}

/// The budgets that Brimful has set, where it has an entry of its own among them.
#[must_use]
pub fn set_budgets(pool: &NodePool) -> Option<Vec<Value>> {
    DecisionRecord::recorded(pool).ok().flatten()?.values.budgets
}

/// True when the pool carries anything of Brimful's.
#[must_use]
pub fn is_marked(pool: &NodePool) -> bool {
    [BASELINE, DECISION]
        .iter()
        .any(|key| pool.annotations.contains_key(*key))
}

/// True when the pool asks to be left alone.
#[must_use]
pub fn is_paused(pool: &NodePool) -> bool {
    pool.annotations.get(PAUSED).is_some_and(|value| value == "true")
}

fn annotation<T: for<'de> Deserialize<'de>>(pool: &NodePool, key: &str) -> Result<Option<T>, String> {
    let Some(text) = pool.annotations.get(key) else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|e| format!("its annotation {key} cannot be read: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_weight_is_a_baseline_too() {
        let baseline = Baseline::of(&NodePool::test("a"));
        let text = serde_json::to_string(&baseline).unwrap();
        assert_eq!(text, r#"{"weight":null,"limits":null}"#);
        let pool = NodePool::test("a").annotation(BASELINE, &text);
        assert_eq!(Baseline::recorded(&pool), Ok(Some(baseline)));
        assert!(is_marked(&pool));
    }

    #[test]
    fn a_damaged_record_is_an_error_not_an_absent_one() {
        let pool = NodePool::test("a").annotation(DECISION, "{");
        assert!(DecisionRecord::recorded(&pool).unwrap_err().contains(DECISION));
    }
}
