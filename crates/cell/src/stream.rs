//! The stream between the engine and the agent in a cell.
//!
//! [`AgentStream::receive`] hands out a frame once all of it is there, and never waits. The buffer has room for the
//! largest frame and never grows, whatever the agent announces.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use firebox_wire::{DecodeError, FrameBuffer, MAX_PAYLOAD, Order, Report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

type Storage = Box<[u8]>;

/// A connected stream that speaks agent frames.
#[derive(Debug)]
pub struct AgentStream {
    socket: OwnedFd,
    incoming: FrameBuffer<Storage>,
    outgoing: Storage,
}

/// Why a stream cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The agent's end is closed.
    #[error("the agent is gone")]
    Closed,
    /// The agent takes nothing in.
    #[error("the agent does not listen")]
    Deaf,
    /// The socket failed.
    #[error("cannot talk to the agent")]
    Io(#[from] io::Error),
    /// What came is no frame.
    #[error("the agent sent something that is no frame")]
    Malformed(#[from] DecodeError),
    /// What was to be sent does not fit into a frame.
    #[error("an order of more than {MAX_PAYLOAD} bytes does not fit into a frame")]
    TooLong,
}

impl AgentStream {
    /// Takes over a connected socket.
    pub fn new(socket: OwnedFd) -> Result<AgentStream, StreamError> {
        let storage = || vec![0; FrameBuffer::<Storage>::BYTES].into_boxed_slice();
        let incoming = FrameBuffer::new(storage()).ok_or(StreamError::TooLong)?;
        Ok(AgentStream { socket, incoming, outgoing: storage() })
    }

    /// Sends one order, whole. While the agent is busy with the one before this waits, but no longer than until then,
    /// however little of it the agent takes in at a time.
    pub fn send(&mut self, order: &Order<'_>, until: Instant) -> Result<(), StreamError> {
        self.send_along(order, None, until)
    }

    /// The same, and a descriptor along with it.
    pub fn send_with(&mut self, order: &Order<'_>, fd: BorrowedFd<'_>, until: Instant) -> Result<(), StreamError> {
        self.send_along(order, Some(fd), until)
    }

    fn send_along(
        &mut self,
        order: &Order<'_>,
        mut along: Option<BorrowedFd<'_>>,
        until: Instant,
    ) -> Result<(), StreamError> {
        let mut frame = order.encode(&mut self.outgoing).ok_or(StreamError::TooLong)?;
        while !frame.is_empty() {
            match send_some(&self.socket, frame, along.as_slice()) {
                Ok(sent) => {
                    // It goes with the first byte.
                    along = None;
                    frame = &frame[sent..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for_room(&self.socket, until)?,
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(StreamError::Closed),
                Err(errno) => return Err(StreamError::Io(errno.into())),
            }
        }
        Ok(())
    }

    /// The next report, or none when it has not come yet: then poll the stream for reading.
    pub fn receive(&mut self) -> Result<Option<Report<'_>>, StreamError> {
        if !self.incoming.has_frame() {
            self.fill()?;
        }
        match self.incoming.take()? {
            None => Ok(None),
            Some((header, payload)) => Ok(Some(Report::decode(header, payload)?)),
        }
    }

    /// Whether the agent is still there and has nothing to say that was not received yet.
    pub fn is_quiet(&self) -> bool {
        self.incoming.is_empty()
            && poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&Timespec::default())) == Ok(0)
    }

    /// Reads what is there, without waiting.
    fn fill(&mut self) -> Result<(), StreamError> {
        match rustix::net::recv(&self.socket, self.incoming.room(), RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::CONNRESET) => Err(StreamError::Closed),
            Ok((read, _)) => {
                self.incoming.filled(read);
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(StreamError::Io(errno.into())),
        }
    }
}

fn send_some(socket: &OwnedFd, frame: &[u8], along: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !along.is_empty() && !control.push(SendAncillaryMessage::ScmRights(along)) {
        return Err(Errno::TOOBIG);
    }
    sendmsg(socket, &[IoSlice::new(frame)], &mut control, flags)
}

fn wait_for_room(socket: &OwnedFd, until: Instant) -> Result<(), StreamError> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(StreamError::Deaf);
    }
    match poll(&mut [PollFd::new(socket, PollFlags::OUT)], Timespec::try_from(left).ok().as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(StreamError::Io(errno.into())),
    }
}

impl AsFd for AgentStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
