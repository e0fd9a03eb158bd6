//! Processes: fork, exec, exit.

use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::{Sysno, syscall};

/// Which of the two processes this is after a fork.
pub(crate) enum Fork {
    /// The new one.
    Child,
    /// The old one, with the id of the new one.
    Parent(Pid),
}

/// Makes a copy of this process.
pub(crate) fn fork() -> Result<Fork, Errno> {
    // SAFETY: the agent has one thread and no memory shared with others, so both copies go on with consistent
    // memory of their own, as after any `fork`.
    match unsafe { syscall!(Sysno::fork) } {
        Ok(0) => Ok(Fork::Child),
        Ok(pid) => Pid::from_raw(pid as i32).map(Fork::Parent).ok_or(Errno::IO),
        Err(errno) => Err(Errno::from_raw_os_error(errno.into_raw())),
    }
}

/// Becomes another program. The pointer lists end with null; returns only when that fails.
pub(crate) fn execute(path: &core::ffi::CStr, argv: &[*const u8], env: &[*const u8]) -> Errno {
    let ended = |list: &[*const u8]| list.last().is_some_and(|last| last.is_null());
    if !ended(argv) || !ended(env) {
        return Errno::INVAL;
    }
    // SAFETY: the kernel only reads, checks every pointer itself and answers EFAULT for a bad one; the lists end
    // with null as checked above, and `path` ends with NUL by its type.
    let result = unsafe { syscall!(Sysno::execve, path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    result.err().map_or(Errno::IO, |errno| Errno::from_raw_os_error(errno.into_raw()))
}

/// The path of the current directory, written into a buffer.
pub(crate) fn current_directory(buffer: &'static mut [u8]) -> Result<&'static [u8], Errno> {
    // SAFETY: the kernel writes at most so many bytes into the buffer, which is ours.
    let written = super::checked(unsafe { syscall!(Sysno::getcwd, buffer.as_mut_ptr(), buffer.len()) })?;
    // With its NUL.
    buffer.get(..written.saturating_sub(1)).ok_or(Errno::RANGE)
}

/// The CPU that we are on.
pub(crate) fn cpu() -> Result<usize, Errno> {
    let mut cpu = 0_u32;
    // SAFETY: the kernel writes one number, to a place of its size that outlives the call; the others are not asked for.
    super::checked(unsafe { syscall!(Sysno::getcpu, &raw mut cpu, 0, 0) })?;
    Ok(cpu as usize)
}

/// Ends the process.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: the call takes a plain number and does not return.
        let _ = unsafe { syscall!(Sysno::exit_group, code) };
    }
}
