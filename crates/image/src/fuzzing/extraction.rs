//! Layers of strangers, laid out.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::bounds::Bounds;
use crate::document::Platform;
use crate::source::memory::InMemory;
use crate::store::Store;
use crate::take_in::{Request, take_in};
use crate::tree::{BLOCK, INODE};

/// What the image may take.
const SIZE: u64 = 1 << 20;
/// What the store may have beside the layers' files: indexes, documents, the layers as they came, a filesystem image.
const BESIDE: u64 = 8 << 20;

/// What is beside the store: its name and its content.
const NEIGHBOUR: (&str, &str) = ("neighbour", "untouched");

/// Takes an image of these layers into a store in `place`, a directory that is empty and the caller's, as any image is taken in: whether it was.
/// Panics where something is there that should not be.
pub fn extract(place: &Path, layers: &[&[u8]]) -> bool {
    let neighbour = place.join(NEIGHBOUR.0);
    write(&neighbour);
    let before = look(&neighbour);
    let store = Store::open(&place.join("store"), None).unwrap_or_else(|error| panic!("{error}"));
    let image = InMemory::of(layers, <[u8]>::to_vec);
    let name = "x".parse().unwrap_or_else(|error| panic!("{error}"));
    let platform = Platform::of_this_host();
    let request = Request { name, from: "fuzzing".to_owned(), platform, size: SIZE, parallel: 2 };
    let taken = take_in(&store, &image, &request, &|_| ());
    if let Ok(record) = &taken {
        assert!(record.bytes <= SIZE, "it takes {} bytes", record.bytes);
        let disk = store.filesystem_image(&request.name);
        let disk = disk.unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|| panic!("it has no name"));
        assert_eq!(look(disk.path()).len() % BLOCK, 0);
        let verified = store.verify().unwrap_or_else(|error| panic!("{error}"));
        assert!(verified.damages.is_empty(), "{verified:?}");
    }

    let mut names = names(place);
    names.sort();
    assert_eq!(names, [NEIGHBOUR.0, "store"], "something is there");
    let after = look(&neighbour);
    let of =
        |found: &Metadata| (found.ino(), found.mode(), found.nlink(), found.uid(), found.mtime(), found.mtime_nsec());
    assert_eq!(of(&before), of(&after), "what is beside the store was changed");
    assert_eq!(std::fs::read(&neighbour).ok().as_deref(), Some(NEIGHBOUR.1.as_bytes()), "it was written to");
    let bytes = look_at(store.path(), before.dev(), false);
    assert!(bytes <= Bounds::for_size(SIZE).unpacked + BESIDE, "it takes {bytes} bytes of the disk");
    taken.is_ok()
}

fn write(path: &Path) {
    std::fs::write(path, NEIGHBOUR.1).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

fn look(path: &Path) -> Metadata {
    path.symlink_metadata().unwrap_or_else(|error| panic!("cannot look at {}: {error}", path.display()))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Looks at everything in a directory, through no link, and counts the bytes of its files.
fn look_at(directory: &Path, device: u64, is_root_of_image: bool) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut bytes = 0;
    for entry in entries.flatten() {
        let (path, found) = (entry.path(), look(&entry.path()));
        let (kind, mode) = (found.file_type(), found.permissions().mode() & 0o7777);
        assert_eq!(found.dev(), device, "{} is elsewhere", path.display());
        assert_eq!(mode & 0o7000, 0, "{} has bits that no file is to have", path.display());
        if kind.is_dir() {
            let is_root = is_root_of_image || directory.parent().is_some_and(|above| above.ends_with("trees"));
            bytes += INODE + look_at(&path, device, is_root);
        } else if kind.is_symlink() {
            assert!(is_root_of_image, "{} is a link", path.display());
        } else {
            assert!(kind.is_file(), "{} is neither file nor directory", path.display());
            assert!(!is_root_of_image || mode & 0o222 == 0, "{} can be written to", path.display());
            // The names of a file in a tree are its layer's.
            bytes += if is_root_of_image { 0 } else { found.len() };
        }
    }
    bytes
}
