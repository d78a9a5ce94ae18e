//! AWS Data Exports as recorded shapes: nothing emulates it. Answers `ListExports` and `GetExport` on loopback.

use serde_json::{Value, json};

use super::recorded;

/// The region and account of every export here.
const ARN: &str = "arn:aws:bcm-data-exports:us-east-1:111122223333:export";

/// An export, as `GetExport` shows it.
pub(crate) fn export(name: &str, table: &str, granularity: &str, query: &str) -> Value {
    json!({
        "Name": name,
        "ExportArn": format!("{ARN}/{name}"),
        "DataQuery": {
            "QueryStatement": format!("SELECT {query} FROM {table}"),
            "TableConfigurations": {table: {"TIME_GRANULARITY": granularity, "INCLUDE_RESOURCES": "TRUE"}},
        },
        "DestinationConfigurations": {"S3Destination": {
            "S3Bucket": "acme-billing", "S3Prefix": "exports", "S3Region": "us-east-1",
            "S3OutputConfigurations": {
                "OutputType": "CUSTOM", "Format": "PARQUET", "Compression": "PARQUET", "Overwrite": "OVERWRITE_REPORT",
            },
        }},
        "RefreshCadence": {"Frequency": "SYNCHRONOUS"},
    })
}

/// Answers as Data Exports would, for as long as the process runs; the endpoint. `None` refuses everybody.
pub(crate) fn serve(exports: Option<Vec<Value>>) -> String {
    recorded::serve(move |head, body| answer(head, body, exports.as_deref()))
}

fn answer(head: &str, body: &str, exports: Option<&[Value]>) -> (&'static str, Value) {
    let Some(exports) = exports else {
        return recorded::denied();
    };
    let target = recorded::header(head, "x-amz-target").unwrap_or_default();
    if target.ends_with(".ListExports") {
        let healthy = json!({"StatusCode": "HEALTHY"});
        let exports = exports.iter().map(
            |one| json!({"ExportArn": one["ExportArn"], "ExportName": one["Name"], "ExportStatus": healthy}),
        );
        return ("200 OK", json!({"Exports": exports.collect::<Vec<_>>()}));
    }
    let asked: Value = serde_json::from_str(body).unwrap_or_default();
    let found = exports.iter().find(|one| one["ExportArn"] == asked["ExportArn"]);
    (
        "200 OK",
        json!({"Export": found, "ExportStatus": {"StatusCode": "HEALTHY"}}),
    )
}
