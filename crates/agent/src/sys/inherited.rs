//! The descriptors that the agent was started with.

use rustix::fd::BorrowedFd;

/// The stream to the host, by agreement with whoever starts agents. What follows it in a jail are doors.
pub(crate) const STREAM: u32 = 3;

/// In a fence, the work directory.
pub(crate) const WORK: u32 = 4;

/// One of those descriptors.
pub(crate) fn inherited(number: u32) -> BorrowedFd<'static> {
    // SAFETY: whoever starts an agent opens these descriptors for it, and the agent never closes them; were one not
    // open, the kernel would answer EBADF, which is an error like any other.
    unsafe { BorrowedFd::borrow_raw(number as i32) }
}
