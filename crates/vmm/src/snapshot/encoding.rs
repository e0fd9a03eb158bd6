//! How numbers stand in a snapshot: one after the other, each with its lower byte first, and nothing that says what they are. Of what there can be
//! several of, the count comes first, and has a bound.
//!
//! Whoever reads may read what anybody has made up. A reader never takes more than is there, and nothing is allocated by a count alone.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// These bytes do not say what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// There are fewer of them.
    #[error("it ends before it has said everything")]
    Short,
    /// There are more of them.
    #[error("{0} bytes come after all has been said")]
    Long(usize),
    /// There is too much of something.
    #[error("it has {count} {what}, where at most {most} can be")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it says there are.
        count: u32,
        /// How many there may be.
        most: u32,
    },
    /// Something cannot be so.
    #[error("its {0} cannot be so")]
    Impossible(&'static str),
}

/// A part of a snapshot, known to whoever owns what it is the state of.
pub(crate) trait Piece: Sized {
    /// Writes it down.
    fn write(&self, to: &mut Writer);

    /// Reads what was written.
    fn read(from: &mut Reader<'_>) -> Result<Self, Nonsense>;
}

/// Bytes that are written down.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, number: u8) {
        self.bytes(&[number]);
    }

    pub(crate) fn u16(&mut self, number: u16) {
        self.bytes(&number.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Whether something is so.
    pub(crate) fn is(&mut self, it_is: bool) {
        self.u8(it_is.into());
    }

    /// What the kernel's interface lays out itself, as it lies in memory.
    pub(crate) fn laid_out(&mut self, it: &(impl IntoBytes + Immutable)) {
        self.bytes(it.as_bytes());
    }

    /// So many pieces.
    pub(crate) fn all<'a, T: 'a>(
        &mut self,
        pieces: impl ExactSizeIterator<Item = &'a T>,
        mut write: impl FnMut(&mut Writer, &T),
    ) {
        self.u32(u32::try_from(pieces.len()).unwrap_or(u32::MAX));
        pieces.for_each(|piece| write(self, piece));
    }

    pub(crate) fn written(self) -> Vec<u8> {
        self.0
    }
}

/// Bytes that are read, from the first on.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Nonsense> {
        let (now, later) = self.0.split_first_chunk::<N>().ok_or(Nonsense::Short)?;
        self.0 = later;
        Ok(*now)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Nonsense> {
        self.take().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Nonsense> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Nonsense> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Nonsense> {
        self.take().map(u64::from_le_bytes)
    }

    /// Whether something is so, which is not said in any other way.
    pub(crate) fn is(&mut self, what: &'static str) -> Result<bool, Nonsense> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Nonsense::Impossible(what)),
        }
    }

    /// What the kernel's interface lays out itself.
    pub(crate) fn laid_out<T: FromBytes>(&mut self) -> Result<T, Nonsense> {
        let (it, later) = T::read_from_prefix(self.0).map_err(|_| Nonsense::Short)?;
        self.0 = later;
        Ok(it)
    }

    /// As many pieces as there are, if they are not more than that.
    pub(crate) fn all<T>(
        &mut self,
        what: &'static str,
        most: u32,
        mut read: impl FnMut(&mut Reader<'a>) -> Result<T, Nonsense>,
    ) -> Result<Vec<T>, Nonsense> {
        let count = self.u32()?;
        if most < count {
            return Err(Nonsense::TooMany { what, count, most });
        }
        (0..count).map(|_| read(self)).collect()
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Nonsense> {
        if self.0.is_empty() { Ok(()) } else { Err(Nonsense::Long(self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_beyond() {
        let mut writer = Writer::default();
        writer.u16(0x0102);
        writer.all([7_u64, 8].iter(), |to, number| to.u64(*number));
        let bytes = writer.written();
        assert_eq!(bytes.len(), 2 + 4 + 16);
        for length in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..length]);
            let read = reader.u16().and_then(|_| reader.all("numbers", 2, Reader::u64));
            assert_eq!(read, Err(Nonsense::Short), "{length}");
        }
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.all("numbers", 2, Reader::u64), Ok(vec![7, 8]));
        assert_eq!(reader.u8(), Err(Nonsense::Short));
        reader.end().unwrap();
    }

    #[test]
    fn a_count_beyond_its_bound_is_refused_before_anything_is_read() {
        let bytes = u32::MAX.to_le_bytes();
        let read = Reader::new(&bytes).all("numbers", 9, Reader::u64);
        assert_eq!(read, Err(Nonsense::TooMany { what: "numbers", count: u32::MAX, most: 9 }));
        assert_eq!(Reader::new(&bytes).end(), Err(Nonsense::Long(4)));
    }
}
