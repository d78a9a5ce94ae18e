//! Which columns matter to which rows: what the page scan may leave unread.

use super::{Columns, Number, Tag, Text};
use crate::pages::{Bits, IsWanted, RowFilter};

/// What a row says of a plan: `savings_plan_*`.
const PLAN_FACTS: ([Text; 7], [Number; 4]) = (
    [
        Text::PlanArn,
        Text::OfferingType,
        Text::PaymentOption,
        Text::PlanRegion,
        Text::PlanFamily,
        Text::PlanStart,
        Text::PlanEnd,
    ],
    [
        Number::PlanRate,
        Number::EffectiveCost,
        Number::UsedCommitment,
        Number::TotalCommitment,
    ],
);

impl Columns {
    /// The columns that show which rows matter, and the bits that rows have by what the file lacks. All of these facts must
    /// be wanted.
    pub(crate) fn leading(&self, filter: RowFilter) -> (Vec<(usize, Bits)>, u8) {
        let mut known = u8::MAX;
        let mut leading = Vec::new();
        for (fact, bits) in filter.leading {
            match self.texts[*fact as usize].first() {
                Some(root) => leading.push((*root, *bits)),
                None => known &= bits(""),
            }
        }
        (leading, known)
    }

    /// The columns that only plans' rows fill.
    pub(crate) fn plan_columns(&self) -> Vec<usize> {
        let texts = PLAN_FACTS.0.iter().flat_map(|fact| &self.texts[*fact as usize]);
        let numbers = PLAN_FACTS
            .1
            .iter()
            .filter_map(|fact| self.numbers[*fact as usize].as_ref());
        texts.chain(numbers).copied().collect()
    }

    /// The columns that are wanted of fees and refunds only.
    pub(crate) fn fee_columns(&self) -> Vec<usize> {
        self.texts[Text::Description as usize].clone()
    }

    /// The maps, and which of their keys are wanted.
    pub(crate) fn maps(&self) -> Vec<(usize, IsWanted)> {
        let is_tag: IsWanted = |key| Tag::of(key).is_some();
        let is_region: IsWanted = is_region;
        let tags = self.tag_maps.iter().map(|root| (*root, is_tag));
        tags.chain(self.product_map.map(|root| (root, is_region)))
            .collect()
    }
}

/// The key of the map `product` that holds the region code.
pub(crate) fn is_region(key: &str) -> bool {
    key == "region"
}
