//! Which plans the report itself shows not to reach an account.
//!
//! AWS applies a plan to all usage that it may pay for. On-demand usage that stays uncovered while a plan has room is out of
//! that plan's reach: sharing between the accounts is off, or restricted to groups. One such hour proves nothing (usage that
//! begins within an hour, restated hours, reservations that move), many do.

use std::collections::BTreeSet;

use super::ledger::{Ledger, Series, UsageClass};
use super::savings_plan::{GroupId, Plan};
use super::usage::{family, instance_type};
use super::utilization::{PlanUse, Utilization};
use brimful_types::hour::Hour;
use brimful_types::quantity::Quantity;

/// So many hours, on two days at least, are no accident.
const PROOF_HOURS: usize = 24;
/// So much of what a plan could have paid for must have stood uncovered in them.
const PROOF_PART: f64 = 0.9;
/// A plan has room when more than this part of its commitment is free.
const ROOM: f64 = 0.01;

/// The plans that share nothing with the account of a cluster, as the hours show in which its own usage stood uncovered
/// beside their room; by index. `owns` tells the cluster's usage. A plan of the account itself always reaches it.
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
            let mut seen = Uncovered::default();
            seen.note(ledger, plan, index, |series| {
                owns(series) && is_of(series, &group)
            });
            seen.is_proven().then_some(index)
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

/// What of a usage stood uncovered beside a plan's room.
#[derive(Default)]
struct Uncovered {
    hours: usize,
    days: BTreeSet<i32>,
    left: Quantity,
    all: Quantity,
}

impl Uncovered {
    fn note(&mut self, ledger: &Ledger, plan: &PlanUse, index: usize, counts: impl Fn(&Series) -> bool) {
        let has_room = plan.hours.iter().filter(|hour| {
            let free = hour.unused().zip(hour.commitment);
            hour.mature && free.is_some_and(|(free, commitment)| free > commitment.scale(ROOM))
        });
        let roomy: BTreeSet<Hour> = has_room.map(|hour| hour.hour).collect();
        let counted: Vec<Option<UsageClass>> = ledger
            .series
            .iter()
            .map(|series| Some(series.class).filter(|_| counts(series)))
            .collect();
        for cells in ledger.cells.chunk_by(|a, b| a.hour == b.hour) {
            let hour = cells[0].hour;
            if !roomy.contains(&hour) {
                continue;
            }
            let before = self.left;
            for cell in cells {
                match counted[cell.series as usize] {
                    Some(UsageClass::OnDemand) => {
                        self.left += cell.amount;
                        self.all += cell.amount;
                    }
                    Some(UsageClass::Covered(by)) if by == index => self.all += cell.amount,
                    _ => {}
                }
            }
            if self.left > before {
                self.hours += 1;
                self.days.insert(hour.index().div_euclid(24));
            }
        }
    }

    fn is_proven(&self) -> bool {
        self.hours >= PROOF_HOURS && self.days.len() >= 2 && self.left.units() > PROOF_PART * self.all.units()
    }
}
