//! Finds a report or an export, so that its bucket need not be looked up by hand: legacy reports by the CUR API, CUR 2.0
//! and FOCUS exports by Data Exports. [`choice`] says which one it is, and why not the others.

use aws_config::{Region, SdkConfig};
use aws_sdk_bcmdataexports::types::{
    Export, ExportStatus, ExportStatusCode, FormatOption, S3OutputConfigurations,
};
use aws_sdk_costandusagereport::types::{LastStatus, ReportDefinition, ReportFormat, TimeUnit};

use self::choice::{Candidate, Choice, Kind, Wanted, choose};
use super::s3::{AwsAccess, told};
use brimful_types::{Error, Result};

pub mod choice;

/// The only region in which both APIs live (for the `aws` partition).
const REGION: &str = "us-east-1";

/// Looks for the report or export that is wanted among all of the account.
///
/// # Errors
/// There is none, it cannot be used, several could be meant, or AWS refused both APIs.
pub async fn discover(access: &AwsAccess, wanted: &Wanted) -> Result<Choice> {
    let base = access.load().await;
    let (reports, exports) = tokio::join!(reports(&base), exports(&base));
    let mut unseen = Vec::new();
    let mut candidates = Vec::new();
    for found in [reports, exports] {
        match found {
            Ok(found) => candidates.extend(found),
            Err(why) => unseen.push(why),
        }
    }
    if unseen.len() == 2 {
        return Err(Error::aws(format!("cannot look up {wanted}: {}", unseen.join("; "))).hint(
            "allow cur:DescribeReportDefinitions, or bcm-data-exports:ListExports and GetExport, in the payer account, or set cur.uri \
             instead of cur.discover",
        ));
    }
    choose(wanted, candidates, unseen)
}

/// Legacy reports, or why they cannot be seen.
async fn reports(base: &SdkConfig) -> Result<Vec<Candidate>, String> {
    let config = aws_sdk_costandusagereport::config::Builder::from(base);
    let config = config.region(Region::from_static(REGION)).build();
    let client = aws_sdk_costandusagereport::Client::from_conf(config);
    let mut pages = client.describe_report_definitions().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page =
            page.map_err(|e| format!("legacy reports (cur:DescribeReportDefinitions): {}", told(&e)))?;
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
async fn exports(base: &SdkConfig) -> Result<Vec<Candidate>, String> {
    let config = aws_sdk_bcmdataexports::config::Builder::from(base);
    let config = config.region(Region::from_static(REGION)).build();
    let client = aws_sdk_bcmdataexports::Client::from_conf(config);
    let mut pages = client.list_exports().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| format!("Data Exports (bcm-data-exports:ListExports): {}", told(&e)))?;
        for reference in page.exports() {
            let one = client
                .get_export()
                .export_arn(reference.export_arn())
                .send()
                .await;
            let one = one.map_err(|e| format!("Data Exports (bcm-data-exports:GetExport): {}", told(&e)))?;
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
