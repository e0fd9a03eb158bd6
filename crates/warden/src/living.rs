//! One cell as its warden knows it, from the clone until nothing of it is left.
//!
//! ```text
//! unborn --its agent has started--> alive --Remove, or the engine's end of its socket closes--> ending
//!    `------------- that has failed --------------------------------------------------------------^
//! ending --its last process is gone--> gone --> buried
//! ```
//!
//! Nothing is ever waited for: whoever calls has polled, and does what is ready.
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
use crate::failure::{Heard, at};
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
    /// There is a process, and it is yet to be heard what becomes of it.
    Unborn(Heard),
    Alive,
    /// Being ended, and not gone yet; somebody may be waiting to hear that it is.
    Ending {
        since: Instant,
        awaited: bool,
    },
}

/// What cell is wanted.
pub(crate) struct Wanted {
    pub(crate) view: usize,
    pub(crate) number: u32,
}

/// The ends of a new cell's sockets that are the engine's.
pub(crate) struct EnginesEnds {
    pub(crate) stream: OwnedFd,
    pub(crate) socket: OwnedFd,
}

impl<H: Housing> Living<H> {
    /// Makes the process that is to become a cell.
    pub(crate) fn conceive(housing: &mut H, wanted: Wanted) -> Result<(Living<H>, EnginesEnds), Failure> {
        let ends = Ends::new().map_err(at(Stage::Clone))?;
        let Wanted { view, number } = wanted;
        let Newborn { house, pidfd, ends, confession } = housing.make(view, number, ends)?;
        // What is the new process's alone goes here, before the next is cloned and gets copies of all there is.
        let Ends { agents_stream: _, engines_stream, wardens_socket, engines_socket } = ends;
        let life = Life::Unborn(confession.into_heard());
        let cell = Living { pidfd, house, socket: wardens_socket, life, until: None };
        Ok((cell, EnginesEnds { stream: engines_stream, socket: engines_socket }))
    }

    /// Whether it is yet to be heard what becomes of it.
    pub(crate) fn is_unborn(&self) -> bool {
        matches!(self.life, Life::Unborn(_))
    }

    /// Since when it is being ended, if it is. What [`Living::poll_fd`] then becomes ready for is its burial.
    pub(crate) fn ending_since(&self) -> Option<Instant> {
        match self.life {
            Life::Ending { since, .. } => Some(since),
            Life::Unborn(_) | Life::Alive => None,
        }
    }

    /// What to wait for: what becomes of it; a word about it, while it lives; and then its end.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        let fd = match &self.life {
            Life::Unborn(heard) => heard.as_fd(),
            Life::Alive => self.socket.as_fd(),
            Life::Ending { .. } => self.pidfd.as_fd(),
        };
        PollFd::from_borrowed_fd(fd, PollFlags::IN)
    }

    /// Does what [`Living::poll_fd`] became ready for, short of a burial.
    pub(crate) fn attend(&mut self, housing: &mut H) {
        match &self.life {
            Life::Unborn(heard) => {
                let outcome = heard.outcome();
                self.welcome(outcome, housing);
            }
            Life::Alive => self.answer(housing),
            Life::Ending { .. } => {}
        }
    }

    /// Says what became of it.
    fn welcome(&mut self, outcome: Result<(), Failure>, housing: &mut H) {
        self.life = Life::Alive;
        let reply = outcome.map_or_else(CellReply::Failed, |()| CellReply::Born);
        let told = send(self.socket.as_fd(), &reply, &[], Patience::Never);
        if outcome.is_err() || told.is_err() {
            self.end(housing);
        }
    }

    /// Hears one request, and answers it.
    fn answer(&mut self, housing: &mut H) {
        let message = match receive_bytes(self.socket.as_fd(), Patience::Never) {
            Ok(Some(message)) => message,
            Err(Errno::AGAIN) => return,
            Ok(None) | Err(_) => return self.end(housing),
        };
        let reply = match CellRequest::decode(&message) {
            Ok(CellRequest::Limit(limits)) => self.limit(&limits, housing).map(CellReply::Limited),
            Ok(CellRequest::Measure) => housing.measure(&mut self.house).map(CellReply::Measured),
            Ok(CellRequest::Remove) => {
                self.end(housing);
                if let Life::Ending { awaited, .. } = &mut self.life {
                    *awaited = true;
                }
                return;
            }
            Err(_) => Err(at(Stage::Message)(Errno::BADMSG)),
        };
        let reply = reply.unwrap_or_else(CellReply::Failed);
        if send(self.socket.as_fd(), &reply, &[], Patience::Never).is_err() {
            self.end(housing);
        }
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
        if !matches!(self.life, Life::Ending { .. }) {
            self.life = Life::Ending { since: Instant::now(), awaited: false };
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
        if let Life::Ending { awaited: true, .. } = life {
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
