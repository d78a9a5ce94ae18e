//! Athena itself: asks what columns a table has, runs a query to its end or to its cap, and hands out the answer page by
//! page.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_config::Region;
use aws_sdk_athena::Client;
use aws_sdk_athena::config::Builder;
use aws_sdk_athena::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_athena::types::{
    Column, Datum, QueryExecution, QueryExecutionContext, QueryExecutionState, QueryExecutionStatistics,
    ResultConfiguration, ResultSet,
};

use futures::future::LocalBoxFuture;
use tokio::runtime::Handle;

use crate::access::credentials::{RENEW, Trouble};
use crate::s3::{AwsAccess, with_causes};
use brimful_cur::athena::{AthenaTable, QueryEngine, Sink, Typed, size};
use brimful_types::{Error, ErrorKind, Result};

/// Waits between looks at a query that runs.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const SLOWEST_LOOK: Duration = Duration::from_secs(1);
/// Athena gives a query half an hour; the next run is ten minutes away.
const MOST_TIME: Duration = Duration::from_mins(10);
/// For its stop: whoever interrupts does not wait longer.
const MOST_STOP: Duration = Duration::from_millis(1500);
/// Rows on a page, the most that Athena gives.
const PAGE: i32 = 1000;

/// What a role must be allowed to do.
const GRANTS: &str = "grant the statements of manifests/iam-policy-optional.json whose names end in Athena: athena:* actions on the \
     workgroup, glue:GetTable and GetPartitions on the table, s3:GetObject on the report, and s3:GetObject and PutObject on the place \
     of the results; or set cur.roleArn to a role that may";

/// A connection, and what its queries have scanned.
#[derive(Debug)]
pub struct Athena<'a> {
    client: Client,
    table: &'a AthenaTable,
    stop: &'a AtomicBool,
    scanned: AtomicU64,
    queries: AtomicU64,
}

impl<'a> Athena<'a> {
    /// Connects. Nothing is asked yet.
    pub async fn connect(access: &AwsAccess, table: &'a AthenaTable, stop: &'a AtomicBool) -> Self {
        let base = access.load().await;
        let mut config = Builder::from(&base);
        if let Some(region) = &table.region {
            config = config.region(Region::new(region.clone()));
        }
        Self {
            client: Client::from_conf(config.build()),
            table,
            stop,
            scanned: AtomicU64::new(0),
            queries: AtomicU64::new(0),
        }
    }

    /// The columns of a table of the database; none when there is no such table.
    async fn columns_of(&self, name: &str) -> Result<Option<(Typed, Typed)>> {
        let asked = self
            .client
            .get_table_metadata()
            .catalog_name(&self.table.catalog)
            .database_name(&self.table.database)
            .table_name(name)
            .send()
            .await;
        let metadata = match asked {
            Ok(answer) => answer.table_metadata,
            Err(error) if is_unknown(&error) => None,
            Err(error) => {
                let what = format!("ask for the columns of {}.{name}", self.table.database);
                return Err(self.explain(&what, &error));
            }
        };
        let named = |columns: &[Column]| -> Typed {
            let pair = |column: &Column| {
                (
                    column.name().to_owned(),
                    column.r#type().unwrap_or_default().to_owned(),
                )
            };
            columns.iter().map(pair).collect()
        };
        let described =
            metadata.map(|metadata| (named(metadata.columns()), named(metadata.partition_keys())));
        Ok(described.filter(|(columns, _)| !columns.is_empty()))
    }

    /// Runs a query and hands every page of its answer to `sink`.
    ///
    /// # Errors
    /// Frozen when it fails, takes too long, or scans more than it may; else what AWS refused. A query that is given up
    /// is stopped.
    async fn answer(&self, sql: &str, sink: &mut Sink<'_>) -> Result<()> {
        self.check_interrupt()?;
        let context = QueryExecutionContext::builder()
            .catalog(&self.table.catalog)
            .database(&self.table.database)
            .build();
        let output = self.table.output.as_ref();
        let output = output.map(|place| ResultConfiguration::builder().output_location(place).build());
        tracing::debug!("{}: {sql}", self.table);
        let started = self
            .client
            .start_query_execution()
            .query_string(sql)
            .query_execution_context(context)
            .work_group(&self.table.workgroup)
            .set_result_configuration(output)
            .send()
            .await;
        let started = started.map_err(|error| self.explain("start the query", &error))?;
        let Some(id) = started.query_execution_id() else {
            return Err(self.frozen("Athena gave the query no id"));
        };
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.wait(Running::new(&self.client, id)).await?;
        let mut pages = self
            .client
            .get_query_results()
            .query_execution_id(id)
            .max_results(PAGE)
            .into_paginator()
            .send();
        let mut is_first = true;
        while let Some(page) = pages.next().await {
            self.check_interrupt()?;
            let page = page.map_err(|error| self.explain("read the query's answer", &error))?;
            let rows = page.result_set().map(ResultSet::rows).unwrap_or_default();
            // The names of the columns stand above the first page.
            let rows = rows.iter().skip(usize::from(is_first));
            is_first = false;
            let cell = |cell: &Datum| cell.var_char_value().map(str::to_owned);
            sink(rows.map(|row| row.data().iter().map(cell).collect()).collect())?;
        }
        Ok(())
    }

    async fn wait(&self, mut query: Running<'_>) -> Result<()> {
        let (started, mut pause) = (Instant::now(), FIRST_LOOK);
        let before = self.scanned.load(Ordering::Relaxed);
        loop {
            let looked = self
                .client
                .get_query_execution()
                .query_execution_id(&query.id)
                .send()
                .await;
            let looked = looked.map_err(|error| self.explain("look at the query", &error))?;
            let execution = looked.query_execution();
            self.scanned.store(before + scanned(execution), Ordering::Relaxed);
            let status = execution.and_then(|execution| execution.status());
            let reason = status
                .and_then(|status| status.state_change_reason())
                .unwrap_or("no reason was given");
            let state = status.and_then(|status| status.state());
            query.runs = matches!(
                state,
                Some(QueryExecutionState::Queued | QueryExecutionState::Running) | None
            );
            match state {
                Some(QueryExecutionState::Succeeded) => return self.check_cap(),
                Some(QueryExecutionState::Failed) => return Err(self.failed(reason)),
                Some(QueryExecutionState::Cancelled) => {
                    return Err(self.frozen(&format!(
                        "the query was cancelled ({reason}): see its history in workgroup {}, and that workgroup's limit on bytes scanned",
                        self.table.workgroup
                    )));
                }
                _ => {}
            }
            self.check_cap()?;
            if started.elapsed() > MOST_TIME {
                return Err(self.frozen(&format!(
                    "the query has not ended within {} minutes and was stopped: see whether workgroup {} has too many queries queued",
                    MOST_TIME.as_secs() / 60,
                    self.table.workgroup
                )));
            }
            self.check_interrupt()?;
            tokio::time::sleep(pause).await;
            self.check_interrupt()?;
            pause = (pause * 3 / 2).min(SLOWEST_LOOK);
        }
    }

    fn check_interrupt(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            let message = format!("interrupted while asking {}", self.table);
            return Err(Error::new(ErrorKind::Interrupted, message));
        }
        Ok(())
    }

    fn check_cap(&self) -> Result<()> {
        let (scanned, most) = (self.scanned.load(Ordering::Relaxed), self.table.most_bytes);
        if scanned <= most {
            return Ok(());
        }
        Err(self.frozen(&format!(
            "the query has scanned {}, more than cur.athena.maxBytesScanned ({}): see that the table is partitioned by billing period, or \
             raise the cap",
            size(scanned),
            size(most)
        )))
    }

    fn failed(&self, reason: &str) -> Error {
        let reason: String = reason.chars().take(300).collect();
        let refused = [
            "access denied",
            "accessdenied",
            "not authorized",
            "insufficient permission",
        ];
        let lower = reason.to_ascii_lowercase();
        if refused.iter().any(|text| lower.contains(text)) {
            return Error::aws(format!("{}: the query was refused: {reason}", self.table)).hint(GRANTS);
        }
        self.frozen(&format!(
            "the query failed: {reason}; see its history in workgroup {}, or set cur.engine to local",
            self.table.workgroup
        ))
    }

    fn frozen(&self, message: &str) -> Error {
        Error::frozen(format!("{}: {message}", self.table))
            .hint("nothing was changed; the next run asks again")
    }

    /// Turns what the SDK says into what happened, to what, and what to do.
    fn explain<E>(&self, doing: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let table = self.table;
        if let Some(trouble) = Trouble::within(error) {
            return trouble.error(&format!("{doing} of {table}"));
        }
        let details = with_causes(error);
        let code = error.code().unwrap_or_default();
        let status = error.raw_response().map(|response| response.status().as_u16());
        match (code, status) {
            ("AccessDeniedException" | "AccessDenied", _) | (_, Some(401 | 403)) => {
                Error::aws(format!("{table}: cannot {doing}: access denied: {details}")).hint(GRANTS)
            }
            ("ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException", _) => {
                Error::aws(format!("{table}: cannot {doing}: AWS does not accept the credentials ({code})"))
                    .hint(RENEW)
            }
            ("InvalidRequestException", _) if details.contains("utput location") => {
                Error::usage(format!("{table}: workgroup {} has no place for results", table.workgroup))
                    .hint("set cur.athena.output to s3://bucket/prefix, or give the workgroup one")
            }
            ("InvalidRequestException" | "MetadataException" | "ResourceNotFoundException", _) => {
                Error::report(format!("{table}: cannot {doing}: {details}")).hint(
                    "check cur.athena: catalog, database, table and workgroup, and the region they are in (cur.athena.region)",
                )
            }
            _ => self.frozen(&format!("cannot {doing}: {details}")),
        }
    }
}

impl QueryEngine for Athena<'_> {
    fn describe<'a>(&'a self, name: &'a str) -> LocalBoxFuture<'a, Result<Option<(Typed, Typed)>>> {
        Box::pin(self.columns_of(name))
    }

    fn run<'a>(&'a self, sql: &'a str, sink: &'a mut Sink<'_>) -> LocalBoxFuture<'a, Result<()>> {
        Box::pin(self.answer(sql, sink))
    }

    fn spent(&self) -> (u64, u64) {
        (
            self.scanned.load(Ordering::Relaxed),
            self.queries.load(Ordering::Relaxed),
        )
    }
}

/// A query that is stopped when it is given up, also by whoever no longer waits for the answer: it would go on scanning.
struct Running<'a> {
    client: &'a Client,
    id: String,
    runs: bool,
}

impl<'a> Running<'a> {
    fn new(client: &'a Client, id: &str) -> Self {
        Self {
            client,
            id: id.to_owned(),
            runs: true,
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.runs {
            return;
        }
        let stop = self
            .client
            .stop_query_execution()
            .query_execution_id(&self.id)
            .send();
        let stopped = tokio::task::block_in_place(|| {
            Handle::current().block_on(async { tokio::time::timeout(MOST_STOP, stop).await })
        });
        match stopped {
            Ok(Ok(_)) => tracing::info!("query {} was stopped", self.id),
            Ok(Err(error)) => {
                tracing::warn!("query {} could not be stopped: {}", self.id, with_causes(&error));
            }
            Err(_) => tracing::warn!("query {} could not be stopped: no answer", self.id),
        }
    }
}

fn scanned(execution: Option<&QueryExecution>) -> u64 {
    let statistics = execution.and_then(|execution| execution.statistics());
    let bytes = statistics.and_then(QueryExecutionStatistics::data_scanned_in_bytes);
    u64::try_from(bytes.unwrap_or(0)).unwrap_or(0)
}

/// True when the answer is that there is no such table.
fn is_unknown<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let message = error.message().unwrap_or_default();
    error.code() == Some("EntityNotFoundException")
        || (error.code() == Some("MetadataException") && message.contains("EntityNotFound"))
}
