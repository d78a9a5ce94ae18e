//! A prefix of a bucket as an object store.

use std::ops::Range;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::S3Store;
use brimful_cur::object::{Object, ReadError};
use brimful_cur::store::{ObjectStore, PutMode, PutResult};
use brimful_types::Result;

impl ObjectStore for S3Store {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        Box::pin(self.all())
    }

    fn list_here(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        Box::pin(self.here())
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>>> {
        Box::pin(self.look_at(key))
    }

    fn range<'a>(&'a self, object: &'a Object, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, ReadError>> {
        Box::pin(self.part(object, range))
    }

    fn whole<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Option<(String, Bytes)>>> {
        Box::pin(self.content(name, limit))
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
        content_type: &'a str,
        mode: PutMode<'a>,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.write(name, bytes, content_type, mode))
    }

    fn name(&self, key: &str) -> String {
        Self::name(self, key)
    }

    fn root(&self) -> String {
        Self::name(self, "")
    }

    fn is_remote(&self) -> bool {
        true
    }
}
