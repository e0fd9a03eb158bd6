//! What a layer holds, as it is kept beside its files.
//!
//! Written once, when the layer was unpacked and its digest found right. Read with care all the same: a disk can fail,
//! and an index can come from elsewhere. A number is stored in groups of seven bits, bytes with their length before
//! them, and BLAKE3 of everything ends it.

use crate::layer::entry::{Act, Attributes, Content, Entry, Meta};
use crate::layer::path::EntryPath;

/// The entries of a layer in its order, and what they come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    /// Bytes of all its files.
    pub(crate) unpacked: u64,
    /// Devices and pipes, which are left out.
    pub(crate) specials: u64,
}

const MAGIC: &[u8] = b"firebox layer 1\n";
const SUM: usize = 32;

/// An index that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index of a layer is damaged")]
pub struct DamagedIndex;

impl Index {
    pub(crate) fn push(&mut self, entry: Entry) {
        match &entry.act {
            Act::File(_, content) => self.unpacked += content.size,
            Act::Special => self.specials += 1,
            _ => {}
        }
        self.entries.push(entry);
    }

    /// Bytes that its entries take in memory, beside a fixed part.
    pub(crate) fn metadata(&self) -> u64 {
        self.entries.iter().map(Entry::metadata).sum()
    }

    /// The contents of its files.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &Content> {
        self.entries.iter().filter_map(|entry| match &entry.act {
            Act::File(_, content) => Some(content),
            _ => None,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_number(&mut out, self.entries.len() as u64);
        for entry in &self.entries {
            put_entry(&mut out, entry);
        }
        let sum = blake3::hash(&out);
        out.extend_from_slice(sum.as_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Index, DamagedIndex> {
        let (body, sum) = bytes.len().checked_sub(SUM).map(|at| bytes.split_at(at)).ok_or(DamagedIndex)?;
        let is_whole = blake3::hash(body).as_bytes() == sum;
        let rest = body.strip_prefix(MAGIC).filter(|_| is_whole).ok_or(DamagedIndex)?;
        decode(rest).ok_or(DamagedIndex)
    }
}

fn decode(rest: &[u8]) -> Option<Index> {
    let mut rest = Rest(rest);
    let count = rest.number()?;
    let mut index = Index::default();
    for _ in 0..count {
        index.push(rest.entry()?);
    }
    rest.0.is_empty().then_some(index)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    let Meta { mode, uid, gid, modified, attributes } = meta;
    let numbers = [u64::from(*mode), u64::from(*uid), u64::from(*gid), modified.0 as u64, u64::from(modified.1)];
    numbers.into_iter().for_each(|number| put_number(out, number));
    put_number(out, attributes.len() as u64);
    for (name, value) in attributes {
        put_bytes(out, name);
        put_bytes(out, value);
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    let kind = match &entry.act {
        Act::Directory(_) => b'd',
        Act::File(..) => b'f',
        Act::Link(..) => b'l',
        Act::HardLink(_) => b'h',
        Act::Special => b's',
        Act::Whiteout => b'w',
        Act::Opaque => b'o',
    };
    out.push(kind);
    put_bytes(out, entry.path.bytes());
    match &entry.act {
        Act::Directory(meta) => put_meta(out, meta),
        Act::File(meta, content) => {
            put_meta(out, meta);
            put_number(out, content.number.into());
            put_number(out, content.size);
            out.extend_from_slice(&content.hash);
        }
        Act::Link(meta, target) => {
            put_meta(out, meta);
            put_bytes(out, target);
        }
        Act::HardLink(target) => put_bytes(out, target.bytes()),
        Act::Special | Act::Whiteout | Act::Opaque => {}
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let part = u64::from(byte & 0x7f);
            number |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn path(&mut self) -> Option<EntryPath> {
        EntryPath::new(self.bytes()?).ok()
    }

    fn meta(&mut self) -> Option<Meta> {
        let mode = u16::try_from(self.number()?).ok().filter(|mode| *mode <= 0o1777)?;
        let (uid, gid) = (self.small()?, self.small()?);
        let modified = (self.number()? as i64, self.small().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?);
        let mut attributes = Attributes::new();
        for _ in 0..self.number()? {
            attributes.push((self.bytes()?.into(), self.bytes()?.into()));
        }
        Some(Meta { mode, uid, gid, modified, attributes })
    }

    fn entry(&mut self) -> Option<Entry> {
        let kind = self.take(1)?[0];
        let path = self.path()?;
        let act = match kind {
            b'd' => Act::Directory(self.meta()?),
            b'f' => {
                let meta = self.meta()?;
                let (number, size) = (self.small()?, self.number()?);
                Act::File(meta, Content { number, size, hash: self.take(32)?.try_into().ok()? })
            }
            b'l' => Act::Link(self.meta()?, self.bytes()?.into()),
            b'h' => Act::HardLink(self.path()?),
            b's' => Act::Special,
            b'w' => Act::Whiteout,
            b'o' => Act::Opaque,
            _ => return None,
        };
        Some(Entry { path, act })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let meta = |mode| Meta {
            mode,
            uid: 1000,
            gid: u32::MAX,
            modified: (-5, 999_999_999),
            attributes: vec![(b"user.a"[..].into(), b"\0"[..].into())],
        };
        let path = |text: &str| EntryPath::new(text.as_bytes()).unwrap();
        let content = Content { number: 7, size: u64::MAX >> 1, hash: [9; 32] };
        let mut index = Index::default();
        for (at, act) in [
            ("", Act::Directory(meta(0o1777))),
            ("a", Act::File(meta(0o644), content)),
            ("b", Act::Link(meta(0o777), b"\xff/.."[..].into())),
            ("c", Act::HardLink(path("a"))),
            ("d", Act::Special),
            ("e", Act::Whiteout),
            ("", Act::Opaque),
        ] {
            index.push(Entry { path: path(at), act });
        }
        index
    }

    #[test]
    fn damage_anywhere_is_noticed() {
        let whole = index().encode();
        assert_eq!(Index::decode(&whole).as_ref(), Ok(&index()));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(Index::decode(&damaged), Err(DamagedIndex), "byte {at}");
            assert_eq!(Index::decode(&whole[..at]), Err(DamagedIndex), "cut at {at}");
        }
    }

    #[test]
    fn an_index_with_a_right_sum_and_wrong_content_is_refused_too() {
        let whole = index().encode();
        let body = &whole[MAGIC.len()..whole.len() - SUM];
        for at in 0..body.len() {
            assert_eq!(decode(&body[..at]), None, "cut at {at}");
            for value in [0, 0x7f, 0xff] {
                let mut other = body.to_vec();
                other[at] = value;
                // Whatever comes of it, it is no panic and no endless loop.
                let _ = decode(&other);
            }
        }
    }
}
