//! What a machine is made of.

use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

use firebox_cell::{Mount, View};
use firebox_job::ByteSize;

/// What machines of one kind are made of. Decided by trusted code before anything hostile is near, as what cells show is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// The kernel.
    pub kernel: PathBuf,
    /// What it begins with.
    pub initramfs: PathBuf,
    /// The image, as a file system of whole sectors.
    pub disk: Option<PathBuf>,
    /// The guest's memory.
    pub memory: ByteSize,
    /// Its processors.
    pub vcpus: NonZeroU8,
}

/// Where the parts are in the view by which a warden keeps them.
pub(crate) const KERNEL: &str = "/kernel";
pub(crate) const INITRAMFS: &str = "/initramfs";
pub(crate) const DISK: &str = "/disk";

impl Blueprint {
    /// The files, as a warden keeps what cells show: what it has once, no renaming on the host changes.
    pub(crate) fn view(&self) -> View {
        let Blueprint { kernel, initramfs, disk, memory: _, vcpus: _ } = self;
        let mount = |outside: &Path, inside: &str| Mount { outside: outside.to_owned(), inside: inside.into() };
        let disk = disk.iter().map(|disk| mount(disk, DISK));
        let mounts = [mount(kernel, KERNEL), mount(initramfs, INITRAMFS)].into_iter().chain(disk);
        View { mounts: mounts.collect(), ..View::default() }
    }
}
