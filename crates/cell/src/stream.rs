//! The stream between the engine and the agent in a cell.
//!
//! [`AgentStream::receive`] hands out a frame once all of it is there, and never waits. The buffer has room for the
//! largest frame and never grows, whatever the agent announces.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use firebox_wire::{DecodeError, FrameBuffer, MAX_PAYLOAD, Order, Report};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags};

type Storage = Box<[u8]>;

/// How long an agent may take in nothing at all. Storing a file takes it a millisecond; only a hostile one is deaf.
const PATIENCE: Duration = Duration::from_secs(10);

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
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE)).map_err(io::Error::from)?;
        Ok(AgentStream { socket, incoming, outgoing: storage() })
    }

    /// Sends one order, whole. Waits while the agent is busy with the one before, but not for ever.
    pub fn send(&mut self, order: &Order<'_>) -> Result<(), StreamError> {
        let mut frame = order.encode(&mut self.outgoing).ok_or(StreamError::TooLong)?;
        while !frame.is_empty() {
            match rustix::net::send(&self.socket, frame, SendFlags::NOSIGNAL) {
                Ok(sent) => frame = &frame[sent..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(StreamError::Deaf),
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

impl AsFd for AgentStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
