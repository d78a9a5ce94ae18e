//! Forecasts a level (of demand, $/h) for an hour that no report shows yet, from hours that are a day or more old,
//! and says how far such forecasts were off on the very same history.
//!
//! There is no model to tune. A few plain ways of forecasting are replayed on the past, at the same distance as that
//! between the newest known hour and the one asked for. The predictor that would have erred least is used, and its errors
//! then are the forecast's own range.

use std::collections::BTreeMap;

use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// Hours.
const DAY: i32 = 24;
const WEEK: i32 = 7 * DAY;
/// How many weeks back [`Predictor::HourOfWeek`] looks: one holiday or incident among so many is outvoted.
const WEEKS: i32 = 4;
/// How many days [`Predictor::HourOfDay`] looks at.
const DAYS: usize = 3;
/// The most hours that any predictor looks at.
const MOST_TOLD: usize = 4;
/// Hours on which the ways are replayed: each hour of the week comes twice.
const REPLAYED: i32 = 2 * WEEK;
/// Fewer replays than so many say nothing.
const ENOUGH: usize = 24;
/// Hours of a day, as a count.
const HOURS: usize = 24;
/// So many of a day's hours may be missing from its mean.
const MAY_LACK: usize = 4;
/// Errors differ by the time of day: where there are enough of them, those within so many hours of the target's count.
const NEAR: i32 = 3;
/// So many of the newest hours, whose rows are still coming in, must all show more than was forecast for them.
const RISING: usize = 6;

/// A way to forecast a level from older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predictor {
    /// The same hour of the last weeks, moved by what the hours of a day have changed since, in the median.
    HourOfWeek,
    /// The same hour of the last days, moved likewise.
    HourOfDay,
    /// The mean of the newest day.
    DailyMean,
    /// The newest hours.
    Newest,
}

/// All ways; of those that err alike the first is taken.
const PREDICTORS: [Predictor; 4] = [
    Predictor::HourOfWeek,
    Predictor::HourOfDay,
    Predictor::DailyMean,
    Predictor::Newest,
];

/// A level that was not seen, and how sure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// How it was forecast.
    pub predictor: Predictor,
    /// The best guess, $/h.
    pub level: Money,
    /// What of it the newest hours show beyond what was forecast for them, $/h: their rows are still coming in, so they
    /// tell the least that they can be.
    pub risen: Money,
    /// What such forecasts were off by, seen − forecast, ascending. Never empty.
    pub errors: Vec<Money>,
    /// The hours that the guess rests on, newest first: it is the median of their levels, each moved by its part, and what
    /// has risen since.
    pub basis: Vec<Basis>,
    /// The hours after it, nearest first: what each may be, ascending.
    pub ahead: Vec<Vec<Money>>,
}

/// An old hour that a forecast rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// The hour.
    pub hour: Hour,
    /// What the hours of a day have changed since then, in the median, $/h.
    pub moved: Money,
}

impl Forecast {
    /// The level that is not exceeded with a probability of `quantile` (0 to 1).
    #[must_use]
    pub fn at(&self, quantile: f64) -> Money {
        let error = self.errors.get(rank(self.errors.len(), quantile));
        self.level + error.copied().unwrap_or_default()
    }

    /// The same of a level taken at random from this hour and the `hours` − 1 after it.
    #[must_use]
    pub fn over(&self, hours: usize, quantile: f64) -> Money {
        let mut levels = self.levels(hours);
        let rank = rank(levels.len(), quantile);
        if levels.is_empty() {
            return Money::ZERO;
        }
        *levels.select_nth_unstable(rank).1
    }

    /// What this hour and the `hours` − 1 after it may be: each by each error.
    #[must_use]
    pub fn levels(&self, hours: usize) -> Vec<Money> {
        let now = self.errors.iter().map(|error| self.level + *error);
        let after = self.ahead.iter().take(hours.saturating_sub(1)).flatten().copied();
        now.chain(after).collect()
    }
}

/// The place of a quantile among so many sorted values.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among a few thousand values"
)]
fn rank(count: usize, quantile: f64) -> usize {
    (quantile.clamp(0.0, 1.0) * count.saturating_sub(1) as f64).round() as usize
}

/// Forecasts the level at `target` from the hours known before it; `None` when there are none. Of the hours in `incomplete`
/// only the least is known that they can be.
#[must_use]
pub fn forecast(
    known: &BTreeMap<Hour, Money>,
    incomplete: &BTreeMap<Hour, Money>,
    target: Hour,
) -> Option<Forecast> {
    let past = Past::of(known, target)?;
    let lag = target.index() - past.newest;
    let tried = PREDICTORS.map(|predictor| (predictor, past.replay(predictor, lag)));
    let mean_error = |errors: &[(i32, Money)]| {
        let sum: Money = errors.iter().map(|(_, error)| error.abs()).sum();
        sum.picos() / i128::try_from(errors.len()).unwrap_or(1).max(1)
    };
    let best = tried
        .into_iter()
        .filter(|(predictor, errors)| {
            errors.len() >= ENOUGH && past.predict(*predictor, target.index(), past.newest).is_some()
        })
        .min_by_key(|(_, errors)| mean_error(errors));
    if let Some((predictor, mut errors)) = best {
        errors.sort_unstable_by_key(|(_, error)| *error);
        let risen = past.risen(predictor, incomplete);
        let (level, basis) = past.predict(predictor, target.index(), past.newest)?;
        let ahead = (1..DAY).map_while(|hour| {
            let (level, _) = past.predict(predictor, target.index() + hour, past.newest)?;
            let errors = near(&errors, target.plus(hour));
            Some(errors.into_iter().map(|error| level + risen + error).collect())
        });
        return Some(Forecast {
            predictor,
            level: level + risen,
            risen,
            errors: near(&errors, target),
            basis,
            ahead: ahead.collect(),
        });
    }
    // The history is too short to replay anything: all levels ever seen make the range.
    let (predictor, (level, basis)) = [Predictor::HourOfDay, Predictor::Newest]
        .into_iter()
        .find_map(|predictor| Some((predictor, past.predict(predictor, target.index(), past.newest)?)))?;
    let mut errors: Vec<Money> = past.levels.iter().flatten().map(|seen| *seen - level).collect();
    errors.sort_unstable();
    Some(Forecast {
        predictor,
        level,
        risen: Money::ZERO,
        errors,
        basis,
        ahead: Vec::new(),
    })
}

/// Errors of replays near the target's hour of the day, else all of them; ascending, as they come.
fn near(errors: &[(i32, Money)], target: Hour) -> Vec<Money> {
    let is_near = |hour: i32| {
        let apart = (hour - target.index()).rem_euclid(DAY);
        apart.min(DAY - apart) <= NEAR
    };
    let close = || errors.iter().filter(|(hour, _)| is_near(*hour));
    let count = close().count();
    if count < ENOUGH {
        return errors.iter().map(|(_, error)| *error).collect();
    }
    // A forecast asks for each hour of a day: no list of these grows step by step.
    let mut found = Vec::with_capacity(count);
    found.extend(close().map(|(_, error)| *error));
    found
}

/// Levels by hour, without gaps in the numbering.
struct Past {
    first: i32,
    newest: i32,
    levels: Vec<Option<Money>>,
    /// Mean of the day that ends with each hour, if nearly all of it was seen. Every predictor of every replay asks for some.
    means: Vec<Option<Money>>,
}

impl Past {
    fn of(known: &BTreeMap<Hour, Money>, target: Hour) -> Option<Self> {
        let before = || known.range(..target);
        let (first, newest) = (before().next()?.0.index(), before().next_back()?.0.index());
        let mut levels = vec![None; usize::try_from(newest - first + 1).ok()?];
        for (hour, level) in before() {
            if let Some(place) = usize::try_from(hour.index() - first)
                .ok()
                .and_then(|i| levels.get_mut(i))
            {
                *place = Some(*level);
            }
        }
        let mut sums = vec![(Money::ZERO, 0)];
        let (mut sum, mut count) = (Money::ZERO, 0);
        for level in &levels {
            if let Some(level) = level {
                sum += *level;
                count += 1;
            }
            sums.push((sum, count));
        }
        let mean = |day: &[(Money, usize)]| {
            let ((before, none), (until, all)) = (day.first()?, day.last()?);
            let count = all - none;
            (count + MAY_LACK >= HOURS)
                .then(|| Money::from_picos((*until - *before).picos() / i128::try_from(count).unwrap_or(1)))
        };
        // No day ends with the first hours.
        let means = std::iter::repeat_n(None, HOURS - 1).chain(sums.windows(HOURS + 1).map(mean));
        Some(Self {
            first,
            newest,
            means: means.collect(),
            levels,
        })
    }

    fn seen(&self, hour: i32) -> Option<Money> {
        let index = usize::try_from(hour - self.first).ok()?;
        self.levels.get(index).copied().flatten()
    }

    fn daily_mean(&self, last: i32) -> Option<Money> {
        let index = usize::try_from(last - self.first).ok()?;
        self.means.get(index).copied().flatten()
    }

    /// What the day that ends with `newest` has changed against the one `back` hours before: the median of its hours'
    /// changes, so that a burst or an outage of some hours, once over, moves nothing.
    fn change(&self, newest: i32, back: i32) -> Option<Money> {
        let mut changes = [Money::ZERO; HOURS];
        let mut count = 0;
        let day =
            (newest - DAY + 1..=newest).filter_map(|hour| Some(self.seen(hour)? - self.seen(hour - back)?));
        for (place, change) in changes.iter_mut().zip(day) {
            *place = change;
            count += 1;
        }
        let changes = changes.get_mut(..count).filter(|_| count + MAY_LACK >= HOURS)?;
        Some(*changes.select_nth_unstable(count / 2).1)
    }

    /// The level at `target` as it would have been forecast when `newest` was the newest hour, and from which hours.
    fn predict(&self, predictor: Predictor, target: i32, newest: i32) -> Option<(Money, Vec<Basis>)> {
        let mut hours = Vec::new();
        let level = self.level(predictor, target, newest, &mut hours)?;
        let basis = hours.into_iter().map(|(hour, _, moved)| Basis {
            hour: Hour::from_index(hour),
            moved,
        });
        Some((level, basis.collect()))
    }

    /// The same level; `hours` becomes the hours with their levels and by how much each is moved.
    fn level(
        &self,
        predictor: Predictor,
        target: i32,
        newest: i32,
        hours: &mut Vec<(i32, Money, Money)>,
    ) -> Option<Money> {
        hours.clear();
        let change = |back: i32| self.change(newest, back);
        match predictor {
            Predictor::HourOfWeek => hours.extend(
                (1..=WEEKS)
                    .map(|weeks| weeks * WEEK)
                    .filter(|back| target - back <= newest)
                    .filter_map(|back| Some((target - back, self.seen(target - back)?, change(back)?))),
            ),
            Predictor::HourOfDay => {
                let nearest = (target - newest + DAY - 1).div_euclid(DAY);
                let days = (nearest..nearest + 7).filter_map(|days| {
                    let level = self.seen(target - days * DAY)?;
                    let moved = change((days - nearest) * DAY).unwrap_or_default();
                    Some((target - days * DAY, level, moved))
                });
                hours.extend(days.take(DAYS));
            }
            Predictor::DailyMean => hours.push((newest, self.daily_mean(newest)?, Money::ZERO)),
            Predictor::Newest => hours.extend(
                (0..6)
                    .filter_map(|back| Some((newest - back, self.seen(newest - back)?, Money::ZERO)))
                    .take(DAYS),
            ),
        }
        median(hours.iter().map(|(_, level, moved)| *level + *moved))
    }

    /// By how much all of the newest hours whose rows are still coming in show more than is forecast for them. What falls
    /// shows only once all rows are there.
    fn risen(&self, predictor: Predictor, incomplete: &BTreeMap<Hour, Money>) -> Money {
        let newest = incomplete.iter().rev().take(RISING);
        let beyond = newest.map(|(hour, least)| {
            let (told, _) = self.predict(predictor, hour.index(), self.newest)?;
            Some(*least - told)
        });
        let beyond: Vec<Money> = beyond.flatten().collect();
        let least = beyond.iter().min().filter(|_| beyond.len() == RISING);
        least.copied().unwrap_or_default().or_zero()
    }

    /// How far a predictor would have been off in the hours that were seen since, seen − forecast.
    fn replay(&self, predictor: Predictor, lag: i32) -> Vec<(i32, Money)> {
        let mut hours = Vec::new();
        let replayed = (self.newest - REPLAYED + 1..=self.newest).filter_map(|hour| {
            let seen = self.seen(hour)?;
            Some((hour, seen - self.level(predictor, hour, hour - lag, &mut hours)?))
        });
        replayed.collect()
    }
}

/// The middle value of a few; the mean of the two middle ones of an even number.
fn median(levels: impl Iterator<Item = Money>) -> Option<Money> {
    let mut sorted = [Money::ZERO; MOST_TOLD];
    let mut count = 0;
    for (place, level) in sorted.iter_mut().zip(levels) {
        *place = level;
        count += 1;
    }
    let sorted = sorted.get_mut(..count)?;
    sorted.sort_unstable();
    let middle = count / 2;
    let upper = *sorted.get(middle)?;
    if count % 2 == 1 {
        return Some(upper);
    }
    Some(Money::from_picos((sorted[middle - 1] + upper).picos() / 2))
}

#[cfg(test)]
mod tests;
