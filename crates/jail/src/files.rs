//! The writable file system of a cell: one tmpfs, seen at `/job`, `/tmp` and `/dev/shm`.
//!
//! One file system, so that one limit holds for all that a job writes, and one look tells whether it is full. The
//! warden keeps a descriptor of it: it sizes and measures it from outside, and nothing in it is ever opened here
//! once a job has run.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use firebox_confine::Layer;
use rustix::fs::{AtFlags, Gid, Mode, Uid, chownat, fstatfs, mkdirat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, fsconfig_create, fsconfig_reconfigure, fsconfig_set_string,
    fsmount, fsopen, fspick,
};

use crate::sys;

/// Until the first step is limited there is room for a job's own files, whatever an operator's ceiling for them.
const ROOM_FOR_SOURCES: u64 = 96 << 20;
const INODES_FOR_SOURCES: u64 = 40_000;

/// The largest size that the kernel's own arithmetic is sure to bear.
const MOST_BYTES: u64 = i64::MAX as u64;

/// The directories of the file system, and where a cell sees them.
pub(crate) const PLACES: [(&std::ffi::CStr, &str); 3] = [(c"job", "job"), (c"tmp", "tmp"), (c"shm", "dev/shm")];

/// One cell's writable file system.
pub(crate) struct Files(OwnedFd);

impl Files {
    /// Makes an empty file system whose directories belong to the cell's user.
    pub(crate) fn create(owner: u32) -> Result<Files, Errno> {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let context = context.as_fd();
        set_room(context, ROOM_FOR_SOURCES, INODES_FOR_SOURCES)?;
        fsconfig_set_string(context, "mode", "0755")?;
        fsconfig_create(context)?;
        let attributes = sys::no_set_user_id() | MountAttrFlags::MOUNT_ATTR_NODEV;
        let mount = fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        for (name, _) in PLACES {
            // Sticky and open to all, as `/tmp` is everywhere; only the cell's own user can get there.
            let mode = if name == c"job" { 0o755 } else { 0o1777 };
            mkdirat(&mount, name, Mode::from_raw_mode(mode))?;
            let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
            chownat(&mount, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(Files(mount))
    }

    /// Leaves room for so many more bytes and inodes than are there now.
    pub(crate) fn leave_room(&self, bytes: u64, inodes: u64) -> Result<(), Errno> {
        let now = fstatfs(&self.0)?;
        let block = now.f_bsize as u64;
        let used_bytes = (now.f_blocks - now.f_bfree) * block;
        let used_inodes = now.f_files - now.f_ffree;
        // To the kernel, a size of zero is no limit at all, and so is one that is zero once it is rounded up.
        let size = used_bytes.checked_add(bytes).filter(|size| *size <= MOST_BYTES).ok_or(Errno::OVERFLOW)?.max(block);
        let context = fspick(&self.0, c"", FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH)?;
        let context = context.as_fd();
        set_room(context, size, used_inodes.checked_add(inodes).ok_or(Errno::OVERFLOW)?)?;
        fsconfig_reconfigure(context)
    }

    /// Whether not one byte or not one inode is left.
    pub(crate) fn is_full(&self) -> Result<bool, Errno> {
        let now = fstatfs(&self.0)?;
        Ok(now.f_bfree == 0 || now.f_ffree == 0)
    }
}

/// Without either of them the kernel grants a share of all memory.
fn set_room(context: BorrowedFd<'_>, bytes: u64, inodes: u64) -> Result<(), Errno> {
    let limits = [(Layer::DiskSize, "size", bytes), (Layer::Inodes, "nr_inodes", inodes)];
    let held = limits.into_iter().filter(|(layer, _, _)| !layer.is_left_out());
    held.into_iter().try_for_each(|(_, option, most)| fsconfig_set_string(context, option, most.to_string()))
}

impl AsFd for Files {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_lets_a_cell_have_files_without_a_limit() {
        let files = match Files::create(0) {
            Ok(files) => files,
            Err(_) => return skip("files without a limit", "a file system of its own needs root"),
        };
        for bytes in [0, 1, 4096, MOST_BYTES - 1, MOST_BYTES + 1, u64::MAX - 4095, u64::MAX] {
            // Refused or not: there is a limit.
            let _ = files.leave_room(bytes, 0);
            let now = fstatfs(&files).unwrap();
            assert!(now.f_blocks > 0 && now.f_files > 0, "{bytes} bytes are no limit");
        }
    }

    #[expect(clippy::print_stdout, reason = "a test that cannot be made here says so")]
    fn skip(what: &str, why: &str) {
        println!("skipped: {what}: {why}");
    }
}
