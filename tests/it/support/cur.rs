//! Reports made row by row: line items, parquet files of either form, and the layouts in which AWS delivers them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

mod bucket;
mod file;
mod focus;
mod footer;
mod int96;
mod read;

use std::collections::BTreeMap;

use brimful_types::hour::Hour;
use brimful_types::money::Money;
use chrono::{DateTime, Duration, SecondsFormat, TimeZone, Utc};

pub(crate) use bucket::{Bucket, Layout, STATUS};
pub(crate) use file::{File, Plans, Times};
pub(crate) use focus::Focus;
pub(crate) use read::{Seen, message, read};

/// A Compute plan.
pub(crate) const COMPUTE: &str =
    "arn:aws:savingsplans::111122223333:savingsplan/c0000000-0000-0000-0000-000000000001";
/// Another Compute plan.
pub(crate) const COMPUTE_2: &str =
    "arn:aws:savingsplans::111122223333:savingsplan/c0000000-0000-0000-0000-000000000002";
/// An EC2 Instance plan for m5 in us-east-2, when its fees say so: [`Row::for_m5_in_ohio`].
pub(crate) const EC2_M5: &str =
    "arn:aws:savingsplans::111122223333:savingsplan/e0000000-0000-0000-0000-000000000001";

/// Where rows say when their plan begins and ends.
const TERM: [&str; 2] = ["savings_plan_start_time", "savings_plan_end_time"];

/// `hours` after the tests' month begins, which is November 2026; October when negative.
pub(crate) fn at(hours: i32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 1, 0, 0, 0).unwrap() + Duration::hours(hours.into())
}

/// The hour that begins at [`at`].
pub(crate) fn hour(hours: i32) -> Hour {
    Hour::of(at(hours))
}

/// Exact dollars, as documents hold them.
#[allow(clippy::unnecessary_wraps, reason = "documents hold options: unknown is null")]
pub(crate) fn usd(dollars: f64) -> Option<Money> {
    Some(Money::from_dollars(dollars).unwrap())
}

/// What stands in one column of a row. A column that a row doesn't set is blank there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(f64),
}

/// One line item. Columns have their legacy names; [`File`] knows how CUR 2.0 spells them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
    pub(crate) values: BTreeMap<&'static str, Value>,
    /// By key as CUR 2.0 spells it: `aws_eks_cluster_name`.
    pub(crate) tags: BTreeMap<&'static str, String>,
}

impl Row {
    /// A row of any type, an hour long.
    pub(crate) fn of(line_type: &str, hours: i32) -> Self {
        let blank = Self {
            start: at(hours),
            end: at(hours + 1),
            values: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        blank
            .text("line_item_line_item_type", line_type)
            .text("line_item_usage_account_id", "111122223333")
            .text("line_item_currency_code", "USD")
            .amount(1.0)
    }

    /// The plan's fee: its commitment and how much of it was used. A Compute plan, No Upfront, unless told otherwise.
    pub(crate) fn fee(arn: &str, hours: i32) -> Self {
        Self::of("SavingsPlanRecurringFee", hours)
            .of_plan(arn)
            .product("ComputeSavingsPlans")
            .usage_type("ComputeSP:1yrNoUpfront")
    }

    pub(crate) fn is_fee(&self) -> bool {
        let line_type = self.values.get("line_item_line_item_type");
        matches!(line_type, Some(Value::Text(text)) if text == "SavingsPlanRecurringFee")
    }

    /// Usage that the plan paid.
    pub(crate) fn covered(arn: &str, hours: i32, usage_type: &str) -> Self {
        Self::ec2("SavingsPlanCoveredUsage", hours, usage_type).of_plan(arn)
    }

    /// What cancels covered usage again.
    pub(crate) fn negation(arn: &str, hours: i32, usage_type: &str) -> Self {
        Self::ec2("SavingsPlanNegation", hours, usage_type).of_plan(arn)
    }

    /// An instance on demand that no plan paid.
    pub(crate) fn on_demand(hours: i32, usage_type: &str) -> Self {
        Self::ec2("Usage", hours, usage_type)
    }

    /// A Spot instance.
    pub(crate) fn spot(hours: i32, usage_type: &str) -> Self {
        Self::ec2("Usage", hours, usage_type).operation("RunInstances:SV003")
    }

    /// An instance that a Reserved Instance paid.
    pub(crate) fn reserved(hours: i32, usage_type: &str) -> Self {
        Self::ec2("DiscountedUsage", hours, usage_type)
    }

    fn ec2(line_type: &str, hours: i32, usage_type: &str) -> Self {
        Self::of(line_type, hours)
            .product("AmazonEC2")
            .operation("RunInstances")
            .usage_type(usage_type)
    }

    fn of_plan(self, arn: &str) -> Self {
        self.text("savings_plan_savings_plan_a_r_n", arn)
            .text("savings_plan_offering_type", "ComputeSavingsPlans")
            .text("savings_plan_payment_option", "No Upfront")
            .text("savings_plan_region", "Any")
            .text(TERM[0], "2026-01-01T00:00:00.000Z")
            .text(TERM[1], "2027-01-01T00:00:00.000Z")
    }

    /// The term of the row's plan, if it has one, begins and ends so many hours later.
    pub(crate) fn term_later(mut self, hours: i64) -> Self {
        for column in TERM {
            if let Some(Value::Text(time)) = self.values.get_mut(column) {
                let later = time.parse::<DateTime<Utc>>().unwrap() + Duration::hours(hours);
                *time = later.to_rfc3339_opts(SecondsFormat::Millis, true);
            }
        }
        self
    }

    /// Makes the plan an EC2 Instance plan.
    pub(crate) fn for_m5_in_ohio(self) -> Self {
        let row = self
            .text("savings_plan_offering_type", "EC2InstanceSavingsPlans")
            .text("savings_plan_region", "US East (Ohio)");
        match row.values.get("line_item_product_code") {
            Some(Value::Text(product)) if product == "AmazonEC2" => {
                row.text("savings_plan_instance_type_family", "m5")
            }
            _ => row.usage_type("USE2-EC2SP:m5.1yrNoUpfront"),
        }
    }

    /// A fee and one row of covered usage that agree, in that hour.
    pub(crate) fn hour_of(arn: &str, hours: i32, commitment: f64, used: f64) -> [Self; 2] {
        let fee = Self::fee(arn, hours).commitment(commitment).used(used);
        let covered = Self::covered(arn, hours, "USE2-BoxUsage:m5.large")
            .rate(used)
            .cost(used)
            .list(used * 1.6);
        [fee, covered]
    }

    pub(crate) fn text(mut self, column: &'static str, value: &str) -> Self {
        self.values.insert(column, Value::Text(value.to_owned()));
        self
    }

    pub(crate) fn number(mut self, column: &'static str, value: f64) -> Self {
        self.values.insert(column, Value::Number(value));
        self
    }

    pub(crate) fn product(self, code: &str) -> Self {
        self.text("line_item_product_code", code)
    }

    pub(crate) fn usage_type(self, usage_type: &str) -> Self {
        self.text("line_item_usage_type", usage_type)
    }

    pub(crate) fn operation(self, operation: &str) -> Self {
        self.text("line_item_operation", operation)
    }

    pub(crate) fn account(self, account: &str) -> Self {
        self.text("line_item_usage_account_id", account)
    }

    pub(crate) fn region(self, code: &str) -> Self {
        self.text("product_region", code)
    }

    pub(crate) fn amount(self, units: f64) -> Self {
        self.number("line_item_usage_amount", units)
    }

    pub(crate) fn unblended(self, cost: f64) -> Self {
        self.number("line_item_unblended_cost", cost)
    }

    /// The on-demand cost of the whole row, which is also what covered and on-demand rows show as unblended.
    pub(crate) fn list(self, cost: f64) -> Self {
        self.unblended(cost).number("pricing_public_on_demand_cost", cost)
    }

    pub(crate) fn commitment(self, per_hour: f64) -> Self {
        self.number("savings_plan_total_commitment_to_date", per_hour)
    }

    pub(crate) fn used(self, dollars: f64) -> Self {
        self.number("savings_plan_used_commitment", dollars)
    }

    /// $ per unit at the plan's rate.
    pub(crate) fn rate(self, per_unit: f64) -> Self {
        self.number("savings_plan_savings_plan_rate", per_unit)
    }

    /// The row's cost at the plan's rate.
    pub(crate) fn cost(self, effective: f64) -> Self {
        self.number("savings_plan_savings_plan_effective_cost", effective)
    }

    /// Begins and ends other than with the hour.
    pub(crate) fn between(mut self, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        (self.start, self.end) = (start, end);
        self
    }

    /// The same row so many hours later.
    pub(crate) fn later(self, hours: i64) -> Self {
        let (start, end) = (self.start, self.end);
        self.between(start + Duration::hours(hours), end + Duration::hours(hours))
    }

    /// As long as that, from its own start.
    pub(crate) fn lasting(self, hours: i64) -> Self {
        let start = self.start;
        self.between(start, start + Duration::hours(hours))
    }

    pub(crate) fn tag(mut self, key: &'static str, value: &str) -> Self {
        self.tags.insert(key, value.to_owned());
        self
    }

    pub(crate) fn tag_cluster(self, name: &str) -> Self {
        self.tag("aws_eks_cluster_name", name)
    }

    pub(crate) fn tag_node_pool(self, name: &str) -> Self {
        self.tag("user_karpenter_sh_nodepool", name)
    }
}
