//! `firebox freeze`, as typed: by firebox itself.

use clap::Args;
use firebox_image::{Digest, ImageName, KernelName};
use firebox_job::ByteSize;

/// Boots a microVM, has a language made ready in it, and freezes it into two empty files, which are its standard input (for the state) and output (for the
/// memory), for the firebox that keeps it.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// The language.
    #[arg(long)]
    pub(crate) lang: String,
    /// The image that it is on.
    #[arg(long)]
    pub(crate) image: ImageName,
    /// What the image's tree has to be.
    #[arg(long)]
    pub(crate) tree: Digest,
    /// The kernel.
    #[arg(long)]
    pub(crate) kernel: KernelName,
    /// What jobs are promised.
    #[arg(long)]
    pub(crate) memory: ByteSize,
    /// The same, of processors.
    #[arg(long)]
    pub(crate) vcpus: u32,
    /// Who keeps it: this ends with that process.
    #[arg(long)]
    pub(crate) keeper: i32,
}
