//! Control state: what one run tells the next, beside what stands on the `NodePools` themselves.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Decision;
use super::top_up::Moved;
use super::usage_record::UsageRecord;
use brimful_types::{Error, Result};

const SCHEMA: &str = "brimful/state/v1";
/// Above this a `ConfigMap` is the wrong place; a few hundred bytes a pool keep far below it.
pub const MAX_BYTES: usize = 100 << 10;

/// The control state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    schema: String,
    /// By `NodePool`.
    #[serde(default)]
    pub node_pools: BTreeMap<String, PoolState>,
    /// What live on-demand nodes cost in the last two weeks.
    #[serde(default, skip_serializing_if = "UsageRecord::is_empty")]
    pub burn: UsageRecord,
    /// Spot nodes that were moved over.
    #[serde(default, skip_serializing_if = "Moved::is_empty")]
    pub moved: Moved,
    /// What was said in notifications, and when, so that it is said once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notified: BTreeMap<String, DateTime<Utc>>,
}

/// What is remembered of one `NodePool`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolState {
    /// Its last decision.
    pub decision: Decision,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The last decision other than freeze, during a freeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_freeze: Option<Decision>,
    /// What else is remembered.
    #[serde(flatten)]
    pub memory: Memory,
}

/// The beginning of a fill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Filling {
    /// When.
    pub since: DateTime<Utc>,
    /// What live on-demand nodes cost then, $/h at SP rates.
    pub live: f64,
}

impl PoolState {
    /// The last decision, freezes left out.
    #[must_use]
    pub fn last_decided(&self) -> Option<Decision> {
        match self.decision {
            Decision::Freeze => self.before_freeze,
            decision => Some(decision),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            node_pools: BTreeMap::new(),
            burn: UsageRecord::default(),
            moved: Moved::default(),
            notified: BTreeMap::new(),
        }
    }
}

impl State {
    /// Reads what an earlier run wrote.
    ///
    /// # Errors
    /// It is damaged or of another version: acting on a guess could undo a freeze or a dwell.
    pub fn parse(place: &str, text: &str) -> Result<Self> {
        let hint = "move it aside, or run `brimful reset`, and Brimful starts afresh";
        let state: Self = serde_json::from_str(text).map_err(|e| {
            Error::frozen(format!("{place}: the control state cannot be read: {e}")).hint(hint)
        })?;
        if state.schema != SCHEMA {
            let message = format!(
                "{place}: the control state is of version {}, expected {SCHEMA}",
                state.schema
            );
            return Err(Error::frozen(message).hint(hint));
        }
        Ok(state)
    }

    /// As much of it as fits into `room` bytes of JSON: the pools whose decision is oldest are forgotten first. Returns
    /// how many are.
    #[must_use]
    pub fn bounded(mut self, room: usize) -> (Self, usize) {
        let mut excess = self.to_text().len().saturating_sub(room);
        let mut by_age: Vec<(DateTime<Utc>, String)> = self
            .node_pools
            .iter()
            .map(|(name, known)| (known.since, name.clone()))
            .collect();
        by_age.sort();
        let mut dropped = 0;
        for (_, name) in by_age {
            if excess == 0 {
                break;
            }
            // Its text, and the colon and comma around it.
            let known = self.node_pools.remove(&name);
            let length = |text: Result<String, _>| text.map_or(0, |text: String| text.len());
            let own = length(serde_json::to_string(&known)) + length(serde_json::to_string(&name)) + 1;
            excess = excess.saturating_sub(own);
            dropped += 1;
        }
        if excess > 0 {
            self.burn = UsageRecord::default();
        }
        (self, dropped)
    }

    /// The text to keep.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Remembers that a pool carries Brimful's annotations now.
    pub fn patched(&mut self, pool: &str) {
        if let Some(known) = self.node_pools.get_mut(pool) {
            known.memory.marked = true;
        }
    }

    /// Remembers that a pool's limits were decided and could not be set.
    pub fn limits_not_set(&mut self, pool: &str) {
        if let Some(known) = self.node_pools.get_mut(pool) {
            known.memory.limits_wait = true;
        }
    }

    /// Records a decision; `since` stays while it does not change, and a freeze forgets nothing.
    pub fn note(&mut self, pool: &str, decision: Decision, memory: Memory, now: DateTime<Utc>) {
        let known = self.node_pools.get(pool);
        let since = known
            .filter(|known| known.decision == decision)
            .map_or(now, |known| known.since);
        let frozen = decision == Decision::Freeze;
        let memory = match known {
            Some(known) if frozen => Memory {
                marked: known.memory.marked || memory.marked,
                ..known.memory
            },
            _ => memory,
        };
        let noted = PoolState {
            decision,
            since,
            before_freeze: known.filter(|_| frozen).and_then(PoolState::last_decided),
            memory,
        };
        self.node_pools.insert(pool.to_owned(), noted);
    }
}

/// What a decision wants to be reminded of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Since when demand has exceeded the commitment by more than the band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_since: Option<DateTime<Utc>>,
    /// Where a fill began that the report's tags cannot follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<Filling>,
    /// True while the limits of this decision are still to be set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limits_wait: bool,
    /// Since when no pool would take what this one cannot at its limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_overflow: Option<DateTime<Utc>>,
    /// True once the pool was seen with Brimful's annotations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_keeps_its_beginning_until_it_changes() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (first, second) = (at("2026-11-21T10:00:00Z"), at("2026-11-21T10:10:00Z"));
        let mut state = State::default();
        state.note("a", Decision::Fill, Memory::default(), first);
        state.note("a", Decision::Fill, Memory::default(), second);
        assert_eq!(state.node_pools["a"].since, first);
        let over = Memory {
            over_since: Some(second),
            ..Memory::default()
        };
        state.note("a", Decision::Hold, over, second);
        state.note("a", Decision::Freeze, Memory::default(), second);
        let read = State::parse("s", &state.to_text()).unwrap();
        assert_eq!(read.node_pools["a"].since, second);
        assert_eq!(read.node_pools["a"].last_decided(), Some(Decision::Hold));
        assert_eq!(read.node_pools["a"].memory.over_since, Some(second));
        assert_eq!(read, state);
    }

    #[test]
    fn a_state_that_is_too_large_forgets_the_oldest_decisions_and_fits() {
        let now = DateTime::UNIX_EPOCH;
        let mut state = State::default();
        for age in 0..900_i64 {
            let memory = Memory {
                over_since: Some(now),
                lost_overflow: Some(now),
                ..Memory::default()
            };
            let pool = format!("pool-{age:03}");
            state.note(&pool, Decision::Fill, memory, now - chrono::Duration::days(age));
        }
        let whole = state.to_text().len();
        assert!(whole > MAX_BYTES, "{whole}");
        let (kept, dropped) = state.clone().bounded(MAX_BYTES);
        let length = kept.to_text().len();
        assert!(
            (MAX_BYTES - 400..=MAX_BYTES).contains(&length),
            "no more than needed: {length}"
        );
        assert_eq!(kept.node_pools.len() + dropped, 900);
        let last = format!("pool-{:03}", 899 - dropped);
        assert_eq!(
            kept.node_pools.keys().next_back(),
            Some(&last),
            "the newest are kept"
        );
        assert_eq!(state.clone().bounded(whole), (state, 0));
    }

    #[test]
    fn damaged_state_freezes() {
        for text in ["", "{", r#"{"schema":"brimful/state/v9"}"#] {
            assert_eq!(
                State::parse("s", text).unwrap_err().kind(),
                brimful_types::ErrorKind::Frozen,
                "{text}"
            );
        }
    }
}
