//! Locks on ranges of a file that belong to an open file description.
//!
//! The kernel gives such a lock back when the last descriptor of the description is closed, however its holders died.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

const F_OFD_SETLK: usize = 37;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;
const SEEK_SET: i16 = 0;

/// The kernel's `struct flock` of 64-bit systems.
#[repr(C)]
struct Flock {
    kind: i16,
    whence: i16,
    start: i64,
    length: i64,
    pid: i32,
}

/// Whether to take a range or to give it back.
#[derive(Clone, Copy)]
pub(crate) enum Range {
    Take,
    GiveBack,
}

/// Takes or gives back `length` bytes from `start`; false when somebody else holds some of them.
pub(crate) fn try_lock_range(file: BorrowedFd<'_>, how: Range, start: u32, length: u32) -> Result<bool, Errno> {
    let kind = match how {
        Range::Take => F_WRLCK,
        Range::GiveBack => F_UNLCK,
    };
    let lock = Flock { kind, whence: SEEK_SET, start: start.into(), length: length.into(), pid: 0 };
    // SAFETY: the command reads one `struct flock`, which is whole and outlives the call, and does not wait.
    match super::checked(unsafe { syscall!(Sysno::fcntl, file.as_raw_fd(), F_OFD_SETLK, ptr::from_ref(&lock)) }) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(errno) => Err(errno),
    }
}
