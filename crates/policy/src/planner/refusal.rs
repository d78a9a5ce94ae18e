//! Why a pool is not decided by its plans' headroom: given back, frozen, not steerable, or without a plan.

use std::collections::BTreeSet;
use std::rc::Rc;

use chrono::{DateTime, Duration, Utc};

use super::Planner;
use crate::Decision;
use crate::annotations::{Baseline, is_marked};
use crate::decision::{self, Outcome, frozen, none};
use crate::eligibility::Eligible;
use crate::groups::GroupNow;
use crate::guards::{hands_off, is_held_on_purpose, not_committed, replaced_whole};
use brimful_karpenter::NodePool;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::hour::rfc3339;

/// A pool whose last plan has ended drains so many hours before it gets its baseline back.
const LAST_DRAIN: i64 = 48;

/// What becomes of such a pool.
pub(super) enum Refusal {
    /// The baseline comes back, and Brimful's annotations go.
    Restore(String),
    /// The last plan that paid for the pool has ended.
    Ended(Decision, String),
    /// Frozen, or no decision.
    Outcome(Box<Outcome>),
}

impl Planner<'_> {
    /// Why a pool is not decided by its plans' headroom, if so.
    pub(super) fn refusal(
        &self,
        pool: &NodePool,
        managed: bool,
        groups: &[&GroupNow],
        baseline: Option<&Baseline>,
    ) -> Option<Refusal> {
        if !managed && is_marked(pool) {
            if is_held_on_purpose(pool, self.inputs.config, self.inputs.now) {
                return Some(Refusal::Outcome(Box::new(none(
                    "it is no longer managed, and everything is paused".to_owned(),
                ))));
            }
            return Some(Refusal::Restore(
                "it is no longer managed: what Brimful set is taken back".to_owned(),
            ));
        }
        if let Some(reason) = not_committed(pool) {
            if is_marked(pool) && !is_held_on_purpose(pool, self.inputs.config, self.inputs.now) {
                return Some(Refusal::Restore(format!(
                    "{reason}: what Brimful set is taken back"
                )));
            }
            return Some(Refusal::Outcome(Box::new(none(reason))));
        }
        let frozen_by = |reason: String| Some(Refusal::Outcome(Box::new(frozen(reason))));
        let known = self.inputs.state.node_pools.get(&pool.name);
        if managed && known.is_some_and(|known| known.memory.marked) && !is_marked(pool) {
            return frozen_by(replaced_whole(pool));
        }
        if managed && let Some(reason) = hands_off(pool, self.inputs.config, self.inputs.now) {
            return frozen_by(reason);
        }
        if let Some(doubt) = self.inputs.doubt {
            return frozen_by(doubt.to_owned());
        }
        if groups.is_empty() {
            return Some(self.without_plans(pool, managed && baseline.is_some()));
        }
        let doubted = groups
            .iter()
            .find_map(|group| Some((group, group.doubt.as_ref()?)));
        doubted.and_then(|(group, doubt)| frozen_by(format!("{}: {doubt}", decision::names(&[group]))))
    }

    /// No plan in force pays for the pool. What Brimful has steered is let go only when its last plan is seen to have
    /// ended: a report without plans may be the wrong one, or half of one.
    fn without_plans(&self, pool: &NodePool, is_steered: bool) -> Refusal {
        let reason = "no Savings Plan in force pays for what it launches";
        if !is_steered {
            return Refusal::Outcome(Box::new(none(reason.to_owned())));
        }
        let Some(ended) = self.last_end(pool) else {
            if self.is_in_the_report() {
                return Refusal::Restore(format!(
                    "{reason}, and none did as far as the report reaches: what Brimful set is taken back"
                ));
            }
            let doubt = "the report shows no Savings Plan that pays, or has paid, for what it launches: is it the right report \
                         (and sharing.accounts complete)?";
            return Refusal::Outcome(Box::new(frozen(doubt.to_owned())));
        };
        let since = rfc3339(ended);
        if self.inputs.now - ended >= Duration::hours(LAST_DRAIN) {
            return Refusal::Restore(format!(
                "{reason} since {since}: the weight from before Brimful comes back"
            ));
        }
        // A renewal has no rows before the first report of its time.
        if self
            .inputs
            .utilization
            .horizon
            .is_none_or(|horizon| horizon <= ended)
        {
            return Refusal::Ended(
                Decision::Hold,
                format!(
                    "{reason} since {since}, but the report does not reach beyond that yet: a new plan would show then"
                ),
            );
        }
        Refusal::Ended(
            Decision::Drain,
            format!("{reason} since {since}: new nodes should go to Spot"),
        )
    }

    /// True where the report tells of this cluster: then it is the right one, and a plan that it does not show is none.
    fn is_in_the_report(&self) -> bool {
        let owns = |series| self.scale.identity.owns(series);
        self.inputs.ledger.series.iter().any(owns)
    }

    /// When the last plan that could pay for the pool ended; `None` when the report shows none that did.
    fn last_end(&self, pool: &NodePool) -> Option<DateTime<Utc>> {
        let plans = self.inputs.ledger.plans.iter().map(|entry| &entry.plan);
        let ended = plans
            .filter_map(|plan| Some((plan.group()?, plan.ends().filter(|end| *end <= self.inputs.now)?)));
        let ended: Vec<(GroupId, DateTime<Utc>)> = ended.collect();
        let groups: BTreeSet<GroupId> = ended.iter().map(|(group, _)| group.clone()).collect();
        let launchable = Rc::clone(self.pools.launchable(pool)?);
        let eligible = Eligible::of(pool, &groups, self.scale.identity, launchable).groups;
        ended
            .iter()
            .filter(|(group, _)| eligible.contains(group))
            .map(|(_, end)| *end)
            .max()
    }
}
