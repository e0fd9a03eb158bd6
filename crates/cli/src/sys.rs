//! What the command line asks of the kernel, and `rustix` has no safe way for.
#![expect(unsafe_code, reason = "a signal is ignored, and a descriptor taken that is known by its number alone")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use syscalls::{Sysno, syscall};

const SIGTTIN: i32 = 21;
const SIG_IGN: usize = 1;

/// A set of signals as the kernel has it.
type SignalSet = u64;

/// The kernel's `struct sigaction`.
#[repr(C)]
struct Action {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: SignalSet,
}

/// From now on, a read from the terminal while in its background fails with EIO instead of stopping this process.
/// The signal stays ignored in every program that this process executes later.
pub(crate) fn ignore_sigttin() -> io::Result<()> {
    let ignore = Action { handler: SIG_IGN, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: `ignore` is a whole `struct sigaction` that outlives the call and names no function, the old one is not
    // asked for, and the set's size is the kernel's.
    let done = unsafe {
        syscall!(
            Sysno::rt_sigaction,
            SIGTTIN,
            ptr::from_ref(&ignore),
            ptr::null_mut::<Action>(),
            size_of::<SignalSet>()
        )
    };
    done.map(|_| ()).map_err(|errno| io::Error::from_raw_os_error(errno.into_raw()))
}

/// The descriptor of that number, if whoever started this process left it open for it. What this process opens closes when another
/// program starts; so does this from now on, and nobody gets it twice.
pub(crate) fn handed(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: it is borrowed for one question, to which the kernel answers EBADF if it is not open.
    let flags = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) })?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(Errno::BADF);
    }
    // SAFETY: it is open, and not by anybody in this process: each of those would have it closed when a program starts.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn sigttin_is_ignored_and_nothing_else_changes() {
        let ignored = || {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
            u64::from_str_radix(&set, 16).unwrap()
        };
        let before = ignored();
        ignore_sigttin().unwrap();
        assert_eq!(ignored(), before | 1 << (SIGTTIN - 1));
    }

    #[test]
    fn what_was_left_open_is_taken_once_and_what_is_ours_never() {
        let ours = fs::File::open("/dev/null").unwrap();
        assert_eq!(handed(ours.as_raw_fd()).unwrap_err(), Errno::BADF);
        fcntl_setfd(&ours, FdFlags::empty()).unwrap();
        let number = ours.into_raw_fd();
        let taken = handed(number).unwrap();
        assert_eq!((taken.as_raw_fd(), fcntl_getfd(&taken)), (number, Ok(FdFlags::CLOEXEC)));
        assert_eq!(handed(number).unwrap_err(), Errno::BADF);
        assert_eq!(handed(RawFd::MAX).unwrap_err(), Errno::BADF);
    }
}
