//! Processes: fork and exit.

use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::{Sysno, syscall};

use super::checked;

/// Which of the two processes this is after a fork.
#[derive(Debug, Clone, Copy)]
pub enum Forked {
    /// The new one.
    Child,
    /// The old process, with the new one's id.
    Parent(Pid),
}

/// Copies this process. To be called before there is any other thread.
pub fn fork() -> Result<Forked, Errno> {
    // SAFETY: without a stack or flags this is a plain fork: the child goes on with a copy of all memory. Nothing in
    // it can be inconsistent, as the callers see to it that this is the process's only thread.
    match checked(unsafe { syscall!(Sysno::fork) })? {
        0 => Ok(Forked::Child),
        pid => Pid::from_raw(pid as i32).map(Forked::Parent).ok_or(Errno::IO),
    }
}

/// Ends this process without running anything of the parent's that was copied into it.
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: the call takes a plain number and does not return.
        let _ = unsafe { syscall!(Sysno::exit_group, code) };
    }
}
