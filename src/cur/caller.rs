//! Who the AWS credentials in use belong to, as STS says. Needs no permission.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata};

use super::s3::{AwsAccess, no_credentials, own_endpoint, short};
use brimful_types::Error;

// Ways out of trouble with credentials, whoever of AWS tells of it.
pub(in crate::cur) const RENEW: &str = "renew them (aws sso login, or a new session) and run again";
pub(in crate::cur) const GIVE: &str =
    "set AWS_PROFILE, or give the pod a role (IRSA or EKS Pod Identity: see the README)";
pub(in crate::cur) const CHECK: &str = "check AWS_PROFILE, AWS_ACCESS_KEY_ID or the pod's role";

/// STS answers at once, or is out of reach (a VPC without an endpoint for it).
const TIMEOUT: Duration = Duration::from_secs(10);

/// What STS says of credentials that no service of AWS takes. Anything else (an endpoint's policy, throttling, a region
/// that is switched off) is no word on them.
const BAD_CREDENTIALS: [&str; 10] = [
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "InvalidToken",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

/// An AWS identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Account id.
    pub account: String,
    /// ARN of the user or of the role's session.
    pub arn: String,
}

/// Why there is no [`Caller`].
#[derive(Debug)]
pub enum NoCaller {
    /// The credentials are missing, have expired, or are not accepted.
    Refused(Error),
    /// STS cannot be reached; S3 may be all the same.
    Unreachable(String),
    /// STS does not say, for a reason that is not in the credentials; S3 may take them all the same.
    Unsaid(String),
    /// S3 is a server of one's own, and no STS is set: AWS is not asked about credentials that are not its own.
    NotAws,
}

impl AwsAccess {
    /// Asks STS who the credentials belong to; through the role if there is one.
    ///
    /// # Errors
    /// See [`NoCaller`].
    pub async fn caller(&self) -> Result<Caller, NoCaller> {
        let config = self.load().await;
        if own_endpoint(&config) && config.endpoint_url().is_none() && !has_own_sts() {
            return Err(NoCaller::NotAws);
        }
        let answer = client(&config).get_caller_identity().send().await;
        let caller = answer.map_err(|error| {
            let details = DisplayErrorContext(&error).to_string();
            self.no_caller(error.code().unwrap_or_default(), &details)
        })?;
        Ok(Caller {
            account: caller.account().unwrap_or_default().to_owned(),
            arn: caller.arn().unwrap_or_default().to_owned(),
        })
    }

    fn no_caller(&self, code: &str, details: &str) -> NoCaller {
        let refused = |message: &str, hint: &str| NoCaller::Refused(Error::aws(message).hint(hint));
        match (code, &self.role_arn) {
            ("ExpiredToken" | "ExpiredTokenException" | "RequestExpired", _) => {
                refused("the AWS credentials have expired", RENEW)
            }
            ("", Some(role)) if details.contains("AssumeRole") && details.contains("AccessDenied") => {
                refused(
                    &format!("the credentials may not assume {role} (cur.roleArn)"),
                    "grant sts:AssumeRole on it (manifests/iam-policy-optional.json), and name the caller, and cur.externalId if it is asked \
                 for, in the role's trust policy",
                )
            }
            ("", _) if no_credentials(details) => refused(
                "no AWS credentials were found, or they could not be renewed",
                GIVE,
            ),
            ("", _) => NoCaller::Unreachable(short(details)),
            (code, _) if !BAD_CREDENTIALS.contains(&code) => {
                NoCaller::Unsaid(format!("{code}: {}", short(details)))
            }
            (code, _) => refused(&format!("AWS does not accept the credentials ({code})"), CHECK),
        }
    }
}

fn client(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
    Client::from_conf(Builder::from(config).timeout_config(timeouts).build())
}

/// As `own_endpoint`, for STS.
#[allow(clippy::disallowed_methods)]
fn has_own_sts() -> bool {
    std::env::var("AWS_ENDPOINT_URL_STS").is_ok_and(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(access: &AwsAccess, code: &str, details: &str) -> String {
        match access.no_caller(code, details) {
            NoCaller::Refused(error) => format!("{error} → {}", error.next_step().unwrap_or_default()),
            NoCaller::Unreachable(what) => format!("unreachable: {what}"),
            NoCaller::Unsaid(what) => format!("unsaid: {what}"),
            NoCaller::NotAws => "not AWS".to_owned(),
        }
    }

    #[test]
    fn what_is_wrong_with_the_credentials_is_told_apart() {
        let own = AwsAccess::default();
        let through = AwsAccess {
            role_arn: Some("arn:aws:iam::111122223333:role/reader".into()),
            external_id: None,
            settings: None,
        };
        assert!(refusal(&own, "ExpiredToken", "").contains("expired"));
        assert!(
            refusal(&own, "InvalidClientTokenId", "")
                .contains("does not accept the credentials (InvalidClientTokenId)")
        );
        for code in [
            "AccessDenied",
            "Throttling",
            "InternalFailure",
            "RegionDisabledException",
            "New",
        ] {
            assert_eq!(
                refusal(&own, code, "service error\nmore"),
                format!("unsaid: {code}: service error")
            );
        }
        let denied =
            "dispatch failure: service error: AccessDenied: not authorized to perform: sts:AssumeRole";
        assert!(refusal(&through, "", denied).contains("role/reader"));
        assert!(refusal(&own, "", "no providers in chain provided credentials").contains("AWS_PROFILE"));
        assert_eq!(refusal(&own, "", "timed out\nmore"), "unreachable: timed out");
    }
}
