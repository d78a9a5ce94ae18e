//! The query: the facts of [`Columns`], row by row, and of rows that agree in every text and both times the sums.
//!
//! Every number that a ledger holds is a sum of what single line items say, each rounded to the picodollar (usage: to the
//! nano-unit). The query does the same, in the same order, in whole numbers, and what is not added up but compared (rates
//! and prices) is the highest of the group, so that the ledger is the one that reading the files makes. Only what both
//! Athena's engine and `DuckDB` know is used.

use std::fmt::Write as _;

use arrow_schema::{DataType, Schema};

use self::maps::{entry, keys_of};
use super::table::PeriodColumns;
use crate::columns::{Columns, Detail, Number, TEXTS, Tag, Text, text_of};
use crate::period::BillingPeriod;
use brimful_savings_plans::usage::{
    COVERED_USAGE, DISCOUNTED_USAGE, OF_INTEREST, RECURRING_FEE, REFUND, USAGE,
};
use brimful_types::hour::Hour;

/// Sums of dollars, in the answer's order, and their names.
pub(crate) const DOLLARS: [(Number, &str); 4] = [
    (Number::UnblendedCost, "unblended_picos"),
    (Number::EffectiveCost, "effective_picos"),
    (Number::UsedCommitment, "used_picos"),
    (Number::TotalCommitment, "total_picos"),
];

/// Columns of the answer: the texts, in the order of [`Text`]; start, end and which numbers cannot be read; how many line
/// items; the amount of usage; [`DOLLARS`]; the plan's rate, the price, and the price beyond what was billed.
pub(crate) const COLUMNS: usize = TEXTS + 5 + DOLLARS.len() + 3;

/// Names of the text facts, in the order of [`Text`].
const TEXT_NAMES: [&str; TEXTS] = [
    "line_item_type",
    "usage_type",
    "operation",
    "product_code",
    "plan_arn",
    "usage_account",
    "region",
    "currency",
    "offering_type",
    "payment_option",
    "plan_region",
    "plan_family",
    "plan_start",
    "plan_end",
    "description",
    "node_pool_tag",
    "cluster_tag",
];

/// Names of the numeric facts, in the order of [`Number`].
const NUMBER_NAMES: [&str; 7] = [
    "usage_amount",
    "unblended_cost",
    "on_demand_cost",
    "plan_rate",
    "effective_cost",
    "used_commitment",
    "total_commitment",
];

/// A table by name, as SQL has it.
pub(crate) fn table(database: &str, table: &str) -> String {
    format!("{}.{}", quoted(database), quoted(table))
}

/// Which billing periods there are, of all or of some, and how many line items each has: nothing but footers is read for it.
pub(crate) fn periods(table: &str, period: Option<PeriodColumns>, of: Option<&[BillingPeriod]>) -> String {
    let names: Vec<String> = period
        .map_or(&[][..], PeriodColumns::names)
        .iter()
        .map(|name| quoted(name))
        .collect();
    if names.is_empty() {
        return format!("SELECT count(*) FROM {table}");
    }
    let names = names.join(", ");
    let only = period
        .zip(of)
        .map(|(columns, of)| format!(" WHERE {}", period_is(columns, of)))
        .unwrap_or_default();
    format!("SELECT {names}, count(*) FROM {table}{only} GROUP BY {names}")
}

/// What a legacy report says of itself.
pub(crate) fn status(table: &str) -> String {
    format!("SELECT DISTINCT {} FROM {table}", quoted("status"))
}

/// What to ask.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// [`table`].
    pub(crate) table: &'a str,
    pub(crate) schema: &'a Schema,
    /// Where that schema keeps the facts.
    pub(crate) columns: &'a Columns,
    pub(crate) detail: Detail,
    /// Of which billing periods; all when the table does not show them.
    pub(crate) periods: Option<(PeriodColumns, &'a [BillingPeriod])>,
    /// Line items that begin in this hour or later; all when `None`. What begins later than anybody looks shows how far the
    /// report reaches.
    pub(crate) since: Option<Hour>,
}

impl Question<'_> {
    /// The query: the items, their numbers in small units, those as whole numbers, and the sums of these.
    pub(crate) fn sql(&self) -> String {
        let keys = format!("{}, starts, ends", TEXT_NAMES.join(", "));
        let mut sql = self.items();
        sql += &units(&keys);
        sql += &wholes(&keys);
        sql += &sums(&keys);
        sql
    }

    /// The line items that count, as facts.
    fn items(&self) -> String {
        let texts: Vec<String> = (0..TEXTS)
            .map(|fact| format!("    {} AS {}", self.text(fact), TEXT_NAMES[fact]))
            .collect();
        let numbers: Vec<String> = (0..NUMBER_NAMES.len())
            .map(|fact| format!("    {} AS {}", self.number(fact), NUMBER_NAMES[fact]))
            .collect();
        let [starts, ends] = self.columns.times.map(|root| match self.data_type(root) {
            DataType::Utf8 => self.name(root),
            _ => format!("CAST({} AS VARCHAR)", self.name(root)),
        });
        format!(
            "WITH items AS (\n  SELECT\n{},\n    {starts} AS starts,\n    {ends} AS ends,\n{}\n  FROM {}\n  WHERE {}\n),\n",
            texts.join(",\n"),
            numbers.join(",\n"),
            self.table,
            self.rows().join("\n    AND "),
        )
    }

    fn name(&self, root: usize) -> String {
        quoted(self.schema.field(root).name())
    }

    fn data_type(&self, root: usize) -> &DataType {
        self.schema.field(root).data_type()
    }

    /// A text fact; the first that is not empty counts.
    fn text(&self, fact: usize) -> String {
        let roots = self.columns.texts[fact].iter();
        let mut sources: Vec<String> = roots
            .map(|root| match self.data_type(*root) {
                DataType::Timestamp(..) => format!("CAST({} AS VARCHAR)", self.name(*root)),
                _ => self.name(*root),
            })
            .collect();
        for tag in [Tag::NodePool, Tag::Cluster]
            .into_iter()
            .filter(|tag| text_of(*tag) as usize == fact)
        {
            for root in &self.columns.tag_maps {
                let map = self.name(*root);
                sources.extend(keys_of(tag).iter().map(|key| entry(&map, key)));
            }
        }
        if fact == Text::Region as usize {
            sources.extend(
                self.columns
                    .product_map
                    .map(|root| entry(&self.name(root), "region")),
            );
        }
        let value = match sources.as_slice() {
            [] => return "''".to_owned(),
            [one] => format!("coalesce({one}, '')"),
            several => {
                let several: Vec<String> = several.iter().map(|one| format!("nullif({one}, '')")).collect();
                format!("coalesce({}, '')", several.join(", "))
            }
        };
        // Whose usage it was matters to decisions only; of a fee it is the plan's account.
        let line_types: &[&str] = match fact {
            fact if self.detail == Detail::Plans && fact == Text::UsageAccount as usize => &[RECURRING_FEE],
            // Of usage it says its price, and would part what belongs together.
            fact if fact == Text::Description as usize => &[RECURRING_FEE, REFUND],
            _ => return value,
        };
        match self.raw(Text::LineItemType) {
            Some(line_type) => format!(
                "CASE WHEN {line_type} IN {} THEN {value} ELSE '' END",
                list(line_types)
            ),
            None => value,
        }
    }

    /// A numeric fact: null and absent are 0, what cannot be read is no number.
    fn number(&self, fact: usize) -> String {
        let Some(root) = self.columns.numbers[fact] else {
            return "0E0".to_owned();
        };
        let name = self.name(root);
        match self.data_type(root) {
            DataType::Float64 => format!("coalesce({name}, 0E0)"),
            DataType::Utf8 => format!(
                "CASE WHEN trim(coalesce({name}, '')) = '' THEN 0E0 ELSE coalesce(TRY_CAST(trim({name}) AS DOUBLE), CAST('NaN' AS DOUBLE)) END"
            ),
            _ => format!("coalesce(CAST({name} AS DOUBLE), 0E0)"),
        }
    }

    /// The column of a text fact that one column holds.
    fn raw(&self, fact: Text) -> Option<String> {
        self.columns.texts[fact as usize]
            .first()
            .map(|root| self.name(*root))
    }

    /// What a line item must fulfil. The ledger's builder looks again, so that too many do no harm.
    fn rows(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .periods
            .map(|(columns, periods)| period_is(columns, periods))
            .into_iter()
            .collect();
        if let Some(since) = self.since {
            let root = self.columns.times[0];
            // A text may be a time in any form: the ledger's builder sees to those.
            if matches!(self.data_type(root), DataType::Timestamp(..)) {
                let (name, since) = (self.name(root), timestamp(since));
                all.push(format!("({name} IS NULL OR {name} >= {since})"));
            }
        }
        let Some(line_type) = self.raw(Text::LineItemType) else {
            return all;
        };
        let plans = list(&[RECURRING_FEE, COVERED_USAGE, REFUND]);
        let mut kinds = vec![format!("{line_type} IN {plans}")];
        if let (Some(usage_type), Some(product)) = (self.raw(Text::UsageType), self.raw(Text::ProductCode)) {
            // Whole names, but for the region's code before and for what stands behind a colon.
            let plain = format!("split_part({usage_type}, ':', 1)");
            let kind = OF_INTEREST.iter().map(|(products, names)| {
                let coded = names
                    .iter()
                    .map(|name| format!("{plain} LIKE {}", literal(&format!("%-{name}"))));
                let names = format!("{plain} IN {}", list(names));
                let names: Vec<String> = std::iter::once(names).chain(coded).collect();
                format!("{product} IN {} AND ({})", list(products), names.join(" OR "))
            });
            let kind: Vec<String> = kind.collect();
            let types = list(&[USAGE, DISCOUNTED_USAGE]);
            kinds.push(format!(
                "{line_type} IN {types} AND (\n      {})",
                kind.join("\n      OR ")
            ));
        }
        all.push(format!("({})", kinds.join("\n      OR ")));
        all
    }
}

/// What is added up of line items: usage in nano-units, [`DOLLARS`] in picodollars.
fn summed() -> impl Iterator<Item = &'static str> {
    std::iter::once("usage_nanos").chain(DOLLARS.iter().map(|(_, name)| *name))
}

/// Each item's numbers in the units that they are added up in, still as floats, and its prices in nano-dollars.
fn units(keys: &str) -> String {
    let price = |cost: &str| {
        format!(
            "CASE WHEN {cost} > 0E0 AND {cost} < 1E12 AND usage_amount > 0E0 AND usage_amount < 92E8 THEN {cost} / usage_amount * 1E9 END"
        )
    };
    let mut sql = format!("units AS (\n  SELECT {keys},\n    usage_amount * 1E9 AS usage_nanos,\n");
    for (number, name) in DOLLARS {
        let _ = writeln!(sql, "    {} * 1E12 AS {name},", NUMBER_NAMES[number as usize]);
    }
    let _ = write!(
        sql,
        "    CASE WHEN abs(plan_rate) < 1E12 THEN plan_rate END AS plan_rate,\n    {} AS billed,\n    {} AS listed\n  FROM items\n),\n",
        price("unblended_cost"),
        price("on_demand_cost"),
    );
    sql
}

/// Each item's numbers, rounded.
fn wholes(keys: &str) -> String {
    let mut sql = format!("wholes AS (\n  SELECT {keys},\n");
    for name in summed() {
        let _ = writeln!(sql, "    {} AS {name},", nearest(name));
    }
    let _ = write!(
        sql,
        "    plan_rate,\n    {} AS billed,\n    {} AS listed\n  FROM units\n)\n",
        nano_dollars("billed"),
        nano_dollars("listed"),
    );
    sql
}

/// The sums of items that agree in every text, both times and in which numbers cannot be read; of rates and prices the
/// highest.
fn sums(keys: &str) -> String {
    let unreadable: Vec<String> = summed()
        .zip('a'..)
        .map(|(name, mark)| format!("CASE WHEN {name} IS NULL THEN '{mark}' ELSE '' END"))
        .collect();
    let mut sql = format!(
        "SELECT {keys},\n  {} AS unreadable,\n  count(*) AS line_items,\n",
        unreadable.join(" || ")
    );
    for name in summed() {
        let _ = writeln!(sql, "  sum(CAST({name} AS DECIMAL(38, 0))) AS {name},");
    }
    let by: Vec<String> = (1..=TEXTS + 3).map(|number| number.to_string()).collect();
    let _ = write!(
        sql,
        "  max(plan_rate) AS plan_rate,\n  max(coalesce(listed, billed)) AS price,\n  \
         max(CASE WHEN billed IS NULL OR listed > billed THEN listed END) AS price_beyond_billed\n\
         FROM wholes\nGROUP BY {}",
        by.join(", ")
    );
    sql
}

fn period_is(columns: PeriodColumns, periods: &[BillingPeriod]) -> String {
    let values = |of: &dyn Fn(&BillingPeriod) -> Vec<String>| -> String {
        let mut all: Vec<String> = periods.iter().flat_map(of).collect();
        all.dedup();
        all.join(", ")
    };
    match columns {
        PeriodColumns::Whole => {
            format!(
                "{} IN ({})",
                quoted("billing_period"),
                values(&|period| vec![literal(&period.to_string())])
            )
        }
        PeriodColumns::YearMonth([year_is_text, month_is_text]) => {
            let one = |period: &BillingPeriod| {
                let text = period.to_string();
                let (year, month) = text.split_once('-').unwrap_or_default();
                let short = month.trim_start_matches('0');
                let year = if year_is_text {
                    literal(year)
                } else {
                    year.to_owned()
                };
                let month = match (month_is_text, short == month) {
                    (false, _) => short.to_owned(),
                    (true, true) => literal(month),
                    // AWS writes it without the zero, other pipelines with it.
                    (true, false) => format!("{}, {}", literal(short), literal(month)),
                };
                format!("{} = {year} AND {} IN ({month})", quoted("year"), quoted("month"))
            };
            let all: Vec<String> = periods.iter().map(one).collect();
            format!("({})", all.join(" OR "))
        }
    }
}

/// The whole number nearest to a float, of two the even one; null where it is none, or beyond what a line item can be.
fn nearest(name: &str) -> String {
    format!(
        "CASE WHEN abs({name}) < 92E17 THEN CAST(floor({name}) + CASE WHEN {name} - floor({name}) > 5E-1 THEN 1E0 \
         WHEN {name} - floor({name}) = 5E-1 THEN abs(mod(floor({name}), 2E0)) ELSE 0E0 END AS BIGINT) END"
    )
}

/// Dollars from nano-dollars, which are positive: to the nearest, of two the higher one.
fn nano_dollars(name: &str) -> String {
    format!("(floor({name}) + CASE WHEN {name} - floor({name}) >= 5E-1 THEN 1E0 ELSE 0E0 END) / 1E9")
}

fn timestamp(hour: Hour) -> String {
    format!("TIMESTAMP '{}'", hour.start().format("%Y-%m-%d %H:%M:%S"))
}

fn list(texts: &[&str]) -> String {
    let all: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    format!("({})", all.join(", "))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

mod maps;

#[cfg(test)]
mod tests;
