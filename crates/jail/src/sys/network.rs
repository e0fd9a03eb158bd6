//! The loopback of a network namespace.

use std::os::fd::AsRawFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use syscalls::{Sysno, syscall};

use super::checked;

const SIOCSIFFLAGS: usize = 0x8914;
const IFF_UP: i16 = 1;

/// The kernel's `struct ifreq` as far as flags go; the rest of its union is padding to us.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: i16,
    rest_of_union: [u8; 22],
}

/// Brings up `lo`, so that programs can talk to themselves.
pub(crate) fn bring_up_loopback() -> Result<(), Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut request = InterfaceFlags { name: [0; 16], flags: IFF_UP, rest_of_union: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: the command reads one `struct ifreq` of 40 bytes, which `request` is, and it outlives the call.
    checked(unsafe { syscall!(Sysno::ioctl, socket.as_raw_fd(), SIOCSIFFLAGS, &raw const request) }).map(|_| ())
}
