//! Where an entry of a layer wants to be.
//!
//! An [`EntryPath`] in hand names something below the root of the image and nothing else: it has no `..`, no empty and
//! no overlong part, and is not nested deeper than [`Bounds::DEPTH`]. It is bytes, not text: names need not be UTF-8.

use std::fmt;

use crate::bounds::Bounds;

/// A path relative to the root of an image. Empty for the root itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct EntryPath(Box<[u8]>);

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It climbs.
    #[error("has a part `..`")]
    Parent,
    /// A part is longer than a file's name can be.
    #[error("has a part longer than {} bytes", Bounds::NAME)]
    Name,
    /// It is too long as a whole.
    #[error("is longer than {} bytes", Bounds::PATH)]
    Length,
    /// It is too deep.
    #[error("is nested deeper than {}", Bounds::DEPTH)]
    Depth,
    /// It holds a NUL.
    #[error("has a NUL in it")]
    Nul,
    /// It names the root where something in it is needed.
    #[error("names the root itself")]
    Root,
}

impl EntryPath {
    /// The path that an archive means: an absolute one is taken from the image's root, `.` and empty parts mean nothing.
    pub(crate) fn new(raw: &[u8]) -> Result<EntryPath, PathFault> {
        if Bounds::PATH < raw.len() {
            return Err(PathFault::Length);
        }
        let mut path = Vec::with_capacity(raw.len());
        let mut depth = 0;
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(PathFault::Parent),
                _ if Bounds::NAME < part.len() => return Err(PathFault::Name),
                _ if part.contains(&0) => return Err(PathFault::Nul),
                _ => {}
            }
            depth += 1;
            if Bounds::DEPTH < depth {
                return Err(PathFault::Depth);
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        Ok(EntryPath(path.into()))
    }

    /// The parts, from the root on.
    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// The directory it is in, and its name there; `None` for the root.
    pub(crate) fn split(&self) -> Option<(&[u8], &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&self.0[..at], &self.0[at + 1..]),
            None => (&[], &self.0),
        })
    }

    /// The same directory, another name.
    pub(crate) fn beside(&self, name: &[u8]) -> EntryPath {
        let mut path = self.split().map_or(Vec::new(), |(parent, _)| parent.to_vec());
        if !path.is_empty() && !name.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        EntryPath(path.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

/// Hostile bytes as they may appear in a message: short, printable, in one line.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 120;
    let mut text = bytes[..bytes.len().min(MOST)].escape_ascii().to_string();
    if MOST < bytes.len() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_place_below_the_root_is_the_same_path() {
        for raw in ["usr/lib", "./usr/lib", "/usr/lib", "//usr///./lib/", "usr/lib/."] {
            assert_eq!(EntryPath::new(raw.as_bytes()).unwrap().bytes(), b"usr/lib", "{raw}");
        }
        for raw in ["", ".", "/", "./", "/./."] {
            assert_eq!(EntryPath::new(raw.as_bytes()).unwrap(), EntryPath::default(), "{raw}");
        }
    }

    #[test]
    fn what_climbs_or_is_too_long_is_refused() {
        let (long, deep) = ("n".repeat(256), "d/".repeat(257));
        for (raw, fault) in [
            ("..", PathFault::Parent),
            ("../x", PathFault::Parent),
            ("a/../../x", PathFault::Parent),
            ("/..", PathFault::Parent),
            (&long, PathFault::Name),
            (&deep, PathFault::Depth),
            (&"ab/".repeat(2000), PathFault::Length),
            ("a\0b", PathFault::Nul),
        ] {
            assert_eq!(EntryPath::new(raw.as_bytes()), Err(fault), "{raw:.20}");
        }
        assert!(EntryPath::new("..a/...".as_bytes()).is_ok());
    }

    #[test]
    fn a_path_splits_into_directory_and_name() {
        let path = EntryPath::new(b"a/b/c").unwrap();
        assert_eq!(path.split(), Some((&b"a/b"[..], &b"c"[..])));
        assert_eq!(path.beside(b"d").bytes(), b"a/b/d");
        assert_eq!(EntryPath::new(b"a").unwrap().beside(b"").bytes(), b"");
        assert_eq!(EntryPath::default().split(), None);
    }

    #[test]
    fn names_need_not_be_text_and_are_shown_in_one_line() {
        let path = EntryPath::new(b"\xff\n\x1b[31m").unwrap();
        assert_eq!(format!("{path:?}"), r"\xff\n\x1b[31m");
    }
}
