//! FOCUS rows as line items: what a row is, by category and commitment status, and what follows from it.

use arrow_array::{Array, Float64Array};
use rustc_hash::FxHashMap;

use super::{Arrays, BatchDecoder, TextColumn};
use crate::columns::focus::FocusColumns;
use crate::columns::{NUMBERS, Number, TEXTS, Text};
use crate::symbols::{Symbol, Symbols};
use brimful_savings_plans::usage::{UsageKind, family, focus_line_type, instance_type, product_of};
use brimful_types::Result;

/// Answers computed once per combination of strings.
#[derive(Debug, Default)]
pub(super) struct Known {
    line_types: FxHashMap<[Symbol; 3], Symbol>,
    products: FxHashMap<Symbol, Symbol>,
    families: FxHashMap<Symbol, Symbol>,
    usage_types: FxHashMap<[Symbol; 5], Symbol>,
}

/// Meters of instances that are no usage types: product families of EC2's price list, or nothing. Others that come with an
/// instance's type (EBS optimisation, CPU credits) are not its hours.
const METERS: [&str; 3] = ["", "Compute Instance", "Compute Instance (bare metal)"];

fn intern(symbols: &Symbols, text: &str) -> Symbol {
    symbols.intern(std::iter::once(Some(text)))[0]
}

impl BatchDecoder<'_> {
    /// Adds what a FOCUS file does not say in so many words: line item type, product, usage type, a plan's family and
    /// rate, and its dollars.
    pub(super) fn refine(
        &mut self,
        batch: &Arrays,
        columns: &FocusColumns,
        texts: &mut [TextColumn; TEXTS],
        numbers: &mut [Option<Float64Array>; NUMBERS],
    ) -> Result<()> {
        if let Some(service) = columns.service {
            let service = self.text(batch, service)?;
            let codes = (0..batch.rows)
                .map(|row| self.product(service.symbol(row)))
                .collect();
            texts[Text::ProductCode as usize] = TextColumn::Plain(codes);
        }
        if let Some(details) = columns.details {
            self.refine_usage_types(batch, columns, details, texts)?;
        }
        self.refine_plans(batch, columns, texts)?;
        self.price(batch, columns, numbers)
    }

    /// A text column, if the file has it.
    fn optional_text(&mut self, batch: &Arrays, root: Option<usize>) -> Result<TextColumn> {
        root.map_or(Ok(TextColumn::Absent), |root| self.text(batch, root))
    }

    /// Usage types by a map of details.
    fn refine_usage_types(
        &mut self,
        batch: &Arrays,
        columns: &FocusColumns,
        details: usize,
        texts: &mut [TextColumn; TEXTS],
    ) -> Result<()> {
        let types = self.map_entry(batch, details, |key| key.eq_ignore_ascii_case("InstanceType"))?;
        let pricing = self.optional_text(batch, columns.pricing)?;
        let usage_types = (0..batch.rows).map(|row| {
            let text = |fact: Text| texts[fact as usize].symbol(row);
            let key = [
                text(Text::ProductCode),
                text(Text::UsageType),
                text(Text::Operation),
                types.symbol(row),
                pricing.symbol(row),
            ];
            self.usage_type(key)
        });
        let usage_types = usage_types.collect();
        texts[Text::UsageType as usize] = TextColumn::Plain(usage_types);
        Ok(())
    }

    /// What sort of line item a row is, and the family and region of the plan that it belongs to.
    fn refine_plans(
        &mut self,
        batch: &Arrays,
        columns: &FocusColumns,
        texts: &mut [TextColumn; TEXTS],
    ) -> Result<()> {
        let category = self.optional_text(batch, columns.category)?;
        let status = self.optional_text(batch, columns.status)?;
        let used = intern(self.symbols, "Used");
        let mut line_types = Vec::with_capacity(batch.rows);
        let (mut families, mut plan_regions) = (line_types.clone(), line_types.clone());
        for row in 0..batch.rows {
            let text = |fact: Text| texts[fact as usize].symbol(row);
            let plan = text(Text::PlanArn);
            line_types.push(self.line_type([category.symbol(row), status.symbol(row), plan]));
            let (family, region) = if plan.is_empty() {
                (Symbol::EMPTY, Symbol::EMPTY)
            } else {
                // Of a row that the plan covers only: a fee's region is not its plan's.
                let region = Some(text(Text::Region)).filter(|_| status.symbol(row) == used);
                (self.family(text(Text::UsageType)), region.unwrap_or_default())
            };
            families.push(family);
            plan_regions.push(region);
        }
        texts[Text::LineItemType as usize] = TextColumn::Plain(line_types);
        texts[Text::PlanFamily as usize] = TextColumn::Plain(families);
        texts[Text::PlanRegion as usize] = TextColumn::Plain(plan_regions);
        Ok(())
    }

    /// A plan's dollars, and its rate per unit.
    fn price(
        &self,
        batch: &Arrays,
        columns: &FocusColumns,
        numbers: &mut [Option<Float64Array>; NUMBERS],
    ) -> Result<()> {
        if let Some(quantity) = columns.quantity {
            let dollars = self.number(self.column(batch, quantity))?;
            let cost = numbers[Number::EffectiveCost as usize].take();
            let cost = |row: usize| {
                cost.as_ref()
                    .filter(|cost| cost.is_valid(row))
                    .map(|cost| cost.value(row))
            };
            let better = (0..batch.rows).map(|row| {
                Some(dollars.value(row))
                    .filter(|_| dollars.is_valid(row))
                    .or_else(|| cost(row))
            });
            numbers[Number::EffectiveCost as usize] = Some(better.collect());
        }
        let [cost, amount] = [Number::EffectiveCost, Number::UsageAmount].map(|fact| &numbers[fact as usize]);
        if let (Some(cost), Some(amount)) = (cost, amount) {
            let rate = |(cost, amount): (Option<f64>, Option<f64>)| {
                let (cost, amount) = (cost?, amount?);
                (amount > 0.0).then(|| (cost / amount * 1e9).round() / 1e9)
            };
            numbers[Number::PlanRate as usize] = Some(cost.iter().zip(amount.iter()).map(rate).collect());
        }
        Ok(())
    }

    fn line_type(&mut self, key: [Symbol; 3]) -> Symbol {
        let symbols = self.symbols;
        *self.focus.line_types.entry(key).or_insert_with(|| {
            let [category, status, plan] = key.map(|symbol| symbols.text(symbol));
            intern(symbols, focus_line_type(&category, &status, &plan))
        })
    }

    fn product(&mut self, service: Symbol) -> Symbol {
        let symbols = self.symbols;
        *self
            .focus
            .products
            .entry(service)
            .or_insert_with(|| intern(symbols, product_of(&symbols.text(service))))
    }

    fn family(&mut self, usage_type: Symbol) -> Symbol {
        let symbols = self.symbols;
        *self.focus.families.entry(usage_type).or_insert_with(|| {
            let text = symbols.text(usage_type);
            let family = if text.contains(':') {
                family(instance_type(&text))
            } else {
                ""
            };
            intern(symbols, family)
        })
    }

    /// The usage type as it stands, unless it does not say what the details do: an instance's type.
    fn usage_type(&mut self, key: [Symbol; 5]) -> Symbol {
        let symbols = self.symbols;
        *self.focus.usage_types.entry(key).or_insert_with(|| {
            let [product, usage_type, operation, instance, pricing] = key.map(|symbol| symbols.text(symbol));
            let kind = UsageKind::of(&product, &usage_type, &operation);
            let says_no_more = METERS.contains(&&*usage_type);
            if !says_no_more
                || kind != UsageKind::Other
                || instance.is_empty()
                || !operation.starts_with("RunInstances")
            {
                return key[1];
            }
            let head = if pricing.eq_ignore_ascii_case("Dynamic") {
                "SpotUsage"
            } else {
                "BoxUsage"
            };
            intern(symbols, &format!("{head}:{instance}"))
        })
    }
}
