//! The place as a directory: each object a file, written beside and renamed, so that no reader sees half of one.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use super::{Entry, Written, text, too_large};
use crate::policy::peers::{MAX_BYTES, Note};
use crate::{Error, Result};

/// A directory that clusters share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a>(pub(super) &'a Path);

impl Directory<'_> {
    /// It is not made here: where a share should be mounted and is not, nobody else would see it.
    pub(super) fn check(self) -> Result<()> {
        match fs::metadata(self.0) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Error::report(format!("{} is no directory", self.0.display()))),
            Err(error) => Err(failed("look at", self.0, error)),
        }
    }

    pub(super) fn read(self) -> Result<Vec<Entry>> {
        let listed = fs::read_dir(self.0).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let listed = listed.map_err(|error| failed("list", self.0, error))?;
        let mut entries: Vec<Entry> = listed.iter().filter_map(|file| entry(&file.path())).collect();
        entries.sort_by(|a, b| a.note.name.cmp(&b.note.name));
        Ok(entries)
    }

    /// Two writers at the very same moment are not told apart here, as they are on S3; the next run sees it.
    pub(super) fn write(self, name: &str, text: &str, before: Option<&str>) -> Result<Written> {
        let path = self.0.join(name);
        if entry(&path).map(|entry| entry.version).as_deref() != before {
            return Ok(Written::Lost);
        }
        let beside = self.0.join(format!(".{name}.{}", std::process::id()));
        let outcome = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
        outcome.map_err(|error| {
            // Nobody reads what is left of it.
            let _ = fs::remove_file(&beside);
            failed("write", &path, error)
        })?;
        Ok(Written::Done(version(text.as_bytes())))
    }
}

fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    Error::report(format!("cannot {doing} {}", path.display()))
        .hint("coordination.uri must be a directory that this cluster can read and write")
        .source(error)
}

/// A file, unless it is gone, hidden, or no file.
fn entry(path: &PathBuf) -> Option<Entry> {
    let name = path.file_name()?.to_str()?.to_owned();
    let size = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
    if name.starts_with('.') {
        return None;
    }
    let (version, content) = if size > MAX_BYTES {
        (format!("{size} bytes"), Err(too_large(size)))
    } else {
        match fs::read(path) {
            Ok(bytes) => (version(&bytes), text(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => (
                String::new(),
                Err(format!("cannot read {}: {error}", path.display())),
            ),
        }
    };
    let note = Note { name, content };
    Some(Entry { note, version })
}

fn version(bytes: &[u8]) -> String {
    let mut hash = DefaultHasher::new();
    bytes.hash(&mut hash);
    format!("{:016x}", hash.finish())
}
