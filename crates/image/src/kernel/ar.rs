//! The members of an `ar` archive, which a Debian package is: hostile until read, and read by one opinion.
//!
//! ```text
//! !<arch>\n   then, for each member:   name 16 | time 12 | owner 6 | group 6 | mode 8 | size 10 | `\n   content, to an even length
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    start: u64,
    length: u64,
}

impl Place {
    /// All of a file of this length.
    pub(super) fn whole(length: u64) -> Place {
        Place { start: 0, length }
    }

    /// Reads it, from its start. The file's own position means nothing and is left alone, so it can be read again.
    pub(super) fn read(self, file: &File) -> PlaceReader<'_> {
        PlaceReader { file, at: self.start, end: self.start + self.length }
    }
}

/// A member's name and where its content is.
pub(super) type Member = (String, Place);

/// Why a file is no such archive.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// It begins otherwise.
    #[error("it does not begin as a package does")]
    Magic,
    /// A member's header is malformed.
    #[error("byte {at} should begin a member, and does not")]
    Header {
        /// Where.
        at: u64,
    },
    /// It ends before its last member does.
    #[error("it ends within the member at byte {at}")]
    Cut {
        /// Where the member begins.
        at: u64,
    },
    /// Packages have three.
    #[error("it has more than {MOST} members")]
    Many,
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;
/// Several times what any package has.
const MOST: usize = 16;

/// All members of a file of this length.
pub(super) fn members(file: &File, length: u64) -> Result<Vec<Member>, ArError> {
    let mut magic = [0; MAGIC.len()];
    match file.read_exact_at(&mut magic, 0) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(ArError::Read(error)),
        _ if magic != *MAGIC => return Err(ArError::Magic),
        _ => {}
    }
    let mut members = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < length {
        if members.len() == MOST {
            return Err(ArError::Many);
        }
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArError::Cut { at },
            _ => ArError::Read(error),
        })?;
        let (name, size) = named(&header).ok_or(ArError::Header { at })?;
        let start = at + HEADER as u64;
        let end = start.checked_add(size).filter(|end| *end <= length).ok_or(ArError::Cut { at })?;
        members.push((name, Place { start, length: size }));
        // What pads the last one may be missing.
        at = end.next_multiple_of(2);
    }
    Ok(members)
}

fn named(header: &[u8; HEADER]) -> Option<(String, u64)> {
    let name = std::str::from_utf8(&header[..16]).ok()?.trim_end_matches(' ');
    let size = std::str::from_utf8(&header[48..58]).ok()?.trim_end_matches(' ');
    let is_number = !size.is_empty() && size.bytes().all(|digit| digit.is_ascii_digit());
    let is_whole = &header[58..] == b"`\n" && is_number;
    // Some tools end names with a slash.
    let name = name.strip_suffix('/').unwrap_or(name);
    // Ten digits fit into it.
    Some((name.to_owned(), size.parse().ok()?)).filter(|_| is_whole)
}

/// What a part of a file holds.
pub(super) struct PlaceReader<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for PlaceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = (self.end - self.at).min(buffer.len() as u64) as usize;
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        // It was as long when it was looked at.
        if read == 0 && most != 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// Makes archives.
#[cfg(any(test, fuzzing))]
pub(super) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = MAGIC.to_vec();
    for (name, content) in members {
        archive.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, content.len()).bytes());
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(2), b'\n');
    }
    archive
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ArError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let content = |place: Place| {
            let mut content = Vec::new();
            place.read(&file).read_to_end(&mut content).unwrap();
            content
        };
        let members = members(&file, bytes.len() as u64)?;
        Ok(members.into_iter().map(|(name, place)| (name, content(place))).collect())
    }

    const MEMBERS: [(&str, &[u8]); 3] =
        [("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz/", b"to an end")];

    #[test]
    fn every_member_is_found_where_it_is() {
        let members = read(&archive(&MEMBERS)).unwrap();
        let expected = [("debian-binary", &b"2.0\n"[..]), ("control.tar.xz", b"odd"), ("data.tar.xz", b"to an end")];
        assert_eq!(members, expected.map(|(name, content)| (name.to_owned(), content.to_vec())));
        assert_eq!(read(MAGIC).unwrap(), []);
    }

    #[test]
    fn what_is_cut_anywhere_is_refused_or_has_fewer_members() {
        let whole = archive(&MEMBERS);
        // Behind each member, and before what pads it.
        let ends = [8, 8 + 64, 8 + 64 + 63, 8 + 64 + 64, whole.len() - 1];
        for length in 0..whole.len() {
            let found = read(&whole[..length]);
            assert_eq!(found.is_ok(), ends.contains(&length), "{length}: {found:?}");
        }
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let whole = archive(&MEMBERS);
        for (at, lie) in [
            (48, "9999999999"),
            (48, "4         "),
            (48, "-4        "),
            (48, "0x4       "),
            (48, "          "),
            (58, "\n`"),
        ] {
            let mut lying = whole.clone();
            lying[8 + at..8 + at + lie.len()].copy_from_slice(lie.as_bytes());
            assert_eq!(read(&lying).is_ok(), lie == "4         ", "{lie}");
        }
        let many = vec![("x", &b""[..]); 17];
        assert!(matches!(read(&archive(&many)), Err(ArError::Many)));
        assert!(read(&archive(&many[..16])).is_ok());
    }
}
