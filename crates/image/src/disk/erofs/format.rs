//! The structures on the disk, as the kernel's `erofs_fs.h` has them. All numbers are little-endian.

use crate::layer::entry::Attributes;

pub(super) const BLOCK: u64 = 4096;
const BLOCK_BITS: u8 = 12;
/// Inodes are counted in units of this size.
pub(super) const SLOT: u64 = 32;
/// We write only the larger of the two kinds of inode: the smaller has no time.
pub(super) const INODE: u64 = 64;
pub(super) const SUPER_OFFSET: usize = 1024;
/// The end of a user's attributes' names, which is not stored.
const USER: &[u8] = b"user.";

/// What the super block says.
pub(super) struct SuperBlock {
    pub(super) root: u16,
    pub(super) inodes: u64,
    pub(super) blocks: u32,
    pub(super) uuid: [u8; 16],
}

impl SuperBlock {
    const MAGIC: u32 = 0xe0f5_e1e2;
    /// There is a check sum; the time in an inode is when its content was modified.
    const COMPATIBLE: u32 = 1 | 2;

    /// The first block of the image.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK as usize];
        let mut put = |at: usize, bytes: &[u8]| {
            block[SUPER_OFFSET + at..SUPER_OFFSET + at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &SuperBlock::MAGIC.to_le_bytes());
        put(8, &SuperBlock::COMPATIBLE.to_le_bytes());
        put(12, &[BLOCK_BITS]);
        put(14, &self.root.to_le_bytes());
        put(16, &self.inodes.to_le_bytes());
        put(36, &self.blocks.to_le_bytes());
        put(48, &self.uuid);
        // The sum covers the block from here on, with zeros in its own place.
        let sum = crc32c(&block[SUPER_OFFSET..]);
        block[SUPER_OFFSET + 4..SUPER_OFFSET + 8].copy_from_slice(&sum.to_le_bytes());
        block
    }
}

/// CRC-32C without the inversion at its end, which is how the kernel keeps it.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    })
}

/// Where the content of an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// All of it in whole blocks.
    Plain,
    /// Whole blocks, and what remains behind the inode.
    Inline,
}

/// One inode.
pub(super) struct Inode {
    pub(super) layout: Layout,
    pub(super) attributes: u16,
    /// Kind and permissions.
    pub(super) mode: u16,
    pub(super) size: u64,
    /// The first whole block of its content.
    pub(super) block: u32,
    pub(super) number: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: (i64, u32),
    pub(super) links: u32,
}

impl Inode {
    pub(super) fn encode(&self) -> [u8; INODE as usize] {
        let layout = match self.layout {
            Layout::Plain => 0u16,
            Layout::Inline => 2,
        };
        let mut inode = [0; INODE as usize];
        let mut put = |at: usize, bytes: &[u8]| inode[at..at + bytes.len()].copy_from_slice(bytes);
        // The lowest bit says which of the two kinds of inode this is.
        put(0, &(layout << 1 | 1).to_le_bytes());
        put(2, &self.attributes.to_le_bytes());
        put(4, &self.mode.to_le_bytes());
        put(8, &self.size.to_le_bytes());
        put(16, &self.block.to_le_bytes());
        put(20, &self.number.to_le_bytes());
        put(24, &self.uid.to_le_bytes());
        put(28, &self.gid.to_le_bytes());
        put(32, &(self.modified.0 as u64).to_le_bytes());
        put(40, &self.modified.1.to_le_bytes());
        put(44, &self.links.to_le_bytes());
        inode
    }
}

/// Attributes as they follow their inode, and how the inode tells their size; nothing for none.
pub(super) fn encode_attributes(attributes: &Attributes) -> (Vec<u8>, u16) {
    if attributes.is_empty() {
        return (Vec::new(), 0);
    }
    let mut bytes = vec![0; 12];
    for (name, value) in attributes {
        let name = name.strip_prefix(USER).unwrap_or(name);
        // Both fit: an entry of a layer with larger ones was refused.
        bytes.push(name.len() as u8);
        bytes.push(1);
        bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let count = ((bytes.len() - 12) / 4 + 1) as u16;
    (bytes, count)
}

/// How many bytes an entry of a directory takes beside its name.
const ENTRY: usize = 12;

/// What kind of thing a name is for, as a directory says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileType {
    Regular = 1,
    Directory = 2,
    Link = 7,
}

/// A name in a directory.
pub(super) struct Name<'a> {
    pub(super) name: &'a [u8],
    /// Which slot its inode begins at.
    pub(super) slot: u64,
    pub(super) kind: FileType,
}

/// Which of a directory's names, sorted, share a block.
pub(super) fn names_per_block<'a>(lengths: impl IntoIterator<Item = usize> + 'a) -> Vec<(usize, usize)> {
    let mut blocks: Vec<(usize, usize)> = Vec::new();
    for length in lengths {
        match blocks.last_mut() {
            Some((count, bytes)) if *bytes + ENTRY + length <= BLOCK as usize => {
                *count += 1;
                *bytes += ENTRY + length;
            }
            _ => blocks.push((1, ENTRY + length)),
        }
    }
    blocks
}

/// The content of a directory. Names are sorted within a block and over all of them.
pub(super) fn encode_directory(names: &[Name<'_>]) -> Vec<u8> {
    let blocks = names_per_block(names.iter().map(|name| name.name.len()));
    let mut bytes = Vec::new();
    let mut names = names;
    for (count, _) in blocks {
        // What is behind the names of a block that is not the last is zero.
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
        let (here, rest) = names.split_at(count);
        let mut place = count * ENTRY;
        for name in here {
            bytes.extend_from_slice(&name.slot.to_le_bytes());
            bytes.extend_from_slice(&(place as u16).to_le_bytes());
            bytes.extend_from_slice(&[name.kind as u8, 0]);
            place += name.name.len();
        }
        here.iter().for_each(|name| bytes.extend_from_slice(name.name));
        names = rest;
    }
    bytes
}

/// How long the content of a directory will be.
pub(super) fn directory_size(lengths: impl IntoIterator<Item = usize>) -> u64 {
    let blocks = names_per_block(lengths);
    let last = blocks.last().map_or(0, |(_, bytes)| *bytes as u64);
    (blocks.len() as u64).saturating_sub(1) * BLOCK + last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_the_one_of_the_standard() {
        // The value that RFC 3720 gives for 32 zeros, without the inversion.
        assert_eq!(!crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_directory_is_as_long_as_it_was_planned() {
        for count in [1, 2, 300, 301, 5000] {
            let texts: Vec<String> =
                (0..count).map(|number| format!("{number:0width$}", width = 1 + number % 255)).collect();
            let names: Vec<_> =
                texts.iter().map(|text| Name { name: text.as_bytes(), slot: 1, kind: FileType::Regular }).collect();
            assert_eq!(encode_directory(&names).len() as u64, directory_size(texts.iter().map(String::len)));
        }
    }
}
