//! The directory that is the service's own: made, checked, locked, and handed to the uid that the engine will have.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, flock, fstat, mkdirat,
    openat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::keys::{KeyFile, KeyFileError};

/// What nobody else gets through.
const PRIVATE: &str = "private";
/// What the engine's uid owns.
const DATA: &str = "data";
const LOCK: &str = "lock";
const DATABASE: &str = "firebox.db";
/// What SQLite has beside the database.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// A directory for what the service keeps. Dropping it gives the lock back.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    private: OwnedFd,
    data: OwnedFd,
    /// Held as long as this is there.
    lock: Option<File>,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It could not be made, opened or changed.
    #[error("cannot use `{}` to keep what the service must not forget", .path.display())]
    Use {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could put something else in its place.
    #[error("`{}` belongs to the uid {owner}, and others than firebox could change what it keeps there", .path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Others could put something else in its place.
    #[error("`{}` can be written by others (its mode is {mode:o}); `chmod go-w` it", .path.display())]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something lies there that is not ours.
    #[error("`{}` is not a file that firebox made; move it away", .path.display())]
    Strange {
        /// What lies there.
        path: PathBuf,
    },
    /// One service is using it.
    #[error("`{}` is in use by another firebox{}; give each service a directory of its own with `--state`", .path.display(), of(.pid))]
    Taken {
        /// The directory.
        path: PathBuf,
        /// The process, if it said so.
        pid: Option<u32>,
    },
}

fn of(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl StateDirectory {
    /// Opens it with the caller's rights, and makes what is missing of it.
    pub fn open(path: &Path) -> Result<StateDirectory, DirectoryError> {
        let failed = |path: PathBuf| move |error: Errno| DirectoryError::Use { path, source: error.into() };
        let path = std::path::absolute(path).map_err(|source| DirectoryError::Use { path: path.to_owned(), source })?;
        make_with_parents(&path).map_err(|source| DirectoryError::Use { path: path.clone(), source })?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        // The operator's own link to it is as good as the directory.
        let outer = openat(CWD, &path, flags, Mode::empty()).map_err(failed(path.clone()))?;
        let stat = fstat(&outer).map_err(failed(path.clone()))?;
        let me = geteuid().as_raw();
        if stat.st_uid != me && stat.st_uid != 0 {
            return Err(DirectoryError::Owner { path, owner: stat.st_uid });
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(DirectoryError::Writable { path, mode: stat.st_mode & 0o7777 });
        }
        let private_path = path.join(PRIVATE);
        let private = inner(&outer, PRIVATE).map_err(failed(private_path.clone()))?;
        let stat = fstat(&private).map_err(failed(private_path.clone()))?;
        if stat.st_uid != me {
            return Err(DirectoryError::Owner { path: private_path, owner: stat.st_uid });
        }
        fchmod(&private, Mode::RWXU).map_err(failed(private_path.clone()))?;
        let data = inner(&private, DATA).map_err(failed(private_path.join(DATA)))?;
        // SQLite would give it whatever mode the caller's mask leaves, and what lies beside it the same.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let database = path.join(PRIVATE).join(DATA).join(DATABASE);
        openat(&data, DATABASE, flags, Mode::RUSR | Mode::WUSR).map_err(failed(database))?;
        Ok(StateDirectory { path, private, data, lock: None })
    }

    /// Makes it one service's own, until this is dropped or the process ends.
    pub fn lock(mut self) -> Result<StateDirectory, DirectoryError> {
        let path = self.path.join(PRIVATE).join(LOCK);
        let failed = |source: io::Error| DirectoryError::Use { path: path.clone(), source };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = openat(&self.private, LOCK, flags, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
        let mut lock = File::from(lock);
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut said = String::new();
                let _ = lock.take(16).read_to_string(&mut said);
                return Err(DirectoryError::Taken { path: self.path, pid: said.trim().parse().ok() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        // For whoever comes next and is told that it is taken.
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(failed)?;
        writeln!(lock, "{}", std::process::id()).map_err(failed)?;
        self.lock = Some(lock);
        Ok(self)
    }

    /// Gives what is in it to this uid, which will have no other rights. To be called with root's, and again at each start:
    /// the uid is another one each time.
    pub fn hand_to(&self, uid: u32) -> Result<(), DirectoryError> {
        let (user, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)));
        let path = self.path.join(PRIVATE).join(DATA);
        let failed = |path: &Path, error: Errno| DirectoryError::Use { path: path.to_owned(), source: error.into() };
        fchown(&self.data, user, group).map_err(|error| failed(&path, error))?;
        for beside in BESIDE {
            let name = format!("{DATABASE}{beside}");
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = match openat(&self.data, &name, flags, Mode::empty()) {
                Err(Errno::NOENT) => continue,
                file => file.map_err(|error| failed(&path.join(&name), error))?,
            };
            // The last one to have these rights may have put anything here, such as another name of a file of root's.
            let stat = fstat(&file).map_err(|error| failed(&path.join(&name), error))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
                return Err(DirectoryError::Strange { path: path.join(&name) });
            }
            chownat(&file, "", user, group, AtFlags::EMPTY_PATH).map_err(|error| failed(&path.join(&name), error))?;
        }
        Ok(())
    }

    /// The file with the keys, to be read. The engine does not own it, and reads on in what it has open.
    pub fn keys(&self) -> Result<KeyFile, KeyFileError> {
        KeyFile::to_read(&self.private, &self.path.join(PRIVATE))
    }

    /// The same, to create and revoke keys.
    pub fn keys_to_change(&self) -> Result<KeyFile, KeyFileError> {
        KeyFile::to_append(&self.private, &self.path.join(PRIVATE))
    }

    /// Where it is, for people.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database, by a path that needs no right to what lies above it.
    pub(super) fn database(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{DATABASE}", self.data.as_fd().as_raw_fd()))
    }

    /// The same, for people.
    pub(super) fn name_of_database(&self) -> PathBuf {
        self.path.join(PRIVATE).join(DATA).join(DATABASE)
    }
}

/// A directory in a directory, which is made if it is not there and is no link to another.
fn inner(outer: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(outer, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    openat(outer, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn make_with_parents(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/state");
        (folder, path)
    }

    #[test]
    fn it_is_made_and_nobody_else_gets_in() {
        let (_folder, path) = place();
        let directory = StateDirectory::open(&path).unwrap();
        for made in [path.clone(), path.join(PRIVATE), path.join(PRIVATE).join(DATA)] {
            assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700, "{made:?}");
        }
        // Where an operator made it, others may look at the outside of it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(path.join(PRIVATE), fs::Permissions::from_mode(0o755)).unwrap();
        drop(directory);
        StateDirectory::open(&path).unwrap();
        assert_eq!(fs::metadata(path.join(PRIVATE)).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn one_service_has_it_and_the_next_is_told_which() {
        let (_folder, path) = place();
        let first = StateDirectory::open(&path).unwrap().lock().unwrap();
        let error = StateDirectory::open(&path).unwrap().lock().unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("--state"), "{error}");
        drop(first);
        StateDirectory::open(&path).unwrap().lock().unwrap();
    }

    #[test]
    fn where_others_could_change_it_nothing_is_kept() {
        let (_folder, path) = place();
        drop(StateDirectory::open(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = StateDirectory::open(&path).unwrap_err();
        assert!(matches!(error, DirectoryError::Writable { mode: 0o777, .. }), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        fs::remove_dir_all(path.join(PRIVATE)).unwrap();
        symlink("/tmp", path.join(PRIVATE)).unwrap();
        assert!(matches!(StateDirectory::open(&path), Err(DirectoryError::Use { .. })));
    }

    #[test]
    fn root_hands_over_files_and_nothing_else() {
        if !geteuid().is_root() {
            return;
        }
        let (_folder, path) = place();
        let directory = StateDirectory::open(&path).unwrap();
        let data = path.join(PRIVATE).join(DATA);
        fs::write(data.join(DATABASE), "").unwrap();
        directory.hand_to(12345).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().uid(), 12345);
        assert_eq!(fs::metadata(data.join(DATABASE)).unwrap().uid(), 12345);
        assert_eq!(fs::metadata(path.join(PRIVATE)).unwrap().uid(), 0);
        // What looks like one of its files, and is another name of somebody else's.
        let other = path.join("other");
        fs::write(&other, "").unwrap();
        fs::hard_link(&other, data.join("firebox.db-wal")).unwrap();
        assert!(matches!(directory.hand_to(12346), Err(DirectoryError::Strange { .. })));
        assert_eq!(fs::metadata(&other).unwrap().uid(), 0);
        fs::remove_file(data.join("firebox.db-wal")).unwrap();
        symlink(&other, data.join("firebox.db-wal")).unwrap();
        assert!(matches!(directory.hand_to(12346), Err(DirectoryError::Strange { .. })));
    }
}
