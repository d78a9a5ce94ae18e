//! How often a weight may go up and down: it moves all that a pool launches, so small and short ups and downs cost more
//! than they gain.
//!
//! A weight always goes down at once. It goes up only if, whatever comes after, it will not have turned more than six
//! times in a day, nor been up for a short time more than twice.

use chrono::{DateTime, Duration, Utc};

use crate::state::Turns;

/// What lasts no longer than this is short, and so long a weight that has gone down stays down.
const SHORT_HOURS: i64 = 2;

/// How often it turned in the last day.
pub(super) fn lately(turned: &Turns, now: DateTime<Utc>) -> usize {
    let times = turned.iter().flatten();
    times.filter(|at| now - **at < Duration::days(1)).count()
}

/// True while a weight that is down stays so.
pub(super) fn rests(turned: Option<Turns>, now: DateTime<Utc>) -> bool {
    let Some(turned) = turned else {
        return false;
    };
    let turns = lately(&turned, now);
    let is_short = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>| {
        from.zip(to)
            .is_some_and(|(from, to)| to - from <= Duration::hours(SHORT_HOURS))
    };
    // The newest turn let it go down, the one before had let it go up, and so on.
    let was_short = |down: usize| down < turns && is_short(turned[down + 1], turned[down]);
    turns == turned.len() || is_short(turned[0], Some(now)) || (was_short(0) && was_short(2))
}

/// The turns, with one made now.
pub(crate) fn with_one(mut turned: Turns, now: DateTime<Utc>) -> Turns {
    turned.rotate_right(1);
    turned[0] = Some(now);
    turned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn hours_ago(hours: &[i64]) -> Turns {
        let mut turned = Turns::default();
        for (place, hours) in turned.iter_mut().zip(hours) {
            *place = Some(NOW - Duration::hours(*hours));
        }
        turned
    }

    #[test]
    fn a_weight_that_has_just_gone_down_stays_down() {
        assert!(rests(Some(hours_ago(&[1, 9])), NOW));
        assert!(!rests(Some(hours_ago(&[3, 9])), NOW));
        assert!(!rests(Some(hours_ago(&[])), NOW));
    }

    #[test]
    fn a_weight_that_was_up_for_a_short_time_twice_in_a_day_stays_down() {
        assert!(rests(Some(hours_ago(&[5, 6, 10, 11])), NOW));
        assert!(!rests(Some(hours_ago(&[5, 6, 10, 14])), NOW));
        assert!(!rests(Some(hours_ago(&[5, 6, 25, 26])), NOW));
    }

    #[test]
    fn pools_that_are_not_steered_by_their_weight_never_rest() {
        assert!(!rests(None, NOW));
    }

    proptest! {
        /// Whatever the plans have room for from one run to the next: at most six turns in any 24 hours, of which at
        /// most two take back the one before within two hours.
        #[test]
        fn no_day_sees_more_than_six_turns_nor_more_than_two_reversals(room in prop::collection::vec(any::<bool>(), 720)) {
            let (mut turned, mut was_up, mut turns) = (Turns::default(), false, Vec::new());
            for (step, has_room) in (0..).zip(room) {
                let now = NOW + Duration::minutes(10 * step);
                let is_up = has_room && (was_up || !rests(Some(turned), now));
                if is_up != was_up {
                    turned = with_one(turned, now);
                    turns.push(now);
                }
                was_up = is_up;
            }
            for (index, first) in turns.iter().enumerate() {
                let day = || (index..turns.len()).filter(|later| turns[*later] - *first < Duration::days(1));
                prop_assert!(day().count() <= 6, "{:?}", turns);
                let is_reversal = |later: &usize| {
                    *later > 0 && turns[*later] - turns[*later - 1] <= Duration::hours(SHORT_HOURS)
                };
                prop_assert!(day().filter(is_reversal).count() <= 2, "{:?}", turns);
            }
        }
    }
}
