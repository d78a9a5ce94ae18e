//! Objects that several writers keep in one prefix: listed, read whole, and written only over what was read.

use aws_config::SdkConfig;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;

use super::{Action, Purpose, S3Store, body, is_no_such_key, status};
use crate::cur::aws::Patience;
use brimful_types::{Error, Result};

/// Conditional requests that lose to another writer: the object is another, or is being written right now.
const LOST: [u16; 2] = [412, 409];
/// What one listing holds.
const PAGE: i32 = 1000;

/// An object directly below the prefix.
#[derive(Debug)]
pub(crate) struct Listed {
    /// What follows the prefix in its key.
    pub(crate) name: String,
    pub(crate) etag: String,
    pub(crate) size: u64,
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// Written; its `ETag`.
    Done(String),
    /// Another writer was first.
    Lost,
}

impl S3Store {
    /// The prefix where clusters tell their demand.
    pub(crate) fn for_coordination(aws: (SdkConfig, Patience), bucket: &str, prefix: &str) -> Self {
        Self::for_purpose(Purpose::Coordination, aws, bucket, prefix)
    }

    /// The prefix of the ledger cache.
    pub(crate) fn for_cache(aws: (SdkConfig, Patience), bucket: &str, prefix: &str) -> Self {
        Self::for_purpose(Purpose::Cache, aws, bucket, prefix)
    }

    /// What lies directly below the prefix; there may be nothing yet.
    pub(crate) async fn here(&self) -> Result<Vec<Listed>> {
        let folder = self.folder();
        let send = || {
            let request = self.client().list_objects_v2().bucket(&self.bucket);
            request.prefix(&folder).delimiter("/").max_keys(PAGE).send()
        };
        let mut page = send().await;
        if matches!(&page, Err(error) if self.follow(error)) {
            page = send().await;
        }
        let page = page.map_err(|e| self.explain(Action::List, self.listing(), &e))?;
        if page.is_truncated().unwrap_or(false) {
            return Err(
                Error::report(format!("{} holds more than {PAGE} objects", self.name(&folder)))
                    .hint("give coordination.uri a prefix of its own"),
            );
        }
        let listed = page.contents().iter().filter_map(|item| {
            Some(Listed {
                name: item.key()?.strip_prefix(&folder)?.to_owned(),
                etag: item.e_tag()?.to_owned(),
                size: u64::try_from(item.size().unwrap_or(0)).unwrap_or(0),
            })
        });
        Ok(listed.collect())
    }

    /// A whole object of at most `limit` bytes and its `ETag`; `None` when it is not there.
    pub(crate) async fn whole(&self, name: &str, limit: u64) -> Result<Option<(String, Vec<u8>)>> {
        let key = self.folder() + name;
        let mut tried = 0;
        loop {
            tried += 1;
            let Some(found) = self.ask_for_all(&key).await? else {
                return Ok(None);
            };
            let etag = found.e_tag().unwrap_or_default().to_owned();
            let length = u64::try_from(found.content_length().unwrap_or(0)).unwrap_or(0);
            if length > limit {
                return Err(Error::report(format!(
                    "{}: {length} bytes are more than {limit}",
                    self.name(&key)
                )));
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let broken = match body::read(found.body, length, &self.patience).await {
                Ok(bytes) => return Ok(Some((etag, bytes.to_vec()))),
                Err(broken) => broken,
            };
            if tried >= self.patience.tries {
                return Err(broken.error(&self.name(&key), length, tried));
            }
            tokio::time::sleep(self.patience.pause_after(tried)).await;
        }
    }

    async fn ask_for_all(&self, key: &str) -> Result<Option<GetObjectOutput>> {
        let send = || self.client().get_object().bucket(&self.bucket).key(key).send();
        let mut answer = send().await;
        if matches!(&answer, Err(error) if self.follow(error)) {
            answer = send().await;
        }
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_no_such_key(&error) => Ok(None),
            Err(error) => Err(self.explain(Action::Get, &format!("read {}", self.name(key)), &error)),
        }
    }

    /// Writes an object where the version `before` stands; where nothing stands, if there is none.
    pub(crate) async fn put(
        &self,
        name: &str,
        body: Vec<u8>,
        content_type: &str,
        before: Option<&str>,
    ) -> Result<Put> {
        let key = self.folder() + name;
        let request = self.client().put_object().bucket(&self.bucket).key(&key);
        let request = request.body(ByteStream::from(body)).content_type(content_type);
        let request = match before {
            Some(etag) => request.if_match(etag),
            None => request.if_none_match("*"),
        };
        match request.send().await {
            Ok(put) => Ok(Put::Done(put.e_tag().unwrap_or_default().to_owned())),
            Err(error) if status(&error).is_some_and(|status| LOST.contains(&status)) => Ok(Put::Lost),
            Err(error) => Err(self.explain(Action::Put, &format!("write {}", self.name(&key)), &error)),
        }
    }
}
