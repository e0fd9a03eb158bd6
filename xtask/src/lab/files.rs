//! All files there are in the lab, as an initramfs: BusyBox, Debian's kernel, both as the modules of the lab's own and for guests to boot, and what
//! it is there for.
//!
//! Test programs know folders of the build by their names, so what is copied is in there by the name it has outside.

// One thing that kernels begin with, written in one place.
#[path = "../../../crates/vmm/tests/kit/initramfs.rs"]
mod initramfs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

pub(super) use self::initramfs::Initramfs;
use super::equipment::Equipment;
use super::kernel::Kernel;
use crate::said::done;

/// What of the kernel's modules is of use: KVM, drivers of virtio devices, what images are read with, and a family of sockets that is attacked. All of them would be 90 MB.
const MODULES: [&str; 10] = [
    "arch/x86/kvm",
    "virt/lib",
    "drivers/virtio",
    "drivers/block",
    "drivers/char/hw_random",
    "net/netfilter",
    "net/vmw_vsock",
    "fs/erofs",
    "fs/overlayfs",
    "lib",
];
/// What the kernel has without modules.
const BUILT_IN: &str = "modules.builtin";

pub(super) struct Files {
    initramfs: Initramfs,
    /// What is in there by the name it has outside.
    copied: BTreeSet<PathBuf>,
}

impl Files {
    /// What a system needs whose first process is this script, for BusyBox.
    pub(super) fn of_system(equipment: &Equipment, init: &str) -> Result<Files> {
        let initramfs = ["dev", "proc", "sys", "tmp"].into_iter().fold(Initramfs::default(), Initramfs::folder);
        let mut files = Files { initramfs, copied: BTreeSet::new() };
        files.add("init", init.as_bytes());
        files.add_program("lab/busybox", &equipment.busybox)?;
        for (name, file) in of_the_kernel(equipment)? {
            files.add(&inside(&Path::new("kernel").join(name)), &read(&file)?);
        }
        Ok(files)
    }

    /// A packed kernel, in a folder as its package has it.
    pub(super) fn add_kernel(&mut self, folder: &str, kernel: &Kernel) -> Result<()> {
        let name = Path::new(folder).join(kernel.image().strip_prefix(kernel.folder())?);
        self.add(&inside(&name), &read(kernel.image())?);
        Ok(())
    }

    pub(super) fn add(&mut self, name: &str, contents: &[u8]) {
        self.initramfs = std::mem::take(&mut self.initramfs).file(name, contents);
    }

    /// A folder by its own name, with nothing in it.
    pub(super) fn add_folder(&mut self, folder: &Path) {
        self.initramfs = std::mem::take(&mut self.initramfs).folder(&inside(folder));
    }

    /// A program, with the libraries it is loaded with.
    pub(super) fn add_program(&mut self, name: &str, program: &Path) -> Result<()> {
        self.add(name, &read(program)?);
        self.copy_libraries(program)
    }

    fn copy_libraries(&mut self, program: &Path) -> Result<()> {
        libraries(program)?.iter().try_for_each(|library| self.copy(library))
    }

    /// A program of ours by its own name, likewise, and without what a debugger would read, which is nine tenths of it.
    pub(super) fn copy_program(&mut self, program: &Path) -> Result<()> {
        let stripped = NamedTempFile::new().context("cannot make a file")?;
        done(Command::new("strip").arg("--strip-debug").arg("-o").arg(stripped.path()).arg(program))?;
        self.add(&inside(program), &read(stripped.path())?);
        self.copy_libraries(program)
    }

    /// A file by its own name.
    pub(super) fn copy(&mut self, file: &Path) -> Result<()> {
        if self.copied.insert(file.to_owned()) {
            self.add(&inside(file), &read(file)?);
        }
        Ok(())
    }

    pub(super) fn write(self, to: &Path) -> Result<()> {
        fs::write(to, self.initramfs.bytes()).with_context(|| format!("cannot write {}", to.display()))
    }
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
        files.push(version.join(BUILT_IN));
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

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The shared libraries that a program is loaded with, the loader among them; none for one that needs none.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).stdin(Stdio::null()).output().context("cannot start ldd")?;
    // It fails for a program without any, and says so: whatever else is wrong, the program tells when it is run.
    libraries_in(&String::from_utf8_lossy(&output.stdout))
}

/// `libc.so.6 => /lib/libc.so.6 (0x00007f)` and `/lib64/ld-linux-x86-64.so.2 (0x00007f)`
fn libraries_in(said: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in said.lines() {
        ensure!(!line.contains("not found"), "a shared library is missing:{line}");
        let path = line.split_whitespace().find(|word| word.starts_with('/'));
        found.extend(path.map(PathBuf::from));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_files_and_the_kernels_own_is_none() {
        let said =
            "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x00007f)\n";
        assert_eq!(libraries_in(said).unwrap(), [PathBuf::from("/lib/libc.so.6"), PathBuf::from("/lib64/ld.so.2")]);
        assert!(libraries_in("\tlibx.so => not found\n").is_err());
        assert!(libraries_in("\tnot a dynamic executable\n").unwrap().is_empty());
    }
}
