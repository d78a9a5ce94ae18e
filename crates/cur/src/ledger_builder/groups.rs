//! Rows alike in the texts that tell what they are (all but tags, and who used something): that is found out once, and of
//! what the newest counts, each group keeps its own until the end.

use rustc_hash::FxHashMap;

use super::newest::{Ends, Newest, latest, newest};
use super::{Class, FACTS, LedgerBuilder, Used};
use crate::columns::Text;
use crate::facts::Facts;
use crate::symbols::{Symbol, Symbols};
use brimful_savings_plans::region;
use brimful_savings_plans::usage::{LineItemType, UsageKind};
use brimful_types::hour::Hour;

/// The groups met so far, by number.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: FxHashMap<Key, usize>,
    pub(super) all: Vec<Group>,
}

/// What rows of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    line_type: LineItemType,
    pub(super) plan: Symbol,
    /// Of what does not concern the line item's type, the empty string.
    facts: [Symbol; FACTS.len()],
    pub(super) operation: Symbol,
    region: Symbol,
}

/// Some rows, and the newest hours of what they tell.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) kind: UsageKind,
    /// The number of what was used.
    pub(super) used: u32,
    /// Region code.
    region: Symbol,
    /// When it describes its plan.
    pub(super) describes: Option<Hour>,
    /// When its region counts, and when it does as one that its plan covers.
    pub(super) located: Option<Hour>,
    pub(super) covered: Option<Hour>,
    pub(super) ends: Ends,
    pub(super) price: Option<Newest>,
    pub(super) rate: Option<Newest>,
}

impl Key {
    fn of(line_type: LineItemType, items: &impl Facts, row: usize) -> Self {
        let of_plan = !matches!(line_type, LineItemType::Usage | LineItemType::DiscountedUsage);
        let text = |fact| items.text(fact, row);
        Self {
            line_type,
            plan: if of_plan {
                text(Text::PlanArn)
            } else {
                Symbol::EMPTY
            },
            facts: FACTS.map(|fact| match fact {
                Text::UsageType | Text::ProductCode => text(fact),
                // Of a covered row it tells about the usage, not about the plan.
                Text::UsageAccount | Text::Description if !is_fee(line_type) => Symbol::EMPTY,
                _ if of_plan => text(fact),
                _ => Symbol::EMPTY,
            }),
            operation: text(Text::Operation),
            region: text(Text::Region),
        }
    }

    fn fact(&self, wanted: Text) -> Symbol {
        let at = FACTS.iter().position(|fact| *fact == wanted);
        at.map_or(Symbol::EMPTY, |at| self.facts[at])
    }

    pub(super) fn usage_type(&self) -> Symbol {
        self.fact(Text::UsageType)
    }

    /// The facts that describe the plan.
    fn description(&self) -> [Symbol; FACTS.len()] {
        let mut facts = self.facts;
        for (fact, known) in FACTS.iter().zip(&mut facts) {
            if matches!(fact, Text::UsageType | Text::ProductCode) && !is_fee(self.line_type) {
                *known = Symbol::EMPTY;
            }
        }
        facts
    }

    fn kind(&self, symbols: &Symbols) -> UsageKind {
        let [product, usage_type, operation] =
            [self.fact(Text::ProductCode), self.usage_type(), self.operation].map(|text| symbols.text(text));
        UsageKind::of(&product, &usage_type, &operation)
    }

    fn region_code(&self, symbols: &Symbols) -> Symbol {
        let written = region::code_of(&symbols.text(self.region));
        let usage_type = symbols.text(self.usage_type());
        let code = written.as_deref().or_else(|| region::of_usage_type(&usage_type));
        symbols.intern(std::iter::once(code))[0]
    }

    fn class(&self, kind: UsageKind) -> Class {
        match self.line_type {
            LineItemType::DiscountedUsage => Class::Reserved,
            LineItemType::Usage if kind == UsageKind::SpotInstance => Class::Spot,
            LineItemType::Usage => Class::OnDemand,
            _ => Class::Covered(self.plan),
        }
    }
}

impl Group {
    pub(super) fn class(&self) -> Class {
        self.key.class(self.kind)
    }
}

fn is_fee(line_type: LineItemType) -> bool {
    matches!(
        line_type,
        LineItemType::RecurringFee | LineItemType::Purchase | LineItemType::Unused
    )
}

impl LedgerBuilder<'_> {
    /// The number of a row's group.
    pub(super) fn group(&mut self, line_type: LineItemType, items: &impl Facts, row: usize) -> usize {
        let key = Key::of(line_type, items, row);
        if let Some(number) = self.groups.numbers.get(&key) {
            return *number;
        }
        let kind = key.kind(self.symbols);
        let region = key.region_code(self.symbols);
        let used = self.number_of_used(Used {
            class: key.class(kind),
            is_instance: kind.is_instance(),
            usage_type: key.usage_type(),
            operation: key.operation,
            region,
        });
        let number = self.groups.all.len();
        self.groups.numbers.insert(key, number);
        self.groups.all.push(Group {
            key,
            kind,
            used,
            region,
            describes: None,
            located: None,
            covered: None,
            ends: Ends::default(),
            price: None,
            rate: None,
        });
        number
    }

    /// Adds up what the groups keep: before anything is made of it.
    pub(super) fn settle(&mut self) {
        for group in std::mem::take(&mut self.groups).all {
            let Group {
                key, kind, region, ..
            } = group;
            let usage = (key.usage_type(), key.operation);
            if let Some(hour) = group.describes {
                let facts = (key.plan, key.description(), is_fee(key.line_type));
                latest(&mut self.facts, facts, hour);
            }
            if let Some(hour) = group.located {
                let known = self.regions.entry((key.region, usage.0));
                let (_, newest) = known.or_insert((region, hour));
                *newest = (*newest).max(hour);
            }
            if let Some(hour) = group.covered {
                latest(&mut self.covered_regions, (key.plan, region), hour);
            }
            self.newest_usage = self.newest_usage.max(group.ends);
            if kind.is_instance() && group.ends != Ends::default() {
                let known = self.newest_by_region.entry(region).or_default();
                *known = known.max(group.ends);
            }
            if let Some(Newest(hour, price)) = group.price {
                let is_spot = group.class() == Class::Spot;
                let known = if is_spot {
                    &mut self.spot_list_prices
                } else {
                    &mut self.prices
                };
                newest(known, usage, hour, price);
            }
            if let Some(Newest(hour, rate)) = group.rate {
                newest(&mut self.rates, (key.plan, usage.0, usage.1), hour, rate);
            }
        }
    }
}
