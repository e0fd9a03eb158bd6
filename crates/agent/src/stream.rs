//! The stream to the host.

use core::mem::MaybeUninit;

use firebox_wire::{FrameBuffer, HEADER_BYTES, MAX_PAYLOAD, Order, Report};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, recvmsg};

use crate::sys;

/// What a buffer that lives as long as the process is made of.
type Storage = &'static mut [u8];

/// The connected socket that the agent was started with.
pub(crate) struct Stream {
    socket: BorrowedFd<'static>,
    incoming: FrameBuffer<Storage>,
    outgoing: Storage,
}

/// Why the agent ends: without its host it has nothing to live for.
pub(crate) enum Gone {
    /// The other end is closed, or broken.
    Host,
    /// The kernel gave no memory at the start.
    Memory,
    /// What stood and waited for a job has ended by itself: there is nothing to run it with.
    Waiting,
    /// The host speaks another language, or asked for what cannot be.
    Protocol,
}

impl Stream {
    /// Takes over the socket.
    pub(crate) fn new(socket: BorrowedFd<'static>) -> Result<Stream, Gone> {
        let storage = || sys::pages(HEADER_BYTES + MAX_PAYLOAD).map_err(|_| Gone::Memory);
        let incoming = FrameBuffer::new(storage()?).ok_or(Gone::Memory)?;
        Ok(Stream { socket, incoming, outgoing: storage()? })
    }

    /// Sends one report, whole. Waits while the host does not read: that is what slows a flood of output down.
    pub(crate) fn send(&mut self, report: &Report<'_>) -> Result<(), Gone> {
        let mut frame = report.encode(self.outgoing).ok_or(Gone::Protocol)?;
        while !frame.is_empty() {
            match rustix::io::write(self.socket, frame) {
                Ok(written) => frame = &frame[written..],
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone::Host),
            }
        }
        Ok(())
    }

    /// Reads once, and hands out the descriptor that came along. To be called when the socket is readable.
    pub(crate) fn fill(&mut self) -> Result<Option<OwnedFd>, Gone> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut room = [IoSliceMut::new(self.incoming.room())];
        match recvmsg(self.socket, &mut room, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(RecvMsg { bytes: 0, .. }) => Err(Gone::Host),
            Ok(RecvMsg { bytes, .. }) => {
                let mut along = None;
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(fds) = message {
                        along = fds.last();
                    }
                }
                self.incoming.filled(bytes);
                Ok(along)
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(_) => Err(Gone::Host),
        }
    }

    /// The next order, once all of it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Order<'_>>, Gone> {
        match self.incoming.take() {
            Ok(None) => Ok(None),
            Ok(Some((header, payload))) => Order::decode(header, payload).map(Some).map_err(|_| Gone::Protocol),
            Err(_) => Err(Gone::Protocol),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket
    }
}
