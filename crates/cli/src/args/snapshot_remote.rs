//! `firebox snapshot upload`, `download` and `list --remote`, as typed.

use clap::Args;
use firebox_image::BucketPlace;

use crate::args::BucketArgs;
use crate::args::rootfs_remote::ENVIRONMENT;

/// Which snapshot.
#[derive(Debug, Args)]
pub(crate) struct WhichSnapshotArgs {
    /// The language.
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: String,
    /// The memory that its jobs are promised, in MiB [default: that of the only snapshot there is].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) mem: Option<u32>,
    /// How many processors it has [default: as many as the only snapshot there is].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) vcpus: Option<u8>,
}

/// Sends a snapshot to a bucket, where other hosts find it.
///
/// Its memory travels in compressed chunks, without what is zero. What the bucket has already, of this snapshot or of any other, is not sent again, and the name is
/// written last: whoever looks for it finds the old snapshot or the new one. One that is damaged here is not sent. What was in the
/// machine's memory is in there: whoever may read the bucket may read it.
#[derive(Debug, Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct UploadSnapshotArgs {
    #[command(flatten)]
    pub(crate) which: WhichSnapshotArgs,
    #[command(flatten)]
    pub(crate) bucket: BucketArgs,
    /// Sends everything, also what the bucket has already: for one that has been damaged there.
    #[arg(long)]
    pub(crate) anew: bool,
}

/// Fetches a snapshot from a bucket, under the name that it has there.
///
/// All that a bucket gives is bounded and compared with its digest, and what came of it is read once more, to see whether it is what was frozen. What another
/// snapshot of the language has here is not fetched, and a transfer that broke off goes on where it was. Whoever may write to the bucket says what
/// runs in machines that are made of it, before their jobs do.
#[derive(Debug, Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct DownloadSnapshotArgs {
    #[command(flatten)]
    pub(crate) which: WhichSnapshotArgs,
    #[command(flatten)]
    pub(crate) bucket: BucketArgs,
    /// The most that it may take, in MiB [default: what it takes by what the bucket says, and at most 8192].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) size: Option<u32>,
}

/// Lists the snapshots that are kept, or those in a bucket.
#[derive(Debug, Args)]
pub(crate) struct ListSnapshotsArgs {
    /// Those in a bucket.
    #[arg(long, requires = "bucket")]
    pub(crate) remote: bool,
    /// The bucket: its name, `s3://BUCKET/FOLDER`, `gs://BUCKET/FOLDER`, `az://CONTAINER/FOLDER`, or `file:///DIRECTORY` for a
    /// directory of this host.
    #[arg(long, value_name = "BUCKET", requires = "remote")]
    pub(crate) bucket: Option<BucketPlace>,
    /// The address of whoever keeps it [default: what AWS_ENDPOINT_URL, GOOGLE_BASE_URL or AZURE_STORAGE_ENDPOINT says, or
    /// Amazon's, Google's or Azure's].
    #[arg(long, value_name = "URL", requires = "remote")]
    pub(crate) endpoint: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Args;

    fn parsed(words: &[&str]) -> Result<(), String> {
        let words = [&["firebox", "snapshot"], words].concat();
        Args::try_parse_from(words).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_language_and_a_bucket_are_named_and_nothing_else_will_do() {
        for good in [
            &["upload", "--lang", "rust", "--bucket", "llm-firecracker"][..],
            &["upload", "--lang", "rust", "--mem", "512", "--vcpus", "1", "--bucket", "b", "--anew"],
            &["download", "--lang", "rust", "--bucket", "s3://b/folder", "--endpoint", "http://127.0.0.1:9000"],
            &["download", "--lang", "rust", "--mem", "512", "--bucket", "file:///srv", "--size", "1200"],
            &["list", "--remote", "--bucket", "b"],
            &["list"],
        ] {
            assert_eq!(parsed(good), Ok(()), "{good:?}");
        }
        for (bad, word) in [
            (&["upload", "--bucket", "b"][..], "--lang"),
            (&["upload", "--lang", "rust"], "--bucket"),
            (&["upload", "--lang", "rust", "--bucket", "a/b"], "s3://BUCKET/FOLDER"),
            (&["download", "--lang", "rust", "--bucket", "b", "--mem", "0"], "--mem"),
            (&["download", "--lang", "rust", "--bucket", "b", "--vcpus", "256"], "--vcpus"),
            (&["list", "--remote"], "--bucket"),
            (&["list", "--bucket", "b"], "--remote"),
        ] {
            let error = parsed(bad).unwrap_err();
            assert!(error.contains(word), "{bad:?}: {error}");
        }
    }
}
