//! The ledger cache on a real S3 server: how much an unchanged report costs in requests, two runs that fill the cache
//! at once, and a cache that may not be written.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::support::proxy::Proxy;
use crate::support::run::{Brimful, Derived, Ended, fixture};
use crate::support::s3::{Identity, S3};

const STATUS: &str =
    "billing/acme-hourly/acme-hourly/cost_and_usage_data_status/cost_and_usage_data_status.parquet";

/// A bucket with a fixture in it, and one for the cache.
fn buckets(report: &str) -> [String; 2] {
    static BUCKETS: AtomicU32 = AtomicU32::new(0);
    let number = BUCKETS.fetch_add(1, Ordering::Relaxed);
    let buckets = [format!("cached-report-{number}"), format!("cache-{number}")];
    for bucket in &buckets {
        S3::shared().create_bucket(bucket);
    }
    S3::shared().put_dir(&fixture(report), &buckets[0], "");
    buckets
}

/// `plan` on the fixtures' cluster, as whoever may write.
fn plan([report, cache]: &[String; 2]) -> Brimful {
    Brimful::plan(format!("s3://{report}"))
        .env("BRIMFUL_CACHE", format!("s3://{cache}/ledgers"))
        .envs(S3::shared().env_as(Identity::Full))
}

fn without_cache([report, _]: &[String; 2]) -> String {
    let run = Brimful::plan(format!("s3://{report}")).envs(S3::shared().env());
    run.args(["-o", "json"]).ends(0).stdout
}

fn warnings<'a>(document: &'a Value, code: &str) -> Vec<&'a str> {
    let all = document["warnings"].as_array().expect("a list").iter();
    all.filter(|warning| warning["code"] == code)
        .map(|warning| warning["message"].as_str().expect("text"))
        .collect()
}

#[test]
fn an_unchanged_report_costs_three_requests_a_billing_period_at_most_and_says_the_same() {
    let proxy = Proxy::of(S3::shared().endpoint());
    let run = |buckets: &[String; 2]| {
        let run = plan(buckets).env("AWS_ENDPOINT_URL_S3", proxy.endpoint());
        let said = run.args(["-o", "json"]).ends(0).stdout;
        (said, proxy.take())
    };
    for (report, most) in [("cur/legacy", 3), ("cur/cur2", 2)] {
        let buckets = buckets(report);
        let (first, requests) = run(&buckets);
        assert!(requests.len() > 3, "it was read: {requests:#?}");
        assert_eq!(first, without_cache(&buckets), "{report}");
        let (second, requests) = run(&buckets);
        assert_eq!(second, first, "{report}");
        assert_eq!(requests.len(), most, "{requests:#?}");
        assert!(requests.iter().all(|request| request.starts_with("GET ")));
    }
}

#[test]
fn a_new_version_is_read_whatever_the_cache_holds() {
    let buckets = buckets("cur/legacy");
    plan(&buckets).json(0);
    let full = Derived::report("full");
    S3::shared().put_dir(full.path(), &buckets[0], "");
    let run = plan(&buckets).args(["-o", "json"]).ends(0).stdout;
    assert_eq!(run, without_cache(&buckets));
    let again = plan(&buckets).args(["-o", "json"]).ends(0).stdout;
    assert_eq!(again, run);
}

#[test]
fn a_refresh_under_way_is_waited_for_with_a_cache_as_without() {
    let buckets = buckets("cur/legacy");
    plan(&buckets).json(0);
    let updating = Derived::report("status:UPDATING");
    let status = std::fs::read(updating.path().join(STATUS)).expect("a file");
    S3::shared().put(&buckets[0], STATUS, status);
    let document = plan(&buckets).json(5);
    assert!(warnings(&document, "report-changing")[0].contains("UPDATING"));
}

#[test]
fn runs_that_fill_the_cache_at_once_do_not_disturb_each_other() {
    let buckets = buckets("cur/cur2");
    let expected = without_cache(&buckets);
    let runs = [1, 2, 3, 4].map(|_| plan(&buckets).args(["-o", "json"]).spawn());
    for run in runs.map(Ended::of) {
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(0), expected.as_str()),
            "{run:?}"
        );
    }
    assert_eq!(plan(&buckets).args(["-o", "json"]).ends(0).stdout, expected);
}

#[test]
fn a_cache_that_may_not_be_written_or_reached_is_told_and_the_report_is_read() {
    let buckets = buckets("cur/legacy");
    for (identity, cache, parts) in [
        (
            Identity::ReadOnly,
            buckets[1].as_str(),
            ["cannot be written", "grant s3:PutObject"],
        ),
        (
            Identity::Full,
            "no-such-cache",
            ["there is no bucket no-such-cache", "cur.cache"],
        ),
    ] {
        let run = plan(&buckets)
            .envs(S3::shared().env_as(identity))
            .args(["--cache", &format!("s3://{cache}/ledgers")]);
        let document = run.json(0);
        let told = warnings(&document, "cache-unusable");
        assert_eq!(told.len(), 1, "{document:#}");
        for part in parts {
            assert!(told[0].contains(part), "{part} is not in {}", told[0]);
        }
    }
}

// Without the right to list, S3 does not say that an object is not there: it refuses to read it.
#[test]
fn an_entry_that_may_not_be_there_is_written_without_the_right_to_list() {
    let [_, cache] = buckets("cur/legacy");
    let run = || {
        Brimful::plan("fixtures/cur/legacy")
            .envs(S3::shared().env_as(Identity::WriteOnly))
            .args(["--cache", &format!("s3://{cache}/ledgers")])
            .json(0)
    };
    assert_eq!(warnings(&run(), "cache-unusable"), Vec::<&str>::new());
    assert_eq!(
        S3::shared().list(&cache).len(),
        2,
        "of the month, and of its files"
    );
    let document = run();
    let told = warnings(&document, "cache-unusable");
    assert!(
        told.len() == 1 && told[0].contains("cannot be read") && told[0].contains("s3:GetObject"),
        "{told:?}"
    );
}

#[test]
fn a_damaged_entry_is_told_and_replaced() {
    let buckets = buckets("cur/cur2");
    let expected: Value = serde_json::from_str(&without_cache(&buckets)).expect("a document");
    plan(&buckets).json(0);
    let keys = S3::shared().list(&buckets[1]);
    assert_eq!(keys.len(), 1);
    let sound = S3::shared().get(&buckets[1], &keys[0]).expect("the entry");
    S3::shared().put(&buckets[1], &keys[0], &sound[..sound.len() / 2]);
    let document = plan(&buckets).json(0);
    assert!(warnings(&document, "cache-rebuilt")[0].contains("is damaged"));
    assert_eq!(document["nodePools"], expected["nodePools"]);
    assert_eq!(S3::shared().get(&buckets[1], &keys[0]), Some(sound));
    assert_eq!(plan(&buckets).json(0), expected);
}
