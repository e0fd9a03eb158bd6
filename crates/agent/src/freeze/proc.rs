//! What `/proc` tells of a process that we follow.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::{Errno, pread};
use rustix::process::Pid;

use crate::image::Bounds;

/// A process's directory in `/proc`, and its memory.
pub(super) struct Proc {
    directory: OwnedFd,
    memory: OwnedFd,
    pages: OwnedFd,
}

/// One number per page of an address space.
pub(super) const PAGE_ENTRY: usize = 8;

impl Proc {
    pub(super) fn of(pid: Pid) -> Result<Proc, Errno> {
        let mut path = [0; 32];
        let path = numbered(b"/proc/", pid.as_raw_nonzero().get().unsigned_abs(), &mut path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty())?;
        let file = |name: &CStr| openat(&directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let (memory, pages) = (file(c"mem")?, file(c"pagemap")?);
        Ok(Proc { directory, memory, pages })
    }

    /// Reads memory, whatever its protection.
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        read_at(&self.memory, address, buffer)
            .and_then(|read| if read == buffer.len() { Ok(()) } else { Err(Errno::IO) })
    }

    /// Says of so many pages from this one on what they are. How many of them there were.
    pub(super) fn pages(&self, first: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        read_at(&self.pages, first * PAGE_ENTRY as u64, buffer).map(|read| read / PAGE_ENTRY)
    }

    pub(super) fn mappings<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        self.text(c"maps", buffer)
    }

    pub(super) fn auxiliary<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        self.text(c"auxv", buffer)
    }

    pub(super) fn name<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        self.text(c"comm", buffer).map(|name| name.trim_ascii_end())
    }

    /// Where things are, by the kernel's account.
    pub(super) fn bounds(&self, end_of_heap: u64) -> Result<Bounds, Errno> {
        let mut buffer = [0; 1024];
        let text = self.text(c"stat", &mut buffer)?;
        // The second field is a name in brackets, and may hold anything.
        let after = text.iter().rposition(|byte| *byte == b')').ok_or(Errno::BADMSG)? + 2;
        let field = |number: usize| {
            let word = text.get(after..)?.split(|byte| *byte == b' ').nth(number - 3)?;
            str::from_utf8(word.trim_ascii()).ok()?.parse::<u64>().ok()
        };
        let [code, code_end, stack, data, data_end, heap, arguments, arguments_end, environment, environment_end] =
            [26, 27, 28, 45, 46, 47, 48, 49, 50, 51].map(field);
        let bounds = [
            code,
            code_end,
            data,
            data_end,
            heap,
            Some(end_of_heap),
            stack,
            arguments,
            arguments_end,
            environment,
            environment_end,
        ];
        let mut all = [0; 11];
        for (place, bound) in all.iter_mut().zip(bounds) {
            *place = bound.ok_or(Errno::BADMSG)?;
        }
        Ok(all)
    }

    /// Names each of its open descriptors.
    pub(super) fn each_descriptor(&self, mut each: impl FnMut(u32) -> Result<(), Errno>) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = openat(&self.directory, c"fd", flags, Mode::empty())?;
        let mut names = [MaybeUninit::uninit(); 2048];
        let mut entries = RawDir::new(&listed, &mut names);
        while let Some(entry) = entries.next() {
            match entry?.file_name().to_bytes() {
                b"." | b".." => {}
                name => each(str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or(Errno::BADMSG)?)?,
            }
        }
        Ok(())
    }

    /// What one of them is, in the kernel's words.
    pub(super) fn descriptor<'b>(&self, number: u32, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let mut path = [0; 32];
        let length = readlinkat_raw(&self.directory, numbered(b"fd/", number, &mut path)?, &mut *buffer)?;
        Ok(&buffer[..length])
    }

    /// How it was opened.
    pub(super) fn descriptor_information<'b>(&self, number: u32, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let mut path = [0; 32];
        self.text(numbered(b"fdinfo/", number, &mut path)?, buffer)
    }

    /// Takes out what is in a pipe.
    pub(super) fn take_content<'b>(&self, number: u32, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let mut path = [0; 32];
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = openat(&self.directory, numbered(b"fd/", number, &mut path)?, flags, Mode::empty())?;
        match rustix::io::read(&pipe, &mut *buffer) {
            Ok(read) if read == buffer.len() => Err(Errno::TOOBIG),
            Ok(read) => Ok(&buffer[..read]),
            Err(Errno::AGAIN) => Ok(&[]),
            Err(errno) => Err(errno),
        }
    }

    fn text<'b>(&self, name: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let file = openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let read = read_at(&file, 0, buffer)?;
        if read == buffer.len() { Err(Errno::TOOBIG) } else { Ok(&buffer[..read]) }
    }
}

/// A path that ends in a number.
fn numbered<'b>(before: &[u8], mut number: u32, buffer: &'b mut [u8; 32]) -> Result<&'b CStr, Errno> {
    buffer[..before.len()].copy_from_slice(before);
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    for place in buffer[before.len()..before.len() + digits].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::INVAL)
}

/// Reads until the buffer is full, or there is no more.
pub(super) fn read_at(file: &OwnedFd, mut offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match pread(file, &mut buffer[done..], offset) {
            Ok(0) => break,
            Ok(read) => {
                done += read;
                offset += read as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}
