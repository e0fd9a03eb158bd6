//! Why the database could not be opened, read or written.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why the database cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something is in it that is no database, or not whole any more.
    #[error("`{}` is damaged: {what}; move it away with its `-wal` and start with an empty one, or bring back a copy", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Another program made it.
    #[error("`{}` is the database of another program; choose another directory with `--state`", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer firebox made it.
    #[error(
        "`{}` was written by a newer firebox (its version is {found}, this one knows up to {known}); use that one, or another \
         directory with `--state`", .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// Its disk takes or gives nothing.
    #[error("cannot open the database `{}`: its disk is full, or fails; make room on it, or see what the kernel's log says", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It could not be opened or made.
    #[error("cannot open the database `{}`", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// No thread could be had for it.
    #[error("cannot start a thread for the database")]
    Thread(#[source] std::io::Error),
}

/// Why something was not read or not written. What was to be written is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// There is no room on its disk.
    #[error("the disk of the state directory is full")]
    DiskFull,
    /// It does not answer any more: the service is ending.
    #[error("the database is closed")]
    Closed,
    /// Anything else that goes wrong with files.
    #[error("the database failed")]
    Failed(#[source] Arc<rusqlite::Error>),
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> StateError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StateError::DiskFull,
            _ => StateError::Failed(Arc::new(error)),
        }
    }
}

impl StateError {
    /// Whether the same may go well later: nothing is wrong with what was to be written or read, but with the disk. The log says
    /// so once for all whom it concerns (see `outage`), and they need not.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            StateError::DiskFull => true,
            StateError::Closed => false,
            StateError::Failed(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::ReadOnly
                        | ErrorCode::CannotOpen
                        | ErrorCode::PermissionDenied
                )
            ),
        }
    }
}
