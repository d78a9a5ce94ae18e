//! AWS as Brimful reaches it: the report's bucket and the clusters', Athena, and the APIs that find a report and say
//! rates. In every request the same bounds, certificates and credentials.

pub mod access;
pub mod athena;
pub mod caller;
pub mod discover;
pub mod inventory;
pub mod plan_rates;
pub mod plans_api;
pub mod s3;

pub use access::AwsAccess;
