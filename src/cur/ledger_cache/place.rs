//! Where entries lie: a prefix of a bucket, or a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cur::location::Place;
use crate::cur::s3::{self, AwsAccess, S3Store};
use brimful_types::{Error, Result};

/// No entry is larger, in bytes.
const MAX_PACKED: u64 = 256 << 20;

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Done,
    /// Something else stands there.
    Lost,
}

/// A place, reached.
#[derive(Debug)]
pub(super) enum Shelf {
    S3(S3Store),
    Directory(PathBuf),
}

impl Shelf {
    /// Nothing is asked of it yet.
    pub(super) async fn reach(place: &Place, access: &AwsAccess) -> Self {
        match place {
            Place::S3 { bucket, prefix } => {
                let aws = (access.load().await, access.patience);
                Self::S3(S3Store::for_cache(aws, bucket, prefix))
            }
            Place::Directory(path) => Self::Directory(path.clone()),
        }
    }

    /// An entry and its `ETag` (empty in a directory), if it is there.
    pub(super) async fn get(&self, name: &str) -> Result<Option<(String, Vec<u8>)>> {
        let path = match self {
            Self::S3(store) => return store.whole(name, MAX_PACKED).await,
            Self::Directory(path) => path.join(name),
        };
        match read(&path) {
            Ok(bytes) => Ok(Some((String::new(), bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    /// Writes an entry over the version `before`; where nothing stands, if there is none. On S3, of two that write at
    /// once one is first; the other's entry is as good, and not needed. In a directory the last one stays.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>, before: Option<&str>) -> Result<Put> {
        match self {
            Self::S3(store) => {
                let put = store.put(name, bytes, "application/octet-stream", before);
                Ok(match put.await? {
                    s3::Put::Done(_) => Put::Done,
                    s3::Put::Lost => Put::Lost,
                })
            }
            Self::Directory(folder) => write(folder, name, &bytes).map(|()| Put::Done),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_PACKED {
        return Err(io::Error::other("it is too large to be an entry of the cache"));
    }
    fs::read(path)
}

/// Beside it first, then renamed, so that nobody reads half of it.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| failed("make", folder, error))?;
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let path = folder.join(name);
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(|error| {
            // Nobody reads what is left of it.
            let _ = fs::remove_file(&beside);
            failed("write", &path, error)
        })
}

fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    Error::report(format!("cannot {doing} {}: {error}", path.display()))
        .hint("the cache must be a directory that may be read and written")
        .source(error)
}
