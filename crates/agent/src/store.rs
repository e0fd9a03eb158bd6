//! Puts the job's files into the work directory, and makes one that a build has put there executable.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, copy_file_range, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;

/// The longest name of a path's part, with its NUL.
pub(crate) const PART_BYTES: usize = 256;

/// The kernel copies as much at once as it likes; this is more.
const MOST_COPIED_AT_ONCE: usize = 1 << 30;

/// What may be done with a new file. Said when it is made: in a fence nobody may change it afterwards.
#[derive(Clone, Copy)]
pub(crate) enum NewMode {
    Data = 0o644,
    Program = 0o755,
}

/// A file that is being written.
pub(crate) struct NewFile(OwnedFd);

impl NewFile {
    /// Makes the file and the directories above it. Nothing on the way may be a link, and the file must be new.
    pub(crate) fn create(work: BorrowedFd<'_>, path: &[u8], mode: NewMode) -> Result<NewFile, Errno> {
        let mut directory = openat(work, c".", DIRECTORY, Mode::empty())?;
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        let mut buffer = [0; PART_BYTES];
        while let Some(part) = parts.next() {
            let name = part_name(part, &mut buffer)?;
            if parts.peek().is_none() {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                return openat(&directory, name, flags, Mode::from_raw_mode(mode as u32)).map(NewFile);
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

/// Makes a program of a file in the work directory that has not the right to be executed: a copy that has it takes the
/// file's place. In a fence nobody may change the mode of a file, but everybody says the mode of a new one. What is no
/// file, or not there, stays as it is: exec says what is wrong.
pub(crate) fn make_executable(work: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(made) = openat(work, name, flags, Mode::empty()) else { return Ok(()) };
    let mode = fstat(&made)?.st_mode;
    if !FileType::from_raw_mode(mode).is_file() || Mode::from_raw_mode(mode).contains(Mode::XUSR) {
        return Ok(());
    }
    unlinkat(work, name, AtFlags::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let program = openat(work, name, flags, Mode::from_raw_mode(0o755))?;
    loop {
        match copy_file_range(&made, None, &program, None, MOST_COPIED_AT_ONCE) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The part as the kernel wants it. The host has checked the path; a part that could lead elsewhere is refused here
/// all the same.
pub(crate) fn part_name<'b>(part: &[u8], buffer: &'b mut [u8; PART_BYTES]) -> Result<&'b CStr, Errno> {
    if matches!(part, b"" | b"." | b"..") || part.contains(&0) {
        return Err(Errno::INVAL);
    }
    if part.len() >= PART_BYTES {
        return Err(Errno::NAMETOOLONG);
    }
    buffer[..part.len()].copy_from_slice(part);
    buffer[part.len()] = 0;
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::INVAL)
}
