//! Pages read here against the decoder's word, on files of every make.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{MapBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::batch::BatchDecoder;
use crate::columns::{Detail, Number, Text, Time};
use crate::line_items::LineItems;
use crate::object::FileBytes;
use crate::parquet_file::ParquetFile;
use crate::store::{LocalStore, ObjectStore};
use crate::symbols::Symbols;
use brimful_types::hour::Hour;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

const OF_PLANS: u8 = 1;
const BOXES: u8 = 2;

const FILTER: RowFilter = RowFilter {
    leading: &[
        (Text::LineItemType, |text| match text {
            "Usage" => BOXES,
            "Fee" => OF_PLANS,
            _ => 0,
        }),
        (Text::ProductCode, |text| match text {
            "EC2" | "" => OF_PLANS | BOXES,
            _ => OF_PLANS,
        }),
        (Text::UsageType, |text| {
            if text.starts_with("Box") {
                OF_PLANS | BOXES
            } else {
                OF_PLANS
            }
        }),
    ],
    plan_bits: OF_PLANS,
    fee_bits: OF_PLANS,
};

/// What a row says: texts, numbers by their bits, times.
type Told = (Vec<String>, Vec<u64>, Vec<Option<i64>>);

const TEXTS: [Text; 6] = [
    Text::LineItemType,
    Text::UsageType,
    Text::ProductCode,
    Text::NodePoolTag,
    Text::PlanArn,
    Text::Description,
];
const NUMBERS: [Number; 4] = [
    Number::UsageAmount,
    Number::UsedCommitment,
    Number::TotalCommitment,
    Number::PlanRate,
];

#[derive(Debug, Clone)]
struct Row {
    line_type: Option<&'static str>,
    usage_type: Option<u16>,
    product: Option<u8>,
    arn: Option<u8>,
    number: Option<f64>,
    time: Option<i64>,
    tag: Option<u8>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let line_types = prop_oneof![
        4 => Just(Some("Usage")),
        1 => Just(Some("Fee")),
        2 => Just(Some("Tax")),
        1 => Just(None),
    ];
    let number = prop::option::weighted(0.8, -1e6..1e6);
    let time = prop::option::weighted(0.95, 0_i64..7_200_000);
    let some = |range: std::ops::Range<u8>| prop::option::weighted(0.6, range);
    let row = (
        line_types,
        prop::option::weighted(0.9, 0..900_u16),
        some(0..4),
        some(0..4),
        number,
        time,
        some(0..3),
    );
    let row = row.prop_map(|(line_type, usage_type, product, arn, number, time, tag)| Row {
        line_type,
        usage_type,
        product,
        arn,
        number,
        time,
        tag,
    });
    // Stretches without a null and without variety, as real files have them.
    let stretch = (row.clone(), 1..300_usize).prop_map(|(row, count)| vec![row; count]);
    prop::collection::vec(prop_oneof![prop::collection::vec(row, 1..300), stretch], 1..5)
        .prop_map(|parts| parts.concat())
}

/// How a file is written.
#[derive(Debug, Clone)]
struct Make {
    version: WriterVersion,
    compression: Compression,
    rows_per_page: usize,
    dictionary: bool,
    /// A small one is given up in the middle of a column chunk.
    dictionary_bytes: usize,
    /// Tags in a map, numbers as texts and decimals, times in microseconds.
    is_odd: bool,
    has_products: bool,
    maps: Maps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maps {
    Nullable,
    /// None is null.
    Required,
}

prop_compose! {
    fn makes()(
        version in prop_oneof![Just(WriterVersion::PARQUET_1_0), Just(WriterVersion::PARQUET_2_0)],
        compression in prop_oneof![
            Just(Compression::UNCOMPRESSED),
            Just(Compression::SNAPPY),
            Just(Compression::ZSTD(parquet::basic::ZstdLevel::default())),
        ],
        rows_per_page in prop_oneof![Just(7_usize), Just(64), Just(100_000)],
        dictionary in prop::bool::weighted(0.85),
        dictionary_bytes in prop_oneof![Just(40_usize), Just(2000), Just(1 << 20)],
        is_odd in prop::bool::weighted(0.3),
        has_products in prop::bool::weighted(0.8),
        maps in prop_oneof![2 => Just(Maps::Nullable), 1 => Just(Maps::Required)],
    ) -> Make {
        Make { version, compression, rows_per_page, dictionary, dictionary_bytes, is_odd, has_products, maps }
    }
}

fn file(rows: &[Row], make: &Make) -> Vec<u8> {
    let texts = |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let numbers: ArrayRef = Arc::new(rows.iter().map(|row| row.number).collect::<Float64Array>());
    let millis: ArrayRef = Arc::new(
        rows.iter()
            .map(|row| row.time)
            .collect::<TimestampMillisecondArray>(),
    );
    let micros: TimestampMicrosecondArray = rows.iter().map(|row| row.time.map(|time| time * 1000)).collect();
    let in_text = texts(&|row| row.number.map(|number| number.to_string()));
    let cents = rows
        .iter()
        .map(|row| row.number.map(|number| (number * 100.0) as i128));
    let decimals = cents
        .collect::<Decimal128Array>()
        .with_precision_and_scale(20, 2)
        .unwrap();
    let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for other in 0..row.tag.unwrap_or(0) {
            tags.keys().append_value(format!("user_team_{other}"));
            tags.values().append_option((other > 0).then_some("red"));
        }
        if let Some(tag) = row.tag {
            tags.keys().append_value("user_karpenter.sh_nodepool");
            tags.values().append_value(format!("pool-{tag}"));
        }
        tags.append(make.maps == Maps::Required || row.tag != Some(0))
            .unwrap();
    }
    let odd = |odd: ArrayRef, plain: &ArrayRef| if make.is_odd { odd } else { Arc::clone(plain) };
    let tags = if make.is_odd {
        let is_nullable = make.maps == Maps::Nullable;
        ("resource_tags", Arc::new(tags.finish()) as ArrayRef, is_nullable)
    } else {
        let tags = texts(&|row| row.tag.map(|tag| format!("pool-{tag}")));
        ("resource_tags_user_karpenter_sh_nodepool", tags, true)
    };
    let products = texts(&|row| {
        row.product
            .map(|product| ["EC2", "S3", "", "EC2"][usize::from(product)].to_owned())
    });
    let mut columns = vec![
        (
            "line_item_line_item_type",
            texts(&|row| row.line_type.map(str::to_owned)),
            true,
        ),
        (
            "line_item_usage_type",
            texts(&|row| {
                row.usage_type.map(|number| match number % 3 {
                    0 => format!("Box:{number}"),
                    1 => format!("Requests-{number}"),
                    _ => String::new(),
                })
            }),
            true,
        ),
        (
            "savings_plan_savings_plan_a_r_n",
            texts(&|row| row.arn.map(|arn| format!("arn:{arn}"))),
            true,
        ),
        (
            "line_item_line_item_description",
            texts(&|row| row.arn.map(|arn| format!("a plan like {}", arn % 3))),
            true,
        ),
        ("savings_plan_used_commitment", Arc::clone(&numbers), true),
        (
            "savings_plan_total_commitment_to_date",
            odd(in_text, &numbers),
            true,
        ),
        ("line_item_usage_amount", odd(Arc::new(decimals), &numbers), true),
        ("savings_plan_savings_plan_rate", numbers, true),
        ("line_item_usage_start_date", odd(Arc::new(micros), &millis), true),
        ("line_item_usage_end_date", millis, true),
        tags,
    ];
    if make.has_products {
        columns.push(("line_item_product_code", products, true));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_writer_version(make.version)
        .set_compression(make.compression)
        .set_data_page_row_count_limit(make.rows_per_page)
        .set_write_batch_size(make.rows_per_page.min(1024))
        .set_dictionary_enabled(make.dictionary)
        .set_dictionary_page_size_limit(make.dictionary_bytes)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// The rows of a file that matter: by the pages where `paged`, else by the decoder alone.
fn facts(bytes: &[u8], paged: bool, since: Option<Hour>) -> brimful_types::Result<Vec<Told>> {
    read(bytes, paged, since).map(|(found, _)| found)
}

/// Likewise; and whether pages were read to the end.
fn read(bytes: &[u8], paged: bool, since: Option<Hour>) -> brimful_types::Result<(Vec<Told>, bool)> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.parquet"), bytes).unwrap();
    let store = LocalStore::new(dir.path()).unwrap();
    let symbols = Symbols::default();
    RUNTIME.block_on(async {
        let object = store.head("a.parquet").await?.unwrap();
        let failed = |error| match error {
            crate::object::ReadError::Failed(error) => error,
            changed @ crate::object::ReadError::Changed(_) => panic!("{changed:?}"),
        };
        let (file, _) = ParquetFile::open(&store, &object, Detail::Usage.wanted())
            .await
            .map_err(failed)?;
        let (mut found, mut is_by_pages) = (Vec::new(), true);
        for group in 0..file.row_groups() {
            let (bytes, _): (FileBytes, u64) = file.fetch(&store, group).await.map_err(failed)?;
            let Some(columns) = &file.columns else { continue };
            let mut decoder = BatchDecoder::new(columns, &symbols, &file.name);
            let mut rows = file.read(bytes, group, paged.then_some(FILTER), since)?;
            while let Some((arrays, _)) = rows.next()? {
                let items = decoder.decode(&arrays)?;
                for row in 0..items.rows() {
                    let text = |fact| symbols.text(items.text(fact, row)).to_string();
                    let leading = FILTER.leading.iter();
                    let bits = leading.fold(u8::MAX, |all, (fact, bits)| all & bits(&text(*fact)));
                    let late = items.millis(Time::Start, row).is_none_or(|start| {
                        since.is_none_or(|since| start >= since.start().timestamp_millis())
                    });
                    if bits != 0 && late {
                        // What plans' columns say of other rows, only the decoder shows.
                        let plans = if bits & OF_PLANS == 0 { (2, 3) } else { (0, 0) };
                        let texts = TEXTS.split_at(TEXTS.len() - plans.0).0;
                        let numbers = NUMBERS.split_at(NUMBERS.len() - plans.1).0;
                        found.push((
                            texts.iter().map(|fact| text(*fact)).collect(),
                            numbers
                                .iter()
                                .map(|fact| items.number(*fact, row).to_bits())
                                .collect(),
                            [Time::Start, Time::End]
                                .map(|fact| items.millis(fact, row))
                                .to_vec(),
                        ));
                    }
                }
            }
            is_by_pages &= rows.is_by_pages();
        }
        Ok((found, is_by_pages))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn pages_tell_what_the_decoder_tells(rows in rows(), make in makes()) {
        let bytes = file(&rows, &make);
        for since in [None, Hour::of_millis(3_600_000)] {
            prop_assert_eq!(facts(&bytes, true, since).unwrap(), facts(&bytes, false, since).unwrap());
        }
    }

    /// What a flipped bit has made of a value nobody can know: but there is no panic, and no error that the decoder,
    /// which is asked then, does not give itself.
    #[test]
    fn damaged_pages_are_read_or_left_to_the_decoder(
        rows in rows(),
        make in makes(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = file(&rows, &make);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // The decoder itself may panic, which a scan catches.
        if let Ok(Ok(_)) = std::panic::catch_unwind(|| facts(&bytes, false, None)) {
            facts(&bytes, true, None).unwrap();
        }
    }
}

#[test]
fn most_files_are_read_by_their_pages_from_batch_to_batch_and_page_to_page() {
    let rows: Vec<Row> = (0..20_000_u32)
        .map(|at| {
            let mixed = at.wrapping_mul(2_654_435_761) >> 16;
            Row {
                line_type: [Some("Usage"), Some("Tax"), Some("Fee"), Some("Usage")][(mixed % 4) as usize],
                usage_type: Some((mixed % 900) as u16),
                product: Some(0),
                arn: Some((mixed % 3) as u8),
                number: Some(f64::from(mixed % 1000)),
                time: Some(i64::from(mixed)),
                tag: [None, Some(0), Some(1), Some(2), Some(3)][(mixed % 5) as usize],
            }
        })
        .collect();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for rows_per_page in [777, 100_000] {
            for maps in [Maps::Nullable, Maps::Required] {
                let make = Make {
                    version,
                    compression: Compression::SNAPPY,
                    rows_per_page,
                    dictionary: true,
                    dictionary_bytes: 1 << 20,
                    is_odd: true,
                    has_products: true,
                    maps,
                };
                let bytes = file(&rows, &make);
                let (found, is_by_pages) = read(&bytes, true, None).unwrap();
                assert!(is_by_pages, "{make:?}");
                assert_eq!(found, facts(&bytes, false, None).unwrap(), "{make:?}");
            }
        }
    }
}
