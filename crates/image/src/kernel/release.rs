//! Which kernel it is: what `uname -r` says in it.

use std::fmt;
use std::str::FromStr;

use crate::kernel::bounds::KernelBounds;

/// The release of a kernel, such as `6.1.0-48-cloud-amd64`: a part of a path at most, so that it can be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(String);

/// Text that is no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no release of a kernel: at most 64 letters, digits, `.`, `_`, `+`, `~` and `-`, a digit first")]
pub struct NoRelease(pub String);

impl FromStr for Release {
    type Err = NoRelease;

    fn from_str(text: &str) -> Result<Release, NoRelease> {
        let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+~-".contains(byte);
        let is_release = text.len() <= KernelBounds::RELEASE
            && text.starts_with(|first: char| first.is_ascii_digit())
            && text.as_bytes().iter().all(is_inner);
        if is_release { Ok(Release(text.to_owned())) } else { Err(NoRelease(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of the header that every bzImage has, at its place in the file.
const MAGIC: usize = 0x202;
const WORDS: usize = 0x20E;
/// From where that place is counted.
const SECTOR: usize = 512;

/// What an unpacked kernel says of itself, somewhere.
const BANNER: &[u8] = b"Linux version ";

impl Release {
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Release> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }

    /// What a kernel's file says of itself, packed or not. The first word of what it says at its start.
    pub(super) fn of_kernel(file: &[u8]) -> Option<Release> {
        if file.get(MAGIC..MAGIC + 4) == Some(b"HdrS") {
            let at = file.get(WORDS..)?.first_chunk::<2>()?;
            return Release::first_word(file.get(usize::from(u16::from_le_bytes(*at)) + SECTOR..)?);
        }
        let mut banners = file.windows(BANNER.len()).enumerate().filter(|(_, window)| *window == BANNER);
        // The first may be a pattern for others to fill in.
        banners.find_map(|(at, _)| Release::first_word(&file[at + BANNER.len()..]))
    }

    fn first_word(bytes: &[u8]) -> Option<Release> {
        let most = &bytes[..bytes.len().min(KernelBounds::RELEASE + 1)];
        Release::of_bytes(most.split(|byte| matches!(byte, b' ' | 0)).next()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_a_file_name_and_no_way_out() {
        for release in ["6.1.0-48-cloud-amd64", "5.15.0+", "6.9~rc1", "6"] {
            assert!(release.parse::<Release>().is_ok(), "{release}");
        }
        for release in ["", ".", "..", "6/1", "a6", "-6", "6 1", "6\n", &"6".repeat(65)] {
            assert!(release.parse::<Release>().is_err(), "{release}");
        }
    }

    #[test]
    fn a_kernel_says_which_it_is_packed_or_not() {
        let mut packed = vec![0; 0x500];
        packed[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        packed[WORDS..WORDS + 2].copy_from_slice(&0x200_u16.to_le_bytes());
        packed[0x400..0x410].copy_from_slice(b"6.1.0-x (debian-");
        assert_eq!(Release::of_kernel(&packed).unwrap().to_string(), "6.1.0-x");
        let unpacked = b"\x7FELF..Linux version %s (%s)..Linux version 6.1.0-y (debian-..";
        assert_eq!(Release::of_kernel(unpacked).unwrap().to_string(), "6.1.0-y");

        packed[WORDS..WORDS + 2].copy_from_slice(&0xFFFF_u16.to_le_bytes());
        assert_eq!(Release::of_kernel(&packed), None);
        for length in 0..0x411 {
            assert_eq!(Release::of_kernel(&packed[..length]), None, "{length}");
        }
        assert_eq!(Release::of_kernel(b"\x7FELF Linux version "), None);
    }
}
