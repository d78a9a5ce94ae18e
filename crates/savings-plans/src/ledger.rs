//! The ledger: a report added up into plans, their hours and rates, and the usage that they might have covered.
//!
//! It says what the report says and judges nothing. Sums are exact, so neither row order nor threads change them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::savings_plan::Plan;
use brimful_types::by_hour::ByHour;
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

/// The length of a report's line items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    /// Decisions rest on this one alone.
    Hourly,
    /// Totals are per day: good for a look at utilization, no more.
    Daily,
    /// Of no use to Brimful.
    Monthly,
}

/// One plan in one hour (or day, in a daily report).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanHour {
    /// The commitment; `None` when the report has no `RecurringFee` row, as for another account's plan.
    pub commitment: Option<Money>,
    /// The part of it that was used, as AWS says it, at SP rates.
    pub used: Money,
    /// The same as the sum of covered usage, at SP rates; must equal `used` once the hour is complete.
    pub covered: Money,
    /// True when a number in one of its rows could not be read.
    pub suspect: bool,
    /// How many rows state the commitment (or, in FOCUS, what was unused of it). AWS writes one for each plan and hour: with
    /// more, something was read twice.
    pub fee_rows: u32,
}

impl PlanHour {
    /// Counts rows that state a commitment of `amount`, all together. Corrections, which lower it, don't count.
    pub fn note_fee(&mut self, amount: Money, rows: u64) {
        if amount > Money::ZERO {
            self.fee_rows = self
                .fee_rows
                .saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
        }
    }
}

/// One plan and its hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLedger {
    /// The plan.
    pub plan: Plan,
    /// Its hours, future ones included: AWS writes `RecurringFee` rows ahead, with nothing used.
    pub hours: BTreeMap<Hour, PlanHour>,
}

/// Who used or paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageClass {
    /// On demand, covered by no plan.
    OnDemand,
    /// Spot.
    Spot,
    /// Covered by a Reserved Instance, before any plan. Kept only for instances with a cluster or NodePool tag.
    Reserved,
    /// Covered by the plan of that index in [`Ledger::plans`]: everyone's usage, tagged or not. Not kept in a ledger
    /// made for plans alone (`Detail::Plans` of the reader).
    Covered(usize),
}

/// What all usage of one series has in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // plain names of the field
pub struct Series {
    pub class: UsageClass,
    /// True for EC2 instances, false for Fargate and Lambda.
    pub is_instance: bool,
    pub usage_type: Arc<str>,
    pub operation: Arc<str>,
    /// Region code.
    pub region: Arc<str>,
    /// Who used it; empty in a ledger made for plans alone, and in one made for decisions (`Detail::Usage`) for usage
    /// without tags and for other clusters than the own one, where that is known.
    pub account: Arc<str>,
    pub cluster: Arc<str>,
    /// Empty for those other clusters, too.
    pub node_pool: Arc<str>,
}

impl Series {
    /// The key of its rate.
    #[must_use]
    pub fn key(&self) -> UsageKey {
        UsageKey {
            usage_type: Arc::clone(&self.usage_type),
            operation: Arc::clone(&self.operation),
        }
    }
}

/// Usage of one series in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The hour.
    pub hour: Hour,
    /// Instance-hours, or the usage type's own unit.
    pub amount: Quantity,
    /// Whole picodollars, as narrow as they come: a large report has a million cells.
    pub picos: i64,
}

impl Cell {
    /// Unblended cost; for covered usage its cost at the SP rate.
    #[must_use]
    pub fn cost(&self) -> Money {
        Money::from_picos(i128::from(self.picos))
    }
}

/// Key of a rate: what is used, and how. Usage types carry the region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// `USE2-BoxUsage:m5.large`.
    pub usage_type: Arc<str>,
    /// `RunInstances`, `RunInstances:0002` (Windows), …
    pub operation: Arc<str>,
}

impl UsageKey {
    /// The same instance on demand: `SpotUsage:m5.large` by `RunInstances:SV001` is `BoxUsage:m5.large` by
    /// `RunInstances`.
    #[must_use]
    pub fn on_demand(&self) -> Self {
        Self {
            usage_type: self.usage_type.replace("SpotUsage:", "BoxUsage:").into(),
            operation: self.operation.split(":SV").next().unwrap_or_default().into(),
        }
    }
}

/// A report, added up. Equal reports give equal ledgers, whatever the order of files and rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Plans, sorted by ARN.
    pub plans: Vec<PlanLedger>,
    /// SP rate ($/unit) of each plan (by index) for each usage, at the newest hour it was seen.
    pub rates: BTreeMap<(usize, UsageKey), Money>,
    /// The same for usage that the report has not seen, as AWS describes it elsewhere; empty as the report is read.
    pub described_rates: BTreeMap<(usize, UsageKey), Money>,
    /// On-demand list price ($/unit) for each usage, at the newest hour it was seen.
    pub on_demand_prices: BTreeMap<UsageKey, Money>,
    /// What was used, and by whom, sorted.
    pub series: Vec<Series>,
    /// The usage of each of the series, by hour, sorted. A large report has a million cells in ten thousand series: what
    /// holds for a series is worked out once for all of its hours.
    pub cells: Vec<Vec<Cell>>,
    /// End of the newest hour with EC2 instance usage, by region code.
    pub newest_by_region: BTreeMap<String, DateTime<Utc>>,
    /// Regions in which each plan (by index) covered usage.
    pub covered_regions: BTreeSet<(usize, String)>,
    /// End of the newest hour with covered or coverable usage of any sort.
    pub newest_usage: Option<DateTime<Utc>>,
    /// `None` when no row shows it.
    pub granularity: Option<Granularity>,
    /// Rows that matter and hold something that is not a number or a time.
    pub unreadable_rows: u64,
    /// True when there are such rows, and not one whose time could be read.
    pub has_no_times: bool,
    /// Region code of each usage type of EC2 instances.
    pub regions: BTreeMap<Arc<str>, Arc<str>>,
    /// Currencies of the plans' rows.
    pub currencies: BTreeSet<String>,
}

impl PlanLedger {
    /// Ends a plan whose end cannot be read with its last fee, so that it does not go on for ever: AWS writes fees ahead
    /// to the end of the month, and no further than the plan goes.
    pub fn guess_end(&mut self) {
        if self.plan.end.is_none() && self.plan.has_unread_end() {
            let fees = self
                .hours
                .iter()
                .rev()
                .find(|(_, hour)| hour.commitment.is_some());
            self.plan.end = fees.map(|(hour, _)| hour.end());
        }
    }
}

impl Ledger {
    /// End of the newest hour with real EC2 instance usage, at most `now`; in a report without any instance, of the
    /// newest usage that a plan could cover. `None` when the report holds only fees, such as future ones.
    #[must_use]
    pub fn horizon(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let instances = self.newest_by_region.values().max().copied();
        instances.or(self.newest_usage).map(|end| end.min(now))
    }

    /// True when no usage of EC2 instances shows how far the report reaches.
    #[must_use]
    pub fn has_no_instances(&self) -> bool {
        self.newest_by_region.is_empty()
    }

    /// Marks plans whose fee rows stop long before the report does as stopped. AWS writes those rows ahead, so a plan
    /// without them was returned, or has ended without the report saying so. Returns the plans' indices.
    pub fn mark_stopped(&mut self, horizon: DateTime<Utc>, maturity: Duration) -> Vec<usize> {
        let mut marked = Vec::new();
        for (index, entry) in self.plans.iter_mut().enumerate() {
            let fees = entry
                .hours
                .iter()
                .rev()
                .find(|(_, amounts)| amounts.commitment.is_some());
            let Some(last) = fees.map(|(hour, _)| hour.end()) else {
                continue;
            };
            if entry.plan.returned.is_some() {
                continue;
            }
            if last <= horizon - maturity && entry.plan.end.is_none_or(|end| end > last) {
                entry.plan.stopped = Some(last);
                marked.push(index);
            }
        }
        marked
    }

    /// The series, each with its usage.
    pub fn usage(&self) -> impl Iterator<Item = (&Series, &[Cell])> {
        self.series.iter().zip(self.cells.iter().map(Vec::as_slice))
    }

    /// The usage of one hour, by the number of its series.
    pub fn usage_at(&self, hour: Hour) -> impl Iterator<Item = (usize, &Cell)> {
        self.cells.iter().enumerate().filter_map(move |(series, cells)| {
            let found = cells.binary_search_by_key(&hour, |cell| cell.hour).ok()?;
            Some((series, &cells[found]))
        })
    }

    /// All hours with usage, sorted.
    #[must_use]
    pub fn hours(&self) -> Vec<Hour> {
        let mut known: ByHour<()> = ByHour::default();
        for cells in &self.cells {
            let hours = cells.iter().map(|cell| cell.hour);
            let new: Vec<Hour> = hours.filter(|hour| !known.contains(*hour)).collect();
            if !new.is_empty() {
                known = known.into_iter().map(|(hour, ())| hour).chain(new).collect();
            }
        }
        known.into_iter().map(|(hour, ())| hour).collect()
    }
}
