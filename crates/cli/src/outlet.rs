//! Writing to a descriptor that others may hold as well.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;

use crate::failure::Failure;

/// Writes all of it, however long the reader takes.
///
/// The standard library's own streams are left aside for two reasons: they hold back half lines, and they fail on a
/// descriptor that somebody else (a parent, the terminal's other user) has made non-blocking.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for_room(fd)?,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Writes what firebox itself has to say on its standard output.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    write_all(rustix::stdio::stdout(), text.as_bytes()).map_err(|error| failed("standard output", error))
}

/// Writes one line of JSON, whoever reads it: a form that depends on being watched is a surprise in a script.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_string(value).map_err(Failure::host)?;
    line.push('\n');
    say(&line)
}

/// Writes what firebox has to add on its standard error. That nobody reads it changes nothing.
pub(crate) fn remark(text: &str) {
    let _ = write_all(rustix::stdio::stderr(), text.as_bytes());
}

/// What it means that a stream of ours cannot be written.
pub(crate) fn failed(stream: &str, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::host(anyhow::Error::new(error).context(format!("cannot write to {stream}"))),
    }
}

fn wait_for_room(fd: BorrowedFd<'_>) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    #[test]
    fn a_non_blocking_reader_that_is_slow_gets_everything() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let bytes = vec![7; 4 << 20];
        let reader = thread::spawn(move || {
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).unwrap();
            read
        });

        write_all(ours.as_fd(), &bytes).unwrap();
        drop(ours);

        assert!(reader.join().unwrap() == bytes);
    }

    #[test]
    fn a_reader_that_is_gone_is_told_apart_from_a_failure() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let error = write_all(ours.as_fd(), b"x").unwrap_err();
        assert!(matches!(failed("standard output", error), Failure::ReaderGone));
        let full = io::Error::from_raw_os_error(28);
        assert!(matches!(failed("standard output", full), Failure::Told { .. }));
    }
}
