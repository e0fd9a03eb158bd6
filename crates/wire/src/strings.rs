//! A list of strings as `execve` wants them: each ended by NUL, one after the other.

use crate::DecodeError;

/// The most strings of one list: the agent keeps a pointer to each, and one to end them, in a fixed place.
pub const MOST_STRINGS: usize = 4095;

/// Strings that stand one after the other, each ended by NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strings<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    /// Checks that there are so many strings, and nothing after the last.
    pub fn new(count: u32, bytes: &'a [u8]) -> Result<Strings<'a>, DecodeError> {
        let ends = bytes.iter().filter(|byte| **byte == 0).count();
        let closed = bytes.last().is_none_or(|byte| *byte == 0);
        if ends != count as usize || !closed {
            return Err(DecodeError::Strings);
        }
        Ok(Strings { count, bytes })
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// All of them with their NULs.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Each string with its NUL.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.split_inclusive(|byte| *byte == 0)
    }
}

/// Writes strings into a buffer of the caller's.
#[derive(Debug)]
pub struct StringsBuilder<'b> {
    buffer: &'b mut [u8],
    used: usize,
    count: u32,
}

impl<'b> StringsBuilder<'b> {
    /// An empty list in this buffer.
    pub fn new(buffer: &'b mut [u8]) -> StringsBuilder<'b> {
        StringsBuilder { buffer, used: 0, count: 0 }
    }

    /// Adds one string; false when it does not fit, is one too many, or has a NUL of its own.
    #[must_use]
    pub fn push(&mut self, string: &[u8]) -> bool {
        let room = &mut self.buffer[self.used..];
        if string.len() >= room.len() || string.contains(&0) || MOST_STRINGS <= self.count as usize {
            return false;
        }
        room[..string.len()].copy_from_slice(string);
        room[string.len()] = 0;
        self.used += string.len() + 1;
        self.count += 1;
        true
    }

    /// The list, for as long as the buffer.
    pub fn finish(self) -> Strings<'b> {
        Strings { count: self.count, bytes: &self.buffer[..self.used] }
    }
}
