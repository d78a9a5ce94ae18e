//! What there is to say of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use crate::analysis::Analysis;
use crate::config::NotifyEvent;
use crate::render::headline::whole;
use crate::render::json::{Applied, ApplyResult, MoveResult, Moved};
use brimful_policy::Decision;
use brimful_policy::groups::commitment_now;
use brimful_policy::guards::is_contested;
use brimful_policy::history::History;
use brimful_policy::plan::{PoolPlan, Proposal};
use brimful_policy::settings::ClusterConfig;
use brimful_savings_plans::savings_plan::{PlanKind, plan_id};
use brimful_types::hour::{human_duration, rfc3339};
use brimful_types::money::Money;

/// So long before its end a plan's end is said.
const AHEAD: Duration = Duration::days(14);

/// A run, as far as it is told.
pub(crate) struct Facts<'a> {
    pub(crate) now: DateTime<Utc>,
    pub(crate) cluster: &'a ClusterConfig,
    pub(crate) proposal: &'a Proposal,
    pub(crate) analysis: &'a Analysis,
    pub(crate) applied: &'a [Applied],
    pub(crate) moved: Option<&'a Moved>,
    /// Changes before this run.
    pub(crate) history: &'a History,
}

impl Facts<'_> {
    /// The cluster's name, where it is known.
    pub(super) fn name(&self) -> Option<&str> {
        let detected = || {
            self.proposal
                .demand
                .as_ref()
                .map(|demand| demand.cluster.as_str())
        };
        self.cluster.name.as_deref().or_else(detected)
    }
}

/// One thing to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Notice {
    Change {
        node_pool: String,
        decision: Decision,
        change: String,
        reason: String,
    },
    Move {
        node_claim: String,
        from: String,
        to: String,
        message: String,
    },
    Freeze {
        node_pools: Vec<String>,
        reason: String,
    },
    Contest {
        node_pool: String,
        reason: String,
    },
    PlanEnding {
        plan: String,
        kind: PlanKind,
        ends: String,
        #[serde(skip)]
        left: String,
        commitment: Option<Money>,
    },
    Summary(Week),
}

/// What came of a week.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Week {
    pub(super) from: String,
    pub(super) to: String,
    /// Changes made in it.
    pub(super) changes: usize,
    /// Those of which the report shows what they did.
    pub(super) told: usize,
    pub(super) saved: Option<Money>,
    pub(super) cost: Option<Money>,
    /// Σ used ÷ Σ commitment of its complete hours.
    pub(super) utilization: Option<f64>,
    /// $/h that nobody uses now.
    pub(super) unused: Option<Money>,
    #[serde(skip)]
    pub(super) headline: String,
}

impl Notice {
    pub(super) fn event(&self) -> NotifyEvent {
        match self {
            Self::Change { .. } => NotifyEvent::Change,
            Self::Move { .. } => NotifyEvent::Move,
            Self::Freeze { .. } => NotifyEvent::Freeze,
            Self::Contest { .. } => NotifyEvent::Contest,
            Self::PlanEnding { .. } => NotifyEvent::PlanEnding,
            Self::Summary(_) => NotifyEvent::Summary,
        }
    }

    /// True for pools that are frozen for the same reason.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Freeze { reason, .. }, Self::Freeze { reason: same, .. }) if reason == same)
    }

    /// Names the other's pools, too.
    pub(super) fn take_in(&mut self, other: &Self) {
        if let (Self::Freeze { node_pools, .. }, Self::Freeze { node_pools: more, .. }) = (self, other) {
            node_pools.extend(more.iter().cloned());
        }
    }

    /// One or two sentences.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Change {
                node_pool,
                decision,
                change,
                reason,
            } => format!("{node_pool}: {change} ({decision}). {}", sentence(reason)),
            Self::Move {
                from, to, message, ..
            } => format!("From {from} to {to}: {message}"),
            Self::Freeze { node_pools, reason } => {
                format!("Nothing is decided for {}: {reason}", some_of(node_pools))
            }
            Self::Contest { node_pool, reason } => format!("{node_pool} is left alone: {reason}"),
            Self::PlanEnding {
                plan,
                ends,
                left,
                commitment,
                ..
            } => {
                let worth = commitment.map(|money| format!(" ({})", money.per_hour()));
                format!(
                    "Savings Plan {}{} ends in {left}, {ends}: what it pays for is on demand from then on",
                    plan_id(plan),
                    worth.unwrap_or_default()
                )
            }
            Self::Summary(week) => week.text(),
        }
    }
}

impl Week {
    fn text(&self) -> String {
        let s = if self.changes == 1 { "" } else { "s" };
        let mut said = format!("{} to {}: {} change{s}", self.from, self.to, self.changes);
        if let Some((saved, cost)) = self.saved.zip(self.cost) {
            let _ = write!(
                said,
                "; by the report {} of them saved {} and cost {}",
                self.told,
                whole(saved),
                whole(cost)
            );
        } else if self.changes > 0 {
            said.push_str("; the report does not show yet what they saved");
        }
        if let Some(part) = self.utilization {
            let _ = write!(said, ". {:.1} % of the commitments was used", part * 100.0);
        }
        format!("{said}. {}", self.headline)
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// At most five names.
fn some_of(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(5));
    match rest.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What this run has changed.
pub(super) fn changes<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = Notice> + 'a {
    let plans: BTreeMap<&str, &PoolPlan> = facts
        .proposal
        .pools
        .iter()
        .map(|plan| (plan.pool.name.as_str(), plan))
        .collect();
    let made = facts
        .applied
        .iter()
        .filter(|one| one.result == ApplyResult::Patched);
    let moved = facts.moved.filter(|moved| moved.result == MoveResult::Moved);
    let moved = moved.map(|moved| Notice::Move {
        node_claim: moved.node_claim.clone(),
        from: moved.from.clone(),
        to: moved.to.clone(),
        message: moved.message.clone(),
    });
    let made = made.filter_map(move |one| {
        let plan = plans.get(one.node_pool.as_str())?;
        (!plan.is_routine()).then(|| Notice::Change {
            node_pool: one.node_pool.clone(),
            decision: plan.outcome.decision,
            change: one.message.clone(),
            reason: plan.outcome.reason.clone(),
        })
    });
    made.chain(moved)
}

/// What lasts, by what it is remembered.
pub(super) fn conditions(facts: &Facts<'_>) -> Vec<(String, Notice)> {
    let proposal = facts.proposal;
    let alarming = |plan: &&PoolPlan| plan.managed && !plan.paused;
    let managed: Vec<&PoolPlan> = proposal.pools.iter().filter(alarming).collect();
    let (contested, others): (Vec<&PoolPlan>, Vec<&PoolPlan>) =
        managed.into_iter().partition(|plan| is_contested(&plan.pool));
    let mut found: Vec<(String, Notice)> = contested
        .into_iter()
        .map(|plan| {
            let notice = Notice::Contest {
                node_pool: plan.pool.name.clone(),
                reason: plan.outcome.reason.clone(),
            };
            (format!("contest/{}", plan.pool.name), notice)
        })
        .collect();
    let frozen = others
        .into_iter()
        .filter(|plan| plan.outcome.decision == Decision::Freeze);
    found.extend(match &proposal.doubt {
        Some(doubt) => frozen_whole(frozen, doubt),
        None => frozen.map(frozen_alone).collect(),
    });
    found.extend(endings(facts));
    found
}

/// The report decides nothing for anybody: one thing to say, whatever the number of pools.
fn frozen_whole<'a>(frozen: impl Iterator<Item = &'a PoolPlan>, doubt: &str) -> Vec<(String, Notice)> {
    let node_pools: Vec<String> = frozen.map(|plan| plan.pool.name.clone()).collect();
    if node_pools.is_empty() {
        return Vec::new();
    }
    let reason = doubt.to_owned();
    vec![("freeze".to_owned(), Notice::Freeze { node_pools, reason })]
}

fn frozen_alone(plan: &PoolPlan) -> (String, Notice) {
    let name = &plan.pool.name;
    let notice = Notice::Freeze {
        node_pools: vec![name.clone()],
        reason: plan.outcome.reason.clone(),
    };
    (format!("freeze/{name}"), notice)
}

/// Plans in force that nodes can use and that end soon.
fn endings<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = (String, Notice)> + 'a {
    let (analysis, now) = (facts.analysis, facts.now);
    let plans = analysis.utilization.plans.iter().enumerate();
    plans.filter_map(move |(index, found)| {
        let plan = &found.plan;
        let end = plan.end?;
        if !plan.kind.covers_nodes() || !plan.is_active(now) || end - now > AHEAD {
            return None;
        }
        let notice = Notice::PlanEnding {
            plan: plan.arn.clone(),
            kind: plan.kind,
            ends: rfc3339(end),
            left: human_duration(end - now),
            commitment: commitment_now(&analysis.ledger, index, now),
        };
        Some((format!("ending/{}", plan.short_id()), notice))
    })
}
