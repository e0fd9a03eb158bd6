//! Descriptors with numbers that others rely on.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

/// Above every number that is ever relied on, and below the least limit that anybody sets.
const OUT_OF_THE_WAY: i32 = 32;

/// A copy of a descriptor whose number is out of the way of [`place_descriptors`].
pub fn out_of_the_way(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, OUT_OF_THE_WAY)
}

/// Puts copies of descriptors at numbers in a row, to stay open when a program starts; all above them close then.
///
/// To be called right before a program is started: whatever was at those numbers is closed, whoever owned it. What is
/// still needed is to be out of the way.
pub fn place_descriptors(fds: &[BorrowedFd<'_>], first: i32) -> Result<(), Errno> {
    // All of them first: one may stand where another is to go.
    let copies: Vec<OwnedFd> = fds.iter().map(|fd| out_of_the_way(*fd)).collect::<Result<_, _>>()?;
    let mut number = first;
    for copy in &copies {
        if number >= OUT_OF_THE_WAY {
            return Err(Errno::MFILE);
        }
        // SAFETY: this process owns all that it has open, ends or becomes another program next, and uses none of the
        // descriptors below `OUT_OF_THE_WAY` any more.
        checked(unsafe { syscall!(Sysno::dup3, copy.as_raw_fd(), number, 0) })?;
        number += 1;
    }
    firebox_confine::forget_descriptors_from(number as u32).map_err(|error| error.errno())
}
