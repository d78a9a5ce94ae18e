//! What `doctor` asks AWS and S3, and what it reads of the report.

use super::Found;
use crate::analysis::{Analysis, read_any};
use crate::cli::context::{Context, access_by};
use crate::cli::progress::waiting;
use crate::doctor::{Check, Group, access, report};
use crate::source::NoCaller;
use crate::source::open;
use brimful_cur::columns::Detail;
use brimful_cur::location::Location;
use brimful_cur::object::{Object, ReadError};
use brimful_cur::store::ObjectStore;
use brimful_types::{Error, Result};

/// The report: AWS first, then its content. What was read of it, if anything.
pub(super) async fn examine_report(found: &Found, checks: &mut Vec<Check>) -> Option<Analysis> {
    const UNREAD: &str = "the report could not be read";
    let context = match &found.context {
        Ok(context) => context,
        Err(Some(error)) if found.config.cur.uri.is_none() && found.config.cur.discover.is_some() => {
            const UNKNOWN: &str = "the report could not be looked up";
            // Who is refused says why.
            checks.push(access::caller(&access_by(&found.config).caller().await));
            skip_s3(UNKNOWN, checks);
            checks.extend(report::unread(Some(error), UNKNOWN));
            return None;
        }
        Err(error) => {
            checks.extend(report::unread(error.as_ref(), "no report is given"));
            no_aws("no report is given", checks);
            return None;
        }
    };
    let spinner = waiting(context.quiet, "looking for the report");
    if let Err(error) = examine_bucket(context, checks).await {
        // What AWS refused is reported there.
        let shown = matches!(context.location, Location::Path(_)).then_some(&error);
        checks.extend(report::unread(shown, UNREAD));
        return None;
    }
    drop(spinner);
    let progress = context.progress();
    let report = |done, all| progress.update(done, all);
    let options = context.read_options(Detail::Accounts, &report);
    match read_any(&context.access, &options, &context.config, context.now).await {
        Ok(analysis)
            if analysis.source.format.is_none() && analysis.doubt.is_some() && analysis.source.files == 0 =>
        {
            let error = Error::report(analysis.doubt.unwrap_or_default()).hint("look again in some minutes");
            checks.extend(report::unread(Some(&error), UNREAD));
            None
        }
        Ok(analysis) => Some(analysis),
        Err(error) => {
            checks.extend(report::unread(Some(&error), UNREAD));
            None
        }
    }
}

fn no_aws(why: &str, checks: &mut Vec<Check>) {
    checks.push(Check::skipped(Group::Aws, "aws-identity", why));
    skip_s3(why, checks);
}

fn skip_s3(why: &str, checks: &mut Vec<Check>) {
    for id in ["s3-list", "s3-get"] {
        checks.push(Check::skipped(Group::Aws, id, why));
    }
}

/// Whose credentials these are, and whether they may list and read the report's place.
async fn examine_bucket(context: &Context, checks: &mut Vec<Check>) -> Result<()> {
    let bucket = match &context.location {
        Location::S3 { bucket, .. } => Some(bucket),
        Location::Athena(_) => None,
        Location::Path(_) => {
            no_aws("the report lies in a directory: AWS is not needed", checks);
            return open(&context.location, &context.access).await.map(drop);
        }
    };
    let caller = context.access.caller().await;
    checks.push(access::caller(&caller));
    if let Err(NoCaller::Refused(error)) = caller {
        skip_s3("the credentials are not accepted", checks);
        return Err(error);
    }
    let Some(bucket) = bucket else {
        skip_s3("Athena reads the report", checks);
        return Ok(());
    };
    let listed = async {
        let store = open(&context.location, &context.access).await?;
        let objects = store.list().await?;
        Ok::<_, Error>((store, objects))
    };
    let (store, objects) = match listed.await {
        Ok(listed) => listed,
        Err(error) => {
            checks.push(Check::error(Group::Aws, "s3-list", &error));
            checks.push(Check::skipped(Group::Aws, "s3-get", "nothing could be listed"));
            return Err(error);
        }
    };
    let place = context.location.to_string();
    checks.push(Check::ok(
        Group::Aws,
        "s3-list",
        format!("{} objects below {place}", objects.len()),
    ));
    examine_object(store.as_ref(), &objects, bucket, checks).await
}

/// Whether what is listed may be read. One byte says as much as a file.
async fn examine_object(
    store: &dyn ObjectStore,
    objects: &[Object],
    bucket: &str,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let full = objects.iter().filter(|object| object.size > 0);
    let Some(object) = full.min_by_key(|object| object.size) else {
        let empty = format!("all objects in {bucket} are empty");
        checks.push(Check::skipped(Group::Aws, "s3-get", empty));
        return Ok(());
    };
    match store.range(object, 0..1).await {
        Ok(_) | Err(ReadError::Changed(_)) => {
            checks.push(Check::ok(Group::Aws, "s3-get", "objects can be read"));
            Ok(())
        }
        Err(ReadError::Failed(error)) => {
            checks.push(Check::error(Group::Aws, "s3-get", &error));
            Err(error)
        }
    }
}
