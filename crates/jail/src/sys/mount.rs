//! Attributes of mounts.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;
const MS_PRIVATE: u64 = 1 << 18;

/// The kernel's `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// What a mount does not let happen.
#[derive(Clone, Copy)]
pub(crate) struct Attributes(u64);

impl Attributes {
    pub(crate) const READ_ONLY: Attributes = Attributes(0x1);
    pub(crate) const NO_SUID: Attributes = Attributes(0x2);
    pub(crate) const NO_DEVICES: Attributes = Attributes(0x4);

    pub(crate) const fn and(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }
}

/// Sets attributes on a mount and all mounts below it, and cuts them off from what is mounted elsewhere.
pub(crate) fn set_mount_attributes(mount: BorrowedFd<'_>, attributes: Attributes) -> Result<(), Errno> {
    let attr = MountAttr { set: attributes.0, propagation: MS_PRIVATE, ..MountAttr::default() };
    // SAFETY: `attr` is a whole `struct mount_attr` of the size given and outlives the call; the path is empty and
    // ends with NUL, so the call is about the descriptor itself.
    checked(unsafe {
        syscall!(
            Sysno::mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            AT_EMPTY_PATH | AT_RECURSIVE,
            &raw const attr,
            size_of::<MountAttr>()
        )
    })
    .map(|_| ())
}
