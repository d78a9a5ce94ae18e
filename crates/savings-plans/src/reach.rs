//! Which plans the report itself shows not to reach an account.
//!
//! AWS applies a plan to all usage that it may pay for. On-demand usage that stays uncovered while a plan has room is out of
//! that plan's reach: sharing between the accounts is off, or restricted to groups. One such hour proves nothing (usage that
//! begins within an hour, restated hours, reservations that move), many do.

use std::collections::BTreeSet;

use super::ledger::{Cell, Ledger, Series, UsageClass};
use super::savings_plan::{GroupId, Plan};
use super::usage::{family, instance_type};
use super::utilization::{PlanUse, Utilization};
use brimful_types::by_hour::ByHour;
use brimful_types::hour::Hour;
use brimful_types::quantity::Quantity;

/// So many hours, on two days at least, are no accident.
const PROOF_HOURS: usize = 24;
/// So much of what a plan could have paid for must have stood uncovered in them.
const PROOF_PART: f64 = 0.9;
/// A plan has room when more than this part of its commitment is free.
const ROOM: f64 = 0.01;

/// The plans that share nothing with an account, as the hours show in which its usage stood uncovered beside their room; by
/// index. `owns` tells the account's usage, tagged or not. A plan of the account itself always reaches it.
#[must_use]
pub fn out_of_reach(
    ledger: &Ledger,
    utilization: &Utilization,
    account: &str,
    owns: impl Fn(&Series) -> bool,
) -> Vec<usize> {
    let foreign = |plan: &Plan| plan.owner.as_deref().is_some_and(|owner| owner != account);
    let plans = utilization.plans.iter().enumerate();
    plans
        .filter(|(_, plan)| foreign(&plan.plan))
        .filter_map(|(index, plan)| {
            let group = plan.plan.group()?;
            let counts = |series: &Series| owns(series) && is_of(series, &group);
            beside(ledger, plan, index, counts).is_proven().then_some(index)
        })
        .collect()
}

/// True for instances that a group's plans could pay for.
fn is_of(series: &Series, group: &GroupId) -> bool {
    series.is_instance
        && match group {
            GroupId::Compute => true,
            GroupId::Ec2Instance { family: of, region } => {
                *region == *series.region && family(instance_type(&series.usage_type)) == of
            }
        }
}

/// What of a usage stood uncovered beside room of the plans that could have paid for it.
#[derive(Debug, Clone, Default)]
pub struct Uncovered {
    /// When: no more hours than are enough.
    hours: BTreeSet<Hour>,
    left: Quantity,
    all: Quantity,
}

impl Uncovered {
    /// Adds usage of an hour with room.
    pub fn note(&mut self, cell: &Cell, is_covered: bool) {
        self.all += cell.amount;
        if is_covered {
            return;
        }
        self.left += cell.amount;
        if !self.is_no_accident() {
            self.hours.insert(cell.hour);
        }
    }

    /// True where it stood so in so many hours, on two days at least, that it is no accident.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.is_no_accident() && self.left.units() > PROOF_PART * self.all.units()
    }

    fn is_no_accident(&self) -> bool {
        let day = |hour: Option<&Hour>| hour.map(|hour| hour.index().div_euclid(24));
        self.hours.len() >= PROOF_HOURS && day(self.hours.first()) != day(self.hours.last())
    }
}

/// What of the usage that counts stood uncovered in the hours in which a plan had room.
fn beside(ledger: &Ledger, plan: &PlanUse, index: usize, counts: impl Fn(&Series) -> bool) -> Uncovered {
    let has_room = plan.hours.iter().filter(|hour| {
        let free = hour.unused().zip(hour.commitment);
        hour.mature && free.is_some_and(|(free, commitment)| free > commitment.scale(ROOM))
    });
    let roomy: ByHour<()> = has_room.map(|hour| hour.hour).collect();
    let mut seen = Uncovered::default();
    for (series, cells) in ledger.usage() {
        let is_covered = match series.class {
            UsageClass::OnDemand => false,
            UsageClass::Covered(by) if by == index => true,
            _ => continue,
        };
        if !counts(series) {
            continue;
        }
        for cell in cells {
            if cell.amount > Quantity::ZERO && roomy.contains(cell.hour) {
                seen.note(cell, is_covered);
            }
        }
    }
    seen
}
