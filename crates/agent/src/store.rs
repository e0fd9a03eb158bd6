//! Puts the job's files into the work directory.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

/// The longest name of a path's part, with its NUL.
const PART_BYTES: usize = 256;

/// A file that is being written.
pub(crate) struct NewFile(OwnedFd);

impl NewFile {
    /// Makes the file and the directories above it. Nothing on the way may be a link, and the file must be new.
    pub(crate) fn create(work: BorrowedFd<'_>, path: &[u8]) -> Result<NewFile, Errno> {
        let mut directory = openat(work, c".", DIRECTORY, Mode::empty())?;
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        let mut buffer = [0; PART_BYTES];
        while let Some(part) = parts.next() {
            let name = part_name(part, &mut buffer)?;
            if parts.peek().is_none() {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                return openat(&directory, name, flags, Mode::from_raw_mode(0o644)).map(NewFile);
            }
            match mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => directory = openat(&directory, name, DIRECTORY, Mode::empty())?,
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::INVAL)
    }

    /// Appends bytes, all of them.
    pub(crate) fn append(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match rustix::io::write(self.0.as_fd(), bytes) {
                Ok(0) => return Err(Errno::IO),
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The part as the kernel wants it. The host has checked the path; a part that could lead elsewhere is refused here
/// all the same.
fn part_name<'b>(part: &[u8], buffer: &'b mut [u8; PART_BYTES]) -> Result<&'b core::ffi::CStr, Errno> {
    if matches!(part, b"" | b"." | b"..") || part.contains(&0) {
        return Err(Errno::INVAL);
    }
    if part.len() >= PART_BYTES {
        return Err(Errno::NAMETOOLONG);
    }
    buffer[..part.len()].copy_from_slice(part);
    buffer[part.len()] = 0;
    core::ffi::CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::INVAL)
}
