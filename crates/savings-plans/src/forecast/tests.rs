use proptest::prelude::*;

use super::*;

/// A Monday, 00:00.
const MONDAY: i32 = 494_352;

fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap()
}

/// Levels of so many days from a Monday on.
fn known(days: i32, level: impl Fn(i32) -> f64) -> BTreeMap<Hour, Money> {
    (0..days * 24)
        .map(|hour| (Hour::from_index(MONDAY + hour), dollars(level(hour))))
        .collect()
}

/// The forecast for an hour of a day, counted from that Monday.
fn forecast_of(known: &BTreeMap<Hour, Money>, day: i32, hour: i32) -> Forecast {
    forecast(
        known,
        &BTreeMap::new(),
        Hour::from_index(MONDAY + day * 24 + hour),
    )
    .unwrap()
}

fn day_of_week(hour: i32) -> i32 {
    hour / 24 % 7
}

#[test]
fn a_steady_level_is_told_without_error() {
    let found = forecast_of(&known(28, |_| 7.0), 29, 11);
    assert_eq!(found.level, dollars(7.0));
    assert_eq!((found.at(0.0), found.at(1.0)), (dollars(7.0), dollars(7.0)));
}

#[test]
fn a_working_week_is_told_by_the_hour_of_the_week() {
    let level = |hour: i32| match day_of_week(hour) {
        5 | 6 => 2.0,
        _ => 6.0 + f64::from(hour % 24) / 4.0,
    };
    let found = forecast_of(&known(35, level), 36, 14); // a Tuesday, from hours until Sunday
    assert_eq!(found.predictor, Predictor::HourOfWeek);
    assert_eq!(found.level, dollars(9.5));
    assert_eq!(found.at(0.95), dollars(9.5));
    let weeks: Vec<i32> = found
        .basis
        .iter()
        .map(|basis| 36 * 24 + 14 - (basis.hour.index() - MONDAY))
        .collect();
    assert_eq!(weeks, [168, 336, 504, 672]);
}

#[test]
fn one_holiday_among_four_weeks_is_outvoted() {
    let level = |hour: i32| if hour / 24 == 15 { 1.0 } else { 6.0 };
    let found = forecast_of(&known(28, level), 29, 14); // 14 days after the holiday
    assert_eq!(found.level, dollars(6.0));
}

#[test]
fn a_step_is_followed_as_soon_as_a_day_of_it_has_matured() {
    // Others take 2 $/h more from day 20 on; asked two days later, of which one is in the report.
    let level = |hour: i32| 6.0 + f64::from(hour % 24) / 12.0 + if hour / 24 >= 20 { 2.0 } else { 0.0 };
    let found = forecast_of(&known(21, level), 22, 14);
    assert_eq!(found.level, dollars(6.0 + 14.0 / 12.0 + 2.0));
}

#[test]
fn what_the_ways_erred_is_the_forecasts_own_error() {
    // Every other day lies 1 $/h higher, in no way that a week repeats: no predictor can foresee which comes next.
    let high = |hour: i32| (hour / 24 * 7919 % 13) % 2 == 0;
    let found = forecast_of(&known(35, |hour| if high(hour) { 6.0 } else { 5.0 }), 36, 14);
    let width = found.at(0.95) - found.at(0.05);
    assert!(width >= dollars(1.0), "{found:?}");
    assert!(
        found.at(0.05) <= dollars(5.0) && found.at(0.95) >= dollars(6.0),
        "{found:?}"
    );
}

#[test]
fn errors_of_the_night_say_nothing_of_the_day() {
    let noise = |hour: i32| f64::from(hour * 7919 % 101) / 50.0;
    let level = |hour: i32| if hour % 24 < 6 { 4.0 + noise(hour) } else { 4.0 };
    let day = forecast_of(&known(28, level), 29, 15);
    let night = forecast_of(&known(28, level), 29, 2);
    let width = |found: &Forecast| found.at(0.95) - found.at(0.05);
    assert!(width(&day) < width(&night), "{day:?} {night:?}");
}

#[test]
fn a_young_history_is_as_uncertain_as_all_that_was_seen() {
    let level = |hour: i32| if hour % 24 == 18 { 1.0 } else { 9.9 };
    let found = forecast_of(&known(1, level), 2, 18);
    assert_eq!(found.level, dollars(1.0));
    assert_eq!((found.at(0.0), found.at(1.0)), (dollars(1.0), dollars(9.9)));
}

#[test]
fn the_hours_ahead_count_as_much_as_this_one() {
    // Quiet until noon, busy after: at 08:00 three of the next six hours are quiet, and of twelve most are busy.
    let level = |hour: i32| if hour % 24 < 11 { 2.0 } else { 8.0 };
    let found = forecast_of(&known(28, level), 29, 8);
    assert_eq!((found.at(0.9), found.over(1, 0.9)), (dollars(2.0), dollars(2.0)));
    assert_eq!(
        (found.over(6, 0.45), found.over(6, 0.55)),
        (dollars(2.0), dollars(8.0))
    );
    assert_eq!(found.over(12, 0.5), dollars(8.0));
}

#[test]
fn nothing_known_is_nothing_told() {
    assert_eq!(
        forecast(&BTreeMap::new(), &BTreeMap::new(), Hour::from_index(MONDAY)),
        None
    );
    // What lies after the hour asked for is not known in it.
    assert_eq!(
        forecast(&known(3, |_| 1.0), &BTreeMap::new(), Hour::from_index(MONDAY)),
        None
    );
}

#[test]
fn gaps_are_no_zeros() {
    let mut known = known(28, |_| 5.0);
    known.retain(|hour, _| hour.index() % 24 != 3 && !(480..520).contains(&(hour.index() - MONDAY)));
    let found = forecast_of(&known, 29, 3);
    assert_eq!(
        (found.level, found.at(0.0), found.at(1.0)),
        (dollars(5.0), dollars(5.0), dollars(5.0))
    );
}

#[test]
fn hours_that_are_still_coming_in_raise_a_forecast_and_never_lower_it() {
    let full = known(28, |hour| if hour / 24 == 27 { 0.0 } else { 3.0 });
    let told = |incomplete: [f64; 8]| {
        let hours = (MONDAY + 28 * 24..).map(Hour::from_index);
        let incomplete = hours.zip(incomplete.map(dollars)).collect();
        let target = Hour::from_index(MONDAY + 28 * 24 + 20);
        forecast(&full, &incomplete, target).unwrap()
    };
    // A day of nothing, by which the forecast goes, is over: the least that all of the newest six hours show counts.
    let over = told([0.0, 0.0, 2.9, 2.8, 2.9, 2.7, 2.6, 2.9]);
    assert_eq!((over.level, over.risen), (dollars(2.6), dollars(2.6)));
    assert_eq!(over.ahead[3][0], over.at(0.0));
    // One hour of nothing among them proves nothing.
    let in_doubt = told([2.9, 2.9, 2.9, 2.9, 0.0, 2.9, 2.9, 2.9]);
    assert_eq!((in_doubt.level, in_doubt.risen), (dollars(0.0), dollars(0.0)));
    // What is not there yet may still come.
    let steady = known(28, |_| 3.0);
    let hours = (MONDAY + 28 * 24..).map(Hour::from_index);
    let lacking = hours.zip([2.0; 8].map(dollars)).collect();
    let found = forecast(&steady, &lacking, Hour::from_index(MONDAY + 29 * 24)).unwrap();
    assert_eq!(found.level, dollars(3.0));
}

proptest! {
    /// What is added to every level is added to the forecast, and to nothing else: this cluster's own part, taken as
    /// it is now, shifts all hours alike.
    #[test]
    fn a_shift_of_all_levels_shifts_the_forecast(levels in prop::collection::vec(0_u32..1000, 30..900), shift in 0_u32..500, ahead in 1_i32..60) {
        let history = |by: u32| -> BTreeMap<Hour, Money> {
            let hours = levels.iter().zip(MONDAY..);
            hours.map(|(level, hour)| (Hour::from_index(hour), dollars(f64::from(level + by)))).collect()
        };
        let target = Hour::from_index(MONDAY + i32::try_from(levels.len()).unwrap() + ahead);
        let none = BTreeMap::new();
        let (plain, moved) = (forecast(&history(0), &none, target).unwrap(), forecast(&history(shift), &none, target).unwrap());
        prop_assert_eq!(moved.level - plain.level, dollars(f64::from(shift)));
        prop_assert_eq!(&moved.errors, &plain.errors);
        prop_assert!(plain.at(0.05) <= plain.at(0.5) && plain.at(0.5) <= plain.at(0.95));
    }
}
