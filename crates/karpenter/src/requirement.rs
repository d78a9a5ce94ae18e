//! Label requirements and the sets of values they allow, with the algebra of Karpenter's `scheduling.Requirement`.

use std::collections::{BTreeMap, BTreeSet};

use super::json::At;
use super::labels;
use brimful_types::Result;

/// The values that a label may take: a finite set, or everything but a finite set, within whole-number bounds.
///
/// A label that must not exist is the empty set, as in Karpenter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueSet {
    complement: bool,
    values: BTreeSet<String>,
    at_least: Option<i64>,
    at_most: Option<i64>,
}

impl ValueSet {
    /// Every value: no requirement, or `Exists`.
    pub const ANY: Self = Self {
        complement: true,
        values: BTreeSet::new(),
        at_least: None,
        at_most: None,
    };

    /// No value: `DoesNotExist`, or a contradiction.
    pub const NONE: Self = Self {
        complement: false,
        values: BTreeSet::new(),
        at_least: None,
        at_most: None,
    };

    /// Exactly `values`: `In`.
    #[must_use]
    pub fn one_of<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self {
            values: values.into_iter().map(Into::into).collect(),
            ..Self::NONE
        }
    }

    /// Everything but `values`: `NotIn`.
    #[must_use]
    pub fn none_of<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self {
            values: values.into_iter().map(Into::into).collect(),
            ..Self::ANY
        }
    }

    /// Whole numbers from `at_least` to `at_most`, both inclusive; None leaves that side open.
    #[must_use]
    pub fn between(at_least: Option<i64>, at_most: Option<i64>) -> Self {
        let bounds = Self {
            at_least,
            at_most,
            ..Self::ANY
        };
        if bounds.bounds_cross() { Self::NONE } else { bounds }
    }

    /// The set that a requirement's operator and values stand for, or what is wrong with them.
    ///
    /// # Errors
    /// An operator that Karpenter does not have, or a bound that is not one whole number.
    pub fn from_operator(operator: &str, values: &[String]) -> Result<Self, String> {
        let bound = || match values {
            [value] => value.parse::<i64>().ok(),
            _ => None,
        };
        let bound = || bound().ok_or_else(|| format!("operator {operator} needs exactly one whole number"));
        Ok(match operator {
            "In" => Self::one_of(values),
            "NotIn" => Self::none_of(values),
            "Exists" => Self::ANY,
            "DoesNotExist" => Self::NONE,
            "Gte" => Self::between(Some(bound()?), None),
            "Lte" => Self::between(None, Some(bound()?)),
            // Nothing lies beyond the last number.
            "Gt" => bound()?
                .checked_add(1)
                .map_or(Self::NONE, |least| Self::between(Some(least), None)),
            "Lt" => bound()?
                .checked_sub(1)
                .map_or(Self::NONE, |most| Self::between(None, Some(most))),
            other => return Err(format!("unknown operator {other:?}")),
        })
    }

    /// True if a label may have this value.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        self.values.contains(value) != self.complement && self.within_bounds(value)
    }

    /// The values, if they can be listed.
    #[must_use]
    pub fn finite(&self) -> Option<&BTreeSet<String>> {
        (!self.complement).then_some(&self.values)
    }

    /// True if no value is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.complement && self.values.is_empty()
    }

    /// What both sets allow.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let bounds = Self::between(
            self.at_least.max(other.at_least),
            min_bound(self.at_most, other.at_most),
        );
        if bounds.is_empty() {
            return Self::NONE;
        }
        let complement = self.complement && other.complement;
        let values = match (self.complement, other.complement) {
            (true, true) => &self.values | &other.values,
            (true, false) => &other.values - &self.values,
            (false, true) => &self.values - &other.values,
            (false, false) => &self.values & &other.values,
        };
        let values = values
            .into_iter()
            .filter(|value| bounds.within_bounds(value))
            .collect();
        let bounds = if complement { bounds } else { Self::NONE };
        Self {
            complement,
            values,
            ..bounds
        }
    }

    /// True if some value is allowed by both. As in Karpenter, two sets that cannot be listed always meet
    /// unless their bounds cross.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// True if every value that this set allows is allowed by the other, too.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.intersection(other) == *self
    }

    fn bounds_cross(&self) -> bool {
        matches!((self.at_least, self.at_most), (Some(least), Some(most)) if least > most)
    }

    fn within_bounds(&self, value: &str) -> bool {
        if self.at_least.is_none() && self.at_most.is_none() {
            return true;
        }
        let number = value.parse::<i64>();
        number.is_ok_and(|n| {
            self.at_least.is_none_or(|least| n >= least) && self.at_most.is_none_or(|most| n <= most)
        })
    }
}

/// None means unbounded, which `Option`'s own order would take for the smallest.
fn min_bound(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// The requirements of a pool: for each label key the values it allows, several on one key intersected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements(BTreeMap<String, ValueSet>);

impl Requirements {
    /// Narrows `key` to `values`; old aliases of a key count as the key.
    pub fn add(&mut self, key: &str, values: &ValueSet) {
        let known = self
            .0
            .entry(labels::normalize(key).to_owned())
            .or_insert(ValueSet::ANY);
        *known = known.intersection(values);
    }

    /// What `key` may be; a key that nothing is said about may be anything.
    #[must_use]
    pub fn get(&self, key: &str) -> &ValueSet {
        static ANY: ValueSet = ValueSet::ANY;
        self.0.get(labels::normalize(key)).unwrap_or(&ANY)
    }

    /// True if something is said about `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(labels::normalize(key))
    }

    /// Every key that something is said about, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ValueSet)> {
        self.0.iter().map(|(key, values)| (key.as_str(), values))
    }

    /// Reads a list of `{key, operator, values}`.
    pub(super) fn read(list: &At<'_>) -> Result<Self> {
        let mut requirements = Self::default();
        for item in list.items()? {
            let key = item.field("key").required()?;
            let operator = item.field("operator").required()?;
            let values = item.field("values").texts()?;
            let values = ValueSet::from_operator(operator, &values)
                .map_err(|what| item.error(format_args!("label {key}: {what}")))?;
            requirements.add(key, &values);
        }
        Ok(requirements)
    }
}

#[cfg(test)]
mod tests;
