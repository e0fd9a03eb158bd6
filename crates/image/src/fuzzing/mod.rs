//! Doors for a fuzzer, and there for it and for tests alone.

mod documents;
mod extraction;

use std::io;

pub use documents::document;
pub use extraction::extract;

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

const BLOCK: usize = 512;
/// Where the check sum of a header stands.
const SUM: std::ops::Range<usize> = 148..156;

/// Two layers of what a fuzzer makes up: the first byte says how many blocks the lower one has. Check sums are put right, since nobody would
/// find one by chance.
pub fn two_layers(bytes: &[u8]) -> Option<[Vec<u8>; 2]> {
    let (&lower, blocks) = bytes.split_first()?;
    let mut blocks = blocks.to_vec();
    put_right(&mut blocks);
    let upper = blocks.split_off((usize::from(lower) * BLOCK).min(blocks.len()));
    Some([blocks, upper])
}

/// Of each block but those of nothing, which end an archive.
fn put_right(blocks: &mut [u8]) {
    for block in blocks.chunks_exact_mut(BLOCK).filter(|block| block.iter().any(|byte| *byte != 0)) {
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What a fuzzer begins with, or has found once.
    fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
    }

    #[test]
    fn documents_that_a_fuzzer_begins_with_or_has_found_once() {
        let seeds = seeds("documents");
        let mut kinds: Vec<u8> = seeds.iter().map(|(_, seed)| seed[0]).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds, b"abcdklmnrstw", "one of each kind");
        for (name, seed) in seeds {
            assert!(super::document(&seed), "{name}");
        }
    }

    #[test]
    fn layers_that_a_fuzzer_begins_with_or_has_found_once() {
        let (mut taken, mut refused) = (0, 0);
        for (name, seed) in seeds("extraction").into_iter().chain(seeds("layers")) {
            let layers = super::two_layers(&seed).unwrap();
            let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
            let read = super::entries(&layers);
            let place = crate::workshop::workshop();
            let is_taken = super::extract(place.path(), &layers);
            assert!(!is_taken || read.is_some(), "{name}: laid out, but not read");
            if is_taken { taken += 1 } else { refused += 1 }
        }
        assert!(0 < taken && 0 < refused, "{taken} taken in, {refused} refused");
    }
}
