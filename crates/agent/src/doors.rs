//! The ways into the control groups of the steps, where the host has such: a process with one thread that writes `0` to
//! each of a step's doors has moved itself into that step's group.
//!
//! The host checks who is where before it lets a step go; the doors only spare it the moving.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use crate::sys;

/// The doors of all steps that have some.
#[derive(Clone, Copy)]
pub(crate) struct Doors {
    per_step: u32,
    steps: u32,
}

/// The doors of one step.
#[derive(Clone, Copy)]
pub(crate) struct StepDoors {
    first: u32,
    count: u32,
}

impl Doors {
    /// None at all.
    pub(crate) const NONE: Doors = Doors { per_step: 0, steps: 0 };

    /// From the argument that the agent was started with: a digit for the number of doors per step, and one for that of steps
    /// that have some.
    pub(crate) fn from_argument(argument: &[u8]) -> Doors {
        match argument {
            [per_step @ b'0'..=b'9', b'x', steps @ b'0'..=b'9'] => {
                Doors { per_step: u32::from(per_step - b'0'), steps: u32::from(steps - b'0') }
            }
            _ => Doors::NONE,
        }
    }

    /// Those of a step, the first being number 0; none for a step that has none.
    pub(crate) fn of_step(self, step: u32) -> StepDoors {
        let count = if step < self.steps { self.per_step } else { 0 };
        StepDoors { first: sys::STREAM + 1 + step.min(self.steps) * self.per_step, count }
    }
}

impl StepDoors {
    /// Moves this process.
    pub(crate) fn enter(self) -> Result<(), Errno> {
        for number in self.first..self.first + self.count {
            rustix::io::write(door(number), b"0")?;
        }
        Ok(())
    }
}

fn door(number: u32) -> BorrowedFd<'static> {
    sys::inherited(number)
}
