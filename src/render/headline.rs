//! What people ask for first: what stands unused now, what that is a month, and how much would change.

use super::json::{PlanDocument, PlanNow};
use super::text::{dollars, rate};
use brimful_types::money::Money;

/// Hours of a month as AWS and `FinOps` reckon them: 8,760 / 12.
pub(super) const HOURS_PER_MONTH: i64 = 730;

/// The first line of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headline {
    /// Commitment − estimated use of the plans that nodes can use and whose use is known, $/h; `None` if it is of none.
    pub(crate) unused: Option<Money>,
    /// Plans in force that nodes can use, but of which the report does not show enough.
    pub(crate) unknown: usize,
    /// Fields that `apply` would change.
    pub(crate) changes: usize,
    /// True when no managed pool could be decided: the figures may be old, or contradict each other.
    pub(crate) is_frozen: bool,
}

impl Headline {
    /// The headline of a plan, which may be frozen.
    pub(crate) fn of(document: &PlanDocument, is_frozen: bool) -> Self {
        let in_force = || document.plans.iter().filter(|plan| is_in_a_group(document, plan));
        let known: Vec<Money> = in_force().filter_map(unused).collect();
        Self {
            unused: (!known.is_empty()).then(|| known.iter().copied().sum()),
            unknown: in_force().count() - known.len(),
            changes: document.changes.len(),
            is_frozen,
        }
    }

    /// What stands unused: `$0.435/h of Savings Plans stands unused now: $318 a month`.
    pub(crate) fn sentence(self) -> String {
        let unknown = match self.unknown {
            0 => String::new(),
            1 => " (of 1 plan it is not known)".to_owned(),
            count => format!(" (of {count} plans it is not known)"),
        };
        match self.unused {
            None if self.unknown == 0 => "No Savings Plan in force that nodes can use".to_owned(),
            None => "What stands unused now is not known".to_owned(),
            Some(unused) => {
                let frozen = if self.is_frozen {
                    "Frozen; by the figures at hand "
                } else {
                    ""
                };
                let (rate, month) = (rate(Some(unused)), whole(unused * HOURS_PER_MONTH));
                format!("{frozen}{rate} of Savings Plans stands unused now: {month} a month{unknown}")
            }
        }
    }

    /// `2 changes`.
    pub(crate) fn changes(self) -> String {
        match self.changes {
            0 => "nothing to change".to_owned(),
            1 => "1 change".to_owned(),
            count => format!("{count} changes"),
        }
    }
}

/// What of a plan is not used now, by the estimate, $/h.
pub(crate) fn unused(plan: &PlanNow) -> Option<Money> {
    Some((plan.commitment? - plan.nowcast?.used).or_zero())
}

fn is_in_a_group(document: &PlanDocument, plan: &PlanNow) -> bool {
    document
        .groups
        .iter()
        .any(|group| group.plans.contains(&plan.arn))
}

/// Dollars; cents only below ten.
pub(crate) fn whole(money: Money) -> String {
    let amount = money.dollars();
    if amount.abs() < 10.0 {
        let sign = if amount < 0.0 { "-" } else { "" };
        return format!("{sign}${:.2}", amount.abs());
    }
    dollars(amount)
}
