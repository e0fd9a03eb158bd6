//! The warden's own life: it moves into its quarters, then answers messages until its engine is gone.
//!
//! Runs with all the rights there are. It parses nothing but `wire::warden`.
//!
//! Everybody waits while it does something, so it waits for nobody, and in each turn of its loop it first answers those
//! who have a job in their cell. Then it does at most one thing that takes long: it sets about making a cell, or it buries
//! one.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use firebox_wire::warden::{Failure, Made, Make, Message, Stage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::channel::{Patience, receive_bytes, send};
use crate::failure::at;
use crate::housing::Housing;
use crate::living::{EnginesEnds, Living, Wanted};
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
            Serving::new(&self.socket, &mut self.housing).until_nobody_is_left();
        }
        self.housing.release();
        sys::exit(0)
    }
}

/// A warden that has moved in.
struct Serving<'a, H: Housing> {
    socket: &'a OwnedFd,
    housing: &'a mut H,
    cells: Vec<Living<H>>,
    engine_is_there: bool,
    /// How many cells were set about, which numbers them.
    made: u32,
    /// What took long last.
    last: Option<Slow>,
}

/// Cells that can be under way to their birth at once. With more of them none would stand sooner; and an engine that asks
/// without end is heard only as fast as its cells come to stand.
const MOST_UNBORN: usize = 4;

impl<H: Housing> Serving<'_, H> {
    fn new<'a>(socket: &'a OwnedFd, housing: &'a mut H) -> Serving<'a, H> {
        Serving { socket, housing, cells: Vec::new(), engine_is_there: true, made: 0, last: None }
    }

    fn until_nobody_is_left(&mut self) {
        while self.engine_is_there || !self.cells.is_empty() {
            let Ok(ready) = self.wait() else {
                // Out of memory for a list of descriptors: cells die with their warden.
                return;
            };
            self.turn(ready);
        }
    }

    fn turn(&mut self, ready: Ready) {
        let Ready { engine, wanting, gone } = ready;
        let now = Instant::now();
        self.cells.iter_mut().for_each(|cell| cell.end_overdue(now, self.housing));
        for place in wanting {
            self.cells[place].attend(self.housing);
        }
        if let Engine::Gone = engine {
            self.let_engine_go();
        }
        let asked = matches!(engine, Engine::Asks);
        let next = Slow::next(asked, gone, self.last);
        match next {
            Some(Slow::Birth) => self.hear_engine(),
            Some(Slow::Burial(place)) => self.cells.swap_remove(place).bury(self.housing),
            None => {}
        }
        self.last = next.or(self.last);
    }

    /// Hears what the engine wants, and sets about it.
    fn hear_engine(&mut self) {
        let message = match receive_bytes(self.socket.as_fd(), Patience::Never) {
            Ok(Some(message)) => message,
            Err(Errno::AGAIN) => return,
            Ok(None) | Err(_) => return self.let_engine_go(),
        };
        self.made = self.made.wrapping_add(1);
        match self.make(&message, self.made) {
            Ok(cell) => self.cells.push(cell),
            Err(failure) => {
                let _ = send(self.socket.as_fd(), &Made::Failed(failure), &[], Patience::Never);
            }
        }
    }

    fn let_engine_go(&mut self) {
        self.engine_is_there = false;
        self.cells.iter_mut().for_each(|cell| cell.end(self.housing));
    }

    /// Sets about making one cell, and hands its two ends to the engine.
    fn make(&mut self, message: &[u8], number: u32) -> Result<Living<H>, Failure> {
        let Make { view } = Make::decode(message).map_err(|_| at(Stage::Message)(Errno::BADMSG))?;
        let view = usize::from(view);
        if self.housing.views() <= view {
            return Err(at(Stage::View)(Errno::NOENT));
        }
        let (mut cell, EnginesEnds { stream, socket }) = Living::conceive(self.housing, Wanted { view, number })?;
        let ends = [stream.as_fd(), socket.as_fd()];
        if send(self.socket.as_fd(), &Made::Cell { number }, &ends, Patience::Never).is_err() {
            cell.end(self.housing);
        }
        Ok(cell)
    }

    /// Waits until something is to be done.
    fn wait(&self) -> Result<Ready, Errno> {
        let unborn = self.cells.iter().filter(|cell| cell.is_unborn()).count();
        // That it is gone is always told.
        let of_engine = if unborn < MOST_UNBORN { PollFlags::IN } else { PollFlags::empty() };
        let engine = self.engine_is_there.then(|| PollFd::from_borrowed_fd(self.socket.as_fd(), of_engine));
        let mut fds: Vec<PollFd<'_>> = self.cells.iter().map(Living::poll_fd).chain(engine).collect();
        let next = self.cells.iter().filter_map(Living::until).min();
        // Rounded up by a millisecond, so that the time has passed when the wait for it is over.
        let most = next.map(|next| next.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        match poll(&mut fds, most.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let ready = |place: &usize| !fds[*place].revents().is_empty();
        let ready: Vec<usize> = (0..self.cells.len()).filter(ready).collect();
        let ending_since = |place: &usize| self.cells[*place].ending_since();
        let wanting = ready.iter().copied().filter(|place| ending_since(place).is_none()).collect();
        let gone = ready.into_iter().filter(|place| ending_since(place).is_some()).min_by_key(ending_since);
        Ok(Ready { engine: Engine::from_poll(fds.get(self.cells.len())), wanting, gone })
    }
}

/// What takes so long that in one turn only one such thing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slow {
    Birth,
    /// Of the cell at this place.
    Burial(usize),
}

impl Slow {
    /// Which of those that are due is next: if it is both, they take turns, so that neither waits for the end of the
    /// others.
    fn next(birth: bool, gone: Option<usize>, last: Option<Slow>) -> Option<Slow> {
        match (birth, gone.map(Slow::Burial)) {
            (true, Some(burial)) if last == Some(Slow::Birth) => Some(burial),
            (true, _) => Some(Slow::Birth),
            (false, burial) => burial,
        }
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
    engine: Engine,
    /// Which cells want attention.
    wanting: Vec<usize>,
    /// Which cell can be buried next: of those whose last process is gone, the one that has been dying longest.
    gone: Option<usize>,
}

/// What the engine's socket says.
enum Engine {
    Silent,
    Asks,
    /// What it has asked for before nobody waits for any more.
    Gone,
}

impl Engine {
    fn from_poll(fd: Option<&PollFd<'_>>) -> Engine {
        match fd.map(PollFd::revents) {
            Some(events) if events.intersects(PollFlags::HUP | PollFlags::ERR) => Engine::Gone,
            Some(events) if !events.is_empty() => Engine::Asks,
            Some(_) | None => Engine::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn births_and_burials_take_turns_and_neither_waits_for_nothing() {
        for last in [None, Some(Slow::Birth), Some(Slow::Burial(7))] {
            assert_eq!(Slow::next(true, None, last), Some(Slow::Birth));
            assert_eq!(Slow::next(false, Some(3), last), Some(Slow::Burial(3)));
            assert_eq!(Slow::next(false, None, last), None);
        }
        assert_eq!(Slow::next(true, Some(3), Some(Slow::Birth)), Some(Slow::Burial(3)));
        assert_eq!(Slow::next(true, Some(3), Some(Slow::Burial(7))), Some(Slow::Birth));
    }
}
