//! A file that is locked as long as this lives.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::store::{StoreError, at};

/// The kernel gives it back when the last copy of the descriptor is closed.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Together with others who share it. Waits for whoever has it alone.
    pub(crate) fn shared(path: &Path) -> Result<Lock, StoreError> {
        Ok(Lock { file: locked(path, FlockOperation::LockShared)?.ok_or(StoreError::Busy)? })
    }

    /// Alone. Waits for all others.
    pub(crate) fn alone(path: &Path) -> Result<Lock, StoreError> {
        Ok(Lock { file: locked(path, FlockOperation::LockExclusive)?.ok_or(StoreError::Busy)? })
    }

    /// Alone, or not at all.
    pub(crate) fn alone_now(path: &Path) -> Result<Option<Lock>, StoreError> {
        Ok(locked(path, FlockOperation::NonBlockingLockExclusive)?.map(|file| Lock { file }))
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Opens the file, makes it if there is none, and locks it. Whoever had it before may have removed it in the meantime:
/// then a lock on it keeps nobody out, and the file that is there now is the one to lock.
fn locked(path: &Path, how: FlockOperation) -> Result<Option<File>, StoreError> {
    loop {
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = open.map_err(at("open", path))?;
        match flock(&file, how) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(at("lock", path)(errno.into())),
        }
        let mine = file.metadata().map_err(at("look at", path))?;
        match std::fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (mine.dev(), mine.ino()) => return Ok(Some(file)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("look at", path)(error)),
            _ => {}
        }
    }
}
