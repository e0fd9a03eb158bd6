//! The disk of a guest: BusyBox in an image, as `firebox rootfs` makes it a filesystem image.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use firebox_image::{DockerArchive, Platform, Request, Store, take_in};

use crate::saved::archive_of;

/// What of BusyBox's a step uses.
const PROGRAMS: [&str; 4] = ["sh", "id", "cat", "sha256sum"];

/// A filesystem image with BusyBox in it, opened. Its name is gone.
pub(crate) fn busybox() -> File {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let archive = archive_in(place);
    let store = Store::open(&place.join("store"), None).unwrap();
    let source = DockerArchive::open(&archive, None).unwrap();
    let request = Request {
        name: "busybox".parse().unwrap(),
        from: "a test".to_owned(),
        platform: Platform::of_this_host(),
        size: 1 << 30,
        parallel: 1,
    };
    take_in(&store, &source, &request, &|_| ()).unwrap_or_else(|error| panic!("{error}"));
    let held = store.filesystem_image(&request.name).unwrap().expect("it was taken in a moment ago");
    File::open(held.path()).unwrap()
}

/// A disk of zeros.
pub(crate) fn blank() -> File {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[0; 1 << 16]).unwrap();
    File::open(file.path()).unwrap()
}

/// What `docker save` would write.
fn archive_in(place: &Path) -> PathBuf {
    let root = place.join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(on_path("busybox"), root.join("bin/busybox")).unwrap();
    for program in PROGRAMS {
        symlink("busybox", root.join("bin").join(program)).unwrap();
    }
    archive_of(&root)
}

fn on_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("these tests need `{program}`: Debian's `busybox-static` brings it"))
}
