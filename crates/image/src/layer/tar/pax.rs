//! What extended headers say about the entry that follows them.

/// What is known of the next entry before its own header.
#[derive(Default)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<(i64, u32)>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// It is stored with its holes left out.
    pub(super) sparse: bool,
}

/// What precedes the name of an extended attribute.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
/// More than any file has, and few enough to be looked through for each.
const MOST_ATTRIBUTES: usize = 1000;

impl Extension {
    /// Takes in the records of an extended header; `None` when they are malformed.
    pub(super) fn read_pax(&mut self, mut text: &[u8]) -> Option<()> {
        while !text.is_empty() {
            let (key, value, rest) = record(text)?;
            self.set(key, value)?;
            text = rest;
        }
        Some(())
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len() + 64);
        of(&self.path) + of(&self.target) + attributes.sum::<usize>()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        // An empty value takes back what was said before.
        let some = (!value.is_empty()).then_some(value);
        match key {
            b"path" => self.path = some.map(<[u8]>::to_vec),
            b"linkpath" => self.target = some.map(<[u8]>::to_vec),
            b"size" => self.size = optional(some, decimal)?,
            b"uid" => self.uid = optional(some, decimal)?,
            b"gid" => self.gid = optional(some, decimal)?,
            b"mtime" => self.modified = optional(some, time)?,
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                    self.attributes.retain(|(known, _)| known != name);
                    if self.attributes.len() == MOST_ATTRIBUTES {
                        return None;
                    }
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Some(())
    }
}

/// Nothing stays nothing; something has to be readable.
fn optional<T>(text: Option<&[u8]>, read: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    text.map_or(Some(None), |text| read(text).map(Some))
}

/// Splits `length key=value\n` off; the length counts all of it.
fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&text[..space])?).ok()?;
    let record = text.get(space + 1..length)?;
    let record = record.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty()).then_some((key, value, &text[length..]))
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let value = text.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })?;
    (value <= i64::MAX as u64).then_some(value)
}

/// Seconds since 1970, perhaps negative, perhaps with a fraction. What is finer than a nanosecond is cut off.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    let mut nanoseconds = 0;
    for place in 0..9 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        nanoseconds = nanoseconds * 10 + u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(match (is_negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<Extension> {
        let mut extension = Extension::default();
        extension.read_pax(text).map(|()| extension)
    }

    #[test]
    fn records_say_what_the_header_could_not() {
        let text = [&b"mtime=1700000000.5"[..], b"path=a=b\n\xff", b"size=68719476736", b"SCHILY.xattr.user.x=1\n2"]
            .map(counted)
            .concat();
        let extension = read(&text).unwrap();

        assert_eq!(extension.modified, Some((1_700_000_000, 500_000_000)));
        assert_eq!(extension.path.as_deref(), Some(&b"a=b\n\xff"[..]));
        assert_eq!(extension.size, Some(1 << 36));
        assert_eq!(extension.attributes, [(b"user.x".to_vec(), b"1\n2".to_vec())]);
    }

    fn counted(record: &[u8]) -> Vec<u8> {
        let mut length = record.len() + 3;
        while format!("{length} ").len() + record.len() + 1 != length {
            length += 1;
        }
        [format!("{length} ").as_bytes(), record, b"\n"].concat()
    }

    #[test]
    fn malformed_records_are_refused_and_never_read_past_their_end() {
        for text in [
            &b"x"[..],
            b"5 a=b",
            b"99 a=b\n",
            b"4 a=b\n",
            b"0 a=b\n",
            b"6 a=bc",
            b"18446744073709551616 a=b\n",
            b"6 =ab\n",
            b"12 size=-12\n",
            b"11 size=1x\n",
            b"30 size=99999999999999999999999\n",
            b"13 mtime=1.x\n",
        ] {
            assert!(read(text).is_none(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn times_before_the_epoch_count_down() {
        assert_eq!(time(b"-1"), Some((-1, 0)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"1.0000000019"), Some((1, 1)));
    }
}
