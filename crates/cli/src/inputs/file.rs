//! One file that was named on the command line.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use crate::inputs::InputError;
use crate::inputs::budget::Budget;

/// Reads a regular file. Symbolic links are followed: the user named this path and means what it leads to.
pub(super) fn read(path: &Path, budget: &mut Budget) -> Result<Vec<u8>, InputError> {
    let unreadable = |source| InputError::Unreadable { path: path.to_owned(), source };
    // Looked at before it is opened: opening alone waits at a pipe and does things at a device.
    let metadata = path.metadata().map_err(unreadable)?;
    refuse_all_but_files(path, FileType::from_raw_mode(std::os::unix::fs::MetadataExt::mode(&metadata)))?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| unreadable(errno.into()))?;
    // And once more what was opened, in case the name means something else by now.
    let stat = rustix::fs::fstat(&file).map_err(|errno| unreadable(errno.into()))?;
    refuse_all_but_files(path, FileType::from_raw_mode(stat.st_mode))?;

    let what = format!("`{}`", path.display());
    budget.expect(&what, u64::try_from(stat.st_size).unwrap_or(0))?;
    budget.read(&what, File::from(file), unreadable)
}

fn refuse_all_but_files(path: &Path, kind: FileType) -> Result<(), InputError> {
    match kind_name(kind) {
        None => Ok(()),
        Some(kind) => Err(InputError::NoFile { path: path.to_owned(), kind }),
    }
}

/// What stands there, if it is no regular file.
pub(super) fn kind_name(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::RegularFile => None,
        FileType::Directory => Some("directory"),
        FileType::Symlink => Some("symbolic link"),
        FileType::Fifo => Some("pipe"),
        FileType::Socket => Some("socket"),
        FileType::CharacterDevice => Some("character device"),
        FileType::BlockDevice => Some("block device"),
        _ => Some("thing of an unknown kind"),
    }
}
