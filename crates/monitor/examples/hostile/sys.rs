//! Calls that no library would make.
#![expect(unsafe_code, reason = "calls that no library would make, and a descriptor that is known by its number")]

use std::ffi::CStr;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;

use firebox_monitor::Handed;
use syscalls::{Sysno, syscall, syscall6};

/// The stream. To be called once.
pub(crate) fn stream() -> UnixStream {
    // SAFETY: it is open at the start, and nobody else takes it.
    unsafe { UnixStream::from_raw_fd(Handed::Stream as i32) }
}

/// One call: `done` and what it gave, or the number of its error.
pub(crate) fn call(number: Sysno, arguments: &[usize]) -> String {
    let mut all = [0; 6];
    all.iter_mut().zip(arguments).for_each(|(to, from)| *to = *from);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the calls that are passed write, if at all, to memory that was leaked for it, or to memory that they make; none changes what is there
    // already. Whichever has an address to read has one of a static with room enough, or of none.
    answer(unsafe { syscall6(number, a, b, c, d, e, f) })
}

/// Reads where no memory is.
pub(crate) fn read_what_is_not_there() {
    let address = std::ptr::without_provenance::<u8>(8);
    // SAFETY: there is nothing: the kernel maps nothing there for anybody. That it ends the process is what is wanted.
    let _ = std::hint::black_box(unsafe { std::ptr::read_volatile(address) });
}

/// Starts a process that ends at once.
pub(crate) fn children(number: Sysno) -> String {
    // SAFETY: as `fork`, with a copy of all memory; the child does nothing but end.
    let started = unsafe { syscall!(number) };
    if started == Ok(0) {
        // SAFETY: it takes a number and does not return.
        let _ = unsafe { syscall!(Sysno::exit_group, 0) };
    }
    answer(started.map(|_| 0))
}

/// How many entries a directory has, besides itself and the one above.
pub(crate) fn entries(directory: &CStr) -> String {
    match std::fs::read_dir(directory.to_str().unwrap_or_default()) {
        Ok(entries) => format!("done {}", entries.count()),
        Err(error) => format!("errno {}", error.raw_os_error().unwrap_or_default()),
    }
}

fn answer(result: Result<usize, syscalls::Errno>) -> String {
    match result {
        Ok(value) => format!("done {value}"),
        Err(errno) => format!("errno {}", errno.into_raw()),
    }
}
