//! A directory as a store, or one file in it. Files are written beside and renamed, so that no reader sees half of one.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::{BoxFuture, FutureExt};

use super::{ObjectStore, Purpose, PutMode, PutResult};
use crate::object::{Object, ReadError};
use brimful_types::{Error, Result};

/// Files up to this size have a version by their content, where that is asked for; no cluster publishes more.
const HASHED: u64 = 1 << 20;

/// A directory, or one file in it.
#[derive(Debug)]
pub struct LocalStore {
    purpose: Purpose,
    root: PathBuf,
    only: Option<String>,
}

impl LocalStore {
    /// A report.
    ///
    /// # Errors
    /// A report error when nothing is there.
    pub fn new(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|e| {
            Error::report(format!("{}: {}", path.display(), reason(&e))).hint(
                "--cur takes s3://bucket/prefix, a directory laid out like the bucket, or one parquet file",
            )
        })?;
        if metadata.is_dir() {
            return Ok(Self::of(Purpose::Report, path));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            only: name,
            ..Self::of(Purpose::Report, path.parent().unwrap_or(Path::new("")))
        })
    }

    /// The directory that clusters share. It is not made here: where a share should be mounted and is not, nobody else
    /// would see it.
    ///
    /// # Errors
    /// It is not there.
    pub fn for_coordination(path: &Path) -> Result<Self> {
        let store = Self::of(Purpose::Coordination, path);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(store),
            Ok(_) => Err(Error::report(format!("{} is no directory", path.display()))),
            Err(error) => Err(store.failed("look at", path, error)),
        }
    }

    /// The directory of the ledger cache, made when something is written.
    #[must_use]
    pub fn for_cache(path: &Path) -> Self {
        Self::of(Purpose::Cache, path)
    }

    fn of(purpose: Purpose, root: &Path) -> Self {
        Self {
            purpose,
            root: root.to_owned(),
            only: None,
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// What went wrong with a file of Brimful's own. (A cluster's cause is shown with the causes of the run's warning.)
    fn failed(&self, doing: &str, path: &Path, error: io::Error) -> Error {
        let what = format!("cannot {doing} {}", path.display());
        let failed = match self.purpose {
            Purpose::Coordination if doing != "read" => Error::report(what),
            _ => Error::report(format!("{what}: {error}")),
        };
        let failed = match self.purpose {
            Purpose::Report => failed,
            Purpose::Coordination => {
                failed.hint("coordination.uri must be a directory that this cluster can read and write")
            }
            Purpose::Cache => failed.hint("the cache must be a directory that may be read and written"),
        };
        failed.source(error)
    }

    fn all(&self) -> Result<Vec<Object>> {
        if let Some(name) = &self.only {
            return Ok(self.look_at(name)?.into_iter().collect());
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

    /// Files that are gone meanwhile, and hidden ones, are left out.
    fn here(&self) -> Result<Vec<Object>> {
        let listed = fs::read_dir(&self.root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let listed = listed.map_err(|error| self.failed("list", &self.root, error))?;
        let names = listed
            .iter()
            .filter_map(|file| file.file_name().into_string().ok());
        let mut objects: Vec<Object> = names.filter_map(|name| self.standing(&name)).collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// A file with the version that writers compare, unless it is gone, hidden, or no file. Clocks of shared volumes
    /// are coarse, so what clusters publish is distinguished by its content.
    fn standing(&self, name: &str) -> Option<Object> {
        let path = self.path(name);
        let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        if name.starts_with('.') {
            return None;
        }
        let mut object = object(name.to_owned(), &metadata);
        if self.purpose == Purpose::Coordination {
            object.version = match fs::read(&path) {
                _ if object.size > HASHED => format!("{} bytes", object.size),
                Ok(bytes) => hash(&bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Err(_) => String::new(),
            };
        }
        Some(object)
    }

    fn look_at(&self, key: &str) -> Result<Option<Object>> {
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

    fn file(&self, listed: &Object) -> Result<File, ReadError> {
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

    fn part(&self, listed: &Object, range: Range<u64>) -> Result<Bytes, ReadError> {
        let file = self.file(listed)?;
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, range.start).map_err(|e| {
            let path = self.path(&listed.key);
            ReadError::Failed(Error::report(format!("{}: {}", path.display(), reason(&e))))
        })?;
        Ok(buffer.into())
    }

    fn content(&self, name: &str, limit: u64) -> Result<Option<(String, Bytes)>> {
        let path = self.path(name);
        let read = || {
            let metadata = fs::metadata(&path)?;
            if metadata.len() > limit {
                return Err(io::Error::other(match self.purpose {
                    Purpose::Cache => "it is too large to be an entry of the cache".to_owned(),
                    _ => format!("it is larger than {limit} bytes"),
                }));
            }
            let bytes = fs::read(&path)?;
            let version = match self.purpose {
                Purpose::Coordination => hash(&bytes),
                Purpose::Report | Purpose::Cache => object(String::new(), &metadata).version,
            };
            Ok((version, Bytes::from(bytes)))
        };
        match read() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &path, error)),
        }
    }

    /// Of two that write at the very same moment the last one stays here, unlike on S3. Clusters see it in their next
    /// run; two entries of the cache are as good as each other, so there nothing is compared.
    fn write(&self, name: &str, bytes: &[u8], mode: PutMode<'_>) -> Result<PutResult> {
        let path = self.path(name);
        if self.purpose == Purpose::Cache {
            fs::create_dir_all(&self.root).map_err(|error| self.failed("make", &self.root, error))?;
        } else if PutMode::over(self.standing(name).map(|found| found.version).as_deref()) != mode {
            return Ok(PutResult::Conflict);
        }
        let beside = self.path(&format!(".{name}.{}", std::process::id()));
        let outcome = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, &path));
        outcome.map_err(|error| {
            // Nobody reads what is left of it.
            let _ = fs::remove_file(&beside);
            self.failed("write", &path, error)
        })?;
        let version = match self.purpose {
            Purpose::Coordination => hash(bytes),
            Purpose::Report | Purpose::Cache => {
                self.look_at(name)?.map(|found| found.version).unwrap_or_default()
            }
        };
        Ok(PutResult::Done(version))
    }
}

impl ObjectStore for LocalStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        async { self.all() }.boxed()
    }

    fn list_here(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        async { self.here() }.boxed()
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>>> {
        async move { self.look_at(key) }.boxed()
    }

    fn range<'a>(&'a self, object: &'a Object, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, ReadError>> {
        async move { self.part(object, range) }.boxed()
    }

    fn whole<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Option<(String, Bytes)>>> {
        async move { self.content(name, limit) }.boxed()
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
        _content_type: &'a str,
        mode: PutMode<'a>,
    ) -> BoxFuture<'a, Result<PutResult>> {
        async move { self.write(name, &bytes, mode) }.boxed()
    }

    fn name(&self, key: &str) -> String {
        self.path(key).display().to_string()
    }

    fn root(&self) -> String {
        let path = self.path(self.only.as_deref().unwrap_or_default());
        fs::canonicalize(&path).unwrap_or(path).display().to_string()
    }

    fn is_single_file(&self) -> bool {
        self.only.is_some()
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn open(&self, object: &Object) -> Result<Option<Arc<File>>, ReadError> {
        Ok(Some(Arc::new(self.file(object)?)))
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

fn hash(bytes: &[u8]) -> String {
    let mut hash = DefaultHasher::new();
    bytes.hash(&mut hash);
    format!("{:016x}", hash.finish())
}

/// What the system says, without its error number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}
