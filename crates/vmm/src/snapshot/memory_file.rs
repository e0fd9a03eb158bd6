//! The memory of a frozen machine, in a file: as long as the memory and in the order of its addresses, without the gap between, and with a hole wherever a page is
//! zero. Nothing else is in there, so it can be mapped as it is.
//!
//! A clone finds its memory by mapping it, and reads a page when its guest does. To look for the digest at each restore would be to read all of it, a
//! hundred times as long as everything else takes. So that is for whoever stores it; a clone looks at the length.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, SeekFrom, fcntl_getfl, seek};
use rustix::io::Errno;
use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress};

use crate::memory::{Memory, MemorySize};

/// What a machine's memory held: of all pages that are not zero, where they are and what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

/// Why a file is not the memory of a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum OtherMemory {
    /// It cannot be read.
    #[error("cannot read the memory of the snapshot: {0}")]
    Unread(#[from] io::Error),
    /// It is a directory, a pipe, or another thing.
    #[error("the memory of a snapshot has to be a regular file")]
    NotAFile,
    /// It could be written to through this descriptor.
    #[error("the memory of a snapshot has to be opened for reading alone, so that no clone can ever write to it")]
    Writable,
    /// It has another length.
    #[error(
        "the memory of the snapshot has {found} bytes and should have {expected}: fetch it, or make the snapshot, again"
    )]
    Length {
        /// How long it is.
        found: u64,
        /// How long it should be.
        expected: u64,
    },
    /// Something else is in it.
    #[error(
        "what is in the memory of the snapshot is not what was written there: fetch it, or make the snapshot, again"
    )]
    Contents,
}

const PAGE: usize = 4096;
const ZEROS: [u8; PAGE] = [0; PAGE];
/// At a time.
const PART: usize = 64 * PAGE;

/// Writes all of the memory to a file, which has to be empty. The machine is at rest.
///
/// A file that clones have mapped would be taken from under them: what is cut off is gone from private mappings, too, and who reads there is killed.
pub(crate) fn write(memory: &Memory, file: &File) -> io::Result<Digest> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() != 0 {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it has to go into a new file, in which nothing is yet",
        ));
    }
    let (mut pages, mut buffer) = (Pages::default(), vec![0; PART]);
    let mut begins = 0_u64;
    for region in memory.iter() {
        let mut at = 0;
        while at < region.len() {
            let part = part_of(&mut buffer, region.len().saturating_sub(at));
            region.read_slice(part, MemoryRegionAddress(at)).map_err(io::Error::other)?;
            for (place, page) in full_pages(part, begins.saturating_add(at)) {
                pages.add(place, page);
                file.write_all_at(page, place)?;
            }
            at = at.saturating_add(part.len() as u64);
        }
        begins = begins.saturating_add(region.len());
    }
    file.set_len(begins)?;
    Ok(pages.digest())
}

/// Reads all of a file that is not a hole.
pub(super) fn digest(file: &File) -> io::Result<Digest> {
    let (mut pages, mut buffer) = (Pages::default(), vec![0; PART]);
    let length = file.metadata()?.len();
    let mut at = 0;
    while at < length {
        at = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data & !(PAGE as u64).saturating_sub(1),
            // There is nothing but a hole.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let part = part_of(&mut buffer, length.saturating_sub(at));
        file.read_exact_at(part, at)?;
        full_pages(part, at).for_each(|(place, page)| pages.add(place, page));
        at = at.saturating_add(part.len() as u64);
    }
    Ok(pages.digest())
}

/// Whether a clone may be made of a file: it is as long as such a memory, and nobody writes to it who has this descriptor.
pub(crate) fn check_for_clone(file: &File, size: MemorySize) -> Result<(), OtherMemory> {
    check_length(file, size)?;
    let flags = fcntl_getfl(file).map_err(io::Error::from)?;
    if flags & OFlags::RWMODE == OFlags::RDONLY { Ok(()) } else { Err(OtherMemory::Writable) }
}

/// Whether a file is as long as such a memory.
pub(super) fn check_length(file: &File, size: MemorySize) -> Result<(), OtherMemory> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(OtherMemory::NotAFile);
    }
    let (found, expected) = (metadata.len(), size.to_bytes());
    if found == expected { Ok(()) } else { Err(OtherMemory::Length { found, expected }) }
}

fn part_of(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let length = usize::try_from(left).unwrap_or(PART).min(PART);
    buffer.get_mut(..length).unwrap_or_default()
}

/// The pages that are not zero, with where they are.
fn full_pages(part: &[u8], begins: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let places = (begins..).step_by(PAGE);
    // Most of a guest's memory is zero, and whole pages are compared by instructions for many bytes at once.
    places.zip(part.chunks(PAGE)).filter(|(_, page)| ZEROS.get(..page.len()) != Some(*page))
}

/// Pages that are not zero, one after the other.
#[derive(Default)]
struct Pages(blake3::Hasher);

impl Pages {
    fn add(&mut self, place: u64, page: &[u8]) {
        self.0.update(&place.to_le_bytes()).update(page);
    }

    fn digest(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use vm_memory::GuestAddress;

    use super::*;
    use crate::region::Region;

    const LENGTH: u64 = 3 << 20;

    /// A memory with something in its first page, somewhere, and in its last.
    fn written() -> (File, Digest) {
        let memory = MemorySize::bytes(LENGTH).unwrap().map().unwrap();
        for at in [1, 0x12_3000, LENGTH - 1] {
            memory.write_obj(7_u8, GuestAddress(at)).unwrap();
        }
        let file = tempfile::tempfile().unwrap();
        let digest = write(&memory, &file).unwrap();
        (file, digest)
    }

    #[test]
    fn a_file_with_something_in_it_is_left_as_it_is() {
        let memory = MemorySize::bytes(LENGTH).unwrap().map().unwrap();
        let (file, before) = written();
        assert_eq!(write(&memory, &file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(digest(&file).unwrap(), before);
        assert!(write(&memory, &File::open("/dev/null").unwrap()).is_err());
    }

    #[test]
    fn a_file_holds_what_memory_held_and_takes_as_much_room_as_that_takes() {
        let (file, written) = written();
        let mut bytes = vec![0; LENGTH as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let full: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        assert_eq!(full, [1, 0x12_3000, LENGTH as usize - 1]);
        assert!(file.metadata().unwrap().blocks() * 512 <= LENGTH / 4, "it has no holes");
        assert_eq!(digest(&file).unwrap(), written);
    }

    #[test]
    fn the_gap_between_two_parts_of_a_memory_is_not_in_the_file() {
        const HIGH: GuestAddress = GuestAddress(4 << 30);
        let regions = [(GuestAddress(0), 2 << 20), (HIGH, 1 << 20)];
        let regions = regions.map(|(start, length)| Region::map(start, length).unwrap());
        let memory = Memory::from_regions(regions.into()).unwrap();
        memory.write_obj(7_u8, GuestAddress(5)).unwrap();
        memory.write_obj(8_u8, GuestAddress(HIGH.0 + 6)).unwrap();
        let file = tempfile::tempfile().unwrap();
        assert_eq!(write(&memory, &file).unwrap(), digest(&file).unwrap());
        let mut bytes = vec![0; LENGTH as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let full = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
        assert_eq!(full.collect::<Vec<_>>(), [(5, &7), ((2 << 20) + 6, &8)]);
    }

    #[test]
    fn a_digest_knows_what_was_changed_moved_and_taken_away_but_not_how_holes_are_kept() {
        let change = |change: &dyn Fn(&File)| {
            let (file, written) = written();
            change(&file);
            digest(&file).unwrap() == written
        };
        assert!(change(&|file| file.write_all_at(&[0; PAGE], 0x1000).unwrap()), "zeros are zeros");
        assert!(!change(&|file| file.write_all_at(&[6], 1).unwrap()));
        assert!(!change(&|file| file.write_all_at(&[1], 0x5000).unwrap()));
        assert!(!change(&|file| file.write_all_at(&[0], 0x12_3000).unwrap()));
        assert!(!change(&|file| {
            file.write_all_at(&[0], 0x12_3000).unwrap();
            file.write_all_at(&[7], 0x12_4000).unwrap();
        }));
    }

    #[test]
    fn only_a_file_of_the_right_length_is_a_memory() {
        let size = MemorySize::bytes(LENGTH).unwrap();
        let (file, _) = written();
        check_length(&file, size).unwrap();
        for other in [0, LENGTH - 1, LENGTH + 1] {
            file.set_len(other).unwrap();
            let refused = check_length(&file, size);
            assert!(matches!(refused, Err(OtherMemory::Length { found, expected: LENGTH }) if found == other));
        }
        assert!(matches!(check_length(&File::open("/").unwrap(), size), Err(OtherMemory::NotAFile)));
    }
}
