//! Finds a legacy report by name with the CUR API, so that its bucket need not be looked up by hand.

use aws_sdk_costandusagereport::config::Region;
use aws_sdk_costandusagereport::error::DisplayErrorContext;
use aws_sdk_costandusagereport::types::{ReportDefinition, ReportFormat, TimeUnit};
use aws_sdk_costandusagereport::{Client, config};

use super::location::Location;
use super::s3::{AwsAccess, short};
use crate::{Error, Result};

/// The only region in which the CUR API lives (for the `aws` partition).
const REGION: &str = "us-east-1";

/// Where the report `name` is delivered.
///
/// # Errors
/// There is no such report, it is not hourly parquet, or AWS refused.
pub async fn discover(access: &AwsAccess, name: &str) -> Result<Location> {
    let base = access.load().await;
    let client = Client::from_conf(
        config::Builder::from(&base)
            .region(Region::from_static(REGION))
            .build(),
    );
    let mut pages = client.describe_report_definitions().into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| {
            let details = DisplayErrorContext(&e).to_string();
            Error::aws(format!("cannot look up the report {name}: {}", short(&details)))
                .hint("allow cur:DescribeReportDefinitions in the payer account, or set cur.uri instead of cur.discover")
        })?;
        for report in page.report_definitions() {
            if report.report_name() == name {
                return place(report);
            }
            seen.push(report.report_name().to_owned());
        }
    }
    let known = if seen.is_empty() {
        "none".to_owned()
    } else {
        seen.join(", ")
    };
    Err(Error::report(format!("there is no report {name} in this account; it has: {known}"))
        .hint("reports belong to the payer (management) account; CUR 2.0 exports are not found by name: set cur.uri"))
}

fn place(report: &ReportDefinition) -> Result<Location> {
    let name = report.report_name();
    let unusable = |what: &str| {
        Error::report(format!("report {name} is {what}"))
            .hint("create an hourly report in parquet form (Athena integration), with resource IDs")
    };
    if *report.time_unit() != TimeUnit::Hourly {
        return Err(unusable(&format!("{}, not HOURLY", report.time_unit())));
    }
    if *report.format() != ReportFormat::Parquet {
        return Err(unusable(&format!(
            "delivered as {}, not as parquet",
            report.format()
        )));
    }
    let prefix = [report.s3_prefix(), name].join("/");
    Ok(Location::S3 {
        bucket: report.s3_bucket().to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
    })
}
