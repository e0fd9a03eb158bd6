//! The stream between the engine and the agent in a cell.
//!
//! Reads are buffered and never blocking in the middle of a frame: [`AgentStream::next`] hands out a frame once all
//! of it is there. The buffer has room for the largest frame and never grows, whatever the agent announces.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use firebox_wire::{DecodeError, HEADER_BYTES, Header, MAX_PAYLOAD, Order, Report};
use rustix::net::{RecvFlags, SendFlags};

/// A connected stream that speaks agent frames.
#[derive(Debug)]
pub struct AgentStream {
    socket: OwnedFd,
    incoming: Box<[u8]>,
    start: usize,
    end: usize,
    outgoing: Box<[u8]>,
}

/// Why a stream cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The agent's end is closed.
    #[error("the agent is gone")]
    Closed,
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

/// What [`AgentStream::next`] found.
#[derive(Debug)]
pub enum OwnedReport<'a> {
    /// A whole frame.
    Report(Report<'a>),
    /// No whole frame is there yet; poll the stream for reading.
    Pending,
}

impl AgentStream {
    const WHOLE_FRAME: usize = HEADER_BYTES + MAX_PAYLOAD;

    /// Takes over a connected socket.
    pub fn new(socket: OwnedFd) -> AgentStream {
        AgentStream {
            socket,
            incoming: vec![0; AgentStream::WHOLE_FRAME].into_boxed_slice(),
            start: 0,
            end: 0,
            outgoing: vec![0; AgentStream::WHOLE_FRAME].into_boxed_slice(),
        }
    }

    /// Sends one order, whole. Blocks when the agent does not read; it reads at all times.
    pub fn send(&mut self, order: &Order<'_>) -> Result<(), StreamError> {
        let mut frame = order.encode(&mut self.outgoing).ok_or(StreamError::TooLong)?;
        while !frame.is_empty() {
            match rustix::net::send(&self.socket, frame, SendFlags::NOSIGNAL) {
                Ok(sent) => frame = &frame[sent..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Err(StreamError::Closed),
                Err(errno) => return Err(StreamError::Io(errno.into())),
            }
        }
        Ok(())
    }

    /// The next report, if all of it has come. Reads what is there, at most once.
    pub fn next(&mut self) -> Result<OwnedReport<'_>, StreamError> {
        if self.buffered_frame()?.is_none() && self.fill()? {
            return Err(StreamError::Closed);
        }
        match self.buffered_frame()? {
            None => Ok(OwnedReport::Pending),
            Some(header) => {
                let payload = self.start + HEADER_BYTES;
                self.start = payload + header.length();
                Ok(OwnedReport::Report(Report::decode(header, &self.incoming[payload..self.start])?))
            }
        }
    }

    /// The header of the frame at the front of the buffer, once all of that frame is there.
    fn buffered_frame(&self) -> Result<Option<Header>, StreamError> {
        let there = &self.incoming[self.start..self.end];
        let Some(header) = there.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = Header::parse(*header)?;
        Ok((there.len() >= HEADER_BYTES + header.length()).then_some(header))
    }

    /// Reads what is there, without waiting; true when the other end is closed.
    fn fill(&mut self) -> Result<bool, StreamError> {
        self.incoming.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // There is always room: the buffer holds a whole frame, and a whole frame would have been handed out.
        match rustix::net::recv(&self.socket, &mut self.incoming[self.end..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Ok(true),
            Ok((_, read)) => {
                self.end += read;
                Ok(false)
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
            Err(rustix::io::Errno::CONNRESET) => Ok(true),
            Err(errno) => Err(StreamError::Io(errno.into())),
        }
    }
}

impl AsFd for AgentStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
