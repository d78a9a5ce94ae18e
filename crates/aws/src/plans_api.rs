//! The Savings Plans API: how it is reached, and what its refusals mean.

use aws_config::Region;
use aws_sdk_savingsplans::error::SdkError;
use aws_sdk_savingsplans::{Client, config};

use crate::access::credentials::Trouble;
use crate::access::partition;
use crate::s3::{AwsAccess, with_causes};
use brimful_types::Error;

/// Connects to the API.
pub async fn connect(access: &AwsAccess) -> Client {
    let base = access.load().await;
    let home = partition::of_config(&base, access.role_arn.as_deref()).home;
    let config = config::Builder::from(&base).region(Region::from_static(home));
    Client::from_conf(config.build())
}

/// The token of the next page, if there is one.
pub(crate) fn next_page(token: Option<&str>) -> Option<String> {
    token.filter(|token| !token.is_empty()).map(str::to_owned)
}

/// Why what was being done failed; `action` is the right that it takes, and `key` what switches it off.
pub(crate) fn refused(
    doing: &str,
    action: &str,
    key: &str,
    error: &SdkError<impl std::error::Error + 'static>,
) -> Error {
    if let Some(trouble) = Trouble::within(error) {
        return trouble.error(doing);
    }
    let what = format!("cannot {doing}: {}", with_causes(error));
    let cure = match error {
        SdkError::ServiceError(_) => format!("allow savingsplans:{action} in the plan's account"),
        _ => "let the network reach the Savings Plans API (HTTPS_PROXY, NO_PROXY)".to_owned(),
    };
    Error::aws(what).hint(format!("{cure}, or set {key} to false"))
}
