//! Where the time of a job went.

use std::time::Duration;

/// Where the time of a job went: stages in the order in which a job comes by, without gaps, so that together they are its
/// total but for what it takes to write them down. A stage that each step comes by is the sum over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages {
    /// From admission until it had a cell.
    pub cell: Duration,
    /// Putting its files into the cell.
    pub store: Duration,
    /// Having the process of a step made.
    pub prepare: Duration,
    /// Holding that process to its limits.
    pub limit: Duration,
    /// From letting the process go until its program began.
    pub start: Duration,
    /// From there to the end of a build step.
    pub compile: Duration,
    /// From there to the end of the run step.
    pub run: Duration,
    /// Asking the host what a step has consumed.
    pub measure: Duration,
    /// Giving the cell back.
    pub end: Duration,
}

impl Stages {
    /// All of them together.
    pub fn sum(&self) -> Duration {
        let Stages { cell, store, prepare, limit, start, compile, run, measure, end } = *self;
        [cell, store, prepare, limit, start, compile, run, measure, end].into_iter().sum()
    }
}
