//! The JSON shapes of the contract. Unknown is null, never 0.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use brimful_cur::athena::size;
use brimful_policy::Decision;
use brimful_policy::limits::Limits;
use brimful_policy::plan::{PoolPlan, Proposal};
use brimful_savings_plans::nowcast::Method;
use brimful_savings_plans::savings_plan::{GroupId, PlanKind};
use brimful_savings_plans::utilization::{HourUse, PlanUse, Utilization};
use brimful_types::hour::{Hour, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::Warning;

/// Where the figures come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// `--cur`.
    pub uri: String,
    /// `legacy`, `cur2` or `focus`; null when nothing could be read.
    pub format: Option<&'static str>,
    /// `YYYY-MM`, ascending.
    pub billing_periods: Vec<String>,
    /// How far the report reaches.
    pub horizon: Option<String>,
    /// Files read.
    pub files: usize,
    /// Their rows, skipped or not.
    pub rows: u64,
    /// Bytes read of them.
    pub bytes_read: u64,
    /// What AWS asks for scanning them, by an estimate; with `cur.engine: athena` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_cost: Option<Money>,
    /// Age of the horizon; in plans only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_hours: Option<Option<f64>>,
}

impl Source {
    /// What was scanned, and what that costs; empty where it costs nothing.
    #[must_use]
    pub fn scanned(&self) -> String {
        match self.scan_cost {
            Some(cost) => format!("; {} scanned, about {cost}", size(self.bytes_read)),
            None => String::new(),
        }
    }
}

/// `brimful utilization`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UtilizationReport {
    schema: &'static str,
    /// Where the figures come from.
    pub source: Source,
    /// Plans by ARN.
    pub plans: Vec<PlanReport>,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

/// One plan's use.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the contract names them
pub struct PlanReport {
    pub arn: String,
    pub kind: PlanKind,
    pub region: Option<String>,
    pub family: Option<String>,
    pub owner: Option<String>,
    pub payment_option: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    pub hours: Vec<HourReport>,
    /// The complete hours.
    pub total: Total,
    /// The others. What looks unused in them may still be delivered.
    pub incomplete: Total,
}

/// One hour of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct HourReport {
    pub hour: Hour,
    pub commitment: Option<Money>,
    pub used: Option<Money>,
    pub unused: Option<Money>,
    pub utilization: Option<f64>,
    pub covered: Option<Money>,
    pub demand: Option<Money>,
    pub mature: bool,
    pub reconciles: Option<bool>,
}

/// The sum of some of a plan's hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Total {
    pub hours: usize,
    pub commitment: Option<Money>,
    pub used: Option<Money>,
    pub unused: Option<Money>,
    pub utilization: Option<f64>,
}

impl UtilizationReport {
    /// The report of what was found. A daily report's entries count 24 hours each.
    #[must_use]
    pub fn new(
        source: Source,
        utilization: &Utilization,
        hours_per_entry: usize,
        warnings: Vec<Warning>,
    ) -> Self {
        Self {
            schema: "brimful/utilization/v1",
            source,
            plans: utilization
                .plans
                .iter()
                .map(|plan| plan_report(plan, hours_per_entry))
                .collect(),
            warnings,
        }
    }
}

fn plan_report(plan: &PlanUse, hours_per_entry: usize) -> PlanReport {
    let facts = &plan.plan;
    let (complete, incomplete): (Vec<&HourUse>, Vec<&HourUse>) = plan.hours.iter().partition(|h| h.complete);
    PlanReport {
        arn: facts.arn.clone(),
        kind: facts.kind,
        region: facts.region.clone(),
        family: facts.family.clone(),
        owner: facts.owner.clone(),
        payment_option: facts.payment_option.clone(),
        start: facts.start.map(rfc3339),
        end: facts.end.map(rfc3339),
        hours: plan.hours.iter().map(hour_report).collect(),
        total: total(complete, hours_per_entry),
        incomplete: total(incomplete, hours_per_entry),
    }
}

fn hour_report(hour: &HourUse) -> HourReport {
    HourReport {
        hour: hour.hour,
        commitment: hour.commitment,
        used: hour.used,
        unused: hour.unused(),
        utilization: hour.utilization().map(round),
        covered: hour.covered,
        demand: hour.demand,
        mature: hour.mature,
        reconciles: hour.reconciles,
    }
}

/// Sums; null as soon as one hour is unknown, and of no hours.
#[must_use]
pub fn total<'a>(hours: impl IntoIterator<Item = &'a HourUse>, hours_per_entry: usize) -> Total {
    let hours: Vec<&HourUse> = hours.into_iter().collect();
    let sum = |value: fn(&HourUse) -> Option<Money>| {
        let sum: Option<Money> = hours.iter().map(|hour| value(hour)).sum();
        sum.filter(|_| !hours.is_empty())
    };
    let (commitment, used) = (sum(|h| h.commitment), sum(|h| h.used));
    Total {
        hours: hours.len() * hours_per_entry,
        commitment,
        used,
        unused: sum(HourUse::unused),
        utilization: used
            .zip(commitment)
            .and_then(|(used, whole)| used.fraction_of(whole))
            .map(round),
    }
}

/// Ten digits are more than any ratio of the report's figures deserves, and hide float noise.
fn round(ratio: f64) -> f64 {
    (ratio * 1e10).round() / 1e10
}

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

impl PlanDocument {
    /// The document of a proposal. `utilization` has all plans of the report, also those that nodes cannot use.
    #[must_use]
    pub fn new(
        source: Source,
        utilization: &Utilization,
        commitments: &[Option<Money>],
        proposal: &Proposal,
        warnings: Vec<Warning>,
    ) -> Self {
        let plans = utilization.plans.iter().zip(commitments);
        Self {
            schema: "brimful/plan/v1",
            now: rfc3339(proposal.now),
            source,
            plans: plans
                .map(|(plan, commitment)| plan_now(plan, *commitment, proposal))
                .collect(),
            groups: proposal
                .groups
                .iter()
                .map(|group| GroupReport {
                    id: group.id.clone(),
                    plans: group.plans.clone(),
                    commitment: group.commitment,
                    demand: group.nowcast.as_ref().map(|nowcast| nowcast.demand),
                    spill: group
                        .nowcast
                        .as_ref()
                        .map(|nowcast| (nowcast.demand - group.in_force).or_zero()),
                    headroom: group.headroom(),
                    share: group.share,
                })
                .collect(),
            node_pools: proposal
                .pools
                .iter()
                .map(|pool| pool_report(pool, proposal))
                .collect(),
            changes: proposal.pools.iter().flat_map(changes).collect(),
            warnings,
            applied: None,
        }
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
    weight.into_iter().chain(limits).chain(budgets).collect()
}

/// Absent limits are null.
fn present(limits: &Limits) -> Option<Limits> {
    (!limits.is_empty()).then(|| limits.clone())
}
