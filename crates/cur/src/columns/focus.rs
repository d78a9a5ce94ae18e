//! Where a FOCUS export keeps the facts: FOCUS 1.0 and 1.2 with AWS columns (Data Exports, tables `FOCUS_1_0_AWS` and
//! `FOCUS_1_2_AWS`). Names are matched whatever their case, since catalogs lower them.
//!
//! FOCUS has no row for a plan's hour: its commitment is the sum of what was used of it and of what was not, by
//! `CommitmentDiscountStatus`. It states neither term nor payment option of a plan, and nothing checks its figures.

use arrow_schema::{DataType, Schema};

use super::{Columns, Format, NUMBERS, Number, TEXTS, Text, missing_columns};
use brimful_types::Result;

/// Columns that only FOCUS needs: they are turned into the facts of a line item.
#[derive(Debug, Clone)]
pub(crate) struct FocusColumns {
    /// `ChargeCategory`: Usage, Purchase, Tax, Credit, Adjustment.
    pub(crate) category: Option<usize>,
    /// `CommitmentDiscountStatus`: Used, Unused.
    pub(crate) status: Option<usize>,
    /// `PricingCategory`: Standard, Dynamic (Spot), Committed, Other.
    pub(crate) pricing: Option<usize>,
    /// `ServiceName`, for files without `x_ServiceCode`.
    pub(crate) service: Option<usize>,
    /// `CommitmentDiscountQuantity`, of 1.2: a plan's dollars before negotiated discounts.
    pub(crate) quantity: Option<usize>,
    /// The map `SkuPriceDetails`, of 1.2, which knows the instance type.
    pub(crate) details: Option<usize>,
}

impl FocusColumns {
    pub(super) fn texts(&self) -> impl Iterator<Item = usize> {
        let all = [self.category, self.status, self.pricing, self.service];
        all.into_iter().flatten()
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = usize> {
        self.texts().chain(self.quantity).chain(self.details)
    }
}

/// A text fact may come from several columns: the first that is not empty counts.
const TEXT_NAMES: [(Text, &[&str]); 9] = [
    (Text::UsageType, &["x_UsageType", "SkuMeter"]),
    (Text::Operation, &["x_Operation"]),
    (Text::ProductCode, &["x_ServiceCode"]),
    (Text::PlanArn, &["CommitmentDiscountId"]),
    (Text::UsageAccount, &["SubAccountId"]),
    (Text::Region, &["RegionId"]),
    (Text::Currency, &["BillingCurrency"]),
    (Text::OfferingType, &["CommitmentDiscountType"]),
    (Text::Description, &["ChargeDescription"]),
];

const NUMBER_NAMES: [(Number, &str); 4] = [
    (Number::UsageAmount, "ConsumedQuantity"),
    (Number::UnblendedCost, "BilledCost"),
    (Number::OnDemandCost, "ListCost"),
    (Number::EffectiveCost, "EffectiveCost"),
];

/// Without these no plan's use can be shown.
const REQUIRED: [&str; 6] = [
    "ChargeCategory",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "EffectiveCost",
];

/// Without one of each use is shown, but not dated by instances or turned into decisions.
const NEEDED_TO_DECIDE: [(&str, &[&str]); 5] = [
    ("x_ServiceCode", &["x_ServiceCode", "ServiceName"]),
    (
        "x_UsageType or SkuMeter",
        &["x_UsageType", "SkuMeter", "SkuPriceDetails"],
    ),
    ("x_Operation", &["x_Operation"]),
    ("ConsumedQuantity", &["ConsumedQuantity"]),
    ("BilledCost", &["BilledCost"]),
];

impl Columns {
    /// True for a FOCUS file that does not say which service was used: any usage shows then how far it reaches.
    pub(crate) fn lacks_services(&self) -> bool {
        self.focus.is_some() && self.missing.iter().any(|name| name.starts_with("x_"))
    }

    pub(super) fn find_focus(schema: &Schema, file: &str) -> Result<Self> {
        let position = |name: &str| {
            let mut fields = schema.fields().iter();
            fields.position(|field| field.name().eq_ignore_ascii_case(name))
        };
        // A column without a type (of nulls alone) is there, and says nothing.
        let filled = |name: &str| position(name).filter(|index| !schema.field(*index).data_type().is_null());
        let required: Vec<&str> = REQUIRED
            .into_iter()
            .filter(|name| position(name).is_none())
            .collect();
        if !required.is_empty() {
            return Err(missing_columns(file, Format::Focus, &required, schema));
        }
        let map = |name: &str| {
            position(name).filter(|index| matches!(schema.field(*index).data_type(), DataType::Map(..)))
        };
        let mut texts: [Vec<usize>; TEXTS] = Default::default();
        for (text, names) in TEXT_NAMES {
            texts[text as usize].extend(names.iter().filter_map(|name| filled(name)));
        }
        let mut numbers = [None; NUMBERS];
        for (number, name) in NUMBER_NAMES {
            numbers[number as usize] = filled(name);
        }
        let lacks = |names: &[&str]| names.iter().all(|name| position(name).is_none());
        // Both are required, so both were found above.
        let found = |name: &str| position(name).unwrap_or_default();
        let columns = Self {
            format: Format::Focus,
            texts,
            numbers,
            times: [found("ChargePeriodStart"), found("ChargePeriodEnd")],
            tag_maps: map("Tags").into_iter().collect(),
            product_map: None,
            focus: Some(FocusColumns {
                category: filled("ChargeCategory"),
                status: filled("CommitmentDiscountStatus"),
                pricing: filled("PricingCategory"),
                service: filled("ServiceName").filter(|_| filled("x_ServiceCode").is_none()),
                quantity: filled("CommitmentDiscountQuantity"),
                details: map("SkuPriceDetails").filter(|_| filled("x_UsageType").is_none()),
            }),
            missing: NEEDED_TO_DECIDE
                .into_iter()
                .filter(|(_, names)| lacks(names))
                .map(|(name, _)| name)
                .collect(),
        };
        columns.check_types(schema, file)?;
        Ok(columns)
    }
}
