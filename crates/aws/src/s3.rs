//! The report's bucket. Every read is pinned to the listed `ETag` with If-Match.

use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{DateTime as AwsTime, DateTimeFormat};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::access::credentials::{CHECK, RENEW, Trouble};
use crate::access::{Patience, partition, variable};
use brimful_cur::object::{Object, ReadError};
use brimful_cur::store::Purpose;
use brimful_types::{Error, ErrorKind, Result};

mod body;
mod conditional;
mod retry;
mod store;

pub use crate::access::AwsAccess;

const OPTIONAL_POLICY: &str = "manifests/iam-policy-optional.json";

/// What S3 was asked for.
#[derive(Debug, Clone, Copy)]
enum Action {
    List,
    Get,
    Put,
}

/// A bucket and the prefix below which the report lies.
#[derive(Debug)]
pub struct S3Store {
    purpose: Purpose,
    patience: Patience,
    config: Box<SdkConfig>,
    /// Replaced once it turns out that the bucket lies in another region.
    client: RwLock<Client>,
    bucket: String,
    prefix: String,
}

impl S3Store {
    /// A store that follows the bucket to its region. Nothing is asked of it yet.
    pub async fn connect(access: &AwsAccess, purpose: Purpose, bucket: &str, prefix: &str) -> Self {
        let config = access.load().await;
        Self::by(config, access.patience, purpose, (bucket, prefix))
    }

    fn by(config: SdkConfig, patience: Patience, purpose: Purpose, (bucket, prefix): (&str, &str)) -> Self {
        Self {
            purpose,
            patience,
            client: RwLock::new(client(&config, bucket, None)),
            config: Box::new(config),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when the answer is that the bucket lies in another region, where the next request will go.
    fn follow<E>(&self, error: &SdkError<E>) -> bool {
        let Some(region) = region_of(error) else {
            return false;
        };
        *self.client.write().unwrap_or_else(PoisonError::into_inner) =
            client(&self.config, &self.bucket, Some(region));
        true
    }

    fn listing(&self) -> &'static str {
        match self.purpose {
            Purpose::Report => "list the report's objects",
            Purpose::Coordination => "list what the clusters tell",
            Purpose::Cache => "list the ledger cache",
        }
    }

    fn folder(&self) -> String {
        if self.prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", self.prefix)
        }
    }

    /// `s3://bucket/key`.
    fn name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn all(&self) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        let patience = self.patience.listing;
        match timeout(patience, self.list_into(&mut objects)).await {
            Ok(listed) => listed?,
            Err(_) => {
                let (place, seconds) = (self.name(&self.folder()), patience.as_secs_f64());
                return Err(Error::report(format!(
                    "the list of what lies below {place} has not ended within {seconds} s, after {} objects",
                    objects.len()
                ))
                .hint("give the prefix of the report or export alone, or the report's own folder"));
            }
        }
        if objects.is_empty() {
            return Err(Error::report(format!("nothing lies below {}", self.name(&self.prefix)))
                .hint("check the prefix: it is the one given to the report or export, or the report's own folder"));
        }
        Ok(objects)
    }

    async fn list_into(&self, objects: &mut Vec<Object>) -> Result<()> {
        // Below the prefix only: that is all a well-kept policy allows.
        let pages = || {
            let request = self.client().list_objects_v2();
            let request = request.bucket(&self.bucket).prefix(self.folder());
            request.into_paginator().send()
        };
        let mut answers = pages();
        let mut answer = answers.next().await;
        if matches!(&answer, Some(Err(error)) if self.follow(error)) {
            answers = pages();
            answer = answers.next().await;
        }
        while let Some(page) = answer {
            let page = page.map_err(|e| self.explain(Action::List, self.listing(), &e))?;
            for item in page.contents() {
                let key = item.key().unwrap_or_default();
                if key.is_empty() || key.ends_with('/') {
                    continue;
                }
                objects.push(Object {
                    key: key.to_owned(),
                    size: u64::try_from(item.size().unwrap_or(0)).unwrap_or(0),
                    version: item.e_tag().unwrap_or_default().to_owned(),
                    modified: time(item.last_modified()),
                });
            }
            let has_more = page.is_truncated() == Some(true);
            if has_more && page.next_continuation_token().is_none_or(str::is_empty) {
                // Half a list would be taken for a report that lacks files.
                let place = self.name(&self.folder());
                return Err(
                    Error::report(format!("the list of what lies below {place} breaks off: S3 says that there is more, and not where"))
                        .hint("run again; if it stays so, see what stands between here and S3 (AWS_ENDPOINT_URL_S3, HTTPS_PROXY)"),
                );
            }
            answer = answers.next().await;
        }
        Ok(())
    }

    async fn look_at(&self, key: &str) -> Result<Option<Object>> {
        match self
            .client()
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
        {
            Ok(head) => Ok(Some(Object {
                key: key.to_owned(),
                size: u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0),
                version: head.e_tag().unwrap_or_default().to_owned(),
                modified: time(head.last_modified()),
            })),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.explain(Action::Get, &format!("look at {}", self.name(key)), &error)),
        }
    }

    async fn part(&self, object: &Object, range: Range<u64>) -> Result<Bytes, ReadError> {
        let expected = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut tried = 0;
        loop {
            tried += 1;
            // The very version, so it does not matter which try the bytes are of.
            let response = self.ask_for(object, &range).await?;
            let broken = match body::read(response.body, expected, &self.patience).await {
                Ok(bytes) => return Ok(bytes),
                Err(broken) => broken,
            };
            let name = self.name(&object.key);
            tracing::debug!("{name}: {broken}: asked for {expected} bytes, try {tried}");
            if tried >= self.patience.tries {
                return Err(broken.error(&name, expected, tried).into());
            }
            tokio::time::sleep(self.patience.pause_after(tried)).await;
        }
    }

    async fn ask_for(&self, object: &Object, range: &Range<u64>) -> Result<GetObjectOutput, ReadError> {
        let name = self.name(&object.key);
        let request = self
            .client()
            .get_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .if_match(&object.version)
            .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let response = request.send().await.map_err(|error| match status(&error) {
            Some(412) => ReadError::Changed(format!("{name} was rewritten while it was read")),
            Some(404) => ReadError::Changed(format!("{name} is gone")),
            _ => self.explain(Action::Get, &format!("read {name}"), &error).into(),
        })?;
        // Whoever stands between here and S3 may not know of If-Match.
        match response.e_tag() {
            Some(etag) if etag != object.version => Err(ReadError::Changed(format!(
                "{name} came in another version than was asked for"
            ))),
            _ => Ok(response),
        }
    }

    /// How policies name the bucket, or the access point to it, and the objects below the prefix.
    fn arns(&self) -> (String, String) {
        let (bucket, folder) = (&self.bucket, self.folder());
        if bucket.starts_with("arn:") {
            return (bucket.clone(), format!("{bucket}/object/{folder}*"));
        }
        let partition = partition::of_config(&self.config, None).id;
        let arn = format!("arn:{partition}:s3:::{bucket}");
        let objects = format!("{arn}/{folder}*");
        (arn, objects)
    }

    /// The right that is missing, as a policy names it.
    fn grant(&self, action: Action, details: &str) -> String {
        let is_report = self.purpose == Purpose::Report;
        let policy = if is_report {
            "manifests/iam-policy.json"
        } else {
            OPTIONAL_POLICY
        };
        let (arn, objects) = self.arns();
        let key = match action {
            Action::Put => "kms:GenerateDataKey",
            Action::List | Action::Get => "kms:Decrypt",
        };
        let what = match action {
            _ if details.contains("kms:") => {
                format!("{key} on the key that the bucket is encrypted with ({OPTIONAL_POLICY})")
            }
            Action::List => format!("s3:ListBucket on {arn} ({policy})"),
            Action::Get => {
                format!("s3:GetObject on {objects} ({policy}), and {key} if it is encrypted with a KMS key")
            }
            Action::Put => {
                format!(
                    "s3:PutObject on {objects} ({policy}), and {key} if the bucket is encrypted with a KMS key"
                )
            }
        };
        let instead = if is_report {
            "; or set cur.roleArn to a role that may"
        } else {
            ""
        };
        format!("grant {what}, in the bucket's policy, too, if it is another account's{instead}")
    }

    fn no_name(&self) -> Error {
        Error::report(format!("{} is no valid bucket name", self.bucket))
            .hint("names of buckets have 3 to 63 lowercase letters, digits, dots and hyphens")
    }

    /// Turns what the SDK says into what happened, to what, and what to do.
    fn explain<E>(&self, action: Action, doing: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if let Some(trouble) = Trouble::within(error) {
            return trouble.error(doing);
        }
        let bucket = &self.bucket;
        let details = DisplayErrorContext(error).to_string();
        let code = error.code().unwrap_or_default();
        let refused = |message: String, hint: &str| Error::aws(message).hint(hint);
        match (code, status(error)) {
            ("InvalidBucketName", _) => self.no_name(),
            ("NoSuchBucket", _) | (_, Some(404)) if !is_name(bucket) => self.no_name(),
            ("NoSuchBucket", _) | (_, Some(404)) => Error::report(format!("there is no bucket {bucket} (or not in this region)"))
                .hint(match self.purpose {
                    Purpose::Report => "check the bucket's name in --cur (or cur.uri), and the account that the credentials belong to",
                    Purpose::Coordination => "check the bucket's name in coordination.uri",
                    Purpose::Cache => "check the bucket's name in cur.cache",
                }),
            ("ExpiredToken" | "ExpiredTokenException" | "RequestExpired", _) => refused(
                format!("cannot {doing}: the AWS credentials have expired"),
                RENEW,
            ),
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "UnrecognizedClientException", _) => refused(
                format!("cannot {doing}: AWS does not accept the credentials ({code})"),
                CHECK,
            ),
            ("AccessDenied" | "AllAccessDisabled", _) | (_, Some(401 | 403)) => refused(
                format!("cannot {doing}: access denied to bucket {bucket}"),
                &self.grant(action, &details),
            ),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) => Error::report(format!("bucket {bucket} is in another region"))
                .hint("set AWS_REGION to the bucket's region"),
            _ if details.contains("certificate") => Error::report(format!("cannot {doing}: {}", short(&details)))
                .hint("name the file of the authority that has signed it in AWS_CA_BUNDLE (for AWS alone) or SSL_CERT_FILE"),
            (_, Some(429 | 500..)) => Error::report(format!("cannot {doing}: S3 was asked several times and is too busy, or failing: {}", short(&details)))
                .hint("run again later"),
            _ => Error::new(ErrorKind::Report, format!("cannot {doing}: {}", short(&details)))
                .hint("check the network, AWS_ENDPOINT_URL_S3, AWS_REGION, HTTPS_PROXY and NO_PROXY"),
        }
    }
}

/// As S3 names new buckets; some of before 2018 have other names, and are read.
fn is_name(bucket: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    bucket.starts_with("arn:") || bucket.chars().all(is_usual)
}

fn client(config: &SdkConfig, bucket: &str, region: Option<Region>) -> Client {
    let mut builder = aws_sdk_s3::config::Builder::from(config).retry_classifier(retry::TooBusy);
    // A server of one's own has no wildcard DNS for bucket names. (Access points have no other form.)
    if own_endpoint(config) && !bucket.starts_with("arn:") {
        builder = builder.force_path_style(true);
    }
    if let Some(region) = region {
        builder = builder.region(region);
    }
    Client::from_conf(builder.build())
}

/// True when requests go to another endpoint than AWS's. The SDK reads these variables itself and shows the
/// service's own one to nobody, hence the look at the environment.
pub(super) fn own_endpoint(config: &SdkConfig) -> bool {
    config.endpoint_url().is_some() || variable("AWS_ENDPOINT_URL_S3").is_some()
}

fn region_of<E>(error: &SdkError<E>) -> Option<Region> {
    let response = error.raw_response()?;
    if !matches!(response.status().as_u16(), 301 | 307 | 400) {
        return None;
    }
    response
        .headers()
        .get("x-amz-bucket-region")
        .map(|region| Region::new(region.to_owned()))
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// A bucket that is not there is another matter.
fn is_no_such_key<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(404) && error.code() != Some("NoSuchBucket")
}

/// An SDK error with its causes, for people.
pub(super) fn with_causes(error: &(impl std::error::Error + 'static)) -> String {
    short(&DisplayErrorContext(error).to_string())
}

/// What the SDK says for people: its first line, at most 300 characters, without the dump of the error's own form that
/// `DisplayErrorContext` puts behind the causes.
pub(super) fn short(details: &str) -> String {
    const DUMPS: [&str; 9] = [
        " (ProviderError(",
        " (CredentialsNotLoaded(",
        " (InvalidConfiguration(",
        " (Unhandled(",
        " (ConstructionFailure(",
        " (TimeoutError(",
        " (DispatchFailure(",
        " (ResponseError(",
        " (ServiceError(",
    ];
    let line = details.lines().next().unwrap_or_default();
    let end = DUMPS.iter().filter_map(|dump| line.find(dump)).min();
    line[..end.unwrap_or(line.len())].chars().take(300).collect()
}

fn time(time: Option<&AwsTime>) -> DateTime<Utc> {
    time.and_then(|t| t.fmt(DateTimeFormat::DateTime).ok())
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .map(|t| t.to_utc())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_granted_is_named_in_the_partition_and_with_the_keys_right() {
        let store = |bucket: &str, region: &'static str| {
            let config = SdkConfig::builder()
                .behavior_version(aws_config::BehaviorVersion::latest())
                .region(Region::from_static(region))
                .build();
            S3Store::by(config, Patience::default(), Purpose::Cache, (bucket, "p"))
        };
        let denied = "not authorized to perform: kms:GenerateDataKey on resource";
        let writing = store("b", "us-east-1").grant(Action::Put, denied);
        assert!(
            writing.starts_with("grant kms:GenerateDataKey on the key"),
            "{writing}"
        );
        let reading = store("b", "us-east-1").grant(Action::Get, denied);
        assert!(reading.starts_with("grant kms:Decrypt on the key"), "{reading}");
        let unsaid = store("b", "cn-north-1").grant(Action::Put, "Access Denied");
        for part in ["s3:PutObject on arn:aws-cn:s3:::b/p/*", "kms:GenerateDataKey"] {
            assert!(unsaid.contains(part), "{unsaid}");
        }
        let point = "arn:aws-us-gov:s3:us-gov-west-1:111122223333:accesspoint/a";
        let by_point = store(point, "us-gov-west-1").grant(Action::Get, "");
        assert!(by_point.contains(&format!("{point}/object/p/*")), "{by_point}");
    }

    #[test]
    fn what_the_sdk_says_is_shown_without_its_dump() {
        let error: SdkError<aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error> =
            SdkError::timeout_error("no answer within 5 s");
        let details = DisplayErrorContext(&error).to_string();
        assert!(details.contains("TimeoutError("), "{details}");
        assert_eq!(short(&details), "request has timed out: no answer within 5 s");
        assert_eq!(short("plain\nsecond line"), "plain");
    }
}
