//! The archive of files that a kernel begins with: `cpio`, in the format that kernels read ("newc").
//!
//! The same files make the same bytes, on every host and at any time: there is no time in it, no owner but root, and no number that
//! depends on anything but what was put in before. Not packed, since a kernel unpacks it at each boot.
//!
//! ```text
//! each entry:  "070701" | 13 numbers of 8 hexadecimal digits | name, NUL | to a multiple of 4 | content | to a multiple of 4
//! the last:    an entry of nothing, called TRAILER!!!
//! ```

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTERS: u32 = 0o020_000;
const LAST: &str = "TRAILER!!!";

/// What an entry says of itself, but for its name and its content.
#[derive(Default)]
struct Entry {
    mode: u32,
    links: u32,
    device: (u32, u32),
}

impl Initramfs {
    /// One with nothing in it.
    pub fn new() -> Initramfs {
        Initramfs::default()
    }

    /// A directory. What is in it comes after it.
    pub fn directory(&mut self, name: &str, permissions: u32) {
        self.entry(name, Entry { mode: DIRECTORY | permissions, links: 2, ..Entry::default() }, b"");
    }

    /// A file. Its content is at most 4 GiB, which is what the format has room for.
    pub fn file(&mut self, name: &str, permissions: u32, content: &[u8]) {
        self.entry(name, Entry { mode: FILE | permissions, links: 1, ..Entry::default() }, content);
    }

    /// A device of characters, by its numbers.
    pub fn device(&mut self, name: &str, permissions: u32, device: (u32, u32)) {
        self.entry(name, Entry { mode: CHARACTERS | permissions, links: 1, device }, b"");
    }

    /// The archive, whole.
    pub fn finish(mut self) -> Vec<u8> {
        self.entries = u32::MAX;
        self.entry(LAST, Entry { links: 1, ..Entry::default() }, b"");
        self.bytes
    }

    fn entry(&mut self, name: &str, entry: Entry, content: &[u8]) {
        let Entry { mode, links, device: (major, minor) } = entry;
        self.entries = self.entries.wrapping_add(1);
        let (inode, owner, time, sum) = (self.entries, 0, 0, 0);
        let (length, name_length) = (content.len() as u32, name.len() as u32 + 1);
        let numbers = [inode, mode, owner, owner, links, time, length, 0, 0, major, minor, name_length, sum]
            .map(|number| format!("{number:08X}"));
        self.bytes.extend(b"070701");
        self.bytes.extend(numbers.concat().bytes());
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_as_the_kernel_reads_it() {
        let mut initramfs = Initramfs::new();
        initramfs.file("init", 0o755, b"abc");
        let expected = "070701\
            00000001000081ED00000000000000000000000100000000000000030000000000000000000000000000000000000005\
            00000000init\0\0abc\0\
            070701\
            00000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000B\
            00000000TRAILER!!!\0\0\0\0";
        assert_eq!(String::from_utf8(initramfs.finish()).unwrap(), expected);
    }
}
