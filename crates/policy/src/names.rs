//! Names in the configuration that nothing has: of `NodePools`, and of the cluster. Most likely they are misspelt.

use std::collections::BTreeSet;

use super::identity::Identity;
use super::settings::Settings;
use brimful_savings_plans::ledger::Ledger;
use brimful_types::warning::{Warning, WarningCode};

/// Names of `NodePools` in the configuration that no pool has; nothing where no pool was read.
#[must_use]
pub fn no_such_node_pools(config: &Settings, pools: &BTreeSet<String>) -> Vec<Warning> {
    let chosen = no_such("nodePools.names", &config.node_pools.names, pools);
    let from = no_such("topUp.from", &config.top_up.from, pools);
    chosen.into_iter().chain(from).collect()
}

/// The same of one key.
#[must_use]
pub fn no_such(key: &str, names: &[String], pools: &BTreeSet<String>) -> Vec<Warning> {
    let unknown = names
        .iter()
        .filter(|name| !pools.is_empty() && !pools.contains(*name));
    let there: Vec<&str> = pools.iter().map(String::as_str).collect();
    let warning = |name: &String| {
        let message = format!(
            "{key} names it, and there is no such NodePool: the NodePools are {}",
            there.join(", ")
        );
        Warning::of_pool(WarningCode::NoSuchNodePool, name, message)
    };
    unknown.map(warning).collect()
}

/// The clusters that the report's usage is tagged with.
#[must_use]
pub fn clusters(ledger: &Ledger) -> BTreeSet<&str> {
    let instances = ledger.series.iter().filter(|series| series.is_instance);
    let names = instances.map(|series| &*series.cluster);
    names.filter(|name| !name.is_empty()).collect()
}

/// That none of it is tagged with this one's name, if there are others.
#[must_use]
pub fn no_such_cluster(identity: &Identity, ledger: &Ledger) -> Option<String> {
    let own = identity.cluster.as_deref()?;
    let there: Vec<&str> = clusters(ledger).into_iter().collect();
    (!there.is_empty() && !identity.runs_in(ledger))
        .then(|| format!("no usage is tagged {own}; the report has {}", there.join(", ")))
}
