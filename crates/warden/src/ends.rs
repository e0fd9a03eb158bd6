//! The sockets of a new cell, before each end has found its holder.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// Both ends of both sockets of a cell.
///
/// The process that becomes the cell keeps [`Ends::into_agents`] alone: the engine's ends in there would keep the cell
/// alive after its engine.
#[derive(Debug)]
pub struct Ends {
    pub(crate) agents_stream: OwnedFd,
    pub(crate) engines_stream: OwnedFd,
    pub(crate) wardens_socket: OwnedFd,
    pub(crate) engines_socket: OwnedFd,
}

impl Ends {
    pub(crate) fn new() -> Result<Ends, Errno> {
        let pair = |kind| socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
        let (engines_stream, agents_stream) = pair(SocketType::STREAM)?;
        let (engines_socket, wardens_socket) = pair(SocketType::SEQPACKET)?;
        Ok(Ends { agents_stream, engines_stream, wardens_socket, engines_socket })
    }

    /// The agent's end of its stream; all others are closed.
    pub fn into_agents(self) -> OwnedFd {
        self.agents_stream
    }
}
