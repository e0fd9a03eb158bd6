//! What a kernel is read from, whatever holds it: a walk over the parts that matter, which can be taken again.
//!
//! Names are compared, never followed: nothing that a package says leads to a file of the host. All that comes by is counted.

use std::io::{self, Read};

use crate::kernel::bounds::KernelBounds;
use crate::kernel::error::{FetchError, KernelExceeded};
use crate::kernel::module::ModuleName;
use crate::kernel::release::Release;
use crate::layer::path::EntryPath;

/// One part, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Of which kernel.
    pub(super) release: Release,
    pub(super) kind: PartKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PartKind {
    /// The kernel itself.
    Kernel,
    Module(ModuleName),
    /// The list of what is part of the kernel and could have been a module: a path on each line.
    Builtin,
    /// What these say of themselves.
    BuiltinInfo,
}

/// Told of each part, with its content. What it does not read is skipped.
pub(super) type Visit<'v> = &'v mut dyn FnMut(Part, &mut (dyn Read + Send)) -> Result<(), FetchError>;

/// Something that holds a kernel with its modules.
pub(super) trait Parts {
    /// Shows every part there is. Ends with the first error.
    fn walk(&self, visit: Visit<'_>) -> Result<(), FetchError>;
}

const MODULES: &[u8] = b"lib/modules/";
const KERNEL: &[u8] = b"boot/vmlinuz-";

impl Part {
    /// What a path in a package means; none where it means nothing to us.
    pub(super) fn at(path: &EntryPath) -> Option<Part> {
        let path = path.bytes();
        // Where `/lib` is a link, it is to there.
        let path = path.strip_prefix(b"usr/").filter(|rest| rest.starts_with(MODULES)).unwrap_or(path);
        if let Some(release) = path.strip_prefix(KERNEL) {
            return Some(Part { release: Release::of_bytes(release)?, kind: PartKind::Kernel });
        }
        let below = path.strip_prefix(MODULES)?;
        let slash = below.iter().position(|byte| *byte == b'/')?;
        let (release, within) = (Release::of_bytes(&below[..slash])?, &below[slash + 1..]);
        Some(Part { release, kind: PartKind::within(within)? })
    }
}

impl PartKind {
    /// What a path in the directory of a kernel's modules means.
    pub(super) fn within(path: &[u8]) -> Option<PartKind> {
        match path {
            b"modules.builtin" => Some(PartKind::Builtin),
            b"modules.builtin.modinfo" => Some(PartKind::BuiltinInfo),
            _ => {
                let name = path.rsplit(|byte| *byte == b'/').next()?;
                ModuleName::of_file(name).map(PartKind::Module)
            }
        }
    }
}

/// Bytes and entries that have come by, and how many may.
pub(super) struct Counter<'b> {
    bounds: &'b KernelBounds,
    entries: u64,
    bytes: u64,
}

impl<'b> Counter<'b> {
    pub(super) fn new(bounds: &'b KernelBounds) -> Counter<'b> {
        Counter { bounds, entries: 0, bytes: 0 }
    }

    pub(super) fn entry(&mut self) -> Result<(), KernelExceeded> {
        self.entries += 1;
        let most = self.bounds.entries;
        if most < self.entries { Err(KernelExceeded::Entries(most)) } else { Ok(()) }
    }

    pub(super) fn bytes(&mut self, more: u64) -> Result<(), KernelExceeded> {
        self.bytes = self.bytes.saturating_add(more);
        let most = self.bounds.unpacked;
        if most < self.bytes { Err(KernelExceeded::Unpacked(most)) } else { Ok(()) }
    }
}

/// All of a part, if it is not larger than it may be.
pub(super) fn read_whole(input: &mut dyn Read, most: u64, what: &str) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    let read = input.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| of_reading(what, error))?;
    if most < bytes.len() as u64 {
        return Err(KernelExceeded::File { what: what.to_owned(), most }.into());
    }
    Ok(bytes)
}

/// What an error of reading a part is: of what was read, or of its bound, which whoever counts has put into it.
pub(super) fn of_reading(what: &str, error: io::Error) -> FetchError {
    match error.downcast::<KernelExceeded>() {
        Ok(exceeded) => exceeded.into(),
        Err(source) => FetchError::Part { what: what.to_owned(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_a_part_or_nothing() {
        let part = |path: &str| Part::at(&EntryPath::new(path.as_bytes()).unwrap());
        let of = |kind| Some(Part { release: "6.1-x".parse().unwrap(), kind });
        let module = |name| PartKind::Module(ModuleName::new(name).unwrap());
        assert_eq!(part("./boot/vmlinuz-6.1-x"), of(PartKind::Kernel));
        assert_eq!(part("./lib/modules/6.1-x/kernel/fs/erofs/erofs.ko"), of(module("erofs")));
        assert_eq!(part("usr/lib/modules/6.1-x/virtio-rng.ko.zst"), of(module("virtio_rng")));
        assert_eq!(part("lib/modules/6.1-x/modules.builtin"), of(PartKind::Builtin));
        assert_eq!(part("lib/modules/6.1-x/modules.builtin.modinfo"), of(PartKind::BuiltinInfo));
        for path in [
            "boot/vmlinuz",
            "boot/vmlinuz-",
            "boot/vmlinuz-6/x",
            "usr/boot/vmlinuz-6.1-x",
            "boot/config-6.1-x",
            "lib/modules/6.1-x",
            "lib/modules/x/a.ko",
            "usr/usr/lib/modules/6.1-x/a.ko",
            "lib/modules/6.1-x/kernel/modules.builtin",
            "lib/modules/6.1-x/a.ko/b",
            "",
        ] {
            assert_eq!(part(path), None, "{path}");
        }
    }
}
