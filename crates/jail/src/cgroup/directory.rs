//! One directory of a control group file system, held open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;

/// The most that any file we read there holds.
const MOST_BYTES: usize = 64 * 1024;

/// A directory of a control group file system.
pub(crate) struct Directory(OwnedFd);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Directory {
    /// Opens one by its path.
    pub(crate) fn open(path: &std::path::Path) -> Result<Directory, Errno> {
        openat(rustix::fs::CWD, path, DIRECTORY, Mode::empty()).map(Directory)
    }

    /// Makes one below this, and opens it. One that cannot be opened is not left behind.
    pub(crate) fn make(&self, name: &str) -> Result<Directory, Errno> {
        mkdirat(&self.0, name, Mode::from_raw_mode(0o755))?;
        let opened = openat(&self.0, name, DIRECTORY, Mode::empty()).map(Directory);
        if opened.is_err() {
            let _ = self.remove(name);
        }
        opened
    }

    /// Removes one below this.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Errno> {
        unlinkat(&self.0, name, AtFlags::REMOVEDIR)
    }

    /// Opens a file for writing.
    pub(crate) fn open_to_write(&self, file: &str) -> Result<OwnedFd, Errno> {
        openat(&self.0, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
    }

    /// Opens a file for reading and writing.
    pub(crate) fn open_to_change(&self, file: &str) -> Result<OwnedFd, Errno> {
        openat(&self.0, file, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
    }

    /// Writes one value. The kernel takes a value whole or not at all.
    pub(crate) fn write(&self, file: &str, value: impl ToString) -> Result<(), Errno> {
        let fd = self.open_to_write(file)?;
        rustix::io::write(&fd, value.to_string().as_bytes()).map(|_| ())
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, file: &str) -> Result<String, Errno> {
        let fd = openat(&self.0, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut bytes = Vec::with_capacity(4096);
        let mut chunk = [0; 4096];
        loop {
            match rustix::io::read(&fd, &mut chunk)? {
                0 => break,
                read => bytes.extend_from_slice(&chunk[..read]),
            }
            if bytes.len() > MOST_BYTES {
                return Err(Errno::FBIG);
            }
        }
        String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
    }

    /// Reads a file that holds one number.
    pub(crate) fn number(&self, file: &str) -> Result<u64, Errno> {
        self.read(file)?.trim().parse().map_err(|_| Errno::BADMSG)
    }

    /// Reads one number out of a file of `key number` lines.
    pub(crate) fn keyed(&self, file: &str, key: &str) -> Result<u64, Errno> {
        let text = self.read(file)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        value.and_then(|number| number.trim().parse().ok()).ok_or(Errno::BADMSG)
    }
}

/// Reads an open file that holds one number, from its beginning.
pub(crate) fn number_of(file: &OwnedFd) -> Result<u64, Errno> {
    let mut bytes = [0; 32];
    let read = rustix::io::pread(file, &mut bytes, 0)?;
    let text = std::str::from_utf8(&bytes[..read]).map_err(|_| Errno::ILSEQ)?;
    text.trim().parse().map_err(|_| Errno::BADMSG)
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
