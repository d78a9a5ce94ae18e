//! What the data catalog says of a table, as the schema in which the columns of a file are looked up, too.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use crate::period::BillingPeriod;

/// A table's columns.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    /// Names in lower case, as Athena has them, and their types as far as they matter.
    pub(crate) schema: Schema,
    /// The columns that show a row's billing period, which are the partition's where there are partitions.
    pub(crate) period: Option<PeriodColumns>,
    /// True when a query of some billing periods reads no others.
    pub(crate) is_partitioned: bool,
}

/// How a table shows a row's billing period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeriodColumns {
    /// CUR 2.0: `billing_period`, such as `2026-01`.
    Whole,
    /// Legacy: `year` and `month`, such as `2026` and `1`; true where it is text.
    YearMonth([bool; 2]),
}

impl Described {
    /// Reads columns and partition keys, each a name and a type as Hive writes it.
    pub(crate) fn of(columns: &[(String, String)], partitions: &[(String, String)]) -> Self {
        let fields = columns.iter().chain(partitions);
        let fields: Vec<Field> = fields
            .map(|(name, hive)| Field::new(name.to_ascii_lowercase(), data_type(hive), true))
            .collect();
        let find = |name: &str| fields.iter().find(|field| field.name() == name);
        let is_text = |field: &Field| *field.data_type() == DataType::Utf8;
        let period = match (find("billing_period"), find("year"), find("month")) {
            (Some(whole), ..) if is_text(whole) => Some(PeriodColumns::Whole),
            (_, Some(year), Some(month)) => Some(PeriodColumns::YearMonth([is_text(year), is_text(month)])),
            _ => None,
        };
        let names: &[&str] = period.map_or(&[], PeriodColumns::names);
        let is_key = |name: &str| partitions.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        Self {
            is_partitioned: !names.is_empty() && names.iter().all(|name| is_key(name)),
            schema: Schema::new(fields),
            period,
        }
    }
}

impl PeriodColumns {
    /// The columns' names.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Whole => &["billing_period"],
            Self::YearMonth(_) => &["year", "month"],
        }
    }

    /// The billing period of their values.
    pub(crate) fn read(self, values: &[Option<String>]) -> Option<BillingPeriod> {
        match (self, values) {
            (Self::Whole, [Some(whole), ..]) => BillingPeriod::parse(whole),
            (Self::YearMonth(_), [Some(year), Some(month), ..]) => {
                BillingPeriod::new(year.parse().ok()?, month.parse().ok()?)
            }
            _ => None,
        }
    }
}

/// A type that no fact has.
const UNKNOWN: DataType = DataType::Boolean;

/// The type of a column, as Hive writes it; null where it holds nothing else.
fn data_type(hive: &str) -> DataType {
    let hive = hive.trim().to_ascii_lowercase();
    let head = hive.split(['(', '<', ' ']).next().unwrap_or_default();
    match head {
        "string" | "varchar" | "char" => DataType::Utf8,
        "double" => DataType::Float64,
        "float" | "real" => DataType::Float32,
        "tinyint" | "smallint" | "int" | "integer" | "bigint" => DataType::Int64,
        "decimal" => DataType::Decimal128(38, 12),
        "timestamp" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "map" => {
            let entry = Field::new_struct(
                "entries",
                vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", DataType::Utf8, true),
                ],
                false,
            );
            DataType::Map(Arc::new(entry), false)
        }
        "void" | "null" | "unknown" => DataType::Null,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn partitions_of_either_report_are_known_by_their_names() {
        let legacy = Described::of(&[], &columns(&[("year", "string"), ("month", "int")]));
        assert_eq!(legacy.period, Some(PeriodColumns::YearMonth([true, false])));
        assert!(legacy.is_partitioned);
        let period = legacy.period.unwrap();
        let value = |text: &str| Some(text.to_owned());
        assert_eq!(
            period.read(&[value("2026"), value("1")]),
            BillingPeriod::new(2026, 1)
        );
        assert_eq!(
            period.read(&[value("__HIVE_DEFAULT_PARTITION__"), value("1")]),
            None
        );
        let export = Described::of(&[], &columns(&[("BILLING_PERIOD", "string")]));
        assert_eq!(export.period, Some(PeriodColumns::Whole));
        let view = Described::of(&columns(&[("billing_period", "varchar(7)")]), &[]);
        assert!(view.period.is_some() && !view.is_partitioned);
        assert_eq!(Described::of(&columns(&[("year", "string")]), &[]).period, None);
    }

    #[test]
    fn types_are_those_that_files_have() {
        assert_eq!(data_type("varchar(255)"), DataType::Utf8);
        assert_eq!(data_type("decimal(10,2)"), DataType::Decimal128(38, 12));
        assert!(matches!(data_type("map<string,string>"), DataType::Map(..)));
        assert!(matches!(
            data_type("timestamp with time zone"),
            DataType::Timestamp(..)
        ));
        assert_eq!(data_type("array<string>"), UNKNOWN);
        assert_eq!(data_type("void"), DataType::Null);
    }
}
