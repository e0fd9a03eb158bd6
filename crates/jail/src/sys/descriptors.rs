//! Descriptors with a number that others rely on.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

const CLOSE_RANGE_CLOEXEC: usize = 4;

/// Puts a copy of a descriptor at a fixed number, to stay open when a program starts; all above it close then.
///
/// To be called right before a program is started: whatever was at that number is closed, whoever owned it.
pub(crate) fn place_descriptor(fd: BorrowedFd<'_>, number: i32) -> Result<(), Errno> {
    if fd.as_raw_fd() == number {
        return Err(Errno::INVAL);
    }
    // SAFETY: the warden keeps this number free for the purpose, so no owner's descriptor is closed under it.
    checked(unsafe { syscall!(Sysno::dup3, fd.as_raw_fd(), number, 0) })?;
    // SAFETY: marking descriptors changes nothing for this program, which ends or becomes another next.
    checked(unsafe { syscall!(Sysno::close_range, number + 1, u32::MAX, CLOSE_RANGE_CLOEXEC) }).map(|_| ())
}
