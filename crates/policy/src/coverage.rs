//! Past hours as the plans of now would have paid for them.
//!
//! Buying, ending and returning plans changes no usage, only who pays. So what each hour used is paid for twice: by the
//! plans of that hour, and by those of now, in AWS's order (EC2 Instance plans, then Compute plans with what those could
//! not hold). The difference is added to what the report states. Hours whose plans were those of now stay as they are.
//!
//! A Reserved Instance that has ended leaves its usage to the plans in the same way ([`reservations`]).
//!
//! What plans may pay for is told by the report where it can be: usage that stood uncovered beside plans with room, hour
//! after hour, is out of their reach (another account, with sharing off or restricted; or not covered at all).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brimful_savings_plans::ledger::{Cell, Ledger, Series, UsageClass};
use brimful_savings_plans::nowcast::Overflow;
use brimful_savings_plans::rates::Rates;
use brimful_savings_plans::reach::Uncovered;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::usage::{family, instance_type};
use brimful_savings_plans::utilization::{GroupHour, GroupUse, Utilization};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use chrono::Duration;

use self::reservations::{Ended, scope};

mod reservations;

/// Commitments by group, $/h.
pub type Commitments = BTreeMap<GroupId, Money>;

/// A group is full when no more than this part of its commitment is free; below twice that it may be rounding.
const ROUNDING: f64 = 0.005;
/// Compute rate over EC2 Instance rate where the report shows none: EC2 Instance plans save up to 72 %, Compute plans up to
/// 66 % (AWS Savings Plans pricing).
pub(super) const DEAREST_RATIO: f64 = 0.34 / 0.28;

/// Old hours, paid for by other plans than they were.
#[derive(Debug, Clone)]
pub struct Repaid {
    /// Their use; `None` where it is what the report states.
    changed: Option<Utilization>,
    /// What of the use in an EC2 Instance group's scope Compute plans would have paid, at the group's rates.
    pub overflow: Overflow,
}

impl Repaid {
    /// Their use; `stated` is that in the report.
    #[must_use]
    pub fn utilization<'a>(&'a self, stated: &'a Utilization) -> &'a Utilization {
        self.changed.as_ref().unwrap_or(stated)
    }
}

/// The use of old hours as it would have been with these plans, and without what is out of their reach. `now` has every group
/// that is to be told, those of nothing included.
#[must_use]
pub fn repaid(
    utilization: &Utilization,
    ledger: &Ledger,
    sharing: &Sharing,
    now: &Commitments,
    maturity: Duration,
) -> Repaid {
    let usage = Usage::new(utilization, ledger, sharing);
    let held: Commitments = now
        .iter()
        .filter(|(_, held)| **held > Money::ZERO)
        .map(|(id, held)| (id.clone(), *held))
        .collect();
    let mut groups = utilization.groups.clone();
    let mut overflow = Overflow::new();
    let mut is_changed = false;
    let ended = usage.ended_reservations(ledger);
    for cells in ledger.cells.chunk_by(|a, b| a.hour == b.hour) {
        let at = usage.at(cells[0].hour);
        if utilization.horizon.is_none_or(|horizon| at.hour.end() > horizon) {
            continue;
        }
        let out = usage.out_of_reach(cells, &at);
        let back = usage.given_back(&ended, ledger, cells, now);
        let lines = (at.held != held).then(|| usage.lines(cells, &at));
        let paid = lines.map(|lines| (lines.demand(&at.held), lines.demand(now)));
        for group in &mut groups {
            let (before, after) = match &paid {
                Some((before, after)) => (before.of(&group.id), after.of(&group.id)),
                None => (Money::ZERO, Money::ZERO),
            };
            let (less, more) = (of(&out, &group.id), of(&back, &group.id));
            if paid.is_none() && less == Money::ZERO && more == Money::ZERO {
                continue;
            }
            is_changed = true;
            let mature = at.hour.end() <= group.horizon - maturity && usage.is_complete(at.hour);
            let entry = group.hours.entry(at.hour).or_insert(GroupHour {
                mature,
                ..GroupHour::default()
            });
            let spill = (entry.spill - less).or_zero();
            let demand = (entry.used + spill + more + after - before).or_zero();
            if paid.is_some() {
                entry.commitment = of(now, &group.id);
            }
            entry.used = demand.min(entry.commitment);
            entry.spill = demand - entry.used;
        }
        let beyond = match paid {
            Some((_, after)) => after.overflow,
            None => usage.paid_by_compute(cells),
        };
        for (group, amount) in beyond {
            overflow.entry(group).or_default().insert(at.hour, amount);
        }
    }
    // What ended groups paid for is in the others' hours now.
    let is_told = |group: &GroupUse| now.contains_key(&group.id) || !usage.knows(&group.id);
    is_changed |= !groups.iter().all(is_told);
    groups.retain(is_told);
    Repaid {
        changed: is_changed.then(|| Utilization {
            groups,
            horizon: utilization.horizon,
            plans: utilization.plans.clone(),
            warnings: utilization.warnings.clone(),
        }),
        overflow,
    }
}

fn of(amounts: &BTreeMap<GroupId, Money>, group: &GroupId) -> Money {
    amounts.get(group).copied().unwrap_or_default()
}

/// What an hour's usage costs, by the EC2 Instance group whose family and region it is of, else for Compute: at the group's
/// own rates, and at Compute rates.
#[derive(Debug, Default)]
struct Lines<'a>(BTreeMap<&'a GroupId, (Money, Money)>);

/// What groups are asked to pay in an hour: what they do, and what nobody does, which counts once, for EC2 Instance groups
/// first.
#[derive(Debug, Default)]
struct Demand {
    by_group: BTreeMap<GroupId, Money>,
    overflow: BTreeMap<GroupId, Money>,
}

impl Demand {
    fn of(&self, group: &GroupId) -> Money {
        of(&self.by_group, group)
    }
}

impl Lines<'_> {
    fn demand(&self, commitments: &Commitments) -> Demand {
        let beyond = |group: &GroupId, own: Money| (own - of(commitments, group)).or_zero();
        let instance = self.0.iter().filter(|(group, _)| ***group != GroupId::Compute);
        // What each EC2 Instance group cannot hold, at its rates and at Compute rates.
        let rest: Vec<(&GroupId, Money, Money, Money)> = instance
            .map(|(group, (own, compute))| {
                let beyond = beyond(group, *own);
                (*group, *own, beyond, compute.share(beyond, *own))
            })
            .collect();
        let proper = self
            .0
            .get(&GroupId::Compute)
            .map(|(own, _)| *own)
            .unwrap_or_default();
        let whole = proper + rest.iter().map(|(.., compute)| *compute).sum::<Money>();
        let spill = beyond(&GroupId::Compute, whole);
        let mut found = Demand::default();
        let mut elsewhere = Money::ZERO;
        for (group, own, beyond, compute) in rest
            .into_iter()
            .filter(|(group, ..)| commitments.contains_key(*group))
        {
            let spilled = beyond.share(spill, whole);
            found.by_group.insert(group.clone(), own - beyond + spilled);
            found.overflow.insert(group.clone(), beyond - spilled);
            elsewhere += compute;
        }
        let told = whole - spill + spill.share(whole - elsewhere, whole);
        found.by_group.insert(GroupId::Compute, told);
        found
    }
}

/// A series as the plans see it.
#[derive(Debug, Clone)]
struct Kind {
    /// The EC2 Instance group of its family and region, if there ever was a plan, else Compute.
    group: GroupId,
    /// Groups that could pay for it, EC2 Instance first.
    reached: Vec<GroupId>,
    rate: Money,
    compute: Money,
    is_covered: bool,
    /// The place among [`Usage::groups`] of the EC2 Instance group in whose scope it is, where Compute plans paid for it.
    by_compute: Option<usize>,
}

/// Who held what in an hour.
struct AtHour<'a> {
    hour: Hour,
    held: Commitments,
    /// Groups whose plans are used up.
    full: Vec<&'a GroupId>,
}

impl AtHour<'_> {
    /// The group that on-demand usage is the spill of: the first that it reaches whose plans are used up.
    fn spills<'k>(&self, kind: &'k Kind) -> Option<&'k GroupId> {
        kind.reached.iter().find(|group| self.full.contains(group))
    }
}

/// True for a group whose plans had room in a complete hour.
fn has_room(group: &GroupUse, hour: Hour) -> bool {
    group.hours.get(&hour).is_some_and(|found| {
        found.mature && found.commitment - found.used > found.commitment.scale(2.0 * ROUNDING)
    })
}

struct Usage<'a> {
    utilization: &'a Utilization,
    /// Those of all plans that there ever were.
    groups: Vec<GroupId>,
    kinds: Vec<Option<Kind>>,
    /// The same of what Reserved Instances pay for.
    reserved: Vec<Option<Kind>>,
    /// True where plans have been seen not to pay for it, though they had room. Each cell asks, and few are.
    is_out: Vec<bool>,
}

impl<'a> Usage<'a> {
    fn new(utilization: &'a Utilization, ledger: &Ledger, sharing: &Sharing) -> Self {
        let rates = Rates::new(ledger);
        let groups: BTreeSet<GroupId> = ledger
            .plans
            .iter()
            .filter_map(|entry| entry.plan.group())
            .collect();
        let is_in_reach = |group: &GroupId, series: &Series| {
            let plans = ledger.plans.iter().map(|entry| &entry.plan);
            let mut of_group = plans.filter(|plan| plan.group().as_ref() == Some(group));
            series.account.is_empty()
                || of_group.any(|plan| sharing.step(plan.owner.as_deref(), &series.account).is_some())
        };
        let kind = |series: &Series| {
            let (is_covered, by_compute) = match series.class {
                UsageClass::OnDemand => (false, false),
                // Another's plan pays for nothing here.
                UsageClass::Covered(plan) => (true, ledger.plans[plan].plan.group()? == GroupId::Compute),
                UsageClass::Reserved => (true, false),
                UsageClass::Spot => return None,
            };
            let group = if series.is_instance {
                GroupId::paying_first(&groups, family(instance_type(&series.usage_type)), &series.region)
            } else {
                GroupId::Compute
            };
            let scope = groups.iter().position(|known| *known == group);
            let scope = scope.filter(|_| by_compute && group != GroupId::Compute);
            let key = series.key();
            let own = rates.of(&group, &key);
            let compute = rates.of(&GroupId::Compute, &key);
            let known = [own, compute].into_iter().flatten().find(|rate| rate.learned);
            let rate = match known {
                Some(known) => known.rate,
                None => rates.likely(&group, &key)?,
            };
            let compute = match compute.filter(|rate| rate.learned) {
                Some(learned) => learned.rate,
                None => rate
                    .scale(DEAREST_RATIO)
                    .min(rates.likely(&GroupId::Compute, &key).unwrap_or(rate)),
            };
            let mut reached = vec![group.clone(), GroupId::Compute];
            reached.dedup();
            reached.retain(|group| is_in_reach(group, series));
            Some(Kind {
                reached,
                group,
                rate,
                compute,
                is_covered,
                by_compute: scope,
            })
        };
        let kinds = |is_reserved: bool| {
            let of_class = |series: &Series| (series.class == UsageClass::Reserved) == is_reserved;
            let series = ledger.series.iter();
            series
                .map(|series| of_class(series).then(|| kind(series)).flatten())
                .collect()
        };
        let mut found = Self {
            utilization,
            kinds: kinds(false),
            reserved: kinds(true),
            groups: groups.iter().cloned().collect(),
            is_out: Vec::new(),
        };
        found.learn(ledger);
        found
    }

    /// Marks on-demand usage that stood uncovered beside room in so many hours that it is no accident.
    fn learn(&mut self, ledger: &Ledger) {
        let mut sorts = BTreeMap::new();
        let sort_of = |series: &Series| {
            let next = sorts.len();
            *sorts
                .entry((
                    series.key(),
                    Arc::clone(&series.region),
                    Arc::clone(&series.account),
                ))
                .or_insert(next)
        };
        let sort_of: Vec<usize> = ledger.series.iter().map(sort_of).collect();
        let mut seen = vec![Uncovered::default(); sorts.len()];
        let groups = &self.utilization.groups;
        // Whether each is covered, and the number of the few sets of groups that it reaches: there are millions of cells.
        let kinds = || self.kinds.iter().map(Option::as_ref);
        let sets: BTreeSet<&[GroupId]> = kinds().flatten().map(|kind| &*kind.reached).collect();
        let sets: Vec<&[GroupId]> = sets.into_iter().collect();
        let numbered = |kind: &Kind| Some((kind.is_covered, sets.binary_search(&&*kind.reached).ok()?));
        let numbers: Vec<Option<(bool, usize)>> = kinds().map(|kind| kind.and_then(numbered)).collect();
        for cells in ledger.cells.chunk_by(|a, b| a.hour == b.hour) {
            let is_roomy = |group: &&GroupUse| has_room(group, cells[0].hour);
            let roomy: BTreeSet<&GroupId> = groups.iter().filter(is_roomy).map(|group| &group.id).collect();
            let of_set = |set: &&[GroupId]| set.iter().any(|group| roomy.contains(group));
            let roomy: Vec<bool> = sets.iter().map(of_set).collect();
            for cell in cells {
                let series = cell.series as usize;
                if let Some((is_covered, set)) = numbers[series]
                    && roomy[set]
                {
                    seen[sort_of[series]].note(cell, is_covered);
                }
            }
        }
        let is_out = |(kind, sort): (Option<&Kind>, usize)| {
            kind.is_some_and(|kind| !kind.is_covered && seen[sort].is_proven())
        };
        self.is_out = kinds().zip(sort_of).map(is_out).collect();
    }

    fn at(&self, hour: Hour) -> AtHour<'a> {
        let groups = self.utilization.groups.iter();
        let found = groups.filter_map(|group| Some((&group.id, group.hours.get(&hour)?)));
        let held: Vec<(&GroupId, &GroupHour)> = found
            .filter(|(_, found)| found.commitment > Money::ZERO)
            .collect();
        let is_full = |found: &GroupHour| found.used >= found.commitment.scale(1.0 - ROUNDING);
        AtHour {
            hour,
            full: held
                .iter()
                .filter(|(_, found)| is_full(found))
                .map(|(id, _)| *id)
                .collect(),
            held: held
                .into_iter()
                .map(|(id, found)| (id.clone(), found.commitment))
                .collect(),
        }
    }

    /// Whether no plan's hour lacks anything.
    fn is_complete(&self, hour: Hour) -> bool {
        let mut hours = self
            .utilization
            .groups
            .iter()
            .filter_map(|group| group.hours.get(&hour));
        hours.all(|found| found.mature)
    }

    /// Reservations that have ended, as whole hours show it.
    fn ended_reservations<'l>(&self, ledger: &'l Ledger) -> Ended<'l> {
        let rate = |index: usize| {
            let kind = self.kinds[index].as_ref().or(self.reserved[index].as_ref());
            kind.filter(|_| !self.is_out[index]).map(|kind| kind.compute)
        };
        let rates: Vec<Option<Money>> = (0..ledger.series.len()).map(rate).collect();
        Ended::of(ledger, &rates, |hour| self.is_complete(hour))
    }

    /// What reservations that have ended paid for in an hour, by the group of plans that is asked for it now.
    fn given_back(
        &self,
        ended: &Ended<'_>,
        ledger: &Ledger,
        cells: &[Cell],
        now: &Commitments,
    ) -> BTreeMap<GroupId, Money> {
        let mut found = BTreeMap::new();
        if ended.is_empty() {
            return found;
        }
        let mut by_scope = BTreeMap::new();
        for cell in cells {
            let index = cell.series as usize;
            if let Some((kind, scope)) = self.reserved[index].as_ref().zip(scope(&ledger.series[index])) {
                let (_, reserved) = by_scope
                    .entry(scope)
                    .or_insert((kind, (Money::ZERO, Money::ZERO)));
                reserved.0 += cell.amount.at(kind.rate);
                reserved.1 += cell.amount.at(kind.compute);
            }
        }
        for (scope, (kind, (own, compute))) in by_scope {
            let part = ended.asked_since(scope, cells[0].hour, compute);
            if let Some(group) = kind.reached.iter().find(|group| now.contains_key(*group)) {
                let reserved = if *group == GroupId::Compute { compute } else { own };
                *found.entry(group.clone()).or_default() += reserved.share(part, compute);
            }
        }
        found
    }

    /// What of the stated spill is out of the plans' reach, at the rates of its group.
    fn out_of_reach(&self, cells: &[Cell], at: &AtHour<'_>) -> BTreeMap<GroupId, Money> {
        let mut found = BTreeMap::new();
        for cell in cells {
            let series = cell.series as usize;
            if self.is_out[series]
                && let Some(kind) = &self.kinds[series]
                && let Some(group) = at.spills(kind)
            {
                let rate = if *group == GroupId::Compute {
                    kind.compute
                } else {
                    kind.rate
                };
                *found.entry(group.clone()).or_default() += cell.amount.at(rate);
            }
        }
        found
    }

    /// What plans paid, or could have paid had they been larger, or had there been any.
    fn lines(&self, cells: &[Cell], at: &AtHour<'_>) -> Lines<'_> {
        let mut lines = Lines::default();
        for cell in cells {
            let series = cell.series as usize;
            let Some(kind) = self.kinds[series].as_ref().filter(|_| !self.is_out[series]) else {
                continue;
            };
            let had_plans = || kind.reached.iter().any(|group| at.held.contains_key(group));
            let is_open = || !kind.reached.is_empty() && (at.spills(kind).is_some() || !had_plans());
            if kind.is_covered || is_open() {
                let (own, compute) = lines.0.entry(&kind.group).or_default();
                *own += cell.amount.at(kind.rate);
                *compute += cell.amount.at(kind.compute);
            }
        }
        lines
    }

    /// What Compute plans paid for in the scopes of EC2 Instance groups.
    fn paid_by_compute(&self, cells: &[Cell]) -> BTreeMap<GroupId, Money> {
        let mut sums: Vec<Option<Money>> = vec![None; self.groups.len()];
        for cell in cells {
            if let Some(kind) = &self.kinds[cell.series as usize]
                && let Some(place) = kind.by_compute
            {
                *sums[place].get_or_insert_default() += cell.amount.at(kind.rate);
            }
        }
        let sums = self.groups.iter().zip(sums);
        sums.filter_map(|(group, sum)| Some((group.clone(), sum?)))
            .collect()
    }

    /// True for a group of whose usage the report shows something.
    fn knows(&self, group: &GroupId) -> bool {
        self.kinds
            .iter()
            .flatten()
            .any(|kind| kind.group == *group && kind.is_covered)
    }
}
