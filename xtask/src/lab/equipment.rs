//! What the lab consists of: QEMU, which is the PC; Debian's kernel, which runs on it; BusyBox, which brings it up; and what a Debian is made with, for the
//! tests.
//!
//! As root on Debian or a relative of it what is missing is installed; the kernel is only unpacked, into the directory for builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::kernel::Kernel;
use crate::host_packages::{all_needed, needed};
use crate::repository::Repository;

/// Where each is.
#[derive(Debug)]
pub(crate) struct Equipment {
    place: PathBuf,
    pub(super) qemu: PathBuf,
    pub(super) busybox: PathBuf,
    pub(super) kernel: Kernel,
}

impl Equipment {
    /// Installs what is missing.
    pub(crate) fn install(repository: &Repository) -> Result<Equipment> {
        let place = repository.metadata()?.target_directory.join("lab");
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let qemu = needed("qemu-system-x86_64", "qemu-system-x86")?;
        let busybox = needed("busybox", "busybox-static")?;
        needed("apt-get", "apt")?;
        all_needed(&["mmdebstrap", "skopeo", "umoci"])?;
        needed("mkfs.ext4", "e2fsprogs")?;
        Ok(Equipment { qemu, busybox, kernel: Kernel::fetch(&place)?, place })
    }

    /// Tells tests outside of the lab of the kernel, so that they need not fetch it.
    pub(crate) fn hand_over(&self, command: &mut Command) {
        command.env("FIREBOX_TEST_KERNEL", self.kernel.folder());
    }

    /// The lab's folder, in that for builds.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }
}
