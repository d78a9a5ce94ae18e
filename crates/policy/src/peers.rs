//! Other clusters on the same plans, as they tell of themselves (`coordination.uri`): whose word counts, and why the
//! rest falls back to the report.
//!
//! Each cluster writes one [`Demand`] per run and reads the others'. There is no server between them: a cluster that
//! falls silent is seen as the report shows it, a day or two late, as if it had never told anything.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use brimful_karpenter::NodePool;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_types::hour::human_duration;
use brimful_types::warning::{Warning, WarningCode};

mod demand;
mod publish;
mod split;

pub use demand::{Demand, GroupDemand, MAX_BYTES, cluster_of, file_name};
pub(super) use publish::{Publication, publish};
pub use split::split;

/// Clocks differ; what comes from further ahead is not believed.
const AHEAD: i64 = 5;

/// One object of the place where clusters tell their demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its file name.
    pub name: String,
    /// Its text, or why it could not be read.
    pub content: Result<String, String>,
}

/// This cluster, as it is told from another that calls itself the same.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Its name.
    pub cluster: &'a str,
    /// Its `NodePools`.
    pub pools: &'a [NodePool],
}

/// The other clusters of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peers {
    /// Those that have told their demand lately, by name.
    pub fresh: BTreeMap<String, Demand>,
    /// Those that have told something once, and nothing that counts now.
    pub silent: BTreeSet<String>,
    /// When this cluster itself told something last.
    pub told: Option<DateTime<Utc>>,
    /// True when another cluster writes under this one's name: then nobody's word counts.
    pub conflict: bool,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

impl Peers {
    /// Nobody, and why.
    #[must_use]
    pub fn nobody(code: WarningCode, why: impl Into<String>) -> Self {
        Self {
            conflict: code == WarningCode::CoordinationConflict,
            warnings: vec![Warning::new(code, why)],
            ..Self::default()
        }
    }

    /// Nobody, since another cluster has this one's name.
    #[must_use]
    pub fn contested(cluster: &str) -> Self {
        Self::nobody(
            WarningCode::CoordinationConflict,
            format!(
                "another cluster tells its demand under the name {cluster}, too: this run goes on without the others. \
                 Give each cluster a name of its own (cluster.name)"
            ),
        )
    }

    /// Judges what lies in the place.
    #[must_use]
    pub fn judge(reader: Reader<'_>, notes: &[Note], now: DateTime<Utc>, max_age: Duration) -> Self {
        let mut peers = Self::default();
        for note in notes {
            let Some(cluster) = cluster_of(&note.name) else {
                continue;
            };
            let told = note
                .content
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|text| Demand::parse(text, &cluster));
            if cluster == reader.cluster {
                // Whatever is damaged under the own name is written anew.
                let own = told.ok();
                if own
                    .as_ref()
                    .is_some_and(|own| is_foreign(own, reader.pools, now, max_age))
                {
                    return Self::contested(reader.cluster);
                }
                peers.told = own.map(|own| own.time);
                continue;
            }
            match told.and_then(|demand| in_time(demand, now, max_age)) {
                Ok(demand) => {
                    peers.fresh.insert(cluster, demand);
                }
                Err(why) => peers.drop(&cluster, &note.name, &why),
            }
        }
        peers
    }

    fn drop(&mut self, cluster: &str, file: &str, why: &str) {
        self.warnings.push(silent(
            cluster,
            &format!("{why}; if it is gone for good, delete {file} from coordination.uri"),
        ));
        self.silent.insert(cluster.to_owned());
    }

    /// Those whose demand can take the place of the report's figures, seen from a cluster with these groups; why not
    /// the others.
    #[must_use]
    pub fn usable(&self, groups: &BTreeSet<GroupId>) -> (Vec<&Demand>, Vec<Warning>) {
        let mut usable = Vec::new();
        let mut warnings = Vec::new();
        for (cluster, demand) in &self.fresh {
            let unknown = groups
                .iter()
                .find(|group| !demand.groups.contains_key(&group.to_string()));
            match unknown {
                _ if !demand.comparable => {
                    warnings.push(silent(cluster, "the report's tags do not tell all of its use"));
                }
                Some(group) => {
                    let why = format!("it does not see the plans of group {group}");
                    warnings.push(silent(cluster, &why));
                }
                None => usable.push(demand),
            }
        }
        (usable, warnings)
    }
}

fn silent(cluster: &str, why: &str) -> Warning {
    Warning::new(
        WarningCode::CoordinationStale,
        format!("cluster {cluster} is seen by the report only, as if it told nothing: {why}"),
    )
}

/// Too old, or from the future.
fn in_time(demand: Demand, now: DateTime<Utc>, max_age: Duration) -> Result<Demand, String> {
    let age = now - demand.time;
    if age > max_age {
        return Err(format!(
            "it has told nothing for {} (coordination.maxAge: {}): does its CronJob run?",
            human_duration(age),
            human_duration(max_age)
        ));
    }
    if age < -Duration::minutes(AHEAD) {
        return Err(format!(
            "what it tells is dated {} ahead of this cluster's clock",
            human_duration(-age)
        ));
    }
    Ok(demand)
}

/// True when what lies under the own name was written lately by a cluster that has none of these `NodePools`.
fn is_foreign(own: &Demand, pools: &[NodePool], now: DateTime<Utc>, max_age: Duration) -> bool {
    let uids = |ids: &mut dyn Iterator<Item = Option<&String>>| -> BTreeSet<String> {
        ids.flatten().cloned().collect()
    };
    let theirs = uids(&mut own.node_pools.values().map(Option::as_ref));
    let ours = uids(&mut pools.iter().map(|pool| pool.uid.as_ref()));
    let is_new = in_time(own.clone(), now, max_age).is_ok();
    is_new && !theirs.is_empty() && !ours.is_empty() && theirs.is_disjoint(&ours)
}

#[cfg(test)]
mod tests;
