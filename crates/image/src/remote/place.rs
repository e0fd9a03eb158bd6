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
    /// A bucket of Google Cloud Storage, and a folder in it.
    Google {
        /// The bucket's name.
        bucket: String,
        /// What stands before the names of all objects; may be empty.
        folder: Path,
    },
    /// A container of Azure Blob Storage, and a folder in it.
    Azure {
        /// The container's name.
        container: String,
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
     `gs://BUCKET/FOLDER`, `az://CONTAINER/FOLDER`, or `file:///DIRECTORY`"
)]
pub struct NoPlace(pub String);

impl FromStr for BucketPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<BucketPlace, NoPlace> {
        let none = || NoPlace(text.chars().take(200).collect());
        if let Some(path) = text.strip_prefix("file://") {
            return if path.starts_with('/') { Ok(BucketPlace::Directory(path.into())) } else { Err(none()) };
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("s3", text));
        let (bucket, folder) = match text.len() == rest.len() {
            // A name alone has no folder.
            true => (rest, ""),
            false => rest.split_once('/').unwrap_or((rest, "")),
        };
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = bucket.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !begins || 255 < bucket.len() || !bucket.bytes().all(is_inner) {
            return Err(none());
        }
        let folder = Path::parse(folder.trim_end_matches('/')).map_err(|_| none())?;
        let bucket = bucket.to_owned();
        match scheme {
            "s3" | "s3a" => Ok(BucketPlace::S3 { bucket, folder }),
            "gs" => Ok(BucketPlace::Google { bucket, folder }),
            "az" => Ok(BucketPlace::Azure { container: bucket, folder }),
            _ => Err(none()),
        }
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket, folder) = match self {
            BucketPlace::S3 { bucket, folder } => ("s3", bucket, folder),
            BucketPlace::Google { bucket, folder } => ("gs", bucket, folder),
            BucketPlace::Azure { container, folder } => ("az", container, folder),
            BucketPlace::Directory(path) => return write!(f, "file://{}", path.display()),
        };
        write!(f, "{scheme}://{bucket}")?;
        if folder.as_ref().is_empty() { Ok(()) } else { write!(f, "/{folder}") }
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
            ("gs://images/some/folder", "gs://images/some/folder"),
            ("az://images/", "az://images"),
            ("file:///srv/images", "file:///srv/images"),
        ] {
            assert_eq!(text.parse::<BucketPlace>().unwrap().to_string(), meant);
        }
    }

    #[test]
    fn what_names_none_is_refused_with_what_would() {
        for text in [
            "",
            "s3://",
            "s3:///x",
            "a/b",
            "../x",
            "s3://a/../b",
            "file://x",
            "gs://",
            "az:///x",
            "http://x",
            "-x",
            "ä",
        ] {
            let error = text.parse::<BucketPlace>().unwrap_err();
            assert!(error.to_string().contains("`s3://BUCKET/FOLDER`"), "{text}: {error}");
        }
    }
}
