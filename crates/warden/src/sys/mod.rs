//! The system calls that `rustix` does not wrap, each under a safe function that answers the kernel's conditions.
#![expect(unsafe_code, reason = "fork, exec from a descriptor and fixed descriptors have no safe wrapper elsewhere")]

mod descriptors;
mod exec;
mod process;

use rustix::io::Errno;

pub use descriptors::{out_of_the_way, place_descriptors};
pub(crate) use exec::execute_descriptor;
pub use process::{Forked, exit, fork};

/// A result as `rustix` has it.
fn checked(result: Result<usize, syscalls::Errno>) -> Result<usize, Errno> {
    result.map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}
