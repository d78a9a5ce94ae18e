//! The same line items as a FOCUS export tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{Field, Schema};
use chrono::{DateTime, Utc};

use super::file::{map, original_key};
use super::{Row, Value, at};

/// Which FOCUS, and how it is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    /// 1.0, names lowered as a catalog does: `x_usagetype`.
    OneZero,
    /// 1.2: `SkuMeter` for the usage type, and a plan's dollars as `CommitmentDiscountQuantity`.
    OneTwo,
    /// 1.2 whose `SkuMeter` says no more than what is metered; `SkuPriceDetails` knows the instance type.
    Details,
    /// Only what the specification itself names.
    Plain,
}

/// A row of FOCUS.
#[derive(Debug, Clone, Default)]
struct Charge {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    texts: BTreeMap<&'static str, String>,
    numbers: BTreeMap<&'static str, f64>,
    tags: BTreeMap<&'static str, String>,
}

/// What the rows tell, by their column names of the legacy report.
fn told(row: &Row, column: &str) -> String {
    match row.values.get(column) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

fn number(row: &Row, column: &str) -> f64 {
    match row.values.get(column) {
        Some(Value::Number(number)) => *number,
        _ => 0.0,
    }
}

fn charge(row: &Row, category: &str, status: &str) -> Charge {
    let offering = told(row, "savings_plan_offering_type");
    let usage_type = told(row, "line_item_usage_type");
    let service = match told(row, "line_item_product_code").as_str() {
        "AmazonEC2" => "Amazon Elastic Compute Cloud",
        _ => "Savings Plans",
    };
    let pricing = if usage_type.contains("SpotUsage") {
        "Dynamic"
    } else {
        "Standard"
    };
    let commitment = match told(row, "line_item_line_item_type").as_str() {
        "DiscountedUsage" => "arn:aws:ec2:us-east-2:111122223333:reserved-instances/r-1".to_owned(),
        _ => told(row, "savings_plan_savings_plan_a_r_n"),
    };
    let texts = BTreeMap::from([
        ("ChargeCategory", category.to_owned()),
        ("CommitmentDiscountStatus", status.to_owned()),
        ("CommitmentDiscountId", commitment),
        (
            "CommitmentDiscountType",
            offering.replace("SavingsPlans", " Savings Plans"),
        ),
        ("PricingCategory", pricing.to_owned()),
        ("ServiceName", service.to_owned()),
        ("x_ServiceCode", told(row, "line_item_product_code")),
        ("x_UsageType", usage_type),
        ("x_Operation", told(row, "line_item_operation")),
        ("SubAccountId", told(row, "line_item_usage_account_id")),
        ("RegionId", told(row, "product_region")),
        ("BillingCurrency", told(row, "line_item_currency_code")),
        ("ChargeDescription", told(row, "line_item_line_item_description")),
    ]);
    Charge {
        start: row.start,
        end: row.end,
        texts,
        numbers: BTreeMap::new(),
        tags: row.tags.clone(),
    }
}

fn priced(mut charge: Charge, row: &Row, effective: f64) -> Charge {
    let is_covered = charge.texts["CommitmentDiscountStatus"] == "Used";
    let unblended = number(row, "line_item_unblended_cost");
    charge.numbers = BTreeMap::from([
        ("EffectiveCost", effective),
        ("BilledCost", if is_covered { 0.0 } else { unblended }),
        ("ListCost", number(row, "pricing_public_on_demand_cost")),
        ("ConsumedQuantity", number(row, "line_item_usage_amount")),
        ("CommitmentDiscountQuantity", f64::NAN),
    ]);
    if charge.texts["CommitmentDiscountId"].contains(":savingsplans:") {
        // Negotiated discounts lower what is paid, not what a plan's dollars are used for.
        charge.numbers.insert("CommitmentDiscountQuantity", effective);
    }
    charge
}

fn charges(rows: &[Row]) -> Vec<Charge> {
    let mut bought = BTreeSet::new();
    let mut all = Vec::new();
    for row in rows {
        match told(row, "line_item_line_item_type").as_str() {
            "SavingsPlanRecurringFee" => {
                let total = number(row, "savings_plan_total_commitment_to_date");
                let unused = total - number(row, "savings_plan_used_commitment");
                if bought.insert(told(row, "savings_plan_savings_plan_a_r_n")) {
                    let mut fee = priced(charge(row, "Purchase", ""), row, 0.0);
                    (fee.start, fee.end) = (at(0), at(30 * 24));
                    all.push(fee);
                }
                if unused > 0.0 {
                    all.push(priced(charge(row, "Usage", "Unused"), row, unused));
                }
            }
            "SavingsPlanCoveredUsage" => {
                let cost = number(row, "savings_plan_savings_plan_effective_cost");
                all.push(priced(charge(row, "Usage", "Used"), row, cost));
            }
            "Refund" => {
                let cost = number(row, "line_item_unblended_cost");
                all.push(priced(charge(row, "Credit", ""), row, cost));
            }
            "DiscountedUsage" => all.push(priced(charge(row, "Usage", "Used"), row, 0.0)),
            "Usage" => {
                let cost = number(row, "line_item_unblended_cost");
                all.push(priced(charge(row, "Usage", ""), row, cost));
            }
            _ => {}
        }
    }
    all
}

/// The rows' charges as one batch, without the columns `missing`.
pub(super) fn batch(focus: Focus, discounted: bool, rows: &[Row], missing: &[&str]) -> RecordBatch {
    let mut charges = charges(rows);
    if discounted {
        let paid = charges
            .iter_mut()
            .filter_map(|charge| charge.numbers.get_mut("EffectiveCost"));
        paid.for_each(|cost| *cost *= 0.9);
    }
    let time = |time: fn(&Charge) -> DateTime<Utc>| -> ArrayRef {
        let millis = charges.iter().map(|charge| time(charge).timestamp_millis());
        Arc::new(TimestampMillisecondArray::from_iter_values(millis))
    };
    let text = |value: &dyn Fn(&Charge) -> String| -> ArrayRef {
        let values = charges
            .iter()
            .map(|charge| Some(value(charge)).filter(|text| !text.is_empty()));
        Arc::new(values.collect::<StringArray>())
    };
    let number = |name: &str| -> ArrayRef {
        let values = charges
            .iter()
            .map(|charge| charge.numbers.get(name).copied().filter(|n| !n.is_nan()));
        Arc::new(values.collect::<Float64Array>())
    };
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("ChargePeriodStart".into(), time(|charge| charge.start)),
        ("ChargePeriodEnd".into(), time(|charge| charge.end)),
    ];
    for name in [
        "ChargeCategory",
        "CommitmentDiscountStatus",
        "CommitmentDiscountId",
        "CommitmentDiscountType",
        "PricingCategory",
        "ServiceName",
        "SubAccountId",
        "RegionId",
        "BillingCurrency",
        "ChargeDescription",
    ] {
        columns.push((name.into(), text(&|charge| charge.texts[name].clone())));
    }
    if focus != Focus::Plain {
        for name in ["x_ServiceCode", "x_Operation"] {
            columns.push((name.into(), text(&|charge| charge.texts[name].clone())));
        }
    }
    let usage_type = |charge: &Charge| charge.texts["x_UsageType"].clone();
    match focus {
        Focus::OneZero => columns.push(("x_UsageType".into(), text(&usage_type))),
        Focus::OneTwo => columns.push(("SkuMeter".into(), text(&usage_type))),
        Focus::Details => {
            let instance = |charge: &Charge| {
                usage_type(charge)
                    .split_once(':')
                    .map(|(_, name)| name.to_owned())
            };
            let meter = text(&|charge| {
                instance(charge).map_or(usage_type(charge), |_| "Compute Instance".to_owned())
            });
            columns.push(("SkuMeter".into(), meter));
            let details = map(&charges, |charge| {
                let instance = instance(charge).map(|name| ("InstanceType".to_owned(), name));
                instance.into_iter().collect()
            });
            columns.push(("SkuPriceDetails".into(), details));
        }
        Focus::Plain => {}
    }
    let mut numbers = vec!["EffectiveCost", "BilledCost", "ListCost", "ConsumedQuantity"];
    if matches!(focus, Focus::OneTwo | Focus::Details) {
        numbers.push("CommitmentDiscountQuantity");
    }
    for name in numbers {
        columns.push((name.into(), number(name)));
    }
    let tags = map(&charges, |charge| {
        let tags = charge.tags.iter();
        tags.map(|(key, value)| (original_key(key).to_owned(), value.clone()))
            .collect()
    });
    columns.push(("Tags".into(), tags));
    columns.retain(|(name, _)| !missing.contains(&name.as_str()));
    let lowered = |name: String| {
        if focus == Focus::OneZero {
            name.to_lowercase()
        } else {
            name
        }
    };
    let columns: Vec<(String, ArrayRef)> = columns
        .into_iter()
        .map(|(name, array)| (lowered(name), array))
        .collect();
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}
