//! Puts frames together from whatever pieces a stream delivers them in. Does no I/O and never grows.

use crate::{DecodeError, HEADER_BYTES, Header, MAX_PAYLOAD};

/// Collects bytes until a whole frame is there.
///
/// The owner reads into [`room`](FrameBuffer::room), says how much came with [`filled`](FrameBuffer::filled), and takes
/// frames out until there are none.
#[derive(Debug)]
pub struct FrameBuffer<B> {
    bytes: B,
    start: usize,
    end: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> FrameBuffer<B> {
    /// How large the storage must be: one frame of the largest size.
    pub const BYTES: usize = HEADER_BYTES + MAX_PAYLOAD;

    /// An empty buffer over storage of at least [`FrameBuffer::BYTES`]; none when it is smaller.
    pub fn new(bytes: B) -> Option<FrameBuffer<B>> {
        (bytes.as_ref().len() >= Self::BYTES).then_some(FrameBuffer { bytes, start: 0, end: 0 })
    }

    /// Where to read into. Never empty after the whole frames have been taken out.
    pub fn room(&mut self) -> &mut [u8] {
        let bytes = self.bytes.as_mut();
        bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut bytes[self.end..]
    }

    /// So many bytes were read into the room.
    pub fn filled(&mut self, count: usize) {
        self.end = self.bytes.as_ref().len().min(self.end + count);
    }

    /// Whether all that came has been taken out.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether a whole frame is there, or what is there cannot become one.
    pub fn has_frame(&self) -> bool {
        !matches!(self.front(), Ok(None))
    }

    /// Takes the frame at the front out, once all of it is there.
    pub fn take(&mut self) -> Result<Option<(Header, &[u8])>, DecodeError> {
        let Some(header) = self.front()? else {
            return Ok(None);
        };
        let payload = self.start + HEADER_BYTES;
        self.start = payload + header.length();
        Ok(Some((header, &self.bytes.as_ref()[payload..self.start])))
    }

    fn front(&self) -> Result<Option<Header>, DecodeError> {
        let there = &self.bytes.as_ref()[self.start..self.end];
        let Some(header) = there.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = Header::parse(*header)?;
        Ok((there.len() >= HEADER_BYTES + header.length()).then_some(header))
    }
}
