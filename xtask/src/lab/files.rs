//! All files there are in the lab, as an initramfs: BusyBox, the tests with their libraries, what of the repository they read, and Debian's kernel, both
//! as the modules of the lab's own and for the tests to boot.
//!
//! Test programs know folders of the build by their names, so what is theirs is in there by the name it has outside.

// One thing that kernels begin with, written in one place.
#[path = "../../../crates/vmm/tests/kit/initramfs.rs"]
mod initramfs;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::initramfs::Initramfs;
use super::equipment::Equipment;
use super::programs::{Program, libraries};
use crate::repository::Repository;

/// The first process.
const INIT: &str = include_str!("init.sh");
/// What of the repository is read by tests: seeds; and sources, by which a failed property test finds where to keep what it has found.
const READ: [&str; 2] = ["crates/vmm", "fuzz/seeds/devices"];
/// What of the kernel's modules is of use: KVM, and drivers of virtio devices. All of them would be 90 MB.
const MODULES: [&str; 6] =
    ["arch/x86/kvm", "virt/lib", "drivers/virtio", "drivers/block", "drivers/char/hw_random", "net/vmw_vsock"];

/// Writes it.
pub(super) fn write(to: &Path, repository: &Repository, equipment: &Equipment, programs: &[Program]) -> Result<()> {
    let mut files = ["dev", "proc", "sys", "tmp"].into_iter().fold(Initramfs::default(), Initramfs::folder);
    files = files.file("init", INIT.as_bytes()).file("lab/programs", list(programs).as_bytes());
    files = files.file("bin/busybox", &read(&equipment.busybox)?);
    let run = programs.iter().map(|program| program.path.as_path());
    for library in libraries(run.clone().chain([equipment.busybox.as_path()]))? {
        files = files.file(&inside(&library), &read(&library)?);
    }
    for program in run {
        files = files.file(&inside(program), &read(program)?);
    }
    for file in repository.files()?.iter().filter(|file| READ.iter().any(|folder| file.starts_with(folder))) {
        let outside = repository.root().join(file);
        files = files.file(&inside(&outside), &read(&outside)?);
    }
    for (name, file) in of_the_kernel(equipment)? {
        files = files.file(&inside(&Path::new("kernel").join(name)), &read(&file)?);
    }
    fs::write(to, files.bytes()).with_context(|| format!("cannot write {}", to.display()))
}

/// For `init.sh`: a name, where it is run, what is run.
fn list(programs: &[Program]) -> String {
    let lines = programs
        .iter()
        .map(|Program { name, path, folder }| format!("{name} {} {}\n", folder.display(), path.display()));
    lines.collect()
}

/// Without the stroke that paths of an initramfs do not begin with.
fn inside(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').to_owned()
}

/// The packed kernel and the modules, by their names in its folder.
fn of_the_kernel(equipment: &Equipment) -> Result<Vec<(PathBuf, PathBuf)>> {
    let folder = equipment.kernel.folder();
    let mut files = vec![equipment.kernel.image().to_owned()];
    for version in folder_of(&folder.join("lib/modules"))? {
        for below in MODULES {
            files.extend(folder_of(&version.join("kernel").join(below))?.into_iter().filter(|path| path.is_file()));
        }
    }
    files.into_iter().map(|file| Ok((file.strip_prefix(folder)?.to_owned(), file))).collect()
}

fn folder_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
