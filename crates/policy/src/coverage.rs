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

use brimful_savings_plans::ledger::{Ledger, Series, UsageClass};
use brimful_savings_plans::nowcast::Overflow;
use brimful_savings_plans::rates::Rates;
use brimful_savings_plans::reach::Uncovered;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::usage::{family, instance_type};
use brimful_savings_plans::utilization::{GroupHour, GroupUse, Utilization};
use brimful_types::by_hour::ByHour;
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
    let hours = ledger.hours();
    let back = usage.given_back(ledger, &hours, now);
    for (hour, at) in usage.by_hour(ledger, &hours, &held) {
        let lines = at.is_repaid.then(|| usage.lines(&at));
        let paid = lines.map(|lines| (lines.demand(&at.held), lines.demand(now)));
        for group in &mut groups {
            let (before, after) = match &paid {
                Some((before, after)) => (before.of(&group.id), after.of(&group.id)),
                None => (Money::ZERO, Money::ZERO),
            };
            let back = back.get(&hour).map(|back| of(back, &group.id));
            let less = at.out.get(&group.id).copied().unwrap_or_default();
            let more = back.unwrap_or_default();
            if paid.is_none() && less == Money::ZERO && more == Money::ZERO {
                continue;
            }
            is_changed = true;
            let mature = hour.end() <= group.horizon - maturity && usage.is_complete(hour);
            let entry = group.hours.entry(hour).or_insert(GroupHour {
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
            None => usage.paid_by_compute(&at),
        };
        for (group, amount) in beyond {
            overflow.entry(group).or_default().insert(hour, amount);
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
    /// The place among [`Usage::groups`] of the EC2 Instance group of its family and region, if there ever was a plan, else
    /// of Compute.
    group: usize,
    /// The place among [`Usage::sets`] of the groups that could pay for it.
    reached: usize,
    rate: Money,
    compute: Money,
    is_covered: bool,
    /// True in an EC2 Instance group's scope, where Compute plans paid for it.
    by_compute: bool,
}

/// An hour, and what is added up of its usage.
struct AtHour<'a> {
    held: Commitments,
    /// True when other plans were held than now.
    is_repaid: bool,
    /// By set of groups that usage may reach.
    reached: Vec<Reached<'a>>,
    /// By group, what usage costs at the group's own rates, and at Compute rates: where it is repaid what plans paid, or could
    /// have paid had they been larger, or had there been any; else what Compute plans paid for alone.
    lines: Vec<Option<(Money, Money)>>,
    /// What of the stated spill is out of the plans' reach, at the rates of its group.
    out: BTreeMap<&'a GroupId, Money>,
}

/// How groups that could pay for some usage stood in an hour.
struct Reached<'a> {
    /// The group that on-demand usage is the spill of: the first whose plans are used up.
    spills: Option<&'a GroupId>,
    /// True when plans could have paid for more, had they been larger, or had there been any.
    is_open: bool,
}

/// True where plans had room in a complete hour.
fn has_room(found: &GroupHour) -> bool {
    found.mature && found.commitment - found.used > found.commitment.scale(2.0 * ROUNDING)
}

struct Usage<'a> {
    utilization: &'a Utilization,
    /// Those of all plans that there ever were, and Compute, sorted.
    groups: Vec<GroupId>,
    /// Groups that could pay for some usage, EC2 Instance first. There are few such sets, and millions of cells.
    sets: Vec<Vec<GroupId>>,
    kinds: Vec<Option<Kind>>,
    /// The same of what Reserved Instances pay for.
    reserved: Vec<Option<Kind>>,
    /// True where plans have been seen not to pay for it, though they had room.
    is_out: Vec<bool>,
}

impl<'a> Usage<'a> {
    fn new(utilization: &'a Utilization, ledger: &Ledger, sharing: &Sharing) -> Self {
        let rates = Rates::new(ledger);
        let of_plans: BTreeSet<GroupId> = ledger
            .plans
            .iter()
            .filter_map(|entry| entry.plan.group())
            .collect();
        let groups: BTreeSet<&GroupId> = of_plans.iter().chain([&GroupId::Compute]).collect();
        let groups: Vec<GroupId> = groups.into_iter().cloned().collect();
        let mut sets = BTreeMap::new();
        let mut kind = |series: &Series| {
            let (is_covered, by_compute) = match series.class {
                UsageClass::OnDemand => (false, false),
                // Another's plan pays for nothing here.
                UsageClass::Covered(plan) => (true, ledger.plans[plan].plan.group()? == GroupId::Compute),
                UsageClass::Reserved => (true, false),
                UsageClass::Spot => return None,
            };
            let group = if series.is_instance {
                GroupId::paying_first(
                    &of_plans,
                    family(instance_type(&series.usage_type)),
                    &series.region,
                )
            } else {
                GroupId::Compute
            };
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
            reached.retain(|group| sharing.reaches(ledger, group, series));
            let next = sets.len();
            Some(Kind {
                reached: *sets.entry(reached).or_insert(next),
                by_compute: by_compute && group != GroupId::Compute,
                group: groups.binary_search(&group).ok()?,
                rate,
                compute,
                is_covered,
            })
        };
        let mut kinds = |is_reserved: bool| {
            let of_class = |series: &Series| (series.class == UsageClass::Reserved) == is_reserved;
            let series = ledger.series.iter();
            series
                .map(|series| of_class(series).then(|| kind(series)).flatten())
                .collect()
        };
        let (unreserved, reserved) = (kinds(false), kinds(true));
        let mut sets: Vec<(Vec<GroupId>, usize)> = sets.into_iter().collect();
        sets.sort_unstable_by_key(|(_, place)| *place);
        let mut found = Self {
            utilization,
            groups,
            sets: sets.into_iter().map(|(set, _)| set).collect(),
            kinds: unreserved,
            reserved,
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
        let roomy = |set: &Vec<GroupId>| -> ByHour<()> {
            let groups = self.utilization.groups.iter();
            let hours = groups
                .filter(|group| set.contains(&group.id))
                .flat_map(|group| &group.hours);
            hours
                .filter(|(_, found)| has_room(found))
                .map(|(hour, _)| *hour)
                .collect()
        };
        let roomy: Vec<ByHour<()>> = self.sets.iter().map(roomy).collect();
        for ((kind, cells), sort) in self.kinds.iter().zip(&ledger.cells).zip(&sort_of) {
            let Some(kind) = kind else { continue };
            for cell in cells
                .iter()
                .filter(|cell| roomy[kind.reached].contains(cell.hour))
            {
                seen[*sort].note(cell, kind.is_covered);
            }
        }
        let is_out = |(kind, sort): (&Option<Kind>, usize)| {
            kind.as_ref()
                .is_some_and(|kind| !kind.is_covered && seen[sort].is_proven())
        };
        self.is_out = self.kinds.iter().zip(sort_of).map(is_out).collect();
    }

    /// The usage of those hours that have ended by the horizon, added up; `now` are the plans by which hours are repaid.
    fn by_hour(&self, ledger: &Ledger, hours: &[Hour], now: &Commitments) -> ByHour<AtHour<'_>> {
        let is_past = |hour: &&Hour| {
            self.utilization
                .horizon
                .is_some_and(|horizon| hour.end() <= horizon)
        };
        let past = hours.iter().filter(is_past);
        let mut hours: ByHour<AtHour<'_>> = past.map(|hour| (*hour, self.at(*hour, now))).collect();
        for ((kind, cells), is_out) in self.kinds.iter().zip(&ledger.cells).zip(&self.is_out) {
            let Some(kind) = kind else { continue };
            for cell in cells {
                let Some(at) = hours.get_mut(cell.hour) else {
                    continue;
                };
                let Reached { spills, is_open } = at.reached[kind.reached];
                if *is_out {
                    if let Some(group) = spills {
                        let rate = if *group == GroupId::Compute {
                            kind.compute
                        } else {
                            kind.rate
                        };
                        *at.out.entry(group).or_default() += cell.amount.at(rate);
                    }
                    continue;
                }
                let counts = if at.is_repaid {
                    kind.is_covered || is_open
                } else {
                    kind.by_compute
                };
                if counts {
                    let (own, compute) = at.lines[kind.group].get_or_insert_default();
                    *own += cell.amount.at(kind.rate);
                    *compute += cell.amount.at(kind.compute);
                }
            }
        }
        hours
    }

    /// An hour, with nothing added up yet.
    fn at(&self, hour: Hour, now: &Commitments) -> AtHour<'_> {
        let groups = self.utilization.groups.iter();
        let found = groups.filter_map(|group| Some((&group.id, group.hours.get(&hour)?)));
        let held: BTreeMap<&GroupId, &GroupHour> = found
            .filter(|(_, found)| found.commitment > Money::ZERO)
            .collect();
        let is_full = |found: &GroupHour| found.used >= found.commitment.scale(1.0 - ROUNDING);
        let reached = self.sets.iter().map(|set| {
            let is_full = |group: &&GroupId| held.get(group).is_some_and(|found| is_full(found));
            let spills = set.iter().find(is_full);
            let had_plans = set.iter().any(|group| held.contains_key(group));
            Reached {
                spills,
                is_open: !set.is_empty() && (spills.is_some() || !had_plans),
            }
        });
        let reached = reached.collect();
        let held = held.into_iter().map(|(id, found)| (id.clone(), found.commitment));
        let held: Commitments = held.collect();
        AtHour {
            reached,
            is_repaid: held != *now,
            held,
            lines: vec![None; self.groups.len()],
            out: BTreeMap::new(),
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
    fn ended_reservations<'l>(&self, ledger: &'l Ledger, hours: &[Hour]) -> Ended<'l> {
        let rate = |index: usize| {
            let kind = self.kinds[index].as_ref().or(self.reserved[index].as_ref());
            kind.filter(|_| !self.is_out[index]).map(|kind| kind.compute)
        };
        let rates: Vec<Option<Money>> = (0..ledger.series.len()).map(rate).collect();
        let complete = hours.iter().copied().filter(|hour| self.is_complete(*hour));
        Ended::of(ledger, &rates, complete)
    }

    /// What reservations that have ended paid for in each hour, by the group of plans that is asked for it now.
    fn given_back(
        &self,
        ledger: &Ledger,
        hours: &[Hour],
        now: &Commitments,
    ) -> BTreeMap<Hour, BTreeMap<GroupId, Money>> {
        let mut found: BTreeMap<Hour, BTreeMap<GroupId, Money>> = BTreeMap::new();
        let ended = self.ended_reservations(ledger, hours);
        if ended.is_empty() {
            return found;
        }
        let mut reserved = BTreeMap::new();
        for (kind, (series, cells)) in self.reserved.iter().zip(ledger.usage()) {
            let Some((kind, scope)) = kind.as_ref().zip(scope(series)) else {
                continue;
            };
            for cell in cells {
                let (_, (own, compute)) = reserved
                    .entry((cell.hour, scope))
                    .or_insert((kind, (Money::ZERO, Money::ZERO)));
                *own += cell.amount.at(kind.rate);
                *compute += cell.amount.at(kind.compute);
            }
        }
        for ((hour, scope), (kind, (own, compute))) in reserved {
            let part = ended.asked_since(scope, hour, compute);
            let mut reached = self.sets[kind.reached].iter();
            if let Some(group) = reached.find(|group| now.contains_key(*group)) {
                let reserved = if *group == GroupId::Compute { compute } else { own };
                let of_hour = found.entry(hour).or_default();
                *of_hour.entry(group.clone()).or_default() += reserved.share(part, compute);
            }
        }
        found
    }

    /// What plans paid in an hour, or could have paid.
    fn lines(&self, at: &AtHour<'_>) -> Lines<'_> {
        let lines = self.groups.iter().zip(&at.lines);
        Lines(
            lines
                .filter_map(|(group, sums)| Some((group, (*sums)?)))
                .collect(),
        )
    }

    /// What Compute plans paid for in the scopes of EC2 Instance groups, in an hour that is not repaid.
    fn paid_by_compute(&self, at: &AtHour<'_>) -> BTreeMap<GroupId, Money> {
        let lines = self.groups.iter().zip(&at.lines);
        lines
            .filter_map(|(group, sums)| Some((group.clone(), (*sums)?.0)))
            .collect()
    }

    /// True for a group of whose usage the report shows something.
    fn knows(&self, group: &GroupId) -> bool {
        self.kinds
            .iter()
            .flatten()
            .any(|kind| self.groups[kind.group] == *group && kind.is_covered)
    }
}
