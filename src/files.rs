//! Files that others read while they are written anew.

use std::path::Path;
use std::{fs, io};

/// Writes a file beside its place and renames it, so that whoever reads, and a run that is killed, finds the old one whole
/// or the new one.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}
