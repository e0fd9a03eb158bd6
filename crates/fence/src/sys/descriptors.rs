//! Descriptors of a process that has nothing of its parent's left to do.

use std::mem::{forget, replace};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use firebox_warden::out_of_the_way;
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

/// The streams stay as they are.
const FIRST: i32 = 3;

/// Closes every descriptor but these and the streams.
///
/// For a process that was forked and never returns to what its parent was doing: whatever in its memory believes to own
/// one of those that go must not be used or dropped again.
pub(crate) fn keep_only<const N: usize>(kept: [OwnedFd; N]) -> Result<[OwnedFd; N], Errno> {
    // All of them first: one may stand where another is to go.
    let copies: Vec<OwnedFd> = kept.iter().map(|fd| out_of_the_way(fd.as_fd())).collect::<Result<_, _>>()?;
    let mut placed = kept;
    for ((place, copy), number) in placed.iter_mut().zip(&copies).zip(FIRST..) {
        // SAFETY: the call takes numbers; what stood at this one is, as the caller promises, nobody's any more.
        let made = unsafe { syscall!(Sysno::dup3, copy.as_raw_fd(), number, 0) }.map_err(raw)?;
        // SAFETY: the kernel has just made this descriptor, and nobody else knows it. The one that was in this place is
        // forgotten: its number may be another's by now, and is closed below if it is not.
        forget(replace(place, unsafe { OwnedFd::from_raw_fd(made as i32) }));
    }
    // The call below closes these, too.
    copies.into_iter().for_each(forget);
    // SAFETY: the call takes numbers; what it closes is, as the caller promises, nobody's any more.
    unsafe { syscall!(Sysno::close_range, FIRST as usize + N, u32::MAX, 0) }.map_err(raw)?;
    Ok(placed)
}

fn raw(errno: syscalls::Errno) -> Errno {
    Errno::from_raw_os_error(errno.into_raw())
}
