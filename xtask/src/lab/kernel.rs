//! Debian's kernel for clouds, and that for all machines: downloaded, unpacked and never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::host_packages::{may_install, refresh_lists};
use crate::said::{done, said};

/// Which kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// With drivers of virtual machines alone. The lab's own, and what guests boot.
    ForClouds,
    /// With all drivers, of which nothing is kept but what is built in.
    ForAllMachines,
}

impl Flavour {
    /// The package that names the newest.
    fn newest(self) -> &'static str {
        match self {
            Flavour::ForClouds => "linux-image-cloud-amd64",
            Flavour::ForAllMachines => "linux-image-amd64",
        }
    }
}

/// The unpacked package.
#[derive(Debug)]
pub(super) struct Kernel {
    folder: PathBuf,
    image: PathBuf,
}

impl Kernel {
    /// The newest there is, unpacked below `place` unless it is there already.
    pub(super) fn fetch(flavour: Flavour, place: &Path) -> Result<Kernel> {
        match Kernel::listed(flavour, place) {
            // A machine may have no package lists, or such as name what is not to be had any more.
            Err(_) if may_install() => {
                refresh_lists()?;
                Kernel::listed(flavour, place)
            }
            found => found,
        }
    }

    /// The newest that this machine's package lists know of.
    fn listed(flavour: Flavour, place: &Path) -> Result<Kernel> {
        let newest = flavour.newest();
        let depends = said(Command::new("apt-cache").args(["depends", newest]))?;
        let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        let package = package.with_context(|| format!("`apt-cache depends {newest}` names no package"))?;
        let folder = place.join(package);
        if !folder.is_dir() {
            unpack(flavour, package, place, &folder)?;
        }
        let boot = folder.join("boot");
        let files = fs::read_dir(&boot).with_context(|| format!("cannot list {}", boot.display()))?;
        let files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<PathBuf>>>()?;
        let is_image =
            |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"));
        let image = files.iter().find(is_image).with_context(|| format!("the package {package} holds no kernel"))?;
        Ok(Kernel { image: image.clone(), folder })
    }

    /// Its packed kernel.
    pub(super) fn image(&self) -> &Path {
        &self.image
    }

    /// Its `boot`, and its `lib/modules` if they are kept.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

fn unpack(flavour: Flavour, package: &str, place: &Path, to: &Path) -> Result<()> {
    println!("unpacking {package} into {}", place.display());
    let folder = tempfile::tempdir_in(place).context("cannot make a folder for a download")?;
    done(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(&folder))?;
    let archive = fs::read_dir(&folder)?.next().context("apt-get has downloaded nothing")??.path();
    let unpacked = folder.path().join("unpacked");
    done(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&unpacked))?;
    if flavour == Flavour::ForAllMachines {
        // They are 400 MB.
        fs::remove_dir_all(unpacked.join("lib")).context("cannot remove the modules of a kernel")?;
    }
    // As a whole or not at all.
    fs::rename(&unpacked, to).with_context(|| format!("cannot put the kernel at {}", to.display()))
}
