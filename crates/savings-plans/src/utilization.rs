//! Utilization: how much of each commitment was used, hour by hour, and how much more its group could have used.
//!
//! Used and commitment come from `SavingsPlanRecurringFee` rows; the sum of `SavingsPlanCoveredUsage` must agree
//! (AWS "Understanding your Savings Plans in CUR"). Percentages are never averaged: Σused / Σcommitment.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use super::ledger::{Granularity, Ledger, PlanHour, PlanLedger, UsageClass};
use super::rates::Rates;
use super::savings_plan::{GroupId, Plan};
use super::sharing::Sharing;
use super::usage::{family, instance_type};
use brimful_types::by_hour::ByHour;
use brimful_types::hour::{Hour, human_duration, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};

/// Float noise between the two figures of an hour's use: 10⁻⁶ of it plus 10⁻⁴ $.
const NOISE: (f64, f64) = (1e-6, 1e-4);
/// A gap up to this part of the larger figure is taken with a warning.
const TOLERATED_GAP: f64 = 0.005;
/// A region whose newest instance hour lags further behind is taken to have stopped, not to be late.
const REGION_LAG: i64 = 48;

/// A region's silence counts as delay only if it ran instances in `STEADY` of the `STEADY_OF` hours before its newest one.
const STEADY_OF: i32 = 24;
const STEADY: usize = 12;

/// How to judge the hours of a report.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The newest hour's end that the report reaches; `None` when it holds no usage.
    pub horizon: Option<DateTime<Utc>>,
    /// How long before the horizon an hour must have ended to be complete.
    pub maturity: Duration,
    /// What the figures of an hour can be checked by.
    pub check: Check,
    /// Which accounts plans reach: what they do not reach is no plan's spill.
    pub sharing: &'a Sharing,
}

/// By what an hour's figures are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The use that fee rows state is that of the covered rows.
    Reconciling,
    /// Nothing: a FOCUS export states use once. Its hours count by their age alone.
    Age,
    /// Nothing, since the report lacks the column of effective costs: no hour counts.
    Missing,
}

/// One plan in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourUse {
    /// The hour.
    pub hour: Hour,
    /// $/h (or $ per day in a daily report); `None` for another account's plan.
    pub commitment: Option<Money>,
    /// The part used, at most the commitment; `None` when the commitment is unknown.
    pub used: Option<Money>,
    /// Covered usage at SP rates; `None` when the report lacks the column.
    pub covered: Option<Money>,
    /// Used plus the plan's share of its group's spill; `None` when used is.
    pub demand: Option<Money>,
    /// True when the report has all of its usage, as far as age and figures show: a sum may count it.
    pub complete: bool,
    /// True when decisions may rest on it: complete, and an hour rather than a day.
    pub mature: bool,
    /// Whether used and covered agree; `None` when that is not known.
    pub reconciles: Option<bool>,
    /// False when its figures contradict each other, or some of them are missing or unreadable.
    pub sound: bool,
}

impl HourUse {
    /// What of the commitment was lost.
    #[must_use]
    pub fn unused(&self) -> Option<Money> {
        Some(self.commitment? - self.used?)
    }

    /// Used / commitment.
    #[must_use]
    pub fn utilization(&self) -> Option<f64> {
        self.used?.fraction_of(self.commitment?)
    }

    /// Use as decisions see it: of two figures that differ a little, the larger.
    fn level(&self) -> Option<Money> {
        let used = self.used?.max(self.covered.unwrap_or_default());
        Some(used.min(self.commitment?))
    }
}

/// One plan and its hours up to the horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanUse {
    /// The plan.
    pub plan: Plan,
    /// Its hours, ascending.
    pub hours: Vec<HourUse>,
}

/// A group of plans in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupHour {
    /// Σ commitments, $/h.
    pub commitment: Money,
    /// Σ used.
    pub used: Money,
    /// What of it no row of covered usage shows yet: AWS states the use before all of the rows that make it up are there.
    pub unseen: Money,
    /// Eligible on-demand usage that no plan covered, at SP rates. Counted once, in EC2 Instance groups first.
    pub spill: Money,
    /// True when every plan of the group has a mature hour here.
    pub mature: bool,
    /// True when the hour is old enough but its figures contradict each other.
    pub contradictory: bool,
}

impl GroupHour {
    /// Used + spill: what the group's plans would have been used for, had they been large enough.
    #[must_use]
    pub fn demand(&self) -> Money {
        self.used + self.spill
    }
}

/// A group of plans and its hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupUse {
    /// The group.
    pub id: GroupId,
    /// Indices of its plans in [`Utilization::plans`].
    pub plans: Vec<usize>,
    /// How far the report reaches in every region where the group is used.
    pub horizon: DateTime<Utc>,
    /// Its hours.
    pub hours: BTreeMap<Hour, GroupHour>,
}

/// What a report says about all plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utilization {
    /// See [`Terms::horizon`].
    pub horizon: Option<DateTime<Utc>>,
    /// Plans, sorted by ARN.
    pub plans: Vec<PlanUse>,
    /// Groups of plans that nodes can use, sorted.
    pub groups: Vec<GroupUse>,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

impl Utilization {
    /// Judges every hour of the ledger.
    #[must_use]
    pub fn of(ledger: &Ledger, terms: &Terms<'_>) -> Self {
        let mut warnings = Vec::new();
        let Some(horizon) = terms.horizon else {
            return Self::without_hours(ledger);
        };
        let commitments = group_commitments(ledger);
        let spill = spill(ledger, horizon, &commitments, terms.sharing);
        let hourly = ledger.granularity.is_none_or(|g| g == Granularity::Hourly);
        // A day that has not ended already has its whole commitment, and only a part of its use.
        let entry_length = Duration::hours(if hourly { 1 } else { 24 });
        let horizons = group_horizons(ledger, horizon);
        let plans: Vec<PlanUse> = ledger
            .plans
            .iter()
            .map(|entry| {
                let group = entry.plan.group();
                let own_horizon = group.as_ref().map_or(horizon, |group| horizons[group]);
                let mature_until = own_horizon - terms.maturity;
                let hours = entry
                    .hours
                    .iter()
                    .filter(|(hour, _)| hour.start() + entry_length <= horizon);
                let hours = hours.filter(|(_, amounts)| amounts.commitment.is_none_or(|c| c > Money::ZERO));
                let judged = hours.map(|(hour, amounts)| {
                    let mut use_ = judge(*hour, amounts, terms.check);
                    use_.complete = use_.sound && hour.start() + entry_length <= mature_until;
                    use_.mature = hourly && use_.complete;
                    let group_spill = group
                        .as_ref()
                        .and_then(|g| Some((spill.get(g)?.get(hour)?, commitments.get(g)?.get(hour)?)));
                    if let (Some(demand), Some((spill, whole))) = (use_.demand.as_mut(), group_spill) {
                        *demand += spill.share(use_.commitment.unwrap_or_default(), *whole);
                    }
                    use_
                });
                PlanUse {
                    plan: entry.plan.clone(),
                    hours: judged.collect(),
                }
            })
            .collect();
        for (plan, entry) in plans.iter().zip(&ledger.plans) {
            warnings.extend(plan_warnings(plan, entry));
        }
        let groups = groups(&plans, &spill, &horizons, terms.maturity);
        Self {
            horizon: Some(horizon),
            plans,
            groups,
            warnings,
        }
    }

    /// The plans alone: nothing says which of their hours are past.
    fn without_hours(ledger: &Ledger) -> Self {
        let plans = ledger.plans.iter().map(|entry| PlanUse {
            plan: entry.plan.clone(),
            hours: Vec::new(),
        });
        Self {
            horizon: None,
            plans: plans.collect(),
            groups: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Reads one hour's figures. Maturity and spill are added by the caller, who knows the group.
fn judge(hour: Hour, amounts: &PlanHour, check: Check) -> HourUse {
    let covered = (check != Check::Missing).then_some(amounts.covered);
    let Some(commitment) = amounts.commitment else {
        return HourUse {
            hour,
            commitment: None,
            used: None,
            covered,
            demand: None,
            complete: false,
            mature: false,
            reconciles: None,
            sound: false,
        };
    };
    let exceeds = amounts.used > commitment && !within(amounts.used, commitment, TOLERATED_GAP);
    let is_sound = !amounts.suspect && !is_counted_twice(amounts);
    let agrees = within(amounts.used, amounts.covered, TOLERATED_GAP) && !exceeds && is_sound;
    let mut use_ = HourUse {
        hour,
        commitment: Some(commitment),
        used: Some(amounts.used.min(commitment).or_zero()),
        covered,
        demand: None,
        complete: false,
        mature: false,
        reconciles: (check == Check::Reconciling).then_some(agrees),
        sound: match check {
            Check::Reconciling => agrees,
            Check::Age => is_sound,
            Check::Missing => false,
        },
    };
    use_.demand = use_.level();
    use_
}

/// True when two amounts differ by no more than float noise or `gap` of the larger.
fn within(a: Money, b: Money, gap: f64) -> bool {
    let larger = a.abs().max(b.abs()).dollars();
    (a - b).abs().dollars() <= (larger * gap).max(larger * NOISE.0 + NOISE.1)
}

/// Spill by group and hour, in hours that have ended by `horizon`.
///
/// AWS applies a plan to all eligible usage of an hour. Usage left over while a group's plans are not full is
/// therefore not eligible (another account, with sharing off or restricted), and no group's spill. Nor is usage of an
/// account that `sharing` keeps from all plans of the group; where the ledger keeps no account, it reaches.
fn spill(ledger: &Ledger, horizon: DateTime<Utc>, commitments: &ByGroup, sharing: &Sharing) -> ByGroup {
    let rates = Rates::new(ledger);
    let mut full = full_groups(ledger, commitments);
    for (series, cells) in ledger.usage() {
        if series.class != UsageClass::OnDemand {
            continue;
        }
        let ec2 = series.is_instance.then(|| GroupId::Ec2Instance {
            family: family(instance_type(&series.usage_type)).to_owned(),
            region: series.region.to_string(),
        });
        let key = series.key();
        let both = ec2.into_iter().chain([GroupId::Compute]);
        // Both groups that it could belong to, EC2 Instance first, by place, and what a unit costs there.
        let candidates = both
            .filter(|group| sharing.reaches(ledger, group, series))
            .filter_map(|group| {
                let rate = rates.likely(&group, &key)?;
                Some((full.iter().position(|(id, _)| *id == group)?, rate))
            });
        let candidates: Vec<(usize, Money)> = candidates.collect();
        let ended = cells.partition_point(|cell| cell.hour.end() <= horizon);
        for cell in &cells[..ended] {
            for (place, rate) in &candidates {
                if let Some(sum) = full[*place].1.get_mut(cell.hour) {
                    *sum.get_or_insert_default() += cell.amount.at(*rate);
                    break;
                }
            }
        }
    }
    let mut spill = ByGroup::new();
    for (group, hours) in full {
        let hours = hours.into_iter();
        let hours: BTreeMap<Hour, Money> = hours.filter_map(|(hour, sum)| Some((hour, sum?))).collect();
        if !hours.is_empty() {
            spill.insert(group, hours);
        }
    }
    spill
}

/// Amounts by group and hour.
type ByGroup = BTreeMap<GroupId, BTreeMap<Hour, Money>>;

/// The hours of each group in which its plans are used up, but for the tolerated gap, each with a place for its spill.
fn full_groups(ledger: &Ledger, commitments: &ByGroup) -> Vec<(GroupId, ByHour<Option<Money>>)> {
    let used = by_group(ledger, |amounts| Some(amounts.used.max(amounts.covered)));
    let full = |(group, commitments): (&GroupId, &BTreeMap<Hour, Money>)| {
        let used = used.get(group)?;
        let is_full = |hour: &Hour, commitment: &Money| {
            let used = used.get(hour);
            used.is_some_and(|used| *used >= commitment.scale(1.0 - TOLERATED_GAP))
        };
        let hours = commitments
            .iter()
            .filter(|(hour, commitment)| is_full(hour, commitment));
        Some((group.clone(), hours.map(|(hour, _)| (*hour, None)).collect()))
    };
    commitments.iter().filter_map(full).collect()
}

/// Σ commitments by group and hour, where positive.
fn group_commitments(ledger: &Ledger) -> ByGroup {
    by_group(ledger, |amounts| amounts.commitment.filter(|c| *c > Money::ZERO))
}

/// Adds up what plans have in each hour, where they have it.
fn by_group(ledger: &Ledger, amount: impl Fn(&PlanHour) -> Option<Money>) -> ByGroup {
    let mut sums = ByGroup::new();
    for entry in &ledger.plans {
        let Some(group) = entry.plan.group() else { continue };
        let hours = sums.entry(group).or_default();
        for (hour, amounts) in &entry.hours {
            if let Some(amount) = amount(amounts) {
                *hours.entry(*hour).or_default() += amount;
            }
        }
    }
    sums
}

/// The horizon of each group: the least over the regions where it covers instances, since each region reports at its
/// own pace. Two sorts of region are left out: one silent for longer than [`REGION_LAG`] hours has stopped, and the
/// silence of one that runs something now and then means nothing.
fn group_horizons(ledger: &Ledger, horizon: DateTime<Utc>) -> BTreeMap<GroupId, DateTime<Utc>> {
    let mut horizons: BTreeMap<GroupId, DateTime<Utc>> = BTreeMap::new();
    for entry in &ledger.plans {
        if let Some(group) = entry.plan.group() {
            horizons.insert(group, horizon);
        }
    }
    for (plan, region) in &ledger.covered_regions {
        let Some(group) = ledger.plans[*plan].plan.group() else {
            continue;
        };
        let Some(newest) = ledger.newest_by_region.get(region) else {
            continue;
        };
        if *newest > horizon - Duration::hours(REGION_LAG) && runs_steadily(ledger, region, *newest) {
            let least = horizons.entry(group).or_insert(horizon);
            *least = (*least).min(*newest);
        }
    }
    horizons
}

/// True for a region whose instances show in most hours of the day before its newest one, as far as the ledger keeps
/// them.
fn runs_steadily(ledger: &Ledger, region: &str, newest: DateTime<Utc>) -> bool {
    let newest = Hour::of(newest).plus(-1);
    let first = newest.plus(1 - STEADY_OF);
    let mut seen = BTreeSet::new();
    for (series, cells) in ledger.usage() {
        if series.is_instance && *series.region == *region {
            let from = cells.partition_point(|cell| cell.hour < first);
            let hours = cells[from..].iter().map(|cell| cell.hour);
            seen.extend(hours.take_while(|hour| *hour <= newest));
        }
        // Most regions run something every hour, which a few of the series show.
        if seen.len() >= STEADY {
            return true;
        }
    }
    // A ledger made for plans alone keeps no covered usage.
    seen.is_empty()
}

fn groups(
    plans: &[PlanUse],
    spill: &ByGroup,
    horizons: &BTreeMap<GroupId, DateTime<Utc>>,
    maturity: Duration,
) -> Vec<GroupUse> {
    horizons
        .iter()
        .map(|(id, horizon)| {
            let members: Vec<usize> = (0..plans.len())
                .filter(|i| plans[*i].plan.group().as_ref() == Some(id))
                .collect();
            // Every hour from the first to the last: one without any row is missing, not idle.
            let seen = || {
                members
                    .iter()
                    .flat_map(|i| plans[*i].hours.iter().map(|h| h.hour))
            };
            let first_to_last = seen().min().zip(seen().max());
            let hours = first_to_last
                .map(|(first, last)| first.index()..=last.index())
                .into_iter()
                .flatten();
            let mature_until = *horizon - maturity;
            let spill = spill.get(id);
            let sum = |hour: Hour| {
                let spill = spill.and_then(|hours| hours.get(&hour));
                let mut total = GroupHour {
                    spill: spill.copied().unwrap_or_default(),
                    mature: true,
                    ..GroupHour::default()
                };
                for member in &members {
                    add_member(&mut total, &plans[*member], hour, mature_until);
                }
                total
            };
            GroupUse {
                id: id.clone(),
                hours: hours
                    .map(Hour::from_index)
                    .map(|hour| (hour, sum(hour)))
                    .collect(),
                plans: members,
                horizon: *horizon,
            }
        })
        .collect()
}

fn add_member(total: &mut GroupHour, plan: &PlanUse, hour: Hour, mature_until: DateTime<Utc>) {
    let Ok(found) = plan.hours.binary_search_by_key(&hour, |h| h.hour) else {
        // A plan in force without a row for this hour: the hour is not all there. Where the report states no term (FOCUS),
        // a plan is in force between its first hour and its last.
        let ends = plan.hours.first().zip(plan.hours.last());
        let is_between = ends.is_some_and(|(first, last)| first.hour < hour && hour < last.hour);
        let in_force = plan.plan.touches(hour) || (plan.plan.start.is_none() && is_between);
        total.mature &= !in_force;
        total.contradictory |= in_force && hour.end() <= mature_until;
        return;
    };
    let use_ = &plan.hours[found];
    total.commitment += use_.commitment.unwrap_or_default();
    let level = use_.level().unwrap_or_default();
    total.used += level;
    total.unseen += (level - use_.covered.unwrap_or_default()).or_zero();
    total.mature &= use_.mature;
    total.contradictory |= hour.end() <= mature_until && !use_.sound;
}

fn plan_warnings(plan: &PlanUse, entry: &PlanLedger) -> Vec<Warning> {
    let arn = plan.plan.arn.as_str();
    let mut warnings: Vec<Warning> = plan
        .plan
        .unclear
        .iter()
        .map(|what| Warning::of_plan(WarningCode::PlanUnclear, arn, what.to_string()))
        .collect();
    warnings.extend(counted_twice(plan, entry));
    if let Some(since) = plan.plan.returned {
        let since = rfc3339(since);
        let message = format!(
            "the report gives this plan's fee back ({since}): it was returned, and counts as ended then"
        );
        warnings.push(Warning::of_plan(WarningCode::PlanReturned, arn, message));
    }
    let unknown = entry.hours.values().filter(|h| h.commitment.is_none()).count();
    if unknown > 0 && unknown == entry.hours.len() {
        let message = "covered usage cites this plan, but the report has no fee rows of it: it is another account's plan and this a \
                       member account's report; read the payer (management) account's report";
        warnings.push(Warning::of_plan(WarningCode::CommitmentUnknown, arn, message));
    }
    let judged = |wanted: bool| {
        let hours = plan
            .hours
            .iter()
            .zip(plan.hours.iter().filter_map(|h| entry.hours.get(&h.hour)));
        hours.filter(move |(h, _)| h.reconciles == Some(wanted))
    };
    let broken: Vec<Hour> = judged(false).map(|(h, _)| h.hour).collect();
    if let (Some(first), Some(last)) = (broken.first(), broken.last()) {
        let message = format!(
            "in {} hours from {first} to {last} the use that AWS states differs from the covered usage in the report by more than 0.5 %: \
             these hours are incomplete or filtered out, and not used for decisions",
            broken.len()
        );
        warnings.push(Warning::of_plan(WarningCode::NotReconciling, arn, message));
    }
    let gaps = judged(true)
        .filter(|(_, h)| !within(h.used, h.covered, 0.0))
        .count();
    if gaps > 0 {
        let message = format!(
            "in {gaps} hours stated use and covered usage differ by up to 0.5 %: the larger figure is taken"
        );
        warnings.push(Warning::of_plan(WarningCode::ReconciliationGap, arn, message));
    }
    warnings
}

/// A warning of hours that the report holds more than once.
fn counted_twice(plan: &PlanUse, entry: &PlanLedger) -> Option<Warning> {
    let counted = plan
        .hours
        .iter()
        .filter_map(|hour| entry.hours.get_key_value(&hour.hour));
    let twice: Vec<Hour> = counted
        .filter(|(_, amounts)| is_counted_twice(amounts))
        .map(|(hour, _)| *hour)
        .collect();
    let (first, last) = twice.first().zip(twice.last())?;
    let message = format!(
        "in {} hours from {first} to {last} the report counts twice: it has more than one fee of this plan for the hour, or covered usage \
         that is several times what was used and exceeds the commitment. Files are read that repeat each other (an older delivery, a \
         copy); these hours are not used for decisions: read one delivery, with its manifest",
        twice.len()
    );
    Some(Warning::of_plan(
        WarningCode::CountedTwice,
        &plan.plan.arn,
        message,
    ))
}

/// AWS writes one fee for each plan and hour, and covers no more than the commitment.
fn is_counted_twice(amounts: &PlanHour) -> bool {
    let exceeds = amounts.commitment.is_some_and(|commitment| {
        amounts.covered > commitment && !within(amounts.covered, commitment, TOLERATED_GAP)
    });
    let is_multiple =
        || (2_u8..=4).any(|times| within(amounts.covered, amounts.used.scale(times.into()), 0.0));
    amounts.fee_rows > 1 || (exceeds && is_multiple())
}

/// Why the report is too old to act on, or `None`.
#[must_use]
pub fn stale(horizon: DateTime<Utc>, now: DateTime<Utc>, max_age: Duration) -> Option<String> {
    let age = now - horizon;
    (age > max_age).then(|| {
        format!(
            "the report reaches only to {}, {} ago (maxDataAge is {})",
            rfc3339(horizon),
            human_duration(age),
            human_duration(max_age)
        )
    })
}
