//! Archives as hostile input: one pass, bounded memory, one opinion about every byte.
//!
//! Reads what tools that make images write: the oldest format, POSIX (`ustar`) with its extended headers (`pax`), and
//! GNU's long names. Where two headers tell different sizes the extended one counts, as the standard has it, and
//! nothing else is ever tried: readers that disagree about where an entry ends can be shown different archives in the
//! same bytes. Knows nothing of layers: what a name means is said elsewhere.

mod header;
mod pax;

use std::io::{self, Read};

use crate::bounds::Bounds;
use header::{BLOCK, Block};
use pax::Extension;

/// What kind of thing an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    SymbolicLink,
    Directory,
    /// A device or a named pipe.
    Special,
}

/// One entry, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) path: Vec<u8>,
    /// Where a link leads; empty for everything else.
    pub(crate) target: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(crate) modified: (i64, u32),
    /// Bytes of content that follow; 0 for everything but files.
    pub(crate) size: u64,
    /// Names and values.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why an archive cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Its bytes could not be had.
    #[error("the archive cannot be read")]
    Read(#[from] io::Error),
    /// It ends in the middle of something.
    #[error("the archive ends in the middle of an entry")]
    Cut,
    /// A header's check sum is wrong: this is no archive, or not any more.
    #[error("byte {at} should begin an entry, but its check sum is wrong")]
    Sum {
        /// Where.
        at: u64,
    },
    /// A field holds what it cannot.
    #[error("the entry at byte {at} has a {field} that is no number, or too large a one")]
    Number {
        /// Where the entry begins.
        at: u64,
        /// Which field.
        field: &'static str,
    },
    /// An extended header is malformed.
    #[error("the extended header at byte {at} is malformed")]
    Extended {
        /// Where it begins.
        at: u64,
    },
    /// What extends an entry is too large.
    #[error("the entry at byte {at} is extended by more than {} bytes", Bounds::EXTENSION)]
    TooLong {
        /// Where it begins.
        at: u64,
    },
    /// A kind of entry that images do not have.
    #[error("the entry at byte {at} is of a kind that images do not have ({kind})")]
    Kind {
        /// Where it begins.
        at: u64,
        /// The letter that says its kind.
        kind: char,
    },
    /// A file with holes.
    #[error(
        "the entry at byte {at} is stored with holes left out (a sparse file), which no tool that makes images does"
    )]
    Sparse {
        /// Where it begins.
        at: u64,
    },
}

/// An archive that is being read.
pub(crate) struct Archive<R> {
    input: R,
    /// How many bytes were read.
    at: u64,
    /// Of the present entry's content, and of what pads it.
    content: u64,
    padding: u64,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(input: R) -> Archive<R> {
        Archive { input, at: 0, content: 0, padding: 0 }
    }

    /// The next entry; `None` after the last one. What is left of the present one's content is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut extension = Extension::default();
        let mut is_extended = false;
        loop {
            self.skip_content()?;
            let at = self.at;
            let Some(block) = self.block()?.filter(|block| !block.is_empty()) else {
                return if is_extended { Err(ArchiveError::Cut) } else { Ok(None) };
            };
            if !block.sum_is_right() {
                return Err(ArchiveError::Sum { at });
            }
            match block.kind() {
                b'x' => extension.read_pax(&self.text(&block, at)?).ok_or(ArchiveError::Extended { at })?,
                b'L' => extension.path = Some(until_nul(self.text(&block, at)?)),
                b'K' => extension.target = Some(until_nul(self.text(&block, at)?)),
                // Records for the whole archive: tools write a comment there, which means nothing to an image.
                b'g' => drop(self.text(&block, at)?),
                b'S' => return Err(ArchiveError::Sparse { at }),
                _ if extension.sparse => return Err(ArchiveError::Sparse { at }),
                letter => return self.entry(&block, letter, extension, at).map(Some),
            }
            is_extended |= block.kind() != b'g';
            if (Bounds::EXTENSION as usize) < extension.bytes() {
                return Err(ArchiveError::TooLong { at });
            }
        }
    }

    fn entry(&mut self, block: &Block, letter: u8, extension: Extension, at: u64) -> Result<Header, ArchiveError> {
        let number = |value: Option<u64>, field| value.ok_or(ArchiveError::Number { at, field });
        let path = extension.path.unwrap_or_else(|| block.path());
        let kind = match letter {
            // Before there were directories in archives, a slash said so.
            0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::SymbolicLink,
            b'3' | b'4' | b'6' => Kind::Special,
            b'5' => Kind::Directory,
            kind => return Err(ArchiveError::Kind { at, kind: kind.escape_ascii().next().unwrap_or(b'?').into() }),
        };
        let size = number(extension.size.or_else(|| block.size()), "size")?;
        // Some readers take what follows such a directory for its content, and some for the next entry.
        if kind == Kind::Directory && letter != b'5' && size != 0 {
            return Err(ArchiveError::Number { at, field: "size" });
        }
        // Other kinds have no content, whatever their size says.
        let size = if kind == Kind::File { size } else { 0 };
        let owner = |extended: Option<u64>, plain: Option<u64>, field| {
            number(extended.or(plain).filter(|id| u32::try_from(*id).is_ok()), field).map(|id| id as u32)
        };
        let is_link = matches!(kind, Kind::HardLink | Kind::SymbolicLink);
        let header = Header {
            kind,
            path,
            target: if is_link { extension.target.unwrap_or_else(|| block.target()) } else { Vec::new() },
            mode: number(block.mode(), "mode")? as u32 & 0o7777,
            uid: owner(extension.uid, block.uid(), "owner")?,
            gid: owner(extension.gid, block.gid(), "group")?,
            modified: match extension.modified {
                Some(modified) => modified,
                None => (block.modified().ok_or(ArchiveError::Number { at, field: "time" })?, 0),
            },
            size,
            attributes: extension.attributes,
        };
        self.content = size;
        self.padding = padding_of(size);
        Ok(header)
    }

    /// How many bytes were read: after [`next`](Archive::next), where the entry's content begins.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The content of the entry that [`next`](Archive::next) has just returned.
    pub(crate) fn content(&mut self) -> Content<'_, R> {
        Content { archive: self }
    }

    /// Reads what is behind the last entry, and whatever it is: it belongs to the layer's digest.
    pub(crate) fn finish(mut self) -> Result<(), ArchiveError> {
        let mut buffer = [0; 8192];
        while self.input.read(&mut buffer).map_err(ArchiveError::Read)? != 0 {}
        Ok(())
    }

    /// The content of an entry that extends the next one.
    fn text(&mut self, block: &Block, at: u64) -> Result<Vec<u8>, ArchiveError> {
        let size = block.size().ok_or(ArchiveError::Number { at, field: "size" })?;
        if Bounds::EXTENSION < size {
            return Err(ArchiveError::TooLong { at });
        }
        self.content = size;
        self.padding = padding_of(size);
        let mut text = vec![0; size as usize];
        self.content().read_exact(&mut text).map_err(cut_or_broken)?;
        Ok(text)
    }

    fn skip_content(&mut self) -> Result<(), ArchiveError> {
        let mut buffer = [0; 8192];
        while self.content().read(&mut buffer).map_err(cut_or_broken)? != 0 {}
        let padding = std::mem::take(&mut self.padding) as usize;
        // Some tools (`umoci insert`) write nothing at all behind the last content. It is whole all the same.
        match self.read_whole(&mut buffer[..padding])? {
            read if read == padding || read == 0 => Ok(()),
            _ => Err(ArchiveError::Cut),
        }
    }

    /// A block, or `None` where the archive simply ends.
    fn block(&mut self) -> Result<Option<Block>, ArchiveError> {
        let mut bytes = [0; BLOCK];
        match self.read_whole(&mut bytes)? {
            0 => Ok(None),
            BLOCK => Ok(Some(Block::new(bytes))),
            _ => Err(ArchiveError::Cut),
        }
    }

    /// Fills the buffer, or as much of it as there is.
    fn read_whole(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += filled as u64;
        Ok(filled)
    }
}

/// The content of one entry. Ends where the entry does; an archive that ends before is an error.
pub(crate) struct Content<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.archive.content.min(buffer.len() as u64) as usize;
        if most == 0 {
            return Ok(0);
        }
        let read = self.archive.input.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.archive.content -= read as u64;
        self.archive.at += read as u64;
        Ok(read)
    }
}

fn cut_or_broken(error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Cut,
        _ => ArchiveError::Read(error),
    }
}

fn padding_of(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(end) = text.iter().position(|byte| *byte == 0) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests;
