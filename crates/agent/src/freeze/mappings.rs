//! The mappings of a process, as `/proc` has them.

use core::ops::Range;

use rustix::io::Errno;

/// A mapping.
pub(crate) struct Mapping<'a> {
    pub(crate) range: Range<u64>,
    /// PROT_READ, PROT_WRITE, PROT_EXEC.
    pub(crate) protection: u8,
    /// Where in its file it begins.
    pub(crate) offset: u64,
    pub(crate) source: Source<'a>,
}

/// What a mapping shows.
pub(crate) enum Source<'a> {
    /// A file, changes being private.
    File(&'a [u8]),
    /// A file that is only read.
    SharedFile(&'a [u8]),
    /// Nothing but what the process has put there.
    Blank,
    /// The same, the first thread's stack.
    Stack,
    /// The time, and the code that tells it.
    Kernels,
    /// What every process has at the same address.
    KernelsForAll,
    /// What an image cannot hold: memory that is shared, a file that is gone.
    Other,
}

/// All mappings of a text.
pub(crate) fn mappings(text: &[u8]) -> impl Iterator<Item = Result<Mapping<'_>, Errno>> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| mapping(line).ok_or(Errno::BADMSG))
}

/// `start-end perms offset device inode path`, the path after any number of blanks.
fn mapping(line: &[u8]) -> Option<Mapping<'_>> {
    let (range, rest) = word(line)?;
    let (permissions, rest) = word(rest)?;
    let (offset, rest) = word(rest)?;
    let (_device, rest) = word(rest)?;
    let (_inode, path) = word(rest)?;
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let &[read, write, execute, sharing] = permissions else { return None };
    let bit = |letter: u8, bit: u8| if letter == b'-' { 0 } else { bit };
    let path = path.trim_ascii_start();
    Some(Mapping {
        range: hexadecimal(&range[..dash])?..hexadecimal(&range[dash + 1..])?,
        protection: bit(read, 1) | bit(write, 2) | bit(execute, 4),
        offset: hexadecimal(offset)?,
        source: source(path, sharing == b's', write != b'-'),
    })
}

fn source(path: &[u8], shared: bool, written: bool) -> Source<'_> {
    match (path, shared) {
        (b"[vsyscall]", _) => Source::KernelsForAll,
        (b"[stack]", false) => Source::Stack,
        (b"" | b"[heap]", false) => Source::Blank,
        (path, _) if path.starts_with(b"[vvar") || path == b"[vdso]" => Source::Kernels,
        (path, false) if path.starts_with(b"[anon:") => Source::Blank,
        (path, _) if !path.starts_with(b"/") || path.ends_with(b" (deleted)") => Source::Other,
        (path, false) => Source::File(path),
        (path, true) if !written => Source::SharedFile(path),
        _ => Source::Other,
    }
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].get(1..).unwrap_or_default()))
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}
