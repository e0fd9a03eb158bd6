//! The cells that wait: a shelf for each language, and who is about to take from it or to put on it.
//!
//! The lock is held for looking and moving only; nobody makes or removes a cell under it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use firebox_job::ByteSize;

use crate::PreparedCell;
use crate::pool::policy::{Chore, Filling, Level, PoolPolicy, Traffic, pause_after};

/// The cells that wait.
pub(crate) struct Shelves {
    policy: PoolPolicy,
    state: Mutex<State>,
    /// Something that the filler may have to do something about.
    emptied: Condvar,
    /// There is one more, or one less to be had.
    filled: Condvar,
}

struct State {
    shelves: Vec<Shelf>,
    traffic: Traffic,
    /// Nothing is put on them any more.
    closed: bool,
}

struct Shelf {
    /// The one that has waited longest first: it has come furthest with whatever it does before its job.
    cells: VecDeque<PreparedCell>,
    cost: ByteSize,
    asked: Instant,
    /// What the latest jobs had a use for, as many as cells may wait.
    wanted: VecDeque<Filling>,
    failures: u32,
    barred: Option<Instant>,
}

/// What came of the wish for a cell that waits.
pub(crate) struct Taken {
    pub(crate) cell: Option<PreparedCell>,
    /// Cells whose agents have died while they waited.
    pub(crate) dead: Vec<PreparedCell>,
}

/// What the filler is to do.
pub(crate) enum Errand {
    Make(usize, Filling),
    GiveBack(Vec<PreparedCell>),
    End,
}

/// A job that has come. It has gone when this is dropped.
pub(crate) struct Visit {
    shelves: Arc<Shelves>,
    /// Whether its first step has begun.
    is_under_way: bool,
}

impl Shelves {
    /// Empty ones, one for each language, whose cells cost so much. Every language counts as asked for now, so that the first
    /// jobs find cells as well.
    pub(crate) fn new(costs: impl Iterator<Item = ByteSize>, policy: PoolPolicy) -> Shelves {
        let asked = Instant::now();
        let shelf = |cost| {
            let (cells, wanted) = (VecDeque::new(), VecDeque::new());
            Shelf { cells, cost, asked, wanted, failures: 0, barred: None }
        };
        let shelves = costs.map(shelf).collect();
        let state =
            Mutex::new(State { shelves, traffic: Traffic { arriving: 0, running: 0, latest: asked }, closed: false });
        Shelves { policy, state, emptied: Condvar::new(), filled: Condvar::new() }
    }

    /// A cell for a job, if one waits: with what the job has a use for, if there is one.
    pub(crate) fn take(&self, language: usize, wanted: Filling) -> Taken {
        let mut taken = Taken { cell: None, dead: Vec::new() };
        let mut state = self.state();
        if let Some(shelf) = state.shelves.get_mut(language) {
            shelf.note(wanted, self.policy.each);
            while let Some(cell) = shelf.next(wanted) {
                if cell.is_waiting() {
                    taken.cell = Some(cell);
                    break;
                }
                taken.dead.push(cell);
            }
        }
        drop(state);
        taken
    }

    /// How many cells wait, by language.
    pub(crate) fn counts(&self) -> Vec<usize> {
        self.state().shelves.iter().map(|shelf| shelf.cells.len()).collect()
    }

    /// Says that a job has come.
    pub(crate) fn visit(self: &Arc<Shelves>) -> Visit {
        self.state().traffic.arriving += 1;
        Visit { shelves: Arc::clone(self), is_under_way: false }
    }

    /// Waits until there is something to do for the filler. Cells that died meanwhile are given back first.
    pub(crate) fn errand(&self) -> Errand {
        let mut state = self.state();
        loop {
            if state.closed {
                return Errand::End;
            }
            let dead = state.take_dead();
            if !dead.is_empty() {
                return Errand::GiveBack(dead);
            }
            let now = Instant::now();
            let until = match self.policy.chore(&state.levels(), state.traffic, now) {
                Chore::Make(language, filling) => return Errand::Make(language, filling),
                Chore::GiveBack(language) => {
                    let longest = state.shelves[language].cells.pop_front();
                    return Errand::GiveBack(longest.into_iter().collect());
                }
                Chore::Rest(until) => until,
            };
            state = match until {
                None => self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(now);
                    self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// A cell that was made. Given back to the caller when it is not to wait here any more.
    pub(crate) fn put(&self, language: usize, cell: PreparedCell) -> Option<PreparedCell> {
        let mut state = self.state();
        if state.closed {
            return Some(cell);
        }
        let shelf = &mut state.shelves[language];
        (shelf.failures, shelf.barred) = (0, None);
        shelf.cells.push_back(cell);
        drop(state);
        self.filled.notify_all();
        None
    }

    /// A cell could not be made. Jobs find out why when they try themselves; the filler tries later.
    pub(crate) fn put_off(&self, language: usize) {
        let mut state = self.state();
        let shelf = &mut state.shelves[language];
        shelf.failures = shelf.failures.saturating_add(1);
        shelf.barred = Some(Instant::now() + pause_after(shelf.failures));
        drop(state);
        self.filled.notify_all();
    }

    /// Waits until as many cells wait as are to, but no longer than this. Whether they do.
    pub(crate) fn wait_until_full(&self, most: Duration) -> bool {
        let lacks = |state: &mut State| {
            let levels = state.levels();
            let wanted = self.policy.wanted(&levels, Instant::now());
            levels.iter().zip(wanted).any(|(level, wanted)| level.waiting < wanted)
        };
        let waited = self.filled.wait_timeout_while(self.state(), most, lacks);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Takes all cells away, and lets the filler end.
    pub(crate) fn close(&self) -> Vec<PreparedCell> {
        let mut state = self.state();
        state.closed = true;
        let cells = state.shelves.iter_mut().flat_map(|shelf| shelf.cells.drain(..)).collect();
        drop(state);
        self.emptied.notify_all();
        cells
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn levels(&self) -> Vec<Level> {
        let level = |shelf: &Shelf| Level {
            waiting: shelf.cells.len(),
            empty: shelf.cells.iter().filter(|cell| cell.filling() == Filling::Nothing).count(),
            asked_empty: shelf.wanted.iter().filter(|wanted| **wanted == Filling::Nothing).count(),
            cost: shelf.cost,
            asked: shelf.asked,
            barred: shelf.barred,
        };
        self.shelves.iter().map(level).collect()
    }

    fn take_dead(&mut self) -> Vec<PreparedCell> {
        let dead = |shelf: &mut Shelf| -> Vec<PreparedCell> {
            let (waiting, dead) = shelf.cells.drain(..).partition(PreparedCell::is_waiting);
            shelf.cells = waiting;
            Vec::from(dead)
        };
        self.shelves.iter_mut().flat_map(dead).collect()
    }
}

impl Shelf {
    /// Remembers that a job has come, and what it had a use for.
    fn note(&mut self, wanted: Filling, latest: usize) {
        self.asked = Instant::now();
        self.wanted.push_back(wanted);
        while latest < self.wanted.len() {
            self.wanted.pop_front();
        }
    }

    /// The cell that is to be taken next.
    fn next(&mut self, wanted: Filling) -> Option<PreparedCell> {
        let place = self.cells.iter().position(|cell| cell.filling() == wanted);
        self.cells.remove(place.unwrap_or(0))
    }
}

impl Visit {
    /// Its first step begins.
    pub(crate) fn gets_under_way(&mut self) {
        if !self.is_under_way {
            self.is_under_way = true;
            let mut state = self.shelves.state();
            state.traffic.arriving -= 1;
            state.traffic.running += 1;
            state.traffic.latest = Instant::now();
            drop(state);
            self.shelves.emptied.notify_one();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut state = self.shelves.state();
        match self.is_under_way {
            true => state.traffic.running -= 1,
            false => state.traffic.arriving -= 1,
        }
        drop(state);
        self.shelves.emptied.notify_one();
    }
}

impl fmt::Debug for Shelves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelves").field("policy", &self.policy).field("levels", &self.state().levels()).finish()
    }
}
