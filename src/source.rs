//! Where a report is read from, and where Brimful keeps things of its own: a directory, a bucket, or Athena.

use std::sync::Arc;

use crate::cur::athena;
use crate::cur::ledger_cache::LedgerCache;
use crate::cur::location::{Location, Place};
use crate::cur::reader::{self, ReportData, Request};
use crate::cur::s3::{AwsAccess, S3Store};
use crate::cur::store::{LocalStore, ObjectStore, Purpose};
use brimful_types::{Error, Result};

/// The place of a report's files.
///
/// # Errors
/// Nothing is there.
pub async fn open(location: &Location, access: &AwsAccess) -> Result<Arc<dyn ObjectStore>> {
    Ok(match location {
        Location::Path(path) => Arc::new(LocalStore::new(path)?),
        Location::S3 { bucket, prefix } => bucket_for(Purpose::Report, bucket, prefix, access).await,
        Location::Athena(table) => return Err(Error::unexpected(format!("{table} has no files"))),
    })
}

/// Reads a report from its files, or asks Athena for it.
///
/// # Errors
/// Frozen when AWS keeps rewriting it; otherwise what is wrong with it, or what AWS refused.
pub async fn read(access: &AwsAccess, request: &Request<'_>) -> Result<ReportData> {
    let Location::Athena(table) = request.location else {
        return reader::read(&open(request.location, access).await?, request).await;
    };
    let files = match &table.files {
        Some(location) => Some(open(location, access).await?),
        None => None,
    };
    athena::read(table, access, files, request).await
}

/// The place that clusters share. Credentials are the pod's, unless a test has others: the role for the report
/// (`cur.roleArn`) is the payer's, and may only read.
///
/// # Errors
/// A directory is not there.
pub async fn coordination(place: &Place, access: &AwsAccess) -> Result<Arc<dyn ObjectStore>> {
    Ok(match place {
        Place::S3 { bucket, prefix } => bucket_for(Purpose::Coordination, bucket, prefix, access).await,
        Place::Directory(path) => Arc::new(LocalStore::for_coordination(path)?),
    })
}

/// The ledger cache at a place, with credentials as for [`coordination`]. Nothing is asked of it yet.
pub async fn cache(place: Place, access: &AwsAccess) -> LedgerCache {
    let store = match &place {
        Place::S3 { bucket, prefix } => bucket_for(Purpose::Cache, bucket, prefix, access).await,
        Place::Directory(path) => Arc::new(LocalStore::for_cache(path)),
    };
    LedgerCache::over(place, store)
}

async fn bucket_for(
    purpose: Purpose,
    bucket: &str,
    prefix: &str,
    access: &AwsAccess,
) -> Arc<dyn ObjectStore> {
    Arc::new(S3Store::connect(access, purpose, bucket, prefix).await)
}
