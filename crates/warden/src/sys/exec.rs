//! Becoming a program that has no name.

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

const AT_EMPTY_PATH: usize = 0x1000;

/// Becomes the program in a descriptor, with this name, one argument and an empty environment. Returns only when that
/// fails.
pub(crate) fn execute_descriptor(program: BorrowedFd<'_>, name: &CStr, argument: &CStr) -> Errno {
    let argv = [name.as_ptr(), argument.as_ptr(), ptr::null()];
    let env = [ptr::null::<c_char>()];
    // SAFETY: the kernel only reads; both lists end with null, all strings with NUL by their type, and all of them
    // outlive the call.
    let result = unsafe {
        syscall!(Sysno::execveat, program.as_raw_fd(), c"".as_ptr(), argv.as_ptr(), env.as_ptr(), AT_EMPTY_PATH)
    };
    result.err().map_or(Errno::IO, |errno| Errno::from_raw_os_error(errno.into_raw()))
}
