//! Files of object code, as far as one has to look into them to know what a linker would say of them.
//!
//! They may be the work of a job, so nothing in them is taken for granted: what does not fit is no such file.

/// The sections of a file of object code: 64 bits, little end first.
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
    machine: u16,
    sections: Vec<Section<'a>>,
}

/// One section.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    /// The section that this one goes with, by its number: its names, if it holds symbols.
    pub(crate) link: u32,
    /// Another one, which it says something about.
    pub(crate) info: u32,
    pub(crate) content: &'a [u8],
}

/// One symbol.
#[derive(Clone, Copy)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: u8,
    pub(crate) binding: u8,
    pub(crate) visibility: u8,
    /// The number of the section that it is in, or one of a few that say why it is in none.
    pub(crate) section: u16,
}

/// The kinds of sections that hold symbols, addresses that are yet to be filled in, nothing in the file, and what a library
/// offers to programs.
pub(crate) const SYMBOLS: u32 = 2;
pub(crate) const RELOCATIONS: u32 = 4;
pub(crate) const NOTHING: u32 = 8;
pub(crate) const OFFERED: u32 = 11;

/// The kind of a symbol that is a variable of threads.
pub(crate) const OF_THREADS: u8 = 6;

const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;

impl<'a> Elf<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Elf<'a>> {
        const BEGINS: &[u8] = b"\x7fELF\x02\x01\x01";
        let header = bytes.get(..HEADER).filter(|header| header.starts_with(BEGINS))?;
        let machine = half(header, 18)?;
        let (first, size) = (usize::try_from(long(header, 40)?).ok()?, half(header, 58)?);
        let (count, names) = (usize::from(half(header, 60)?), usize::from(half(header, 62)?));
        if usize::from(size) != SECTION {
            return None;
        }
        let table = bytes.get(first..first.checked_add(count.checked_mul(SECTION)?)?)?;
        let names = content(bytes, table.get(names.checked_mul(SECTION)?..)?)?;
        let section = |entry: &'a [u8]| {
            Some(Section {
                name: text(names, word(entry, 0)?)?,
                kind: word(entry, 4)?,
                flags: long(entry, 8)?,
                link: word(entry, 40)?,
                info: word(entry, 44)?,
                content: content(bytes, entry)?,
            })
        };
        let sections = table.chunks_exact(SECTION).map(section).collect::<Option<_>>()?;
        Some(Elf { bytes, machine, sections })
    }

    pub(crate) fn machine(&self) -> u16 {
        self.machine
    }

    /// Whether it is what a compiler has made, and no linker yet.
    pub(crate) fn is_object(&self) -> bool {
        const OBJECT: u16 = 1;
        half(self.bytes, 16) == Some(OBJECT)
    }

    /// The first of them is none.
    pub(crate) fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// The symbols that a section holds, but for the first, which is none.
    pub(crate) fn symbols(&self, section: &Section<'a>) -> Option<Vec<Symbol<'a>>> {
        let names = self.sections.get(usize::try_from(section.link).ok()?)?.content;
        let symbol = |entry: &'a [u8]| {
            let (kind, visibility) = (*entry.get(4)?, *entry.get(5)?);
            let name = text(names, word(entry, 0)?)?;
            Some(Symbol { name, kind: kind & 0xf, binding: kind >> 4, visibility, section: half(entry, 6)? })
        };
        section.content.chunks_exact(SYMBOL).skip(1).map(symbol).collect()
    }
}

/// What kind each of the addresses is that a section says are yet to be filled in.
pub(crate) fn relocations<'a>(section: &Section<'a>) -> impl Iterator<Item = u32> + use<'a> {
    const RELOCATION: usize = 24;
    section.content.chunks_exact(RELOCATION).filter_map(|entry| word(entry, 8))
}

/// What a section holds, by its entry in the table.
fn content<'a>(bytes: &'a [u8], entry: &[u8]) -> Option<&'a [u8]> {
    if word(entry, 4)? == NOTHING {
        return Some(&[]);
    }
    let (begin, size) = (usize::try_from(long(entry, 24)?).ok()?, usize::try_from(long(entry, 32)?).ok()?);
    bytes.get(begin..begin.checked_add(size)?)
}

fn text(names: &[u8], at: u32) -> Option<&str> {
    let rest = names.get(usize::try_from(at).ok()?..)?;
    std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
