//! Doors for a fuzzer, and there for it alone.

use std::io;

use crate::layer::entry::{Act, Content, Entry, Meaning};
use crate::layer::index::Index;
use crate::layer::tar::Archive;
use crate::tree::merge;

/// Reads layers and merges them, as on their way in, but nothing of them is written: how many entries the root filesystem
/// has; none where they are refused. Panics where something is taken that should not be.
pub fn entries(layers: &[&[u8]]) -> Option<u64> {
    let indexes = layers.iter().map(|layer| index(layer)).collect::<Option<Vec<Index>>>()?;
    let tree = merge(&indexes).ok()?;
    Some(tree.extent().entries)
}

fn index(layer: &[u8]) -> Option<Index> {
    let mut archive = Archive::new(layer);
    let mut index = Index::default();
    let mut number = 0;
    while let Some(header) = archive.next().ok()? {
        let entry = match Meaning::of(header).ok()? {
            Meaning::Nothing => continue,
            Meaning::Entry(entry) => entry,
            Meaning::File(path, meta) => {
                let size = io::copy(&mut archive.content(), &mut io::sink()).ok()?;
                number += 1;
                Entry { path, act: Act::File(meta, Content { number: number - 1, size, hash: [0; 32] }) }
            }
        };
        for part in entry.path.parts() {
            let leads_on =
                part.is_empty() || part == b"." || part == b".." || part.contains(&b'/') || part.contains(&0);
            assert!(!leads_on, "a part of a path is {}", part.escape_ascii());
        }
        index.push(entry);
    }
    archive.finish().ok()?;
    let written = index.encode();
    let again = Index::decode(&written).map(|again| again.encode()).ok();
    assert!(again.as_ref() == Some(&written), "an index is not read as it was written");
    Some(index)
}

/// Reads a package that holds a kernel, as on its way in, but nothing of it is written: how many modules a guest would load; none where it
/// is refused. Panics where something is taken that should not be.
pub fn modules(package: &[u8]) -> Option<usize> {
    crate::kernel::modules_of_package(package)
}

/// A package around an archive of files.
pub fn package(data: &[u8]) -> Vec<u8> {
    crate::kernel::package_around(data)
}
