//! Queries that fail, take too much, or are given up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use brimful_cur::athena::AthenaTable;
use brimful_types::ErrorKind;
use serde_json::{Value, json};

use super::history;
use crate::support::athena::settings;
use crate::support::recorded;
use crate::support::run::{Brimful, Ended};

/// What happens to queries of a recorded Athena.
struct Recorded {
    endpoint: String,
    stopped: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// An Athena whose query looks as `execution` says.
fn recorded(execution: impl Fn() -> Value + Send + Sync + 'static) -> Recorded {
    let (stopped, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (stops, log) = (Arc::clone(&stopped), Arc::clone(&asked));
    let endpoint = recorded::serve(move |head, body| {
        let action = recorded::header(head, "x-amz-target").unwrap_or_default();
        log.lock().unwrap().push(body.to_owned());
        let answer = match action.rsplit('.').next().unwrap_or_default() {
            "GetTableMetadata" if body.contains("cost_and_usage_data_status") => {
                let what = json!({"__type": "MetadataException", "Message": "EntityNotFoundException: no such table"});
                return ("400 Bad Request", what);
            }
            "GetTableMetadata" => json!({"TableMetadata": metadata()}),
            "StartQueryExecution" => json!({"QueryExecutionId": "q1"}),
            "GetQueryExecution" => json!({"QueryExecution": execution()}),
            "StopQueryExecution" => {
                stops.fetch_add(1, Ordering::SeqCst);
                json!({})
            }
            other => panic!("{other}"),
        };
        ("200 OK", answer)
    });
    Recorded {
        endpoint,
        stopped,
        asked,
    }
}

fn metadata() -> Value {
    let column = |name: &str, kind: &str| json!({"Name": name, "Type": kind});
    let columns = [
        column("line_item_line_item_type", "string"),
        column("line_item_usage_start_date", "timestamp"),
        column("line_item_usage_end_date", "timestamp"),
        column("savings_plan_savings_plan_a_r_n", "string"),
        column("savings_plan_used_commitment", "double"),
        column("savings_plan_total_commitment_to_date", "double"),
    ];
    json!({"Name": "cur", "Columns": columns, "PartitionKeys": [column("year", "string"), column("month", "string")]})
}

fn recorded_table() -> AthenaTable {
    AthenaTable {
        catalog: "AwsDataCatalog".to_owned(),
        database: "acme".to_owned(),
        table: "cur".to_owned(),
        region: None,
        workgroup: "finops".to_owned(),
        output: None,
        most_bytes: 50_000_000_000,
        files: None,
    }
}

fn state(state: &str, bytes: u64, reason: &str) -> Value {
    json!({"QueryExecutionId": "q1", "Status": {"State": state, "StateChangeReason": reason},
        "Statistics": {"DataScannedInBytes": bytes}})
}

#[test]
fn a_query_that_scans_too_much_is_stopped_and_freezes() {
    let server = recorded(|| state("RUNNING", 60_000_000_000, ""));
    let judged = history(
        &settings(&server.endpoint),
        &recorded_table(),
        &AtomicBool::new(false),
    )
    .unwrap();
    let doubt = judged.doubt.unwrap();
    assert!(
        doubt.starts_with(
            "athena:acme.cur: the query has scanned 60.0 GB, more than cur.athena.maxBytesScanned (50.0 GB)"
        ),
        "{doubt}"
    );
    assert_eq!(server.stopped.load(Ordering::SeqCst), 1);
    let asked = server.asked.lock().unwrap().join("\n");
    assert!(
        asked.contains("finops") && asked.contains("AwsDataCatalog"),
        "{asked}"
    );
}

#[test]
fn a_query_that_fails_or_is_cancelled_freezes_and_one_that_is_refused_says_what_to_grant() {
    let never = AtomicBool::new(false);
    let failed = recorded(|| state("FAILED", 0, "HIVE_BAD_DATA: field foo is not a double"));
    let doubt = history(&settings(&failed.endpoint), &recorded_table(), &never)
        .unwrap()
        .doubt
        .unwrap();
    assert!(
        doubt.starts_with("athena:acme.cur: the query failed: HIVE_BAD_DATA") && doubt.contains("finops"),
        "{doubt}"
    );
    let cancelled = recorded(|| state("CANCELLED", 0, "Bytes scanned limit was exceeded"));
    let doubt = history(&settings(&cancelled.endpoint), &recorded_table(), &never)
        .unwrap()
        .doubt
        .unwrap();
    assert!(
        doubt.contains("was cancelled (Bytes scanned limit was exceeded)"),
        "{doubt}"
    );
    assert_eq!(
        failed.stopped.load(Ordering::SeqCst) + cancelled.stopped.load(Ordering::SeqCst),
        0
    );
    let refused = recorded(|| {
        state(
            "FAILED",
            0,
            "Access Denied when writing to location: s3://results/",
        )
    });
    let error = history(&settings(&refused.endpoint), &recorded_table(), &never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aws);
    assert!(
        error.next_step().unwrap().contains("iam-policy-optional"),
        "{error:?}"
    );
    let endpoint = recorded::serve(|_, _| recorded::denied());
    let error = history(&settings(&endpoint), &recorded_table(), &never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aws);
    assert!(error.to_string().contains("access denied"), "{error}");
}

#[test]
fn an_interrupted_run_stops_its_query() {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let server = recorded(move || {
        flag.store(true, Ordering::SeqCst);
        state("RUNNING", 0, "")
    });
    let error = history(&settings(&server.endpoint), &recorded_table(), &stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(server.stopped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_run_that_is_told_to_end_while_a_query_runs_stops_it() {
    let server = recorded(|| state("RUNNING", 0, ""));
    let config = "cur:\n  engine: athena\n  athena:\n    database: acme\n    table: cur\n";
    let mut run = Brimful::new("utilization")
        .config(config)
        .env("AWS_ENDPOINT_URL_ATHENA", &server.endpoint);
    let child = run.spawn();
    while !server
        .asked
        .lock()
        .unwrap()
        .iter()
        .any(|body| body.contains("q1"))
    {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let ended = Ended::of(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(server.stopped.load(Ordering::SeqCst), 1, "{ended:?}");
}
