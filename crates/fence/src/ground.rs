//! The directory in which the cells of one firebox process have their files.
//!
//! It holds a lock for as long as that process or its warden lives, so that a later start can tell what nobody needs any
//! more and remove it. Only directories of the same user are ever looked at.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::tree;

/// What all such directories are called, before what tells them apart.
const PREFIX: &str = "firebox-fence-";

/// The directory of one firebox process.
#[derive(Debug)]
pub(crate) struct Ground {
    path: PathBuf,
    /// Open and locked.
    directory: File,
}

impl Ground {
    /// Makes one below this directory, and removes those there whose owners are dead.
    pub(crate) fn claim(below: &Path) -> io::Result<Ground> {
        sweep(below);
        loop {
            let mut nonce = [0; 8];
            getrandom(&mut nonce, GetRandomFlags::empty())?;
            let path = below.join(format!("{PREFIX}{:016x}", u64::from_ne_bytes(nonce)));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            // Between its making and its locking it looks like a dead one's, and another start may have removed it.
            if let Some(directory) = lock(&path)? {
                return Ok(Ground { path, directory });
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it and all in it.
    pub(crate) fn remove(self) -> Result<(), Errno> {
        tree::remove_contents(self.directory.as_fd())?;
        fs::remove_dir(&self.path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

impl AsFd for Ground {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Opens and locks a directory of ours; none when it is another's, or locked, or gone.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match openat(CWD, path, flags, Mode::empty()) {
        Ok(directory) => File::from(directory),
        Err(Errno::NOENT | Errno::ACCESS | Errno::LOOP | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let ours = directory.metadata()?.uid() == rustix::process::geteuid().as_raw();
    if !ours || flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    // Whoever had the lock before may have removed it meanwhile.
    let still_there = fs::symlink_metadata(path).is_ok_and(|now| {
        directory.metadata().is_ok_and(|locked| (now.dev(), now.ino()) == (locked.dev(), locked.ino()))
    });
    Ok(still_there.then_some(directory))
}

/// Removes what dead processes of this user have left. What cannot be removed is left for the next.
fn sweep(below: &Path) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        if let Ok(Some(directory)) = lock(&path) {
            let _ = Ground { path, directory }.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_removes_what_the_dead_have_left_and_nothing_of_the_living() {
        let below = tempfile::tempdir().unwrap();
        let living = Ground::claim(below.path()).unwrap();
        let dead = Ground::claim(below.path()).unwrap();
        fs::create_dir_all(dead.path().join("1/job/a/b")).unwrap();
        fs::write(dead.path().join("1/job/a/file"), "x").unwrap();
        let left = dead.path().to_owned();
        drop(dead);

        let next = Ground::claim(below.path()).unwrap();

        assert!(!left.exists() && living.path().exists() && next.path().exists());
        living.remove().unwrap();
        next.remove().unwrap();
        assert_eq!(fs::read_dir(below.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_of_that_name_is_not_followed() {
        let (below, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), below.path().join(format!("{PREFIX}x"))).unwrap();

        Ground::claim(below.path()).unwrap().remove().unwrap();

        assert!(elsewhere.path().join("kept").exists());
    }
}
