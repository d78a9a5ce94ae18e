//! Finds a report or an export, so that its bucket need not be looked up by hand: legacy reports by the CUR API, CUR 2.0
//! and FOCUS exports by Data Exports. [`choice`] says which one it is, and why not the others.

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_bcmdataexports::error::SdkError;
use aws_sdk_bcmdataexports::types::{
    Export, ExportStatus, ExportStatusCode, FormatOption, S3OutputConfigurations,
};
use aws_sdk_costandusagereport::types::{LastStatus, ReportDefinition, ReportFormat, TimeUnit};
use tokio::time::timeout;

use crate::access::credentials::Trouble;
use crate::access::partition;
use crate::s3::{AwsAccess, with_causes};
use brimful_cur::choice::{self, Candidate, Choice, Kind, Wanted, choose};
use brimful_types::{Error, Result};

const REPORTS: &str = "legacy reports (cur:DescribeReportDefinitions)";
const LIST: &str = "Data Exports (bcm-data-exports:ListExports)";
const GET: &str = "Data Exports (bcm-data-exports:GetExport)";

/// Why one of the two APIs says nothing.
struct Unseen {
    what: String,
    trouble: Option<Trouble>,
    is_silent: bool,
}

impl Unseen {
    fn of<E>(asked: &str, error: &SdkError<E>) -> Self
    where
        E: std::error::Error + 'static,
    {
        Self {
            what: format!("{asked}: {}", with_causes(error)),
            trouble: Trouble::within(error).cloned(),
            is_silent: !matches!(error, SdkError::ServiceError(_)),
        }
    }

    fn silent(asked: &str, patience: Duration) -> Self {
        Self {
            what: format!(
                "{asked}: no end of the answer within {} s",
                patience.as_secs_f64()
            ),
            trouble: None,
            is_silent: true,
        }
    }
}

/// Looks for the report or export that is wanted among all of the account.
///
/// # Errors
/// There is none, it cannot be used, several could be meant, or AWS refused both APIs.
pub async fn discover(access: &AwsAccess, wanted: &Wanted) -> Result<Choice> {
    let base = access.load().await;
    // Both APIs live in one region of a partition.
    let home = partition::of_config(&base, access.role_arn.as_deref()).home;
    let home = base.into_builder().region(Region::from_static(home)).build();
    let patience = access.patience.listing;
    let (reports, exports) = tokio::join!(
        timeout(patience, reports(&home)),
        timeout(patience, exports(&home))
    );
    let found = [
        reports.unwrap_or_else(|_| Err(Unseen::silent(REPORTS, patience))),
        exports.unwrap_or_else(|_| Err(Unseen::silent(LIST, patience))),
    ];
    let mut unseen = Vec::new();
    let mut candidates = Vec::new();
    for found in found {
        match found {
            Ok(found) => candidates.extend(found),
            Err(why) => unseen.push(why),
        }
    }
    if unseen.len() == 2 {
        return Err(nothing_seen(wanted, &unseen));
    }
    choose(
        wanted,
        candidates,
        unseen.into_iter().map(|one| one.what).collect(),
    )
}

fn nothing_seen(wanted: &Wanted, unseen: &[Unseen]) -> Error {
    if let Some(trouble) = unseen.iter().find_map(|one| one.trouble.as_ref()) {
        return trouble.error(&format!("look up {wanted}"));
    }
    let whys: Vec<&str> = unseen.iter().map(|one| one.what.as_str()).collect();
    let what = format!("cannot look up {wanted}: {}", whys.join("; "));
    if unseen.iter().all(|one| one.is_silent) {
        return Error::aws(what).hint(
            "let the network reach both APIs (HTTPS_PROXY, NO_PROXY), or set \
             cur.uri instead of cur.discover",
        );
    }
    Error::aws(what).hint(
        "allow cur:DescribeReportDefinitions, or bcm-data-exports:ListExports and GetExport, in the payer account, or set cur.uri \
         instead of cur.discover",
    )
}

/// Legacy reports, or why they cannot be seen.
async fn reports(base: &SdkConfig) -> Result<Vec<Candidate>, Unseen> {
    let client = aws_sdk_costandusagereport::Client::new(base);
    let mut pages = client.describe_report_definitions().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Unseen::of(REPORTS, &e))?;
        found.extend(page.report_definitions().iter().map(report));
    }
    Ok(found)
}

fn report(report: &ReportDefinition) -> Candidate {
    let name = report.report_name();
    let mut candidate = Candidate::new(name, Kind::Legacy, report.s3_bucket(), report.s3_prefix());
    if *report.time_unit() != TimeUnit::Hourly {
        candidate
            .flaws
            .push(format!("it is {}, not HOURLY", report.time_unit()));
    }
    if *report.format() != ReportFormat::Parquet {
        let what = format!("it is delivered as {}, not as parquet", report.format());
        candidate.flaws.push(what);
    }
    let status = report.report_status().and_then(|status| status.last_status());
    if let Some(LastStatus::ErrorNoBucket | LastStatus::ErrorPermissions) = status {
        let status = status.map_or("", LastStatus::as_str);
        candidate
            .doubts
            .push(format!("its last delivery failed: {status}"));
    }
    candidate
}

/// Exports of tables that can be read or not, or why they cannot be seen.
async fn exports(base: &SdkConfig) -> Result<Vec<Candidate>, Unseen> {
    let client = aws_sdk_bcmdataexports::Client::new(base);
    let mut pages = client.list_exports().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Unseen::of(LIST, &e))?;
        for reference in page.exports() {
            let one = client
                .get_export()
                .export_arn(reference.export_arn())
                .send()
                .await;
            let one = one.map_err(|e| Unseen::of(GET, &e))?;
            found.extend(one.export().map(|it| export(it, one.export_status())));
        }
    }
    Ok(found)
}

fn export(export: &Export, status: Option<&ExportStatus>) -> Candidate {
    let destination = export
        .destination_configurations()
        .and_then(|places| places.s3_destination());
    let (bucket, prefix) = destination.map_or(("", ""), |place| (place.s3_bucket(), place.s3_prefix()));
    let query = export.data_query();
    let statement = query.map_or("", |query| query.query_statement());
    let table = choice::table_of(statement);
    let mut candidate = Candidate::new(export.name(), Kind::of_table(&table), bucket, prefix);
    if candidate.kind == Kind::Other {
        candidate
            .flaws
            .push(format!("it exports {table}, which tells no Savings Plan's hours"));
    }
    let properties = query.and_then(|query| query.table_configurations());
    let granularity =
        properties.and_then(|tables| tables.values().find_map(|table| table.get("TIME_GRANULARITY")));
    if let Some(granularity) = granularity.filter(|granularity| *granularity != "HOURLY") {
        candidate.flaws.push(format!("it is {granularity}, not HOURLY"));
    }
    let format = destination
        .and_then(|place| place.s3_output_configurations())
        .map(S3OutputConfigurations::format);
    if let Some(format) = format.filter(|format| **format != FormatOption::Parquet) {
        candidate
            .flaws
            .push(format!("it is delivered as {format}, not as parquet"));
    }
    if choice::filters_rows(statement) {
        candidate
            .doubts
            .push("its query filters rows (WHERE), so hours will not reconcile".to_owned());
    }
    if status.and_then(|status| status.status_code()) == Some(&ExportStatusCode::Unhealthy) {
        let why = status
            .and_then(|status| status.status_reason())
            .map_or("", |reason| reason.as_str());
        candidate.doubts.push(format!("its status is UNHEALTHY: {why}"));
    }
    candidate
}
