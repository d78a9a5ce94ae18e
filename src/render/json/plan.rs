//! `brimful plan` and `brimful apply`: where the plans stand, each pool's decision, and what changes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::round;
use crate::analysis::{Analysis, Source};
use brimful_policy::Decision;
use brimful_policy::groups::{GroupNow, commitment_now};
use brimful_policy::limits::Limits;
use brimful_policy::plan::{PoolPlan, Proposal};
use brimful_policy::top_up::TopUp;
use brimful_savings_plans::nowcast::Method;
use brimful_savings_plans::savings_plan::{GroupId, PlanKind};
use brimful_savings_plans::utilization::PlanUse;
use brimful_types::hour::{Hour, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::Warning;

/// `brimful plan` and, with `applied`, `brimful apply`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanDocument {
    schema: &'static str,
    /// The clock.
    pub now: String,
    /// Where the figures come from.
    pub source: Source,
    /// Plans in force or in the report, by ARN.
    pub plans: Vec<PlanNow>,
    /// Groups that nodes can use.
    pub groups: Vec<GroupReport>,
    /// Pools by name.
    pub node_pools: Vec<PoolReport>,
    /// What `apply` changes.
    pub changes: Vec<Change>,
    /// What should be known.
    pub warnings: Vec<Warning>,
    /// What `apply` did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<Vec<Applied>>,
    /// What became of the Spot node that was to move, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// A plan, seen and estimated.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PlanNow {
    pub arn: String,
    pub kind: PlanKind,
    pub region: Option<String>,
    pub family: Option<String>,
    pub commitment: Option<Money>,
    pub observed: Option<Observed>,
    pub nowcast: Option<NowcastReport>,
    pub group: Option<GroupId>,
    /// For metrics: no part of the contract's JSON.
    #[serde(skip)]
    pub end: Option<DateTime<Utc>>,
}

/// The newest mature hour of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Observed {
    pub hour: Hour,
    pub used: Option<Money>,
    pub demand: Option<Money>,
    pub utilization: Option<f64>,
}

/// Where a plan stands now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct NowcastReport {
    pub used: Money,
    pub demand: Money,
    pub low: Money,
    pub high: Money,
    pub method: Method,
}

/// A group of plans.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct GroupReport {
    pub id: GroupId,
    pub plans: Vec<String>,
    pub commitment: Money,
    pub demand: Option<Money>,
    pub spill: Option<Money>,
    pub headroom: Option<Money>,
    pub share: f64,
}

/// A `NodePool`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PoolReport {
    pub name: String,
    pub role: &'static str,
    pub managed: bool,
    pub plans: Vec<String>,
    pub groups: Vec<GroupId>,
    pub decision: Decision,
    pub reason: String,
    pub headroom: Option<Money>,
    pub capacity: BTreeMap<String, String>,
    pub fits: Vec<FitReport>,
    pub weight: WeightReport,
    /// Null: limits are not managed.
    pub limits: Option<LimitsReport>,
    /// Null: protection from consolidation is not switched.
    pub protection: Option<ProtectionReport>,
    /// The Spot node that moves over to it, or why none does. Left out where nothing is to move.
    #[serde(rename = "topUp", skip_serializing_if = "Option::is_none")]
    pub top_up: Option<TopUpReport>,
}

/// What fits into a headroom.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct FitReport {
    pub instance_type: String,
    pub rate: Money,
    pub count: u64,
}

/// A weight, now and proposed; null means that the field is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct WeightReport {
    pub current: Option<i32>,
    pub proposed: Option<i32>,
}

/// Whether Brimful's entry protects the pool from consolidation, now and proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct ProtectionReport {
    pub current: bool,
    pub proposed: bool,
}

/// A Spot node that moves over, or why none does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct TopUpReport {
    pub node_claim: Option<String>,
    pub from: Option<String>,
    pub waits: Option<String>,
}

/// Limits, now and proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct LimitsReport {
    pub current: Option<BTreeMap<String, String>>,
    pub proposed: Option<BTreeMap<String, String>>,
}

/// One change of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Change {
    pub node_pool: String,
    pub field: &'static str,
    pub from: Value,
    pub to: Value,
    pub reason: String,
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The pool.
    pub node_pool: String,
    /// What happened.
    pub result: ApplyResult,
    /// In words.
    pub message: String,
}

/// What happened to one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplyResult {
    /// The API server took the change.
    Patched,
    /// Nothing was written.
    Unchanged,
    /// The pool kept changing under the plan.
    Conflict,
    /// The API server refused.
    Refused,
}

impl ApplyResult {
    /// True where a change was to be made and was not.
    #[must_use]
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Conflict | Self::Refused)
    }
}

/// What became of a Spot node that was to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Its claim.
    pub node_claim: String,
    /// Its pool.
    pub from: String,
    /// The pool that lacks nodes.
    pub to: String,
    /// What happened.
    pub result: MoveResult,
    /// In words.
    pub message: String,
}

/// What happened to a claim that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveResult {
    /// The API server took the deletion.
    Moved,
    /// Nothing was deleted.
    Unchanged,
    /// The API server refused.
    Refused,
    /// No answer shows whether it is being deleted.
    Unknown,
}

impl PlanDocument {
    /// The document of a proposal. It shows all plans of the report, also those that nodes cannot use, and `more`
    /// warnings beside those of report and proposal.
    #[must_use]
    pub fn new(analysis: &Analysis, proposal: &Proposal, more: &[Warning]) -> Self {
        let source = Source {
            age_hours: Some(age_hours(analysis.utilization.horizon, proposal.now)),
            ..analysis.source.clone()
        };
        let plans = analysis.utilization.plans.iter().enumerate();
        let plans = plans.map(|(index, plan)| {
            let commitment = commitment_now(&analysis.ledger, index, proposal.now);
            plan_now(plan, commitment, proposal)
        });
        let mut warnings = [analysis.warnings.as_slice(), &proposal.warnings, more].concat();
        warnings.sort();
        warnings.dedup();
        Self {
            schema: "brimful/plan/v1",
            now: rfc3339(proposal.now),
            source,
            plans: plans.collect(),
            groups: proposal.groups.iter().map(group_report).collect(),
            node_pools: proposal
                .pools
                .iter()
                .map(|pool| pool_report(pool, proposal))
                .collect(),
            changes: proposal.pools.iter().flat_map(changes).collect(),
            warnings,
            applied: None,
            moved: None,
        }
    }
}

fn group_report(group: &GroupNow) -> GroupReport {
    let demand = group.nowcast.as_ref().map(|nowcast| nowcast.demand);
    GroupReport {
        id: group.id.clone(),
        plans: group.plans.clone(),
        commitment: group.commitment,
        demand,
        spill: demand.map(|demand| (demand - group.in_force).or_zero()),
        headroom: group.headroom(),
        share: group.share,
    }
}

/// Age of the horizon in hours, to a tenth.
#[must_use]
#[allow(clippy::cast_precision_loss)] // minutes since the epoch fit
pub fn age_hours(horizon: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<f64> {
    horizon.map(|horizon| ((now - horizon).num_minutes() as f64 / 6.0).round() / 10.0)
}

fn plan_now(plan: &PlanUse, commitment: Option<Money>, proposal: &Proposal) -> PlanNow {
    let newest = plan.hours.iter().rev().find(|hour| hour.mature);
    let group = plan.plan.group();
    let estimate = group.as_ref().and_then(|id| {
        let nowcast = proposal.nowcasts.get(id)?;
        let group = proposal.groups.iter().find(|g| g.id == *id)?;
        let own = commitment.filter(|_| group.plans.contains(&plan.plan.arn))?;
        let part = |amount: Money| amount.share(own, group.in_force);
        Some(NowcastReport {
            used: part(nowcast.demand).min(own),
            demand: part(nowcast.demand),
            low: part(nowcast.low),
            high: part(nowcast.high),
            method: nowcast.method,
        })
    });
    PlanNow {
        arn: plan.plan.arn.clone(),
        kind: plan.plan.kind,
        region: plan.plan.region.clone(),
        family: plan.plan.family.clone(),
        commitment,
        observed: newest.map(|hour| Observed {
            hour: hour.hour,
            used: hour.used,
            demand: hour.demand,
            utilization: hour.utilization().map(round),
        }),
        nowcast: estimate,
        group,
        end: plan.plan.end,
    }
}

fn pool_report(plan: &PoolPlan, proposal: &Proposal) -> PoolReport {
    let paying = proposal
        .groups
        .iter()
        .filter(|group| plan.groups.contains(&group.id));
    let mut plans: Vec<String> = paying.flat_map(|group| group.plans.clone()).collect();
    plans.sort();
    PoolReport {
        name: plan.pool.name.clone(),
        role: plan.pool.role().as_str(),
        managed: plan.managed,
        plans,
        groups: plan.groups.clone(),
        decision: plan.outcome.decision,
        reason: plan.outcome.reason.clone(),
        headroom: plan.outcome.headroom,
        capacity: plan.pool.resources.clone(),
        fits: plan
            .fits
            .iter()
            .map(|fit| FitReport {
                instance_type: fit.instance_type.clone(),
                rate: fit.rate,
                count: fit.count,
            })
            .collect(),
        weight: WeightReport {
            current: plan.pool.weight,
            proposed: plan.proposed,
        },
        limits: (plan.by_limits || plan.changes_limits()).then(|| LimitsReport {
            current: present(&plan.pool.limits),
            proposed: present(&plan.limits),
        }),
        protection: plan.protection.map(|protection| ProtectionReport {
            current: protection.current,
            proposed: protection.proposed,
        }),
        top_up: plan.top_up.as_ref().map(top_up),
    }
}

fn top_up(top_up: &TopUp) -> TopUpReport {
    let (one, waits) = match top_up {
        TopUp::Moves(one) => (Some(one), None),
        TopUp::Waits(why) => (None, Some(why.clone())),
    };
    TopUpReport {
        node_claim: one.map(|one| one.claim.clone()),
        from: one.map(|one| one.from.clone()),
        waits,
    }
}

fn changes(plan: &PoolPlan) -> Vec<Change> {
    let change = |field, from, to| Change {
        node_pool: plan.pool.name.clone(),
        field,
        from,
        to,
        reason: plan.outcome.reason.clone(),
    };
    let weight = plan
        .changes_weight()
        .then(|| change("spec.weight", json!(plan.pool.weight), json!(plan.proposed)));
    let limits = plan.changes_limits().then(|| {
        change(
            "spec.limits",
            json!(present(&plan.pool.limits)),
            json!(present(&plan.limits)),
        )
    });
    let budgets = plan.changes_budgets().then(|| {
        change(
            "spec.disruption.budgets",
            json!(plan.pool.budgets),
            json!(plan.budgets),
        )
    });
    let moves = match &plan.top_up {
        Some(TopUp::Moves(one)) => Some(change("topUp", json!(one.claim), Value::Null)),
        _ => None,
    };
    weight
        .into_iter()
        .chain(limits)
        .chain(budgets)
        .chain(moves)
        .collect()
}

/// Absent limits are null.
fn present(limits: &Limits) -> Option<Limits> {
    (!limits.is_empty()).then(|| limits.clone())
}
