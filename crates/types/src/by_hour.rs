//! A value for each of some hours, found as fast as in a table of hours side by side.
//!
//! It is no such table, since a report may name hours that lie a thousand years apart.

use crate::hour::Hour;

/// A value for each of some hours, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByHour<T> {
    hours: Vec<Hour>,
    values: Vec<T>,
}

impl<T> ByHour<T> {
    /// The value of an hour, if it is one of them.
    #[must_use]
    #[inline]
    pub fn get(&self, hour: Hour) -> Option<&T> {
        self.values.get(place(&self.hours, hour)?)
    }

    /// The value of an hour, to be changed.
    #[inline]
    pub fn get_mut(&mut self, hour: Hour) -> Option<&mut T> {
        self.values.get_mut(place(&self.hours, hour)?)
    }

    /// True for one of the hours.
    #[must_use]
    #[inline]
    pub fn contains(&self, hour: Hour) -> bool {
        place(&self.hours, hour).is_some()
    }
}

impl<T> IntoIterator for ByHour<T> {
    type Item = (Hour, T);
    type IntoIter = std::iter::Zip<std::vec::IntoIter<Hour>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.hours.into_iter().zip(self.values)
    }
}

/// Of an hour that comes more than once the first value counts.
impl<T> FromIterator<(Hour, T)> for ByHour<T> {
    fn from_iter<I: IntoIterator<Item = (Hour, T)>>(values: I) -> Self {
        let mut values: Vec<(Hour, T)> = values.into_iter().collect();
        values.sort_by_key(|(hour, _)| *hour);
        values.dedup_by_key(|(hour, _)| *hour);
        let (hours, values) = values.into_iter().unzip();
        Self { hours, values }
    }
}

/// The hours alone.
impl FromIterator<Hour> for ByHour<()> {
    fn from_iter<I: IntoIterator<Item = Hour>>(hours: I) -> Self {
        hours.into_iter().map(|hour| (hour, ())).collect()
    }
}

/// Where an hour stands among hours in order. Most follow one another without a gap, so it is looked for first where it
/// would be then.
#[inline]
fn place(hours: &[Hour], hour: Hour) -> Option<usize> {
    let since_first = hour.index().wrapping_sub(hours.first()?.index());
    let guess = since_first.cast_unsigned() as usize;
    if hours.get(guess) == Some(&hour) {
        return Some(guess);
    }
    hours.binary_search(&hour).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_found_with_and_without_gaps_and_however_far_apart() {
        let hours = [7, i32::MIN, 5, 6, i32::MAX, 9].map(Hour::from_index);
        let mut found: ByHour<i32> = hours.iter().map(|hour| (*hour, hour.index())).collect();
        for hour in hours {
            assert_eq!(found.get(hour), Some(&hour.index()));
        }
        for missing in [8, 10, 4, 0].map(Hour::from_index) {
            assert!(!found.contains(missing) && found.get_mut(missing).is_none());
        }
        let in_order: Vec<i32> = found.into_iter().map(|(_, value)| value).collect();
        assert_eq!(in_order, [i32::MIN, 5, 6, 7, 9, i32::MAX]);
    }
}
