//! Standard input: code from it, or the program's own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use firebox_engine::Stdin;
use rustix::fs::{FileType, Mode, OFlags};

use crate::inputs::InputError;
use crate::inputs::budget::Budget;

/// Where the program's standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StdinSource {
    /// Our own, passed through as it comes.
    Ours,
    /// A file, a pipe or a device; passed through as well.
    File(PathBuf),
    /// Nowhere: ours has been read for the code.
    Empty,
}

impl StdinSource {
    /// Opens it.
    pub(super) fn open(self) -> Result<Stdin, InputError> {
        match self {
            StdinSource::Empty => Ok(Stdin::Empty),
            // When whoever called us has closed it, the standard library has put `/dev/null` in its place before
            // `main`, so there is always something, and no file of ours can have slipped into descriptor 0.
            StdinSource::Ours => {
                let ours = io::stdin().as_fd().try_clone_to_owned().map_err(|source| InputError::Stdin { source })?;
                refuse_a_directory(&ours, "standard input")?;
                Ok(Stdin::Fd(ours))
            }
            StdinSource::File(path) => {
                let unreadable =
                    |errno: rustix::io::Errno| InputError::Unreadable { path: path.clone(), source: errno.into() };
                // Waits at a pipe until somebody writes, as a shell's `<` does.
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
                let file = rustix::fs::open(&path, flags, Mode::empty()).map_err(unreadable)?;
                refuse_a_directory(&file, &path)?;
                Ok(Stdin::Fd(file))
            }
        }
    }
}

/// A directory can be opened, and fails only at the first read, by when a job would be running.
fn refuse_a_directory(fd: &OwnedFd, path: impl Into<PathBuf>) -> Result<(), InputError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| InputError::Stdin { source: errno.into() })?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(InputError::NoFile { path: path.into(), kind: "directory" }),
        _ => Ok(()),
    }
}

/// Reads the program's code from our standard input, to its end.
pub(super) fn read_code(budget: &mut Budget) -> Result<Vec<u8>, InputError> {
    budget.read("code from standard input", io::stdin().lock(), |source| InputError::Stdin { source })
}
