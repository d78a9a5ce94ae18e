//! Checks of the place where clusters on the same plans publish their demand.

use brimful_types::warning::WarningCode;
use chrono::{DateTime, Utc};

use super::{Check, Group};
use crate::config::Config;
use brimful_policy::peers::Peers;
use brimful_policy::plan::Proposal;
use brimful_types::hour::human_duration;

const ID: &str = "coordination";

/// Whether the place is reached, who publishes there, and whether this cluster's name is its own. No checks where no
/// place is configured.
#[must_use]
pub(crate) fn checks(config: &Config, peers: &Peers, proposal: &Proposal, now: DateTime<Utc>) -> Vec<Check> {
    let Some(uri) = &config.coordination.uri else {
        return Vec::new();
    };
    let group = Group::Configuration;
    if let Some(broken) = peers
        .warnings
        .iter()
        .find(|warning| warning.code != WarningCode::CoordinationStale)
    {
        return vec![Check {
            id: ID,
            ..Check::warning(group, broken)
        }];
    }
    let age = |time: DateTime<Utc>| {
        format!(
            "{} ago",
            human_duration((now - time).max(chrono::Duration::zero()))
        )
    };
    let others: Vec<String> = peers
        .fresh
        .values()
        .map(|peer| format!("{} {}", peer.cluster, age(peer.time)))
        .collect();
    let others = match others.as_slice() {
        [] => "no other cluster has told its demand lately".to_owned(),
        some => format!("told by other clusters: {}", some.join(", ")),
    };
    let own = peers.told.map_or_else(
        || "this one has told nothing yet; `apply` does".to_owned(),
        |time| format!("by this one {}, under a name that is its alone", age(time)),
    );
    let stale = proposal
        .warnings
        .iter()
        .filter(|warning| warning.code == WarningCode::CoordinationStale);
    std::iter::once(Check::ok(group, ID, format!("{uri}: {others}; {own}")))
        .chain(stale.map(|warning| Check::warning(group, warning)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;
    use crate::run::{ClusterView, Run};
    use brimful_policy::peers::Demand;
    use brimful_policy::state::State;

    fn found(uri: Option<&str>, peers: Peers) -> Vec<Check> {
        let mut config = Config::default();
        config.coordination.uri = uri.map(str::to_owned);
        let now = DateTime::UNIX_EPOCH + chrono::Duration::minutes(5);
        let state = State::default();
        let run = Run::unread(&config, &state, now, ClusterView::default(), peers);
        checks(&config, &run.peers, &run.propose(), now)
    }

    #[test]
    fn who_tells_what_is_shown_with_its_age() {
        assert_eq!(found(None, Peers::default()), []);
        let staging = Demand::new("staging", DateTime::UNIX_EPOCH);
        let mut peers = Peers::default();
        peers.fresh.insert("staging".into(), staging);
        let alone = found(Some("s3://b"), peers.clone());
        assert_eq!(alone[0].status, Status::Ok);
        for part in ["s3://b", "staging 5 min ago", "has told nothing yet"] {
            assert!(
                alone[0].message.contains(part),
                "{part} is not in {:?}",
                alone[0].message
            );
        }
        peers.told = Some(DateTime::UNIX_EPOCH);
        assert!(found(Some("s3://b"), peers)[0].message.contains("its alone"));
    }

    #[test]
    fn a_name_that_is_not_unique_is_a_warning_with_its_cure() {
        let checks = found(Some("s3://b"), Peers::contested("prod"));
        assert_eq!(
            (checks.len(), checks[0].status, checks[0].id),
            (1, Status::Warn, ID)
        );
        assert!(checks[0].message.contains("cluster.name"), "{checks:?}");
    }
}
