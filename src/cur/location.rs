//! Where a report lies: `--cur`; and where Brimful keeps things of its own.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::athena::AthenaTable;

/// The place that `--cur` names, or the table that the configuration does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `s3://bucket[/prefix]`.
    S3 {
        /// The bucket.
        bucket: String,
        /// Key prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A directory laid out like the bucket, or one parquet file.
    Path(PathBuf),
    /// A table that Athena is asked for.
    Athena(Box<AthenaTable>),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text.split_once("://") {
                Some((scheme, _)) => Err(format!(
                    "`{scheme}://` is not supported: give s3://bucket/prefix, a directory or a parquet file"
                )),
                None if text.is_empty() => Err("the location of the report is empty".into()),
                None => Ok(Self::Path(PathBuf::from(text))),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(format!("`{text}` names no bucket: give s3://bucket/prefix"));
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => in_bucket(bucket, prefix, f),
            Self::Path(path) => path.display().fmt(f),
            Self::Athena(table) => table.fmt(f),
        }
    }
}

/// A place for things of one's own: `s3://bucket[/prefix]` or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `s3://bucket[/prefix]`.
    S3 {
        /// The bucket.
        bucket: String,
        /// Key prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A directory.
    Directory(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_other = !text.starts_with("s3://") && text.contains("://");
        let neither = || format!("`{text}` is neither s3://bucket/prefix nor a directory");
        if is_other || text.is_empty() {
            return Err(neither());
        }
        match text.parse()? {
            Location::S3 { bucket, prefix } => Ok(Self::S3 { bucket, prefix }),
            Location::Path(path) => Ok(Self::Directory(path)),
            Location::Athena(_) => Err(neither()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => in_bucket(bucket, prefix, f),
            Self::Directory(path) => path.display().fmt(f),
        }
    }
}

fn in_bucket(bucket: &str, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match prefix {
        "" => write!(f, "s3://{bucket}"),
        prefix => write!(f, "s3://{bucket}/{prefix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_prefixes_and_paths_are_told_apart() {
        let s3 = |bucket: &str, prefix: &str| Location::S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        assert_eq!("s3://b".parse(), Ok(s3("b", "")));
        assert_eq!("s3://b/a/c//".parse(), Ok(s3("b", "a/c")));
        assert_eq!("./x".parse(), Ok(Location::Path("./x".into())));
        assert!("s3://".parse::<Location>().is_err());
        assert!("gs://b".parse::<Location>().unwrap_err().contains("gs://"));
        assert!("".parse::<Location>().is_err());
    }
}
