//! One cell as the warden knows it, from the clone until nothing of it is left.
//!
//! ```text
//! alive --Remove, or the engine's end of its socket closes--> ending --its last process is gone--> gone
//! ```
//!
//! An agent that dies by itself takes its cell's processes along; its engine hears that and closes the socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use firebox_wire::warden::{CellReply, CellRequest, Failure, Held, Measured, Message, Stage, StepLimits};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::holding::Holding;
use crate::birth::Birth;
use crate::channel::{Patience, receive, send};
use crate::failure::at;
use crate::files::Files;
use crate::rights::Rights;
use crate::sys::{self, Cloned};

/// What a cell is made of.
pub(super) struct Makings<'a> {
    pub(super) view: &'a Path,
    pub(super) workbench: &'a Path,
    pub(super) uid: u32,
    pub(super) number: u64,
    pub(super) agent: BorrowedFd<'a>,
}

/// One cell on the host's side.
pub(super) struct Living {
    pid: Pid,
    pidfd: OwnedFd,
    uid: u32,
    files: Files,
    holding: Holding,
    socket: OwnedFd,
    life: Life,
    /// When it is ended without being asked for.
    until: Option<Instant>,
}

enum Life {
    Alive,
    /// Killed, and not gone yet; somebody may be waiting to hear that it is.
    Ending {
        awaited: bool,
    },
}

/// Whether there is still something of a cell.
pub(super) enum State {
    There,
    /// Its last process has ended.
    Gone,
}

impl Living {
    /// Makes a cell. The two descriptors are the engine's ends: the agent's stream, and the cell's socket.
    pub(super) fn make(makings: &Makings<'_>, rights: &Rights) -> Result<(Living, OwnedFd, OwnedFd), Failure> {
        let Makings { view, workbench, uid, number, agent } = *makings;
        let files = Files::create(uid).map_err(at(Stage::Files))?;
        let holding = Holding::new(rights, number).map_err(at(Stage::Cgroup))?;
        let pair = |kind| socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
        let (stream, agents_stream) = pair(SocketType::STREAM).map_err(at(Stage::Clone))?;
        let (engines_socket, socket) = pair(SocketType::SEQPACKET).map_err(at(Stage::Clone))?;
        let (failure, failed) = pipe_with(PipeFlags::CLOEXEC).map_err(at(Stage::Clone))?;
        let cloned = holding.doors().map_err(at(Stage::Cgroup)).and_then(|doors| {
            let cloned = sys::clone_into_namespaces(holding.clone_target()).map_err(at(Stage::Clone))?;
            Ok((doors, cloned))
        });
        let (doors, cloned) = match cloned {
            Ok(cloned) => cloned,
            Err(failure) => {
                let _ = holding.remove();
                return Err(failure);
            }
        };
        let (pid, pidfd) = match cloned {
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
            Cloned::Child => {
                // The engine's ends in here would keep this cell alive after its engine.
                drop((stream, engines_socket, socket, failure));
                let birth = Birth {
                    view,
                    workbench,
                    files: files.as_fd(),
                    uid,
                    groups: rights.groups_of_a_cell(),
                    stream: agents_stream.as_fd(),
                    agent,
                    doors: &doors,
                    failed: failed.as_fd(),
                };
                birth.go()
            }
        };
        drop((agents_stream, doors, failed));
        let cell = Living { pid, pidfd, uid, files, holding, socket, life: Life::Alive, until: None };
        match hear(failure) {
            Ok(()) => Ok((cell, stream, engines_socket)),
            Err(failure) => {
                // It can only fail when the process is gone.
                let _ = pidfd_send_signal(&cell.pidfd, Signal::KILL);
                cell.bury();
                Err(failure)
            }
        }
    }

    /// What to wait for: a word about it, while it lives; else its end.
    pub(super) fn poll_fd(&self) -> PollFd<'_> {
        match self.life {
            Life::Alive => PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
            Life::Ending { .. } => PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN),
        }
    }

    /// Does what [`Living::poll_fd`] became ready for.
    pub(super) fn attend(&mut self, rights: &Rights) -> State {
        match self.life {
            Life::Ending { .. } => return State::Gone,
            Life::Alive => {}
        }
        let message = match receive(self.socket.as_fd(), Patience::Never) {
            Ok(Some(message)) => message,
            Err(Errno::AGAIN) => return State::There,
            Ok(None) | Err(_) => {
                self.end();
                return State::There;
            }
        };
        let reply = match CellRequest::decode(&message.bytes) {
            Ok(CellRequest::Limit(limits)) => self.limit(&limits, rights).map(CellReply::Limited),
            Ok(CellRequest::Measure) => self.measure().map(CellReply::Measured),
            Ok(CellRequest::Remove) => {
                self.end();
                self.life = Life::Ending { awaited: true };
                return State::There;
            }
            Err(_) => Err(at(Stage::Message)(Errno::BADMSG)),
        };
        let reply = reply.unwrap_or_else(CellReply::Failed);
        if send(self.socket.as_fd(), &reply, &[], Patience::Never).is_err() {
            self.end();
        }
        State::There
    }

    /// When it wants attention at the latest.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Kills everything in a cell whose time has passed. It can still be measured, and is removed when its engine lets
    /// it go: an engine that was stopped and goes on finds out what happened.
    pub(super) fn end_overdue(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
    }

    /// Kills everything in the cell: with the first process of a PID namespace goes all of it.
    pub(super) fn end(&mut self) {
        // It can only fail when the process is gone.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        if let Life::Alive = self.life {
            self.life = Life::Ending { awaited: false };
        }
    }

    /// Takes leave of the cell's first process, which ends only after all others, and of all that the host held for
    /// it. Returns the uid, which nobody has any more.
    pub(super) fn bury(self) -> u32 {
        let Living { pid: _, pidfd, uid, files, holding, socket, life, until: _ } = self;
        let reaped = reap(&pidfd);
        drop(files);
        // Descriptors that were on their way between sockets of the cell are collected when some socket is closed, and
        // hold what they stand for until then.
        drop(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None));
        let buried = holding.remove().and(reaped).map_err(at(Stage::Remove));
        if let Life::Ending { awaited: true } = life {
            let reply = buried.map_or_else(CellReply::Failed, |()| CellReply::Removed);
            // Whoever asked and did not wait hears nothing.
            let _ = send(socket.as_fd(), &reply, &[], Patience::Never);
        }
        uid
    }

    /// Begins a step: limits for every process but the agent, and room for its files.
    fn limit(&mut self, limits: &StepLimits, rights: &Rights) -> Result<Held, Failure> {
        let held = self.holding.begin(self.pid, limits, rights).map_err(at(Stage::Limits))?;
        self.files.leave_room(limits.disk, limits.inodes.into()).map_err(at(Stage::Limits))?;
        self.until = Instant::now().checked_add(Duration::from_millis(limits.wall_ms));
        Ok(held)
    }

    fn measure(&mut self) -> Result<Measured, Failure> {
        let disk_full = self.files.is_full().map_err(at(Stage::Measure))?;
        self.holding.measure(self.pid, disk_full).map_err(at(Stage::Measure))
    }
}

/// Waits for the word of a process becoming a cell: none, when the agent has started.
fn hear(failure: OwnedFd) -> Result<(), Failure> {
    let mut word = [0; 5];
    loop {
        return match rustix::io::read(&failure, &mut word) {
            Ok(0) => Ok(()),
            Ok(5) => {
                let [stage, a, b, c, d] = word;
                let stage = Stage::from_number(stage).unwrap_or(Stage::Clone);
                Err(Failure { stage, errno: i32::from_le_bytes([a, b, c, d]) })
            }
            Ok(_) => Err(at(Stage::Clone)(Errno::IO)),
            Err(Errno::INTR) => continue,
            Err(errno) => Err(at(Stage::Clone)(errno)),
        };
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
