//! Who the AWS credentials in use belong to, as STS says. Needs no permission.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata};

use crate::access::credentials::{CHECK, RENEW, Trouble};
use crate::access::variable;
use crate::s3::{AwsAccess, own_endpoint, short};
use brimful_types::Error;

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
        let answer = client(&config, TIMEOUT.min(self.patience.call))
            .get_caller_identity()
            .send()
            .await;
        let caller = answer.map_err(|error| {
            if let Some(trouble) = Trouble::within(&error) {
                return NoCaller::of(trouble);
            }
            let details = DisplayErrorContext(&error).to_string();
            no_caller(error.code().unwrap_or_default(), &details)
        })?;
        Ok(Caller {
            account: caller.account().unwrap_or_default().to_owned(),
            arn: caller.arn().unwrap_or_default().to_owned(),
        })
    }
}

impl NoCaller {
    fn of(trouble: &Trouble) -> Self {
        if trouble.is_out_of_reach() {
            Self::Unreachable(trouble.to_string())
        } else {
            Self::Refused(trouble.alone())
        }
    }
}

fn no_caller(code: &str, details: &str) -> NoCaller {
    let refused = |message: &str, hint: &str| NoCaller::Refused(Error::aws(message).hint(hint));
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            refused("the AWS credentials have expired", RENEW)
        }
        "" => NoCaller::Unreachable(short(details)),
        code if !BAD_CREDENTIALS.contains(&code) => NoCaller::Unsaid(format!("{code}: {}", short(details))),
        code => refused(&format!("AWS does not accept the credentials ({code})"), CHECK),
    }
}

fn client(config: &SdkConfig, patience: Duration) -> Client {
    let bounds = config.timeout_config().map(TimeoutConfig::to_builder);
    let bounds = bounds.unwrap_or_default().operation_timeout(patience).build();
    Client::from_conf(Builder::from(config).timeout_config(bounds).build())
}

/// As `own_endpoint`, for STS.
fn has_own_sts() -> bool {
    variable("AWS_ENDPOINT_URL_STS").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, details: &str) -> String {
        match no_caller(code, details) {
            NoCaller::Refused(error) => format!("{error} → {}", error.next_step().unwrap_or_default()),
            NoCaller::Unreachable(what) => format!("unreachable: {what}"),
            NoCaller::Unsaid(what) => format!("unsaid: {what}"),
            NoCaller::NotAws => "not AWS".to_owned(),
        }
    }

    #[test]
    fn what_is_wrong_with_the_credentials_is_told_apart() {
        assert!(refusal("ExpiredToken", "").contains("expired"));
        assert!(
            refusal("InvalidClientTokenId", "")
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
                refusal(code, "service error\nmore"),
                format!("unsaid: {code}: service error")
            );
        }
        assert_eq!(refusal("", "timed out\nmore"), "unreachable: timed out");
    }
}
