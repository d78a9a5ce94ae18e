//! The report's bucket. Every read is pinned to the listed `ETag` with If-Match.

use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{DateTime as AwsTime, DateTimeFormat};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};

use super::caller::{CHECK, GIVE, RENEW};
use super::object::{Object, ReadError};
use brimful_types::{Error, ErrorKind, Result};

mod board;

pub(crate) use board::{Listed, Put};

const OPTIONAL_POLICY: &str = "manifests/iam-policy-optional.json";

/// How to reach AWS, beyond what the SDK's own environment variables and profiles say.
#[derive(Debug, Clone, Default)]
pub struct AwsAccess {
    /// A role to assume first: the payer's bucket is usually in another account.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Settings of one's own, instead of the SDK's default chain.
    pub settings: Option<SdkConfig>,
}

impl AwsAccess {
    /// Credentials, region and endpoints from the SDK's default chain, through the role if there is one.
    pub async fn load(&self) -> SdkConfig {
        let base = match &self.settings {
            Some(settings) => settings.clone(),
            None => aws_config::defaults(BehaviorVersion::latest()).load().await,
        };
        // Buckets have a region of their own; without any the SDK refuses to build a request.
        let region = base.region().cloned().unwrap_or_else(|| Region::new("us-east-1"));
        let base = base.into_builder().region(region.clone()).build();
        let Some(role) = &self.role_arn else { return base };
        let mut provider = aws_config::sts::AssumeRoleProvider::builder(role)
            .session_name("brimful")
            .region(region)
            .configure(&base);
        if let Some(id) = &self.external_id {
            provider = provider.external_id(id);
        }
        let provider = provider.build().await;
        let shared = aws_sdk_s3::config::SharedCredentialsProvider::new(provider);
        base.into_builder().credentials_provider(shared).build()
    }
}

/// What S3 was asked for.
#[derive(Debug, Clone, Copy)]
enum Action {
    List,
    Get,
    Put,
}

/// What a bucket is for: whoever is refused must know what to grant, and in whose name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Report,
    Coordination,
    Cache,
}

/// A bucket and the prefix below which the report lies.
#[derive(Debug)]
pub struct S3Store {
    purpose: Purpose,
    config: Box<SdkConfig>,
    /// Replaced once it turns out that the bucket lies in another region.
    client: RwLock<Client>,
    bucket: String,
    prefix: String,
}

impl S3Store {
    /// A store that follows the bucket to its region. Nothing is asked of it yet.
    pub async fn connect(access: &AwsAccess, bucket: &str, prefix: &str) -> Self {
        Self::for_purpose(Purpose::Report, access.load().await, bucket, prefix)
    }

    fn for_purpose(purpose: Purpose, config: SdkConfig, bucket: &str, prefix: &str) -> Self {
        Self {
            purpose,
            client: RwLock::new(client(&config, None)),
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
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client(&self.config, Some(region));
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
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    pub(crate) async fn list(&self) -> Result<Vec<Object>> {
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
        let mut objects = Vec::new();
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
            answer = answers.next().await;
        }
        if objects.is_empty() {
            return Err(Error::report(format!("nothing lies below {}", self.name(&self.prefix)))
                .hint("check the prefix: it is the one given to the report or export, or the report's own folder"));
        }
        Ok(objects)
    }

    pub(crate) async fn head(&self, key: &str) -> Result<Option<Object>> {
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

    pub(crate) async fn range(&self, object: &Object, range: Range<u64>) -> Result<Bytes, ReadError> {
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
        // Into one piece of the right size: put together at the end, it would be in memory twice.
        let expected = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let (mut body, mut bytes) = (response.body, BytesMut::with_capacity(expected));
        while let Some(part) = body.try_next().await.map_err(|error| {
            ReadError::Failed(
                Error::report(format!("{name}: the connection broke while reading")).source(error),
            )
        })? {
            bytes.extend_from_slice(&part);
            if bytes.len() > expected {
                break;
            }
        }
        if bytes.len() as u64 != range.end - range.start {
            let error = Error::report(format!(
                "{name}: {} bytes came instead of {}",
                bytes.len(),
                range.end - range.start
            ));
            return Err(error.into());
        }
        Ok(bytes.freeze())
    }

    /// The right that is missing, as a policy names it.
    fn grant(&self, action: Action, details: &str) -> String {
        let bucket = &self.bucket;
        let is_report = self.purpose == Purpose::Report;
        let policy = if is_report {
            "manifests/iam-policy.json"
        } else {
            OPTIONAL_POLICY
        };
        let objects = format!("arn:aws:s3:::{bucket}/{}*", self.folder());
        let what = match action {
            _ if details.contains("kms:") => {
                format!("kms:Decrypt on the key that the bucket is encrypted with ({OPTIONAL_POLICY})")
            }
            Action::List => format!("s3:ListBucket on arn:aws:s3:::{bucket} ({policy})"),
            Action::Get => format!(
                "s3:GetObject on {objects} ({policy}), and kms:Decrypt if it is encrypted with a KMS key"
            ),
            Action::Put => format!("s3:PutObject on {objects} ({policy})"),
        };
        let instead = if is_report {
            "; or set cur.roleArn to a role that may"
        } else {
            ""
        };
        format!("grant {what}, in the bucket's policy, too, if it is another account's{instead}")
    }

    /// Turns what the SDK says into what happened, to what, and what to do.
    fn explain<E>(&self, action: Action, doing: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let bucket = &self.bucket;
        let details = DisplayErrorContext(error).to_string();
        let code = error.code().unwrap_or_default();
        let refused = |message: String, hint: &str| Error::aws(message).hint(hint);
        match (code, status(error)) {
            ("NoSuchBucket", _) => Error::report(format!("there is no bucket {bucket}"))
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
            _ if no_credentials(&details) => refused(
                format!("cannot {doing}: no AWS credentials were found"),
                GIVE,
            ),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) => Error::report(format!("bucket {bucket} is in another region"))
                .hint("set AWS_REGION to the bucket's region"),
            _ => Error::new(ErrorKind::Report, format!("cannot {doing}: {}", short(&details)))
                .hint("check the network, AWS_ENDPOINT_URL_S3 and AWS_REGION"),
        }
    }
}

fn client(config: &SdkConfig, region: Option<Region>) -> Client {
    let mut builder = aws_sdk_s3::config::Builder::from(config);
    // A server of one's own has no wildcard DNS for bucket names.
    if own_endpoint(config) {
        builder = builder.force_path_style(true);
    }
    if let Some(region) = region {
        builder = builder.region(region);
    }
    Client::from_conf(builder.build())
}

/// True when requests go to another endpoint than AWS's. The SDK reads these variables itself and shows the
/// service's own one to nobody, hence the look at the environment.
#[allow(clippy::disallowed_methods)]
pub(super) fn own_endpoint(config: &SdkConfig) -> bool {
    config.endpoint_url().is_some() || std::env::var("AWS_ENDPOINT_URL_S3").is_ok_and(|url| !url.is_empty())
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

pub(super) fn no_credentials(details: &str) -> bool {
    details.contains("no providers in chain provided credentials")
        || details.contains("CredentialsNotLoaded")
        || details.contains("credentials provider")
}

/// An SDK error with its causes, for people.
pub(super) fn told(error: &(impl std::error::Error + 'static)) -> String {
    short(&DisplayErrorContext(error).to_string())
}

/// What the SDK says for people: its first line, at most 300 characters, without the dump of the error's own form that
/// `DisplayErrorContext` puts behind the causes.
pub(super) fn short(details: &str) -> String {
    const DUMPS: [&str; 5] = [
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
    fn what_the_sdk_says_is_shown_without_its_dump() {
        let error: SdkError<aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error> =
            SdkError::timeout_error("no answer within 5 s");
        let details = DisplayErrorContext(&error).to_string();
        assert!(details.contains("TimeoutError("), "{details}");
        assert_eq!(short(&details), "request has timed out: no answer within 5 s");
        assert_eq!(short("plain\nsecond line"), "plain");
    }
}
