//! `firebox snapshot`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use firebox_image::SnapshotName;

use crate::args::{CreateSnapshotArgs, DownloadSnapshotArgs, ListSnapshotsArgs, UploadSnapshotArgs};

const EXAMPLES: &str = "\
Examples:
  firebox snapshot create --lang rust --mem 512 --vcpus 1
  firebox snapshot list
  firebox snapshot inspect rust-512-1
  firebox snapshot remove rust-512-1 python-512-1
  firebox snapshot upload --lang rust --bucket llm-firecracker
  firebox snapshot download --lang rust --mem 512 --vcpus 1 --bucket llm-firecracker
  firebox snapshot list --remote --bucket llm-firecracker";

/// Keeps snapshots: microVMs that were frozen when their language was ready, from which others go on.
///
/// One is called by its language, the memory that its jobs are promised in MiB, and how many processors it has: `rust-512-1`. What was in
/// the machine's memory is in there, so nobody but its owner may read it. Any number of processes may use the directory at the same
/// time, and whichever is killed leaves it sound. Snapshots travel from host to host through buckets of S3, of what speaks as S3 does, of Google and
/// of Azure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SnapshotArgs {
    /// The directory for what firebox keeps of this user; snapshots are in `snapshots` below it
    /// [default: firebox in XDG_DATA_HOME, or in ~/.local/share].
    #[arg(long, value_name = "DIRECTORY", env = "FIREBOX_HOME", global = true)]
    pub(crate) home: Option<PathBuf>,
    /// Prints one line of JSON instead.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: SnapshotCommand,
}

/// What to do with snapshots.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    Create(CreateSnapshotArgs),
    Upload(Box<UploadSnapshotArgs>),
    Download(Box<DownloadSnapshotArgs>),
    List(ListSnapshotsArgs),
    /// Shows all that is known of a snapshot, and reads all of it, to see whether it is what was frozen.
    Inspect {
        /// The snapshot's name.
        #[arg(value_name = "NAME")]
        name: SnapshotName,
    },
    /// Removes snapshots. Machines that were made of them go on.
    Remove {
        /// The snapshots' names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<SnapshotName>,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    #[test]
    fn what_names_no_snapshot_is_refused_with_what_would() {
        let parsed = |words: &[&str]| {
            let line = [&["firebox", "snapshot"], words].concat();
            crate::args::Args::try_parse_from(line).map(drop).map_err(|error| error.to_string())
        };
        for good in [&["list"][..], &["inspect", "rust-512-1"], &["remove", "rust-512-1", "c++-64-2", "--json"]] {
            assert_eq!(parsed(good), Ok(()), "{good:?}");
        }
        for (bad, word) in [
            (&["inspect", "rust"][..], "such as `rust-512-1`"),
            (&["inspect", "../x-512-1"], "such as `rust-512-1`"),
            (&["inspect"], "<NAME>"),
            (&["remove"], "<NAME>"),
            (&["remove", "rust-512-1", "rust-512"], "`rust-512` names no snapshot"),
        ] {
            let error = parsed(bad).unwrap_err();
            assert!(error.contains(word), "{bad:?}: {error}");
        }
    }
}
