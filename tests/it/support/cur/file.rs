//! Parquet files of line items, in the forms that AWS and people's pipelines write.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, NullArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_schema::{Field, Schema};
use chrono::{DateTime, SecondsFormat, Utc};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};

use super::{Focus, Row, Value, focus, footer, int96};

const START: &str = "line_item_usage_start_date";
const END: &str = "line_item_usage_end_date";

/// Text columns that every file has, whatever its rows set; the others only where some row does.
const TEXTS: [&str; 18] = [
    "identity_line_item_id",
    "bill_payer_account_id",
    "bill_invoice_id",
    "line_item_usage_account_id",
    "line_item_line_item_type",
    "line_item_product_code",
    "line_item_usage_type",
    "line_item_operation",
    "line_item_resource_id",
    "line_item_currency_code",
    "product_region",
    "savings_plan_savings_plan_a_r_n",
    "savings_plan_offering_type",
    "savings_plan_payment_option",
    "savings_plan_region",
    "savings_plan_instance_type_family",
    "savings_plan_start_time",
    "savings_plan_end_time",
];

const NUMBERS: [&str; 9] = [
    "line_item_usage_amount",
    "line_item_unblended_cost",
    "pricing_public_on_demand_cost",
    "savings_plan_total_commitment_to_date",
    "savings_plan_used_commitment",
    "savings_plan_savings_plan_rate",
    "savings_plan_savings_plan_effective_cost",
    "savings_plan_amortized_upfront_commitment_for_billing_period",
    "savings_plan_recurring_commitment_for_billing_period",
];

/// How a file tells time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Millis,
    Micros,
    MicrosWithoutZone,
    Nanos,
    /// The twelve bytes of Hive and Spark.
    Int96,
    /// `2026-11-01T00:00:00Z`.
    Text,
    /// Text in that form of `chrono`.
    Written(&'static str),
}

/// The form of a file.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one way in which files differ"
)]
pub(crate) struct File {
    cur2: bool,
    focus: Option<Focus>,
    discounted: bool,
    times: Times,
    numbers_as_text: bool,
    missing: Vec<&'static str>,
    renamed: Vec<(&'static str, &'static str)>,
    reversed: bool,
    tag_map: &'static str,
    region_in_product_map: bool,
    row_group: Option<usize>,
    delta_strings: bool,
    statistics: bool,
    dictionary_offset: bool,
    plans: Plans,
    /// Another compression in the footer than the pages have: one that this crate does not write.
    claimed: Option<Compression>,
    spark: bool,
}

/// What a file has of the columns that only plans fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plans {
    Columns,
    /// None of them: nobody has a plan yet.
    Absent,
    /// All of them, without a type: a table that was once wider.
    Untyped,
    /// All of them, of another type and null in every row.
    Mistyped,
}

impl File {
    /// A legacy report's: every column required, blank is `''` or 0.0, times in UTC milliseconds.
    pub(crate) fn legacy() -> Self {
        Self {
            cur2: false,
            focus: None,
            discounted: false,
            times: Times::Millis,
            numbers_as_text: false,
            missing: Vec::new(),
            renamed: Vec::new(),
            reversed: false,
            tag_map: "resource_tags",
            region_in_product_map: false,
            row_group: None,
            delta_strings: false,
            statistics: true,
            dictionary_offset: true,
            plans: Plans::Columns,
            claimed: None,
            spark: false,
        }
    }

    /// A CUR 2.0 export's: blank is null, tags and product attributes in maps.
    pub(crate) fn cur2() -> Self {
        Self {
            cur2: true,
            times: Times::Micros,
            ..Self::legacy()
        }
    }

    /// A FOCUS export's.
    pub(crate) fn focus(focus: Focus) -> Self {
        Self {
            focus: Some(focus),
            ..Self::legacy()
        }
    }

    /// Of a FOCUS export: a negotiated discount of a tenth on what is paid.
    pub(crate) fn discounted(self) -> Self {
        Self {
            discounted: true,
            ..self
        }
    }

    /// True for what Data Exports deliver.
    pub(crate) fn is_export(&self) -> bool {
        self.cur2 || self.focus.is_some()
    }

    pub(crate) fn times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// Numbers as a crawler or a CSV pipeline leaves them. A row may then hold any text for a number.
    pub(crate) fn numbers_as_text(self) -> Self {
        Self {
            numbers_as_text: true,
            ..self
        }
    }

    pub(crate) fn plans(self, plans: Plans) -> Self {
        Self { plans, ..self }
    }

    pub(crate) fn claiming(self, compression: Compression) -> Self {
        Self {
            claimed: Some(compression),
            ..self
        }
    }

    /// As parquet-mr writes for Spark: pages of the first version.
    pub(crate) fn by_spark(self) -> Self {
        Self { spark: true, ..self }
    }

    pub(crate) fn without(mut self, column: &'static str) -> Self {
        self.missing.push(column);
        self
    }

    pub(crate) fn renamed(mut self, from: &'static str, to: &'static str) -> Self {
        self.renamed.push((from, to));
        self
    }

    /// Columns in the opposite order.
    pub(crate) fn reversed(self) -> Self {
        Self {
            reversed: true,
            ..self
        }
    }

    /// Tags in the newer map `tags`, whose keys keep the tag's own spelling.
    pub(crate) fn tags_in(self, map: &'static str) -> Self {
        Self { tag_map: map, ..self }
    }

    /// No region column: only `product['region']`.
    pub(crate) fn region_in_product_map(self) -> Self {
        Self {
            region_in_product_map: true,
            ..self
        }
    }

    pub(crate) fn row_groups_of(self, rows: usize) -> Self {
        Self {
            row_group: Some(rows),
            ..self
        }
    }

    /// Text as `DELTA_BYTE_ARRAY`, without dictionaries.
    pub(crate) fn delta_strings(self) -> Self {
        Self {
            delta_strings: true,
            ..self
        }
    }

    pub(crate) fn without_statistics(self) -> Self {
        Self {
            statistics: false,
            ..self
        }
    }

    /// Dictionary pages are there, but the footer doesn't say where, as in parquet-mr's older files.
    pub(crate) fn without_dictionary_offsets(self) -> Self {
        Self {
            dictionary_offset: false,
            ..self
        }
    }

    pub(crate) fn write(&self, path: &Path, rows: &[Row]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, self.bytes(rows)).unwrap();
    }

    pub(crate) fn bytes(&self, rows: &[Row]) -> Vec<u8> {
        let batch = match self.focus {
            Some(form) => focus::batch(form, self.discounted, rows, &self.missing),
            None => self.batch(rows),
        };
        if self.times == Times::Int96 {
            return int96::bytes(&batch, self.properties());
        }
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties())
            .with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        if let Some(compression) = self.claimed {
            return footer::claim(&bytes, compression);
        }
        if self.dictionary_offset {
            bytes
        } else {
            footer::forget_dictionaries(&bytes)
        }
    }

    fn properties(&self) -> WriterProperties {
        let mut properties: WriterPropertiesBuilder = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(self.row_group);
        if self.spark {
            properties = properties.set_writer_version(WriterVersion::PARQUET_1_0);
        }
        if !self.statistics {
            properties = properties.set_statistics_enabled(EnabledStatistics::None);
        }
        if self.delta_strings {
            properties = properties.set_dictionary_enabled(false);
            for name in TEXTS {
                properties =
                    properties.set_column_encoding(self.name_of(name).into(), Encoding::DELTA_BYTE_ARRAY);
            }
        }
        properties.build()
    }

    /// How this file spells a column.
    fn name_of(&self, column: &'static str) -> &'static str {
        let renamed = self
            .renamed
            .iter()
            .find(|(from, _)| *from == column)
            .map(|(_, to)| *to);
        renamed.unwrap_or(match column {
            "product_region" if self.cur2 => "product_region_code",
            column => column,
        })
    }

    fn batch(&self, rows: &[Row]) -> RecordBatch {
        let mut columns: Vec<(String, ArrayRef)> = vec![
            (self.name_of(START).into(), self.times_of(rows, |row| row.start)),
            (self.name_of(END).into(), self.times_of(rows, |row| row.end)),
        ];
        let extra = rows.iter().flat_map(|row| &row.values);
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        let known = |name: &&str| !TEXTS.contains(name) && !NUMBERS.contains(name);
        let more: BTreeSet<(&str, bool)> = extra
            .map(|(k, v)| (*k, is_text(v)))
            .filter(|(k, _)| known(k))
            .collect();
        let texts = TEXTS
            .iter()
            .copied()
            .chain(more.iter().filter(|(_, text)| *text).map(|(name, _)| *name));
        for name in texts.filter(|name| !(self.region_in_product_map && *name == "product_region")) {
            columns.push((
                self.name_of(name).into(),
                self.text(rows, |row| row.values.get(name).map(as_text)),
            ));
        }
        let numbers = NUMBERS
            .iter()
            .copied()
            .chain(more.iter().filter(|(_, text)| !*text).map(|(name, _)| *name));
        for name in numbers {
            columns.push((self.name_of(name).into(), self.number(rows, name)));
        }
        columns.extend(self.tags(rows));
        if self.cur2 {
            let named = self.text(rows, |_| Some("organisation".to_owned()));
            columns.push(("bill_payer_account_name".into(), named));
            columns.push(("product".into(), self.products(rows)));
        }
        columns.retain(|(name, _)| !self.missing.contains(&name.as_str()));
        self.spoil_plans(&mut columns, rows.len());
        if self.reversed {
            columns.reverse();
        }
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, array)| {
                let is_nullable = self.cur2 || array.logical_null_count() > 0;
                Field::new(name, array.data_type().clone(), is_nullable)
            })
            .collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    fn spoil_plans(&self, columns: &mut Vec<(String, ArrayRef)>, rows: usize) {
        let is_of_plans = |name: &str| name.starts_with("savings_plan_");
        match self.plans {
            Plans::Columns => {}
            Plans::Absent => columns.retain(|(name, _)| !is_of_plans(name)),
            Plans::Untyped | Plans::Mistyped => {
                for (_, array) in columns.iter_mut().filter(|(name, _)| is_of_plans(name)) {
                    *array = match self.plans {
                        Plans::Untyped => Arc::new(NullArray::new(rows)),
                        _ => Arc::new(BooleanArray::new_null(rows)),
                    };
                }
            }
        }
    }

    fn text(&self, rows: &[Row], value: impl Fn(&Row) -> Option<String>) -> ArrayRef {
        let blank = || (!self.cur2).then(String::new);
        Arc::new(
            rows.iter()
                .map(|row| value(row).or_else(blank))
                .collect::<StringArray>(),
        )
    }

    fn number(&self, rows: &[Row], column: &str) -> ArrayRef {
        if self.numbers_as_text {
            return self.text(rows, |row| row.values.get(column).map(as_text));
        }
        let blank = (!self.cur2).then_some(0.0);
        let values = rows.iter().map(|row| match row.values.get(column) {
            Some(Value::Number(number)) => Some(*number),
            Some(Value::Text(text)) => panic!("{column} holds {text:?}: only files with numbers as text can"),
            None => blank,
        });
        Arc::new(values.collect::<Float64Array>())
    }

    fn times_of(&self, rows: &[Row], time: impl Fn(&Row) -> DateTime<Utc>) -> ArrayRef {
        let times = rows.iter().map(time);
        match self.times {
            Times::Millis => {
                let values = TimestampMillisecondArray::from_iter_values(times.map(|t| t.timestamp_millis()));
                Arc::new(values.with_timezone("UTC"))
            }
            Times::Micros => {
                let values = TimestampMicrosecondArray::from_iter_values(times.map(|t| t.timestamp_micros()));
                Arc::new(values.with_timezone("UTC"))
            }
            Times::MicrosWithoutZone => Arc::new(TimestampMicrosecondArray::from_iter_values(
                times.map(|t| t.timestamp_micros()),
            )),
            Times::Nanos | Times::Int96 => {
                let nanos = times.map(|t| t.timestamp_nanos_opt().unwrap());
                Arc::new(TimestampNanosecondArray::from_iter_values(nanos).with_timezone("UTC"))
            }
            Times::Written(form) => {
                let texts = times.map(|t| t.format(form).to_string());
                Arc::new(StringArray::from_iter_values(texts))
            }
            Times::Text => {
                let texts = times.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true));
                Arc::new(StringArray::from_iter_values(texts))
            }
        }
    }

    fn tags(&self, rows: &[Row]) -> Vec<(String, ArrayRef)> {
        if self.cur2 {
            let key = |key: &str| match self.tag_map {
                "tags" => format!("resourceTags/{}", original_key(key)),
                _ => key.to_owned(),
            };
            return vec![(
                self.tag_map.into(),
                map(rows, |row| {
                    row.tags.iter().map(|(k, v)| (key(k), v.clone())).collect()
                }),
            )];
        }
        let keys: BTreeSet<&str> = rows.iter().flat_map(|row| row.tags.keys().copied()).collect();
        let column = |key: &str| self.text(rows, |row| row.tags.get(key).cloned());
        keys.into_iter()
            .map(|key| (format!("resource_tags_{key}"), column(key)))
            .collect()
    }

    fn products(&self, rows: &[Row]) -> ArrayRef {
        map(rows, |row| {
            let system = ("operating_system".to_owned(), "Linux".to_owned());
            let region = row
                .values
                .get("product_region")
                .filter(|_| self.region_in_product_map);
            std::iter::once(system)
                .chain(region.map(|region| ("region".to_owned(), as_text(region))))
                .collect()
        })
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
    }
}

/// A tag's key before the report's naming rule took its punctuation.
pub(super) fn original_key(key: &str) -> &str {
    match key {
        "aws_eks_cluster_name" => "aws:eks:cluster-name",
        "user_karpenter_sh_nodepool" => "user:karpenter.sh/nodepool",
        key => key,
    }
}

pub(super) fn map<T>(rows: &[T], entries: impl Fn(&T) -> Vec<(String, String)>) -> ArrayRef {
    let names = MapFieldNames {
        entry: "key_value".into(),
        key: "key".into(),
        value: "value".into(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        let entries = entries(row);
        for (key, value) in &entries {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(!entries.is_empty()).unwrap(); // no entries: null
    }
    Arc::new(builder.finish())
}
