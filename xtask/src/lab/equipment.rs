//! What the lab consists of: QEMU, which is the PC; Debian's kernel, which runs on it, and another for guests; BusyBox, which brings it up; what a Debian is made with, for the
//! tests; and servers of S3 and of images, which images and snapshots travel over.
//!
//! As root on Debian or a relative of it what is missing is installed; the kernels are only unpacked, into the directory for builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::kernel::{Flavour, Kernel};
use crate::host_packages::{all_needed, needed};
use crate::repository::Repository;
use crate::s3_server::S3Server;

/// Where each is.
#[derive(Debug)]
pub(crate) struct Equipment {
    place: PathBuf,
    pub(super) qemu: PathBuf,
    pub(super) busybox: PathBuf,
    pub(super) kernel: Kernel,
    /// The one for all machines, for guests that want a driver which the other one has not.
    pub(super) generic_kernel: Kernel,
    pub(super) s3: S3Server,
    pub(super) registry: PathBuf,
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
        needed("strip", "binutils")?;
        let registry = needed("docker-registry", "docker-registry")?;
        let kernel = Kernel::fetch(Flavour::ForClouds, &place)?;
        let generic_kernel = Kernel::fetch(Flavour::ForAllMachines, &place)?;
        let s3 = S3Server::install(repository)?;
        Ok(Equipment { place, qemu, busybox, kernel, generic_kernel, s3, registry })
    }

    /// Tells tests outside of the lab of the kernels, so that they need not fetch them.
    pub(crate) fn hand_over(&self, command: &mut Command) {
        command.env("FIREBOX_TEST_KERNEL", self.kernel.folder());
        command.env("FIREBOX_TEST_GENERIC_KERNEL", self.generic_kernel.folder());
    }

    /// The lab's folder, in that for builds.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }
}
