//! What only FOCUS has: commitments in parts, and files that do not say what was used.

use super::{LedgerBuilder, LineItemType};
use crate::columns::{Number, Text};
use crate::line_items::LineItems;

impl LedgerBuilder {
    /// FOCUS states a commitment in parts: what was used of it, row by row, and what was not.
    pub(super) fn add_unused(&mut self, items: &impl LineItems, row: usize) {
        let Some(span) = self.span(items, row) else { return };
        self.counts.fees.note(span);
        let arn = items.text(Text::PlanArn, row);
        let group = self.group(LineItemType::Unused, items, row);
        self.note_plan(group, span.hour);
        if !self.keeps(span.hour) {
            return;
        }
        let entry = self.counts.hours.entry((arn, span.hour)).or_default();
        match items.dollars(Number::EffectiveCost, row) {
            Some(unused) => {
                *entry.commitment.get_or_insert_default() += unused;
                entry.note_fee(unused, items.line_items(row));
            }
            None => {
                entry.suspect = true;
                self.note_unreadable(span.hour, items.line_items(row));
            }
        }
    }

    /// Any usage at all: how far a report reaches that does not say what was used.
    pub(super) fn note_any(&mut self, items: &impl LineItems, row: usize) {
        if let Some(span) = self.span(items, row) {
            self.counts.newest_usage.note(span);
        }
    }
}
