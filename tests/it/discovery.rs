//! `cur.discover` against a CUR API and the recorded shapes of Data Exports.

use aws_sdk_costandusagereport::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_costandusagereport::types::{
    AdditionalArtifact, AwsRegion, CompressionFormat, ReportDefinition, ReportFormat, SchemaElement, TimeUnit,
};
use aws_sdk_costandusagereport::{Client, Config};
use brimful_aws::access::http_client;
use serde_json::Value;

use crate::support::block_on;
use crate::support::data_exports::{export, serve};
use crate::support::run::{Brimful, NOW};
use crate::support::sts::Sts;

/// An account of its own, so that no other test's reports are in it.
const ACCOUNT: &str = "555566667777";

/// Exit code: no report is found, or nothing listens where its bucket should be.
const UNREAD: i32 = 4;

/// Puts legacy reports into the account: name, how often, and in which form.
fn put(reports: &[(&str, TimeUnit, ReportFormat)]) {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .region(Region::new("us-east-1"))
        .endpoint_url(Sts::shared().endpoint())
        .credentials_provider(Credentials::new(ACCOUNT, "dummy", None, None, "test"))
        .build();
    let client = Client::from_conf(config);
    for (name, unit, format) in reports {
        let compression = match format {
            ReportFormat::Parquet => CompressionFormat::Parquet,
            _ => CompressionFormat::Gzip,
        };
        let artifact = match format {
            ReportFormat::Parquet => AdditionalArtifact::Athena,
            _ => AdditionalArtifact::Quicksight,
        };
        let definition = ReportDefinition::builder()
            .report_name(*name)
            .time_unit(unit.clone())
            .format(format.clone())
            .compression(compression)
            .additional_schema_elements(SchemaElement::Resources)
            .additional_artifacts(artifact)
            .s3_bucket("acme-billing")
            .s3_prefix("billing")
            .s3_region(AwsRegion::from("us-east-1"))
            .build()
            .expect("a report definition");
        let put = client
            .put_report_definition()
            .report_definition(definition)
            .send();
        block_on(put).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

fn doctor(discover: &str, data_exports: &str) -> Brimful {
    Brimful::new("doctor")
        .args(["--nodepools", "fixtures/nodepools.yaml", "--now", NOW])
        .config(&format!("cur:\n  discover: {discover}\n"))
        .env("AWS_ACCESS_KEY_ID", ACCOUNT)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9") // nothing else is to be asked
        .env(
            "AWS_ENDPOINT_URL_COST_AND_USAGE_REPORT_SERVICE",
            Sts::shared().endpoint(),
        )
        .env("AWS_ENDPOINT_URL_BCM_DATA_EXPORTS", data_exports)
}

/// What is said of the choice, each with its status.
fn said(run: Brimful) -> Vec<String> {
    let checks: Vec<Value> = run.json(UNREAD)["checks"].as_array().expect("checks").clone();
    let of_choice = checks.into_iter().filter(|check| {
        ["report-choice", "report-found"].contains(&check["id"].as_str().unwrap_or_default())
    });
    of_choice
        .filter(|check| check["id"] == "report-choice" || check["status"] == "fail")
        .map(|check| {
            format!(
                "{}: {}",
                check["status"].as_str().unwrap(),
                check["message"].as_str().unwrap()
            )
        })
        .collect()
}

// One test: the account's reports are one state.
#[test]
fn the_only_report_that_can_be_read_is_found_and_the_others_have_their_reasons() {
    put(&[
        ("daily", TimeUnit::Daily, ReportFormat::Parquet),
        ("spreadsheet", TimeUnit::Hourly, ReportFormat::Csv),
    ]);
    let exports = || {
        vec![
            export("cur2", "COST_AND_USAGE_REPORT", "HOURLY", "a, b"),
            export("focus", "FOCUS_1_2_AWS", "HOURLY", "*"),
            export("advice", "COST_OPTIMIZATION_RECOMMENDATIONS", "HOURLY", "*"),
        ]
    };
    let endpoint = serve(Some(exports()));
    let all = said(doctor("auto", &endpoint));
    assert_eq!(
        all,
        [
            "ok: CUR 2.0 export cur2 at s3://acme-billing/exports/cur2: the only suitable one",
            "skipped: not export advice: it exports COST_OPTIMIZATION_RECOMMENDATIONS, which tells no Savings Plan's hours",
            "skipped: not legacy report daily: it is DAILY, not HOURLY",
            "skipped: not FOCUS export focus: its hours cannot be checked as those of a CUR can",
            "skipped: not legacy report spreadsheet: it is delivered as textORcsv, not as parquet",
        ]
    );
    assert_eq!(
        said(doctor("focus", &endpoint))[0],
        "ok: FOCUS export focus at s3://acme-billing/exports/focus: it is the one that is named"
    );
    let daily = said(doctor("daily", &endpoint));
    assert!(
        daily[0].contains("legacy report daily cannot be read: it is DAILY"),
        "{daily:?}"
    );
    let none = said(doctor("nothing", &endpoint));
    assert!(
        none[0].contains("it has: advice, cur2, daily, focus, spreadsheet"),
        "{none:?}"
    );
    // A right that lacks on one side hides nothing of the other.
    let refused = serve(None);
    let half = said(doctor("auto", &refused));
    assert!(
        half[0].contains("legacy report daily: it is DAILY")
            && half[0].contains("bcm-data-exports:ListExports"),
        "{half:?}"
    );
    put(&[("hourly", TimeUnit::Hourly, ReportFormat::Parquet)]);
    let half = said(doctor("auto", &refused));
    assert!(
        half[0].starts_with("ok: legacy report hourly at s3://acme-billing/billing/hourly"),
        "{half:?}"
    );
    assert!(
        half.last()
            .unwrap()
            .starts_with("warn: could not look at Data Exports (bcm-data-exports:ListExports)"),
        "{half:?}"
    );
    let both = said(doctor("auto", &endpoint));
    assert!(
        both[0].contains("several reports could be read: CUR 2.0 export cur2, legacy report hourly"),
        "{both:?}"
    );
    let filtered = serve(Some(vec![export(
        "cur2",
        "COST_AND_USAGE_REPORT WHERE line_item_usage_type <> ''",
        "HOURLY",
        "a",
    )]));
    let doubt = said(doctor("cur2", &filtered));
    assert!(
        doubt[0].starts_with("warn: CUR 2.0 export cur2") && doubt[0].contains("WHERE"),
        "{doubt:?}"
    );
}
