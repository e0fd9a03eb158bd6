//! A package, whole or not meant well, becomes a kernel that is kept, or changes nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lzma_rust2::{XzOptions, XzWriter};

use crate::kernel::ar::archive;
use crate::kernel::module::module;
use crate::kernel::*;
use crate::layer::tar::tests::Maker;
use crate::store::StoreError;

const RELEASE: &str = "6.1.0-x";
const INIT: &[u8] = b"the agent";

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut xz = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap();
    xz.write_all(bytes).unwrap();
    xz.finish().unwrap()
}

fn for_release(depends: &str) -> Vec<u8> {
    module(&[&format!("depends={depends}"), &format!("vermagic={RELEASE} SMP")])
}

/// All that a kernel needs, each module packed in another way.
fn tree() -> Maker {
    tree_of(b"packed", "")
}

/// The same with this kernel, and without this module.
fn tree_of(kernel: &[u8], left_out: &str) -> Maker {
    let files = [
        ("virtio_mmio.ko", for_release("virtio")),
        ("virtio-rng.ko.xz", xz(&for_release("virtio"))),
        ("virtio.ko.zst", zstd::encode_all(&for_release("")[..], 1).unwrap()),
        ("vmw_vsock_virtio_transport.ko", for_release("virtio")),
        ("unneeded.ko", for_release("")),
        ("overlay.ko", for_release("")),
    ];
    let tree = Maker::default().file(&format!("./boot/vmlinuz-{RELEASE}"), kernel);
    let tree = files
        .iter()
        .filter(|(name, _)| *name != left_out)
        .fold(tree, |tree, (name, content)| tree.file(&format!("./lib/modules/{RELEASE}/kernel/{name}"), content));
    let builtin = b"kernel/fs/erofs.ko\nkernel/virtio_blk.ko\n";
    tree.file(&format!("./lib/modules/{RELEASE}/modules.builtin"), builtin)
}

fn deb(data: &str, content: &[u8]) -> Vec<u8> {
    archive(&[("debian-binary", b"2.0\n"), ("control.tar.xz", b""), (data, content)])
}

struct Place {
    directory: tempfile::TempDir,
    kernels: Kernels,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let kernels = Kernels::open(&directory.path().join("kernels")).unwrap();
        Place { directory, kernels }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn fetch_from(&self, path: &Path, modules: Option<&Path>, bounds: KernelBounds) -> Result<NamedKernel, FetchError> {
        let unpack = |packed: &[u8]| match packed {
            b"packed" => Ok(b"\x7FELF unpacked".to_vec()),
            _ => Err("it is damaged".into()),
        };
        let request = KernelRequest {
            name: None,
            from: "x".to_owned(),
            check: &|_| Ok(None),
            tell: &|_| (),
            unpack: &unpack,
            init: INIT,
            bounds,
        };
        let source = KernelSource::File { path: path.to_owned(), modules: modules.map(Path::to_owned) };
        fetch_kernel(&self.kernels, &source, &request).map(|(_, kernel)| kernel)
    }

    fn fetch_bounded(&self, package: &[u8], bounds: KernelBounds) -> Result<NamedKernel, FetchError> {
        self.fetch_from(&self.file("package.deb", package), None, bounds)
    }

    fn fetch(&self, package: &[u8]) -> Result<NamedKernel, FetchError> {
        self.fetch_bounded(package, KernelBounds::default())
    }

    /// Every file that is kept, from the store's directory on.
    fn kept(&self) -> Vec<String> {
        let mut kept = Vec::new();
        let mut open = vec![self.kernels.path().to_owned()];
        while let Some(path) = open.pop() {
            match path.is_dir() {
                true => open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
                false => kept.push(path.strip_prefix(self.kernels.path()).unwrap().display().to_string()),
            }
        }
        kept.retain(|path| path != "lock" && path != "format");
        kept.sort();
        kept
    }
}

fn order(kernel: &NamedKernel) -> String {
    kernel.record.modules.iter().map(|module| module.name.to_string()).collect::<Vec<_>>().join(" ")
}

const ORDER: &str = "virtio virtio_mmio virtio_rng vmw_vsock_virtio_transport overlay";

#[test]
fn a_package_becomes_a_kernel_with_what_a_guest_needs_however_it_is_packed() {
    let tar = tree().end();
    let zst = zstd::encode_all(&tar[..], 1).unwrap();
    for (name, content) in [("data.tar", &tar), ("data.tar.xz", &xz(&tar)), ("data.tar.zst", &zst)] {
        let place = Place::new();
        let kernel = place.fetch(&deb(name, content)).unwrap();
        assert_eq!((kernel.record.release.to_string().as_str(), order(&kernel).as_str()), (RELEASE, ORDER));
        let name: KernelName = RELEASE.parse().unwrap();
        assert_eq!(place.kernels.find(&name).unwrap(), Some(kernel.clone()));
        let ready = place.kernels.ready(&name, INIT).unwrap().unwrap();
        assert_eq!(std::io::read_to_string(ready.kernel).unwrap(), "\x7FELF unpacked");
        let initramfs = String::from_utf8(std::io::read_to_string(ready.initramfs).unwrap().into_bytes()).unwrap();
        for word in ["init\0\0the agent", "modules/virtio_rng.ko\0", "modules/order\0", "virtio.ko\nvirtio_mmio.ko\n"] {
            assert!(initramfs.contains(word), "{word}");
        }
        let kept = place.kept();
        assert_eq!(kept.len(), 1 + 1 + 5 + 1 + 1, "{kept:?}");
        assert!(place.kernels.remove(&name).unwrap() && !place.kernels.remove(&name).unwrap());
        assert_eq!(place.kept(), [""; 0]);
    }
}

#[test]
fn a_kernel_by_itself_is_taken_with_a_directory_of_modules() {
    let place = Place::new();
    let kernel = [b"\x7FELF Linux version ", RELEASE.as_bytes(), b" (x)"].concat();
    let kernel = place.file("vmlinux", &kernel);
    for module in ["virtio_mmio", "virtio_blk", "virtio-rng", "vmw_vsock_virtio_transport", "erofs", "overlay"] {
        let packed = xz(&for_release(""));
        place.file(&format!("root/lib/modules/{RELEASE}/kernel/some/{module}.ko.xz"), &packed);
    }
    let root = place.directory.path().join("root");
    symlink("..", root.join("lib/modules").join(RELEASE).join("circle")).unwrap();
    let modules = root.join("lib/modules");
    let [first, ..] = [root.clone(), modules.clone(), modules.join(RELEASE)].map(|named| {
        let taken = place.fetch_from(&kernel, Some(&named), KernelBounds::default()).unwrap();
        assert_eq!(taken.record.modules.len(), 6, "{}", named.display());
        taken
    });
    assert_eq!(first.origin, KernelOrigin { from: "x".to_owned(), package: None, trust: Trust::Given });

    let error = place.fetch_from(&kernel, None, KernelBounds::default()).unwrap_err();
    assert!(error.to_string().contains("no modules of 6.1.0-x in `/lib/modules/6.1.0-x`"), "{error}");
    fs::write(modules.join(RELEASE).join("other.ko"), module(&["vermagic=6.1.0-y SMP"])).unwrap();
    let error = place.fetch_from(&kernel, Some(&root), KernelBounds::default()).unwrap_err();
    assert!(matches!(error, FetchError::Other { .. }), "{error}");
}

#[test]
fn what_is_no_kernel_is_refused_with_what_one_is_taken_from() {
    let place = Place::new();
    for (file, word) in
        [(&b""[..], "does not say which release"), (b"#!/bin/sh", "does not say"), (b"!<arch>\n", "it is empty")]
    {
        let error = place.fetch(file).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    let directory = place.directory.path().to_owned();
    let error = place.fetch_from(&directory, None, KernelBounds::default()).unwrap_err();
    assert!(error.to_string().contains("is a directory: a kernel is taken from a Debian package"), "{error}");
    let pipe = directory.join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    assert!(matches!(place.fetch_from(&pipe, None, KernelBounds::default()), Err(FetchError::Neither { .. })));
    assert_eq!(place.kept(), [""; 0]);
}

/// Each is refused with a word about why, and leaves nothing: neither in the store nor beside it.
#[test]
fn packages_that_are_not_meant_well_change_nothing() {
    let module_at = |name: &str| format!("lib/modules/{RELEASE}/{name}");
    let bomb = xz(&vec![0; 300 << 20]);
    let cases: Vec<(&str, Maker, &str)> = vec![
        ("climbs", tree().file("./../../tmp/evil", b"x"), "has a part `..`"),
        ("climbs within", tree().file("lib/modules/../../x.ko", b"x"), "has a part `..`"),
        ("two kernels", tree().file("boot/vmlinuz-6.2", b"packed"), "2 kernels in `boot`"),
        ("no kernel", Maker::default().file("x", b"x"), "0 kernels in `boot`"),
        (
            "a kernel that is a link",
            Maker::default().symlink(&format!("boot/vmlinuz-{RELEASE}"), "/etc/passwd"),
            "0 kernels",
        ),
        (
            "a module that is a link",
            tree_of(b"packed", "overlay.ko").symlink(&module_at("overlay.ko"), "/etc/passwd"),
            "no module `overlay`",
        ),
        ("a module twice", tree().file(&module_at("overlay.ko"), &for_release("")), "two modules `overlay`"),
        (
            "a module of another kernel",
            tree().file(&module_at("a.ko"), &module(&["vermagic=6.2 SMP"])),
            "was built for 6.2",
        ),
        ("no module", tree().file(&module_at("a.ko"), b"text"), "`a` is no object file"),
        ("a damaged kernel", tree_of(b"other", ""), "cannot be unpacked: it is damaged"),
        ("a module without end", tree().file(&module_at("a.ko.xz"), &bomb), "unpacks to more than"),
    ];
    for (what, maker, word) in cases {
        let place = Place::new();
        let error = place.fetch(&deb("data.tar.zst", &zstd::encode_all(&maker.end()[..], 1).unwrap()));
        let error = error.map(|kernel| order(&kernel)).unwrap_err();
        let said = said(&error);
        assert!(said.contains(word), "{what}: {said}");
        assert_eq!(place.kept(), [""; 0], "{what}");
        assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 2, "{what}: beside the store");
    }
}

#[test]
fn packages_that_are_none_change_nothing() {
    let tar = tree().end();
    let format = ("debian-binary", &b"2.0\n"[..]);
    for (members, word) in [
        (vec![format], "no `data.tar`"),
        (vec![("data.tar", &tar[..])], "format 2"),
        (vec![("debian-binary", b"3.0\n"), ("data.tar", &tar)], "format 2"),
        (vec![format, ("data.tar", &tar), ("data.tar.xz", b"")], "two of `data.tar`"),
        (vec![format, ("data.tar.bz2", b"BZh9")], "none of gzip, xz and zstd"),
        (vec![format, ("data.tar", &tar[..700])], "ends in the middle of an entry"),
        (vec![format, ("data.tar.xz", b"BZh9")], "damaged"),
        (vec![format, ("data.tar", b"")], "0 kernels"),
    ] {
        let place = Place::new();
        let error = said(&place.fetch(&archive(&members)).unwrap_err());
        assert!(error.contains(word), "{word}: {error}");
        assert_eq!(place.kept(), [""; 0], "{word}");
    }
}

#[test]
fn a_package_that_is_cut_anywhere_is_refused() {
    let place = Place::new();
    let whole = deb("data.tar.xz", &xz(&tree().end()));
    place.fetch(&whole).unwrap();
    place.kernels.remove(&RELEASE.parse().unwrap()).unwrap();
    let end = whole.len() - 1 - usize::from(whole.ends_with(b"\n"));
    for length in (0..end).step_by(61).chain(end - 20..end) {
        assert!(place.fetch(&whole[..length]).is_err(), "{length}");
        assert_eq!(place.kept(), [""; 0], "{length}");
    }
}

#[test]
fn every_bound_is_one() {
    let package = deb("data.tar", &tree().end());
    let length = package.len() as u64;
    let wide = KernelBounds { package: length, ..KernelBounds::default() };
    for (bounds, word) in [
        (KernelBounds { package: length - 1, ..wide.clone() }, "is the most for a kernel"),
        (KernelBounds { unpacked: 4000, ..wide.clone() }, "unpack to more than"),
        (KernelBounds { entries: 7, ..wide.clone() }, "more than 7 entries"),
        (KernelBounds { file: 100, ..wide.clone() }, "unpacks to more than 100 bytes"),
        (KernelBounds { metadata: 500, ..wide.clone() }, "modules say of themselves"),
        (KernelBounds { modules: 4, ..wide.clone() }, "more than 4 of its modules"),
        (KernelBounds { kept: 500, ..wide.clone() }, "that a guest needs take more"),
    ] {
        let place = Place::new();
        let error = said(&place.fetch_bounded(&package, bounds).unwrap_err());
        assert!(error.contains(word), "{word}: {error}");
        assert_eq!(place.kept(), [""; 0], "{word}");
    }
    Place::new().fetch_bounded(&package, wide).unwrap();
}

#[test]
fn what_was_damaged_is_found_and_brought_back() {
    let place = Place::new();
    let package = deb("data.tar", &tree().end());
    let kernel = place.fetch(&package).unwrap();
    let name: KernelName = RELEASE.parse().unwrap();
    let kept = |name: &str| {
        let found = place.kept().into_iter().find(|path| path.ends_with(name)).unwrap();
        place.kernels.path().join(found)
    };
    fs::write(kept("/kernel"), "cut").unwrap();
    assert!(matches!(place.kernels.ready(&name, INIT), Err(StoreError::DamagedKernel(_))));
    place.fetch(&package).unwrap();
    place.kernels.ready(&name, INIT).unwrap().unwrap();
    // What the initramfs is made of is looked at when it is made.
    fs::write(kept("/virtio.ko"), "other").unwrap();
    assert!(matches!(place.kernels.ready(&name, b"another agent"), Err(StoreError::DamagedKernel(_))));
    place.fetch(&package).unwrap();
    place.kernels.ready(&name, b"another agent").unwrap().unwrap();
    assert_eq!(place.kept().iter().filter(|path| path.contains("initramfs-")).count(), 1);
    // Which is not looked at, and made anew when the kernel is.
    let made = place.kept().into_iter().find(|path| path.contains("initramfs-")).unwrap();
    fs::write(place.kernels.path().join(made), "cut").unwrap();
    place.fetch(&package).unwrap();
    let ReadyKernel { initramfs, .. } = place.kernels.ready(&name, b"another agent").unwrap().unwrap();
    assert!(std::io::read_to_string(initramfs).is_ok_and(|archive| archive.starts_with("070701")));
    fs::write(kept("/record"), "{}").unwrap();
    assert!(matches!(place.kernels.find(&name), Err(StoreError::DamagedKernel(_))));
    assert_eq!(place.fetch(&package).unwrap(), kernel);
}

#[test]
fn a_name_stands_for_the_old_until_the_new_is_there_as_a_whole() {
    let place = Place::new();
    let old = place.fetch(&deb("data.tar", &tree().end())).unwrap();
    let ready = place.kernels.ready(&RELEASE.parse().unwrap(), INIT).unwrap().unwrap();
    let broken = tree().file("boot/vmlinuz-x/../..", b"");
    place.fetch(&deb("data.tar", &broken.end())).unwrap_err();
    assert_eq!(place.kernels.find(&RELEASE.parse().unwrap()).unwrap().as_ref(), Some(&old));
    let before = place.kept();
    let overlay = format!("./lib/modules/{RELEASE}/kernel/overlay.ko");
    let another = tree_of(b"packed", "overlay.ko").file(&overlay, &for_release("virtio"));
    let new = place.fetch(&deb("data.tar", &another.end())).unwrap();
    assert_ne!(new, old);
    place.kernels.sweep().unwrap();
    let kept = place.kept();
    assert!(before.iter().filter(|path| path.ends_with("/kernel")).all(|path| !kept.contains(path)), "{kept:?}");
    assert_eq!(std::io::read_to_string(ready.kernel).unwrap(), "\x7FELF unpacked");
}

fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
