//! Files whose times are INT96, which the Arrow writer no longer makes.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimestampNanosecondType};
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;
const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;

/// A file of the batch's text, number and time columns, all required.
pub(crate) fn bytes(batch: &RecordBatch, times: &[&str]) -> Vec<u8> {
    let fields = batch.schema();
    let columns = fields.fields().iter().map(|field| {
        let (physical, converted) = match field.data_type() {
            DataType::Utf8 => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
            DataType::Float64 => (Physical::DOUBLE, ConvertedType::NONE),
            _ if times.contains(&field.name().as_str()) => (Physical::INT96, ConvertedType::NONE),
            other => panic!("{}: no such column here: {other}", field.name()),
        };
        let column = Type::primitive_type_builder(field.name(), physical)
            .with_repetition(Repetition::REQUIRED)
            .with_converted_type(converted);
        Arc::new(column.build().unwrap())
    });
    let schema = Type::group_type_builder("schema")
        .with_fields(columns.collect())
        .build()
        .unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for array in batch.columns() {
        let mut column = group.next_column().unwrap().unwrap();
        match array.data_type() {
            DataType::Utf8 => {
                let values: Vec<ByteArray> = array
                    .as_string::<i32>()
                    .iter()
                    .map(|v| v.unwrap().into())
                    .collect();
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&values, None, None)
                    .unwrap();
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>().values();
                column
                    .typed::<DoubleType>()
                    .write_batch(values, None, None)
                    .unwrap();
            }
            _ => {
                let nanos = array.as_primitive::<TimestampNanosecondType>().values();
                let values: Vec<Int96> = nanos.iter().map(|nanos| int96(*nanos)).collect();
                column
                    .typed::<Int96Type>()
                    .write_batch(&values, None, None)
                    .unwrap();
            }
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// Nanoseconds of the day, low half first, then the Julian day.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "halves of a number, and a day of this era"
)]
fn int96(nanos: i64) -> Int96 {
    let of_day = nanos.rem_euclid(NANOS_PER_DAY) as u64;
    let mut value = Int96::new();
    value.set_data(
        of_day as u32,
        (of_day >> 32) as u32,
        (nanos.div_euclid(NANOS_PER_DAY) + JULIAN_DAY_OF_EPOCH) as u32,
    );
    value
}
