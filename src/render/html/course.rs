//! The course of the plans over the hours of the report: what was used, what went unused, what may still be delivered.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::chart::{self, CHARTS, INCOMPLETE, Layer, Levels, UNUSED, USED};
use super::{id, percent, scope, whole};
use crate::analysis::Analysis;
use brimful_savings_plans::utilization::{HourUse, PlanUse};
use brimful_types::Result;
use brimful_types::money::Money;

/// A plan's use over the hours of the report.
#[derive(Serialize)]
pub(super) struct Course {
    id: String,
    scope: String,
    chart: String,
    summary: String,
    days: Vec<DayRow>,
}

#[derive(Serialize)]
struct DayRow {
    day: String,
    hours: usize,
    commitment: String,
    used: String,
    unused: String,
    utilization: String,
}

/// The plans drawn, those that matter most, and how many are not: the most went unused of them or was paid on demand
/// beyond them, and of equals the larger ones.
pub(super) fn courses(analysis: &Analysis) -> Result<(Vec<Course>, usize)> {
    let plans = analysis
        .utilization
        .plans
        .iter()
        .filter(|plan| !plan.hours.is_empty());
    let complete = |plan: &PlanUse| Sums::of(plan.hours.iter().filter(|hour| hour.complete));
    let mut plans: Vec<(Sums, &PlanUse)> = plans.map(|plan| (complete(plan), plan)).collect();
    plans.sort_by_key(|(sums, plan)| {
        let matters = (sums.unused().max(sums.spill), sums.commitment);
        (Reverse(matters), plan.plan.arn.as_str())
    });
    let undrawn = plans.len().saturating_sub(CHARTS);
    plans.truncate(CHARTS);
    let courses = plans.into_iter().map(|(sums, plan)| course(sums, plan));
    Ok((courses.collect::<Result<_>>()?, undrawn))
}

fn course(sums: Sums, plan: &PlanUse) -> Result<Course> {
    let levels = |of: fn(&HourUse) -> Option<Money>, complete: Option<bool>| -> Levels {
        let hours = plan
            .hours
            .iter()
            .filter(|hour| complete.is_none_or(|complete| hour.complete == complete));
        hours
            .filter_map(|hour| Some((hour.hour, of(hour)?.dollars())))
            .collect()
    };
    let layers = [
        Layer::area(levels(|hour| hour.commitment, Some(false)), INCOMPLETE),
        Layer::area(levels(|hour| hour.commitment, Some(true)), UNUSED),
        Layer::area(levels(|hour| hour.used, None), USED),
    ];
    let mut days: BTreeMap<NaiveDate, Vec<&HourUse>> = BTreeMap::new();
    for hour in plan.hours.iter().filter(|hour| hour.complete) {
        days.entry(hour.hour.start().date_naive()).or_default().push(hour);
    }
    let day = |(day, hours): (NaiveDate, Vec<&HourUse>)| {
        let sums = Sums::of(hours.iter().copied());
        DayRow {
            day: day.to_string(),
            hours: hours.len(),
            commitment: whole(sums.commitment),
            used: whole(sums.used),
            unused: whole(sums.unused()),
            utilization: sums.utilization(),
        }
    };
    Ok(Course {
        id: id(&plan.plan.arn),
        scope: scope(plan.plan.group().as_ref(), plan.plan.kind),
        chart: chart::draw(&layers, "%b %d")?,
        summary: format!(
            "{} of {} went unused in {} complete hours, {} was used",
            whole(sums.unused()),
            whole(sums.commitment),
            sums.hours,
            sums.utilization()
        ),
        days: days.into_iter().map(day).collect(),
    })
}

/// Totals of the hours of which both figures are known, $.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    hours: usize,
    commitment: Money,
    used: Money,
    /// What was paid on demand beyond the plan, as far as it is this plan's part.
    spill: Money,
}

impl Sums {
    pub(super) fn of<'a>(hours: impl Iterator<Item = &'a HourUse>) -> Self {
        let known = hours.filter_map(|hour| {
            let (commitment, used) = hour.commitment.zip(hour.used)?;
            Some((commitment, used, hour.demand.unwrap_or(used)))
        });
        known.fold(Self::default(), |sums, (commitment, used, demand)| Self {
            hours: sums.hours + 1,
            commitment: sums.commitment + commitment,
            used: sums.used + used,
            spill: sums.spill + (demand - used),
        })
    }

    fn unused(self) -> Money {
        self.commitment - self.used
    }

    pub(super) fn utilization(self) -> String {
        percent(self.used.fraction_of(self.commitment))
    }
}
