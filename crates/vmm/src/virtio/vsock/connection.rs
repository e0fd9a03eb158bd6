//! One connection: a stream on the host's side, and what guest and host know of each other's room.
//!
//! Neither side can make the other hold more than was agreed: what the guest sends beyond its credit ends the connection, and from the host's
//! stream is read only what the guest has said it has room for.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::packet::{Header, Op, RECEIVES_NO_MORE, SENDS_NO_MORE};

/// So many bytes of a connection we hold for a host that does not read.
pub(super) const ROOM: u32 = 64 << 10;
/// When so much of it has become free, the guest is told, if nothing else is sent to it.
const WORTH_TELLING: u32 = ROOM / 2;

/// What is to be sent to the guest, besides bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    request: bool,
    response: bool,
    credit: bool,
    end: bool,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    /// A host that has called, and waits for the guest to answer.
    calls: bool,
    owed: Owed,
    to_host: VecDeque<u8>,
    /// Of the guest's bytes: how many the host has, ever, and how many of those the guest has been told of.
    used_up: u32,
    told: u32,
    /// How many bytes the guest was sent, ever; its room; and how many of them it has used up.
    sent: u32,
    guest_room: u32,
    guest_used_up: u32,
    guest_sends: bool,
    guest_receives: bool,
    host_sends: bool,
    /// The stream may have something, until it says otherwise.
    readable: bool,
}

/// What is left of a connection after something happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it.
    Stands,
    /// Nothing. The guest is to be told, unless it said so itself.
    Gone,
}

impl Connection {
    /// A guest has called.
    pub(super) fn answered(stream: UnixStream, request: &Header) -> Connection {
        let owed = Owed { response: true, ..Owed::default() };
        let mut connection = Connection::new(stream, false, owed);
        connection.learn(request);
        connection
    }

    /// A host calls.
    pub(super) fn calling(stream: UnixStream) -> Connection {
        Connection::new(stream, true, Owed { request: true, ..Owed::default() })
    }

    fn new(stream: UnixStream, calls: bool, owed: Owed) -> Connection {
        Connection {
            stream,
            calls,
            owed,
            to_host: VecDeque::new(),
            used_up: 0,
            told: 0,
            sent: 0,
            guest_room: 0,
            guest_used_up: 0,
            guest_sends: true,
            guest_receives: true,
            host_sends: true,
            readable: true,
        }
    }

    /// Whether the guest has heard nothing of it yet.
    pub(super) fn is_unheard(&self) -> bool {
        self.owed.request
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    fn learn(&mut self, header: &Header) {
        (self.guest_room, self.guest_used_up) = (header.room, header.used_up);
    }

    /// A packet of the guest's, with the bytes behind it. `port` is what a host that has called is told it got.
    pub(super) fn hear(&mut self, op: Op, header: &Header, bytes: &[u8], port: u32) -> Left {
        self.learn(header);
        match op {
            Op::Response if self.calls => {
                self.calls = false;
                // There is room for that in a stream on which nothing was said yet; and if there is not, nobody listens.
                let answer = format!("OK {port}\n");
                let written = send(&self.stream, answer.as_bytes(), SendFlags::NOSIGNAL);
                if written == Ok(answer.len()) { Left::Stands } else { Left::Gone }
            }
            Op::Data if !self.calls && self.guest_sends => {
                let held = self.to_host.len().saturating_add(bytes.len());
                if usize::try_from(ROOM).is_ok_and(|room| room < held) {
                    return Left::Gone;
                }
                self.to_host.extend(bytes);
                self.flush()
            }
            Op::Credit if !self.calls => Left::Stands,
            Op::CreditAsked if !self.calls => {
                self.owed.credit = true;
                Left::Stands
            }
            Op::Shutdown if !self.calls => {
                self.guest_sends &= header.flags & SENDS_NO_MORE == 0;
                self.guest_receives &= header.flags & RECEIVES_NO_MORE == 0;
                self.flush()
            }
            // A guest that says what makes no sense now has lost track.
            Op::Request | Op::Response | Op::Reset | Op::Data | Op::Credit | Op::CreditAsked | Op::Shutdown => {
                Left::Gone
            }
        }
    }

    /// The host's stream has something, or has room.
    pub(super) fn wake(&mut self) -> Left {
        self.readable = true;
        self.flush()
    }

    /// Gives the host what is there for it.
    fn flush(&mut self) -> Left {
        while !self.to_host.is_empty() {
            let (front, _) = self.to_host.as_slices();
            match send(&self.stream, front, SendFlags::NOSIGNAL) {
                Ok(written) => {
                    self.to_host.drain(..written.min(front.len()));
                    self.used_up = self.used_up.wrapping_add(u32::try_from(written).unwrap_or(0));
                }
                Err(Errno::AGAIN) => return Left::Stands,
                Err(Errno::INTR) => {}
                Err(_) => return Left::Gone,
            }
        }
        if WORTH_TELLING <= self.used_up.wrapping_sub(self.told) {
            self.owed.credit = true;
        }
        match (self.guest_sends, self.guest_receives) {
            (false, false) => return Left::Gone,
            // It fails where the host is gone already, and then there is nobody to tell.
            (false, true) => _ = self.stream.shutdown(Shutdown::Write),
            (true, _) => {}
        }
        Left::Stands
    }

    /// What the guest is to be sent next: a header that lacks addresses, and bytes in `room`.
    pub(super) fn next(&mut self, room: &mut [u8]) -> Option<(Header, usize)> {
        let Owed { request, response, credit, end } = self.owed;
        let (op, flags, count) = if request {
            self.owed.request = false;
            (Op::Request, 0, 0)
        } else if response {
            self.owed.response = false;
            (Op::Response, 0, 0)
        } else if self.calls {
            return None;
        } else if let Some(count) = self.receive(room) {
            (Op::Data, 0, count)
        } else if end || self.owed.end {
            // Found out just now, or before.
            self.owed.end = false;
            (Op::Shutdown, SENDS_NO_MORE, 0)
        } else if credit {
            (Op::Credit, 0, 0)
        } else {
            return None;
        };
        // Each says how much room there is.
        self.owed.credit = false;
        self.told = self.used_up;
        let length = u32::try_from(count).unwrap_or(0);
        self.sent = self.sent.wrapping_add(length);
        let header = Header { length, flags, room: ROOM, used_up: self.used_up, ..Header::default() };
        Some((header.with_op(op), count))
    }

    /// Bytes of the host's, as many as the guest has room for. None if there are none now.
    fn receive(&mut self, room: &mut [u8]) -> Option<usize> {
        let under_way = self.sent.wrapping_sub(self.guest_used_up);
        let credit = usize::try_from(self.guest_room.saturating_sub(under_way)).ok()?;
        let most = room.len().min(credit);
        let room = room.get_mut(..most).filter(|room| !room.is_empty())?;
        if !(self.readable && self.host_sends && self.guest_receives) {
            return None;
        }
        loop {
            match self.stream.read(room) {
                Ok(0) => break,
                Ok(count) => return Some(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return None;
                }
                Err(_) => break,
            }
        }
        (self.host_sends, self.owed.end) = (false, true);
        None
    }
}
