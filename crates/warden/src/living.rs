//! One cell as its warden knows it, from the clone until nothing of it is left.
//!
//! ```text
//! alive --Remove, or the engine's end of its socket closes--> ending --its last process is gone--> gone
//! ```
//!
//! An agent that dies by itself takes its cell's processes along; its engine hears that and closes the socket.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use firebox_wire::warden::{CellReply, CellRequest, Failure, Held, Message, Stage, StepLimits};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::channel::{Patience, receive_bytes, send};
use crate::ends::Ends;
use crate::failure::at;
use crate::housing::{Housing, Newborn};

/// One cell on the host's side.
pub(crate) struct Living<H: Housing> {
    pidfd: OwnedFd,
    house: H::House,
    socket: OwnedFd,
    life: Life,
    /// When it is ended without being asked for.
    until: Option<Instant>,
}

enum Life {
    Alive,
    /// Being ended, and not gone yet; somebody may be waiting to hear that it is.
    Ending {
        awaited: bool,
    },
}

/// Whether there is still something of a cell.
pub(crate) enum State {
    There,
    /// Its last process has ended.
    Gone,
}

/// The ends of a new cell's sockets that are the engine's.
pub(crate) struct EnginesEnds {
    pub(crate) stream: OwnedFd,
    pub(crate) socket: OwnedFd,
}

impl<H: Housing> Living<H> {
    /// Makes a cell.
    pub(crate) fn make(housing: &mut H, view: usize, number: u32) -> Result<(Living<H>, EnginesEnds), Failure> {
        let ends = Ends::new().map_err(at(Stage::Clone))?;
        let Newborn { house, pidfd, ends, confession } = housing.make(view, number, ends)?;
        let Ends { agents_stream, engines_stream, wardens_socket, engines_socket } = ends;
        drop(agents_stream);
        let mut cell = Living { pidfd, house, socket: wardens_socket, life: Life::Alive, until: None };
        match confession.hear() {
            Ok(()) => Ok((cell, EnginesEnds { stream: engines_stream, socket: engines_socket })),
            Err(failure) => {
                cell.end(housing);
                cell.bury(housing);
                Err(failure)
            }
        }
    }

    /// What to wait for: a word about it, while it lives; else its end.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        match self.life {
            Life::Alive => PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
            Life::Ending { .. } => PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN),
        }
    }

    /// Does what [`Living::poll_fd`] became ready for.
    pub(crate) fn attend(&mut self, housing: &mut H) -> State {
        match self.life {
            Life::Ending { .. } => return State::Gone,
            Life::Alive => {}
        }
        let message = match receive_bytes(self.socket.as_fd(), Patience::Never) {
            Ok(Some(message)) => message,
            Err(Errno::AGAIN) => return State::There,
            Ok(None) | Err(_) => {
                self.end(housing);
                return State::There;
            }
        };
        let reply = match CellRequest::decode(&message) {
            Ok(CellRequest::Limit(limits)) => self.limit(&limits, housing).map(CellReply::Limited),
            Ok(CellRequest::Measure) => housing.measure(&mut self.house).map(CellReply::Measured),
            Ok(CellRequest::Remove) => {
                self.end(housing);
                self.life = Life::Ending { awaited: true };
                return State::There;
            }
            Err(_) => Err(at(Stage::Message)(Errno::BADMSG)),
        };
        let reply = reply.unwrap_or_else(CellReply::Failed);
        if send(self.socket.as_fd(), &reply, &[], Patience::Never).is_err() {
            self.end(housing);
        }
        State::There
    }

    /// When it wants attention at the latest.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Ends everything in a cell whose time has passed. It can still be measured, and is removed when its engine lets
    /// it go: an engine that was stopped and goes on finds out what happened.
    pub(crate) fn end_overdue(&mut self, now: Instant, housing: &mut H) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            housing.end(&mut self.house, self.pidfd.as_fd());
        }
    }

    /// Ends everything in the cell.
    pub(crate) fn end(&mut self, housing: &mut H) {
        housing.end(&mut self.house, self.pidfd.as_fd());
        if let Life::Alive = self.life {
            self.life = Life::Ending { awaited: false };
        }
    }

    /// Takes leave of the cell's first process, which ends only after all others, and of all that was held for it.
    pub(crate) fn bury(self, housing: &mut H) {
        let Living { pidfd, house, socket, life, until: _ } = self;
        let reaped = reap(&pidfd).map_err(at(Stage::Remove));
        // Descriptors that were on their way between sockets of the cell are collected when some socket is closed, and
        // hold what they stand for until then.
        drop(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None));
        let buried = housing.bury(house).and(reaped);
        if let Life::Ending { awaited: true } = life {
            let reply = buried.map_or_else(CellReply::Failed, |()| CellReply::Removed);
            // Whoever asked and did not wait hears nothing.
            let _ = send(socket.as_fd(), &reply, &[], Patience::Never);
        }
    }

    fn limit(&mut self, limits: &StepLimits, housing: &mut H) -> Result<Held, Failure> {
        let held = housing.limit(&mut self.house, limits)?;
        self.until = Instant::now().checked_add(Duration::from_millis(limits.wall_ms));
        Ok(held)
    }
}

fn reap(pidfd: &OwnedFd) -> Result<(), Errno> {
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
