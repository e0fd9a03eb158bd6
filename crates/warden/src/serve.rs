//! The warden's own life: it moves into its quarters, then answers messages until its engine is gone.
//!
//! Runs with all the rights there are. It parses nothing but `wire::warden`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use firebox_wire::warden::{Failure, Made, Make, Message, Stage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::channel::{Patience, receive_bytes, send};
use crate::failure::at;
use crate::housing::Housing;
use crate::living::{EnginesEnds, Living, State};
use crate::sys;

/// What the warden was given at its start.
pub(crate) struct Service<H> {
    pub(crate) socket: OwnedFd,
    pub(crate) housing: H,
}

impl<H: Housing> Service<H> {
    /// The whole life of a warden.
    pub(crate) fn run(mut self) -> ! {
        let settled = settle().map_err(at(Stage::Root)).and_then(|()| self.housing.move_in());
        let greeting = match settled {
            Ok(()) => Made::Cell { number: 0 },
            Err(failure) => Made::Failed(failure),
        };
        // When the engine is gone already, the loop finds out.
        let _ = send(self.socket.as_fd(), &greeting, &[], Patience::Never);
        if settled.is_ok() {
            self.serve();
        }
        self.housing.release();
        sys::exit(0)
    }

    fn serve(&mut self) {
        let mut cells: Vec<Living<H>> = Vec::new();
        let mut engine = true;
        let mut born: u32 = 0;
        while engine || !cells.is_empty() {
            let ready = wait(engine.then_some(self.socket.as_fd()), &cells);
            let Ok(ready) = ready else {
                // Out of memory for a list of descriptors: cells die with their warden.
                return;
            };
            let now = Instant::now();
            cells.iter_mut().for_each(|cell| cell.end_overdue(now, &mut self.housing));
            if ready.engine {
                match receive_bytes(self.socket.as_fd(), Patience::Never) {
                    Ok(Some(message)) => {
                        born = born.wrapping_add(1);
                        match self.make(&message, born) {
                            Ok(cell) => cells.push(cell),
                            Err(failure) => {
                                let _ = send(self.socket.as_fd(), &Made::Failed(failure), &[], Patience::Never);
                            }
                        }
                    }
                    Err(Errno::AGAIN) => {}
                    Ok(None) | Err(_) => {
                        engine = false;
                        cells.iter_mut().for_each(|cell| cell.end(&mut self.housing));
                    }
                }
            }
            // From the back, so that removing one does not move those still to be looked at.
            for place in ready.cells.into_iter().rev() {
                if let State::Gone = cells[place].attend(&mut self.housing) {
                    cells.swap_remove(place).bury(&mut self.housing);
                }
            }
        }
    }

    /// Makes one cell and hands its two ends to the engine.
    fn make(&mut self, message: &[u8], number: u32) -> Result<Living<H>, Failure> {
        let Make { view } = Make::decode(message).map_err(|_| at(Stage::Message)(Errno::BADMSG))?;
        let view = usize::from(view);
        if self.housing.views() <= view {
            return Err(at(Stage::View)(Errno::NOENT));
        }
        let (mut cell, EnginesEnds { stream, socket }) = Living::make(&mut self.housing, view, number)?;
        let ends = [stream.as_fd(), socket.as_fd()];
        if send(self.socket.as_fd(), &Made::Cell { number }, &ends, Patience::Never).is_err() {
            cell.end(&mut self.housing);
        }
        Ok(cell)
    }
}

/// Right after the fork. A session without a terminal, and no stream of the user's.
fn settle() -> Result<(), Errno> {
    // Ctrl-C is for the engine; the warden ends when its engine is gone and every cell removed.
    rustix::process::setsid()?;
    rustix::process::umask(Mode::empty());
    let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

/// What has happened.
struct Ready {
    engine: bool,
    /// Which cells want attention, in order.
    cells: Vec<usize>,
}

fn wait<H: Housing>(engine: Option<BorrowedFd<'_>>, cells: &[Living<H>]) -> Result<Ready, Errno> {
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
