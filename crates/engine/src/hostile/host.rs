//! A host that answers what a test tells it to, and counts what it is asked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use firebox_cell::{CellError, CellHost, Measured, Removal, StepLimits};
use firebox_job::{CellKind, Enforcement, Protection};

/// What a host has been asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    limits: AtomicU32,
    removals: AtomicU32,
    waits: AtomicU32,
    drops: AtomicU32,
}

/// How often a host was asked for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) limits: u32,
    pub(super) removals: u32,
    /// How many of its removals were waited for.
    pub(super) waits: u32,
    pub(super) drops: u32,
}

/// What a host answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers {
    pub(super) measured: Measured,
    /// The first step that it measures this in; the ones before it have used nothing.
    pub(super) since_step: u32,
    /// And the last one; the ones after it use nothing.
    pub(super) until_step: u32,
    pub(super) held: Protection,
    /// Which request it refuses.
    pub(super) refuses: Option<Request>,
    /// Whether it refuses only when nobody waits any more.
    pub(super) is_late: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Limit,
    Measure,
    OrderRemoval,
    Remove,
}

/// See the module.
pub(super) struct FakeHost {
    pub(super) answers: Answers,
    pub(super) asked: Arc<Asked>,
}

const NOTHING: Measured = Measured {
    cpu: Duration::ZERO,
    past: None,
    memory_peak: None,
    oom_kills: 0,
    starved: false,
    disk_full: false,
    others: false,
};

impl Answers {
    /// Nothing was used.
    pub(super) const INNOCENT: Answers = Answers {
        measured: NOTHING,
        since_step: 1,
        until_step: u32::MAX,
        held: Protection::Enforced,
        refuses: None,
        is_late: false,
    };
}

impl Asked {
    pub(super) fn counts(&self) -> Counts {
        let of = |count: &AtomicU32| count.load(Ordering::SeqCst);
        Counts {
            limits: of(&self.limits),
            removals: of(&self.removals),
            waits: of(&self.waits),
            drops: of(&self.drops),
        }
    }
}

impl FakeHost {
    fn answer<T>(&self, request: Request, answer: T) -> Result<T, CellError> {
        match self.answers.refuses == Some(request) {
            true => Err(CellError::Refused { doing: "do anything", source: io::ErrorKind::Other.into() }),
            false => Ok(answer),
        }
    }
}

impl CellHost for FakeHost {
    fn kind(&self) -> CellKind {
        CellKind::Jail
    }

    fn limit(&mut self, _: &StepLimits) -> Result<Enforcement, CellError> {
        self.asked.limits.fetch_add(1, Ordering::SeqCst);
        let held = self.answers.held;
        self.answer(Request::Limit, Enforcement { memory: held, tasks: held, cpu: held, disk: held })
    }

    fn measure(&mut self, until: Instant) -> Result<Measured, CellError> {
        let Answers { since_step, until_step, is_late, .. } = self.answers;
        let is_innocent = !(since_step..=until_step).contains(&self.asked.counts().limits);
        if is_late && !is_innocent {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            return Err(CellError::Refused { doing: "measure", source: io::ErrorKind::TimedOut.into() });
        }
        self.answer(Request::Measure, if is_innocent { NOTHING } else { self.answers.measured })
    }

    fn order_removal(self: Box<Self>) -> Result<Box<dyn Removal>, CellError> {
        self.asked.removals.fetch_add(1, Ordering::SeqCst);
        self.answer(Request::OrderRemoval, ())?;
        Ok(Box::new(FakeRemoval {
            refused: self.answers.refuses == Some(Request::Remove),
            asked: Arc::clone(&self.asked),
        }))
    }
}

/// Is over as soon as it is asked for.
struct FakeRemoval {
    refused: bool,
    asked: Arc<Asked>,
}

impl Removal for FakeRemoval {
    fn is_over(&self) -> bool {
        true
    }

    fn wait(self: Box<Self>) -> Result<(), CellError> {
        self.asked.waits.fetch_add(1, Ordering::SeqCst);
        match self.refused {
            true => Err(CellError::Refused { doing: "remove a cell", source: io::ErrorKind::Other.into() }),
            false => Ok(()),
        }
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        self.asked.drops.fetch_add(1, Ordering::SeqCst);
    }
}
