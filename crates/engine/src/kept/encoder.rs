//! How things become bytes that nothing else becomes.
//!
//! Everything of variable length is preceded by its length, and every list by the number of its members. So two different
//! sequences of things never become the same bytes, however they are cut.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Takes things in, and comes to a number that stands for all of them in their order.
pub(super) struct Encoder(blake3::Hasher);

impl Encoder {
    /// For one purpose: the same things taken in for another come to another number.
    pub(super) fn new(purpose: &'static str) -> Encoder {
        Encoder(blake3::Hasher::new_derive_key(purpose))
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.0.update(&number.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn path(&mut self, path: &Path) {
        self.bytes(path.as_os_str().as_bytes());
    }

    /// Something that may not be there.
    pub(super) fn option<T>(&mut self, thing: Option<T>, mut each: impl FnMut(&mut Encoder, T)) {
        self.number(thing.is_some().into());
        if let Some(thing) = thing {
            each(self, thing);
        }
    }

    pub(super) fn list<T>(&mut self, things: &[T], mut each: impl FnMut(&mut Encoder, &T)) {
        self.number(things.len() as u64);
        for thing in things {
            each(self, thing);
        }
    }

    pub(super) fn finish(self) -> [u8; blake3::OUT_LEN] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: &str = "a test";

    fn of(lists: &[&[&[u8]]]) -> [u8; 32] {
        let mut encoder = Encoder::new(PURPOSE);
        encoder.list(lists, |encoder, list| encoder.list(list, |encoder, bytes| encoder.bytes(bytes)));
        encoder.finish()
    }

    #[test]
    fn the_same_bytes_cut_in_another_way_are_something_else() {
        let cuts: [&[&[&[u8]]]; 9] = [
            &[&[b"abc"]],
            &[&[b"ab", b"c"]],
            &[&[b"a", b"bc"]],
            &[&[b"ab"], &[b"c"]],
            &[&[b"abc"], &[]],
            &[&[], &[b"abc"]],
            &[&[b"abc", b""]],
            &[&[b"", b"abc"]],
            &[&[b"\x03\0\0\0\0\0\0\0abc"]],
        ];
        let numbers = cuts.map(of);
        for (at, number) in numbers.iter().enumerate() {
            assert_eq!(numbers.iter().filter(|other| *other == number).count(), 1, "{:?}", cuts[at]);
        }
    }

    #[test]
    fn the_same_things_are_the_same_and_another_purpose_is_another_number() {
        assert_eq!(of(&[&[b"a"]]), of(&[&[b"a"]]));
        assert_ne!(Encoder::new("one").finish(), Encoder::new("another").finish());
    }
}
