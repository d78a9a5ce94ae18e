//! Control state: what one run tells the next, beside what stands on the `NodePools` themselves.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Decision;
use crate::{Error, Result};

const SCHEMA: &str = "brimful/state/v1";
/// Above this a `ConfigMap` is the wrong place; a few hundred bytes a pool keep far below it.
pub const MAX_BYTES: usize = 100 << 10;

/// The control state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    schema: String,
    /// By `NodePool`.
    #[serde(default)]
    pub node_pools: BTreeMap<String, PoolState>,
}

/// What is remembered of one `NodePool`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolState {
    /// Its last decision.
    pub decision: Decision,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Since when demand has exceeded the commitment by more than the band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_since: Option<DateTime<Utc>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            node_pools: BTreeMap::new(),
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

    /// The text to keep.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Records a decision; `since` stays while it does not change.
    pub fn note(
        &mut self,
        pool: &str,
        decision: Decision,
        over_since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) {
        let since = self
            .node_pools
            .get(pool)
            .filter(|known| known.decision == decision)
            .map_or(now, |known| known.since);
        let noted = PoolState {
            decision,
            since,
            over_since,
        };
        self.node_pools.insert(pool.to_owned(), noted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_keeps_its_beginning_until_it_changes() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (first, second) = (at("2026-11-21T10:00:00Z"), at("2026-11-21T10:10:00Z"));
        let mut state = State::default();
        state.note("a", Decision::Fill, None, first);
        state.note("a", Decision::Fill, None, second);
        assert_eq!(state.node_pools["a"].since, first);
        state.note("a", Decision::Hold, Some(second), second);
        let read = State::parse("s", &state.to_text()).unwrap();
        assert_eq!(read.node_pools["a"].since, second);
        assert_eq!(read, state);
    }

    #[test]
    fn damaged_state_freezes() {
        for text in ["", "{", r#"{"schema":"brimful/state/v9"}"#] {
            assert_eq!(
                State::parse("s", text).unwrap_err().kind(),
                crate::ErrorKind::Frozen,
                "{text}"
            );
        }
    }
}
