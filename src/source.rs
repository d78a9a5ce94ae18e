//! Where a report is read from, and where Brimful keeps things of its own: a directory, a bucket, or Athena.

use std::sync::Arc;

use brimful_cur::ledger_cache::LedgerCache;
use brimful_cur::location::{Location, Place};
use brimful_cur::reader::{self, ReportData, Request};
use brimful_cur::store::{LocalStore, ObjectStore, Purpose};
use brimful_types::{Error, Result};

#[cfg(feature = "aws")]
mod by_aws;
#[cfg(not(feature = "aws"))]
mod no_aws;

#[cfg(feature = "aws")]
use by_aws as aws;
#[cfg(not(feature = "aws"))]
use no_aws as aws;

pub use aws::{AwsAccess, Caller, NoCaller};
pub(crate) use aws::{describe, discover, listed_plans, plans_api};

/// The place of a report's files.
///
/// # Errors
/// Nothing is there.
pub async fn open(location: &Location, access: &AwsAccess) -> Result<Arc<dyn ObjectStore>> {
    Ok(match location {
        Location::Path(path) => Arc::new(LocalStore::new(path)?),
        Location::S3 { bucket, prefix } => aws::bucket(Purpose::Report, bucket, prefix, access).await?,
        Location::Athena(table) => return Err(Error::unexpected(format!("{table} has no files"))),
    })
}

/// Reads a report from its files, or asks Athena for it.
///
/// # Errors
/// Frozen when AWS keeps rewriting it; otherwise what is wrong with it, or what AWS refused.
pub async fn read(access: &AwsAccess, request: &Request<'_>) -> Result<ReportData> {
    let Location::Athena(table) = request.options.location else {
        return reader::read(&open(request.options.location, access).await?, request).await;
    };
    let files = match &table.files {
        Some(location) => Some(open(location, access).await?),
        None => None,
    };
    aws::query(table, access, files, request).await
}

/// The place that clusters share. Credentials are the pod's, unless a test has others: the role for the report
/// (`cur.roleArn`) is the payer's, and may only read.
///
/// # Errors
/// A directory is not there.
pub async fn coordination(place: &Place, access: &AwsAccess) -> Result<Arc<dyn ObjectStore>> {
    Ok(match place {
        Place::S3 { bucket, prefix } => aws::bucket(Purpose::Coordination, bucket, prefix, access).await?,
        Place::Directory(path) => Arc::new(LocalStore::for_coordination(path)?),
    })
}

/// The ledger cache at a place, with credentials as for [`coordination`]. Nothing is asked of it yet.
///
/// # Errors
/// It is in a bucket, and this build reaches none.
pub async fn cache(place: Place, access: &AwsAccess) -> Result<LedgerCache> {
    let store = match &place {
        Place::S3 { bucket, prefix } => aws::bucket(Purpose::Cache, bucket, prefix, access).await?,
        Place::Directory(path) => Arc::new(LocalStore::for_cache(path)),
    };
    Ok(LedgerCache::over(place, store))
}
