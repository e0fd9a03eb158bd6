//! The functions by which a process is told that it is a copy, found by their names in what it has mapped.

use core::ffi::CStr;

use firebox_wire::Strings;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::MAPPINGS_BYTES;
use super::mappings::{Mapping, Source, mappings};
use super::proc::{Proc, read_at};
use crate::image::MOST_HOOKS;
use crate::sys;

/// The addresses of functions, in the order in which they were named.
pub(crate) struct Hooks {
    addresses: [u64; MOST_HOOKS],
    count: usize,
}

const EXECUTE: u8 = 4;

impl Hooks {
    /// Finds them in a process that is stopped. None may be missing.
    pub(crate) fn find(pid: Pid, names: Strings<'_>) -> Result<Hooks, Errno> {
        let mut hooks = Hooks { addresses: [0; MOST_HOOKS], count: 0 };
        if names.count() == 0 {
            return Ok(hooks);
        }
        let maps = Proc::of(pid)?.mappings(sys::pages(MAPPINGS_BYTES)?)?;
        let chunk = sys::pages(CHUNK_BYTES)?;
        for name in names.iter() {
            let place = hooks.addresses.get_mut(hooks.count).ok_or(Errno::TOOBIG)?;
            *place = address(maps, name, chunk)?;
            hooks.count += 1;
        }
        Ok(hooks)
    }

    pub(super) fn addresses(&self) -> &[u64] {
        &self.addresses[..self.count]
    }
}

/// How much of a table is looked at at once.
const CHUNK_BYTES: usize = 96 << 10;

/// Where a function is: the first of that name, in the order of the mappings.
fn address(maps: &[u8], name: &[u8], chunk: &mut [u8]) -> Result<u64, Errno> {
    let mut path_buffer = [0; 4096];
    for mapping in mappings(maps) {
        let Mapping { range, protection, offset, source } = mapping?;
        let Source::File(path) = source else { continue };
        if protection & EXECUTE == 0 {
            continue;
        }
        let place = path_buffer.get_mut(..path.len() + 1).ok_or(Errno::NAMETOOLONG)?;
        place[..path.len()].copy_from_slice(path);
        place[path.len()] = 0;
        let path = CStr::from_bytes_with_nul(place).map_err(|_| Errno::INVAL)?;
        let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let length = range.end - range.start;
        match offset_in(&file, name, chunk)? {
            Some(at) if (offset..offset + length).contains(&at) => return Ok(range.start + at - offset),
            _ => {}
        }
    }
    Err(Errno::NOENT)
}

// The parts of an ELF file.
const HEADER_BYTES: usize = 64;
const SECTION_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const SYMBOL_BYTES: usize = 24;
const DYNAMIC_SYMBOLS: u64 = 11;

/// Where in a file the code of a function of this name (with its NUL) begins, if the file has one for others to link to.
fn offset_in(file: &OwnedFd, name: &[u8], chunk: &mut [u8]) -> Result<Option<u64>, Errno> {
    const FUNCTION: u8 = 2;
    let mut header = [0; HEADER_BYTES];
    if read_at(file, 0, &mut header)? != HEADER_BYTES || header[..6] != *b"\x7fELF\x02\x01" {
        return Ok(None);
    }
    let section = |index: u64| {
        let mut section = [0; SECTION_BYTES];
        read_at(file, number(&header, 40, 8) + index * SECTION_BYTES as u64, &mut section).map(|_| section)
    };
    for index in 0..number(&header, 60, 2) {
        let table = section(index)?;
        if number(&table, 4, 4) != DYNAMIC_SYMBOLS {
            continue;
        }
        let names = number(&section(number(&table, 40, 4))?, 24, 8);
        let (at, length) = (number(&table, 24, 8), number(&table, 32, 8));
        let whole = chunk.len() / SYMBOL_BYTES * SYMBOL_BYTES;
        let mut done = 0;
        while done < length {
            let most = whole.min((length - done) as usize);
            let read = read_at(file, at + done, &mut chunk[..most])?;
            if read == 0 {
                break;
            }
            for symbol in chunk[..read].chunks_exact(SYMBOL_BYTES) {
                let defined = symbol[4] & 15 == FUNCTION && number(symbol, 6, 2) != 0;
                if defined && is_called(file, names + number(symbol, 0, 4), name)? {
                    return offset_of(file, &header, number(symbol, 8, 8));
                }
            }
            done += read as u64;
        }
    }
    Ok(None)
}

/// Whether that is what stands at a place among the names.
fn is_called(file: &OwnedFd, at: u64, name: &[u8]) -> Result<bool, Errno> {
    let mut found = [0; 64];
    let found = found.get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?;
    Ok(read_at(file, at, found)? == name.len() && *found == *name)
}

/// Where in the file an address of its code is.
fn offset_of(file: &OwnedFd, header: &[u8; HEADER_BYTES], address: u64) -> Result<Option<u64>, Errno> {
    const LOAD: u64 = 1;
    for index in 0..number(header, 56, 2) {
        let mut segment = [0; SEGMENT_BYTES];
        read_at(file, number(header, 32, 8) + index * SEGMENT_BYTES as u64, &mut segment)?;
        let (offset, begin, length) = (number(&segment, 8, 8), number(&segment, 16, 8), number(&segment, 32, 8));
        if number(&segment, 0, 4) == LOAD && (begin..begin.saturating_add(length)).contains(&address) {
            return Ok(Some(address - begin + offset));
        }
    }
    Ok(None)
}

/// A number of so many bytes; zero when it is not all there.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(found) = bytes.get(at..at + length) {
        word[..length].copy_from_slice(found);
    }
    u64::from_le_bytes(word)
}
