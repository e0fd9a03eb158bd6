//! Which pages a copy of a tool uses from the word to go to its end.
//!
//! It was thawed without any, so what it has in its tables at its end is what it has used. Memory that it gets for itself
//! meanwhile is not looked at: no copy has that before its job comes.

use firebox_wire::Terms;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::Pid;

use super::MAPPINGS_BYTES;
use super::mappings::{Mapping, Source, mappings};
use super::proc::{PAGE_ENTRY, Proc};
use super::runs::Page;
use crate::ahead;
use crate::image::PAGE;
use crate::learnt::{Gathered, MOST_BYTES};
use crate::sys::{self, Bring};

/// The most pages of an address space that are looked at: 4 GiB of them.
const MOST_PAGES: usize = 1 << 20;
/// How many of them at once.
const AT_ONCE: usize = 4096;

const WRITE: u8 = 2;

/// Lets a process go that was thawed and waits for that word on `go`. What it used comes as [`Gathered`] has it; the process
/// is then about to end.
pub(crate) fn learn(pid: Pid, go: &OwnedFd, terms: &Terms) -> Result<&'static [u8], Errno> {
    sys::watch_exit(pid)?;
    let proc = Proc::of(pid)?;
    let maps = proc.mappings(sys::pages(MAPPINGS_BYTES)?)?;
    let own_before = sys::pages(MOST_PAGES / 8)?;
    let entries = sys::pages(AT_ONCE * PAGE_ENTRY)?;
    each_page(maps, &proc, entries, |place, page| {
        if page == Page::Own {
            own_before[place.number / 8] |= 1 << (place.number % 8);
        }
    })?;
    rustix::io::write(go, &terms.to_bytes())?;
    ahead::follow_to_its_end(pid)?;
    let learnt = gather(maps, &proc, entries, own_before);
    // About to end, it would not be woken by being killed.
    sys::detach(pid, 0)?;
    learnt
}

/// What is there that was not the process's own before.
fn gather(maps: &[u8], proc: &Proc, entries: &mut [u8], own_before: &[u8]) -> Result<&'static [u8], Errno> {
    let mut gathered = Gathered::new(sys::pages(MOST_BYTES)?);
    // What is written to is brought in first: then it is there where it lies among what is only read.
    for how in [Bring::ToWrite, Bring::ToRead] {
        each_page(maps, proc, entries, |Place { number, address, mapping }, page| {
            let was_own = own_before[number / 8] >> (number % 8) & 1 == 1;
            let used = match page {
                Page::Own if was_own || mapping.protection & WRITE == 0 => None,
                Page::Own => Some(Bring::ToWrite),
                Page::OfFile => Some(Bring::ToRead),
            };
            if used == Some(how) {
                gathered.add(address, &mapping.range, how);
            }
        })?;
    }
    Ok(gathered.finish())
}

/// Where a page is.
struct Place<'m> {
    /// Among all that are looked at.
    number: usize,
    address: u64,
    mapping: &'m Mapping<'m>,
}

/// Looks at every page that the process has in these mappings.
fn each_page(maps: &[u8], proc: &Proc, entries: &mut [u8], mut each: impl FnMut(Place<'_>, Page)) -> Result<(), Errno> {
    let mut number = 0;
    for mapping in mappings(maps) {
        let mapping = mapping?;
        // What an image cannot hold is here what shows pages of one.
        let kernels = matches!(mapping.source, Source::Kernels | Source::KernelsForAll);
        // The zone is the agent's, and stays in a copy until that ends.
        let in_zone = sys::outside(&(mapping.range.start as usize..mapping.range.end as usize)).is_err();
        if mapping.protection == 0 || kernels || in_zone {
            continue;
        }
        let mut address = mapping.range.start;
        while address < mapping.range.end {
            let most = AT_ONCE.min(((mapping.range.end - address) / PAGE as u64) as usize);
            if MOST_PAGES < number + most {
                return Err(Errno::TOOBIG);
            }
            let read = proc.pages(address / PAGE as u64, &mut entries[..most * PAGE_ENTRY])?;
            if read == 0 {
                return Err(Errno::IO);
            }
            for entry in entries[..read * PAGE_ENTRY].chunks_exact(PAGE_ENTRY) {
                if let Some(page) = Page::of(entry) {
                    each(Place { number, address, mapping: &mapping }, page);
                }
                number += 1;
                address += PAGE as u64;
            }
        }
    }
    Ok(())
}
