//! Which pages of a mapping are a process's own.

use core::ops::Range;

use rustix::io::Errno;

use super::proc::{PAGE_ENTRY, Proc};
use crate::image::PAGE;

/// What a page is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// The process has written to it.
    Own,
    /// A file's, and in the process's tables.
    OfFile,
}

impl Page {
    /// By the kernel's word about it; none when it is not in the process's tables.
    pub(super) fn of(entry: &[u8]) -> Option<Page> {
        let entry = entry.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let (present, swapped, of_file) = (entry >> 63 & 1 == 1, entry >> 62 & 1 == 1, entry >> 61 & 1 == 1);
        match (present || swapped, of_file) {
            (false, _) => None,
            (true, false) => Some(Page::Own),
            (true, true) => Some(Page::OfFile),
        }
    }
}

/// Runs of pages that are the process's own, in the order of their addresses.
pub(super) struct Runs<'p> {
    proc: &'p Proc,
    /// The first page that has not been looked at.
    next: u64,
    end: u64,
    run: Option<Range<u64>>,
    entries: [u8; ENTRIES * PAGE_ENTRY],
    known: Range<u64>,
}

/// How many entries are read at once.
const ENTRIES: usize = 512;

/// Pages that are so near to each other count as one run: a mapping more costs more than a few pages too many.
const NEAR: u64 = 4;

impl Runs<'_> {
    pub(super) fn of(range: Range<u64>, proc: &Proc) -> Runs<'_> {
        let (next, end) = (range.start / PAGE as u64, range.end / PAGE as u64);
        Runs { proc, next, end, run: None, entries: [0; ENTRIES * PAGE_ENTRY], known: 0..0 }
    }

    fn is_own(&mut self, page: u64) -> Result<bool, Errno> {
        if !self.known.contains(&page) {
            let most = ENTRIES.min((self.end - page) as usize);
            let read = self.proc.pages(page, &mut self.entries[..most * PAGE_ENTRY])?;
            if read == 0 {
                return Err(Errno::IO);
            }
            self.known = page..page + read as u64;
        }
        let at = (page - self.known.start) as usize * PAGE_ENTRY;
        Ok(Page::of(&self.entries[at..]) == Some(Page::Own))
    }
}

fn addresses(run: Range<u64>) -> Range<u64> {
    run.start * PAGE as u64..run.end * PAGE as u64
}

impl Iterator for Runs<'_> {
    type Item = Result<Range<u64>, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let is_own = match self.is_own(self.next) {
                Ok(is_own) => is_own,
                Err(errno) => {
                    self.next = self.end;
                    return Some(Err(errno));
                }
            };
            let at = self.next;
            self.next += 1;
            if !is_own {
                continue;
            }
            match &mut self.run {
                Some(run) if at - run.end <= NEAR => run.end = at + 1,
                run => {
                    if let Some(before) = run.replace(at..at + 1) {
                        return Some(Ok(addresses(before)));
                    }
                }
            }
        }
        self.run.take().map(addresses).map(Ok)
    }
}
