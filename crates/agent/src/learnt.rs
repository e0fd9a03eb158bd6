//! The pages that a copy of a tool was seen to use, as bytes: they stand behind the pages of its image, and every further
//! copy brings them in before its job comes.
//!
//! One range after the other: its first address, and its end. Those are of pages, so how it was used has room in the second.
//! Only speed depends on any of it; that it costs no more memory than it may is seen to by who writes and by who reads, for
//! they are in different cells.

use core::ops::Range;

use rustix::io::Errno;

use crate::image::PAGE;
use crate::sys::Bring;

/// What a range takes.
pub(crate) const RANGE_BYTES: usize = 16;
/// The most ranges: a call for each of them is made in every copy.
const MOST_RANGES: usize = 2048;
/// The most that it all takes.
pub(crate) const MOST_BYTES: usize = MOST_RANGES * RANGE_BYTES;

/// How many pages may still be brought in.
struct Allowance {
    /// Each takes memory of the copy's own.
    written: u64,
    /// These are the file's, and others have them too.
    read: u64,
}

impl Allowance {
    const WHOLE: Allowance = Allowance { written: 2048, read: 32 * 1024 };

    /// Whether there is room for this one, too.
    fn takes(&mut self, range: &Range<u64>, how: Bring) -> bool {
        let pages = range.end.saturating_sub(range.start) / PAGE as u64;
        let left = match how {
            Bring::ToWrite => &mut self.written,
            Bring::ToRead => &mut self.read,
        };
        let rest = left.checked_sub(pages);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }
}

/// How many pages may lie between two that are brought in together.
fn near(how: Bring) -> u64 {
    match how {
        // Each costs a page of memory, and more time than a call more.
        Bring::ToWrite => 1,
        // The kernel maps so many at once in any case.
        Bring::ToRead => 16,
    }
}

/// Gathers pages into ranges.
pub(crate) struct Gathered<'b> {
    bytes: &'b mut [u8],
    used: usize,
    run: Option<(Bring, Range<u64>)>,
    allowance: Allowance,
}

impl<'b> Gathered<'b> {
    /// Into a buffer of [`MOST_BYTES`].
    pub(crate) fn new(bytes: &'b mut [u8]) -> Gathered<'b> {
        Gathered { bytes, used: 0, run: None, allowance: Allowance::WHOLE }
    }

    /// Adds a page of a mapping. Pages of one kind come in the order of their addresses.
    pub(crate) fn add(&mut self, address: u64, mapping: &Range<u64>, how: Bring) {
        let page = address..address + PAGE as u64;
        match &mut self.run {
            Some((kind, run))
                if *kind == how
                    && mapping.start <= run.start
                    && (run.end..=run.end + near(how) * PAGE as u64).contains(&address) =>
            {
                run.end = page.end;
            }
            run => {
                let before = run.replace((how, page));
                self.close(before);
            }
        }
    }

    fn close(&mut self, run: Option<(Bring, Range<u64>)>) {
        let Some((how, range)) = run else { return };
        let Some(place) = self.bytes.get_mut(self.used..self.used + RANGE_BYTES) else { return };
        if self.allowance.takes(&range, how) {
            let [start, end] = [range.start, range.end | number(how)].map(u64::to_ne_bytes);
            place[..8].copy_from_slice(&start);
            place[8..].copy_from_slice(&end);
            self.used += RANGE_BYTES;
        }
    }

    /// All of it.
    pub(crate) fn finish(mut self) -> &'b [u8] {
        let last = self.run.take();
        self.close(last);
        &self.bytes[..self.used]
    }
}

/// Goes through what was gathered, which may be given part by part.
pub(crate) struct Reader {
    allowance: Allowance,
    ranges: usize,
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader { allowance: Allowance::WHOLE, ranges: MOST_RANGES }
    }

    /// The ranges of the next part.
    pub(crate) fn ranges(&mut self, part: &[u8]) -> impl Iterator<Item = Result<(Bring, Range<u64>), Errno>> {
        part.chunks_exact(RANGE_BYTES).map(|place| {
            let word = |at: usize| place[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
            let how = if word(8) & 1 == number(Bring::ToWrite) { Bring::ToWrite } else { Bring::ToRead };
            let range = word(0)..word(8) & !1;
            self.ranges = self.ranges.checked_sub(1).ok_or(Errno::TOOBIG)?;
            if self.allowance.takes(&range, how) { Ok((how, range)) } else { Err(Errno::TOOBIG) }
        })
    }
}

fn number(how: Bring) -> u64 {
    match how {
        Bring::ToRead => 0,
        Bring::ToWrite => 1,
    }
}
