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
        /// The bucket, or the ARN of an access point to it.
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
        let rest = text.strip_prefix("s3://");
        let arn = rest.unwrap_or(text);
        if arn.starts_with("arn:") {
            return by_arn(arn);
        }
        let Some(rest) = rest else {
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

/// A bucket or an access point by its ARN, and what follows: `arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME[/prefix]`.
fn by_arn(arn: &str) -> Result<Location, String> {
    let place = |bucket: &str, prefix: &str| Location::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
    };
    let refuse = |what: &str| {
        Err(format!(
            "`{arn}`: {what}: give s3://bucket/prefix, or the ARN of an access point of one region"
        ))
    };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, region, _, resource] = parts[..] else {
        return refuse("this is no whole ARN");
    };
    let point = resource
        .strip_prefix("accesspoint/")
        .or_else(|| resource.strip_prefix("accesspoint:"));
    match (service, point) {
        ("s3", Some(_)) if region.is_empty() => refuse(
            "Multi-Region Access Points are not supported, since their requests are signed in another way",
        ),
        ("s3", Some(point)) => {
            let (name, prefix) = point.split_once('/').unwrap_or((point, ""));
            if name.is_empty() {
                return refuse("it names no access point");
            }
            let own = arn.len() - resource.len();
            Ok(place(&format!("{}accesspoint/{name}", &arn[..own]), prefix))
        }
        ("s3", None) if region.is_empty() && !resource.is_empty() => {
            let (bucket, prefix) = resource.split_once('/').unwrap_or((resource, ""));
            Ok(place(bucket, prefix))
        }
        ("s3-object-lambda", _) => {
            refuse("Object Lambda access points change what they give, and are not supported")
        }
        ("s3-outposts", _) => refuse("S3 on Outposts is not supported"),
        _ => refuse("this is no bucket, nor an access point to one"),
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
        let (own, arn) = (
            "arn:aws-cn:s3:cn-north-1:111122223333:accesspoint/billing",
            "arn:aws:s3:::b/a/c/",
        );
        assert_eq!(format!("s3://{own}/a/c/").parse(), Ok(s3(own, "a/c")));
        assert_eq!(own.parse(), Ok(s3(own, "")));
        assert_eq!(arn.parse(), Ok(s3("b", "a/c")));
        for (refused, says) in [
            ("arn:aws:s3::111122223333:accesspoint/m.mrap", "Multi-Region"),
            (
                "s3://arn:aws:s3-object-lambda:us-east-1:111122223333:accesspoint/x",
                "Object Lambda",
            ),
            (
                "arn:aws:s3-outposts:us-east-1:111122223333:outpost/o/accesspoint/x",
                "Outposts",
            ),
            (
                "arn:aws:s3:us-east-1:111122223333:accesspoint/",
                "names no access point",
            ),
            ("arn:aws:iam::111122223333:role/x", "no bucket"),
            ("s3://arn:aws", "no whole ARN"),
        ] {
            let error = refused.parse::<Location>().unwrap_err();
            assert!(error.contains(says) && error.contains("give s3://"), "{error}");
        }
        assert!("gs://b".parse::<Location>().unwrap_err().contains("gs://"));
        assert!("".parse::<Location>().is_err());
    }
}
