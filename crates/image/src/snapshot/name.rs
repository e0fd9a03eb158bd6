//! What a snapshot is asked for by.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::str::FromStr;

use crate::store::is_name;

/// A language, the memory that jobs are promised, and how many processors there are: `rust-512-1`. A part of a path at most, so that it can be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName {
    language: String,
    mebibytes: NonZeroU32,
    vcpus: NonZeroU8,
}

/// What cannot be the name of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no snapshot: expected a language, memory in MiB, and how many processors, such as `rust-512-1`")]
pub struct NoSnapshotName(pub String);

impl SnapshotName {
    /// Of these three. Nothing of anything is no machine.
    pub fn new(language: &str, mebibytes: u32, vcpus: u8) -> Result<SnapshotName, NoSnapshotName> {
        let name = || {
            let (mebibytes, vcpus) = (NonZeroU32::new(mebibytes)?, NonZeroU8::new(vcpus)?);
            is_name(language).then(|| SnapshotName { language: language.to_owned(), mebibytes, vcpus })
        };
        name().ok_or_else(|| no(&format!("{language}-{mebibytes}-{vcpus}")))
    }

    /// What jobs in its machines are written in.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The memory that a job has there, in MiB. The machine has more.
    pub fn mebibytes(&self) -> u32 {
        self.mebibytes.get()
    }

    /// How many processors there are.
    pub fn vcpus(&self) -> u8 {
        self.vcpus.get()
    }
}

fn no(text: &str) -> NoSnapshotName {
    NoSnapshotName(text.chars().take(80).collect())
}

/// A number as it is written here, and in no other way: so a snapshot has one name.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let begins = text.bytes().next().is_some_and(|first| first.is_ascii_digit() && first != b'0');
    begins.then(|| text.parse().ok()).flatten()
}

impl FromStr for SnapshotName {
    type Err = NoSnapshotName;

    fn from_str(text: &str) -> Result<SnapshotName, NoSnapshotName> {
        // From its end, since languages may have dashes.
        let mut parts = text.rsplitn(3, '-');
        let mut name = || {
            let (vcpus, mebibytes) = (number(parts.next()?)?, number(parts.next()?)?);
            SnapshotName::new(parts.next()?, mebibytes, vcpus).ok()
        };
        name().ok_or_else(|| no(text))
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SnapshotName { language, mebibytes, vcpus } = self;
        write!(f, "{language}-{mebibytes}-{vcpus}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_it_is_written() {
        for (text, language, mebibytes, vcpus) in [
            ("rust-512-1", "rust", 512, 1),
            ("c++-64-32", "c++", 64, 32),
            ("plain-text-1024-2", "plain-text", 1024, 2),
            ("rust-512-1-2", "rust-512", 1, 2),
            ("python3.11-4294967295-255", "python3.11", u32::MAX, u8::MAX),
        ] {
            let name: SnapshotName = text.parse().unwrap();
            assert_eq!((name.language(), name.mebibytes(), name.vcpus()), (language, mebibytes, vcpus));
            assert_eq!(name, SnapshotName::new(language, mebibytes, vcpus).unwrap());
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn a_name_is_a_file_name_and_no_way_out() {
        let long = format!("{}-512-1", "a".repeat(65));
        for text in [
            "",
            "rust",
            "rust-512",
            "-512-1",
            "rust--1",
            "rust-512-",
            "rust-0-1",
            "rust-512-0",
            "rust-+5-1",
            "rust-05-1",
            "rust-5-01",
            "rust-512-256",
            "rust-4294967296-1",
            "rust-5 -1",
            "..-512-1",
            "../x-512-1",
            "a/b-512-1",
            "/-512-1",
            "-x-512-1",
            "ä-512-1",
            "rust\n-512-1",
            "rust-512-1\n",
            &long,
        ] {
            let error = text.parse::<SnapshotName>().unwrap_err();
            assert!(error.to_string().contains("such as `rust-512-1`"), "{text}: {error}");
        }
        for language in ["", "..", "a/b", ".x"] {
            assert!(SnapshotName::new(language, 512, 1).is_err(), "{language}");
        }
        assert!(SnapshotName::new("rust", 0, 1).is_err() && SnapshotName::new("rust", 1, 0).is_err());
    }
}
