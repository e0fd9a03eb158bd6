//! Attributes of mounts.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use firebox_confine::Layer;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use syscalls::{Sysno, syscall};

use super::checked;

const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;
const MS_PRIVATE: u64 = 1 << 18;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// The kernel's `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Nothing on the mount can be changed.
pub(crate) fn read_only() -> MountAttrFlags {
    unless_left_out(Layer::ReadOnlyView, MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// Set-user-id bits on the mount mean nothing.
pub(crate) fn no_set_user_id() -> MountAttrFlags {
    unless_left_out(Layer::NoSetUserId, MountAttrFlags::MOUNT_ATTR_NOSUID)
}

fn unless_left_out(layer: Layer, attributes: MountAttrFlags) -> MountAttrFlags {
    if layer.is_left_out() { MountAttrFlags::empty() } else { attributes }
}

/// Sets attributes on a mount and all mounts below it, and cuts them off from what is mounted elsewhere.
pub(crate) fn set_mount_attributes(mount: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<(), Errno> {
    change(mount, &MountAttr { set: attributes.bits().into(), propagation: MS_PRIVATE, ..MountAttr::default() })
}

/// Has what is on a mount, and on all below it, belong to those for whom the file system's ids stand in this user namespace. Only a mount
/// that was never attached can be changed so, and not every file system has it.
pub(crate) fn show_owners_by(mount: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    let userns_fd = namespace.as_raw_fd() as u64;
    change(mount, &MountAttr { set: MOUNT_ATTR_IDMAP, userns_fd, ..MountAttr::default() })
}

fn change(mount: BorrowedFd<'_>, attr: &MountAttr) -> Result<(), Errno> {
    // SAFETY: `attr` is a whole `struct mount_attr` of the size given and outlives the call; the path is empty and
    // ends with NUL, so the call is about the descriptor itself.
    checked(unsafe {
        syscall!(
            Sysno::mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            AT_EMPTY_PATH | AT_RECURSIVE,
            ptr::from_ref(attr),
            size_of::<MountAttr>()
        )
    })
    .map(|_| ())
}
