//! A machine between two runs: all of its threads are gone, each processor stands between two instructions, and no device is at work.

use std::time::Duration;

use crate::machine::{Machine, Ran, RunError};
use crate::memory::Memory;
use crate::pauser::Pauser;

/// A machine that is paused.
pub struct Paused {
    machine: Machine,
}

/// Why a machine runs no longer.
pub enum Stopped {
    /// It has ended.
    Ended(Ran),
    /// It was asked to pause.
    Paused(Paused),
}

impl Stopped {
    /// For whoever has nobody ask it to pause.
    pub fn ended(self) -> Result<Ran, RunError> {
        match self {
            Stopped::Ended(ran) => Ok(ran),
            Stopped::Paused(_) => Err(RunError::Paused),
        }
    }
}

impl Paused {
    pub(crate) fn new(machine: Machine) -> Paused {
        Paused { machine }
    }

    /// The guest's memory.
    pub fn memory(&self) -> &Memory {
        self.machine.memory()
    }

    /// Who can ask it to pause again.
    pub fn pauser(&self) -> Pauser {
        self.machine.pauser()
    }

    /// Lets it run on from where it was.
    pub fn resume(self, limit: Duration) -> Result<Stopped, RunError> {
        self.machine.go(limit)
    }
}
