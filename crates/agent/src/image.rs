//! A frozen process as bytes: a table of contents, and then its pages.
//!
//! ```text
//! page 0       fixed things: the process as a whole
//! page 1 ..    a place of a fixed size for each thread
//! after them   the parts of its address space, one after the other; then the paths they name
//! ---- here the table of contents ends, at the end of a page ----
//! pages        what the parts point at
//! behind them  what its copies were seen to use, once that has been learnt: see `learnt`
//! ```
//!
//! One agent writes it, another reads it, both of the same build: there is no other format to understand. It comes out of a
//! cell, so the reader trusts nothing in it but for what it does to the process that is made of it.

use core::ops::Range;

use rustix::io::Errno;

use crate::sys::{self, Registers, Rseq, VECTOR_BYTES};

/// Says what the bytes are, and of which build's format.
const MARK: u64 = u64::from_le_bytes(*b"fbtmpl01");
pub(crate) const PAGE: usize = 4096;
const THREADS_AT: usize = PAGE;
const THREAD_BYTES: usize = 4 * PAGE;
const PART_BYTES: usize = 40;

// In page 0.
const LENGTH: usize = 8;
const THREADS: usize = 16;
const PARTS: usize = 24;
const BOUNDS: usize = 32;
const NAME: usize = BOUNDS + 8 * BOUNDS_COUNT;
const AUXILIARY_LENGTH: usize = NAME + NAME_BYTES;
const AUXILIARY: usize = AUXILIARY_LENGTH + 8;
const HANDLERS: usize = AUXILIARY + AUXILIARY_BYTES;
const PIPES_COUNT: usize = HANDLERS + SIGNALS * 32;
const PIPES: usize = PIPES_COUNT + 8;
const MOST_PIPES: usize = 6;
const PIPE_BYTES: usize = 32 + CONTENT_BYTES;
const CONTENT_BYTES: usize = 128;
const HOOKS_COUNT: usize = PIPES + MOST_PIPES * PIPE_BYTES;
const HOOKS: usize = HOOKS_COUNT + 8;
/// The most functions by which a copy is told that it is one.
pub(crate) const MOST_HOOKS: usize = 8;
const _: () = assert!(HOOKS + MOST_HOOKS * 8 <= PAGE, "what is fixed fits into a page");

/// How many numbers there are in [`Bounds`].
pub(crate) const BOUNDS_COUNT: usize = 11;
/// Where the parts are that the kernel knows of: code, data, heap, stack, arguments, environment, in the order of its
/// `struct prctl_mm_map`.
pub(crate) type Bounds = [u64; BOUNDS_COUNT];
/// A name of a thread, as the kernel has it.
pub(crate) const NAME_BYTES: usize = 16;
/// The most that the kernel keeps of a process's auxiliary vector.
pub(crate) const AUXILIARY_BYTES: usize = 512;
/// How many signals there are.
pub(crate) const SIGNALS: usize = 64;

// In a thread's place.
const REGISTERS: usize = 0;
const BLOCKED: usize = REGISTERS + 8 * sys::REGISTERS;
const ALTERNATE: usize = BLOCKED + 8;
const ROBUST: usize = ALTERNATE + 24;
const CLEARED: usize = ROBUST + 16;
const RSEQ: usize = CLEARED + 8;
const VECTOR_LENGTH: usize = RSEQ + 16;
const VECTOR: usize = VECTOR_LENGTH + 8;
const _: () = assert!(VECTOR + VECTOR_BYTES <= THREAD_BYTES, "a thread fits into its place");

/// What a thread is.
pub(crate) struct Thread<'a> {
    pub(crate) registers: Registers,
    pub(crate) blocked: u64,
    pub(crate) alternate_stack: [u64; 3],
    pub(crate) robust_list: [u64; 2],
    pub(crate) cleared: u64,
    pub(crate) rseq: Rseq,
    pub(crate) vector: &'a [u8],
}

/// A part of an address space.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    /// PROT_READ, PROT_WRITE, PROT_EXEC.
    pub(crate) protection: u8,
    /// Where in the table its file's path begins.
    path: u32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where in its file, or in the image, it begins.
    pub(crate) offset: u64,
}

/// What a part of an address space shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file of the toolchain.
    File,
    /// The same, not to be changed by anybody.
    SharedFile,
    /// Nothing but what pages on top of it say.
    Blank,
    /// The first thread's stack, likewise.
    Stack,
    /// Pages of the image on top of a file: shown, and only copied when they are changed.
    ShownPages,
    /// Pages of the image to be copied into memory that was blank or a stack's. Not shown: what a program gives back of such
    /// memory must be blank again when it is taken anew, and allocators rely on it.
    CopiedPages,
    /// The kernel's own: the time, and the code that tells it.
    Kernels,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::File, Kind::SharedFile, Kind::Blank, Kind::Stack, Kind::ShownPages, Kind::CopiedPages, Kind::Kernels];
}

impl Part {
    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// How many bytes of the image it takes.
    pub(crate) fn pages(&self) -> u64 {
        match self.kind {
            Kind::ShownPages | Kind::CopiedPages => self.end - self.start,
            _ => 0,
        }
    }
}

/// One end of a pipe from the process to itself.
pub(crate) struct PipeEnd<'a> {
    /// Its descriptor's number.
    pub(crate) number: u32,
    pub(crate) end: End,
    /// As `fcntl` has them.
    pub(crate) flags: u32,
    /// The same for both ends of one pipe.
    pub(crate) pipe: u64,
    /// What is in the pipe; said once, with the end that reads.
    pub(crate) content: &'a [u8],
}

/// Which end of a pipe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Reads,
    Writes,
}

/// Writes a table of contents.
pub(crate) struct Writer<'b> {
    table: &'b mut [u8],
    threads: usize,
    parts: usize,
    paths: &'b mut [u8],
    paths_used: usize,
    /// Bytes of pages so far.
    pages: u64,
}

impl<'b> Writer<'b> {
    /// In two buffers of zeros: one for the table, one for paths until the number of parts is known.
    pub(crate) fn new(table: &'b mut [u8], paths: &'b mut [u8]) -> Result<Writer<'b>, Errno> {
        if table.len() < THREADS_AT {
            return Err(Errno::TOOBIG);
        }
        Ok(Writer { table, threads: 0, parts: 0, paths, paths_used: 0, pages: 0 })
    }

    /// All threads come before the first part, the one first that the process began with.
    pub(crate) fn thread(&mut self, thread: &Thread<'_>) -> Result<(), Errno> {
        let Thread { registers, blocked, alternate_stack, robust_list, cleared, rseq, vector } = thread;
        let at = THREADS_AT + self.threads * THREAD_BYTES;
        let place = self.table.get_mut(at..at + THREAD_BYTES).ok_or(Errno::TOOBIG)?;
        put(place, REGISTERS, &registers.words());
        put(place, BLOCKED, &[*blocked]);
        put(place, ALTERNATE, alternate_stack);
        put(place, ROBUST, robust_list);
        put(place, CLEARED, &[*cleared]);
        put(place, RSEQ, &[rseq.address, u64::from(rseq.size) | u64::from(rseq.signature) << 32]);
        put(place, VECTOR_LENGTH, &[vector.len() as u64]);
        place.get_mut(VECTOR..VECTOR + vector.len()).ok_or(Errno::TOOBIG)?.copy_from_slice(vector);
        self.threads += 1;
        Ok(())
    }

    pub(crate) fn bounds(&mut self, bounds: &Bounds) {
        put(self.table, BOUNDS, bounds);
    }

    pub(crate) fn name(&mut self, name: &[u8]) {
        let length = name.len().min(NAME_BYTES - 1);
        self.table[NAME..NAME + length].copy_from_slice(&name[..length]);
    }

    pub(crate) fn auxiliary(&mut self, vector: &[u8]) {
        let length = vector.len().min(AUXILIARY_BYTES);
        put(self.table, AUXILIARY_LENGTH, &[length as u64]);
        self.table[AUXILIARY..AUXILIARY + length].copy_from_slice(&vector[..length]);
    }

    /// The functions by which a copy is told that it is one.
    pub(crate) fn hooks(&mut self, addresses: &[u64]) -> Result<(), Errno> {
        if MOST_HOOKS < addresses.len() {
            return Err(Errno::TOOBIG);
        }
        put(self.table, HOOKS_COUNT, &[addresses.len() as u64]);
        put(self.table, HOOKS, addresses);
        Ok(())
    }

    /// Adds an end of a pipe.
    pub(crate) fn pipe(&mut self, number: u32, end: End, flags: u32, pipe: u64, content: &[u8]) -> Result<(), Errno> {
        let count = get(self.table, PIPES_COUNT)? as usize;
        if MOST_PIPES <= count || CONTENT_BYTES < content.len() {
            return Err(Errno::MFILE);
        }
        let at = PIPES + count * PIPE_BYTES;
        let writes = u64::from(end == End::Writes);
        put(self.table, at, &[u64::from(number) | u64::from(flags) << 32, writes, pipe, content.len() as u64]);
        self.table[at + 32..at + 32 + content.len()].copy_from_slice(content);
        put(self.table, PIPES_COUNT, &[count as u64 + 1]);
        Ok(())
    }

    /// What a signal does, as the kernel's `struct sigaction`. Signals count from 1.
    pub(crate) fn handler(&mut self, signal: usize, action: &[u64; 4]) {
        put(self.table, HANDLERS + (signal - 1) * 32, action);
    }

    /// Adds a part. Those that show a file name it; the same path twice in a row is kept once.
    pub(crate) fn part(
        &mut self,
        kind: Kind,
        protection: u8,
        range: Range<u64>,
        offset: u64,
        path: &[u8],
    ) -> Result<(), Errno> {
        let path = self.path(path)?;
        let offset = match kind {
            Kind::ShownPages | Kind::CopiedPages => self.pages,
            _ => offset,
        };
        let number = Kind::ALL.iter().position(|known| *known == kind).unwrap_or(0) as u64;
        let at = self.parts_at() + self.parts * PART_BYTES;
        let place = self.table.get_mut(at..at + PART_BYTES).ok_or(Errno::TOOBIG)?;
        put(place, 0, &[number, u64::from(protection) | u64::from(path) << 32, range.start, range.end, offset]);
        self.parts += 1;
        if matches!(kind, Kind::ShownPages | Kind::CopiedPages) {
            self.pages += range.end - range.start;
        }
        Ok(())
    }

    fn path(&mut self, path: &[u8]) -> Result<u32, Errno> {
        if path.is_empty() {
            return Ok(0);
        }
        let last = self.paths[..self.paths_used].split(|byte| *byte == 0).rev().nth(1);
        if last == Some(path) {
            return Ok((self.paths_used - path.len() - 1) as u32);
        }
        let at = self.paths_used;
        let place = self.paths.get_mut(at..at + path.len() + 1).ok_or(Errno::TOOBIG)?;
        place[..path.len()].copy_from_slice(path);
        place[path.len()] = 0;
        self.paths_used += path.len() + 1;
        Ok(at as u32)
    }

    fn parts_at(&self) -> usize {
        THREADS_AT + self.threads * THREAD_BYTES
    }

    /// The whole table.
    pub(crate) fn finish(self) -> Result<&'b [u8], Errno> {
        let paths_at = self.parts_at() + self.parts * PART_BYTES;
        let length = (paths_at + self.paths_used).next_multiple_of(PAGE);
        let place = self.table.get_mut(paths_at..paths_at + self.paths_used).ok_or(Errno::TOOBIG)?;
        place.copy_from_slice(&self.paths[..self.paths_used]);
        put(self.table, 0, &[MARK]);
        put(self.table, LENGTH, &[length as u64]);
        put(self.table, THREADS, &[self.threads as u64]);
        put(self.table, PARTS, &[self.parts as u64]);
        self.table.get(..length).ok_or(Errno::TOOBIG)
    }
}

/// Reads a table of contents.
#[derive(Clone, Copy)]
pub(crate) struct Contents<'a>(&'a [u8]);

impl<'a> Contents<'a> {
    /// How long the table is, from an image's first bytes.
    pub(crate) fn length(first: &[u8; 16]) -> Result<usize, Errno> {
        if get(first, 0)? == MARK { Ok(get(first, LENGTH)? as usize) } else { Err(Errno::NOEXEC) }
    }

    pub(crate) fn new(table: &'a [u8]) -> Contents<'a> {
        Contents(table)
    }

    pub(crate) fn threads(self) -> Result<usize, Errno> {
        Ok(get(self.0, THREADS)? as usize)
    }

    pub(crate) fn thread(self, number: usize) -> Result<Thread<'a>, Errno> {
        let at = number.checked_mul(THREAD_BYTES).and_then(|at| at.checked_add(THREADS_AT)).ok_or(Errno::INVAL)?;
        let place = self.0.get(at..at + THREAD_BYTES).ok_or(Errno::INVAL)?;
        let length = get(place, VECTOR_LENGTH)? as usize;
        let rseq = get(place, RSEQ + 8)?;
        Ok(Thread {
            registers: Registers::from_words(words(place, REGISTERS)?),
            blocked: get(place, BLOCKED)?,
            alternate_stack: words(place, ALTERNATE)?,
            robust_list: words(place, ROBUST)?,
            cleared: get(place, CLEARED)?,
            rseq: Rseq::new(get(place, RSEQ)?, rseq as u32, (rseq >> 32) as u32),
            vector: place[VECTOR..].get(..length).ok_or(Errno::INVAL)?,
        })
    }

    pub(crate) fn bounds(self) -> Result<Bounds, Errno> {
        words(self.0, BOUNDS)
    }

    pub(crate) fn name(self) -> Result<[u8; NAME_BYTES], Errno> {
        self.0[NAME..].first_chunk().copied().ok_or(Errno::INVAL)
    }

    pub(crate) fn auxiliary(self) -> Result<&'a [u8], Errno> {
        let length = get(self.0, AUXILIARY_LENGTH)? as usize;
        self.0[AUXILIARY..HANDLERS].get(..length).ok_or(Errno::INVAL)
    }

    pub(crate) fn handler(self, signal: usize) -> Result<[u64; 4], Errno> {
        words(self.0, HANDLERS + (signal - 1) * 32)
    }

    /// The functions by which this copy is told that it is one.
    pub(crate) fn hooks(self) -> Result<impl Iterator<Item = u64>, Errno> {
        let count = (get(self.0, HOOKS_COUNT)? as usize).min(MOST_HOOKS);
        let all: [u64; MOST_HOOKS] = words(self.0, HOOKS)?;
        Ok(all.into_iter().take(count))
    }

    /// All ends of pipes.
    pub(crate) fn pipes(self) -> Result<impl Iterator<Item = PipeEnd<'a>> + Clone, Errno> {
        let count = (get(self.0, PIPES_COUNT)? as usize).min(MOST_PIPES);
        let places = self.0.get(PIPES..PIPES + count * PIPE_BYTES).ok_or(Errno::INVAL)?;
        Ok(places.chunks_exact(PIPE_BYTES).filter_map(|place| {
            let [small, writes, pipe, length] = words(place, 0).ok()?;
            let end = if writes == 1 { End::Writes } else { End::Reads };
            let content = place[32..].get(..length as usize)?;
            Some(PipeEnd { number: small as u32, end, flags: (small >> 32) as u32, pipe, content })
        }))
    }

    pub(crate) fn parts(self) -> Result<impl Iterator<Item = Part> + Clone + use<'a>, Errno> {
        let at = self.parts_at()?;
        let count = get(self.0, PARTS)? as usize;
        let places = count.checked_mul(PART_BYTES).and_then(|length| self.0.get(at..at.checked_add(length)?));
        Ok(places.ok_or(Errno::INVAL)?.chunks_exact(PART_BYTES).filter_map(|place| {
            let [number, small, start, end, offset] = words(place, 0).ok()?;
            let kind = *Kind::ALL.get(number as usize)?;
            Some(Part { kind, protection: small as u8, path: (small >> 32) as u32, start, end, offset })
        }))
    }

    /// How many bytes of pages follow the table.
    pub(crate) fn pages(self) -> Result<u64, Errno> {
        self.parts()?.try_fold(0u64, |sum, part| sum.checked_add(part.pages()).ok_or(Errno::INVAL))
    }

    /// The path of a part that shows a file, with the NUL that ends it.
    pub(crate) fn path(self, part: &Part) -> Result<&'a [u8], Errno> {
        let paths = self.parts_at()? + get(self.0, PARTS)? as usize * PART_BYTES;
        let rest = self.0.get(paths + part.path as usize..).ok_or(Errno::INVAL)?;
        let end = rest.iter().position(|byte| *byte == 0).ok_or(Errno::INVAL)?;
        Ok(&rest[..=end])
    }

    fn parts_at(self) -> Result<usize, Errno> {
        let threads = self.threads()?;
        threads.checked_mul(THREAD_BYTES).and_then(|length| length.checked_add(THREADS_AT)).ok_or(Errno::INVAL)
    }
}

fn put(place: &mut [u8], at: usize, words: &[u64]) {
    for (slot, word) in place[at..].chunks_exact_mut(8).zip(words) {
        slot.copy_from_slice(&word.to_ne_bytes());
    }
}

fn get(place: &[u8], at: usize) -> Result<u64, Errno> {
    place.get(at..).and_then(|rest| rest.first_chunk()).map(|word| u64::from_ne_bytes(*word)).ok_or(Errno::INVAL)
}

fn words<const N: usize>(place: &[u8], at: usize) -> Result<[u64; N], Errno> {
    let mut words = [0; N];
    for (index, word) in words.iter_mut().enumerate() {
        *word = get(place, at + 8 * index)?;
    }
    Ok(words)
}
