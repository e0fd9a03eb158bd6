//! Memory of which the kernel is asked to make huge pages.

use rustix::mm::{Advice, madvise};
use vm_memory::VolatileSlice;

/// Asks for it. Where there are none, because somebody has turned them off or none is left, the memory is as good, and slower to come by.
pub(crate) fn prefer_huge_pages(memory: &VolatileSlice<'_, ()>) {
    let first = memory.ptr_guard_mut();
    // SAFETY: The slice says that these addresses are mapped for as long as it is borrowed. This advice changes nothing about what is in
    // there, only of how large pages the kernel makes it.
    _ = unsafe { madvise(first.as_ptr().cast(), memory.len(), Advice::LinuxHugepage) };
}
