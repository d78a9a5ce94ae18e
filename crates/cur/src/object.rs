//! Objects of a report (files or S3 objects), and byte ranges of them pinned to one version.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use brimful_types::Error;

/// One object as it stood when it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key in the bucket, or its path below the directory, with `/`.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// What changes when it is rewritten: the `ETag` on S3; size and time of modification in a directory.
    pub version: String,
    /// When it was last written.
    pub modified: DateTime<Utc>,
}

/// Why an object could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// It was rewritten or removed since it was listed: start again from a new listing.
    Changed(String),
    /// Anything else, for good.
    Failed(Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The bytes of one parquet file that its decoder may ask for.
#[derive(Debug, Clone)]
pub(crate) enum FileBytes {
    /// A local file, read where needed. `read_at` keeps no cursor, so workers can share it.
    Local(Arc<File>, u64),
    /// Ranges fetched beforehand, ascending, and the size of the whole object.
    Fetched(Arc<Vec<(u64, Bytes)>>, u64),
}

impl FileBytes {
    fn bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::Local(file, size) => {
                // A damaged footer may ask for anything: never allocate more than the file has.
                if start.checked_add(length as u64).is_none_or(|end| end > *size) {
                    return Err(beyond(start, length, *size));
                }
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, start)?;
                Ok(buffer.into())
            }
            Self::Fetched(ranges, size) => {
                let index = ranges.partition_point(|(at, _)| *at <= start);
                let found = index.checked_sub(1).and_then(|i| {
                    let (at, bytes) = &ranges[i];
                    let from = usize::try_from(start - at).ok()?;
                    let to = from.checked_add(length)?;
                    (to <= bytes.len()).then(|| bytes.slice(from..to))
                });
                found.ok_or_else(|| beyond(start, length, *size))
            }
        }
    }
}

fn beyond(start: u64, length: usize, size: u64) -> ParquetError {
    ParquetError::EOF(format!(
        "{length} bytes at {start} lie outside the file's {size} bytes"
    ))
}

impl Length for FileBytes {
    fn len(&self) -> u64 {
        match self {
            Self::Local(_, size) | Self::Fetched(_, size) => *size,
        }
    }
}

impl ChunkReader for FileBytes {
    type T = RangeReader;

    fn get_read(&self, start: u64) -> Result<RangeReader, ParquetError> {
        Ok(RangeReader {
            source: self.clone(),
            at: start,
            buffer: Bytes::new(),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.bytes(start, length)
    }
}

/// Reads on from a position; used by the decoder for page headers only.
#[derive(Debug)]
pub(crate) struct RangeReader {
    source: FileBytes,
    at: u64,
    buffer: Bytes,
}

impl RangeReader {
    /// Enough for a page header, small enough not to read a page twice.
    const STEP: u64 = 1024;

    fn fill(&mut self) -> io::Result<()> {
        let left = self.source.len().saturating_sub(self.at).min(Self::STEP);
        for length in [left, 1] {
            let length = usize::try_from(length).unwrap_or(0);
            if length == 0 {
                return Ok(());
            }
            // Near the end of a fetched range only a shorter read may succeed.
            if let Ok(bytes) = self.source.bytes(self.at, length) {
                self.at += bytes.len() as u64;
                self.buffer = bytes;
                return Ok(());
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

impl Read for RangeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        let length = out.len().min(self.buffer.len());
        out[..length].copy_from_slice(&self.buffer.split_to(length));
        Ok(length)
    }
}

/// Joins ranges whose gap is at most `gap` bytes: one request more costs more than a few bytes more.
pub(crate) fn coalesce(mut ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_across_small_gaps_only() {
        assert_eq!(coalesce(vec![50..60, 0..10, 12..20], 2), vec![0..20, 50..60]);
    }

    #[test]
    fn fetched_bytes_outside_every_range_are_an_error_not_a_panic() {
        let source = FileBytes::Fetched(Arc::new(vec![(10, Bytes::from_static(b"abcdef"))]), 100);
        assert_eq!(source.get_bytes(12, 3).unwrap(), Bytes::from_static(b"cde"));
        assert!(source.get_bytes(12, 30).is_err());
        assert!(source.get_bytes(5, 1).is_err());
        assert!(source.get_bytes(u64::MAX, usize::MAX).is_err());
        let mut text = String::new();
        let read = source.get_read(10).unwrap().take(6).read_to_string(&mut text);
        assert_eq!((read.unwrap(), text.as_str()), (6, "abcdef"));
    }
}
