//! The history: every change of a `NodePool` that Brimful made or tried, with its reason, kept when its Events are
//! long gone. It lies beside the control state and decides nothing: damage to it freezes nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Decision;
use super::annotations::{Baseline, DecisionRecord, Numbers};
use super::limits::Limits;
use super::plan::PoolPlan;
use brimful_karpenter::NodePool;
use brimful_types::money::Money;

const SCHEMA: &str = "brimful/history/v1";
/// More changes than that are not kept.
const MAX_ENTRIES: usize = 300;
/// Longer reasons and messages are cut: an API server may have a lot to say.
const MAX_CHARS: usize = 600;

/// What was done, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    schema: String,
    /// Its entries by time.
    entries: Vec<Entry>,
}

/// What kind of change it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `apply` carried out a decision.
    Set,
    /// `apply` gave the pool back what it had before Brimful.
    Restore,
    /// `reset` did.
    Reset,
    /// `apply` gave up a Spot node, whose pods move to the pool.
    Move,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It was made.
    Patched,
    /// The pool kept changing: nothing was written.
    Conflict,
    /// The API server refused: nothing was written.
    Refused,
}

/// A value before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<T> {
    /// Before; null is absent.
    pub from: T,
    /// After; null is absent.
    pub to: T,
}

impl<T: PartialEq> Change<T> {
    fn of(from: T, to: T) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }
}

/// One change, made or tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub time: DateTime<Utc>,
    /// Which pool.
    pub node_pool: String,
    /// What kind of change.
    pub action: Action,
    /// What became of it.
    pub result: Fate,
    /// The decision behind it; none behind a `reset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// `spec.weight`, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Change<Option<i32>>>,
    /// `spec.limits`, where they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Change<Option<Limits>>>,
    /// Whether the pool is protected from consolidation, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Change<bool>>,
    /// Why, with the numbers.
    pub reason: String,
    /// What the API server had against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Demand on the pool's plans then, $/h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<Money>,
    /// Their commitment then, $/h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<Money>,
    /// What this cluster had free of it then, $/h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<Money>,
    /// How often it was tried in vain; once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// When it was last tried, if more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_tried: Option<DateTime<Utc>>,
}

impl Entry {
    /// What `apply` did with a pool's plan; `message` is what the API server had against it.
    #[must_use]
    pub fn of(plan: &PoolPlan, now: DateTime<Utc>, result: Fate, message: Option<&str>) -> Self {
        let numbers = Numbers::of(&plan.outcome);
        Self {
            time: now,
            node_pool: plan.pool.name.clone(),
            action: if plan.restore {
                Action::Restore
            } else {
                Action::Set
            },
            result,
            decision: Some(plan.outcome.decision),
            weight: Change::of(plan.pool.weight, plan.proposed),
            limits: Change::of(present(&plan.pool.limits), present(&plan.limits)),
            protection: plan
                .protection
                .filter(|_| plan.changes_budgets())
                .and_then(|protection| Change::of(protection.current, protection.proposed)),
            reason: cut(&plan.outcome.reason),
            message: message.map(cut),
            demand: numbers.map(|numbers| numbers.demand),
            commitment: numbers.map(|numbers| numbers.commitment),
            headroom: numbers.map(|numbers| numbers.headroom),
            tries: None,
            last_tried: None,
        }
    }

    /// The Spot node that `apply` gave up for a pool; `said` is what became of it.
    #[must_use]
    pub fn of_move(plan: &PoolPlan, now: DateTime<Utc>, result: Fate, said: &str) -> Self {
        Self {
            action: Action::Move,
            weight: None,
            limits: None,
            protection: None,
            reason: cut(said),
            ..Self::of(plan, now, result, None)
        }
    }

    /// What `reset` did with a pool.
    #[must_use]
    pub fn of_reset(
        pool: &NodePool,
        weight: Option<i32>,
        limits: &Limits,
        now: DateTime<Utc>,
        result: Fate,
        message: &str,
    ) -> Self {
        Self {
            time: now,
            node_pool: pool.name.clone(),
            action: Action::Reset,
            result,
            decision: None,
            weight: Change::of(pool.weight, weight),
            limits: Change::of(present(&pool.limits), present(limits)),
            protection: None,
            reason: cut(message),
            message: None,
            demand: None,
            commitment: None,
            headroom: None,
            tries: None,
            last_tried: None,
        }
    }

    fn is_the_same_attempt(&self, other: &Self) -> bool {
        self.result != Fate::Patched
            && (
                self.action,
                self.result,
                self.decision,
                &self.weight,
                &self.limits,
                &self.protection,
            ) == (
                other.action,
                other.result,
                other.decision,
                &other.weight,
                &other.limits,
                &other.protection,
            )
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            entries: Vec::new(),
        }
    }
}

impl History {
    /// Reads what earlier runs wrote.
    ///
    /// # Errors
    /// In words, why it cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let history: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if history.schema != SCHEMA {
            return Err(format!("it is of version {}, expected {SCHEMA}", history.schema));
        }
        Ok(history)
    }

    /// True when nothing has been done yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds what was done. What is tried in vain again and again is one entry.
    pub fn note(&mut self, entry: Entry) {
        let last = self
            .entries
            .iter_mut()
            .rev()
            .find(|known| known.node_pool == entry.node_pool);
        match last {
            Some(last) if last.is_the_same_attempt(&entry) => {
                last.tries = Some(last.tries.unwrap_or(1).saturating_add(1));
                last.last_tried = Some(entry.time);
                last.message = entry.message;
            }
            _ => self.insert(entry),
        }
    }

    /// Adds changes that stand on the pools and are missing here: a run that was killed after its patches could not
    /// write them down.
    pub fn catch_up<'a>(&mut self, pools: impl Iterator<Item = &'a NodePool>) {
        for pool in pools {
            let Some(record) = DecisionRecord::recorded(pool).ok().flatten() else {
                continue;
            };
            let made = |entry: &&Entry| entry.node_pool == pool.name && entry.result == Fate::Patched;
            let newest = self.entries.iter().filter(made).map(|entry| entry.time).max();
            if newest.is_none_or(|newest| newest < record.time) {
                let entry = self.missed(pool, &record);
                self.insert(entry);
            }
        }
    }

    /// The entry of a change that only the pool itself tells of.
    fn missed(&self, pool: &NodePool, record: &DecisionRecord) -> Entry {
        let baseline = Baseline::recorded(pool).ok().flatten();
        let made = || {
            let entries = self.entries.iter().rev();
            entries.filter(|entry| entry.node_pool == pool.name && entry.result == Fate::Patched)
        };
        let weight = made().find_map(|entry| Some(entry.weight.as_ref()?.to));
        let limits = made().find_map(|entry| Some(entry.limits.as_ref()?.to.clone()));
        let own = baseline.as_ref();
        Entry {
            time: record.time,
            node_pool: pool.name.clone(),
            action: Action::Set,
            result: Fate::Patched,
            decision: Some(record.decision),
            weight: Change::of(
                weight.unwrap_or_else(|| own.and_then(|own| own.weight)),
                record.values.weight,
            ),
            limits: record.values.limits.as_ref().and_then(|set| {
                let before = limits.unwrap_or_else(|| own.and_then(|own| own.limits.clone()));
                Change::of(before, present(set))
            }),
            protection: None,
            reason: cut(&record.reason),
            message: None,
            demand: record.numbers.map(|numbers| numbers.demand),
            commitment: record.numbers.map(|numbers| numbers.commitment),
            headroom: record.numbers.map(|numbers| numbers.headroom),
            tries: None,
            last_tried: None,
        }
    }

    fn insert(&mut self, entry: Entry) {
        let place = self.entries.partition_point(|known| known.time <= entry.time);
        self.entries.insert(place, entry);
    }

    /// As much of it as fits into `room` bytes of JSON: the oldest entries go first.
    #[must_use]
    pub fn bounded(mut self, room: usize) -> Self {
        let length = |entry: &Entry| serde_json::to_string(entry).map_or(0, |text| text.len() + 1);
        let mut left = room.saturating_sub(SCHEMA.len() + r#"{"schema":"","entries":[]}"#.len());
        let fits = |entry: &&Entry| {
            let length = length(entry);
            let fits = length <= left;
            left = if fits { left - length } else { 0 };
            fits
        };
        let newest = self.entries.iter().rev().take(MAX_ENTRIES);
        let kept = newest.take_while(fits).count();
        self.entries.drain(..self.entries.len() - kept);
        self
    }

    /// The text to keep.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// When each entry's pool was next changed, in the order of the entries; `None` while the change stands, and for
    /// what was tried in vain.
    #[must_use]
    pub fn until(&self) -> Vec<Option<DateTime<Utc>>> {
        let mut next: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
        let mut found: Vec<Option<DateTime<Utc>>> = Vec::new();
        for entry in self.entries.iter().rev() {
            found.push(match entry.result {
                Fate::Patched => next.insert(&entry.node_pool, entry.time),
                _ => None,
            });
        }
        found.reverse();
        found
    }
}

/// Absent limits are null.
fn present(limits: &Limits) -> Option<Limits> {
    (!limits.is_empty()).then(|| limits.clone())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests;
