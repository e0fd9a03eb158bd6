//! An amount of bytes, as people write it: `512M`, `64MiB`, `1000`.

use std::fmt;
use std::str::FromStr;

/// An amount of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// So many KiB.
    pub const fn kib(kib: u64) -> ByteSize {
        ByteSize(kib * 1024)
    }

    /// So many MiB.
    pub const fn mib(mib: u64) -> ByteSize {
        ByteSize(mib * 1024 * 1024)
    }

    /// So many GiB.
    pub const fn gib(gib: u64) -> ByteSize {
        ByteSize(gib * 1024 * 1024 * 1024)
    }

    /// The plain number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The largest unit that divides the size evenly, so that nothing is rounded away in a message.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// Why a text is no [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size; write bytes (`65536`) or a number with K, M or G (`512M`, `1GiB`)")]
pub struct ParseSizeError {
    text: String,
}

/// Units are powers of 1024, as memory is counted: `K`, `KB` and `KiB` are the same.
impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<ByteSize, ParseSizeError> {
        let refuse = || ParseSizeError { text: text.to_owned() };
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return Err(refuse()),
        };
        let number: u64 = number.parse().map_err(|_| refuse())?;
        number.checked_mul(1 << shift).map(ByteSize).ok_or_else(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("65536", 65536), ("1k", 1024), ("512M", 512 << 20), ("64 MiB", 64 << 20), ("2gb", 2 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize::bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_text_that_was_given() {
        for text in ["", "M", "-1", "1.5G", "1T", "99999999999G", "12 parsecs"] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn a_size_is_shown_without_rounding() {
        for (size, shown) in [
            (ByteSize::mib(512), "512 MiB"),
            (ByteSize::kib(1025), "1025 KiB"),
            (ByteSize::bytes(1_000_001), "1000001 bytes"),
            (ByteSize::bytes(0), "0 bytes"),
        ] {
            assert_eq!(size.to_string(), shown);
        }
    }
}
