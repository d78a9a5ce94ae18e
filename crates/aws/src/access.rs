//! How AWS is reached, whichever of its APIs: within which bounds, by whose certificates, in which partition, and what to
//! do when there are no credentials.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Region, SharedCredentialsProvider};

use self::credentials::{Trouble, Watched};

pub(crate) mod credentials;
pub(crate) mod partition;
mod patience;
mod trust;

pub use patience::Patience;
pub use trust::http_client;

/// How to reach AWS, beyond what the SDK's own environment variables and profiles say.
#[derive(Debug, Clone, Default)]
pub struct AwsAccess {
    /// A role to assume first: the payer's bucket is usually in another account.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Settings of one's own, instead of the SDK's default chain.
    pub settings: Option<SdkConfig>,
    /// How long AWS is waited for.
    pub patience: Patience,
}

impl AwsAccess {
    /// Credentials, region and endpoints from the SDK's default chain, through the role if there is one; every client made
    /// of it waits no longer than [`Patience`] says.
    pub async fn load(&self) -> SdkConfig {
        let (base, broken) = match &self.settings {
            Some(settings) => (settings.clone(), None),
            None => self.chain().await,
        };
        // Buckets have a region of their own; without any the SDK refuses to build a request.
        let role = self.role_arn.as_deref();
        let region = base.region().cloned();
        let region = region.unwrap_or_else(|| Region::new(partition::of(None, role).home));
        let base = self.patience.bound(base).into_builder().region(region).build();
        let base = watched(base, Watched::of(None, self.patience.credentials, broken));
        match role {
            Some(role) => self.through(role, base).await,
            None => base,
        }
    }

    /// The SDK's default chain; and what is wrong with the certificates that it should trust, if anything.
    async fn chain(&self) -> (SdkConfig, Option<Trouble>) {
        let loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(self.patience.timeouts());
        let (client, broken) = match trust::http_client_of_environment() {
            Ok(client) => (client, None),
            Err(trouble) => (trust::http_client(), Some(trouble)),
        };
        (loader.http_client(client).load().await, broken)
    }

    async fn through(&self, role: &str, base: SdkConfig) -> SdkConfig {
        let mut provider = aws_config::sts::AssumeRoleProvider::builder(role)
            .session_name("brimful")
            .configure(&base);
        if let Some(id) = &self.external_id {
            provider = provider.external_id(id);
        }
        let shared = SharedCredentialsProvider::new(provider.build().await);
        let base = base.into_builder().credentials_provider(shared).build();
        watched(base, Watched::of(Some(role), self.patience.credentials, None))
    }
}

/// The same settings, but that their credentials come in time or say why they do not.
fn watched(config: SdkConfig, watch: Watched) -> SdkConfig {
    let Some(inner) = config.credentials_provider() else {
        return config;
    };
    let watched = SharedCredentialsProvider::new(watch.over(inner));
    config.into_builder().credentials_provider(watched).build()
}

/// A variable of the environment that the SDK, or the AWS CLI, reads as well; empty is as unset.
#[allow(clippy::disallowed_methods)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
