//! The place as a directory: each object a file, written beside and renamed, so that no reader sees half of one.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use super::{Entry, Written, text, too_large};
use brimful_policy::peers::{MAX_BYTES, Note};
use brimful_types::{Error, Result};

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

#[cfg(test)]
mod tests {
    use super::*;

    fn version_of(written: Written) -> String {
        match written {
            Written::Done(version) => version,
            Written::Lost => panic!("another writer was first"),
        }
    }

    #[test]
    fn a_file_is_written_only_over_what_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let place = Directory(dir.path());
        let first = version_of(place.write("a.json", "1", None).unwrap());
        assert_eq!(place.write("a.json", "2", None).unwrap(), Written::Lost);
        let second = version_of(place.write("a.json", "3", Some(&first)).unwrap());
        assert_eq!(place.write("a.json", "4", Some(&first)).unwrap(), Written::Lost);
        assert_eq!(place.write("b.json", "5", Some(&first)).unwrap(), Written::Lost);
        let entries = place.read().unwrap();
        let note = Note {
            name: "a.json".into(),
            content: Ok("3".into()),
        };
        assert_eq!(
            entries,
            [Entry {
                note,
                version: second
            }]
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn what_is_no_text_is_told_and_what_is_hidden_or_no_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json"), [0xff, 0xfe]).unwrap();
        fs::write(dir.path().join(".b.json.1"), "half").unwrap();
        fs::create_dir(dir.path().join("c.json")).unwrap();
        let large = fs::File::create(dir.path().join("d.json")).unwrap();
        large.set_len(MAX_BYTES + 1).unwrap();
        let entries = Directory(dir.path()).read().unwrap();
        let told: Vec<(&str, bool)> = entries
            .iter()
            .map(|e| (e.note.name.as_str(), e.note.content.is_err()))
            .collect();
        assert_eq!(told, [("a.json", true), ("d.json", true)]);
    }

    #[test]
    fn a_place_that_is_not_there_is_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let away = dir.path().join("share");
        let place = Directory(&away);
        assert!(place.check().is_err() && place.read().is_err() && place.write("a.json", "1", None).is_err());
        assert!(!away.exists());
    }
}
