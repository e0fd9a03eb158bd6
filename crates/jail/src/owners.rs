//! Whose the files of an image are shown to be.
//!
//! On the host they belong to whoever keeps the image, and are never changed: what is shown of them are mounts on which the keeper's ids
//! stand for another's. They are made with the view, so they cost a cell nothing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use firebox_cell::Mount;
use rustix::fs::{CWD, Mode, OFlags, openat, stat};

use crate::sys;
use crate::users;

/// The first version of Linux whose overlays take mounts on which ids stand for others. That a cell sees inodes of an overlay, and not
/// the host's, counts more than who owns them.
const OVERLAYS_TAKE_OWNERS: (u32, u32) = (5, 19);

/// An owner for all that belongs to the keeper of an image.
pub(crate) struct Owners(OwnedFd);

impl Owners {
    /// Has all that belongs to whoever owns these mounts, which have one owner, belong to this id. None where the kernel has no way to.
    pub(crate) fn of(mounts: &[Mount], owner: u32) -> Option<Owners> {
        let release = rustix::system::uname();
        if version(&release.release().to_string_lossy()) < Some(OVERLAYS_TAKE_OWNERS) {
            return None;
        }
        let keeper = stat(&mounts.first()?.outside).ok()?;
        let proc = openat(CWD, c"/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let map = |id: u32| format!("{id} {owner} 1");
        let (uids, gids) = (map(keeper.st_uid), map(keeper.st_gid));
        users::make_namespace(proc.as_fd(), users::ROOT_OF_HOST, &uids, &gids).map(Owners).ok()
    }

    /// Gives it what is on a mount that was never attached. Where the file system cannot, it stays nobody's whom a cell knows.
    pub(crate) fn give(&self, mount: BorrowedFd<'_>) {
        let _ = sys::show_owners_by(mount, self.0.as_fd());
    }
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (release, takes) in [
            ("6.1.0-28-amd64", true),
            ("5.19.0", true),
            ("5.19-rc1", true),
            ("5.9.16", false),
            ("5.18.19", false),
            ("10.0", true),
            ("", false),
            ("unheard of", false),
        ] {
            assert_eq!(Some(OVERLAYS_TAKE_OWNERS) <= version(release), takes, "{release}");
        }
    }
}
