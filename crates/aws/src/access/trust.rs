//! The HTTPS client of all AWS calls, and whose certificates count: the system's (or `SSL_CERT_FILE`'s), or those of
//! `AWS_CA_BUNDLE`, which take their place as they do for the AWS CLI.

use std::fs;

use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::credentials::Trouble;
use super::variable;

const VARIABLE: &str = "AWS_CA_BUNDLE";

/// By what the SDK's connections are encrypted.
#[cfg(not(feature = "fips"))]
const CRYPTO: CryptoMode = CryptoMode::Ring;
#[cfg(feature = "fips")]
const CRYPTO: CryptoMode = CryptoMode::AwsLcFips;

/// The client of the default trust: the system's certificates.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    client(TlsContext::default())
}

/// A client that trusts the bundle's certificates, if one is named, else the system's.
pub(super) fn http_client_of_environment() -> Result<SharedHttpClient, Trouble> {
    let Some(path) = variable(VARIABLE) else {
        return Ok(http_client());
    };
    let unusable = |why: String| {
        Trouble::usage(
            format!("{VARIABLE}: {path}: {why}"),
            "give it a file of certificates in PEM form, or unset it",
        )
    };
    let pem = fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
    let mut trusted = TrustStore::empty();
    let certificates = sound(&pem);
    if certificates.is_empty() {
        return Err(unusable("no certificate in it can be read".to_owned()));
    }
    for certificate in certificates {
        trusted.add_pem_certificate(certificate);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    context.map(client).map_err(|error| unusable(error.to_string()))
}

/// As the SDK makes its own: proxies by the environment.
fn client(context: TlsContext) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CRYPTO))
            .tls_context(context.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// The certificates of a bundle that can be read: the SDK takes all of them for sound, and panics.
fn sound(pem: &str) -> Vec<&str> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = pem.split_inclusive(END);
    let blocks = blocks.filter_map(|block| Some(&block[block.rfind(BEGIN)?..]));
    let is_sound = |block: &&str| {
        let certificate = CertificateDer::from_pem_slice(block.as_bytes());
        certificate.is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok())
    };
    blocks.filter(is_sound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_left_out_before_the_sdk_takes_it() {
        let garbage = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let open = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n";
        for pem in ["", "hello", garbage, open] {
            assert!(sound(pem).is_empty(), "{pem}");
        }
    }
}
