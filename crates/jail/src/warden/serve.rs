//! The warden's own life: it moves into its quarters, then answers messages until its engine is gone.
//!
//! Runs with all the rights there are. What it still knows of the host are descriptors: the control groups it made, the
//! shared files with their locks, the agent. It opens no path of the host, and parses nothing but `wire::warden`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use firebox_cell::View;
use firebox_wire::warden::{Failure, Made, Make, Message, Stage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::living::{Living, Makings, State};
use super::quarters::{self, WORKBENCH, view_place};
use crate::channel::{Patience, receive, send};
use crate::failure::at;
use crate::rights::Rights;
use crate::sys;

/// What the warden was given at its start.
pub(super) struct Service {
    pub(super) socket: OwnedFd,
    pub(super) rights: Rights,
    pub(super) agent: OwnedFd,
}

impl Service {
    /// The whole life of a warden.
    pub(super) fn run(mut self, views: &[View]) -> ! {
        let greeting = match quarters::move_in(&self.rights, views) {
            Ok(()) => Made::Cell,
            Err(failure) => Made::Failed(failure),
        };
        // When the engine is gone already, the loop finds out.
        let _ = send(self.socket.as_fd(), &greeting, &[], Patience::Never);
        if greeting == Made::Cell {
            self.serve(views.len());
        }
        self.rights.release();
        sys::exit(0)
    }

    fn serve(&mut self, views: usize) {
        let mut cells: Vec<Living> = Vec::new();
        let mut engine = true;
        let mut born: u64 = 0;
        while engine || !cells.is_empty() {
            let ready = wait(engine.then_some(self.socket.as_fd()), &cells);
            let Ok(ready) = ready else {
                // Out of memory for a list of descriptors: cells die with their warden.
                return;
            };
            let now = Instant::now();
            cells.iter_mut().for_each(|cell| cell.end_overdue(now));
            if ready.engine {
                match receive(self.socket.as_fd(), Patience::Never) {
                    Ok(Some(message)) => {
                        born += 1;
                        match self.make(&message.bytes, views, born) {
                            Ok(cell) => cells.push(cell),
                            Err(failure) => {
                                let _ = send(self.socket.as_fd(), &Made::Failed(failure), &[], Patience::Never);
                            }
                        }
                    }
                    Err(Errno::AGAIN) => {}
                    Ok(None) | Err(_) => {
                        engine = false;
                        cells.iter_mut().for_each(Living::end);
                    }
                }
            }
            // From the back, so that removing one does not move those still to be looked at.
            for place in ready.cells.into_iter().rev() {
                if let State::Gone = cells[place].attend(&self.rights) {
                    let uid = cells.swap_remove(place).bury();
                    self.rights.give_back(uid);
                }
            }
        }
    }

    /// Makes one cell and hands its two ends to the engine.
    fn make(&mut self, message: &[u8], views: usize, number: u64) -> Result<Living, Failure> {
        let Make { view } = Make::decode(message).map_err(|_| at(Stage::Message)(Errno::BADMSG))?;
        if views <= usize::from(view) {
            return Err(at(Stage::View)(Errno::NOENT));
        }
        let uid = self.rights.lease().map_err(|error| at(Stage::LeaseUid)(error.errno()))?;
        let makings = Makings {
            view: &view_place(usize::from(view)),
            workbench: Path::new(WORKBENCH),
            uid,
            number,
            agent: self.agent.as_fd(),
        };
        match Living::make(&makings, &self.rights) {
            Ok((mut cell, stream, socket)) => {
                let ends = [stream.as_fd(), socket.as_fd()];
                let handed = send(self.socket.as_fd(), &Made::Cell, &ends, Patience::Never);
                if handed.is_err() {
                    cell.end();
                }
                Ok(cell)
            }
            Err(failure) => {
                self.rights.give_back(uid);
                Err(failure)
            }
        }
    }
}

/// What has happened.
struct Ready {
    engine: bool,
    /// Which cells want attention, in order.
    cells: Vec<usize>,
}

fn wait(engine: Option<BorrowedFd<'_>>, cells: &[Living]) -> Result<Ready, Errno> {
    let mut fds: Vec<PollFd<'_>> = cells.iter().map(Living::poll_fd).collect();
    fds.extend(engine.map(|engine| PollFd::from_borrowed_fd(engine, PollFlags::IN)));
    let next = cells.iter().filter_map(Living::until).min();
    // Rounded up by a millisecond, so that the time has passed when the wait for it is over.
    let most = next.map(|next| next.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    let most = most.and_then(|most| Timespec::try_from(most).ok());
    match poll(&mut fds, most.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno),
    }
    let hot: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    let of_cells = (0..cells.len()).filter(|place| hot[*place]).collect();
    Ok(Ready { engine: engine.is_some() && hot[cells.len()], cells: of_cells })
}
