//! The guest's memory: how much, and where in its address space.

use std::fs::File;
use std::sync::Arc;

use vm_memory::mmap::{FromRangesError, MmapRegionError};
use vm_memory::{GuestAddress, GuestRegionCollection};

use crate::arch::layout::GAP;
use crate::region::Region;

/// The memory of one machine, there as soon as it is touched. Copies are the same memory.
pub type Memory = GuestRegionCollection<Region>;

/// How much memory a machine has: whole pages, within [`MemorySize::LEAST`] and [`MemorySize::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemorySize(u64);

const PAGE: u64 = 0x1000;
const MIB: u64 = 1 << 20;

/// Why there is no such memory.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It is too little, too much, or not whole pages.
    #[error("a guest cannot have {0} bytes of memory: whole pages from 2 MiB to 64 GiB are possible")]
    Size(u64),
    /// The host does not give it.
    #[error("the host does not give a guest its memory: {0}")]
    Map(#[from] FromRangesError),
}

impl MemorySize {
    /// What is needed before the first instruction, and room for a small program.
    pub const LEAST: MemorySize = MemorySize(2 * MIB);
    /// More than any limit of a job.
    pub const MOST: MemorySize = MemorySize(64 << 30);

    /// So many bytes.
    pub fn bytes(bytes: u64) -> Result<MemorySize, MemoryError> {
        let size = MemorySize(bytes);
        let is_good = (MemorySize::LEAST..=MemorySize::MOST).contains(&size) && bytes.is_multiple_of(PAGE);
        is_good.then_some(size).ok_or(MemoryError::Size(bytes))
    }

    /// So many MiB.
    pub fn mib(mib: u64) -> Result<MemorySize, MemoryError> {
        MemorySize::bytes(mib.saturating_mul(MIB))
    }

    /// How many bytes that are.
    pub fn to_bytes(self) -> u64 {
        self.0
    }

    /// Where it is: all below the gap if it fits there, else the rest from 4 GiB on.
    fn ranges(self) -> Vec<(GuestAddress, usize)> {
        let low = self.0.min(GAP.start);
        let high = self.0.saturating_sub(low);
        let parts = [(0, low), (GAP.end, high)].into_iter().filter(|(_, length)| 0 < *length);
        parts.map(|(start, length)| (GuestAddress(start), usize::try_from(length).unwrap_or(usize::MAX))).collect()
    }

    /// Asks the host for it.
    pub fn map(self) -> Result<Memory, MemoryError> {
        collect(self.ranges().into_iter().map(|(start, length)| Region::map(start, length)))
    }

    /// Takes it from a file, which is as long and stays as it is, whatever is written to the memory: one part after the other.
    pub(crate) fn map_file(self, file: File) -> Result<Memory, MemoryError> {
        let file = Arc::new(file);
        let mut at = 0_u64;
        collect(self.ranges().into_iter().map(|(start, length)| {
            let begins = at;
            at = at.saturating_add(length as u64);
            Region::map_file(start, length, &file, begins)
        }))
    }
}

fn collect(regions: impl Iterator<Item = Result<Region, MmapRegionError>>) -> Result<Memory, MemoryError> {
    let regions = regions.collect::<Result<Vec<Region>, _>>().map_err(FromRangesError::from)?;
    Ok(Memory::from_regions(regions).map_err(FromRangesError::from)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use vm_memory::Bytes;

    use super::*;

    #[test]
    fn memory_leaves_the_gap_for_devices() {
        let ranges = |mib| MemorySize::mib(mib).unwrap().ranges();
        assert_eq!(ranges(512), [(GuestAddress(0), 512 << 20)]);
        assert_eq!(ranges(3072), [(GuestAddress(0), 3 << 30)]);
        assert_eq!(ranges(3073), [(GuestAddress(0), 3 << 30), (GuestAddress(4 << 30), 1 << 20)]);
    }

    #[test]
    fn a_file_is_mapped_part_by_part_without_the_gap() {
        let size = MemorySize::mib(3073).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(size.to_bytes()).unwrap();
        file.write_all_at(b"low", 0).unwrap();
        file.write_all_at(b"high", 3 << 30).unwrap();
        let memory = size.map_file(file).unwrap();
        let read = |at| memory.read_obj::<[u8; 4]>(GuestAddress(at)).unwrap();
        assert_eq!((read(0), read(4 << 30)), (*b"low\0", *b"high"));
        assert!(memory.read_obj::<u8>(GuestAddress(3 << 30)).is_err());
    }

    #[test]
    fn what_is_too_little_too_much_or_not_whole_is_refused() {
        for bytes in [0, 1 << 20, (2 << 20) + 1, (64 << 30) + PAGE, u64::MAX] {
            assert!(matches!(MemorySize::bytes(bytes), Err(MemoryError::Size(said)) if said == bytes), "{bytes}");
        }
        assert!(MemorySize::mib(u64::MAX).is_err());
    }
}
