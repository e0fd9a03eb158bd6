//! The eight bytes before every payload.

use crate::DecodeError;

/// How long a header is.
pub const HEADER_BYTES: usize = 8;

/// The most a payload may hold. A step's arguments and environment must fit into one frame; output comes in many.
pub const MAX_PAYLOAD: usize = 128 * 1024;

/// What kind of frame follows, and how long its payload is. A `Header` in hand is within [`MAX_PAYLOAD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind's number.
    pub kind: u8,
    length: u32,
}

impl Header {
    /// For a payload of this length; none when it is too long for one frame.
    pub const fn new(kind: u8, length: usize) -> Option<Header> {
        if length > MAX_PAYLOAD {
            return None;
        }
        Some(Header { kind, length: length as u32 })
    }

    /// Reads a header, refusing a length that nobody may announce.
    pub fn parse(bytes: [u8; HEADER_BYTES]) -> Result<Header, DecodeError> {
        let [kind, zero_a, zero_b, zero_c, a, b, c, d] = bytes;
        let length = u32::from_le_bytes([a, b, c, d]);
        if [zero_a, zero_b, zero_c] != [0; 3] {
            return Err(DecodeError::Reserved);
        }
        if length as usize > MAX_PAYLOAD {
            return Err(DecodeError::TooLong { length });
        }
        Ok(Header { kind, length })
    }

    /// The header's bytes.
    pub const fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = self.length.to_le_bytes();
        [self.kind, 0, 0, 0, a, b, c, d]
    }

    /// How long the payload is.
    pub const fn length(self) -> usize {
        self.length as usize
    }
}
