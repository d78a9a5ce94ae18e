//! The place where clusters tell each other their demand, on a real S3 server: written only over what was read, read
//! by all, and no run fails for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use brimful::coordination::{read, versions, write};
use brimful::source;
use brimful_aws::AwsAccess;
use brimful_aws::access::http_client;
use brimful_cur::location::Place;
use brimful_cur::store::{ObjectStore, PutResult};
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::run::{Brimful, NOW, entry, text};
use crate::support::s3::{Identity, S3};

const R6I: &str = "ec2Instance/r6i/us-east-2";

fn bucket() -> String {
    static BUCKETS: AtomicU32 = AtomicU32::new(0);
    let bucket = format!("coordination-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
    S3::shared().create_bucket(&bucket);
    bucket
}

/// `plan` of the fixtures' cluster, which reads what lies at `uri`.
fn plan(uri: &str, identity: Identity) -> Value {
    Brimful::plan("fixtures/cur/legacy")
        .envs(S3::shared().env_as(identity))
        .config(&format!("coordination: {{uri: '{uri}'}}\n"))
        .json(0)
}

fn alone() -> Value {
    Brimful::plan("fixtures/cur/legacy").json(0)
}

/// What a cluster tells that wants the r6i plans.
fn eager(cluster: &str, time: &str) -> Value {
    let group = |wants| json!({"demand": 0.0, "atCompute": 0.0, "wants": wants, "claim": 0, "launches": 0});
    json!({"schema": "brimful/demand/v1", "cluster": cluster, "account": null, "region": null, "time": time,
        "nodePools": {}, "comparable": true, "share": null, "groups": {
            "compute": group(false), "ec2Instance/c7g/eu-west-1": group(false),
            "ec2Instance/m5/us-east-2": group(false), R6I: group(true)}})
}

fn share(plan: &Value) -> f64 {
    entry(&plan["groups"], "id", R6I)["share"]
        .as_f64()
        .expect("a share")
}

fn warning<'a>(plan: &'a Value, code: &str) -> &'a str {
    text(&entry(&plan["warnings"], "code", code)["message"])
}

#[test]
fn the_others_are_read_below_the_prefix_and_nowhere_else() {
    let bucket = bucket();
    let put = |key: &str, demand: &Value| S3::shared().put(&bucket, key, demand.to_string());
    let uri = format!("s3://{bucket}/plans/compute");
    assert!(
        (share(&plan(&uri, Identity::ReadOnly)) - 1.0).abs() < 1e-9,
        "nobody has told anything yet"
    );
    put("plans/compute/staging.json", &eager("staging", NOW));
    put("plans/compute/qa.json", &eager("qa", NOW));
    put("plans/compute/deeper/dev.json", &eager("dev", NOW));
    put("plans/other.json", &eager("other", NOW));
    let seen = plan(&uri, Identity::ReadOnly);
    assert!((share(&seen) - 0.3333).abs() < 1e-9, "{seen:#}");
}

#[test]
fn a_silent_peer_and_garbage_on_s3_leave_the_others_in_place() {
    let bucket = bucket();
    let put = |key: &str, text: String| S3::shared().put(&bucket, key, text);
    put("staging.json", eager("staging", NOW).to_string());
    put("qa.json", eager("qa", "2026-11-21T12:00:00Z").to_string());
    put("dev.json", "<html>".to_owned());
    put("huge.json", "x".repeat((1 << 20) + 1));
    let seen = plan(&format!("s3://{bucket}"), Identity::ReadOnly);
    assert!((share(&seen) - 0.5).abs() < 1e-9, "{seen:#}");
    let named: Vec<&str> = seen["warnings"]
        .as_array()
        .expect("warnings")
        .iter()
        .filter(|warning| warning["code"] == "coordination-stale")
        .map(|warning| {
            text(&warning["message"])
                .split_whitespace()
                .nth(1)
                .unwrap_or_default()
        })
        .collect();
    assert_eq!(named, ["dev", "huge", "qa"]);
}

#[test]
fn access_denied_and_a_missing_bucket_are_warnings_that_say_what_to_grant() {
    let bucket = bucket();
    let alone = alone();
    for (uri, identity, says) in [
        (
            format!("s3://{bucket}/x"),
            Identity::Stranger,
            "s3:ListBucket on arn:aws:s3:::",
        ),
        (
            "s3://no-such-bucket-at-all/x".to_owned(),
            Identity::ReadOnly,
            "coordination.uri",
        ),
    ] {
        let denied = plan(&uri, identity);
        let message = warning(&denied, "coordination-unreachable");
        assert!(
            message.contains(says) && !message.contains("cur.roleArn"),
            "{message}"
        );
        for section in ["groups", "nodePools", "changes"] {
            assert_eq!(denied[section], alone[section], "{section}");
        }
    }
}

/// The place, as Brimful reaches it.
fn board(uri: &str, identity: Identity) -> Arc<dyn ObjectStore> {
    let (access, secret) = identity.keys();
    let keys = Credentials::new(access, secret, None, None, "tests");
    let settings = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .endpoint_url(S3::shared().endpoint())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build();
    let place: Place = uri.parse().expect("a place");
    let access = AwsAccess {
        settings: Some(settings),
        ..AwsAccess::default()
    };
    block_on(source::coordination(&place, &access)).expect("the place is reached")
}

fn version(written: PutResult) -> String {
    match written {
        PutResult::Done(version) => version,
        PutResult::Conflict => panic!("another writer was first"),
    }
}

#[test]
fn of_two_writers_over_the_same_version_one_is_told_that_it_lost() {
    let bucket = bucket();
    let uri = format!("s3://{bucket}/shared");
    let writers = [board(&uri, Identity::Full), board(&uri, Identity::Full)];
    let put = |who: usize, text: &str, before: Option<&str>| {
        block_on(write(writers[who].as_ref(), "prod.json", text, before)).expect("an answer")
    };
    // Both have seen that nothing stands there.
    let first = version(put(0, "1", None));
    assert_eq!(put(1, "2", None), PutResult::Conflict);
    // Both have read the first.
    let second = version(put(1, "3", Some(&first)));
    assert_eq!(put(0, "4", Some(&first)), PutResult::Conflict);
    // The same request sent again after an answer that got lost is no other writer.
    assert_eq!(version(put(1, "3", Some(&first))), second);
    let entries = block_on(read(writers[0].as_ref())).expect("read");
    let [entry] = entries.as_slice() else {
        panic!("one object: {entries:?}")
    };
    assert_eq!(
        (entry.note.content.as_deref(), &entry.version),
        (Ok("3"), &second)
    );
    let listed = block_on(versions(writers[0].as_ref())).expect("listed");
    assert_eq!(
        listed.into_iter().collect::<Vec<_>>(),
        [("prod.json".to_owned(), second)]
    );
}

#[test]
fn whoever_may_not_write_is_told_which_right_is_missing() {
    let bucket = bucket();
    let board = board(&format!("s3://{bucket}/shared"), Identity::ReadOnly);
    let error = block_on(write(board.as_ref(), "prod.json", "1", None)).expect_err("denied");
    let hint = error.next_step().unwrap_or_default();
    assert!(
        hint.contains(&format!("s3:PutObject on arn:aws:s3:::{bucket}/shared/*")),
        "{error}: {hint}"
    );
}
