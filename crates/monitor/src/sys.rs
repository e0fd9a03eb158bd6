//! What needs an unsafe word: taking over what was handed on by its number.
#![expect(unsafe_code, reason = "a descriptor that was there at the start is known by its number alone")]

use std::os::fd::{FromRawFd, OwnedFd};

use firebox_monitor::Handed;

/// Takes one over. To be called once for each.
pub(crate) fn take(handed: Handed) -> OwnedFd {
    // SAFETY: These numbers are open at the start, since the warden has put something at each before it started this program; and nobody else in here
    // knows them, or takes one twice. A number at which nothing is would fail in each use, with EBADF.
    unsafe { OwnedFd::from_raw_fd(handed as i32) }
}
