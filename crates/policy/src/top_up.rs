//! What tops a pool up that fills: Spot nodes whose pods move over to it.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

/// What a pool that lacks nodes is topped up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopUp {
    /// This node moves now.
    Moves(Move),
    /// None does in this run, and why.
    Waits(String),
}

/// A Spot node that is given up, so that its pods move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its `NodeClaim`, which is deleted.
    pub claim: String,
    /// That claim's `metadata.uid`, so that no other of its name is.
    pub uid: Option<String>,
    /// Its `metadata.resourceVersion`, so that it is still the one that was looked at.
    pub resource_version: Option<String>,
    /// Its Node.
    pub node: String,
    /// Its `NodePool`.
    pub from: String,
    /// Its instance type.
    pub instance_type: String,
    /// Its vCPU.
    pub vcpu: u32,
    /// Pods that must go (`namespace/name`), in order; those of `DaemonSets` left out.
    pub pods: Vec<String>,
}

impl Move {
    /// In words: `NodeClaim spot-x7k2p of spot moves over (m5.xlarge, 4 vCPU, 6 pods)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let pods = match self.pods.len() {
            1 => "1 pod".to_owned(),
            count => format!("{count} pods"),
        };
        format!(
            "NodeClaim {} of {} moves over ({}, {} vCPU, {pods})",
            self.claim, self.from, self.instance_type, self.vcpu
        )
    }
}

/// What is remembered of moves: how many there were within the hour, and whether they came to anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Moved {
    /// When nodes moved: those of the last hour, and the newest, by time.
    pub times: Vec<DateTime<Utc>>,
    /// The pool to which the newest one did.
    pub to: String,
    /// How often in a row the pods went elsewhere.
    #[serde(skip_serializing_if = "is_zero")]
    pub in_vain: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// How long what follows a move is taken for what became of it.
const SETTLES: Duration = Duration::minutes(20);

impl Moved {
    /// True while nothing has moved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// What is still to be remembered. `went_elsewhere` tells whether nodes were launched for the pods, from one time to
    /// another, and not by the pool that lacks them.
    #[must_use]
    pub fn by(
        &self,
        now: DateTime<Utc>,
        went_elsewhere: impl Fn(&str, DateTime<Utc>, DateTime<Utc>) -> bool,
    ) -> Self {
        let Some(newest) = self.times.last().copied() else {
            return Self::default();
        };
        let mut next = self.clone();
        next.times
            .retain(|time| *time > now - Duration::hours(1) || *time == newest);
        let settled = newest + SETTLES;
        // Later, what was launched then may be gone.
        if now > settled + SETTLES {
            return next;
        }
        if went_elsewhere(&self.to, newest, settled) {
            next.in_vain = self.in_vain.max(1);
        } else if now >= settled {
            next.in_vain = 0;
        }
        next
    }

    /// Another node has moved to that pool.
    pub fn note(&mut self, to: &str, now: DateTime<Utc>) {
        self.times.push(now);
        to.clone_into(&mut self.to);
        // Until it is known to have come to something, it is one more in vain.
        self.in_vain += u32::from(self.in_vain > 0);
    }

    /// How many moved within the last hour.
    #[must_use]
    pub fn within_the_hour(&self, now: DateTime<Utc>) -> usize {
        self.times
            .iter()
            .filter(|time| **time > now - Duration::hours(1))
            .count()
    }

    /// Until when nothing more moves, since pods went back: an hour, then four, then a day at a time.
    #[must_use]
    pub fn rests_until(&self) -> Option<DateTime<Utc>> {
        let hours = match self.in_vain {
            0 => return None,
            1 => 1,
            2 => 4,
            _ => 24,
        };
        Some(*self.times.last()? + Duration::hours(hours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes back is tried again after one hour, four, and then once a day; what comes to something at once.
    #[test]
    fn moves_in_vain_become_rare_and_others_do_not() {
        let mut now = DateTime::UNIX_EPOCH;
        let mut moved = Moved::default();
        let mut waits = Vec::new();
        for _ in 0..5 {
            moved.note("a", now);
            let start = now;
            loop {
                now += Duration::minutes(10);
                moved = moved.by(now, |_, _, _| true);
                if moved.rests_until().is_none_or(|until| until <= now) {
                    break;
                }
            }
            waits.push((now - start).num_hours());
        }
        assert_eq!(waits, [1, 4, 24, 24, 24]);
        moved.note("a", now);
        moved = moved.by(now + Duration::minutes(20), |_, _, _| false);
        assert_eq!((moved.in_vain, moved.rests_until()), (0, None));
    }
}
