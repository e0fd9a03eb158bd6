//! A block of 512 bytes that begins an entry: fixed fields, of which none is trusted.

pub(super) const BLOCK: usize = 512;

/// Where the fields are.
mod field {
    use std::ops::Range;

    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const TIME: Range<usize> = 136..148;
    pub(super) const SUM: Range<usize> = 148..156;
    pub(super) const KIND: usize = 156;
    pub(super) const TARGET: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..263;
    pub(super) const PREFIX: Range<usize> = 345..500;
}

pub(super) struct Block([u8; BLOCK]);

impl Block {
    pub(super) fn new(bytes: [u8; BLOCK]) -> Block {
        Block(bytes)
    }

    /// Nothing but zeros: the end of an archive.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// The sum of all bytes, with the sum's own taken as spaces. Some old tools took bytes as signed.
    pub(super) fn sum_is_right(&self) -> bool {
        let outside = |at: &usize| !field::SUM.contains(at);
        let spaces = field::SUM.len() as i64 * i64::from(b' ');
        let unsigned: i64 = (0..BLOCK).filter(outside).map(|at| i64::from(self.0[at])).sum();
        let signed: i64 = (0..BLOCK).filter(outside).map(|at| i64::from(self.0[at] as i8)).sum();
        let told = octal(&self.0[field::SUM]);
        told.is_some_and(|told| told as i64 == unsigned + spaces || told as i64 == signed + spaces)
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[field::KIND]
    }

    pub(super) fn path(&self) -> Vec<u8> {
        let name = self.text(field::NAME);
        // GNU's own format has other things in the prefix's place.
        let prefix = if &self.0[field::MAGIC] == b"ustar\0" { self.text(field::PREFIX) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn target(&self) -> Vec<u8> {
        self.text(field::TARGET).to_vec()
    }

    pub(super) fn mode(&self) -> Option<u64> {
        number(&self.0[field::MODE])
    }

    pub(super) fn uid(&self) -> Option<u64> {
        number(&self.0[field::UID])
    }

    pub(super) fn gid(&self) -> Option<u64> {
        number(&self.0[field::GID])
    }

    pub(super) fn size(&self) -> Option<u64> {
        number(&self.0[field::SIZE])
    }

    pub(super) fn modified(&self) -> Option<i64> {
        let bytes = &self.0[field::TIME];
        // A time before 1970 is stored in base 256 with all bits of the first byte set.
        if bytes[0] == 0xff {
            let low: [u8; 8] = bytes[4..].try_into().ok()?;
            let is_extended = bytes[1..4].iter().all(|byte| *byte == 0xff);
            return Some(i64::from_be_bytes(low)).filter(|time| is_extended && *time < 0);
        }
        i64::try_from(number(bytes)?).ok()
    }

    fn text(&self, place: std::ops::Range<usize>) -> &[u8] {
        let bytes = &self.0[place];
        &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len())]
    }
}

/// A number in octal digits, or in base 256 where it would not fit.
fn number(bytes: &[u8]) -> Option<u64> {
    let [first, rest @ ..] = bytes else { return None };
    if *first != 0x80 {
        return octal(bytes);
    }
    let (high, low) = rest.split_at(rest.len().saturating_sub(8));
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    let value = low.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    // Nothing that is counted here comes near; so sums of two cannot overflow.
    (value <= i64::MAX as u64).then_some(value)
}

/// Octal digits with spaces before and spaces or NULs behind; nothing at all is 0.
fn octal(bytes: &[u8]) -> Option<u64> {
    let start = bytes.iter().position(|byte| *byte != b' ').unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !matches!(byte, b' ' | 0)).map_or(start, |last| last + 1);
    // A NUL ends the number, whatever stands behind it.
    let digits = bytes.get(start..end)?.split(|byte| *byte == 0).next()?;
    let digits = digits.split(|byte| *byte == b' ').next()?;
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_way_they_are_written() {
        for (bytes, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"12x4567\0", None),
            (b"-000644\0", None),
            (b"777777777777", Some(0o777777777777)),
        ] {
            assert_eq!(number(bytes), value, "{:?}", bytes.escape_ascii().to_string());
        }
    }
}
