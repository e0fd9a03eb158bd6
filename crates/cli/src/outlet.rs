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
    let line = serde_json::to_string(value).map_err(Failure::host)?;
    say(&(calm(line) + "\n"))
}

/// Whether a terminal takes a character for more than something to show: it says what to do, turns the direction of
/// writing, or takes no room, and so hides what stands there.
pub(crate) fn is_odd(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The same JSON for whoever reads it as such, and nothing more than text for a terminal. Outside of its strings
/// there is nothing odd in it, and all that is odd has four digits.
fn calm(json: String) -> String {
    // Nearly always, and much faster to find out.
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return json;
    }
    let mut calm = String::with_capacity(json.len());
    for character in json.chars() {
        match is_odd(character) {
            true => calm.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => calm.push(character),
        }
    }
    calm
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
    fn json_says_the_same_and_does_nothing_to_a_terminal() {
        let odd = "a\u{1b}[2J\u{9b}31m\u{202e}\u{2067}\u{61c}\u{200b}\u{feff}\u{7f}\n\"\\ä\u{1f980}";
        let json = calm(serde_json::to_string(&[odd]).unwrap());
        assert!(!json.chars().any(is_odd), "{json:?}");
        assert!(json.contains("ä\u{1f980}"), "{json}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [odd]);
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
