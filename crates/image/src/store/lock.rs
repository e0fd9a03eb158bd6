//! A file that is locked as long as this lives.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::store::{StoreError, at};

/// It is given back when this is dropped, for all copies of the descriptor there are; and by the kernel when the last process that has one is gone.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// What became of a file that was to be locked without waiting, or without being made.
#[derive(Debug)]
pub(crate) enum Locked {
    /// It is ours.
    Ours(Lock),
    /// Somebody else has it.
    Busy,
    /// There is no such file.
    Missing,
}

/// What to do where there is no file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Make,
    Tell,
}

impl Lock {
    /// Together with others who share it. Waits for whoever has it alone.
    pub(crate) fn shared(path: &Path) -> Result<Lock, StoreError> {
        locked(path, FlockOperation::LockShared, Absent::Make)?.into_ours()
    }

    /// The same, of a file that is there.
    pub(crate) fn shared_if_there(path: &Path) -> Result<Option<Lock>, StoreError> {
        match locked(path, FlockOperation::LockShared, Absent::Tell)? {
            Locked::Missing => Ok(None),
            found => found.into_ours().map(Some),
        }
    }

    /// Alone. Waits for all others.
    pub(crate) fn alone(path: &Path) -> Result<Lock, StoreError> {
        locked(path, FlockOperation::LockExclusive, Absent::Make)?.into_ours()
    }

    /// Alone, or not at all.
    pub(crate) fn alone_now(path: &Path) -> Result<Option<Lock>, StoreError> {
        Ok(locked(path, FlockOperation::NonBlockingLockExclusive, Absent::Make)?.into_ours().ok())
    }

    /// Alone, if the file is there and nobody else has it.
    pub(crate) fn alone_if_there(path: &Path) -> Result<Locked, StoreError> {
        locked(path, FlockOperation::NonBlockingLockExclusive, Absent::Tell)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Lock {
    /// Said, and not left to closing: a child that another thread is just starting has a copy until it gets to its program.
    fn drop(&mut self) {
        // There is nothing else that could be done. It goes with the descriptor then.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Locked {
    fn into_ours(self) -> Result<Lock, StoreError> {
        match self {
            Locked::Ours(lock) => Ok(lock),
            Locked::Busy | Locked::Missing => Err(StoreError::Busy),
        }
    }
}

/// Opens the file and locks it. Whoever had it before may have removed it in the meantime: then a lock on it keeps
/// nobody out, and the file that is there now is the one to lock.
fn locked(path: &Path, how: FlockOperation, absent: Absent) -> Result<Locked, StoreError> {
    loop {
        let file =
            match File::options().read(true).write(true).create(absent == Absent::Make).truncate(false).open(path) {
                Err(error) if absent == Absent::Tell && error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Locked::Missing);
                }
                opened => opened.map_err(at("open", path))?,
            };
        match flock(&file, how) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Locked::Busy),
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(at("lock", path)(errno.into())),
        }
        let mine = file.metadata().map_err(at("look at", path))?;
        match std::fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (mine.dev(), mine.ino()) => {
                return Ok(Locked::Ours(Lock { file }));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("look at", path)(error)),
            _ => {}
        }
    }
}
