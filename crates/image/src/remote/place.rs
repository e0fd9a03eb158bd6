//! What `--bucket` says.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use object_store::path::Path;

/// A place for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketPlace {
    /// A bucket of S3, or of what speaks as S3 does, and a folder in it.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What stands before the names of all objects; may be empty.
        folder: Path,
    },
    /// A directory of this host.
    Directory(PathBuf),
}

/// Text that names no place for images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no bucket: expected the name of a bucket of S3 (letters, digits, `.`, `-` and `_`), `s3://BUCKET/FOLDER`, \
     or `file:///DIRECTORY`"
)]
pub struct NoPlace(pub String);

impl FromStr for BucketPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<BucketPlace, NoPlace> {
        let none = || NoPlace(text.chars().take(200).collect());
        if let Some(path) = text.strip_prefix("file://") {
            return if path.starts_with('/') { Ok(BucketPlace::Directory(path.into())) } else { Err(none()) };
        }
        let rest = text.strip_prefix("s3://").or_else(|| text.strip_prefix("s3a://"));
        let (bucket, folder) = match rest {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => (text, ""),
        };
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = bucket.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !begins || 255 < bucket.len() || !bucket.bytes().all(is_inner) {
            return Err(none());
        }
        let folder = Path::parse(folder.trim_end_matches('/')).map_err(|_| none())?;
        Ok(BucketPlace::S3 { bucket: bucket.to_owned(), folder })
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BucketPlace::S3 { bucket, folder } if folder.as_ref().is_empty() => write!(f, "s3://{bucket}"),
            BucketPlace::S3 { bucket, folder } => write!(f, "s3://{bucket}/{folder}"),
            BucketPlace::Directory(path) => write!(f, "file://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_alone_or_by_a_url() {
        for (text, meant) in [
            ("llm-firecracker", "s3://llm-firecracker"),
            ("s3://images", "s3://images"),
            ("s3a://images/", "s3://images"),
            ("s3://images/some/folder/", "s3://images/some/folder"),
            ("file:///srv/images", "file:///srv/images"),
        ] {
            assert_eq!(text.parse::<BucketPlace>().unwrap().to_string(), meant);
        }
    }

    #[test]
    fn what_names_none_is_refused_with_what_would() {
        for text in ["", "s3://", "s3:///x", "a/b", "../x", "s3://a/../b", "file://x", "gs://x", "-x", "ä"] {
            let error = text.parse::<BucketPlace>().unwrap_err();
            assert!(error.to_string().contains("`s3://BUCKET/FOLDER`"), "{text}: {error}");
        }
    }
}
