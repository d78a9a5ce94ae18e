//! Objects that several writers keep in one prefix: listed, read whole, and written only over what was read.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::{Action, S3Store, body, is_no_such_key, status, time};
use brimful_cur::object::Object;
use brimful_cur::store::{PutMode, PutResult};
use brimful_types::{Error, Result};

/// Conditional requests that lose to another writer: the object is another, or is being written right now.
const LOST: [u16; 2] = [412, 409];
/// What one listing holds.
const PAGE: i32 = 1000;

impl S3Store {
    /// What lies directly below the prefix; there may be nothing yet.
    pub(super) async fn here(&self) -> Result<Vec<Object>> {
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
            Some(Object {
                key: item.key()?.strip_prefix(&folder)?.to_owned(),
                size: u64::try_from(item.size().unwrap_or(0)).unwrap_or(0),
                version: item.e_tag()?.to_owned(),
                modified: time(item.last_modified()),
            })
        });
        Ok(listed.collect())
    }

    /// A whole object of at most `limit` bytes and its `ETag`; `None` when it is not there.
    pub(super) async fn content(&self, name: &str, limit: u64) -> Result<Option<(String, Bytes)>> {
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
                Ok(bytes) => return Ok(Some((etag, bytes))),
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

    /// Writes an object if what `mode` expects stands there.
    pub(super) async fn write(
        &self,
        name: &str,
        body: Bytes,
        content_type: &str,
        mode: PutMode<'_>,
    ) -> Result<PutResult> {
        let key = self.folder() + name;
        let request = self.client().put_object().bucket(&self.bucket).key(&key);
        let request = request.body(ByteStream::from(body)).content_type(content_type);
        let request = match mode {
            PutMode::Update(etag) => request.if_match(etag),
            PutMode::Create => request.if_none_match("*"),
        };
        match request.send().await {
            Ok(put) => Ok(PutResult::Done(put.e_tag().unwrap_or_default().to_owned())),
            Err(error) if status(&error).is_some_and(|status| LOST.contains(&status)) => {
                Ok(PutResult::Conflict)
            }
            Err(error) => Err(self.explain(Action::Put, &format!("write {}", self.name(&key)), &error)),
        }
    }
}
