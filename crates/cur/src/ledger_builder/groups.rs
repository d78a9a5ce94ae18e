//! Rows alike in the texts that say what they are (all but tags, and who used something): that is found out once, and of
//! what the newest counts, each group keeps its own until the end.

use rustc_hash::FxHashMap;

use super::merge::{Ends, Merge, Newest, merge_into};
use super::sums::Hours;
use super::{Class, FACTS, LedgerBuilder, Used, beyond};
use crate::columns::Text;
use crate::line_items::LineItems;
use crate::symbols::{Symbol, Symbols};
use brimful_savings_plans::ledger::PlanHour;
use brimful_savings_plans::region;
use brimful_savings_plans::usage::{LineItemType, UsageKind};
use brimful_types::Result;
use brimful_types::hour::Hour;

/// The groups met so far, by number.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: FxHashMap<Key, usize>,
    descriptions: FxHashMap<Description, u32>,
    pub(super) all: Vec<Group>,
    /// What each plan covered, by hour: the most frequent sum of all, so it has a table of its own.
    plans: FxHashMap<Symbol, usize>,
    pub(super) covered: Vec<Hours>,
}

/// What rows of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    line_type: LineItemType,
    usage_type: Symbol,
    product: Symbol,
    operation: Symbol,
    region: Symbol,
    /// The number of what they say of their plan. Most rows are of none.
    description: u32,
}

/// A plan, and what rows say of it.
pub(super) type Description = (Symbol, [Symbol; FACTS.len()]);

/// Some rows, and the newest hours of what they say.
#[derive(Debug)]
pub(super) struct Group {
    key: Key,
    pub(super) description: Description,
    pub(super) kind: UsageKind,
    /// The number of what was used.
    pub(super) used: u32,
    /// Where its plan's sums stand in [`Groups::covered`].
    pub(super) of_plan: usize,
    /// The number of the series of what nobody is said to have used.
    pub(super) nobodys: Option<u32>,
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
    fn kind(&self, symbols: &Symbols) -> UsageKind {
        let [product, usage_type, operation] =
            [self.product, self.usage_type, self.operation].map(|text| symbols.text(text));
        UsageKind::of(&product, &usage_type, &operation)
    }

    fn region_code(&self, symbols: &Symbols) -> Symbol {
        let written = region::code_of(&symbols.text(self.region));
        let usage_type = symbols.text(self.usage_type);
        let code = written.as_deref().or_else(|| region::of_usage_type(&usage_type));
        symbols.intern(std::iter::once(code))[0]
    }
}

impl Group {
    pub(super) fn plan(&self) -> Symbol {
        self.description.0
    }

    pub(super) fn class(&self) -> Class {
        match self.key.line_type {
            LineItemType::DiscountedUsage => Class::Reserved,
            LineItemType::Usage if self.kind == UsageKind::SpotInstance => Class::Spot,
            LineItemType::Usage => Class::OnDemand,
            _ => Class::Covered(self.plan()),
        }
    }
}

fn is_fee(line_type: LineItemType) -> bool {
    matches!(
        line_type,
        LineItemType::RecurringFee | LineItemType::Purchase | LineItemType::Unused
    )
}

/// What a row says of its plan; nothing where it is of none.
fn description(line_type: LineItemType, items: &impl LineItems, row: usize) -> Description {
    if matches!(line_type, LineItemType::Usage | LineItemType::DiscountedUsage) {
        return Description::default();
    }
    let facts = FACTS.map(|fact| match fact {
        // Of a covered row these describe the usage, not about the plan.
        Text::UsageType | Text::ProductCode | Text::UsageAccount | Text::Description
            if !is_fee(line_type) =>
        {
            Symbol::EMPTY
        }
        _ => items.text(fact, row),
    });
    (items.text(Text::PlanArn, row), facts)
}

impl LedgerBuilder {
    /// The number of a row's group.
    pub(super) fn group(&mut self, line_type: LineItemType, items: &impl LineItems, row: usize) -> usize {
        let description = description(line_type, items, row);
        let key = Key {
            line_type,
            usage_type: items.text(Text::UsageType, row),
            product: items.text(Text::ProductCode, row),
            operation: items.text(Text::Operation, row),
            region: items.text(Text::Region, row),
            description: self.groups.number_of(description),
        };
        match self.groups.numbers.get(&key) {
            Some(number) => *number,
            None => self.new_group(key, description),
        }
    }

    fn new_group(&mut self, key: Key, description: Description) -> usize {
        let kind = key.kind(&self.symbols);
        let mut group = Group {
            key,
            description,
            kind,
            used: 0,
            of_plan: self.groups.place_of(description.0),
            nobodys: None,
            region: key.region_code(&self.symbols),
            describes: None,
            located: None,
            covered: None,
            ends: Ends::default(),
            price: None,
            rate: None,
        };
        group.used = self.counts.usage.number_of_used(Used {
            class: group.class(),
            is_instance: kind.is_instance(),
            usage_type: key.usage_type,
            operation: key.operation,
            region: group.region,
        });
        let number = self.groups.all.len();
        self.groups.numbers.insert(key, number);
        self.groups.all.push(group);
        number
    }

    /// Adds up what the groups keep: before anything is made of it.
    ///
    /// # Errors
    /// What a plan covered in an hour is beyond what one report can hold.
    pub(super) fn settle(&mut self) -> Result<()> {
        let counts = &mut self.counts;
        let Groups {
            all,
            plans,
            mut covered,
            ..
        } = std::mem::take(&mut self.groups);
        for (plan, at) in plans {
            let hours = std::mem::take(&mut covered[at]).into_cells();
            for cell in hours.map_err(|hour| beyond(&self.symbols, plan, hour))? {
                let amounts = PlanHour {
                    covered: cell.cost(),
                    ..PlanHour::default()
                };
                merge_into(&mut counts.hours, (plan, cell.hour), amounts);
            }
        }
        for group in all {
            let (plan, region) = (group.plan(), group.region);
            let (usage_type, operation) = (group.key.usage_type, group.key.operation);
            if let Some(hour) = group.describes {
                let facts = (plan, group.description.1, is_fee(group.key.line_type));
                merge_into(&mut counts.facts, facts, hour);
            }
            if let Some(hour) = group.located {
                merge_into(
                    &mut counts.regions,
                    (group.key.region, usage_type),
                    (region, hour),
                );
            }
            if let Some(hour) = group.covered {
                merge_into(&mut counts.covered_regions, (plan, region), hour);
            }
            counts.newest_usage.merge(group.ends);
            if group.kind.is_instance() && group.ends != Ends::default() {
                merge_into(&mut counts.newest_by_region, region, group.ends);
            }
            if let Some(price) = group.price {
                let known = match group.class() {
                    Class::Spot => &mut counts.spot_list_prices,
                    _ => &mut counts.prices,
                };
                merge_into(known, (usage_type, operation), price);
            }
            if let Some(rate) = group.rate {
                merge_into(&mut counts.rates, (plan, usage_type, operation), rate);
            }
        }
        Ok(())
    }
}

impl Groups {
    /// Where a plan's sums stand.
    fn place_of(&mut self, plan: Symbol) -> usize {
        let next = self.covered.len();
        let place = *self.plans.entry(plan).or_insert(next);
        if place == next {
            self.covered.push(Hours::default());
        }
        place
    }

    /// The number of a description, a new one for a new description.
    fn number_of(&mut self, description: Description) -> u32 {
        if description == Description::default() {
            return 0;
        }
        let next = self.descriptions.len() + 1;
        let next = u32::try_from(next).unwrap_or(u32::MAX);
        *self.descriptions.entry(description).or_insert(next)
    }
}
