//! Lists and reads the objects of a report, from a directory or from S3.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::object::{FileBytes, Object, ReadError};
use super::s3::S3Store;
use brimful_types::{Error, Result};

/// Nothing that is read whole (manifests) is larger.
pub(crate) const MAX_WHOLE: u64 = 64 << 20;

/// A place with objects.
#[derive(Debug)]
pub enum Store {
    /// A directory or one file.
    Local(LocalStore),
    /// A bucket.
    S3(S3Store),
}

impl Store {
    /// Every object of the report's place.
    pub async fn list(&self) -> Result<Vec<Object>> {
        match self {
            Self::Local(store) => store.list(),
            Self::S3(store) => store.list().await,
        }
    }

    /// The object as it stands now; `None` if it is gone.
    pub async fn head(&self, key: &str) -> Result<Option<Object>> {
        match self {
            Self::Local(store) => store.head(key),
            Self::S3(store) => store.head(key).await,
        }
    }

    /// Some bytes of the very version of `object` that was listed.
    pub async fn range(&self, object: &Object, range: Range<u64>) -> Result<Bytes, ReadError> {
        match self {
            Self::Local(store) => store.range(object, range),
            Self::S3(store) => store.range(object, range).await,
        }
    }

    /// A whole small object.
    pub async fn read(&self, object: &Object) -> Result<Bytes, ReadError> {
        if object.size > MAX_WHOLE {
            let error = Error::report(format!(
                "{}: {} bytes are too large for a manifest",
                self.name(&object.key),
                object.size
            ));
            return Err(error.into());
        }
        if object.size == 0 {
            return Ok(Bytes::new());
        }
        self.range(object, 0..object.size).await
    }

    /// The object's name for people.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        match self {
            Self::Local(store) => store.path(key).display().to_string(),
            Self::S3(store) => store.name(key),
        }
    }

    /// The file itself where it is local, so that decoding reads it page by page.
    pub(crate) fn open(&self, object: &Object) -> Result<Option<FileBytes>, ReadError> {
        match self {
            Self::S3(_) => Ok(None),
            Self::Local(store) => {
                let file = store.open(object)?;
                Ok(Some(FileBytes::Local(Arc::new(file), object.size)))
            }
        }
    }

    /// The place itself, whatever it was called.
    #[must_use]
    pub fn root(&self) -> String {
        match self {
            Self::S3(store) => store.name(""),
            Self::Local(store) => {
                let path = store.root.join(store.only.as_deref().unwrap_or_default());
                fs::canonicalize(&path).unwrap_or(path).display().to_string()
            }
        }
    }

    /// True when `--cur` named one file.
    #[must_use]
    pub fn is_single_file(&self) -> bool {
        matches!(self, Self::Local(store) if store.only.is_some())
    }

    /// True for S3, where the time of the last write says something about the report.
    #[must_use]
    pub fn is_s3(&self) -> bool {
        matches!(self, Self::S3(_))
    }
}

/// A directory, or one file in it.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    only: Option<String>,
}

impl LocalStore {
    /// # Errors
    /// A report error when nothing is there.
    pub fn new(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|e| {
            Error::report(format!("{}: {}", path.display(), reason(&e))).hint(
                "--cur takes s3://bucket/prefix, a directory laid out like the bucket, or one parquet file",
            )
        })?;
        if metadata.is_dir() {
            return Ok(Self {
                root: path.to_owned(),
                only: None,
            });
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            root: path.parent().map(Path::to_owned).unwrap_or_default(),
            only: name,
        })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    fn list(&self) -> Result<Vec<Object>> {
        if let Some(name) = &self.only {
            return Ok(self.head(name)?.into_iter().collect());
        }
        let mut objects = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = self.path(&folder);
            let failed = |e: io::Error| Error::report(format!("{}: {}", path.display(), reason(&e)));
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let key = if folder.is_empty() {
                    name
                } else {
                    format!("{folder}/{name}")
                };
                // Follows links: mounted volumes are full of them. A link to a folder is not entered (cycles).
                match fs::metadata(entry.path()) {
                    Ok(metadata) if metadata.is_file() => objects.push(object(key, &metadata)),
                    Ok(_) if entry.file_type().is_ok_and(|t| t.is_dir()) => folders.push(key),
                    _ => {}
                }
            }
        }
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    fn head(&self, key: &str) -> Result<Option<Object>> {
        match fs::metadata(self.path(key)) {
            Ok(metadata) => Ok(Some(object(key.to_owned(), &metadata))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::report(format!(
                "{}: {}",
                self.path(key).display(),
                reason(&e)
            ))),
        }
    }

    fn open(&self, listed: &Object) -> Result<File, ReadError> {
        let path = self.path(&listed.key);
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => ReadError::Changed(format!("{} is gone", path.display())),
            _ => Error::report(format!("{}: {}", path.display(), reason(&e))).into(),
        };
        let file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if object(String::new(), &metadata).version != listed.version {
            return Err(ReadError::Changed(format!("{} was rewritten", path.display())));
        }
        Ok(file)
    }

    fn range(&self, listed: &Object, range: Range<u64>) -> Result<Bytes, ReadError> {
        let file = self.open(listed)?;
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, range.start).map_err(|e| {
            let path = self.path(&listed.key);
            ReadError::Failed(Error::report(format!("{}: {}", path.display(), reason(&e))))
        })?;
        Ok(buffer.into())
    }
}

fn object(key: String, metadata: &fs::Metadata) -> Object {
    let modified: DateTime<Utc> = metadata.modified().map(DateTime::from).unwrap_or_default();
    Object {
        key,
        size: metadata.len(),
        version: format!(
            "{}-{}",
            metadata.len(),
            modified.timestamp_nanos_opt().unwrap_or_default()
        ),
        modified,
    }
}

/// What the system says, without its error number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}
