//! The one system call of the command line that `rustix` does not wrap.
#![expect(unsafe_code, reason = "rustix has no safe way to ignore a signal")]

use std::io;
use std::ptr;

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

#[cfg(test)]
mod tests {
    use std::fs;

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
}
