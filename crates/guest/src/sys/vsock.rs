//! Sockets between a guest and its host.
#![allow(unsafe_code)]

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

/// Who calls while somebody else does waits. More than one is nobody's intention.
const BACKLOG: i32 = 4;

/// Listens for calls of the host's to this port.
pub fn listen_to_host(port: u32) -> Result<OwnedFd, Errno> {
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    bind(&socket, &Address { cid: libc::VMADDR_CID_ANY, port })?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Calls the host at this port.
pub fn call_host(port: u32) -> Result<OwnedFd, Errno> {
    let socket = socket(SocketFlags::CLOEXEC)?;
    connect(&socket, &Address { cid: libc::VMADDR_CID_HOST, port })?;
    Ok(socket)
}

fn socket(flags: SocketFlags) -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::VSOCK, SocketType::STREAM, flags, None)
}

/// A machine, and a port there.
struct Address {
    cid: u32,
    port: u32,
}

// SAFETY: what is passed is a whole `sockaddr_vm` of the family that it says, and its length, and it lives until `f` has returned.
unsafe impl SocketAddrArg for Address {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let address = libc::sockaddr_vm {
            svm_family: libc::AF_VSOCK as libc::sa_family_t,
            svm_reserved1: 0,
            svm_port: self.port,
            svm_cid: self.cid,
            svm_zero: [0; 4],
        };
        f((&raw const address).cast(), size_of_val(&address) as SocketAddrLen)
    }
}
