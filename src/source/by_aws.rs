//! With AWS.

use std::sync::Arc;

use brimful_aws::athena::Athena;
use brimful_aws::s3::S3Store;
use brimful_cur::athena::{self, AthenaTable};
use brimful_cur::reader::{ReportData, Request};
use brimful_cur::store::{ObjectStore, Purpose};
use brimful_types::Result;

pub use brimful_aws::AwsAccess;
pub use brimful_aws::caller::{Caller, NoCaller};
pub(crate) use brimful_aws::discover::discover;
pub(crate) use brimful_aws::inventory::list as listed_plans;
pub(crate) use brimful_aws::plan_rates::describe;
pub(crate) use brimful_aws::plans_api::connect as plans_api;

pub(super) async fn bucket(
    purpose: Purpose,
    bucket: &str,
    prefix: &str,
    access: &AwsAccess,
) -> Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(S3Store::connect(access, purpose, bucket, prefix).await))
}

pub(super) async fn query(
    table: &AthenaTable,
    access: &AwsAccess,
    files: Option<Arc<dyn ObjectStore>>,
    request: &Request<'_>,
) -> Result<ReportData> {
    let engine = Athena::connect(access, table, request.options.stop).await;
    athena::read(table, &engine, files, request).await
}
