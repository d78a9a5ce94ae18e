//! The place where clusters on the same plans tell each other their demand: one small object per cluster, in a
//! bucket or a directory. What the objects mean is `policy::peers`' business.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::{StreamExt, stream};

pub use crate::cur::location::Place;
use crate::cur::s3::{AwsAccess, Listed, Put, S3Store};
use brimful_policy::peers::{MAX_BYTES, Note};
use brimful_types::Result;

mod directory;

use directory::Directory;

/// Objects read at a time.
const AT_ONCE: usize = 8;

/// The place, reached.
#[derive(Debug)]
pub enum Board {
    /// A prefix of a bucket.
    S3(S3Store),
    /// A directory.
    Directory(PathBuf),
}

/// One object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name and text.
    pub note: Note,
    /// What changes when it is rewritten: the `ETag` on S3, a hash of the text in a directory.
    pub version: String,
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The object stands; its version.
    Done(String),
    /// Somebody else has written it since it was read.
    Lost,
}

impl Board {
    /// Reaches the place with the credentials of the pod: the role for the report (`cur.roleArn`) is the payer's, and
    /// may only read.
    ///
    /// # Errors
    /// It is not there, or may not be listed.
    pub async fn open(place: &Place) -> Result<Self> {
        Self::open_by(place, &AwsAccess::default()).await
    }

    /// The same by an access of one's own.
    ///
    /// # Errors
    /// It is not there, or may not be listed.
    pub async fn open_by(place: &Place, access: &AwsAccess) -> Result<Self> {
        match place {
            Place::S3 { bucket, prefix } => {
                let aws = (access.load().await, access.patience);
                Ok(Self::S3(S3Store::for_coordination(aws, bucket, prefix)))
            }
            Place::Directory(path) => {
                Directory(path).check()?;
                Ok(Self::Directory(path.clone()))
            }
        }
    }

    /// Everything that lies there.
    ///
    /// # Errors
    /// It cannot be listed. An object that cannot be read is no error.
    pub async fn read(&self) -> Result<Vec<Entry>> {
        match self {
            Self::Directory(path) => Directory(path).read(),
            Self::S3(store) => {
                let listed = store.here().await?;
                let entries = stream::iter(listed)
                    .map(|object| entry(store, object))
                    .buffered(AT_ONCE);
                Ok(entries.filter_map(|entry| async { entry }).collect().await)
            }
        }
    }

    /// The versions of everything that lies there, by name.
    ///
    /// # Errors
    /// It cannot be listed.
    pub async fn versions(&self) -> Result<BTreeMap<String, String>> {
        Ok(match self {
            Self::Directory(path) => {
                let entries = Directory(path).read()?.into_iter();
                entries.map(|entry| (entry.note.name, entry.version)).collect()
            }
            Self::S3(store) => {
                let listed = store.here().await?.into_iter();
                listed.map(|object| (object.name, object.etag)).collect()
            }
        })
    }

    /// Writes an object where the version `before` stands; where nothing stands, if there is none.
    ///
    /// # Errors
    /// It may not, or cannot, be written.
    pub async fn write(&self, name: &str, text: &str, before: Option<&str>) -> Result<Written> {
        let store = match self {
            Self::Directory(path) => return Directory(path).write(name, text, before),
            Self::S3(store) => store,
        };
        Ok(
            match store.put(name, text.into(), "application/json", before).await? {
                Put::Done(etag) => Written::Done(etag),
                // Sent again after an answer that got lost, a request meets its own object.
                Put::Lost => match store.whole(name, MAX_BYTES).await? {
                    Some((etag, body)) if body == text.as_bytes() => Written::Done(etag),
                    _ => Written::Lost,
                },
            },
        )
    }
}

/// `None` for what is gone since it was listed.
async fn entry(store: &S3Store, listed: Listed) -> Option<Entry> {
    let Listed { name, etag, size } = listed;
    let (version, content) = if size > MAX_BYTES {
        (etag, Err(too_large(size)))
    } else {
        match store.whole(&name, MAX_BYTES).await {
            Ok(None) => return None,
            Ok(Some((etag, body))) => (etag, text(body)),
            Err(error) => (etag, Err(error.to_string())),
        }
    };
    let note = Note { name, content };
    Some(Entry { note, version })
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "what it has told is no text".to_owned())
}

fn too_large(size: u64) -> String {
    format!("what it has told is {size} bytes large, more than {MAX_BYTES}")
}
