//! How AWS is reached: credentials that are missing or refused end with 6 and the cure, nothing waits without end, Ctrl-C
//! ends each wait, whose certificates count, and proxies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::Credentials;
use brimful_aws::AwsAccess;
use brimful_aws::access::{Patience, http_client};
use brimful_aws::caller::NoCaller;
use brimful_aws::discover::discover;
use brimful_aws::{plan_rates, plans_api};
use brimful_cur::choice::Wanted;
use brimful_cur::location::Place;
use brimful_types::ErrorKind;

use crate::support::block_on;
use crate::support::faulty_s3::{Asked, Fault, FaultyS3};
use crate::support::run::{Brimful, Ended, NOW, fixture};
use crate::support::s3::S3;
use crate::support::tls::Tls;

/// Nothing listens there, so nothing of it may be asked.
const NOBODY: &str = "http://127.0.0.1:9";

/// A plan of a report that is never reached, by other credentials than keys of the environment.
fn unreached(home: &tempfile::TempDir, profile: &str) -> Brimful {
    let file = home.path().join("config");
    std::fs::write(&file, profile).expect("a profile");
    Brimful::plan("s3://acme-billing")
        .env("HOME", home.path())
        .env("AWS_CONFIG_FILE", file)
        .env("AWS_ACCESS_KEY_ID", "")
        .env("AWS_SECRET_ACCESS_KEY", "")
        .env("AWS_ENDPOINT_URL_S3", NOBODY)
}

/// An STS that refuses everything in that way.
fn sts_refusing(code: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut from = BufReader::new(stream.try_clone().expect("the connection"));
                let (mut line, mut length) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    if from.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap_or(0);
                    }
                }
                let _ = from.read_exact(&mut vec![0; length]);
                let body = format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>not by this test</Message></Error></ErrorResponse>"
                );
                let _ = write!(
                    stream,
                    "HTTP/1.1 403 Forbidden\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    endpoint
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}

const SSO: &str = "[profile dev]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Reader\nregion = us-east-1\n\
     [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.awsapps.com/start\n";

#[test]
fn a_login_that_is_missing_or_has_expired_ends_with_6_and_says_how_to_log_in() {
    let home = tempfile::tempdir().expect("a folder");
    let run = || unreached(&home, SSO).env("AWS_PROFILE", "dev");
    let cure = "aws sso login --profile dev";
    says(
        &run().fails(6),
        &["SSO login has expired, or there is none", cure],
    );
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).expect("a folder");
    // SHA-1 of the session's name.
    let token = r#"{"accessToken": "very-secret", "expiresAt": "2020-01-01T00:00:00Z", "region": "us-east-1", "startUrl": "https://corp.awsapps.com/start"}"#;
    std::fs::write(cache.join("ee0bfd2552fbd840c02cc48b6e823320543c450f.json"), token).expect("a token");
    let expired = run().fails(6);
    says(&expired, &["SSO login has expired", cure]);
    assert!(!expired.contains("very-secret"), "{expired}");
}

#[test]
fn a_pod_that_may_not_assume_its_role_ends_with_6_and_the_annotation_and_trust_policy() {
    let home = tempfile::tempdir().expect("a folder");
    let token = home.path().join("token");
    let run = |sts: &str| {
        unreached(&home, "")
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
            .env("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/brimful")
            .env("AWS_ENDPOINT_URL_STS", sts)
    };
    let unread = run(NOBODY).fails(6);
    says(
        &unread,
        &[
            "token cannot be read",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "eks.amazonaws.com/role-arn",
        ],
    );
    std::fs::write(&token, "very.secret.token").expect("a token");
    let denied = run(&sts_refusing("AccessDenied")).fails(6);
    says(
        &denied,
        &[
            "role/brimful",
            "eks.amazonaws.com/role-arn",
            "trust policy",
            "system:serviceaccount",
        ],
    );
    assert!(!denied.contains("very.secret"), "{denied}");
    says(
        &run(&sts_refusing("InvalidIdentityToken")).fails(6),
        &["does not accept the pod's token", "OIDC provider"],
    );
}

#[test]
fn a_role_of_the_payer_that_is_refused_ends_with_6_and_what_to_grant() {
    let run = |code: &'static str| {
        Brimful::plan("s3://acme-billing")
            .config("cur:\n  roleArn: arn:aws:iam::999988887777:role/reader\n")
            .env("AWS_ENDPOINT_URL_S3", NOBODY)
            .env("AWS_ENDPOINT_URL_STS", sts_refusing(code))
            .fails(6)
    };
    says(
        &run("AccessDenied"),
        &[
            "may not assume",
            "role/reader (cur.roleArn)",
            "sts:AssumeRole",
            "cur.externalId",
            "trust policy",
        ],
    );
    says(&run("ExpiredToken"), &["have expired", "aws sso login"]);
    says(&run("InvalidClientTokenId"), &["check AWS_PROFILE"]);
}

#[test]
fn a_program_that_gives_no_credentials_ends_with_6_and_nothing_of_what_it_said() {
    let home = tempfile::tempdir().expect("a folder");
    for program in [
        "echo hunter2 >&2; exit 1",
        "echo '{\"Version\": 1, \"AccessKeyId\": \"hunter2\"}'",
    ] {
        let profile = format!("[default]\ncredential_process = {program}\n");
        let said = unreached(&home, &profile).fails(6);
        says(&said, &["credential_process", "by hand"]);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

const PATIENCE: Patience = Patience {
    connect: Duration::from_millis(300),
    silence: Duration::from_millis(300),
    attempt: Duration::from_secs(1),
    call: Duration::from_secs(2),
    credentials: Duration::from_millis(700),
    listing: Duration::from_millis(1500),
    pause: Duration::from_millis(50),
    tries: 2,
    rate: 64 << 10,
};

/// A server that takes connections and never says a word.
fn silent() -> FaultyS3 {
    FaultyS3::of(NOBODY, Fault::Silence, usize::MAX, |_: &Asked<'_>| true)
}

fn access(endpoint: &str, role: Option<&str>) -> AwsAccess {
    let keys = Credentials::new("key", "secret", None, None, "tests");
    let settings = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(keys);
    AwsAccess {
        role_arn: role.map(str::to_owned),
        settings: Some(block_on(settings.load())),
        patience: PATIENCE,
        ..AwsAccess::default()
    }
}

#[test]
fn no_api_of_aws_is_waited_for_beyond_its_bound() {
    let silent = silent();
    let own = access(silent.endpoint(), None);
    let through = access(silent.endpoint(), Some("arn:aws:iam::111122223333:role/r"));
    let in_time = |what: &str, wait: &dyn Fn() -> String| {
        let started = Instant::now();
        let said = wait();
        let took = started.elapsed();
        assert!(took < Duration::from_secs(8), "{what}: {took:?}: {said}");
        said
    };
    let discovered = in_time("discover", &|| {
        let error = block_on(discover(&own, &Wanted::Auto)).expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::Aws, "{error:#}");
        format!("{error:#} {}", error.next_step().unwrap_or_default())
    });
    says(
        &discovered,
        &["DescribeReportDefinitions", "ListExports", "cur.uri"],
    );
    let rates = in_time("describeRates", &|| {
        let asked = async {
            let client = plans_api::connect(&own).await;
            plan_rates::describe(&client, "arn:aws:savingsplans::1:savingsplan/x", "us-east-2").await
        };
        let error = block_on(asked).expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::Aws, "{error:#}");
        error.to_string()
    });
    says(&rates, &["rates of plan x"]);
    in_time("whose credentials", &|| {
        let found = block_on(own.caller()).expect_err("nobody answers");
        assert!(matches!(found, NoCaller::Unreachable(_)), "{found:?}");
        String::new()
    });
    let assumed = in_time("a role", &|| {
        let place: Place = "s3://bucket/plans".parse().expect("a place");
        let read = async {
            brimful::coordination::read(brimful::source::coordination(&place, &through).await?.as_ref()).await
        };
        let error = block_on(read).expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::Report, "{error:#}");
        format!("{error:#} {}", error.next_step().unwrap_or_default())
    });
    says(
        &assumed,
        &["STS", "role/r (cur.roleArn)", "let the network reach it"],
    );
}

fn interrupted(what: &str, mut run: Brimful, front: &FaultyS3) {
    let child = run.spawn();
    let started = Instant::now();
    while front.struck() == 0 {
        assert!(started.elapsed() < Duration::from_mins(1), "{what}: never asked");
        sleep(Duration::from_millis(20));
    }
    // Well within the wait.
    sleep(Duration::from_millis(300));
    let asked = Instant::now();
    let sent = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "{what}: kill");
    let ended = Ended::of(child);
    let took = asked.elapsed();
    assert_eq!(ended.code, Some(130), "{what}: {ended:?}");
    assert!(took < Duration::from_secs(2), "{what}: {took:?}");
}

#[test]
fn ctrl_c_ends_each_wait_for_aws_within_2_seconds() {
    type Which = fn(&Asked<'_>, bool) -> bool;
    let bucket = "interrupted";
    S3::shared().create_bucket(bucket);
    S3::shared().put_dir(&fixture("cur/legacy"), bucket, "");
    let uri = format!("s3://{bucket}");
    let file = |asked: &Asked<'_>| asked.method == "GET" && asked.target.contains(".snappy.parquet");
    let fronts: [(&str, Fault, Which); 4] = [
        ("the list", Fault::Silence, |asked, _| {
            asked.target.contains("list-type")
        }),
        ("a file", Fault::Silence, |_, is_file| is_file),
        ("a file's bytes", Fault::Trickle, |_, is_file| is_file),
        ("a look", Fault::Silence, |asked, _| asked.method == "HEAD"),
    ];
    thread::scope(|scope| {
        for (what, fault, which) in fronts {
            let uri = &uri;
            scope.spawn(move || {
                let front = FaultyS3::of(S3::shared().endpoint(), fault, usize::MAX, move |asked| {
                    which(asked, file(asked))
                });
                let run = Brimful::plan(uri)
                    .envs(S3::shared().env())
                    .env("AWS_ENDPOINT_URL_S3", front.endpoint());
                interrupted(what, run, &front);
            });
        }
        scope.spawn(|| {
            let front = silent();
            let role = "cur:\n  roleArn: arn:aws:iam::111122223333:role/r\n";
            let run = Brimful::plan("s3://acme-billing").config(role);
            interrupted("a role", run.env("AWS_ENDPOINT_URL", front.endpoint()), &front);
        });
        scope.spawn(|| {
            let front = silent();
            let run = Brimful::new("plan").on_the_fixtures_cluster();
            let run = run.config("cur:\n  discover: auto\n");
            interrupted("discover", run.env("AWS_ENDPOINT_URL", front.endpoint()), &front);
        });
        scope.spawn(|| {
            let front = silent();
            let run = Brimful::plan("fixtures/cur/legacy").config("cur:\n  describeRates: true\n");
            interrupted("rates", run.env("AWS_ENDPOINT_URL", front.endpoint()), &front);
        });
        scope.spawn(|| {
            let front = silent();
            let run = Brimful::plan("fixtures/cur/legacy").config("coordination: {uri: 's3://acme/plans'}\n");
            interrupted(
                "the clusters",
                run.env("AWS_ENDPOINT_URL", front.endpoint()),
                &front,
            );
        });
        scope.spawn(|| {
            let front = silent();
            let run = Brimful::plan("fixtures/cur/legacy").args(["--cache", "s3://acme/ledgers"]);
            interrupted("the cache", run.env("AWS_ENDPOINT_URL", front.endpoint()), &front);
        });
    });
}

#[test]
fn certificates_of_a_bundle_or_of_the_system_are_trusted_and_no_others() {
    let bucket = "by-tls";
    S3::shared().create_bucket(bucket);
    S3::shared().put_dir(&fixture("cur/legacy"), bucket, "");
    let tls = Tls::of(S3::shared().endpoint());
    let run = || {
        Brimful::new("utilization")
            .args(["--now", NOW, "--cur", &format!("s3://{bucket}")])
            .envs(S3::shared().env())
            .env("AWS_ENDPOINT_URL_S3", tls.endpoint())
    };
    let stranger = Tls::of(S3::shared().endpoint());
    says(
        &run().env("AWS_CA_BUNDLE", stranger.authority()).fails(4),
        &["certificate", "AWS_CA_BUNDLE", "SSL_CERT_FILE"],
    );
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        run().env(variable, tls.authority()).json(0);
    }
    for (file, why) in [
        ("/nonexistent.pem", "No such file"),
        ("Cargo.toml", "no certificate in it can be read"),
    ] {
        says(
            &run().env("AWS_CA_BUNDLE", file).fails(3),
            &["AWS_CA_BUNDLE", file, why],
        );
    }
}

#[test]
fn a_proxy_is_used_but_where_it_should_not_and_its_password_is_never_printed() {
    let bucket = "by-proxy";
    S3::shared().create_bucket(bucket);
    S3::shared().put_dir(&fixture("cur/legacy"), bucket, "");
    let run = || {
        Brimful::new("utilization")
            .args(["--now", NOW, "--cur", &format!("s3://{bucket}"), "-vv"])
            .envs(S3::shared().env())
            .env("HTTP_PROXY", "http://user:hunter2@127.0.0.1:9")
            .env("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9")
    };
    let past = run().ends(0);
    let through = [
        run().env("NO_PROXY", "").ends(4),
        run()
            .env("NO_PROXY", "")
            .env("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:9")
            .ends(4),
    ];
    says(&through[0].stderr, &["NO_PROXY"]);
    for ended in through.iter().chain([&past]) {
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
        // As the header has it.
        assert!(!ended.stderr.contains("dXNlcjpodW50ZXIy"), "{ended:?}");
    }
}
