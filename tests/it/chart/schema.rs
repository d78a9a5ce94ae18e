//! `values.schema.json`: Helm refuses a configuration that Brimful would refuse, before anything is installed.

use std::fs;

use serde_json::Value;

use super::{chart, template};
use crate::support::run::Brimful;

/// The chart's schema takes the configuration's from the program. `BRIMFUL_WRITE_DOCS=1` writes it anew.
#[test]
fn its_configuration_is_what_the_program_takes() {
    let path = chart().join("values.schema.json");
    let text = fs::read_to_string(&path).expect("the chart's schema");
    let mut schema: Value = serde_json::from_str(&text).expect("a JSON Schema");
    let printed = Brimful::new("schema").ends(0).stdout;
    let mut config: Value = serde_json::from_str(&printed).expect("a JSON Schema");
    let config = config.as_object_mut().expect("an object");
    let definitions = config.remove("$defs").expect("definitions");
    config.remove("$schema");
    let before = schema.clone();
    schema["$defs"] = definitions;
    schema["properties"]["config"] = Value::Object(config.clone());
    if std::env::var_os("BRIMFUL_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{schema:#}\n")).expect("the schema is written");
        return;
    }
    assert_eq!(before, schema, "run this test with BRIMFUL_WRITE_DOCS=1");
}

#[test]
fn bad_values_are_refused_and_the_message_names_them() {
    for (bad, named) in [
        ("config.curr.uri=s3://a", "'curr' not allowed"),
        ("config.grips={speed}", "/config/grips/0"),
        ("config.cur.maturity=soon", "/config/cur/maturity"),
        ("config.share=2", "/config/share"),
        ("config.mode=watch", "/config/mode"),
        (
            "config.notify.webhooks[0].format=teams",
            "/config/notify/webhooks/0/format",
        ),
        ("secrets={a/b}", "/secrets/0"),
        ("cronJob.timeout=soon", "/cronJob/timeout"),
        (
            "cronJob.activeDeadlineSeconds=0",
            "/cronJob/activeDeadlineSeconds",
        ),
        ("aws.identity=irsa", "/aws/roleArn"),
        ("aws.identity=keys", "/aws/identity"),
        ("aws.roleArn=brimful", "/aws/roleArn"),
        ("rbac.nodePool={a}", "'nodePool' not allowed"),
        ("guard.grips={template}", "/guard/grips/0"),
        ("image.digest=latest", "/image/digest"),
        ("networkPolicy.httpsPorts={0}", "/networkPolicy/httpsPorts/0"),
        ("replicas=2", "'replicas' not allowed"),
    ] {
        let error = template(&[bad]).expect_err(bad);
        assert!(error.contains(named), "{bad}: {error}");
    }
}
