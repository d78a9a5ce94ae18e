//! `cur.engine: athena`: the ledger from a query over the user's own table of the report, instead of from its files.
//!
//! The query (`sql`) is made from the same column definitions as the local scan, and its answer (`groups`) goes into
//! the same builder, so that the ledger is the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::LocalBoxFuture;

use self::groups::Groups;
use self::sql::Question;
use self::table::Described;
use super::columns::{Columns, Detail, Format};
use super::location::Location;
use super::object::{Object, ReadError};
use super::period::BillingPeriod;
use super::reader::{ReportData, Request};
use super::snapshot::{Listing, Manifests, Periods, Snapshot};
use super::store::ObjectStore;
use super::symbols::Symbols;
use crate::ledger_builder::LedgerBuilder;
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, Result};

mod groups;
mod sql;
mod table;

/// The table in which AWS says whether it is rewriting a legacy report. Its crawler makes it beside the report's.
const STATUS_TABLE: &str = "cost_and_usage_data_status";

/// What AWS asks for a terabyte scanned in most regions, and the least that it counts of a query.
const DOLLARS_PER_TERABYTE: f64 = 5.0;
const LEAST_BYTES: u64 = 10_000_000;

/// A table to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AthenaTable {
    /// The data catalog.
    pub catalog: String,
    /// Its database.
    pub database: String,
    /// The table of a legacy CUR or of a CUR 2.0 export.
    pub table: String,
    /// Where it is, if it is not where Brimful runs.
    pub region: Option<String>,
    /// The workgroup that pays.
    pub workgroup: String,
    /// Where results go; the workgroup's own place when `None`.
    pub output: Option<String>,
    /// A run that scans more is stopped.
    pub most_bytes: u64,
    /// Where the report's files lie, if it is known: their manifests show whether AWS rewrote them during the query.
    pub files: Option<Box<Location>>,
}

impl fmt::Display for AthenaTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "athena:{}.{}", self.database, self.table)
    }
}

/// What AWS asks for queries, by an estimate: prices differ by region and contract.
#[must_use]
pub fn price(bytes: u64, queries: u64) -> Money {
    let bytes = bytes.max(queries * LEAST_BYTES);
    #[allow(clippy::cast_precision_loss)] // an estimate
    let dollars = bytes as f64 / 1e12 * DOLLARS_PER_TERABYTE;
    Money::from_dollars(dollars).unwrap_or(Money::ZERO)
}

/// Bytes for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // three digits are shown
    let bytes = bytes as f64;
    match bytes {
        ..1e6 => format!("{:.0} kB", bytes / 1e3),
        ..1e9 => format!("{:.0} MB", bytes / 1e6),
        ..1e12 => format!("{:.1} GB", bytes / 1e9),
        _ => format!("{:.1} TB", bytes / 1e12),
    }
}

/// A row of an answer as Athena gives it: text, or null.
pub type Cells = Vec<Option<String>>;
/// The names and types of columns.
pub type Typed = Vec<(String, String)>;
/// Takes an answer page by page.
pub type Sink<'a> = dyn FnMut(Vec<Cells>) -> Result<()> + 'a;

/// What answers questions about a table's database: Athena, reached.
pub trait QueryEngine {
    /// The columns and the partition keys of a table of the database; `None` when there is no such table.
    fn describe<'a>(&'a self, name: &'a str) -> LocalBoxFuture<'a, Result<Option<(Typed, Typed)>>>;

    /// Runs a query and hands every page of its answer to `sink`. One that is given up is stopped.
    fn run<'a>(&'a self, sql: &'a str, sink: &'a mut Sink<'_>) -> LocalBoxFuture<'a, Result<()>>;

    /// Bytes scanned so far, and queries made.
    fn spent(&self) -> (u64, u64);
}

/// Asks for the report; `files` is where its files lie, if that is known.
///
/// # Errors
/// Frozen when the query fails, scans too much, or AWS is rewriting the report; else what is wrong with the table, or what
/// AWS refused.
pub async fn read(
    table: &AthenaTable,
    athena: &dyn QueryEngine,
    files: Option<Arc<dyn ObjectStore>>,
    request: &Request<'_>,
) -> Result<ReportData> {
    let Some((columns, partitions)) = athena.describe(&table.table).await? else {
        return Err(Error::report(format!("{table}: there is no such table in catalog {}", table.catalog)).hint(
            "check cur.athena: catalog, database, table and region; AWS's crawler makes a legacy report's table, for an export make your own",
        ));
    };
    let described = Described::of(&columns, &partitions);
    let found = find(table, &described, request.options.detail)?;
    let watch = Watch::begin(table, files, request, (athena, found.format)).await?;
    let rows = rows_by_period(table, athena, &described, request.periods).await?;
    let chosen = chosen(table, request, &rows)?;
    let total = rows
        .iter()
        .filter(|(period, _)| period.is_none_or(|period| chosen.contains(&period)));
    let total: u64 = total.map(|(_, rows)| rows).sum();
    let name = sql::table(&table.database, &table.table);
    let question = Question {
        table: &name,
        schema: &described.schema,
        columns: &found,
        detail: request.options.detail,
        periods: described.period.map(|columns| (columns, chosen.as_slice())),
        since: request.window.as_ref().map(|window| window.start),
    };
    let builder = ask(athena, &question, request, total).await?;
    let mut warnings = watch.end(table, athena).await?;
    warnings.extend(watch.lacking(table, &chosen));
    let ledger = builder.finish()?;
    super::reader::check_times(&table.to_string(), Some(found.format), &ledger)?;
    warnings.extend(super::reader::unreadable(&table.to_string(), &ledger));
    warnings.extend(unpartitioned(table, &described));
    let (bytes, queries) = athena.spent();
    let cost = price(bytes, queries);
    tracing::info!("{table}: {} scanned, about {cost} at $5 a terabyte", size(bytes));
    Ok(ReportData {
        name: String::new(),
        ledger,
        format: (total > 0).then_some(found.format),
        periods: chosen,
        files: 0,
        rows: total,
        bytes,
        scan_cost: Some(cost),
        delivered: watch.delivered(),
        missing: found.missing.iter().map(ToString::to_string).collect(),
        warnings,
    })
}

/// Adds up the answer, page by page; `total` is how many line items it stands for.
async fn ask(
    athena: &dyn QueryEngine,
    question: &Question<'_>,
    request: &Request<'_>,
    total: u64,
) -> Result<LedgerBuilder> {
    let symbols = Arc::new(Symbols::default());
    let builder = LedgerBuilder::new(&symbols, request.window.clone(), request.options.detail);
    let mut builder = builder.for_cluster(request.options.own);
    let mut done = 0;
    athena
        .run(&question.sql(), &mut |page| {
            let groups = Groups::read(&page, &symbols)?;
            done += groups.line_items();
            (request.options.progress)(done, total);
            builder.add(&groups)
        })
        .await?;
    Ok(builder)
}

/// That every query reads the whole table, if so.
fn unpartitioned(table: &AthenaTable, described: &Described) -> Option<Warning> {
    let message = format!(
        "{table}: the table is not partitioned by billing period: every query reads all of it; partition it by billing_period, or by \
         year and month"
    );
    (!described.is_partitioned).then(|| Warning::new(WarningCode::TableUnpartitioned, message))
}

/// Where the table keeps the facts.
fn find(table: &AthenaTable, described: &Described, detail: Detail) -> Result<Columns> {
    let columns = Columns::find(&described.schema, &table.to_string())?;
    if columns.format == Format::Focus {
        return Err(Error::report(format!("{table}: a FOCUS table cannot be asked"))
            .hint("set cur.engine to local and cur.uri to the export, or make a table of a CUR 2.0 export"));
    }
    Ok(columns.only(detail.wanted()))
}

/// Rows by billing period; by none where the table does not show it.
type Rows = BTreeMap<Option<BillingPeriod>, u64>;

/// The rows of each billing period, or of the whole table. Those that are likely wanted are looked at first: a table of
/// years has many files.
async fn rows_by_period(
    table: &AthenaTable,
    athena: &dyn QueryEngine,
    described: &Described,
    wanted: Periods,
) -> Result<Rows> {
    if let Some(likely) = wanted.likely().filter(|_| described.period.is_some()) {
        let rows = count_rows(table, athena, described, Some(&likely)).await?;
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    count_rows(table, athena, described, None).await
}

async fn count_rows(
    table: &AthenaTable,
    athena: &dyn QueryEngine,
    described: &Described,
    of: Option<&[BillingPeriod]>,
) -> Result<Rows> {
    let mut rows = Rows::new();
    let name = sql::table(&table.database, &table.table);
    athena
        .run(&sql::periods(&name, described.period, of), &mut |page| {
            for cells in page {
                let count = cells.last().and_then(Option::as_deref);
                let count: Option<u64> = count.and_then(|count| count.parse().ok());
                let count = count.ok_or_else(|| Error::report("Athena's answer counts no rows"))?;
                let period = described.period.and_then(|columns| columns.read(&cells));
                // Rows of no month that can be read belong to none that is asked for.
                if period.is_some() || described.period.is_none() {
                    *rows.entry(period).or_default() += count;
                }
            }
            Ok(())
        })
        .await?;
    Ok(rows)
}

/// The billing periods to ask for; none where the table does not show them.
fn chosen(table: &AthenaTable, request: &Request<'_>, rows: &Rows) -> Result<Vec<BillingPeriod>> {
    if rows.contains_key(&None) {
        return Ok(Vec::new());
    }
    let there: BTreeMap<BillingPeriod, u64> = rows
        .iter()
        .filter_map(|(period, rows)| Some(((*period)?, *rows)))
        .collect();
    let chosen: Vec<BillingPeriod> = request
        .periods
        .among(&there)
        .into_iter()
        .map(|(period, _)| period)
        .collect();
    if chosen.is_empty() {
        let have: Vec<String> = there.keys().map(ToString::to_string).collect();
        return Err(Error::report(format!(
            "{table}: the table has no billing period in the wanted time; it has {}",
            if have.is_empty() { "none".to_owned() } else { have.join(", ") }
        ))
        .hint("let AWS's crawler run, or add the partitions (MSCK REPAIR TABLE); check the clock (--now) and the window"));
    }
    Ok(chosen)
}

/// Looks before and after a query whether AWS is rewriting the report.
struct Watch {
    has_status: bool,
    files: Option<(Arc<dyn ObjectStore>, Snapshot, Vec<Object>)>,
}

impl Watch {
    async fn begin(
        table: &AthenaTable,
        files: Option<Arc<dyn ObjectStore>>,
        request: &Request<'_>,
        (athena, format): (&dyn QueryEngine, Format),
    ) -> Result<Self> {
        let has_status = format == Format::Legacy
            && athena.describe(STATUS_TABLE).await?.is_some_and(|(columns, _)| {
                columns
                    .iter()
                    .any(|(name, _)| name.eq_ignore_ascii_case("status"))
            });
        let files = match files {
            None => None,
            Some(store) => {
                let taken = async {
                    let listing = Listing::of(store.as_ref()).await?;
                    let place = table.files.as_ref().map(ToString::to_string).unwrap_or_default();
                    Snapshot::take(
                        store.as_ref(),
                        &place,
                        listing,
                        request.periods,
                        &mut Manifests::default(),
                    )
                    .await
                };
                let snapshot = taken.await.map_err(|error| rewriting(table, error))?;
                let objects = snapshot.files().cloned().collect();
                Some((store, snapshot, objects))
            }
        };
        let watch = Self { has_status, files };
        watch.check_status(table, athena).await?;
        Ok(watch)
    }

    async fn check_status(&self, table: &AthenaTable, athena: &dyn QueryEngine) -> Result<()> {
        if !self.has_status {
            return Ok(());
        }
        let mut other = None;
        let name = sql::table(&table.database, STATUS_TABLE);
        let mut sink = |page: Vec<Cells>| {
            let statuses = page.into_iter().flatten().flatten();
            other = other
                .take()
                .or(statuses.into_iter().find(|status| status != "READY"));
            Ok(())
        };
        athena.run(&sql::status(&name), &mut sink).await?;
        match other {
            None => Ok(()),
            Some(status) => {
                let what = format!("{}.{STATUS_TABLE} says {status}", table.database);
                Err(rewriting(table, ReadError::Changed(what)))
            }
        }
    }

    /// What there is to say when nothing has moved.
    async fn end(&self, table: &AthenaTable, athena: &dyn QueryEngine) -> Result<Vec<Warning>> {
        self.check_status(table, athena).await?;
        if let Some((store, snapshot, objects)) = &self.files {
            let unchanged = snapshot.verify(store.as_ref(), objects).await;
            unchanged.map_err(|error| rewriting(table, error))?;
            return Ok(snapshot.warnings.clone());
        }
        if self.has_status {
            return Ok(Vec::new());
        }
        let message = format!(
            "{table}: nothing tells whether AWS rewrote the report during the query: set cur.uri to where its files lie, and their manifest \
             is looked at before and after"
        );
        Ok(vec![Warning::new(WarningCode::TableUnwatched, message)])
    }

    /// Billing periods that have files and are not in the table.
    fn lacking(&self, table: &AthenaTable, chosen: &[BillingPeriod]) -> Option<Warning> {
        let (_, snapshot, _) = self.files.as_ref().filter(|_| !chosen.is_empty())?;
        let lacking = snapshot.periods().filter(|period| !chosen.contains(period));
        let lacking: Vec<String> = lacking.map(|period| period.to_string()).collect();
        let message = format!(
            "{table}: the table lacks {}, of which there are files: let AWS's crawler run, or add the partitions (MSCK REPAIR TABLE)",
            lacking.join(" and ")
        );
        (!lacking.is_empty()).then(|| Warning::new(WarningCode::TableLacksPeriods, message))
    }

    fn delivered(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.files
            .as_ref()
            .and_then(|(_, snapshot, _)| snapshot.delivered)
    }
}

/// What a report that moves means: freeze.
fn rewriting(table: &AthenaTable, error: ReadError) -> Error {
    match error {
        ReadError::Failed(error) => error,
        ReadError::Changed(what) => Error::frozen(format!(
            "{table}: AWS is rewriting the report, and a query would mix old and new: {what}"
        ))
        .hint("nothing was changed; the next run asks again"),
    }
}
