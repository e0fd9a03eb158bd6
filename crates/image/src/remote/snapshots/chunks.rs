//! Which chunks a memory consists of.
//!
//! Text: a line that says what it is and how it was cut, and a line for each chunk, its digest or a dash where all is zero. That of 512 MiB has
//! at most 33 KiB, and that of the largest machine is still one document.

use crate::digest::Digest;

/// How long chunks are, but for the last.
///
/// Memories of two machines of one kind differ in pages here and there, so short chunks are more often the same: 74% of those of two boots at this length,
/// 57% at four times that. Each costs a question of its own, though, of some tens of milliseconds where the bucket is far. Decision 36 has the figures.
pub(super) const CHUNK: u64 = 1 << 20;

/// What a list begins with.
const BEGIN: &str = "firebox chunks 1";
/// Where nothing is.
const ZERO: &str = "-";
/// The longest first line, and the longest of the others.
const FIRST: u64 = 64;
const LINE: u64 = 65;

/// The chunks of a memory, from its first byte on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    length: u64,
    /// None where all is zero.
    digests: Vec<Option<Digest>>,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub(super) at: u64,
    pub(super) bytes: u64,
}

/// How many chunks a memory of this length has.
pub(super) fn count(length: u64) -> usize {
    usize::try_from(length.div_ceil(CHUNK)).unwrap_or(usize::MAX)
}

/// Where the chunk of a number is.
pub(super) fn stretch(length: u64, number: usize) -> Stretch {
    let at = (number as u64).saturating_mul(CHUNK).min(length);
    Stretch { at, bytes: CHUNK.min(length - at) }
}

/// The longest list of a memory of this length.
pub(super) fn most(length: u64) -> u64 {
    FIRST.saturating_add((count(length) as u64).saturating_mul(LINE))
}

impl Chunks {
    /// Of a memory of this length, which has as many.
    pub(super) fn new(length: u64, digests: Vec<Option<Digest>>) -> Chunks {
        debug_assert_eq!(digests.len(), count(length));
        Chunks { length, digests }
    }

    /// Where each is, and what, if it is not zero.
    pub(super) fn all(&self) -> impl Iterator<Item = (Stretch, Option<Digest>)> {
        self.digests.iter().enumerate().map(|(number, digest)| (stretch(self.length, number), *digest))
    }

    pub(super) fn get(&self, number: usize) -> (Stretch, Option<Digest>) {
        (stretch(self.length, number), self.digests.get(number).copied().flatten())
    }

    /// What those take that are not zero.
    pub(super) fn bytes(&self) -> u64 {
        self.all().filter(|(_, digest)| digest.is_some()).map(|(stretch, _)| stretch.bytes).sum()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = format!("{BEGIN} {CHUNK} {}\n", self.length);
        for digest in &self.digests {
            match digest {
                Some(digest) => text.push_str(&digest.hex()),
                None => text.push_str(ZERO),
            }
            text.push('\n');
        }
        text.into_bytes()
    }

    /// The list of a memory of this length. None where these bytes are not one.
    pub(super) fn decode(bytes: &[u8], length: u64) -> Option<Chunks> {
        if most(length) < bytes.len() as u64 {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(&format!("{BEGIN} {CHUNK} {length}\n"))?;
        let lines = text.split_inclusive('\n').map(|line| match line.strip_suffix('\n')? {
            ZERO => Some(None),
            hex => Digest::from_hex(hex).map(Some),
        });
        let digests = lines.collect::<Option<Vec<_>>>()?;
        (digests.len() == count(length)).then_some(Chunks { length, digests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two whole chunks, the second of which is zero, and one that is shorter.
    const LENGTH: u64 = 2 * CHUNK + 8192;

    fn chunks() -> Chunks {
        Chunks::new(LENGTH, vec![Some(Digest::of(b"a")), None, Some(Digest::of(b"b"))])
    }

    #[test]
    fn a_memory_is_cut_without_a_rest() {
        let found: Vec<_> = chunks().all().collect();
        let at = |at, bytes| Stretch { at, bytes };
        assert_eq!(found[0], (at(0, CHUNK), Some(Digest::of(b"a"))));
        assert_eq!(found[1], (at(CHUNK, CHUNK), None));
        assert_eq!(found[2], (at(2 * CHUNK, 8192), Some(Digest::of(b"b"))));
        assert_eq!((found.len(), chunks().bytes()), (3, CHUNK + 8192));
        assert_eq!((count(4096), count(CHUNK), count(CHUNK + 4096)), (1, 1, 2));
    }

    #[test]
    fn a_list_reads_as_it_is_written_and_what_is_none_is_refused() {
        let encoded = chunks().encode();
        assert!(encoded.len() as u64 <= most(LENGTH));
        assert_eq!(Chunks::decode(&encoded, LENGTH), Some(chunks()));
        assert_eq!(Chunks::decode(&encoded, LENGTH + 4096), None, "of another memory");
        for length in 0..encoded.len() {
            assert_eq!(Chunks::decode(&encoded[..length], LENGTH), None, "cut off at {length}");
        }
        let text = String::from_utf8(encoded).unwrap();
        for (was, is) in [
            ("chunks 1", "chunks 2"),
            ("1048576", "4096"),
            ("-\n", "-\n-\n"),
            ("-\n", ""),
            ("-\n", "0\n"),
            ("-\n", "../x\n"),
            ("-\n", "-\r\n"),
            ("-\n", "\u{fffd}\n"),
        ] {
            assert_eq!(
                Chunks::decode(text.replacen(was, is, 1).as_bytes(), LENGTH),
                None,
                "{is:?} in place of {was:?}"
            );
        }
        assert_eq!(Chunks::decode((text + "\n").as_bytes(), LENGTH), None);
    }
}
