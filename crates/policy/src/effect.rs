//! What a change saved or cost, once the report tells.
//!
//! The rule: a change lasts from the first whole hour after it to the next change of its pool. In each complete hour
//! of that time the pool's use, known by its `NodePool` tag, is compared with the hour before the change, instance
//! type by instance type:
//!
//! - *saved* = covered use gained × the Spot price of the same type: capacity that the plans paid for anyway, and
//!   that Spot would have been paid for. In the report's words: gained $ at SP rates × Spot price ÷ SP rate.
//! - *cost* = on-demand use gained, which no plan covered, × (on-demand price − Spot price): gained $ × (1 − Spot ÷
//!   on-demand).
//!
//! Use that was lost counts negative on either side: a full pool that sheds spill has a negative cost. Spot prices
//! are the mean of the report's own Spot rows of that type and region. Whatever the report does not tell (no complete
//! hour, no tag, no Spot row) is unknown, never 0. The rule credits everything that follows a change to it, also what
//! the workload would have done without it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use super::history::{Entry, Fate, History};
use crate::settings::ClusterConfig;
use brimful_savings_plans::ledger::{Cell, Ledger, Series, UsageClass};
use brimful_savings_plans::usage::instance_type;
use brimful_savings_plans::utilization::Utilization;
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

/// What became of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// When the pool was changed next; `None` while the change stands.
    pub until: Option<DateTime<Utc>>,
    /// Complete hours that tell.
    pub hours: usize,
    /// True when no further report will add to it.
    pub complete: bool,
    /// $; `None` when the report does not tell.
    pub saved: Option<Money>,
    /// $; `None` when the report does not tell.
    pub cost: Option<Money>,
    /// Why something is not told.
    pub why: Option<String>,
}

/// Instances of one sort: type, region, and whether they run Windows.
type Sort = (String, String, bool);

/// A pool's use of one sort in one hour.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    covered: Quantity,
    on_demand: Quantity,
    on_demand_cost: Money,
}

/// The report, as far as changes are judged by it.
#[derive(Debug)]
pub struct Told<'a> {
    utilization: &'a Utilization,
    /// By pool.
    use_: BTreeMap<String, BTreeMap<Hour, BTreeMap<Sort, Use>>>,
    /// Pools whose name occurs in several clusters, none of which is known to be this one.
    ambiguous: BTreeSet<String>,
    /// $ per instance-hour.
    spot: BTreeMap<Sort, Money>,
}

impl<'a> Told<'a> {
    /// What the report tells of the pools of this cluster.
    #[must_use]
    pub fn new(ledger: &Ledger, utilization: &'a Utilization, cluster: &ClusterConfig) -> Self {
        let mut told = Self {
            utilization,
            use_: BTreeMap::new(),
            ambiguous: ambiguous(ledger, cluster),
            spot: spot_prices(ledger),
        };
        for (series, cells) in ledger.usage() {
            if series.is_instance && !series.node_pool.is_empty() && is_own(series, cluster) {
                told.add(series, cells);
            }
        }
        told
    }

    fn add(&mut self, series: &Series, cells: &[Cell]) {
        let pool = self.use_.entry(series.node_pool.to_string()).or_default();
        let sort = sort(series);
        for cell in cells {
            let use_ = pool
                .entry(cell.hour)
                .or_default()
                .entry(sort.clone())
                .or_default();
            match series.class {
                UsageClass::Covered(_) => use_.covered += cell.amount,
                UsageClass::OnDemand => {
                    use_.on_demand += cell.amount;
                    use_.on_demand_cost += cell.cost();
                }
                UsageClass::Spot | UsageClass::Reserved => {}
            }
        }
    }

    /// What became of every entry, in their order; `None` for what changed nothing.
    #[must_use]
    pub fn effects(&self, history: &History) -> Vec<Option<Effect>> {
        let entries = history.entries().iter().zip(history.until());
        entries
            .map(|(entry, until)| (entry.result == Fate::Patched).then(|| self.effect(entry, until)))
            .collect()
    }

    fn effect(&self, entry: &Entry, until: Option<DateTime<Utc>>) -> Effect {
        let untold = |why: &str| Effect {
            until,
            why: Some(why.to_owned()),
            ..Effect::default()
        };
        // The first hour that begins at or after the change.
        let first = Hour::of(entry.time + Duration::hours(1) - Duration::nanoseconds(1));
        let last = until.map(|until| Hour::of(until).plus(-1));
        if last.is_some_and(|last| last < first) {
            return Effect {
                complete: true,
                ..untold("the pool was changed again within the hour")
            };
        }
        if self.ambiguous.contains(&entry.node_pool) {
            return untold("pools of several clusters have this name: set cluster.name");
        }
        let Some(use_) = self.use_.get(&entry.node_pool) else {
            return untold("the report shows no usage with this pool's tag");
        };
        let newest = self.newest_mature();
        let end = newest.map(|newest| last.map_or(newest, |last| last.min(newest)));
        let hours: Vec<Hour> = end
            .map(|end| first.index()..=end.index())
            .into_iter()
            .flatten()
            .map(Hour::from_index)
            .filter(|hour| self.is_mature(*hour))
            .collect();
        if hours.is_empty() {
            return untold("no hour since then is complete in the report yet");
        }
        let before = Hour::of(entry.time).plus(-1);
        if !self.is_mature(before) {
            return untold("the hour before the change is not in the report, or not complete");
        }
        let span = last.map(|last| usize::try_from(last.index() - first.index() + 1).unwrap_or(0));
        let gains = gains(use_, before, &hours);
        let priced =
            |amount: fn(&Use) -> Quantity, cost: fn(&Use, Money) -> Money| -> Result<Money, String> {
                let moved = gains.iter().filter(|(_, gain)| amount(gain) != Quantity::ZERO);
                moved
                    .map(|(sort, gain)| Ok(cost(gain, *self.spot.get(sort).ok_or_else(|| no_spot(sort))?)))
                    .sum()
            };
        let saved = priced(|gain| gain.covered, |gain, spot| gain.covered.at(spot));
        let cost = priced(
            |gain| gain.on_demand,
            |gain, spot| gain.on_demand_cost - gain.on_demand.at(spot),
        );
        Effect {
            until,
            hours: hours.len(),
            complete: span == Some(hours.len()),
            why: saved.as_ref().err().or(cost.as_ref().err()).cloned(),
            saved: saved.ok(),
            cost: cost.ok(),
        }
    }

    /// True when every group of plans that has the hour has all of it.
    fn is_mature(&self, hour: Hour) -> bool {
        let of_hour = self.utilization.groups.iter().filter_map(|g| g.hours.get(&hour));
        let mut all = of_hour.map(|found| found.mature).peekable();
        all.peek().is_some() && all.all(|mature| mature)
    }

    fn newest_mature(&self) -> Option<Hour> {
        let hours = self.utilization.groups.iter().flat_map(|group| &group.hours);
        hours
            .filter(|(_, found)| found.mature)
            .map(|(hour, _)| *hour)
            .max()
    }
}

/// What a pool used more in `hours` than it would have at the pace of the hour before; negative is less.
fn gains(use_: &BTreeMap<Hour, BTreeMap<Sort, Use>>, before: Hour, hours: &[Hour]) -> BTreeMap<Sort, Use> {
    let nothing = BTreeMap::new();
    let base = use_.get(&before).unwrap_or(&nothing);
    let mut gains: BTreeMap<Sort, Use> = BTreeMap::new();
    for hour in hours {
        for (sort, found) in use_.get(hour).unwrap_or(&nothing) {
            let gain = gains.entry(sort.clone()).or_default();
            gain.covered += found.covered;
            gain.on_demand += found.on_demand;
            gain.on_demand_cost += found.on_demand_cost;
        }
        for (sort, found) in base {
            let gain = gains.entry(sort.clone()).or_default();
            gain.covered += -found.covered;
            gain.on_demand += -found.on_demand;
            gain.on_demand_cost -= found.on_demand_cost;
        }
    }
    gains
}

fn sort(series: &Series) -> Sort {
    (
        instance_type(&series.usage_type).to_owned(),
        series.region.to_string(),
        // Spot repeats the operating system's code before its own: `RunInstances:0002:SV003`.
        series.operation.contains(":0002"),
    )
}

/// The mean price of all Spot of a sort, whoever used it.
fn spot_prices(ledger: &Ledger) -> BTreeMap<Sort, Money> {
    let mut sums: BTreeMap<Sort, (Quantity, Money)> = BTreeMap::new();
    for (series, cells) in ledger.usage() {
        if series.class == UsageClass::Spot && series.is_instance {
            let (amount, cost) = sums.entry(sort(series)).or_default();
            *amount += cells.iter().map(|cell| cell.amount).sum::<Quantity>();
            *cost += cells.iter().map(Cell::cost).sum::<Money>();
        }
    }
    let price = |(amount, cost): (Quantity, Money)| {
        (amount > Quantity::ZERO).then(|| cost.scale(1.0 / amount.units()))
    };
    let prices = sums.into_iter().map(|(sort, sum)| (sort, price(sum)));
    prices.filter_map(|(sort, price)| Some((sort, price?))).collect()
}

/// True for usage of this cluster, as far as the configuration says which one that is.
fn is_own(series: &Series, cluster: &ClusterConfig) -> bool {
    let same = |known: &Option<String>, value: &str| {
        value.is_empty() || known.as_deref().is_none_or(|known| known == value)
    };
    same(&cluster.name, &series.cluster)
        && same(&cluster.account, &series.account)
        && same(&cluster.region, &series.region)
}

fn ambiguous(ledger: &Ledger, cluster: &ClusterConfig) -> BTreeSet<String> {
    if cluster.name.is_some() {
        return BTreeSet::new();
    }
    let mut clusters: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut accounts = clusters.clone();
    for series in ledger.series.iter().filter(|series| is_own(series, cluster)) {
        if series.is_instance && !series.node_pool.is_empty() {
            let pool = &*series.node_pool;
            accounts.entry(pool).or_default().insert(&series.account);
            // The cluster's tag may have been activated later than the pool's.
            if !series.cluster.is_empty() {
                clusters.entry(pool).or_default().insert(&series.cluster);
            }
        }
    }
    let homes = clusters.into_iter().chain(accounts);
    let several = homes.filter(|(_, homes)| homes.len() > 1);
    several.map(|(pool, _)| pool.to_owned()).collect()
}

fn no_spot((kind, region, _): &Sort) -> String {
    format!("the report has no Spot row of {kind} in {region} to take a price from")
}

#[cfg(test)]
mod tests;
