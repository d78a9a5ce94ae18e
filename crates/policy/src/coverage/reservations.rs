//! Reserved Instances that have ended. What they paid for runs on, and the plans are asked for it: in the hours before, too,
//! if those are to tell what is to come.

use std::collections::BTreeMap;

use brimful_savings_plans::ledger::{Ledger, Series, UsageClass};
use brimful_savings_plans::usage::{family, instance_type};
use brimful_types::by_hour::ByHour;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// What others pay must grow by this part of what reservations pay less, in that very hour, and those must not come back.
const PROOF: f64 = 0.9;
/// $/h. Less is rounding, or a reservation that moved.
const LEAST: Money = Money::from_picos(50_000_000_000);

/// A family in a region: a reservation may pay for any size of it.
type Scope<'a> = (&'a str, &'a str);

/// The scope of an instance's usage.
pub(super) fn scope(series: &Series) -> Option<Scope<'_>> {
    series
        .is_instance
        .then(|| (family(instance_type(&series.usage_type)), &*series.region))
}

/// By scope, when reservations ended, and what they had paid for, $/h at SP rates.
#[derive(Debug, Default)]
pub(super) struct Ended<'a>(BTreeMap<Scope<'a>, Vec<(Hour, Money)>>);

impl<'a> Ended<'a> {
    /// What a report shows. `rates` has what a unit of each series costs, and nothing is missing of the hours that are
    /// `complete`.
    pub(super) fn of(
        ledger: &'a Ledger,
        rates: &[Option<Money>],
        complete: impl Iterator<Item = Hour>,
    ) -> Self {
        let reserved = ledger
            .series
            .iter()
            .filter(|series| series.class == UsageClass::Reserved);
        // Hour by hour: what reservations paid for, and what else was.
        let unused: ByHour<Option<(Money, Money)>> = complete.map(|hour| (hour, None)).collect();
        let mut paid = BTreeMap::new();
        for scope in reserved.filter_map(scope) {
            paid.entry(scope).or_insert_with(|| unused.clone());
        }
        for ((series, cells), rate) in ledger.usage().zip(rates) {
            let hours = scope(series).and_then(|scope| paid.get_mut(&scope));
            let Some((hours, rate)) = hours.zip(*rate) else {
                continue;
            };
            for cell in cells {
                let Some(sums) = hours.get_mut(cell.hour) else {
                    continue;
                };
                let (reserved, others) = sums.get_or_insert_default();
                let sum = if series.class == UsageClass::Reserved {
                    reserved
                } else {
                    others
                };
                *sum += cell.amount.at(rate);
            }
        }
        let ended = paid.into_iter().map(|(scope, hours)| {
            let used = hours.into_iter().filter_map(|(hour, sums)| {
                let (reserved, others) = sums?;
                Some((hour, reserved, others))
            });
            (scope, ends(&used.collect::<Vec<_>>()))
        });
        Self(ended.filter(|(_, ends)| !ends.is_empty()).collect())
    }

    /// Of what reservations paid for in an hour, what they do not pay for any more.
    pub(super) fn asked_since(&self, scope: Scope<'_>, hour: Hour, reserved: Money) -> Money {
        let later = self
            .0
            .get(&scope)
            .into_iter()
            .flatten()
            .filter(|(end, _)| *end > hour);
        let ended: Money = later.map(|(_, amount)| *amount).sum();
        ended.min(reserved)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The ends that a scope's hours show, newest first.
fn ends(hours: &[(Hour, Money, Money)]) -> Vec<(Hour, Money)> {
    let mut found = Vec::new();
    let mut most = Money::ZERO;
    for pair in hours.windows(2).rev() {
        let ((before, reserved_then, others_then), (hour, reserved, others)) = (pair[0], pair[1]);
        most = most.max(reserved);
        let ended = reserved_then - most;
        let is_next = before.plus(1) == hour;
        if is_next && ended >= LEAST && others - others_then >= ended.scale(PROOF) {
            found.push((hour, ended));
            most = reserved_then;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours in which reservations, and others, paid so many dollars.
    fn found(hours: &[(i64, i64)]) -> Vec<(i32, i64)> {
        let money = |dollars: i64| Money::from_picos(i128::from(dollars) * 1_000_000_000_000);
        let hours: Vec<(Hour, Money, Money)> = hours
            .iter()
            .zip(0..)
            .map(|((reserved, others), hour)| (Hour::from_index(hour), money(*reserved), money(*others)))
            .collect();
        let whole = |amount: Money| i64::try_from(amount.picos() / 1_000_000_000_000).unwrap();
        ends(&hours)
            .into_iter()
            .map(|(hour, amount)| (hour.index(), whole(amount)))
            .collect()
    }

    #[test]
    fn a_reservation_ends_where_others_pay_what_it_did_from_that_hour_on() {
        assert_eq!(found(&[(5, 1), (5, 1), (0, 6), (0, 6)]), [(2, 5)]);
        assert_eq!(found(&[(8, 0), (5, 3), (5, 3), (0, 8)]), [(3, 5), (1, 3)]);
    }

    #[test]
    fn instances_that_stop_and_reservations_that_come_back_are_no_end() {
        assert_eq!(found(&[(5, 1), (5, 1), (0, 1), (0, 1)]), []);
        assert_eq!(found(&[(5, 1), (0, 6), (5, 1), (5, 1)]), []);
    }
}
