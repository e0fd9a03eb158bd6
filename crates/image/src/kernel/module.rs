//! What a module of a kernel says of itself, in its section `.modinfo`.
//!
//! A module is an object file. It is parsed for that one section; it runs in a guest, never here.

use std::fmt;

use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};

use crate::kernel::bounds::KernelBounds;
use crate::kernel::release::Release;

/// What a module is called by, in the way the kernel does: where its file's name has `-`, this has `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(String);

impl ModuleName {
    /// The module of this name, however it is spelled; none where no module can be called so.
    pub fn new(text: &str) -> Option<ModuleName> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_name = (1..=KernelBounds::MODULE).contains(&text.len()) && text.bytes().all(is_letter);
        is_name.then(|| ModuleName(text.replace('-', "_")))
    }

    /// The module that a file of this name holds: `virtio-rng.ko`, `virtio-rng.ko.xz`.
    pub(super) fn of_file(name: &[u8]) -> Option<ModuleName> {
        let name = std::str::from_utf8(name).ok()?;
        let ends = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];
        ModuleName::new(ends.iter().find_map(|end| name.strip_suffix(end))?)
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a module says of itself, as far as it matters to those who load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleInfo {
    /// The kernel that it was built for.
    pub(super) release: Release,
    /// What has to be there before it, or it cannot be linked.
    pub(super) depends: Vec<ModuleName>,
    /// What it asks the kernel for when it starts: names of modules, or what else those are known by.
    pub(super) asks_for: Vec<ModuleName>,
    /// What else it is known by.
    pub(super) aliases: Vec<ModuleName>,
}

/// Why a file is no module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModuleFault {
    /// It is something else, or damaged.
    #[error("is no object file for 64 bits with a section `.modinfo`")]
    NoModule,
    /// What it says makes no sense.
    #[error("does not say for which kernel it was built")]
    NoRelease,
    /// It needs what cannot be a module.
    #[error("depends on something that cannot be the name of a module")]
    Depends,
}

impl ModuleInfo {
    /// Reads it from the whole file, unpacked.
    pub(super) fn read(file: &[u8]) -> Result<ModuleInfo, ModuleFault> {
        let elf: ElfFile64<'_> = ElfFile64::parse(file).map_err(|_| ModuleFault::NoModule)?;
        let section = elf.section_by_name(".modinfo").ok_or(ModuleFault::NoModule)?;
        ModuleInfo::of_section(section.data().map_err(|_| ModuleFault::NoModule)?)
    }

    fn of_section(section: &[u8]) -> Result<ModuleInfo, ModuleFault> {
        let (mut release, mut depends, mut asks_for, mut aliases) = (None, Vec::new(), Vec::new(), Vec::new());
        for (key, value) in said(section) {
            match key {
                "vermagic" => release = value.split(' ').next().and_then(|word| word.parse().ok()),
                "depends" => {
                    let names = value.split(',').filter(|name| !name.is_empty()).map(ModuleName::new);
                    depends.extend(names.collect::<Option<Vec<_>>>().ok_or(ModuleFault::Depends)?);
                }
                "softdep" => asks_for.extend(before(value)),
                // Others are patterns, for devices.
                "alias" => aliases.extend(ModuleName::new(value)),
                _ => {}
            }
        }
        Ok(ModuleInfo { release: release.ok_or(ModuleFault::NoRelease)?, depends, asks_for, aliases })
    }

    /// Bytes that it takes, about.
    pub(super) fn metadata(&self) -> u64 {
        let names = self.depends.iter().chain(&self.asks_for).chain(&self.aliases);
        names.map(|name| (name.0.len() + size_of::<ModuleName>()) as u64).sum::<u64>() + size_of::<ModuleInfo>() as u64
    }
}

/// The pairs of a section: `key=value`, each with a NUL behind it.
pub(super) fn said(section: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    section.split(|byte| *byte == 0).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
}

/// What a soft dependency wants to have been loaded before: `pre: one another post: a third`. What comes after does not matter here.
fn before(softdep: &str) -> impl Iterator<Item = ModuleName> {
    let mut is_before = false;
    softdep.split_ascii_whitespace().filter_map(move |word| {
        match word {
            "pre:" => is_before = true,
            "post:" => is_before = false,
            name if is_before => return ModuleName::new(name),
            _ => {}
        }
        None
    })
}

/// A module with nothing but its section.
#[cfg(test)]
pub(super) fn module(says: &[&str]) -> Vec<u8> {
    let names = b"\0.modinfo\0.shstrtab\0";
    let info: Vec<u8> = says.iter().flat_map(|pair| pair.bytes().chain([0])).collect();
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7FELF\x02\x01\x01");
    let number = |file: &mut Vec<u8>, at: usize, value: u64, length: usize| {
        file[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
    };
    // A relocatable file for x86-64, with three sections behind names and info.
    let sections = (64 + names.len() + info.len()).next_multiple_of(8);
    for (at, value, length) in [
        (16, 1, 2),
        (18, 62, 2),
        (20, 1, 4),
        (40, sections as u64, 8),
        (52, 64, 2),
        (58, 64, 2),
        (60, 3, 2),
        (62, 2, 2),
    ] {
        number(&mut file, at, value, length);
    }
    file.extend(names);
    file.extend(&info);
    file.resize(sections + 3 * 64, 0);
    for (section, name, kind, start, length) in [(1, 1, 1, 64 + names.len(), info.len()), (2, 10, 3, 64, names.len())] {
        let at = sections + section * 64;
        for (offset, value, length) in
            [(0, name, 4), (4, kind, 4), (24, start as u64, 8), (32, length as u64, 8), (48, 1, 8)]
        {
            number(&mut file, at + offset, value, length);
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<ModuleName> {
        names.iter().map(|name| ModuleName::new(name).unwrap()).collect()
    }

    #[test]
    fn a_module_says_what_it_needs_and_what_it_is_known_by() {
        let file = module(&[
            "license=GPL",
            "alias=crypto-crc32c",
            "alias=acpi*:LNRO0005:*",
            "softdep=pre: crc32c sha-1 post: other",
            "depends=virtio,virtio-ring",
            "retpoline=Y",
            "vermagic=6.1.0-x SMP preempt mod_unload ",
        ]);
        assert_eq!(
            ModuleInfo::read(&file),
            Ok(ModuleInfo {
                release: "6.1.0-x".parse().unwrap(),
                depends: names(&["virtio", "virtio_ring"]),
                asks_for: names(&["crc32c", "sha_1"]),
                aliases: names(&["crypto_crc32c"]),
            })
        );
    }

    #[test]
    fn a_file_is_called_as_its_module_or_holds_none() {
        for file in ["virtio-rng.ko", "virtio_rng.ko.xz", "virtio-rng.ko.zst", "virtio-rng.ko.gz"] {
            assert_eq!(ModuleName::of_file(file.as_bytes()), ModuleName::new("virtio_rng"), "{file}");
        }
        for file in
            ["", ".ko", "a.ko.bz2", "a", "..ko", "a/b.ko", "a b.ko", "\u{e4}.ko", &format!("{}.ko", "a".repeat(56))]
        {
            assert_eq!(ModuleName::of_file(file.as_bytes()), None, "{file}");
        }
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let whole = module(&["depends=", "vermagic=6.1.0-x SMP"]);
        assert!(ModuleInfo::read(&whole).is_ok());
        for length in 0..whole.len() - 64 {
            assert!(ModuleInfo::read(&whole[..length]).is_err(), "{length}");
        }
        for (says, fault) in [
            (&["depends="][..], ModuleFault::NoRelease),
            (&["vermagic=../x SMP"], ModuleFault::NoRelease),
            (&["vermagic=6.1 SMP", "depends=../a"], ModuleFault::Depends),
        ] {
            assert_eq!(ModuleInfo::read(&module(says)), Err(fault), "{says:?}");
        }
    }

    #[test]
    fn whatever_is_changed_in_a_module_it_is_read_or_refused() {
        let whole = module(&["depends=a,b", "vermagic=6.1.0-x SMP"]);
        for at in 0..whole.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = ModuleInfo::read(&changed);
            }
        }
    }
}
