//! Who of the host calls: a connection to the machine's socket, until it has said with which port of the guest it wants to speak.
//!
//! It says `CONNECT <port>` and a line feed, as with Firecracker, and hears `OK <port>` when the guest has answered. Whoever says anything
//! else is hung up on.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

/// `CONNECT `, ten digits, and the line feed.
const MOST: usize = 19;

/// A caller that has not said all of it.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) stream: UnixStream,
    said: Vec<u8>,
}

/// What a caller has said by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Not all yet.
    Part,
    /// With which port it wants to speak.
    Port(u32),
    /// What makes no sense, or nothing more.
    Nonsense,
}

impl Caller {
    pub(super) fn new(stream: UnixStream) -> Caller {
        Caller { stream, said: Vec::with_capacity(MOST) }
    }

    /// Byte for byte: what comes behind the line feed is for the guest.
    pub(super) fn hear(&mut self) -> Said {
        let mut byte = [0];
        while self.said.len() < MOST {
            match self.stream.read(&mut byte) {
                Ok(0) => return Said::Nonsense,
                Ok(_) => self.said.extend(byte),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Said::Part,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Said::Nonsense,
            }
            if byte == *b"\n" {
                return port(&self.said).map_or(Said::Nonsense, Said::Port);
            }
        }
        Said::Nonsense
    }
}

fn port(said: &[u8]) -> Option<u32> {
    let digits = said.strip_prefix(b"CONNECT ")?.strip_suffix(b"\n")?;
    let are_digits = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| are_digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_caller_is_understood_or_hung_up_on() {
        for (said, expected) in [
            ("CONNECT 5000\nhello", Said::Port(5000)),
            ("CONNECT 4294967295\n", Said::Port(u32::MAX)),
            ("CONNECT 50", Said::Part),
            ("", Said::Part),
            ("CONNECT 4294967296\n", Said::Nonsense),
            ("CONNECT \n", Said::Nonsense),
            ("CONNECT +5\n", Said::Nonsense),
            ("connect 5\n", Said::Nonsense),
            ("CONNECT 00000000000005\n", Said::Nonsense),
            ("GET / HTTP/1.1\r\n", Said::Nonsense),
        ] {
            let (mut theirs, ours) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            theirs.write_all(said.as_bytes()).unwrap();
            assert_eq!(Caller::new(ours).hear(), expected, "{said:?}");
        }
    }

    #[test]
    fn what_comes_behind_the_line_is_left_for_the_guest() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        theirs.write_all(b"CONNECT 7\nhello").unwrap();
        drop(theirs);
        let mut caller = Caller::new(ours);
        assert_eq!(caller.hear(), Said::Port(7));
        let mut rest = String::new();
        caller.stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "hello");
    }
}
