//! Replays the application order on the report's own hours, to see how far it can be trusted.
//!
//! Each hour's usage is taken as the report shows it, whoever paid for it, and paid for again in the order of
//! [`application`](super::application). Each plan's use by that order is compared with the use that AWS states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::application::{Load, Order, UsageLine};
use super::ledger::{Ledger, Series, UsageClass, UsageKey};
use super::rates::{Rate, Rates};
use super::savings_plan::{GroupId, Plan};
use super::sharing::Sharing;
use super::usage::{family, instance_type};
use super::utilization::{PlanUse, Utilization};
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// The order for a report's plans and usage, and how its series lie in it.
#[derive(Debug, Clone)]
pub struct ReportOrder {
    /// Plans that nodes can use, as indices into [`Ledger::plans`].
    pub plans: Vec<usize>,
    /// The usage that they may cover.
    pub lines: Vec<UsageLine>,
    /// Who pays first.
    pub order: Order,
    /// The line of each of the ledger's series.
    line_of: Vec<Option<usize>>,
}

/// What makes a line of usage.
type LineKey<'a> = (&'a str, &'a str, bool, UsageKey);

impl ReportOrder {
    /// The order for a report read with all its usage.
    #[must_use]
    pub fn new(ledger: &Ledger, sharing: &Sharing) -> Self {
        let covers_nodes = |index: &usize| ledger.plans[*index].plan.scope().is_some();
        let plans: Vec<usize> = (0..ledger.plans.len()).filter(covers_nodes).collect();
        let rates = Rates::new(ledger);
        let mut known: BTreeMap<LineKey<'_>, usize> = BTreeMap::new();
        // Every account pays the same, so lines of one sort share their rates.
        let mut rates_of: BTreeMap<UsageKey, Arc<[Option<Rate>]>> = BTreeMap::new();
        let mut lines = Vec::new();
        let line_of = ledger.series.iter().map(|series| {
            if matches!(series.class, UsageClass::Spot | UsageClass::Reserved) {
                return None;
            }
            let key: LineKey<'_> = (&series.account, &series.region, series.is_instance, series.key());
            let next = known.len();
            let line = *known.entry(key).or_insert(next);
            if line == lines.len() {
                let of_plans = || plans.iter().map(|plan| rates.of_plan(*plan, &series.key()));
                let shared = rates_of
                    .entry(series.key())
                    .or_insert_with(|| of_plans().collect());
                lines.push(line_of(series, ledger, Arc::clone(shared)));
            }
            Some(line)
        });
        let line_of = line_of.collect();
        let in_force: Vec<&Plan> = plans.iter().map(|index| &ledger.plans[*index].plan).collect();
        Self {
            order: Order::new(&in_force, &lines, sharing),
            plans,
            lines,
            line_of,
        }
    }

    /// The usage of one hour, by line: what plans covered and what was left on demand. What Reserved Instances took
    /// is not in it.
    #[must_use]
    pub fn loads_at(&self, ledger: &Ledger, hour: Hour) -> Vec<Load> {
        let mut loads = vec![Load::default(); self.lines.len()];
        for (series, cell) in ledger.usage_at(hour) {
            if let Some(line) = self.line_of[series] {
                loads[line].quantity += cell.amount;
            }
        }
        loads
    }
}

fn line_of(series: &Series, ledger: &Ledger, rates: Arc<[Option<Rate>]>) -> UsageLine {
    let key = series.key();
    let family = series
        .is_instance
        .then(|| Arc::from(family(instance_type(&series.usage_type))));
    UsageLine {
        account: Arc::clone(&series.account),
        region: Arc::clone(&series.region),
        family,
        on_demand: ledger.on_demand_prices.get(&key).copied().unwrap_or_default(),
        rates,
        key,
    }
}

/// How far replayed and reported use lie apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deviation {
    /// Σ |replayed − reported|.
    pub off: Money,
    /// Σ commitment.
    pub commitment: Money,
}

impl Deviation {
    /// As a part of the commitment; `None` without any.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        self.off.fraction_of(self.commitment)
    }

    fn add(&mut self, replayed: Money, reported: Money, commitment: Money) {
        self.off += (replayed - reported).abs();
        self.commitment += commitment;
    }
}

/// What a replay shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Hours replayed: those in which every plan has mature, reconciling figures.
    pub hours: usize,
    /// By plan, as indices into [`Ledger::plans`].
    pub plans: Vec<(usize, Deviation)>,
    /// By group, whose plans are summed up hour by hour before they are compared. Decisions rest on groups, and AWS
    /// does not say how it shares usage among the plans of one.
    pub groups: BTreeMap<GroupId, Deviation>,
}

impl Replay {
    /// All plans, each compared by itself.
    #[must_use]
    pub fn by_plan(&self) -> Deviation {
        sum(self.plans.iter().map(|(_, deviation)| deviation))
    }

    /// All groups, each compared as a whole.
    #[must_use]
    pub fn by_group(&self) -> Deviation {
        sum(self.groups.values())
    }

    /// The plan that is furthest off, in money.
    #[must_use]
    pub fn worst(&self) -> Option<(usize, Deviation)> {
        self.plans
            .iter()
            .copied()
            .max_by_key(|(_, deviation)| deviation.off)
    }
}

fn sum<'a>(deviations: impl Iterator<Item = &'a Deviation>) -> Deviation {
    deviations.fold(Deviation::default(), |total, one| Deviation {
        off: total.off + one.off,
        commitment: total.commitment + one.commitment,
    })
}

/// Replays every hour whose figures are complete. The ledger must hold all usage, and `utilization` be made from it.
#[must_use]
pub fn replay(ledger: &Ledger, utilization: &Utilization, sharing: &Sharing) -> Replay {
    let report = ReportOrder::new(ledger, sharing);
    let scopes: Vec<Option<GroupId>> = ledger.plans.iter().map(|entry| entry.plan.scope()).collect();
    let mut found = Replay {
        plans: report
            .plans
            .iter()
            .map(|plan| (*plan, Deviation::default()))
            .collect(),
        ..Replay::default()
    };
    for (hour, reported) in complete_hours(&report.plans, utilization) {
        found.hours += 1;
        let commitments: Vec<Money> = reported.iter().map(|(commitment, _)| *commitment).collect();
        let paid = report.order.apply(&commitments, &report.loads_at(ledger, hour));
        let mut groups: BTreeMap<&GroupId, [Money; 3]> = BTreeMap::new();
        for ((share, (commitment, used)), (plan, deviation)) in
            paid.plans.iter().zip(&reported).zip(&mut found.plans)
        {
            deviation.add(share.used, *used, *commitment);
            if let Some(group) = &scopes[*plan] {
                let [replayed, known, whole] = groups.entry(group).or_default();
                *replayed += share.used;
                *known += *used;
                *whole += *commitment;
            }
        }
        for (group, [replayed, used, commitment]) in groups {
            let deviation = found.groups.entry(group.clone()).or_default();
            deviation.add(replayed, used, commitment);
        }
    }
    found
}

/// Hours in which each of these plans is either complete or not in force, with their (commitment, used).
fn complete_hours(plans: &[usize], utilization: &Utilization) -> Vec<(Hour, Vec<(Money, Money)>)> {
    let all: Vec<&PlanUse> = plans.iter().map(|plan| &utilization.plans[*plan]).collect();
    let seen: BTreeSet<Hour> = all
        .iter()
        .flat_map(|plan| plan.hours.iter().map(|hour| hour.hour))
        .collect();
    let complete = seen.into_iter().filter_map(|hour| {
        let figures: Option<Vec<_>> = all.iter().map(|plan| figures(plan, hour)).collect();
        Some((hour, figures?))
    });
    complete.collect()
}

/// A plan's commitment and use in an hour; `None` when they are not complete.
fn figures(plan: &PlanUse, hour: Hour) -> Option<(Money, Money)> {
    match plan.hours.binary_search_by_key(&hour, |found| found.hour) {
        Ok(found) => {
            let found = &plan.hours[found];
            Some((found.commitment?, found.used?)).filter(|_| found.mature)
        }
        Err(_) if plan.plan.touches(hour) => None,
        Err(_) => Some((Money::ZERO, Money::ZERO)),
    }
}
