//! Which of the report's usage Brimful could have steered: what this cluster ran on Spot, and what its managed
//! committed pools ran.

use std::collections::{BTreeMap, BTreeSet};

use brimful_karpenter::InstanceTypes;
use brimful_policy::identity::Identity;
use brimful_policy::prices::{Placement, Prices};
use brimful_savings_plans::ledger::{Cell, Ledger, Series, UsageClass};
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::usage::{family, instance_type};
use brimful_types::hour::Hour;

/// How this cluster's usage was told from everybody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// By its tags.
    Tags,
    /// Not at all: all Spot instances of the report were taken for its.
    AllSpot,
}

/// Steerable usage of one hour, in vCPU-hours.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HourRun {
    /// Of Spot instances.
    pub spot: f64,
    /// What those cost, $.
    pub spot_cost: f64,
    /// Of on-demand instances in managed committed pools.
    pub on_demand: f64,
    /// What those are worth at SP rates, $.
    pub on_demand_worth: f64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Steerable {
    /// How it was told.
    pub own: Own,
    /// By hour.
    pub hours: BTreeMap<Hour, HourRun>,
    /// Groups in whose scopes it lies.
    pub groups: BTreeSet<GroupId>,
    /// Mean $ per vCPU-hour, paid by a plan and on demand.
    pub savings_plan: f64,
    /// On demand.
    pub on_demand: f64,
    /// True when an SP rate or on-demand price of some of it was not in the report.
    pub assumed: bool,
    /// Mean vCPU of an instance.
    pub node_vcpu: f64,
    /// Part of the instances that ended in an hour although as many were still needed, where several types tell it.
    pub turnover: Option<f64>,
}

/// What one series counts for.
#[derive(Debug, Clone, Copy)]
struct Worth {
    vcpu: f64,
    savings_plan: f64,
    on_demand: f64,
    assumed: bool,
}

/// Types whose counts must be seen before their ups and downs tell how long instances live.
const ENOUGH_TYPES: usize = 3;

impl Steerable {
    /// Finds it. `committed` are the names of managed committed pools.
    #[must_use]
    pub fn of(
        ledger: &Ledger,
        groups: &BTreeSet<GroupId>,
        identity: &Identity,
        committed: &BTreeSet<String>,
    ) -> Self {
        let own = if identity.runs_in(ledger) {
            Own::Tags
        } else {
            Own::AllSpot
        };
        let is_steerable = |series: &Series| match series.class {
            UsageClass::Spot => series.is_instance && (own == Own::AllSpot || identity.owns(series)),
            UsageClass::Covered(_) | UsageClass::OnDemand => {
                series.is_instance && identity.owns(series) && committed.contains(&*series.node_pool)
            }
            UsageClass::Reserved => false,
        };
        let prices = Prices::new(ledger, groups.iter().chain([&GroupId::Compute]));
        let mut found = Self {
            own,
            hours: BTreeMap::new(),
            groups: BTreeSet::new(),
            savings_plan: 0.0,
            on_demand: 0.0,
            assumed: false,
            node_vcpu: 0.0,
            turnover: None,
        };
        let worth = |series: &Series| {
            let family = family(instance_type(&series.usage_type));
            let group = GroupId::paying_first(groups, family, &series.region);
            let worth = is_steerable(series).then(|| worth(series, ledger, &group, &prices))??;
            Some((worth, group))
        };
        let (mut instances, mut vcpu) = (0.0, 0.0);
        let mut counts: BTreeMap<&str, BTreeMap<Hour, f64>> = BTreeMap::new();
        for (series, cells) in ledger.usage() {
            let Some((worth, group)) = worth(series) else {
                continue;
            };
            if groups.contains(&group) {
                found.groups.insert(group);
            }
            let types = counts.entry(&series.usage_type).or_default();
            for cell in cells {
                let amount = cell.amount.units();
                found.add(series, cell, worth);
                instances += amount;
                vcpu += amount * worth.vcpu;
                *types.entry(cell.hour).or_default() += amount;
            }
        }
        if vcpu > 0.0 {
            found.savings_plan /= vcpu;
            found.on_demand /= vcpu;
            found.node_vcpu = vcpu / instances;
        }
        if counts.len() >= ENOUGH_TYPES {
            found.turnover = turnover(&counts);
        }
        found
    }

    fn add(&mut self, series: &Series, cell: &Cell, worth: Worth) {
        let amount = cell.amount.units();
        let hour = self.hours.entry(cell.hour).or_default();
        if series.class == UsageClass::Spot {
            hour.spot += amount * worth.vcpu;
            hour.spot_cost += cell.cost().dollars();
        } else {
            hour.on_demand += amount * worth.vcpu;
            hour.on_demand_worth += amount * worth.savings_plan;
        }
        self.savings_plan += amount * worth.savings_plan;
        self.on_demand += amount * worth.on_demand;
        self.assumed |= worth.assumed;
    }
}

/// Instances that are replaced by others of another type show in the counts by type, though not in the sum.
#[must_use]
pub fn turnover(counts: &BTreeMap<&str, BTreeMap<Hour, f64>>) -> Option<f64> {
    let mut sums: BTreeMap<Hour, (f64, f64)> = BTreeMap::new(); // running, and fewer by type an hour later
    for hours in counts.values() {
        for (hour, running) in hours {
            let next = hours.get(&hour.plus(1)).copied().unwrap_or_default();
            let sum = sums.entry(*hour).or_default();
            sum.0 += running;
            sum.1 += (running - next).max(0.0);
        }
    }
    let running: BTreeMap<Hour, f64> = sums.iter().map(|(hour, sum)| (*hour, sum.0)).collect();
    let (mut ended, mut all) = (0.0, 0.0);
    for (hour, (here, fewer)) in sums {
        let Some(next) = running.get(&hour.plus(1)) else {
            continue;
        };
        ended += (fewer - (here - next).max(0.0)).max(0.0);
        all += here;
    }
    (all > 0.0).then(|| ended / all)
}

/// `None` for a type of unknown size.
fn worth(series: &Series, ledger: &Ledger, group: &GroupId, prices: &Prices) -> Option<Worth> {
    let name = instance_type(&series.usage_type);
    let vcpu = InstanceTypes::bundled().get(name)?.vcpu;
    let price = prices.of(group, name, Placement::of(series), Some(vcpu))?;
    let savings_plan = price.rate.dollars();
    let listed = ledger
        .on_demand_prices
        .get(&series.key().on_demand())
        .map(|price| price.dollars());
    Some(Worth {
        vcpu: f64::from(vcpu),
        savings_plan,
        on_demand: listed.unwrap_or(savings_plan / USUAL_RATE),
        assumed: listed.is_none() || !price.source.is_plan_rate(),
    })
}

/// SP rate over on-demand price where the report does not tell it: of one-year Compute plans without upfront payment on
/// current general-purpose families (AWS Savings Plans pricing).
const USUAL_RATE: f64 = 0.73;
