//! What a fuzzer is let in by.

use std::io::Write;
use std::path::Path;

use crate::kernel::ar::archive;
use crate::kernel::bounds::KernelBounds;
use crate::kernel::debian;
use crate::kernel::needs::WANTED;
use crate::kernel::package::Package;
use crate::kernel::record::KernelRecord;
use crate::kernel::shelf::WrittenName;
use crate::kernel::source::{Opened, Survey};

/// How many modules a guest would load of those in a package; none where it is refused.
pub(crate) fn modules_of_package(package: &[u8]) -> Option<usize> {
    // Small enough for a fuzzer to reach each.
    let bounds =
        KernelBounds { unpacked: 1 << 20, entries: 500, metadata: 1 << 16, modules: 20, ..KernelBounds::default() };
    let memory = rustix::fs::memfd_create("package", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    let mut file = std::fs::File::from(memory);
    file.write_all(package).ok()?;
    let package = Package::open(file, Path::new("package"), &bounds).ok()?;
    let Survey { release, inventory } = Opened::of_package(package).survey(&bounds).ok()?;
    assert!(!release.to_string().contains('/'), "a release is {release}");
    assert!(inventory.modules.values().all(|module| module.release == release), "modules of two kernels");
    let needed = inventory.needed(&WANTED, bounds.modules).ok()?;
    assert!(needed.len() <= bounds.modules, "{} modules", needed.len());
    for (at, module) in needed.iter().enumerate() {
        assert!(!needed[..at].contains(module), "`{}` is loaded twice", module.name);
        for needs in &inventory.modules[&module.name].depends {
            let is_before = needed[..at].iter().any(|before| before.name == *needs);
            assert!(is_before || inventory.builtin.contains(needs), "`{needs}` comes after `{}`", module.name);
        }
    }
    Some(needed.len())
}

/// A package around an archive of files.
pub(crate) fn package_around(data: &[u8]) -> Vec<u8> {
    archive(&[("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar", data)])
}

/// What is written down of a kernel: read as it was written, and with no name that leads elsewhere.
pub(crate) fn record(bytes: &[u8]) {
    let Some(record) = KernelRecord::decode(bytes) else { return };
    let leads_on = |name: &str| name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']);
    assert!(!leads_on(&record.release.to_string()), "{record:?}");
    assert!(!record.modules.iter().any(|module| leads_on(&module.name.to_string())), "{record:?}");
    assert_eq!(KernelRecord::decode(&record.encode()).as_ref(), Some(&record));
}

/// What is written down under a kernel's name.
pub(crate) fn name(bytes: &[u8]) {
    let Some((kernel, origin)) = WrittenName::decode(bytes) else { return };
    assert_eq!(WrittenName::decode(&WrittenName::encode(&kernel, &origin)), Some((kernel, origin)));
}

/// What a mirror says of a suite, and of the packages in it: where they are is below the mirror.
pub(crate) fn list(bytes: &[u8]) {
    for place in debian::fuzzing::places(bytes) {
        assert!(!place.starts_with('/') && !place.split('/').any(|part| part.starts_with('.')), "{place:?}");
    }
}
