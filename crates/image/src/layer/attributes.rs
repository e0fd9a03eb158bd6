//! Extended attributes on the disk, as far as its filesystem takes them.
//!
//! Only those of users are ever here (`entry`): they are notes that programs make, and no program may count on a
//! filesystem to take them.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{XattrFlags, fsetxattr, fstatvfs};
use rustix::io::Errno;

use crate::layer::entry::Attributes;

/// Gives a file or a directory its attributes.
pub(crate) fn set(file: BorrowedFd<'_>, attributes: &Attributes) -> io::Result<()> {
    for (name, value) in attributes {
        match fsetxattr(file, &**name, value, XattrFlags::empty()) {
            // There are none here, or none as large.
            Err(Errno::NOTSUP | Errno::TOOBIG | Errno::RANGE) => {}
            // So is told as well that one file has as many as it may, where the disk is not full.
            Err(Errno::NOSPC) if fstatvfs(file)?.f_bavail != 0 => {}
            set => set?,
        }
    }
    Ok(())
}
