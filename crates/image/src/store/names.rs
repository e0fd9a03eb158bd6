//! What names stand for.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use crate::store::{Kind, Store, StoreError, at, names_in, sync_directory};

/// What a user calls an image: one part of a path at most, so that it can be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName(String);

/// Text that cannot be the name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name an image: at most 64 letters, digits, `.`, `_`, `+` and `-`, a letter or digit first")]
pub struct NoName(pub String);

/// Whether something that is kept may be called so.
pub(crate) fn is_name(text: &str) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+-".contains(byte);
    text.len() <= 64
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.as_bytes().iter().all(is_inner)
}

impl FromStr for ImageName {
    type Err = NoName;

    fn from_str(text: &str) -> Result<ImageName, NoName> {
        if is_name(text) { Ok(ImageName(text.to_owned())) } else { Err(NoName(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Store {
    fn name_place(&self, name: &ImageName) -> PathBuf {
        self.path.join("names").join(&name.0)
    }

    /// What is written down under a name.
    pub(crate) fn read_name(&self, name: &ImageName) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.name_place(name);
        match std::fs::read(&path) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("read", &path)(error)),
        }
    }

    /// Has a name stand for something, whatever it stood for before. The caller holds the store.
    pub(crate) fn write_name(&self, name: &ImageName, record: &[u8]) -> Result<(), StoreError> {
        // Some of what it stands for may have been put in its place by another, a moment ago: the disk is to know of that
        // before it knows of the name.
        for kind in Kind::ALL {
            sync_directory(&self.path.join(kind.directory()))?;
        }
        self.write_whole(&self.name_place(name), record)
    }

    /// Takes a name away; false when there was none. What it stood for stays until the next collection.
    pub fn remove_name(&self, name: &ImageName) -> Result<bool, StoreError> {
        let path = self.name_place(name);
        let was_there = match std::fs::remove_file(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(at("remove", &path)(error)),
        };
        // Also where there was none: whoever took it away may have been told that the disk does not know it yet.
        sync_directory(&self.path.join("names"))?;
        Ok(was_there)
    }

    /// All names, sorted.
    pub fn names(&self) -> Result<Vec<ImageName>, StoreError> {
        Ok(names_in(&self.path.join("names"))?.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_name_and_no_way_out() {
        for name in ["rust", "c++", "python3.11", "a_b-c", "A"] {
            assert!(name.parse::<ImageName>().is_ok(), "{name}");
        }
        for name in ["", ".", "..", ".a", "a/b", "-a", "a b", "ä", "a\n", &"a".repeat(65)] {
            assert!(name.parse::<ImageName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_stands_for_the_last_that_was_said() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("s"), None).unwrap();
        let name: ImageName = "rust".parse().unwrap();
        assert_eq!(store.read_name(&name).unwrap(), None);
        store.write_name(&name, b"one").unwrap();
        store.write_name(&name, b"two").unwrap();
        assert_eq!(store.read_name(&name).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(store.names().unwrap(), std::slice::from_ref(&name));
        assert!(store.remove_name(&name).unwrap());
        assert!(!store.remove_name(&name).unwrap());
        assert_eq!(names_in(&store.path.join("staging")).unwrap(), [""; 0]);
    }
}
