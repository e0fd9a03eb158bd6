//! Which pages of a mapping are a process's own, and which of a file's it has used.

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

/// Runs of pages of one kind, in the order of their addresses.
pub(super) struct Runs<'p> {
    proc: &'p Proc,
    /// The first page that has not been looked at.
    next: u64,
    end: u64,
    run: Option<(Page, Range<u64>)>,
    entries: [u8; ENTRIES * PAGE_ENTRY],
    known: Range<u64>,
}

/// How many entries are read at once.
const ENTRIES: usize = 512;

/// Pages that are so near to each other count as one run: a mapping more costs more than a few pages too many.
fn near(page: Page) -> u64 {
    match page {
        Page::Own => 4,
        Page::OfFile => 16,
    }
}

impl Runs<'_> {
    pub(super) fn of(range: Range<u64>, proc: &Proc) -> Runs<'_> {
        let (next, end) = (range.start / PAGE as u64, range.end / PAGE as u64);
        Runs { proc, next, end, run: None, entries: [0; ENTRIES * PAGE_ENTRY], known: 0..0 }
    }

    fn look_at(&mut self, page: u64) -> Result<Option<Page>, Errno> {
        if !self.known.contains(&page) {
            let most = ENTRIES.min((self.end - page) as usize);
            let read = self.proc.pages(page, &mut self.entries[..most * PAGE_ENTRY])?;
            if read == 0 {
                return Err(Errno::IO);
            }
            self.known = page..page + read as u64;
        }
        let at = (page - self.known.start) as usize * PAGE_ENTRY;
        let entry = self.entries[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let (present, swapped, of_file) = (entry >> 63 & 1 == 1, entry >> 62 & 1 == 1, entry >> 61 & 1 == 1);
        Ok(match (present || swapped, of_file) {
            (false, _) => None,
            (true, false) => Some(Page::Own),
            (true, true) => Some(Page::OfFile),
        })
    }
}

fn addresses((page, run): (Page, Range<u64>)) -> (Page, Range<u64>) {
    (page, run.start * PAGE as u64..run.end * PAGE as u64)
}

impl Iterator for Runs<'_> {
    type Item = Result<(Page, Range<u64>), Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let found = match self.look_at(self.next) {
                Ok(found) => found,
                Err(errno) => {
                    self.next = self.end;
                    return Some(Err(errno));
                }
            };
            let at = self.next;
            self.next += 1;
            let Some(page) = found else { continue };
            match &mut self.run {
                Some((kind, run)) if *kind == page && at - run.end <= near(page) => run.end = at + 1,
                run => {
                    if let Some(before) = run.replace((page, at..at + 1)) {
                        return Some(Ok(addresses(before)));
                    }
                }
            }
        }
        self.run.take().map(addresses).map(Ok)
    }
}
