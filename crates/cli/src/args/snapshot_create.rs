//! `firebox snapshot create`, as typed.

use clap::Args;
use firebox_image::{ImageName, KernelName};
use firebox_job::ByteSize;

use super::limits::parse_mib;

/// Boots a microVM, has a language made ready in it, and freezes it: jobs go on from there.
///
/// The compiler or interpreter is started as far as it comes without a job. Whoever asks for as much memory and as many processors later, or for less,
/// gets a machine that goes on from here. What was made before for the same language, memory and processors is replaced; machines that were made of it go on.
#[derive(Debug, Args)]
pub(crate) struct CreateSnapshotArgs {
    /// The language, by name or alias.
    #[arg(long, visible_alias = "language", value_name = "LANGUAGE")]
    pub(crate) lang: String,
    /// The image that it is on, by its name in `firebox rootfs list` [default: the one that is called as the language].
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<ImageName>,
    /// The kernel, by its name in `firebox kernel list` [default: the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) kernel: Option<KernelName>,
    /// Memory of a job's run, such as `512M` or `1G` [default: 512M].
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) memory: Option<ByteSize>,
    /// The same, as a number of MiB.
    #[arg(long, value_name = "MIB", conflicts_with = "memory", value_parser = parse_mib)]
    pub(crate) mem: Option<ByteSize>,
    /// CPUs that a job's run may use at once [default: 1].
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) vcpus: Option<u32>,
}
