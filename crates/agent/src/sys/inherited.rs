//! The descriptor that the agent was started with.

use rustix::fd::BorrowedFd;

/// By agreement with whoever starts agents.
pub(crate) const STREAM: u32 = 3;

/// The stream to the host.
pub(crate) fn inherited_stream() -> BorrowedFd<'static> {
    // SAFETY: whoever starts an agent opens this descriptor for it, and the agent never closes it; were it not open,
    // the kernel would answer EBADF and the agent would end.
    unsafe { BorrowedFd::borrow_raw(STREAM as i32) }
}
