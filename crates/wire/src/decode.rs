//! Why bytes are no frame, and a cursor that cannot run over.

use core::fmt;

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The announced length is above the limit.
    TooLong {
        /// What was announced.
        length: u32,
    },
    /// Bytes that must be zero are not.
    Reserved,
    /// No frame has this number in this direction.
    UnknownKind(u8),
    /// The payload ends before the frame does, or goes on after it.
    Length,
    /// A number stands for none of the values it may.
    Value(u8),
    /// A list of strings is not what it announced.
    Strings,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::TooLong { length } => write!(f, "a frame announces {length} bytes"),
            DecodeError::Reserved => f.write_str("reserved bytes of a frame are not zero"),
            DecodeError::UnknownKind(kind) => write!(f, "no frame has the number {kind}"),
            DecodeError::Length => f.write_str("a frame's payload has the wrong length"),
            DecodeError::Value(value) => write!(f, "a frame holds {value} where that stands for nothing"),
            DecodeError::Strings => f.write_str("a frame's list of strings is not what it announced"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Reads fixed parts off the front of a payload.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Length)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (first, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Length)?;
        self.0 = rest;
        Ok(first)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_le_bytes(self.take()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// Nothing may be left: a longer frame is a frame of another version.
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Length) }
    }
}
