//! The directories of one cell, on the host's file system.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use firebox_warden::Ground as Places;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use crate::ground::Ground;
use crate::tree::{self, Taken};

/// The directories of one cell.
#[derive(Debug)]
pub(crate) struct Room {
    name: String,
    directory: OwnedFd,
    pub(crate) work: OwnedFd,
    pub(crate) temporary: OwnedFd,
}

impl Room {
    /// Makes those of the cell with this number.
    pub(crate) fn make(ground: &Ground, number: u32) -> Result<Room, Errno> {
        let name = number.to_string();
        let directory = make(ground.as_fd(), &name)?;
        let work = make(directory.as_fd(), Places::WORK)?;
        let temporary = make(directory.as_fd(), Places::TEMPORARY)?;
        Ok(Room { name, directory, work, temporary })
    }

    /// What is in them.
    pub(crate) fn taken(&self, most_inodes: u64) -> Result<Taken, Errno> {
        tree::count(self.directory.as_fd(), most_inodes)
    }

    /// Removes them and all in them. Nobody may be left in the cell.
    pub(crate) fn remove(self, ground: &Ground) -> Result<(), Errno> {
        tree::remove_contents(self.directory.as_fd())?;
        unlinkat(ground, self.name, AtFlags::REMOVEDIR)
    }
}

fn make(above: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    mkdirat(above, name, Mode::from_raw_mode(0o700))?;
    openat(above, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
