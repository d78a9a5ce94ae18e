//! Files whose times are INT96, which the Arrow writer no longer makes: Hive, Spark, and so AWS's Data Exports.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, TimeUnit};
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;
const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;

/// A file of the batch's columns of text, numbers, times and maps of texts; all times INT96.
pub(crate) fn bytes(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let fields = batch.schema();
    let columns = fields.fields().iter().map(|field| column_of(field));
    let schema = Type::group_type_builder("schema")
        .with_fields(columns.collect())
        .build()
        .unwrap();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (field, array) in fields.fields().iter().zip(batch.columns()) {
        write(&mut group, array, field.is_nullable());
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn plain(name: &str, physical: Physical, converted: ConvertedType, repetition: Repetition) -> TypePtr {
    let column = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_converted_type(converted);
    Arc::new(column.build().unwrap())
}

fn column_of(field: &Field) -> TypePtr {
    let repetition = if field.is_nullable() {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    let text = |name: &str, repetition| plain(name, Physical::BYTE_ARRAY, ConvertedType::UTF8, repetition);
    match field.data_type() {
        DataType::Utf8 => text(field.name(), repetition),
        DataType::Float64 => plain(field.name(), Physical::DOUBLE, ConvertedType::NONE, repetition),
        DataType::Timestamp(..) => plain(field.name(), Physical::INT96, ConvertedType::NONE, repetition),
        DataType::Map(..) => {
            let entry = Type::group_type_builder("key_value")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![
                    text("key", Repetition::REQUIRED),
                    text("value", Repetition::OPTIONAL),
                ]);
            let map = Type::group_type_builder(field.name())
                .with_repetition(Repetition::OPTIONAL)
                .with_converted_type(ConvertedType::MAP)
                .with_fields(vec![Arc::new(entry.build().unwrap())]);
            Arc::new(map.build().unwrap())
        }
        other => panic!("{}: no such column here: {other}", field.name()),
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn write(group: &mut Group<'_>, array: &ArrayRef, is_nullable: bool) {
    let levels: Vec<i16> = (0..array.len()).map(|row| array.is_valid(row).into()).collect();
    let levels = is_nullable.then_some(levels.as_slice());
    match array.data_type() {
        DataType::Utf8 => write_texts(group, &texts(array.as_string()), levels, None),
        DataType::Float64 => {
            let values: Vec<f64> = array.as_primitive::<Float64Type>().iter().flatten().collect();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<DoubleType>()
                .write_batch(&values, levels, None)
                .unwrap();
            column.close().unwrap();
        }
        DataType::Timestamp(..) => {
            let nanos = cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None)).unwrap();
            let nanos = nanos.as_primitive::<TimestampNanosecondType>();
            let values: Vec<Int96> = nanos.iter().flatten().map(int96).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<Int96Type>()
                .write_batch(&values, levels, None)
                .unwrap();
            column.close().unwrap();
        }
        _ => write_map(group, array),
    }
}

fn write_map(group: &mut Group<'_>, array: &ArrayRef) {
    let map = array.as_map();
    let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
    let (mut repetition, mut of_keys, mut of_values) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..map.len() {
        let offsets = map.value_offsets();
        let entries = usize::try_from(offsets[row]).unwrap()..usize::try_from(offsets[row + 1]).unwrap();
        if map.is_null(row) || entries.is_empty() {
            repetition.push(0);
            of_keys.push(i16::from(map.is_valid(row)));
            of_values.push(i16::from(map.is_valid(row)));
            continue;
        }
        for (place, entry) in entries.enumerate() {
            repetition.push(i16::from(place > 0));
            of_keys.push(2);
            of_values.push(2 + i16::from(values.is_valid(entry)));
        }
    }
    write_texts(group, &texts(keys), Some(&of_keys), Some(&repetition));
    write_texts(group, &texts(values), Some(&of_values), Some(&repetition));
}

fn texts(array: &StringArray) -> Vec<ByteArray> {
    array.iter().flatten().map(Into::into).collect()
}

fn write_texts(
    group: &mut Group<'_>,
    values: &[ByteArray],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().unwrap();
    let writer = column.typed::<ByteArrayType>();
    writer.write_batch(values, definition, repetition).unwrap();
    column.close().unwrap();
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
