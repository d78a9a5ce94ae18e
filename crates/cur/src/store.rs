//! Lists, reads and writes objects: of a report, of the clusters that share their plans, of the ledger cache. A
//! directory is one such place; whatever is reached over a network implements the same trait elsewhere.

use std::fmt::Debug;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::object::{Object, ReadError};
use brimful_types::{Error, Result};

mod local;

pub use local::LocalStore;

/// Nothing that is read whole (manifests) is larger.
pub(crate) const MAX_WHOLE: u64 = 64 << 20;

/// What a place is for: whoever is refused must know what to grant, and which setting names the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The Cost and Usage Report, which is only read.
    Report,
    /// What the clusters on the same plans publish.
    Coordination,
    /// The ledger cache.
    Cache,
}

/// What must stand where an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode<'a> {
    /// Nothing.
    Create,
    /// The version that was read.
    Update(&'a str),
}

impl<'a> PutMode<'a> {
    /// Over the version that was read, if one was.
    #[must_use]
    pub fn over(version: Option<&'a str>) -> Self {
        version.map_or(Self::Create, Self::Update)
    }
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutResult {
    /// The object stands; its version.
    Done(String),
    /// Something else stands there than was expected.
    Conflict,
}

/// A place with objects. Their names are relative to the place where it is written to (`list_here`, `whole`, `put`),
/// and keys as listed elsewhere.
pub trait ObjectStore: Debug + Send + Sync {
    /// Every object below the place.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>>;

    /// The objects directly in the place, by name; there may be none yet.
    fn list_here(&self) -> BoxFuture<'_, Result<Vec<Object>>>;

    /// The object as it stands now; `None` if it is gone.
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>>>;

    /// Some bytes of the very version of `object` that was listed.
    fn range<'a>(&'a self, object: &'a Object, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, ReadError>>;

    /// The version and content of an object of at most `limit` bytes; `None` when it is not there.
    fn whole<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Option<(String, Bytes)>>>;

    /// Writes an object if what `mode` expects stands there.
    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
        content_type: &'a str,
        mode: PutMode<'a>,
    ) -> BoxFuture<'a, Result<PutResult>>;

    /// The object's name for people.
    fn name(&self, key: &str) -> String;

    /// The place itself, whatever it was called.
    fn root(&self) -> String;

    /// True when `--cur` named one file.
    fn is_single_file(&self) -> bool {
        false
    }

    /// True where the time of the last write says something about the report, and every read is a request.
    fn is_remote(&self) -> bool;

    /// The file itself where it is local, so that decoding reads it page by page.
    ///
    /// # Errors
    /// It is gone, or another than was listed.
    fn open(&self, object: &Object) -> Result<Option<Arc<File>>, ReadError> {
        let _ = object;
        Ok(None)
    }

    /// A whole small object in the version that was listed.
    fn read<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes, ReadError>> {
        if object.size > MAX_WHOLE {
            let error = Error::report(format!(
                "{}: {} bytes are too large for a manifest",
                self.name(&object.key),
                object.size
            ));
            return Box::pin(async { Err(error.into()) });
        }
        if object.size == 0 {
            return Box::pin(async { Ok(Bytes::new()) });
        }
        self.range(object, 0..object.size)
    }
}
