//! Credentials that come in time, or say why they do not and what to do about it.
//!
//! The SDK gives the reason as a chain of errors, the more of them the more roles are on the way. It is reported once, where
//! credentials are asked for, as a [`Trouble`], which every API's error then has in its chain.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use tokio::time::timeout;

use super::variable;
use crate::s3::short;
use brimful_types::{Error, ErrorKind};

// Ways out, whichever part of AWS reports the trouble.
pub(crate) const RENEW: &str = "renew them (aws sso login, or a new session) and run again";
pub(crate) const GIVE: &str =
    "set AWS_PROFILE, or give the pod a role (IRSA or EKS Pod Identity: docs/install/aws.md)";
pub(crate) const CHECK: &str = "check AWS_PROFILE, AWS_ACCESS_KEY_ID or the pod's role";
const ASSUME: &str = "grant sts:AssumeRole on it (manifests/iam-policy-optional.json), and name the caller, and cur.externalId if it is \
     asked for, in the role's trust policy";
const ANNOTATE: &str = "check the annotation eks.amazonaws.com/role-arn of the pod's service account, and that the role's trust policy names \
     this cluster's OIDC provider and system:serviceaccount:NAMESPACE:NAME";
const REACH: &str = "let the network reach it (in a VPC without internet: an interface endpoint for STS; for EKS Pod Identity: its agent), \
     and check AWS_REGION, HTTPS_PROXY and NO_PROXY";

/// Why there are no credentials to ask AWS with, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    kind: ErrorKind,
    what: String,
    way_out: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for Trouble {}

impl Trouble {
    /// A setting that cannot be used.
    pub(super) fn usage(what: String, way_out: &str) -> Self {
        Self {
            kind: ErrorKind::Usage,
            what,
            way_out: way_out.to_owned(),
        }
    }

    fn refused(what: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Aws,
            what: what.into(),
            way_out: way_out.into(),
        }
    }

    fn out_of_reach(what: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Report,
            what: what.into(),
            way_out: REACH.to_owned(),
        }
    }

    /// The trouble that an SDK's error reports, if it is with credentials.
    pub(crate) fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        find(error)
    }

    /// True when nobody has refused anything: the credentials may be as good as any.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.kind == ErrorKind::Report
    }

    /// As an error of whatever was to be done.
    pub(crate) fn error(&self, doing: &str) -> Error {
        Error::new(self.kind, format!("cannot {doing}: {}", self.what)).hint(self.way_out.clone())
    }

    /// As an error of its own.
    pub(crate) fn alone(&self) -> Error {
        Error::new(self.kind, self.what.clone()).hint(self.way_out.clone())
    }

    /// What a provider's error comes down to; `role` is Brimful's own (`cur.roleArn`).
    fn of(error: &CredentialsError, role: Option<&str>) -> Self {
        if let Some(known) = find::<Self>(error) {
            return known.clone();
        }
        let said = short(&DisplayErrorContext(error).to_string());
        if let Some(refusal) = find::<SdkError<AssumeRoleError>>(error) {
            return Self::of_role(refusal, role, &said);
        }
        if let Some(refusal) = find::<SdkError<AssumeRoleWithWebIdentityError>>(error) {
            return Self::of_web_identity(refusal, &said);
        }
        let token = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
        match error {
            CredentialsError::CredentialsNotLoaded(_) => Self::refused("no AWS credentials were found", GIVE),
            CredentialsError::InvalidConfiguration(_) => Self::refused(
                format!("the AWS configuration cannot be used: {said}"),
                "check AWS_PROFILE and the profile in ~/.aws/config",
            ),
            // What it wrote on standard error is its own, and may hold anything.
            _ if said.contains("external process") => Self::refused(
                "the profile's credential_process gave no credentials",
                format!(
                    "run the credential_process of {} by hand: it must end with 0 and print the credentials as JSON",
                    profile()
                ),
            ),
            _ if is_silence(&said) => {
                Self::out_of_reach(format!("nobody answered who could give AWS credentials: {said}"))
            }
            _ if is_sso(&said) => Self::refused("the AWS SSO login has expired, or there is none", login()),
            _ if token.is_some() && find::<std::io::Error>(error).is_some() => Self::refused(
                format!(
                    "the pod's token cannot be read (AWS_WEB_IDENTITY_TOKEN_FILE: {}): {said}",
                    token.unwrap_or_default()
                ),
                ANNOTATE,
            ),
            _ => Self::refused(format!("no AWS credentials could be had: {said}"), CHECK),
        }
    }

    fn of_role(refusal: &SdkError<AssumeRoleError>, role: Option<&str>, said: &str) -> Self {
        let named = role.map_or_else(
            || format!("the role of {}", profile()),
            |role| format!("{role} (cur.roleArn)"),
        );
        match refusal.code() {
            Some("AccessDenied" | "AccessDeniedException") => {
                Self::refused(format!("the credentials may not assume {named}"), ASSUME)
            }
            code => Self::of_sts(code, said, &format!("assume {named}")),
        }
    }

    fn of_web_identity(refusal: &SdkError<AssumeRoleWithWebIdentityError>, said: &str) -> Self {
        let role = variable("AWS_ROLE_ARN").unwrap_or_else(|| format!("the role of {}", profile()));
        match refusal.code() {
            Some("AccessDenied" | "AccessDeniedException") => {
                Self::refused(format!("the pod may not assume {role} (IRSA)"), ANNOTATE)
            }
            Some(code @ ("InvalidIdentityToken" | "IDPRejectedClaim" | "ExpiredTokenException")) => {
                Self::refused(
                    format!("AWS does not accept the pod's token for {role} ({code})"),
                    "make an IAM OIDC provider of this cluster's issuer in the role's account, with audience sts.amazonaws.com",
                )
            }
            code => Self::of_sts(code, said, &format!("assume {role}")),
        }
    }

    fn of_sts(code: Option<&str>, said: &str, doing: &str) -> Self {
        match code {
            Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired") => {
                Self::refused("the AWS credentials have expired", RENEW)
            }
            Some(code) => Self::refused(format!("STS does not {doing}: {said}"), {
                if code == "RegionDisabledException" {
                    "set AWS_REGION to a region in which the account has STS switched on"
                } else {
                    CHECK
                }
            }),
            None => Self::out_of_reach(format!("STS does not answer, which is to {doing}: {said}")),
        }
    }
}

/// The first error of that type in a chain.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn is_silence(said: &str) -> bool {
    ["dispatch failure", "timed out", "timeout", "connect error"]
        .iter()
        .any(|word| said.contains(word))
}

fn is_sso(said: &str) -> bool {
    ["SSO", "/sso/cache/", "UnauthorizedException"]
        .iter()
        .any(|word| said.contains(word))
}

fn profile() -> String {
    let named = variable("AWS_PROFILE");
    named.map_or_else(
        || "the default profile".to_owned(),
        |name| format!("profile {name}"),
    )
}

fn login() -> String {
    let profile = variable("AWS_PROFILE").map(|name| format!(" --profile {name}"));
    format!("aws sso login{}, and run again", profile.unwrap_or_default())
}

/// What is put around a provider of credentials.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Option<SharedCredentialsProvider>,
    role: Option<String>,
    patience: Duration,
    broken: Option<Trouble>,
}

impl Watched {
    /// `role` is the one that it assumes (`cur.roleArn`); `broken` says why nobody is to be asked at all.
    pub(super) fn of(role: Option<&str>, patience: Duration, broken: Option<Trouble>) -> Self {
        Self {
            inner: None,
            role: role.map(str::to_owned),
            patience,
            broken,
        }
    }

    pub(super) fn over(self, inner: SharedCredentialsProvider) -> Self {
        Self {
            inner: Some(inner),
            ..self
        }
    }

    async fn ask(&self) -> Result<aws_credential_types::Credentials, CredentialsError> {
        if let Some(broken) = &self.broken {
            return Err(CredentialsError::provider_error(broken.clone()));
        }
        let Some(inner) = &self.inner else {
            return Err(CredentialsError::not_loaded_no_source());
        };
        let trouble = match timeout(self.patience, inner.provide_credentials()).await {
            Ok(Ok(credentials)) => return Ok(credentials),
            Ok(Err(error)) => Trouble::of(&error, self.role.as_deref()),
            Err(_) => Trouble::out_of_reach(self.silence()),
        };
        Err(CredentialsError::provider_error(trouble))
    }

    fn silence(&self) -> String {
        let seconds = self.patience.as_secs_f64();
        match &self.role {
            Some(role) => {
                format!("STS has not answered within {seconds} s, which is to assume {role} (cur.roleArn)")
            }
            None => format!("no AWS credentials came within {seconds} s"),
        }
    }
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.ask())
    }
}
