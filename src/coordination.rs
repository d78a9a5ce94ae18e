//! The place where clusters on the same plans publish their demand for each other: one small object per cluster, in a
//! bucket or a directory. What the objects mean is `policy::peers`' business.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, stream};

use brimful_cur::object::Object;
use brimful_cur::store::{ObjectStore, PutMode, PutResult};
use brimful_policy::peers::{MAX_BYTES, Note};
use brimful_types::Result;

mod session;

pub(crate) use session::Session;

/// Objects read at a time.
const AT_ONCE: usize = 8;

/// One object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name and text.
    pub note: Note,
    /// What changes when it is rewritten: the `ETag` on S3, a hash of the text in a directory.
    pub version: String,
}

/// Everything that lies there.
///
/// # Errors
/// It cannot be listed. An object that cannot be read is no error.
pub async fn read(store: &dyn ObjectStore) -> Result<Vec<Entry>> {
    let listed = store.list_here().await?;
    let entries = stream::iter(listed)
        .map(|object| entry(store, object))
        .buffered(AT_ONCE);
    Ok(entries.filter_map(|entry| async { entry }).collect().await)
}

/// The versions of everything that lies there, by name.
///
/// # Errors
/// It cannot be listed.
pub async fn versions(store: &dyn ObjectStore) -> Result<BTreeMap<String, String>> {
    let listed = store.list_here().await?.into_iter();
    Ok(listed.map(|object| (object.key, object.version)).collect())
}

/// Writes an object where the version `before` stands; where nothing stands, if there is none.
///
/// # Errors
/// It may not, or cannot, be written.
pub async fn write(
    store: &dyn ObjectStore,
    name: &str,
    text: &str,
    before: Option<&str>,
) -> Result<PutResult> {
    let body = Bytes::copy_from_slice(text.as_bytes());
    let put = store.put(name, body, "application/json", PutMode::over(before));
    Ok(match put.await? {
        // Sent again after an answer that got lost, a request meets its own object.
        PutResult::Conflict if store.is_remote() => match store.whole(name, MAX_BYTES).await? {
            Some((version, body)) if body == text.as_bytes() => PutResult::Done(version),
            _ => PutResult::Conflict,
        },
        put => put,
    })
}

/// `None` for what is gone since it was listed.
async fn entry(store: &dyn ObjectStore, listed: Object) -> Option<Entry> {
    let Object {
        key: name,
        version: listed,
        size,
        ..
    } = listed;
    let (version, content) = if size > MAX_BYTES {
        let large = format!("what it has told is {size} bytes large, more than {MAX_BYTES}");
        (listed, Err(large))
    } else {
        match store.whole(&name, MAX_BYTES).await {
            Ok(None) => return None,
            Ok(Some((version, body))) => (version, text(&body)),
            Err(error) => (listed, Err(error.to_string())),
        }
    };
    let note = Note { name, content };
    Some(Entry { note, version })
}

fn text(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "what it has told is no text".to_owned())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use brimful_cur::store::LocalStore;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(work)
    }

    fn place(path: &Path) -> LocalStore {
        LocalStore::for_coordination(path).unwrap()
    }

    fn put(place: &LocalStore, text: &str, name: &str, before: Option<&str>) -> Result<PutResult> {
        block_on(write(place, name, text, before))
    }

    fn version_of(written: PutResult) -> String {
        match written {
            PutResult::Done(version) => version,
            PutResult::Conflict => panic!("another writer was first"),
        }
    }

    #[test]
    fn a_file_is_written_only_over_what_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let first = version_of(put(&place, "1", "a.json", None).unwrap());
        assert_eq!(put(&place, "2", "a.json", None).unwrap(), PutResult::Conflict);
        let second = version_of(put(&place, "3", "a.json", Some(&first)).unwrap());
        assert_eq!(
            put(&place, "4", "a.json", Some(&first)).unwrap(),
            PutResult::Conflict
        );
        assert_eq!(
            put(&place, "5", "b.json", Some(&first)).unwrap(),
            PutResult::Conflict
        );
        let entries = block_on(read(&place)).unwrap();
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
        let entries = block_on(read(&place(dir.path()))).unwrap();
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
        assert!(LocalStore::for_coordination(&away).is_err());
        fs::create_dir(&away).unwrap();
        let place = place(&away);
        fs::remove_dir(&away).unwrap();
        assert!(block_on(read(&place)).is_err() && put(&place, "1", "a.json", None).is_err());
        assert!(!away.exists());
    }
}
