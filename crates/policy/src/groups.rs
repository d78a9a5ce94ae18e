//! Groups of plans as they stand now: commitment in force, demand, headroom, and whether they can be trusted.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Duration, Timelike, Utc};

use super::attribution::UseByCluster;
use super::coverage::Commitments;
use super::critical_ratio::CriticalRatio;
use super::identity::Identity;
use super::peers::{Demand, split};
use super::plan::Inputs;
use crate::settings::Settings;
use brimful_savings_plans::inventory::Standing;
use brimful_savings_plans::ledger::{Ledger, PlanLedger};
use brimful_savings_plans::nowcast::Nowcast;
use brimful_savings_plans::savings_plan::{GroupId, Plan};
use brimful_savings_plans::utilization::{GroupUse, Utilization, stale};
use brimful_types::hour::{Hour, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};

/// A drop of all of a group's use to nothing is taken for missing data for so many hours, and believed after.
const UNBELIEVED_ZERO_HOURS: usize = 24;
/// Hours.
const DAY: i32 = 24;
const WEEK: i32 = 168;
/// Hours before the newest mature one that must be free of contradictions.
const TRUSTED_HOURS: i64 = 24;

/// So many hours may the newest fee lie behind the newest usage, where none is written ahead.
const FEE_LAG: i64 = 2;

/// The least share, as a part of an equal one.
const LEAST_SHARE: f64 = 0.25;

/// A group of plans, now.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupNow {
    /// The group.
    pub id: GroupId,
    /// ARNs of its plans in force.
    pub plans: Vec<String>,
    /// Σ commitments of plans that are surely in force and do not end shortly, $/h: what may be filled.
    pub commitment: Money,
    /// Σ commitments of all plans that may be in force, $/h: what may stay. One that has just ended may have been renewed.
    pub in_force: Money,
    /// Demand now; `None` without a mature hour.
    pub nowcast: Option<Nowcast>,
    /// So many hours, this one included, are planned for.
    pub lookahead: usize,
    /// The demand to plan for in those hours, with the plans that surely are in force: above it, one more node on demand
    /// costs more than it saves on average.
    pub planned: Option<Money>,
    /// The same with all plans that may be in force: what stands beyond it may be given back.
    pub planned_in_force: Option<Money>,
    /// What of the group's demand this cluster's live Nodes are, $/h; `None` without Nodes.
    pub own: Option<Money>,
    /// What erring about the demand costs.
    pub ratio: CriticalRatio,
    /// The part of the headroom that this cluster may take.
    pub share: f64,
    /// Why nothing may be decided on this group.
    pub doubt: Option<String>,
    /// True while no hour of its plans is complete yet.
    pub is_new: bool,
    /// Hours, newest first, by which demand exceeded the commitment, among the newest mature ones.
    pub recent_excess: Vec<Money>,
}

impl GroupNow {
    /// Commitment − demand; negative is spill. `None` when the demand is unknown.
    #[must_use]
    pub fn headroom(&self) -> Option<Money> {
        Some(self.commitment - self.nowcast.as_ref()?.demand)
    }

    /// What is worth filling: commitment − demand to plan for. `None` when the demand is unknown.
    #[must_use]
    pub fn room(&self) -> Option<Money> {
        Some(self.commitment - self.planned?)
    }

    /// By how much the demand to plan for exceeds the plans that may be in force. `None` when the demand is unknown.
    #[must_use]
    pub fn excess(&self) -> Option<Money> {
        Some(self.planned_in_force? - self.in_force)
    }

    /// What of an excess this cluster can give back: no more than its Nodes ask of the group. The rest is others', whatever
    /// happens here.
    #[must_use]
    pub fn own_part(&self, excess: Money) -> Money {
        self.own.map_or(excess, |own| excess.min(own))
    }

    /// The same, with so many hours planned for.
    fn over(mut self, facts: &Facts<'_>, hours: usize) -> Self {
        let quantile = self.ratio.quantile();
        let over = |nowcasts: &BTreeMap<GroupId, Nowcast>| {
            let nowcast = nowcasts.get(&self.id)?;
            Some((nowcast.over(hours, quantile), nowcast.forecast.risen))
        };
        let in_force = over(facts.nowcasts);
        // A burst in incomplete hours may be over by now: nothing is given back for it.
        self.planned_in_force = in_force.map(|(planned, risen)| planned - risen);
        let to_fill = if std::ptr::eq(facts.to_fill, facts.nowcasts) {
            in_force
        } else {
            over(facts.to_fill)
        };
        self.planned = to_fill.map(|(planned, _)| planned);
        self.lookahead = hours;
        self
    }

    /// Raises the demand to what this cluster's live Nodes alone cost, $/h. What is given back goes by the report: whose the
    /// use in it was is not known.
    pub(super) fn uses_at_least(&mut self, live: Money) {
        if let Some(nowcast) = &mut self.nowcast {
            nowcast.demand = nowcast.demand.max(live);
            nowcast.high = nowcast.high.max(live);
        }
        self.planned = self.planned.map(|planned| planned.max(live));
    }

    /// What of a headroom this cluster may take.
    #[must_use]
    pub fn shared(&self, headroom: Money) -> Money {
        if headroom > Money::ZERO {
            headroom.scale(self.share)
        } else {
            headroom
        }
    }
}

/// What a plan commits per hour now: the newest row up to now says it (rows are written ahead). The first and the
/// last hour of a plan may be prorated, so the largest of the last day counts. Of a plan that the report has not seen yet
/// AWS's list says it.
#[must_use]
pub fn commitment_now(ledger: &Ledger, plan: usize, now: DateTime<Utc>) -> Option<Money> {
    let hours = ledger.plans[plan].hours.range(..=Hour::of(now));
    hours
        .rev()
        .take(24)
        .filter_map(|(_, amounts)| amounts.commitment)
        .max()
        .or_else(|| Some(ledger.plans[plan].plan.listed?.commitment))
}

/// True for a plan in force whose headroom is not worth filling any more.
fn ends_shortly(plan: &Plan, now: DateTime<Utc>, within: Duration) -> bool {
    plan.end.is_some_and(|end| end <= now + within)
}

/// Everything that groups are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The clock.
    pub now: DateTime<Utc>,
    /// Configuration.
    pub config: &'a Settings,
    /// The report.
    pub ledger: &'a Ledger,
    /// Its use, hour by hour.
    pub utilization: &'a Utilization,
    /// Demand now, by group, with all plans that may be in force.
    pub nowcasts: &'a BTreeMap<GroupId, Nowcast>,
    /// The same with those that surely are.
    pub to_fill: &'a BTreeMap<GroupId, Nowcast>,
    /// Groups with a plan that may be in force.
    pub active: &'a BTreeSet<GroupId>,
    /// This cluster.
    pub identity: &'a Identity,
    /// Other clusters whose live demand is in the estimates.
    pub peers: &'a [&'a Demand],
    /// Every cluster's use in the report.
    pub by_cluster: &'a UseByCluster,
    /// What erring about the demand costs.
    pub ratio: CriticalRatio,
}

/// Pools whose excess consolidation may take give back within an hour what turns out to be too much. Planned for 4
/// hours they cost 0.3 % of the commitment less than for 18 in the simulated world, and as much as for 1 or 6. Clusters
/// that split the headroom among them reckon with the same hours, so all of these do.
const GIVING_BACK_HOURS: usize = 4;

/// Every group with a plan in force that this cluster may use: as pools see them that keep what they have launched, and
/// as those do that can give it back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Groups {
    /// With `policy.lookahead` planned for.
    pub keeping: Vec<GroupNow>,
    /// With at most four hours of it, where no other cluster's claims are in the figures.
    pub giving_back: Vec<GroupNow>,
}

/// The groups now.
#[must_use]
pub fn groups_now(facts: &Facts<'_>) -> (Groups, Vec<Warning>) {
    let mut warnings = Vec::new();
    let lookahead = facts.config.policy.lookahead.0.num_hours();
    let lookahead = usize::try_from(lookahead).unwrap_or_default().max(1);
    let groups = facts.active.iter().cloned().map(|id| {
        let use_ = facts.utilization.groups.iter().find(|group| group.id == id);
        let nowcast = facts.nowcasts.get(&id);
        let mut group = GroupNow {
            plans: Vec::new(),
            commitment: Money::ZERO,
            in_force: Money::ZERO,
            lookahead,
            planned: None,
            planned_in_force: None,
            nowcast: nowcast.cloned(),
            own: None,
            ratio: facts.ratio,
            share: 1.0,
            doubt: doubt(facts, use_),
            is_new: !use_.is_some_and(|use_| use_.hours.values().any(|hour| hour.mature)),
            recent_excess: use_.map(recent_excess).unwrap_or_default(),
            id,
        };
        add_plans(facts, &mut group, &mut warnings);
        group = group.over(facts, lookahead);
        share(facts, &mut group, &mut warnings);
        group
    });
    let keeping: Vec<GroupNow> = groups.collect();
    let hours = match facts.peers {
        [] => lookahead.min(GIVING_BACK_HOURS),
        _ => lookahead,
    };
    let sooner = |group: &GroupNow| group.clone().over(facts, hours);
    let giving_back = keeping.iter().map(sooner).collect();
    (Groups { keeping, giving_back }, warnings)
}

/// Groups with a plan in force that nodes of this cluster may use.
#[must_use]
pub fn active_groups(ledger: &Ledger, now: DateTime<Utc>) -> BTreeSet<GroupId> {
    let plans = ledger.plans.iter().map(|entry| &entry.plan);
    plans
        .filter(|plan| plan.is_active(now))
        .filter_map(Plan::group)
        .collect()
}

/// Commitments of plans in force by group, $/h; both with all groups of which a plan may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce {
    /// Of plans that surely are, and do not end shortly: what may be filled.
    pub surely: Commitments,
    /// Of those, too, that may be.
    pub possibly: Commitments,
}

/// The plans in force now.
#[must_use]
pub fn in_force(inputs: &Inputs<'_>) -> InForce {
    let mut found = InForce::default();
    for (index, entry) in inputs.ledger.plans.iter().enumerate() {
        let plan = &entry.plan;
        let is_active = plan.is_active(inputs.now);
        let Some(group) = plan
            .group()
            .filter(|_| is_active || ended_unseen(plan, inputs.utilization, inputs.now))
        else {
            continue;
        };
        let commitment = commitment_now(inputs.ledger, index, inputs.now).unwrap_or_default();
        let surely = found.surely.entry(group.clone()).or_default();
        if is_active && is_surely_in_force(inputs.ledger, inputs.now, index) {
            let within = inputs.config.policy.ending_within.0;
            *surely += lasting(inputs.ledger, plan, commitment, inputs.now, within);
        }
        *found.possibly.entry(group).or_default() += commitment;
    }
    found
}

/// What of a plan's commitment lasts: what ends shortly is not worth filling any more, unless a plan is queued to take its
/// place.
pub(super) fn lasting(
    ledger: &Ledger,
    plan: &Plan,
    commitment: Money,
    now: DateTime<Utc>,
    within: Duration,
) -> Money {
    if ends_shortly(plan, now, within) {
        ledger.renewed(plan, commitment)
    } else {
        commitment
    }
}

fn add_plans(facts: &Facts<'_>, group: &mut GroupNow, warnings: &mut Vec<Warning>) {
    let within = facts.config.policy.ending_within.0;
    for (index, entry) in facts.ledger.plans.iter().enumerate() {
        let plan = &entry.plan;
        if plan.group().as_ref() != Some(&group.id) {
            continue;
        }
        if !plan.is_active(facts.now) {
            // Until a report reaches beyond its end, a renewal could not be seen.
            if ended_unseen(plan, facts.utilization, facts.now) {
                group.in_force += commitment_now(facts.ledger, index, facts.now).unwrap_or_default();
            }
            continue;
        }
        group.plans.push(plan.arn.clone());
        let Some(commitment) = commitment_now(facts.ledger, index, facts.now) else {
            let what = format!(
                "the commitment of plan {} is unknown (is this a member account's report?)",
                plan.short_id()
            );
            group.doubt = Some(what);
            continue;
        };
        let mut fees = facts.ledger.plans[index]
            .hours
            .range(..=Hour::of(facts.now))
            .rev()
            .take(24);
        if fees.any(|(_, hour)| hour.fee_rows > 1) {
            let id = plan.short_id();
            group.doubt = Some(format!(
                "the report counts the commitment of plan {id} more than once"
            ));
        }
        group.in_force += commitment;
        if !is_surely_in_force(facts.ledger, facts.now, index) {
            let why = match plan.listed {
                Some(_) => "AWS lists this plan as being returned",
                None => {
                    "the report has no row of this plan for the current hour, although it has of others: it may have been returned"
                }
            };
            let message = format!(
                "{why} ({}). Its headroom is not filled, and nothing is drained for want of it",
                commitment.per_hour()
            );
            warnings.push(Warning::of_plan(WarningCode::PlanUnseen, &plan.arn, message));
            continue;
        }
        let lasting = lasting(facts.ledger, plan, commitment, facts.now, within);
        group.commitment += lasting;
        if lasting < commitment {
            let end = plan.end.map(rfc3339).unwrap_or_default();
            let queued = match lasting {
                Money::ZERO => String::new(),
                lasting => format!(
                    ", and plans of {} are queued to take its place",
                    lasting.per_hour()
                ),
            };
            let message = format!(
                "the plan ({}) ends at {end}{queued}: its headroom is not filled any more",
                commitment.per_hour()
            );
            warnings.push(Warning::of_plan(WarningCode::PlanEnding, &plan.arn, message));
        }
    }
}

/// True for a plan that ended so lately that no report could show what came after it, and AWS's list was not asked.
fn ended_unseen(plan: &Plan, utilization: &Utilization, now: DateTime<Utc>) -> bool {
    let is_listed = plan
        .listed
        .is_some_and(|listed| listed.standing == Standing::Ended);
    let horizon = utilization.horizon;
    let ended = plan.ends().filter(|end| *end <= now);
    !is_listed && ended.zip(horizon).is_some_and(|(end, horizon)| horizon <= end)
}

/// True for a plan that AWS lists as active; without that list, for one whose fee row of the current hour is there. AWS
/// writes these rows ahead to the end of the month, so before a month's first delivery those of the last one must run to
/// its end. In a report that has none ahead of any plan (FOCUS; or its only plan was returned) they must come as far as it
/// reaches.
fn is_surely_in_force(ledger: &Ledger, now: DateTime<Utc>, plan: usize) -> bool {
    if let Some(listed) = ledger.plans[plan].plan.listed {
        return listed.standing == Standing::Active;
    }
    let current = Hour::of(now);
    let newest = |plan: &PlanLedger| {
        let fees = plan.hours.iter().rev();
        let mut fees = fees.filter(|(_, amounts)| amounts.commitment.is_some());
        fees.next().map(|(hour, _)| *hour)
    };
    let runs_to = |plan: &PlanLedger| newest(plan).map(Hour::end);
    let is_months_end = |end: DateTime<Utc>| end.day() == 1 && end.hour() == 0 && end <= now;
    let plans = &ledger.plans;
    let written_ahead = plans
        .iter()
        .any(|entry| newest(entry).is_some_and(|hour| hour >= current));
    let comes_along = || {
        let reached = ledger
            .horizon(now)
            .map(|horizon| horizon - Duration::hours(FEE_LAG));
        runs_to(&plans[plan])
            .zip(reached)
            .is_none_or(|(end, reached)| end >= reached)
    };
    (!written_ahead && comes_along())
        || newest(&plans[plan]).is_some_and(|hour| hour >= current)
        || runs_to(&plans[plan]).is_some_and(is_months_end)
}

/// Why the group's figures cannot be trusted, if so.
fn doubt(facts: &Facts<'_>, use_: Option<&GroupUse>) -> Option<String> {
    let Some(use_) = use_.filter(|use_| !use_.hours.is_empty()) else {
        return Some("the report holds no past hour of its plans".to_owned());
    };
    if let Some(old) = stale(use_.horizon, facts.now, facts.config.policy.max_data_age.0) {
        return Some(old);
    }
    if facts.ledger.currencies.len() > 1 {
        let all: Vec<&str> = facts.ledger.currencies.iter().map(String::as_str).collect();
        return Some(format!(
            "the plans are in several currencies ({}), which do not add up",
            all.join(", ")
        ));
    }
    let mature_until = use_.horizon - facts.config.maturity.0;
    let trusted = Hour::of(mature_until - Duration::hours(TRUSTED_HOURS));
    let mut broken = use_
        .hours
        .range(trusted..)
        .filter(|(_, hour)| hour.contradictory)
        .map(|(hour, _)| *hour);
    if let Some(hour) = broken.next_back() {
        return Some(format!(
            "use and covered usage do not reconcile, or rows are missing, in the hour {hour}"
        ));
    }
    if !use_.hours.values().any(|hour| hour.mature) {
        return Some(format!(
            "no hour of the report is {} h older than its end yet",
            facts.config.maturity.0.num_hours()
        ));
    }
    let zeros = strange_zeros(use_);
    (zeros > 0 && zeros < UNBELIEVED_ZERO_HOURS).then(|| {
        format!("its use fell to nothing in the newest {zeros} mature hours: more likely rows that are still missing than idleness")
    })
}

/// How many of the newest mature hours show no use at all, where that is no part of the day's or week's shape.
fn strange_zeros(use_: &GroupUse) -> usize {
    let is_zero = |hour: Hour| {
        let of_hour = use_.hours.get(&hour).filter(|h| h.mature);
        of_hour.map(|h| h.used == Money::ZERO)
    };
    let mature = use_.hours.iter().rev().filter(|(_, h)| h.mature);
    let zeros: Vec<Hour> = mature
        .take_while(|(_, h)| h.used == Money::ZERO)
        .map(|(hour, _)| *hour)
        .collect();
    let is_usual = |hour: &Hour| {
        [DAY, WEEK]
            .iter()
            .any(|back| is_zero(hour.plus(-back)) == Some(true))
    };
    let all_idle = !use_.hours.values().any(|h| h.mature && h.used > Money::ZERO);
    if all_idle || zeros.iter().all(is_usual) {
        return 0;
    }
    zeros.len()
}

fn recent_excess(use_: &GroupUse) -> Vec<Money> {
    let mature = use_.hours.values().rev().filter(|hour| hour.mature);
    mature
        .take(24)
        .map(|hour| hour.demand() - hour.commitment)
        .collect()
}

/// This cluster's part of the headroom: configured, else split with the clusters that tell their demand, else its part
/// of the use that carries a cluster's tag.
fn share(facts: &Facts<'_>, group: &mut GroupNow, warnings: &mut Vec<Warning>) {
    if let Some(share) = facts.config.share {
        group.share = share.0;
        return;
    }
    let none = BTreeMap::new();
    let uses = facts.by_cluster.get(&group.id).unwrap_or(&none);
    let own = facts.identity.cluster.as_ref();
    let others: Vec<&str> = uses
        .keys()
        .filter(|name| Some(*name) != own)
        .map(String::as_str)
        .collect();
    let total: Money = uses.values().copied().sum();
    #[allow(clippy::cast_precision_loss)] // a handful of clusters
    let equal_part = 1.0 / (others.len() + usize::from(own.is_some())).max(1) as f64;
    // A cluster that has hardly used the plans yet must be able to begin.
    let by_tags = |name: &str| {
        let part = uses.get(name).and_then(|own| own.fraction_of(total));
        part.unwrap_or(0.0).max(equal_part * LEAST_SHARE)
    };
    if !others.is_empty() {
        let share = own.map_or(equal_part, |name| by_tags(name));
        group.share = (share * 1e4).round() / 1e4;
    }
    let tells = |name: &str| facts.peers.iter().any(|peer| peer.cluster == name);
    let silent: Vec<&str> = others.into_iter().filter(|name| !tells(name)).collect();
    let room = group.room().filter(|room| *room > Money::ZERO);
    if let Some(room) = room.filter(|_| !facts.peers.is_empty()) {
        let reserved = silent.iter().map(|name| by_tags(name)).sum();
        group.share = split(&group.id.to_string(), room, reserved, facts.peers);
    }
    // Else the one tagged cluster is most likely this one.
    if !silent.is_empty() && group.share < 1.0 {
        warnings.push(shared_plan(facts, group, uses, &silent));
    }
}

fn shared_plan(
    facts: &Facts<'_>,
    group: &GroupNow,
    uses: &BTreeMap<String, Money>,
    silent: &[&str],
) -> Warning {
    let basis = match facts.identity.cluster {
        Some(_) if !facts.peers.is_empty() => {
            format!(
                "split with those that tell their demand, which {} does not",
                silent.join(", ")
            )
        }
        Some(_) => "by its part of the use in the report".to_owned(),
        None => "an equal part, since the cluster's own name is not known (cluster.name)".to_owned(),
    };
    let message = format!(
        "group {} is used by {}: this cluster takes {:.0} % of its headroom, {basis}; set `share` to choose",
        group.id,
        uses.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        group.share * 100.0,
    );
    Warning::new(WarningCode::SharedPlan, message)
}
