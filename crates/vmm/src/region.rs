//! A region of the guest's memory: private to its machine, and there as soon as it is touched. It is anonymous and of huge pages where the host has them; or, of a
//! machine that was frozen, a part of a file.
//!
//! A page of a file is the same for all machines until one of them writes to it, and then that one has a copy of its own, which no other machine and
//! no file ever sees. No huge pages are asked for: the first byte that is written to one would copy all of it.
//!
//! Of memory that is anonymous: whenever a guest touches a page that the host has not given it yet, it is left. A Linux touches 16,000 on its way to user space, which are in 40 of the
//! processor's huge pages, of 2 MiB each. KVM lets a guest have such a page when it begins at a boundary on either side, the guest's and the
//! host's. Linux puts mappings there of its own accord from 6.7 on; here it is done for all, by a mapping that is longer by one huge page. What of it is
//! before the boundary is never touched, so it costs addresses and no memory.
//!
//! Pages are given as the guest comes to them, not all at the start: a guest of 512 MiB in which Debian's kernel has started has taken 74, where
//! it takes 67 in pages of 4 KiB.

use std::fs::File;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags};
use vm_memory::bitmap::BS;
use vm_memory::mmap::{MmapRegion, MmapRegionError};
use vm_memory::{
    Address, FileOffset, GuestAddress, GuestMemoryError, GuestMemoryRegion, GuestMemoryRegionBytes, GuestUsize,
    MemoryRegionAddress, VolatileMemory, VolatileSlice,
};

use crate::sys::prefer_huge_pages;

/// What x86-64 has between pages of 4 KiB and pages of 1 GiB.
const HUGE_PAGE: usize = 2 << 20;

/// One region.
#[derive(Debug)]
pub struct Region {
    mapping: MmapRegion<()>,
    /// Where in the mapping it begins.
    offset: usize,
    length: usize,
    /// Where the guest finds it.
    start: GuestAddress,
}

impl Region {
    /// Asks the host for it. `start` is at a boundary of huge pages: there is no use in the host's address being at one otherwise.
    pub(crate) fn map(start: GuestAddress, length: usize) -> Result<Region, MmapRegionError> {
        let mapping = MmapRegion::new(length.saturating_add(HUGE_PAGE))?;
        let address = mapping.as_ptr().addr();
        let offset = address.next_multiple_of(HUGE_PAGE).saturating_sub(address);
        let region = Region { mapping, offset, length, start };
        if let Ok(all) = region.as_volatile_slice() {
            prefer_huge_pages(&all);
        }
        Ok(region)
    }

    /// Maps a part of a file, privately.
    pub(crate) fn map_file(
        start: GuestAddress,
        length: usize,
        file: &Arc<File>,
        at: u64,
    ) -> Result<Region, MmapRegionError> {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // Nothing is set aside for copies of all pages: few will be made.
        let kind = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let place = FileOffset::from_arc(file.clone(), at);
        let mapping = MmapRegion::build(Some(place), length, rights.bits().cast_signed(), kind.bits().cast_signed())?;
        Ok(Region { mapping, offset: 0, length, start })
    }

    /// Where so many bytes from there are in the mapping, if all of them are the guest's.
    fn place(&self, from: MemoryRegionAddress, count: usize) -> Option<usize> {
        let from = usize::try_from(from.raw_value()).ok()?;
        let end = from.checked_add(count)?;
        if end <= self.length { self.offset.checked_add(from) } else { None }
    }
}

impl GuestMemoryRegion for Region {
    type B = ();

    fn len(&self) -> GuestUsize {
        self.length as GuestUsize
    }

    fn start_addr(&self) -> GuestAddress {
        self.start
    }

    fn bitmap(&self) {}

    fn get_host_address(&self, address: MemoryRegionAddress) -> Result<*mut u8, GuestMemoryError> {
        let place = self.place(address, 1).ok_or(GuestMemoryError::InvalidBackendAddress)?;
        Ok(self.mapping.as_ptr().wrapping_add(place))
    }

    fn get_slice(
        &self,
        from: MemoryRegionAddress,
        count: usize,
    ) -> Result<VolatileSlice<'_, BS<'_, ()>>, GuestMemoryError> {
        let place = self.place(from, count).ok_or(GuestMemoryError::InvalidBackendAddress)?;
        Ok(self.mapping.get_slice(place, count)?)
    }
}

impl GuestMemoryRegionBytes for Region {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use vm_memory::Bytes;

    use super::*;

    const LENGTH: usize = (5 << 20) + 0x1000;

    fn region() -> Region {
        Region::map(GuestAddress(4 << 30), LENGTH).unwrap()
    }

    #[test]
    fn it_is_on_a_boundary_of_huge_pages() {
        // Several at once, of which the first could have been there by chance.
        let regions: Vec<Region> = (0..8).map(|_| region()).collect();
        for region in &regions {
            let address = region.get_host_address(MemoryRegionAddress(0)).unwrap();
            assert_eq!(address.addr() % HUGE_PAGE, 0, "{address:?}");
        }
    }

    #[test]
    fn all_of_it_is_the_guests_and_nothing_around_it() {
        let region = region();
        let last = LENGTH as u64 - 1;
        for (from, count, is_there) in [
            (0, 0, true),
            (0, LENGTH, true),
            (last, 1, true),
            (last + 1, 0, true),
            (last, 2, false),
            (0, LENGTH + 1, false),
            (last + 1, 1, false),
            (1, usize::MAX, false),
            (u64::MAX, 1, false),
        ] {
            let slice = region.get_slice(MemoryRegionAddress(from), count);
            assert_eq!(slice.is_ok(), is_there, "{count} bytes from {from:#x}");
        }
        assert!(region.get_host_address(MemoryRegionAddress(last)).is_ok());
        assert!(region.get_host_address(MemoryRegionAddress(last + 1)).is_err());
    }

    #[test]
    fn what_is_written_to_a_part_of_a_file_is_in_nobody_elses_and_not_in_the_file() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.set_len(0x4000).unwrap();
        file.write_all_at(b"before", 0x2000).unwrap();
        let [one, other] = [0, 1].map(|_| Region::map_file(GuestAddress(0), 0x2000, &file, 0x2000).unwrap());
        one.write_slice(b"mine", MemoryRegionAddress(0)).unwrap();
        let read = |region: &Region| {
            let mut bytes = [0; 6];
            region.read_slice(&mut bytes, MemoryRegionAddress(0)).unwrap();
            bytes
        };
        let mut in_the_file = [0; 6];
        file.read_exact_at(&mut in_the_file, 0x2000).unwrap();
        assert_eq!([read(&one), read(&other), in_the_file], [*b"minere", *b"before", *b"before"]);
        assert!(other.get_slice(MemoryRegionAddress(0x1FFF), 2).is_err());
    }

    #[test]
    fn what_is_written_at_a_place_is_read_there() {
        let region = region();
        for at in [0, HUGE_PAGE as u64 - 2, LENGTH as u64 - 4] {
            region.write_obj(0x1234_5678_u32, MemoryRegionAddress(at)).unwrap();
        }
        let first = region.get_host_address(MemoryRegionAddress(0)).unwrap();
        let (place, last) = (region.place(MemoryRegionAddress(0), 1).unwrap(), LENGTH as u64 - 4);
        assert_eq!(first, region.mapping.as_ptr().wrapping_add(place));
        for at in [0, HUGE_PAGE as u64 - 2, last] {
            assert_eq!(region.read_obj::<u32>(MemoryRegionAddress(at)).unwrap(), 0x1234_5678, "{at:#x}");
        }
    }
}
