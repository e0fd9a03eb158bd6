//! `firebox rootfs upload`, `download` and `list --remote`, as typed.

use clap::Args;
use firebox_image::{BucketPlace, ImageName};

pub(super) const ENVIRONMENT: &str = "\
Environment, as everybody means it who speaks S3:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN  who asks
  AWS_REGION                                                   in which region the bucket is
  AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3                        what is asked, if it is not Amazon
  AWS_ALLOW_HTTP=true                                          asks it without TLS; this very host is always asked so
  AWS_SKIP_SIGNATURE=true                                      asks as nobody, for buckets that are open to all
For `gs://`:
  GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT       the file that says who asks
  GOOGLE_BASE_URL, GOOGLE_ALLOW_HTTP, GOOGLE_SKIP_SIGNATURE    as above
For `az://`:
  AZURE_STORAGE_ACCOUNT_NAME                                   in which account the container is
  AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN           who asks; or the next three
  AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET        who asks, as an application
  AZURE_STORAGE_ENDPOINT, AZURE_ALLOW_HTTP, AZURE_SKIP_SIGNATURE  as above";

/// Which image.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichImageArgs {
    /// The image of a language: the one that is called as the language is, or by another name of it.
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Option<String>,
    /// The image of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<ImageName>,
}

/// Which bucket, and how it is asked.
#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    /// The bucket: its name, `s3://BUCKET/FOLDER`, `gs://BUCKET/FOLDER` of Google, `az://CONTAINER/FOLDER` of Azure, or
    /// `file:///DIRECTORY` for a directory of this host.
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: BucketPlace,
    /// The address of whoever keeps it, such as `http://127.0.0.1:9000` [default: what AWS_ENDPOINT_URL, GOOGLE_BASE_URL or
    /// AZURE_STORAGE_ENDPOINT says, or Amazon's, Google's or Azure's].
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// How many things are asked for at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) parallel: u8,
}

/// Sends an image to a bucket, where other hosts find it.
///
/// Layers travel as they came from their registry. What the bucket has already is not sent again, and the name is written
/// last: whoever looks for it finds the old image or the new one. One that is damaged here is not sent.
#[derive(Debug, Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct UploadArgs {
    #[command(flatten)]
    pub(crate) which: WhichImageArgs,
    #[command(flatten)]
    pub(crate) bucket: BucketArgs,
    /// Sends everything, also what the bucket has already: for one that has been damaged there.
    #[arg(long)]
    pub(crate) anew: bool,
}

/// Fetches an image from a bucket, under the name that it has there.
///
/// Nothing that a bucket gives is trusted more than what a registry gives: all of it is bounded, compared with its digest, and
/// unpacked here. What is here already is not fetched again, and a transfer that broke off goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    pub(crate) which: WhichImageArgs,
    #[command(flatten)]
    pub(crate) bucket: BucketArgs,
    /// The most that its root filesystem may take, in MiB [default: what it takes by what the bucket says, and at most 8192].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) size: Option<u32>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Args;

    fn parsed(words: &[&str]) -> Result<(), String> {
        let words = [&["firebox", "rootfs"], words].concat();
        Args::try_parse_from(words).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn an_image_and_a_bucket_are_named_and_nothing_else_will_do() {
        for good in [
            &["upload", "--lang", "rust", "--bucket", "llm-firecracker"][..],
            &["download", "--name", "x", "--bucket", "s3://b/folder", "--endpoint", "http://127.0.0.1:9000"],
            &["download", "--lang", "rust", "--bucket", "file:///srv", "--size", "1200"],
            &["download", "--name", "x", "--bucket", "gs://b/folder"],
            &["upload", "--name", "x", "--bucket", "az://container"],
            &["list", "--remote", "--bucket", "b"],
            &["list"],
        ] {
            assert_eq!(parsed(good), Ok(()), "{good:?}");
        }
        for (bad, word) in [
            (&["upload", "--bucket", "b"][..], "--lang"),
            (&["upload", "--lang", "rust"], "--bucket"),
            (&["upload", "--lang", "rust", "--name", "x", "--bucket", "b"], "cannot be used with"),
            (&["upload", "--name", "x", "--bucket", "a/b"], "s3://BUCKET/FOLDER"),
            (&["download", "--name", "x", "--bucket", "b", "--size", "0"], "--size"),
            (&["list", "--remote"], "--bucket"),
            (&["list", "--bucket", "b"], "--remote"),
        ] {
            let error = parsed(bad).unwrap_err();
            assert!(error.contains(word), "{bad:?}: {error}");
        }
    }
}
