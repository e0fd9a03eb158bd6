//! How much an image may ask of whoever takes it in.
//!
//! Each of these numbers is a promise to the host: whatever the image says, what is read into memory or written to the
//! disk on its account stays below. They are far above what any image in use needs, but for the size of the result,
//! which is the user's to say.

/// What any image may take beside its content, however small it is to be.
const SLACK: u64 = 64 << 20;

/// What is done on account of one image at most. Past any of these, taking it in fails and says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Entries of all layers together: files, directories, links, whiteouts.
    pub entries: u64,
    /// Bytes that all layers may unpack to, together. More than the image may end up with, since a layer can remove
    /// what the one below it brought.
    pub unpacked: u64,
    /// Bytes of paths, link targets and extended attributes together: they are held in memory.
    pub metadata: u64,
    /// How many layers.
    pub layers: usize,
    /// Bytes of one manifest, index or configuration.
    pub document: u64,
    /// Bytes of all layers as they are transferred.
    pub transferred: u64,
}

impl Bounds {
    /// The longest name of a file, as the kernel has it.
    pub const NAME: usize = 255;
    /// The longest path and the longest target of a symbolic link, as the kernel has it.
    pub const PATH: usize = 4095;
    /// How many directories may lie within each other.
    pub const DEPTH: usize = 256;
    /// Bytes of the extended attributes of one file.
    pub const ATTRIBUTES: usize = 64 << 10;
    /// Bytes of what precedes an entry of an archive to extend it: long names, attributes.
    pub const EXTENSION: u64 = 1 << 20;

    /// What the archives of all layers may come to, headers and all: most of it is to be content.
    pub fn inflated(&self) -> u64 {
        self.unpacked.saturating_mul(2).saturating_add(SLACK)
    }

    /// What suits an image that may take this many bytes in the end: layers may unpack to four times that.
    pub fn for_size(bytes: u64) -> Bounds {
        let unpacked = bytes.saturating_mul(4);
        // What was compressed takes less, and what was not has headers beside its files.
        let transferred = unpacked.saturating_add(unpacked / 4).saturating_add(SLACK);
        Bounds { unpacked, transferred, ..Bounds::default() }
    }

    /// The least size for which layers may come to so much.
    pub(crate) fn least_size(unpacked: u64, inflated: u64, transferred: u64) -> u64 {
        let beyond = |bytes: u64, times: u64| bytes.saturating_sub(SLACK).div_ceil(times);
        unpacked.div_ceil(4).max(beyond(inflated, 8)).max(beyond(transferred, 5))
    }

    /// What is looked through of an image that is too large, to be able to say what it needs.
    pub(crate) fn for_survey() -> Bounds {
        Bounds::for_size(4 << 30)
    }
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            entries: 1_000_000,
            unpacked: 64 << 30,
            metadata: 256 << 20,
            // Docker itself stops at 127.
            layers: 512,
            document: 4 << 20,
            transferred: 64 << 30,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_size_is_enough_and_one_byte_less_is_not() {
        for (unpacked, inflated, transferred) in
            [(100, 0, 0), (4096, 5000, 0), (0, 1 << 30, 0), (0, 0, 1 << 30), (9 << 30, 19 << 30, 1), (0, 0, 0)]
        {
            let is_let_in = |size: u64| {
                let bounds = Bounds::for_size(size);
                unpacked <= bounds.unpacked && inflated <= bounds.inflated() && transferred <= bounds.transferred
            };
            let least = Bounds::least_size(unpacked, inflated, transferred);
            assert!(is_let_in(least) && (least == 0 || !is_let_in(least - 1)), "{least}");
        }
    }
}
