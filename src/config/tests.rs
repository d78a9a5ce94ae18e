//! Files as people write them, and what is refused.

use chrono::{DateTime, Utc};

use super::*;

#[test]
fn a_user_who_sets_only_the_uri_gets_the_defaults() {
    let config = Config::parse("cur:\n  uri: s3://bucket/prefix\n").unwrap();
    assert_eq!(config.cur.maturity, Span(Duration::hours(24)));
    assert_eq!(config.mode, Mode::Apply);
    assert_eq!(
        Config::parse("# nothing but comments\n").unwrap(),
        Config::default()
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = Config::parse("cur:\n  uri: s3://b\n  maturty: 24h\n").unwrap_err();
    assert!(error.contains("maturty") && error.contains("line 3"), "{error}");
}

#[test]
fn values_out_of_range_are_refused_by_key() {
    for (text, key) in [
        ("share: 1.5", "share"),
        ("share: 50%", "share: a number from 0 to 1, such as 0.5"),
        ("share: 2", "such as 0.5"),
        ("weights: {fill: 101}", "weights.fill"),
        ("policy: {thresholds: {fill: 0}}", "policy.thresholds"),
        ("cur: {maturity: soon}", "soon"),
        ("cur: {uri: a, discover: b}", "not both"),
        ("policy: {blackouts: [{from: '25:00', to: '01:00'}]}", "25:00"),
    ] {
        let error = Config::parse(text).unwrap_err();
        assert!(error.contains(key), "{text}: {error}");
    }
}

#[test]
fn a_blackout_may_run_over_midnight() {
    let config = Config::parse("policy: {blackouts: [{days: [Fri], from: '22:00', to: '06:00'}]}").unwrap();
    let blackout = &config.policy.blackouts[0];
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    assert!(blackout.covers(at("2026-11-20T23:00:00Z"))); // a Friday
    assert!(blackout.covers(at("2026-11-21T05:59:00Z")));
    assert!(!blackout.covers(at("2026-11-21T23:00:00Z")));
    assert!(!blackout.covers(at("2026-11-20T05:00:00Z")));
}

#[test]
fn a_webhook_has_one_address_which_no_message_repeats() {
    for (text, said) in [
        (
            "notify: {webhooks: [{}]}",
            "notify.webhooks[0]: set one of url and urlFile",
        ),
        (
            "notify: {webhooks: [{url: 'hush'}]}",
            "notify.webhooks[0].url: must begin",
        ),
        (
            "notify: {webhooks: [{url: 'https://hush', urlFile: /a}]}",
            "set one of",
        ),
        (
            "notify: {webhooks: [{url: 'https://a/hush', evets: []}]}",
            "evets",
        ),
        (
            "notify:\n  webhooks:\n    - url: https://a/hush\n      format: slak\n",
            "slak",
        ),
    ] {
        let error = without_addresses(&Config::parse(text).unwrap_err());
        assert!(error.contains(said) && !error.contains("hush"), "{text}: {error}");
    }
    let config = Config::parse("notify: {webhooks: [{url: 'https://a/hush', format: slack}]}").unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    let kept = "see s3://bucket/prefix and https://…";
    assert_eq!(without_addresses("see s3://bucket/prefix and https://a/b"), kept);
}
