//! The C library's allocator, told what is known of this program and not of others.
#![expect(unsafe_code, reason = "the allocator is told by the C library's own functions")]

/// Larger than any table of a small program: what is larger gets a mapping of its own.
const LARGEST: i32 = 32 << 20;
/// What is given up is not handed back before it is this much.
const KEPT: i32 = 1 << 30;
/// What the heap grows by.
const GROWTH: i32 = 1 << 20;
/// The smallest there is: where pages are larger, the kernel says no.
const PAGE: usize = 4096;

/// Has memory come from one heap, so much of it at once. A link is short, and gives up more than it keeps: to hand each table back
/// to the kernel and to fault in the next one page by page takes longer than to fill them.
///
/// Where any of this is not to be had, memory comes as it always does.
pub(crate) fn bring_in_heap(bytes: usize) {
    #[cfg(target_env = "gnu")]
    for (what, value) in [(libc::M_MMAP_THRESHOLD, LARGEST), (libc::M_TRIM_THRESHOLD, KEPT), (libc::M_TOP_PAD, GROWTH)]
    {
        // SAFETY: there is one thread, and any number is a valid value for these.
        let _ = unsafe { libc::mallopt(what, value) };
    }
    let mut heap: Vec<u8> = Vec::with_capacity(bytes);
    let free = heap.spare_capacity_mut();
    let first = free.as_ptr().addr().next_multiple_of(PAGE);
    let length = (free.as_ptr_range().end.addr() & !(PAGE - 1)).saturating_sub(first);
    if length != 0 {
        let begin = free.as_mut_ptr().with_addr(first);
        // SAFETY: the pages between these are whole ones of an allocation of ours that nobody else uses, and to have them
        // brought in changes nothing of what is in them.
        let _ = unsafe { libc::madvise(begin.cast(), length, libc::MADV_POPULATE_WRITE) };
    }
}
