//! The questions that this product asks of a report most, answered by its scan alone, for comparison with query engines.
//!
//! `questions DIR [--threads N] [--since TIME] [--decoder | --unpack]` reads all parquet files of a directory and prints,
//! as one line of JSON, the number of rows and the sums of
//!
//! * q1, by hour and plan: commitment and used commitment of fees; effective cost, usage and on-demand cost of what the
//!   plan covered;
//! * q2, by hour, instance type, region and plan: usage, the highest SP rate and effective cost of covered EC2 usage;
//! * q3, by hour and usage type, of instances on demand and of Spot: usage and cost. (Spot rows have no instance type but
//!   in their usage type.)
//!
//! `--decoder` takes the plain scan of the arrow crate; `--unpack` only reads and unpacks the pages of the columns that
//! are needed, which no scan can be faster than.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a bench on files of its own making"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use brimful_cur::batch::DecodedItems;
use brimful_cur::columns::{Number, Text, Time, Wanted};
use brimful_cur::line_items::LineItems;
use brimful_cur::pages::RowFilter;
use brimful_cur::scan::{Counter, Scan};
use brimful_cur::store::{LocalStore, ObjectStore};
use brimful_cur::symbols::{Symbol, Symbols};
use brimful_types::Result;
use brimful_types::hour::Hour;
use chrono::{DateTime, Utc};
use clap::Parser;
use parquet::column::page::PageReader;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::serialized_reader::SerializedPageReader;
use rustc_hash::FxHashMap;

const OF_PLANS: u8 = 1;
const INSTANCES: u8 = 2;

const FILTER: RowFilter = RowFilter {
    leading: &[
        (Text::LineItemType, |text| match text {
            "SavingsPlanRecurringFee" | "SavingsPlanCoveredUsage" => OF_PLANS,
            "Usage" => INSTANCES,
            _ => 0,
        }),
        (Text::UsageType, |text| {
            if text.contains("BoxUsage:") || text.contains("SpotUsage:") {
                OF_PLANS | INSTANCES
            } else {
                OF_PLANS
            }
        }),
    ],
    plan_bits: OF_PLANS,
    fee_bits: 0,
};

const WANTED: Wanted = Wanted {
    texts: &[
        Text::LineItemType,
        Text::UsageType,
        Text::ProductCode,
        Text::PlanArn,
        Text::Region,
    ],
    numbers: &Number::ALL,
};

#[derive(Parser)]
struct Arguments {
    /// A directory of parquet files.
    directory: PathBuf,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Only hours from this one on.
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Scan with the arrow crate alone.
    #[arg(long)]
    decoder: bool,
    /// Only read and unpack.
    #[arg(long, conflicts_with = "decoder")]
    unpack: bool,
    /// Ignored: `cargo bench` passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Hours of one block of cells.
const BLOCK: i32 = 32;

/// Sums by group and hour, in billionths, so that no order of rows makes a difference. The first counts rows.
struct Table<const N: usize> {
    /// By the group's strings and the block of hours: where the block begins.
    blocks: FxHashMap<([Symbol; 3], i32), usize>,
    cells: Vec<[i64; N]>,
}

/// A row on its way to its cell.
struct Step<const N: usize> {
    group: [Symbol; 3],
    hour: i32,
    sums: [i64; N],
}

impl<const N: usize> Default for Table<N> {
    fn default() -> Self {
        Self {
            blocks: FxHashMap::default(),
            cells: Vec::new(),
        }
    }
}

impl<const N: usize> Table<N> {
    fn place(&mut self, group: [Symbol; 3], hour: i32) -> usize {
        let block = *self
            .blocks
            .entry((group, hour.div_euclid(BLOCK)))
            .or_insert_with(|| {
                let block = self.cells.len();
                self.cells.resize(block + BLOCK as usize, [0; N]);
                block
            });
        block + hour.rem_euclid(BLOCK) as usize
    }

    /// Adds rows. Looking all of them up before adding lets the processor wait for many cells at the same time.
    fn add(&mut self, steps: &mut Vec<Step<N>>, add: impl Fn(&mut [i64; N], &[i64; N])) {
        let places = steps.iter().map(|step| self.place(step.group, step.hour));
        let places: Vec<usize> = places.collect();
        for (step, place) in steps.drain(..).zip(places) {
            add(&mut self.cells[place], &step.sums);
        }
    }

    /// How many groups and hours have rows, and the sums of all of them.
    fn totals(&self) -> Vec<serde_json::Value> {
        let used = || self.cells.iter().filter(|cell| cell[0] > 0);
        let sum = |at: usize| used().map(|cell| i128::from(cell[at])).sum::<i128>() as f64 / 1e9;
        let rounded = |sum: f64| serde_json::json!((sum * 1e4).round() / 1e4);
        std::iter::once(serde_json::json!(used().count()))
            .chain((1..N).map(|at| rounded(sum(at))))
            .collect()
    }
}

/// The answers, shared by all workers.
#[derive(Default)]
struct Answers {
    q1: Mutex<Table<6>>,
    q2: Mutex<Table<4>>,
    /// On demand, and Spot, which have no usage type in common.
    q3: Mutex<Table<3>>,
}

/// What a worker keeps from batch to batch.
struct Worker {
    symbols: Arc<Symbols>,
    answers: Arc<Answers>,
    since: i64,
    /// What a row is, by its line type, usage type and product; and the usage type's instance type.
    known: FxHashMap<[Symbol; 3], (Row, Symbol)>,
    q1: Vec<Step<6>>,
    q2: Vec<Step<4>>,
    q3: Vec<Step<3>>,
}

#[derive(Clone, Copy)]
enum Row {
    Fee,
    Covered,
    CoveredInstance,
    OnDemand,
    Spot,
    Other,
}

impl Row {
    fn of(line_type: &str, usage_type: &str, product: &str) -> Self {
        match line_type {
            "SavingsPlanRecurringFee" => Self::Fee,
            "SavingsPlanCoveredUsage" if product == "AmazonEC2" => Self::CoveredInstance,
            "SavingsPlanCoveredUsage" => Self::Covered,
            "Usage" if usage_type.contains("BoxUsage:") => Self::OnDemand,
            "Usage" if usage_type.contains("SpotUsage:") => Self::Spot,
            _ => Self::Other,
        }
    }
}

fn billionths(value: f64) -> i64 {
    (value * 1e9).round() as i64
}

impl Worker {
    fn new(symbols: &Arc<Symbols>, answers: &Arc<Answers>, since: i64) -> Self {
        Self {
            symbols: Arc::clone(symbols),
            answers: Arc::clone(answers),
            since,
            known: FxHashMap::default(),
            q1: Vec::new(),
            q2: Vec::new(),
            q3: Vec::new(),
        }
    }

    fn add(&mut self, items: &DecodedItems) {
        let (symbols, answers, since) = (&self.symbols, &self.answers, self.since);
        for row in 0..items.rows() {
            let Some(start) = items.millis(Time::Start, row).filter(|start| *start >= since) else {
                continue;
            };
            let key =
                [Text::LineItemType, Text::UsageType, Text::ProductCode].map(|fact| items.text(fact, row));
            let (kind, instance_type) = *self.known.entry(key).or_insert_with(|| {
                let [line_type, usage_type, product] = key.map(|symbol| symbols.text(symbol));
                let instance_type = usage_type.split_once(':').map(|(_, instance_type)| instance_type);
                let instance_type = symbols.intern(std::iter::once(instance_type))[0];
                (Row::of(&line_type, &usage_type, &product), instance_type)
            });
            let hour = (start / 3_600_000) as i32;
            let number = |fact| billionths(items.number(fact, row));
            match kind {
                Row::Fee => {
                    let [commitment, used] = [Number::TotalCommitment, Number::UsedCommitment].map(number);
                    self.q1.push(Step {
                        group: [items.text(Text::PlanArn, row), Symbol::EMPTY, Symbol::EMPTY],
                        hour,
                        sums: [1, commitment, used, 0, 0, 0],
                    });
                }
                Row::Covered | Row::CoveredInstance => {
                    let plan = items.text(Text::PlanArn, row);
                    let [cost, amount, on_demand] =
                        [Number::EffectiveCost, Number::UsageAmount, Number::OnDemandCost].map(number);
                    self.q1.push(Step {
                        group: [plan, Symbol::EMPTY, Symbol::EMPTY],
                        hour,
                        sums: [1, 0, 0, cost, amount, on_demand],
                    });
                    if matches!(kind, Row::CoveredInstance) {
                        self.q2.push(Step {
                            group: [instance_type, items.text(Text::Region, row), plan],
                            hour,
                            sums: [1, amount, number(Number::PlanRate), cost],
                        });
                    }
                }
                Row::OnDemand | Row::Spot => {
                    let [amount, cost] = [Number::UsageAmount, Number::UnblendedCost].map(number);
                    self.q3.push(Step {
                        group: [key[1], Symbol::EMPTY, Symbol::EMPTY],
                        hour,
                        sums: [1, amount, cost],
                    });
                }
                Row::Other => {}
            }
        }
        lock(&answers.q1).add(&mut self.q1, sum);
        lock(&answers.q2).add(&mut self.q2, |to, from| {
            let rate = to[2].max(from[2]);
            sum(to, from);
            to[2] = rate;
        });
        lock(&answers.q3).add(&mut self.q3, sum);
    }
}

impl Counter for Worker {
    fn count(&mut self, items: &DecodedItems) -> Result<()> {
        self.add(items);
        Ok(())
    }
}

fn sum<const N: usize>(to: &mut [i64; N], from: &[i64; N]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn files(directory: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut files: Vec<String> = names.filter(|name| name.ends_with(".parquet")).collect();
    files.sort_unstable();
    files
}

async fn answer(arguments: &Arguments) -> serde_json::Value {
    let store = LocalStore::new(&arguments.directory).unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let mut objects = Vec::new();
    for file in files(&arguments.directory) {
        let head = store.head(&file).await.unwrap();
        objects.extend(head);
    }
    let symbols = Arc::new(Symbols::default());
    let since = arguments.since.map(|since| since.timestamp_millis());
    let answers = Arc::new(Answers::default());
    let scan = Scan {
        store: &store,
        files: &objects,
        window: arguments.since.map(|since| Hour::of(since)..Hour::LAST),
        filter: (!arguments.decoder).then_some(FILTER),
        wanted: WANTED,
        threads: arguments.threads,
        symbols: &symbols,
        progress: &|_, _| {},
        stop: &AtomicBool::new(false),
    };
    let worker = || Worker::new(&symbols, &answers, since.unwrap_or(i64::MIN));
    scan.run(worker).await.unwrap_or_else(|error| panic!("{error:?}"));
    let Answers { q1, q2, q3 } = &*answers;
    serde_json::json!({"q1": lock(q1).totals(), "q2": lock(q2).totals(), "q3": lock(q3).totals()})
}

/// Reads and unpacks every page of the needed columns; gives the bytes unpacked.
fn unpack(arguments: &Arguments) -> serde_json::Value {
    let needed = [
        "line_item_usage_start_date",
        "line_item_line_item_type",
        "line_item_product_code",
        "line_item_usage_type",
        "savings_plan_savings_plan_a_r_n",
        "product_region_code",
        "line_item_usage_amount",
        "line_item_unblended_cost",
        "pricing_public_on_demand_cost",
        "savings_plan_savings_plan_effective_cost",
        "savings_plan_savings_plan_rate",
        "savings_plan_total_commitment_to_date",
        "savings_plan_used_commitment",
    ];
    let (next, mut unpacked) = (Mutex::new(files(&arguments.directory)), Mutex::new(0_u64));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                let take = || next.lock().unwrap().pop();
                while let Some(name) = take() {
                    let file = Arc::new(std::fs::File::open(arguments.directory.join(name)).unwrap());
                    let metadata = ParquetMetaDataReader::new().parse_and_finish(&*file).unwrap();
                    for group in metadata.row_groups() {
                        let rows = group.num_rows() as usize;
                        for chunk in group.columns() {
                            if !needed.contains(&chunk.column_path().string().as_str()) {
                                continue;
                            }
                            let mut pages =
                                SerializedPageReader::new(Arc::clone(&file), chunk, rows, None).unwrap();
                            while let Some(page) = pages.get_next_page().unwrap() {
                                *unpacked.lock().unwrap() += page.buffer().len() as u64;
                            }
                        }
                    }
                }
            });
        }
    });
    serde_json::json!({"unpacked": *unpacked.get_mut().unwrap()})
}

fn main() {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let mut answer = if arguments.unpack {
        unpack(&arguments)
    } else {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build();
        runtime.unwrap().block_on(answer(&arguments))
    };
    answer["s"] = serde_json::json!(began.elapsed().as_secs_f64());
    println!("{answer}");
}
